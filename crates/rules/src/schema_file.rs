//! The schema file: the operator's own event types and attributes, in TOML.
//!
//! ```text
//! [events."listing.created"]          [attributes.risk_score]            [attributes]
//! description = "…"                   type = "float"                     tags = "set<string>"
//!                                     on = ["listing.created"]
//!                                     renamed_from = ["risk"]
//! ```
//!
//! Every mistake is reported with its place, as those of rules are.

use crate::diagnostic::{Diagnostic, Problems, Source, Span};
use crate::lexer::shown;
use crate::schema::{Attribute, Schema};
use crate::suggest::{did_you_mean, did_you_mean_or_list};
use crate::types::Type;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Largest schema file, in bytes.
const FILE_BYTES_MAX: usize = 1024 * 1024;
/// Most attributes, and most event types, of one schema.
const DECLARED_MAX: usize = 1_000;
/// Longest name of an attribute or event type, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// Longest description, in bytes.
const DESCRIPTION_BYTES_MAX: usize = 2 * 1024;

/// The built-in schema with what the file declares.
pub(crate) fn read(source: &Source) -> Result<Schema, Vec<Diagnostic>> {
    let mut reader = Reader {
        problems: Problems::of(source),
        schema: Schema::builtin(),
    };
    reader.file(&source.text);
    if reader.problems.errors() > 0 {
        return Err(reader.problems.finish());
    }
    Ok(reader.schema)
}

struct Reader<'s> {
    problems: Problems<'s>,
    schema: Schema,
}

type Key<'i> = Spanned<std::borrow::Cow<'i, str>>;
type Value<'i> = Spanned<DeValue<'i>>;

fn span_of<T>(node: &Spanned<T>) -> Span {
    let range = node.span();
    Span {
        start: range.start,
        end: range.end,
    }
}

