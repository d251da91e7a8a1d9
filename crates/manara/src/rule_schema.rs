//! The schema beside the rules: `schema.toml` in their folder declares the operator's own event types and
//! attributes.

use anyhow::{Context, Result, bail};
use manara_rules::{Diagnostic, RuleSet, Schema, Source, compile};
use std::io::ErrorKind;
use std::path::Path;

/// Its name in the rules folder.
pub(crate) const FILE: &str = "schema.toml";
/// Largest schema file, in bytes.
const BYTES_MAX: u64 = 1024 * 1024;

/// The schema file of a rules folder (or beside one rule file), if there is one.
pub(crate) fn read(rules: &Path) -> Result<Option<Source>> {
    let folder = if rules.is_file() {
        rules.parent().unwrap_or(Path::new("."))
    } else {
        rules
    };
    let file = folder.join(FILE);
    match std::fs::metadata(&file) {
        Ok(found) if found.len() > BYTES_MAX => bail!(
            "{} is {} bytes long, the limit is {BYTES_MAX}",
            file.display(),
            found.len()
        ),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("reading {}", file.display())),
    }
    Ok(Some(Source {
        name: file.display().to_string(),
        text: crate::rulebook::read_text(&file)?,
    }))
}

/// Whether a source is a schema and not a file of rules.
pub(crate) fn is_schema(source: &Source) -> bool {
    let name = source.name.rsplit('/').next();
    name == Some(FILE)
}

/// The schema that is among these sources; without one, the built-in one.
pub(crate) fn schema_of(sources: &[Source]) -> Result<Schema, Vec<Diagnostic>> {
    let mut schemas = sources.iter().filter(|source| is_schema(source));
    schemas
        .next()
        .map_or_else(|| Ok(Schema::builtin()), Schema::from_source)
}

/// Compiles the rules among these sources with the schema among them.
pub(crate) fn compile_all(sources: &[Source]) -> Result<RuleSet, Vec<Diagnostic>> {
    let schema = schema_of(sources)?;
    let rules: Vec<Source> = sources
        .iter()
        .filter(|it| !is_schema(it))
        .cloned()
        .collect();
    compile(&rules, &schema)
}
