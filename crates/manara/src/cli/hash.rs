//! `manara hash PATH…`: the signals of files, to be put into a bank or compared.

use super::bank::table;
use super::{Done, say, say_json};
use crate::config::Config;
use crate::console::text::plain;
use crate::forms;
use crate::matcher::{Matcher, PDQ_QUALITY_MIN};
use crate::media::{Extra, Variants};
use crate::scan::report::counted;
use crate::scan::{Item, Kind, LeftOut, Outcome, Scanner, decoders};
use anyhow::{Context, Result, bail};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use comfy_table::Table;
use manara_signal::pdq::PdqForm;
use manara_signal::text::{TEXT_MAX, normalise};
use manara_signal::{Signal, SignalType};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;

#[derive(Debug, Args)]
#[command(after_long_help = "\
Prints pdq and sha256 of images, sha256 of everything else. `-` reads stdin; folders are looked
through to the bottom. With --json, one object a line:
  {\"path\":\"flag.png\",\"signals\":{\"pdq\":\"…\",\"sha256\":\"…\"},\"quality\":100}
and \"undecodable\":\"why\" beside the sha256 of what could not be read as what it is.

Example:
  manara hash --json uploads/ | jq -r 'select(.quality >= 50) | \"pdq,\\(.signals.pdq),\\(.path)\"'")]
pub(crate) struct Arguments {
    /// Files and folders; `-` for stdin.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// One object a line.
    #[arg(long)]
    json: bool,
    /// Also print the md5.
    #[arg(long)]
    all: bool,
    /// Which pixels of an image are hashed: all of them, as threatexchange and HMA do, or those of a
    /// 512x512 grid, as Meta's command-line tools do.
    #[arg(long, value_name = "FORM", default_value = PdqForm::Full.name(), value_parser = pdq_form())]
    pdq_form: PdqForm,
    /// Also print what texts say once normalised: the strict and the folded key.
    #[arg(long)]
    text: bool,
}

fn pdq_form() -> impl TypedValueParser<Value = PdqForm> {
    PossibleValuesParser::new(PdqForm::ALL.map(PdqForm::name)).map(|name| {
        PdqForm::ALL
            .into_iter()
            .find(|form| form.name() == name)
            .unwrap_or_default()
    })
}

#[derive(Serialize)]
struct Hashed {
    path: String,
    signals: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quality: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    undecodable: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Keys>,
}

#[derive(Serialize)]
struct Keys {
    strict: String,
    folded: String,
    /// Whether the text is longer than what is normalised.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<Done> {
    let stdin = if arguments.paths.iter().any(|path| is_stdin(path)) {
        Some(spool_stdin()?)
    } else {
        None
    };
    let spooled = stdin.as_ref().map(tempfile::NamedTempFile::path);
    let real = |path: &PathBuf| {
        spooled
            .filter(|_| is_stdin(path))
            .map_or_else(|| path.clone(), Path::to_owned)
    };
    let paths: Vec<PathBuf> = arguments.paths.iter().map(real).collect();

    let (mut printed, mut failed) = (0_u64, 0_u64);
    let mut table = table(["path", "type", "signal", "quality"]);
    each(&paths, arguments.pdq_form, &mut |outcome| match outcome {
        Outcome::Item(item) => {
            printed += 1;
            let hashed = hashed(*item, arguments, spooled)?;
            if arguments.json {
                return say_json(&hashed);
            }
            add_rows(&mut table, &hashed);
            Ok(())
        }
        Outcome::Skipped { path, why } => {
            eprintln!("skipped: {}: {why}", plain(&path.display().to_string()));
            Ok(())
        }
        Outcome::Failed { path, problem, .. } => {
            failed += 1;
            eprintln!(
                "error: {}: {}",
                plain(&path.display().to_string()),
                plain(&problem)
            );
            Ok(())
        }
        Outcome::EventFile { .. } => Ok(()),
    })?;
    if !arguments.json && printed > 0 {
        say(table)?;
    }
    match (failed, printed) {
        (1.., _) => bail!("{} could not be read", counted(failed, "path")),
        (0, 0) => Ok(Done::Nothing),
        (0, _) => Ok(Done::Found),
    }
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// Signs everything below the paths: a scan that compares with nothing.
pub(super) fn each(
    paths: &[PathBuf],
    form: PdqForm,
    sink: &mut dyn FnMut(Outcome) -> Result<()>,
) -> Result<()> {
    let reference_512 = form == PdqForm::Reference512;
    let extra = Extra {
        reference_512,
        ..Extra::NONE
    };
    let (matcher, pool) = (
        Matcher::default(),
        decoders(&Config::default().media, extra)?,
    );
    let scanner = Scanner {
        matcher: &matcher,
        pool: &pool,
        variants: Variants::NONE,
        shown: if reference_512 {
            "reference_512"
        } else {
            forms::STORED
        },
        events: false,
        distance_max: 0,
        thumbnails: AtomicUsize::new(0),
    };
    scanner.run(paths, &LeftOut::default(), &|_, _| (), sink)
}

/// Stdin is kept in a file: its end decides what it is, and it may be larger than memory.
fn spool_stdin() -> Result<tempfile::NamedTempFile> {
    let mut file = tempfile::NamedTempFile::new().context("making a temporary file")?;
    io::copy(&mut io::stdin().lock(), &mut file).context("reading stdin")?;
    file.flush().context("writing a temporary file")?;
    Ok(file)
}

fn hashed(mut item: Item, arguments: &Arguments, stdin: Option<&Path>) -> Result<Hashed> {
    let text = if arguments.text && item.kind == Kind::Text {
        Some(keys(&item.path)?)
    } else {
        None
    };
    if !arguments.all {
        item.signals.remove(SignalType::Md5.name());
    }
    let path = if stdin == Some(&*item.path) {
        "-".to_owned()
    } else {
        item.path.display().to_string()
    };
    Ok(Hashed {
        path,
        signals: item.signals,
        quality: item.quality,
        undecodable: item.undecodable,
        text,
    })
}

fn keys(path: &Path) -> Result<Keys> {
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?
            .take(TEXT_MAX as u64 + 1)
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().with_context(|| format!("reading {}", path.display()))?;
    let normalised = normalise(&String::from_utf8_lossy(&bytes));
    Ok(Keys {
        strict: normalised.strict().to_owned(),
        folded: normalised.folded().to_owned(),
        truncated: normalised.truncated,
    })
}

fn add_rows(table: &mut Table, hashed: &Hashed) {
    let mut path = plain(&hashed.path);
    for (name, value) in &hashed.signals {
        let quality = hashed.quality.filter(|_| *name == SignalType::Pdq.name());
        table.add_row([
            std::mem::take(&mut path),
            (*name).to_owned(),
            value.clone(),
            quality.map_or_else(String::new, quality_in_words),
        ]);
    }
    let texts = hashed
        .text
        .iter()
        .flat_map(|keys| [("strict text", &keys.strict), ("folded text", &keys.folded)]);
    for (name, text) in texts.chain(hashed.undecodable.iter().map(|why| ("undecodable", why))) {
        table.add_row([
            std::mem::take(&mut path),
            name.to_owned(),
            plain(text),
            String::new(),
        ]);
    }
}

pub(super) fn quality_in_words(quality: u8) -> String {
    if quality < PDQ_QUALITY_MIN {
        format!("{quality} (too low to compare)")
    } else {
        quality.to_string()
    }
}

/// The signals that a bank would hold of a file: its sha256, and its pdq when it is an image with
/// enough in it.
pub(super) fn signals_of_file(path: &Path) -> Result<Vec<Signal>> {
    let (mut signals, mut problem) = (Vec::new(), None);
    each(&[path.to_owned()], PdqForm::Full, &mut |outcome| {
        match outcome {
            Outcome::Item(item) if signals.is_empty() => {
                if let Some(why) = &item.undecodable {
                    eprintln!(
                        "warning: {}: {}; only its sha256 is used",
                        plain(&path.display().to_string()),
                        plain(why)
                    );
                }
                let too_low = item
                    .quality
                    .is_some_and(|quality| quality < PDQ_QUALITY_MIN);
                if too_low {
                    eprintln!(
                        "warning: the image has too little in it for a pdq (quality under {PDQ_QUALITY_MIN}); only its sha256 is used"
                    );
                }
                for ty in [SignalType::Sha256, SignalType::Pdq] {
                    let value = item
                        .signals
                        .get(ty.name())
                        .filter(|_| ty == SignalType::Sha256 || !too_low);
                    signals.extend(value.map(|value| Signal::parse(ty, value)).transpose()?);
                }
            }
            Outcome::Item(_) => problem = Some("it is a folder; name one file".to_owned()),
            Outcome::Failed { problem: why, .. } => problem = Some(why),
            Outcome::Skipped { why, .. } => problem = Some(why.to_owned()),
            Outcome::EventFile { .. } => {}
        }
        Ok(())
    })?;
    match problem {
        Some(problem) => bail!("{}: {problem}", path.display()),
        None if signals.is_empty() => bail!("{}: there is no file in it", path.display()),
        None => Ok(signals),
    }
}
