//! `manara compare A B`: how far apart are two files or signals, and in what?

use super::hash::{each, quality_in_words};
use super::{Done, say, say_json};
use crate::bits::Bits;
use crate::config::Config;
use crate::console::text::plain;
use crate::matcher::PDQ_QUALITY_MIN;
use crate::media::Extra;
use crate::scan::{Kind, Outcome, SNIFF_BYTES, decoders, sniff};
use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use clap::Args;
use manara_model::Decoding;
use manara_signal::pdq::{Dihedral, PdqHash};
use manara_signal::text::{Level, Normalised, Phrase, PhraseIndex, TEXT_MAX, normalise};
use manara_signal::{CanonicalUrl, Md5, Pdq, Sha256, Signal, SignalType};
use serde::Serialize;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Largest image that is compared.
const IMAGE_BYTES_MAX: u64 = crate::scan::IMAGE_BYTES_MAX;

#[derive(Debug, Args)]
#[command(after_long_help = "\
A and B are files, or signals: `pdq:…`, `sha256:…`, `md5:…`, `text:…`, `url:…`; 64 hexadecimal digits
alone are a pdq, 32 an md5. With --text both are texts.

Exit code 0: they match. 1: they do not. 2: they could not be compared.

Examples:
  manara compare original.png copy.jpg --png bits.png
  manara compare --text 'grey banner' 'gr\u{0435}y b a n n e r'")]
pub(crate) struct Arguments {
    /// A file or a signal.
    a: String,
    /// A file or a signal.
    b: String,
    /// Take both as texts, whatever they look like.
    #[arg(long, conflicts_with_all = ["png", "svg"])]
    text: bool,
    /// Up to how many differing bits two PDQ hashes match.
    #[arg(long, value_name = "N", default_value_t = SignalType::Pdq.default_distance())]
    threshold: u32,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
    /// Write the picture of the differing bits as PNG.
    #[arg(long, value_name = "FILE")]
    png: Option<PathBuf>,
    /// Write the picture of the differing bits as SVG.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// One of the two, with everything that can be compared of it.
struct Side {
    shown: String,
    file: Option<Sha256>,
    image: Option<Image>,
    text: Option<String>,
    exact: Option<Signal>,
}

/// A hash, with what is known of the image when there is one.
struct Image {
    hash: Pdq,
    seen: Option<Seen>,
}

struct Seen {
    quality: u8,
    width: u32,
    height: u32,
    /// All dihedral forms, in order.
    forms: [PdqHash; 8],
}

pub(super) fn run(arguments: &Arguments) -> Result<Done> {
    let a = side(&arguments.a, arguments.text)?;
    let b = side(&arguments.b, arguments.text)?;
    let same_file = a.file.is_some() && a.file == b.file;
    let wants_picture = arguments.png.is_some() || arguments.svg.is_some();
    if let (Some(one), Some(two)) = (&a.image, &b.image) {
        return images(arguments, (&a, one), (&b, two), same_file);
    }
    if wants_picture {
        bail!(
            "there are no bits to draw: {} is not an image or a pdq",
            plain(if a.image.is_none() {
                &a.shown
            } else {
                &b.shown
            })
        );
    }
    match (&a, &b) {
        (
            Side {
                text: Some(one), ..
            },
            Side {
                text: Some(two), ..
            },
        ) => texts(arguments, one, two),
        (
            Side {
                exact: Some(one), ..
            },
            Side {
                exact: Some(two), ..
            },
        ) if one.signal_type() == two.signal_type() => exact(arguments, one, two),
        _ => match (a.file_as(&b), b.file_as(&a)) {
            (Some(one), Some(two)) => exact(arguments, &one, &two),
            _ => bail!(
                "{} and {} have no signal type in common",
                plain(&a.shown),
                plain(&b.shown)
            ),
        },
    }
}

impl Side {
    fn literal(shown: &str) -> Self {
        Self {
            shown: shown.to_owned(),
            file: None,
            image: None,
            text: None,
            exact: None,
        }
    }