impl Reader<'_> {
    fn file(&mut self, text: &str) {
        if text.len() > FILE_BYTES_MAX {
            let message = format!(
                "this schema is {} bytes long, the limit is {FILE_BYTES_MAX}",
                text.len()
            );
            self.problems
                .error_hint(Span::default(), message, "leave out what no rule asks for");
            return;
        }
        let table = match DeTable::parse(text) {
            Ok(table) => table,
            Err(error) => {
                let at = error.span().unwrap_or_default();
                let span = Span {
                    start: at.start,
                    end: at.end,
                };
                let message = format!("this is not TOML: {}", error.message());
                let hint =
                    "write `name = \"type\"` under `[attributes]`, or a table `[attributes.name]`";
                return self.problems.error_hint(span, message, hint);
            }
        };
        let table = table.get_ref();
        // Event types first, since attributes may be about them wherever they stand.
        let (mut events, mut attributes) = (None, None);
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "events" => events = self.table(value, "events"),
                "attributes" => attributes = self.table(value, "attributes"),
                other => self.unknown_key(other, span_of(key), &["events", "attributes"]),
            }
        }
        self.events(events);
        self.attributes(attributes);
    }

    fn unknown_key(&mut self, key: &str, span: Span, known: &[&str]) {
        let message = format!("unknown key `{}`", shown(key));
        self.problems
            .error_hint(span, message, did_you_mean_or_list(key, known));
    }

    fn table<'v, 'i>(&mut self, value: &'v Value<'i>, what: &str) -> Option<&'v DeTable<'i>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            let message = format!("`{what}` is a table");
            self.problems
                .error_hint(span_of(value), message, format!("begin it with `[{what}]`"));
        }
        table
    }

    fn text<'v>(&mut self, value: &'v Value<'_>, what: &str, example: &str) -> Option<&'v str> {
        let text = value.get_ref().as_str();
        if text.is_none() {
            let message = format!("{what} is a text in quotes");
            self.problems.error_hint(span_of(value), message, example);
        }
        text
    }

    /// One text, or several in brackets.
    fn texts<'v>(
        &mut self,
        value: &'v Value<'_>,
        what: &str,
        example: &str,
    ) -> Vec<(&'v str, Span)> {
        if let Some(items) = value.get_ref().as_array() {
            let texts = items
                .iter()
                .filter_map(|item| Some((self.text(item, what, example)?, span_of(item))));
            return texts.collect();
        }
        let text = self.text(value, what, example);
        text.map(|text| (text, span_of(value)))
            .into_iter()
            .collect()
    }

    fn description(&mut self, value: &Value<'_>) -> String {
        let example = "for example `description = \"How risky the seller is, 0 to 1\"`";
        let Some(text) = self.text(value, "a description", example) else {
            return String::new();
        };
        if text.len() > DESCRIPTION_BYTES_MAX {
            let message = format!(
                "this description is {} bytes long, the limit is {DESCRIPTION_BYTES_MAX}",
                text.len()
            );
            self.problems
                .error_hint(span_of(value), message, "shorten it");
        }
        text.to_owned()
    }

    fn too_many(&mut self, len: usize, noun: &str, at: Option<&Key<'_>>) {
        if let (true, Some(key)) = (len > DECLARED_MAX, at) {
            let message = format!("{len} {noun}, the limit is {DECLARED_MAX}");
            let hint = "declare only what rules ask for";
            self.problems.error_hint(span_of(key), message, hint);
        }
    }

    // ---- event types ----

    fn events(&mut self, events: Option<&DeTable<'_>>) {
        let Some(events) = events else { return };
        self.too_many(events.len(), "event types", events.keys().next());
        for (key, value) in events.iter().take(DECLARED_MAX) {
            let name = key.get_ref().as_ref();
            if !is_event_type(name) {
                let message = format!("`{}` is not an event type", shown(name));
                let hint = "write it as `[events.\"noun.verb\"]` in lower case, with the quotes";
                self.problems.error_hint(span_of(key), message, hint);
                continue;
            }
            let mut description = String::new();
            if value.get_ref().is_str() {
                description = self.description(value);
            } else if let Some(table) = self.table(value, &format!("events.\"{name}\"")) {
                for (key, value) in table {
                    match key.get_ref().as_ref() {
                        "description" => description = self.description(value),
                        other => self.unknown_key(other, span_of(key), &["description"]),
                    }
                }
            }
            self.schema.declare_event(name, &description);
        }
    }

    // ---- attributes ----

    fn attributes(&mut self, attributes: Option<&DeTable<'_>>) {
        let Some(attributes) = attributes else { return };
        self.too_many(attributes.len(), "attributes", attributes.keys().next());
        let mut renamed = Vec::new();
        for (key, value) in attributes.iter().take(DECLARED_MAX) {
            let name = key.get_ref().as_ref();
            if !is_attribute_name(name) {
                let message = format!("`{}` cannot be the name of an attribute", shown(name));
                let hint = "use letters, digits and `_`, beginning with a letter, at most 64";
                self.problems.error_hint(span_of(key), message, hint);
                continue;
            }
            // `[[attributes.budget]]`, several times, gives each event type a type of its own.
            match value.get_ref().as_array() {
                Some(several) => {
                    for one in several.iter().take(DECLARED_MAX) {
                        self.attribute(name, span_of(key), one, &mut renamed);
                    }
                }
                None => self.attribute(name, span_of(key), value, &mut renamed),
            }
        }
        for (old, span, name) in renamed {
            if !is_attribute_name(&old) || !self.schema.rename(&old, &name) {
                let message = format!("`{}` cannot be an old name of `{name}`", shown(&old));
                let hint = "an old name is a name that no attribute has, and that only one had";
                self.problems.error_hint(span, message, hint);
            }
        }
    }

    fn attribute(
        &mut self,
        name: &str,
        at: Span,
        value: &Value<'_>,
        renamed: &mut Vec<(String, Span, String)>,
    ) {
        if value.get_ref().is_str() {
            if let Some(ty) = self.ty(value) {
                self.declare(name, at, &[], ty, String::new());
            }
            return;
        }
        let Some(table) = value.get_ref().as_table() else {
            let message = format!("`{name}` needs a type");
            let hint = format!("for example `{name} = \"int\"`");
            return self.problems.error_hint(span_of(value), message, hint);
        };
        let (mut ty, mut description, mut on) = (None, String::new(), Vec::new());
        let errors_before = self.problems.errors();
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "type" => ty = self.ty(value),
                "description" => description = self.description(value),
                "on" => on = self.on(value),
                "renamed_from" => {
                    let example = "for example `renamed_from = [\"risk\"]`";
                    let old = self.texts(value, "an old name", example);
                    let old = old
                        .into_iter()
                        .map(|(o, span)| (o.to_owned(), span, name.to_owned()));
                    renamed.extend(old);
                }
                other => {
                    let known = ["type", "description", "on", "renamed_from"];
                    self.unknown_key(other, span_of(key), &known);
                }
            }
        }
        match ty {
            Some(ty) => self.declare(name, at, &on, ty, description),
            None if self.problems.errors() == errors_before => {
                let message = format!("attribute `{name}` has no type");
                self.problems
                    .error_hint(at, message, "add a type, for example `type = \"int\"`");
            }
            None => {}
        }
    }

    fn ty(&mut self, value: &Value<'_>) -> Option<Type> {
        let text = self.text(
            value,
            "a type",
            "for example `\"int\"` or `\"set<string>\"`",
        )?;
        match text.parse::<Type>() {
            Ok(ty) => Some(ty),
            Err(problem) => {
                let words = ["bool", "int", "float", "string", "duration", "time"];
                let problem = match did_you_mean(text, words) {
                    Some(near) => format!("`{}` is not a type: {near}", shown(text)),
                    None => problem,
                };
                self.problems.refused(span_of(value), "", &problem);
                None
            }
        }
    }

    fn on(&mut self, value: &Value<'_>) -> Vec<String> {
        let example = "for example `on = [\"post.created\"]`";
        let mut known = Vec::new();
        for (event_type, span) in self.texts(value, "an event type", example) {
            if self.schema.knows_event_type(event_type) {
                known.push(event_type.to_owned());
                continue;
            }
            let hint = did_you_mean(event_type, self.schema.event_types())
                .unwrap_or_else(|| format!("declare it: `[events.\"{}\"]`", shown(event_type)));
            let message = format!("unknown event type `{}`", shown(event_type));
            self.problems.error_hint(span, message, hint);
        }
        known
    }

    fn declare(&mut self, name: &str, at: Span, on: &[String], ty: Type, description: String) {
        let attribute = Attribute { ty, description };
        let mut fresh = true;
        if on.is_empty() {
            fresh = self.schema.declare(None, name, attribute);
        } else {
            for on in on {
                fresh &= self.schema.declare(Some(on), name, attribute.clone());
            }
        }
        if !fresh {
            let message = format!("attribute `{name}` is declared twice for the same event");
            self.problems.error_hint(at, message, "keep one of the two");
        }
    }
}

/// As the model has it: `noun.verb` in lower case.
fn is_event_type(name: &str) -> bool {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_lowercase())
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    name.len() <= NAME_BYTES_MAX && name.contains('.') && name.split('.').all(part)
}

/// What may stand after `attributes.` in a rule.
fn is_attribute_name(name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