    /// What this side is in terms of bytes, when the other one is a file or a sha256.
    fn file_as(&self, other: &Self) -> Option<Signal> {
        let other_is_file = other.file.is_some() || matches!(other.exact, Some(Signal::Sha256(_)));
        let own = self.file.map(Signal::Sha256).or_else(|| {
            self.exact
                .clone()
                .filter(|s| matches!(s, Signal::Sha256(_)))
        });
        own.filter(|_| other_is_file)
    }
}

/// Reads one argument: a text if told so, else a file if there is one, else a signal.
fn side(given: &str, is_text: bool) -> Result<Side> {
    if is_text {
        return Ok(Side {
            text: Some(given.to_owned()),
            ..Side::literal(given)
        });
    }
    let path = Path::new(given);
    if path.exists() {
        return file(path, given);
    }
    let signal = match given.split_once(':') {
        Some((name, value)) if let Ok(ty) = name.parse::<SignalType>() => {
            Signal::parse(ty, value).map_err(|error| anyhow!("`{}`: {error}", plain(given)))?
        }
        _ => bare(given)?,
    };
    let literal = Side::literal(given);
    Ok(match signal {
        Signal::Pdq(hash) => Side {
            image: Some(Image { hash, seen: None }),
            ..literal
        },
        Signal::Text(phrase) => Side {
            text: Some(phrase.original().to_owned()),
            ..literal
        },
        other => Side {
            exact: Some(other),
            ..literal
        },
    })
}

/// A hash without its type in front.
fn bare(given: &str) -> Result<Signal> {
    if let Ok(hash) = Pdq::from_hex(given) {
        return Ok(Signal::Pdq(hash));
    }
    if let Ok(hash) = Md5::from_hex(given) {
        return Ok(Signal::Md5(hash));
    }
    if given.contains("://")
        && let Ok(url) = CanonicalUrl::parse(given)
    {
        return Ok(Signal::Url(url));
    }
    bail!(
        "there is no file `{}`, and it is not a signal: write pdq:…, sha256:…, md5:…, url:… or text:…, or give --text",
        plain(given)
    )
}

fn file(path: &Path, given: &str) -> Result<Side> {
    let context = || format!("reading {}", path.display());
    let mut start = Vec::new();
    let mut file = File::open(path).with_context(context)?;
    let length = file.metadata().with_context(context)?.len();
    (&mut file)
        .take(SNIFF_BYTES as u64)
        .read_to_end(&mut start)
        .with_context(context)?;
    match sniff(&start) {
        Kind::Image => {
            if length > IMAGE_BYTES_MAX {
                bail!(
                    "{} has {length} bytes, the limit is {IMAGE_BYTES_MAX}",
                    path.display()
                );
            }
            (&mut file)
                .take(IMAGE_BYTES_MAX)
                .read_to_end(&mut start)
                .with_context(context)?;
            image(given, Bytes::from(start))
        }
        Kind::Text => {
            let sha256 = sha256_of(path)?;
            (&mut file)
                .take(TEXT_MAX as u64)
                .read_to_end(&mut start)
                .with_context(context)?;
            let text = String::from_utf8_lossy(&start).into_owned();
            Ok(Side {
                file: Some(sha256),
                text: Some(text),
                ..Side::literal(given)
            })
        }
        Kind::Event | Kind::Other => Ok(Side {
            file: Some(sha256_of(path)?),
            ..Side::literal(given)
        }),
    }
}

fn image(given: &str, content: Bytes) -> Result<Side> {
    let signed = decoders(&Config::default().media, Extra::NONE)?.sign(content);
    let problem = signed
        .problem
        .unwrap_or_else(|| "not readable as an image".to_owned());
    let Some(forms) = signed.pdq else {
        bail!("{}: {problem}", plain(given))
    };
    if signed.decoding != Decoding::Decoded {
        eprintln!(
            "warning: {}: {problem}; what could be read of it is compared",
            plain(given)
        );
    }
    let [PdqHash { hash, quality }, ..] = forms;
    let seen = Seen {
        quality,
        width: signed.width,
        height: signed.height,
        forms,
    };
    Ok(Side {
        file: Some(signed.sha256),
        image: Some(Image {
            hash,
            seen: Some(seen),
        }),
        ..Side::literal(given)
    })
}

fn sha256_of(path: &Path) -> Result<Sha256> {
    let mut found = None;
    each(&[path.to_owned()], &mut |outcome| {
        match outcome {
            Outcome::Item(item) => found = item.signals.get(SignalType::Sha256.name()).cloned(),
            Outcome::Failed { problem, .. } => bail!("{}: {problem}", path.display()),
            Outcome::Skipped { why, .. } => bail!("{}: {why}", path.display()),
            Outcome::EventFile { .. } => {}
        }
        Ok(())
    })?;
    let hex = found.with_context(|| format!("{}: no file", path.display()))?;
    Ok(Sha256::from_hex(&hex)?)
}

fn done(matched: bool) -> Done {
    if matched { Done::Found } else { Done::Nothing }
}

// ---- Images ----

#[derive(Serialize)]
struct ImagesJson<'a> {
    signal_type: SignalType,
    distance: u32,
    threshold: u32,
    #[serde(rename = "match")]
    matched: bool,
    same_file: bool,
    a: ImageJson<'a>,
    b: ImageJson<'a>,
    /// The numbers of the bits that differ: 16 × row + column.
    differing_bits: Vec<usize>,
    /// In how many bits each 16-bit chunk, a row of the picture, differs.
    distance_by_chunk: [u32; 16],
    /// The form of B that is nearest to A, when B is an image.
    #[serde(skip_serializing_if = "Option::is_none")]
    nearest_form: Option<FormJson>,
}

#[derive(Serialize)]
struct ImageJson<'a> {
    given: &'a str,
    pdq: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    quality: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u32>,
}

#[derive(Serialize)]
struct FormJson {
    form: &'static str,
    distance: u32,
}

fn images(
    arguments: &Arguments,
    (a, one): (&Side, &Image),
    (b, two): (&Side, &Image),
    same_file: bool,
) -> Result<Done> {
    let distance = one.hash.distance(&two.hash);
    let bits = Bits {
        a: one.hash,
        b: two.hash,
    };
    let threshold = arguments.threshold;
    let nearest = two
        .seen
        .as_ref()
        .and_then(|seen| nearest_form(one.hash, &seen.forms));
    let matched = same_file || distance <= threshold;
    if let Some(path) = &arguments.png {
        bits.png()
            .save_with_format(path, image::ImageFormat::Png)
            .with_context(|| format!("writing {}", path.display()))?;
    }
    if let Some(path) = &arguments.svg {
        std::fs::write(path, bits.svg()).with_context(|| format!("writing {}", path.display()))?;
    }
    if arguments.json {
        say_json(&ImagesJson {
            signal_type: SignalType::Pdq,
            distance,
            threshold,
            matched,
            same_file,
            a: image_json(a, one),
            b: image_json(b, two),
            differing_bits: bits.differing().collect(),
            distance_by_chunk: bits.by_chunk(),
            nearest_form: nearest,
        })?;
        return Ok(done(matched));
    }
    say(format_args!("A  {}", image_in_words(a, one)))?;
    say(format_args!("B  {}", image_in_words(b, two)))?;
    say(format_args!("\n{}", bits.grid()))?;
    let relation = if distance <= threshold {
        format!("up to {threshold} count as a match: they match")
    } else {
        format!("over {threshold}: they do not match")
    };
    say(format_args!("distance {distance} of 256 bits; {relation}"))?;
    if same_file {
        say("the files are the same, byte for byte")?;
    }
    // A turned or mirrored copy is one too; forms that are merely less far say nothing.
    let turned = nearest.filter(|form| form.distance < distance && form.distance <= threshold);
    if let Some(FormJson { form, distance }) = turned {
        say(format_args!(
            "B as {form}: distance {distance}, which a scan finds"
        ))?;
    }
    if [one, two].iter().any(|image| {
        image
            .seen
            .as_ref()
            .is_some_and(|seen| seen.quality < PDQ_QUALITY_MIN)
    }) {
        say(format_args!(
            "the quality is under {PDQ_QUALITY_MIN}: too little in the image to tell it from others, so a scan does not compare it"
        ))?;
    }
    Ok(done(matched))
}

fn nearest_form(a: Pdq, forms: &[PdqHash; 8]) -> Option<FormJson> {
    let distances = forms.iter().zip(Dihedral::NAMES);
    distances
        .map(|(hash, form)| FormJson {
            form,
            distance: a.distance(&hash.hash),
        })
        .min_by_key(|form| form.distance)
}

fn image_json<'a>(side: &'a Side, image: &Image) -> ImageJson<'a> {
    let seen = image.seen.as_ref();
    ImageJson {
        given: &side.shown,
        pdq: image.hash.to_hex(),
        quality: seen.map(|seen| seen.quality),
        width: seen.map(|seen| seen.width),
        height: seen.map(|seen| seen.height),
    }
}

fn image_in_words(side: &Side, image: &Image) -> String {
    match &image.seen {
        Some(Seen {
            quality,
            width,
            height,
            ..
        }) => {
            format!(
                "{} · {width}×{height} · quality {}\n   pdq {}",
                plain(&side.shown),
                quality_in_words(*quality),
                image.hash.to_hex()
            )
        }
        None => format!("pdq {}", image.hash.to_hex()),
    }
}

// ---- Texts ----

#[derive(Serialize)]
struct TextsJson {
    signal_type: SignalType,
    #[serde(rename = "match")]
    matched: bool,
    /// The level at which the two say the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    equal: Option<&'static str>,
    /// How A is found in B when it is a phrase of a bank.
    #[serde(skip_serializing_if = "Option::is_none")]
    a_in_b: Option<FoundJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    b_in_a: Option<FoundJson>,
    a: KeysJson,
    b: KeysJson,
}

#[derive(Serialize)]
struct KeysJson {
    strict: String,
    folded: String,
}

#[derive(Serialize)]
struct FoundJson {
    level: &'static str,
    matched: String,
    undone: String,
}

fn texts(arguments: &Arguments, a: &str, b: &str) -> Result<Done> {
    let (one, two) = (normalise(a), normalise(b));
    let equal = if one.strict() == two.strict() {
        Some("strict")
    } else {
        (one.folded() == two.folded()).then_some("folded")
    };
    let (a_in_b, b_in_a) = (found(a, b, &two), found(b, a, &one));
    let matched = equal.is_some() || a_in_b.is_some() || b_in_a.is_some();
    let keys = |n: &Normalised| KeysJson {
        strict: n.strict().to_owned(),
        folded: n.folded().to_owned(),
    };
    if arguments.json {
        let (a, b) = (keys(&one), keys(&two));
        say_json(&TextsJson {
            signal_type: SignalType::Text,
            matched,
            equal,
            a_in_b,
            b_in_a,
            a,
            b,
        })?;
        return Ok(done(matched));
    }
    for (name, normalised) in [("A", &one), ("B", &two)] {
        say(format_args!(
            "{name}  strict  {}",
            short(normalised.strict())
        ))?;
        say(format_args!("   folded  {}", short(normalised.folded())))?;
        if normalised.evasions.total() > 0 {
            say(format_args!("   undone  {}", normalised.evasions))?;
        }
    }
    say("")?;
    match equal {
        Some(level) => say(format_args!(
            "they say the same: the {level} keys are equal"
        ))?,
        None => say("their keys differ")?,
    }
    for (what, found) in [
        ("A as a phrase is found in B", &a_in_b),
        ("B as a phrase is found in A", &b_in_a),
    ] {
        if let Some(FoundJson {
            level,
            matched,
            undone,
        }) = found.as_ref().filter(|_| equal.is_none())
        {
            let undone = if undone.is_empty() {
                String::new()
            } else {
                format!(" ({undone})")
            };
            say(format_args!(
                "{what}: {level}{undone}, as ⟦{}⟧",
                short(matched)
            ))?;
        }
    }
    if !matched {
        say("they do not match: neither is found in the other as whole words")?;
    }
    Ok(done(matched))
}

/// How `phrase` is found in `text`, as a bank would find it.
fn found(phrase: &str, text: &str, normalised: &Normalised) -> Option<FoundJson> {
    let phrase = Phrase::parse(phrase).ok()?;
    let mut index = PhraseIndex::default();
    index.insert(0, &phrase);
    let mut hits = Vec::new();
    index.find(normalised, &mut hits);
    let hit = hits.first()?;
    let undone = if hit.evasions.total() > 0 {
        hit.evasions.to_string()
    } else {
        String::new()
    };
    let matched = text
        .get(hit.original.clone())
        .unwrap_or_default()
        .to_owned();
    Some(FoundJson {
        level: level_name(hit.level),
        matched,
        undone,
    })
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::Strict => "strict",
        Level::Folded => "folded",
    }
}

fn short(text: &str) -> String {
    const CHARACTERS_MAX: usize = 400;
    let shown: String = text.chars().take(CHARACTERS_MAX).collect();
    let cut = if shown.len() < text.len() { "…" } else { "" };
    plain(&shown) + cut
}

// ---- Exact types ----

#[derive(Serialize)]
struct ExactJson {
    signal_type: SignalType,
    #[serde(rename = "match")]
    matched: bool,
    a: String,
    b: String,
}

fn exact(arguments: &Arguments, a: &Signal, b: &Signal) -> Result<Done> {
    let (matched, signal_type) = (a == b, a.signal_type());
    let (a, b) = (a.encode(), b.encode());
    if arguments.json {
        say_json(&ExactJson {
            signal_type,
            matched,
            a,
            b,
        })?;
    } else {
        say(format_args!(
            "A  {signal_type} {}\nB  {signal_type} {}",
            plain(&a),
            plain(&b)
        ))?;
        say(if matched {
            "they are equal: they match"
        } else {
            "they differ: they do not match"
        })?;
    }
    Ok(done(matched))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_told_by_its_name_or_its_length() {
        let of = |given: &str| side(given, false).unwrap();
        assert!(of(&"ab".repeat(32)).image.is_some());
        assert!(matches!(of(&"ab".repeat(16)).exact, Some(Signal::Md5(_))));
        assert!(matches!(
            of(&format!("sha256:{}", "ab".repeat(32))).exact,
            Some(Signal::Sha256(_))
        ));
        assert!(matches!(
            of("https://grey.example/a").exact,
            Some(Signal::Url(_))
        ));
        assert_eq!(of("text:grey banner").text.as_deref(), Some("grey banner"));
        let refused = side("no-such-file", false).err().unwrap().to_string();
        assert!(
            refused.contains("there is no file `no-such-file`"),
            "{refused}"
        );
    }
}
