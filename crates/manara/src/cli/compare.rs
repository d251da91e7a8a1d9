//! `manara compare A B`: how far apart are two files or signals, and in what?

use super::bank::table;
use super::hash::{each, quality_in_words};
use super::{Done, say, say_json};
use crate::bits::Bits;
use crate::config::Config;
use crate::console::text::plain;
use crate::forms;
use crate::matcher::PDQ_QUALITY_MIN;
use crate::matcher::explain::{Keys, alike, any_level, facts, phrase_hits};
use crate::media::Variants;
use crate::pipeline::signals_of;
use crate::scan::{Kind, Outcome, SNIFF_BYTES, decoders, sniff};
use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use clap::Args;
use manara_model::Decoding;
use manara_signal::near::Tlsh;
use manara_signal::pdq::PdqForm;
use manara_signal::text::{Level, Normalised, Phrase, TEXT_MAX, normalise};
use manara_signal::{CanonicalUrl, Md5, Pdq, Sha256, Signal, SignalType};
use serde::Serialize;
use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Largest image that is compared.
const IMAGE_BYTES_MAX: u64 = crate::scan::IMAGE_BYTES_MAX;

#[derive(Debug, Args)]
#[command(after_long_help = "\
A and B are files, or signals with their type: `pdq:…`, `text:…`, `raw_text:…`, `url:…`, `domain:…`, `invite:…`,
`wallet:…`, `name:…` and so on; 64 hexadecimal digits alone are a pdq, 32 an md5. With --text both are texts, with
--name both are handles or display names.

Images are compared in all their forms: as stored, as displayed, mirrored and turned, without bars at
their edges, and the key frames of an animation. They match when a scan finds one of them with the
other in a bank: some form of one is near enough to the other as stored.

Exit code 0: they match. 1: they do not. 2: they could not be compared.

Examples:
  manara compare original.png copy.jpg --png bits.png
  manara compare --text 'grey banner' 'gr\u{0435}y b a n n e r'
  manara compare --name grey_banner '@gr3y.banner_backup'
  manara compare domain:banner.example https://cdn.banner.example/page")]
pub(crate) struct Arguments {
    /// A file or a signal.
    a: String,
    /// A file or a signal.
    b: String,
    /// Take both as texts, whatever they look like.
    #[arg(long, conflicts_with_all = ["png", "svg"])]
    text: bool,
    /// Take both as handles or display names.
    #[arg(long, conflicts_with_all = ["png", "svg", "text"])]
    name: bool,
    /// Up to how many differing bits two PDQ hashes match.
    #[arg(long, visible_alias = "distance", value_name = "BITS", default_value_t = SignalType::Pdq.default_distance())]
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

/// The hashes of an image, with what is known of it when it was seen.
struct Image {
    stored: Form,
    others: Vec<Form>,
    size: Option<(u32, u32)>,
}

/// One form of an image.
struct Form {
    name: Cow<'static, str>,
    hash: Pdq,
    /// Unknown of a hash by itself, which then counts as good.
    quality: Option<u8>,
}

pub(super) fn run(arguments: &Arguments) -> Result<Done> {
    if arguments.name {
        let name = |given: &str| {
            Signal::parse(SignalType::Name, given)
                .map_err(|error| anyhow!("`{}`: {error}", plain(given)))
        };
        return signals(arguments, &name(&arguments.a)?, &name(&arguments.b)?);
    }
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
        ) if comparable(one, two) => signals(arguments, one, two),
        _ => match (a.file_as(&b), b.file_as(&a)) {
            (Some(one), Some(two)) => signals(arguments, &one, &two),
            _ => bail!(
                "{} and {} have no signal type in common",
                plain(&a.shown),
                plain(&b.shown)
            ),
        },
    }
}

/// Whether two signals are ever compared.
fn comparable(a: &Signal, b: &Signal) -> bool {
    let is_place = |s: &Signal| matches!(s, Signal::UrlPrefix(_) | Signal::Domain(_));
    let is_url = |s: &Signal| matches!(s, Signal::Url(_));
    let under = is_place(a) && is_url(b) || is_url(a) && is_place(b);
    a.signal_type() == b.signal_type() || under
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
            image: Some(Image {
                stored: Form {
                    name: Cow::Borrowed(forms::STORED),
                    hash,
                    quality: None,
                },
                others: Vec::new(),
                size: None,
            }),
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
        "there is no file `{}`, and it is not a signal: write its type before it (pdq:…, sha256:…, url:…, text:…, name:… and so on), or give --text or --name",
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
    let media = Config::default().media;
    let variants = Variants::from(&media);
    let signed = decoders(&media, variants.extra)?.sign(content);
    let problem = signed.problem.as_deref();
    let problem = problem.unwrap_or("not readable as an image");
    let forms = signals_of(&signed, variants).pdq;
    let mut forms = forms.into_iter().map(|(hash, name)| Form {
        name,
        hash: hash.hash,
        quality: Some(hash.quality),
    });
    let Some(stored) = forms.next() else {
        bail!("{}: {problem}", plain(given))
    };
    if signed.decoding != Decoding::Decoded {
        eprintln!(
            "warning: {}: {problem}; what could be read of it is compared",
            plain(given)
        );
    }
    Ok(Side {
        file: Some(signed.sha256),
        image: Some(Image {
            stored,
            others: forms.collect(),
            size: Some((signed.width, signed.height)),
        }),
        ..Side::literal(given)
    })
}

fn sha256_of(path: &Path) -> Result<Sha256> {
    let mut found = None;
    each(&[path.to_owned()], PdqForm::Full, &mut |outcome| {
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
    /// Of both images as stored.
    distance: u32,
    threshold: u32,
    #[serde(rename = "match")]
    matched: bool,
    /// Why they match, or do not.
    why: &'a str,
    same_file: bool,
    a: ImageJson<'a>,
    b: ImageJson<'a>,
    /// The numbers of the bits that differ between both images as stored: 16 × row + column.
    differing_bits: Vec<usize>,
    /// In how many bits each 16-bit chunk, a row of the picture, differs.
    distance_by_chunk: [u32; 16],
    /// The forms that are nearest to each other among those that are looked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    nearest: Option<NearestJson<'a>>,
    /// All forms that were compared.
    forms: Vec<PairJson<'a>>,
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
struct PairJson<'a> {
    a_form: &'a str,
    b_form: &'a str,
    distance: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    a_quality: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    b_quality: Option<u8>,
    /// Whether a scan compares these two.
    looked_up: bool,
    #[serde(rename = "match")]
    matched: bool,
}

#[derive(Serialize)]
struct NearestJson<'a> {
    #[serde(flatten)]
    pair: PairJson<'a>,
    a_pdq: String,
    b_pdq: String,
    differing_bits: Vec<usize>,
    distance_by_chunk: [u32; 16],
}

/// Two forms, one of each image.
#[derive(Clone, Copy)]
struct Pair<'a> {
    a: &'a Form,
    b: &'a Form,
    distance: u32,
}

impl Form {
    fn is_stored(&self) -> bool {
        self.name == forms::STORED
    }

    fn is_too_plain(&self) -> bool {
        self.quality
            .is_some_and(|quality| quality < PDQ_QUALITY_MIN)
    }
}

impl<'a> Pair<'a> {
    fn of(a: &'a Form, b: &'a Form) -> Self {
        let distance = a.hash.distance(&b.hash);
        Self { a, b, distance }
    }

    /// Whether a scan compares these two: a bank holds images as stored, and those with too little in
    /// them are not looked up.
    fn is_looked_up(&self) -> bool {
        let [a, b] = [self.a, self.b];
        (a.is_stored() || b.is_stored()) && !a.is_too_plain() && !b.is_too_plain()
    }

    fn bits(&self) -> Bits {
        Bits {
            a: self.a.hash,
            b: self.b.hash,
        }
    }

    fn json(&self, threshold: u32) -> PairJson<'a> {
        let looked_up = self.is_looked_up();
        PairJson {
            a_form: &self.a.name,
            b_form: &self.b.name,
            distance: self.distance,
            a_quality: self.a.quality,
            b_quality: self.b.quality,
            looked_up,
            matched: looked_up && self.distance <= threshold,
        }
    }

    /// `A and B mirrored left to right`.
    fn in_words(&self) -> String {
        let named = |side: &str, form: &Form| {
            let words = forms::in_words(&form.name);
            if form.is_stored() {
                side.to_owned()
            } else if words.starts_with("frame ") {
                format!("{words} of {side}")
            } else {
                format!("{side} {words}")
            }
        };
        format!("{} and {}", named("A", self.a), named("B", self.b))
    }
}

/// Every form of one image with every form of the other, but for the mirrored and turned ones: both
/// images turned are as alike as neither is, so these are only one side's.
fn pairs<'a>(a: &'a Image, b: &'a Image) -> Vec<Pair<'a>> {
    let b_turns = b.others.iter().any(|form| forms::is_dihedral(&form.name));
    let plain = |form: &&Form| !forms::is_dihedral(&form.name);
    let of_b = || std::iter::once(&b.stored).chain(&b.others);
    let mut pairs: Vec<Pair<'_>> = of_b().map(|form| Pair::of(&a.stored, form)).collect();
    for form in &a.others {
        if plain(&form) {
            pairs.extend(of_b().filter(plain).map(|other| Pair::of(form, other)));
        } else if !b_turns {
            pairs.push(Pair::of(form, &b.stored));
        }
    }
    pairs
}

fn images(
    arguments: &Arguments,
    (a, one): (&Side, &Image),
    (b, two): (&Side, &Image),
    same_file: bool,
) -> Result<Done> {
    let threshold = arguments.threshold;
    let pairs = pairs(one, two);
    let looked_up = pairs.iter().filter(|pair| pair.is_looked_up());
    // The first of the nearest: the images as stored come first.
    let nearest = looked_up.min_by_key(|pair| pair.distance).copied();
    let matched = same_file || nearest.is_some_and(|pair| pair.distance <= threshold);
    let why = why(&pairs, nearest, threshold, same_file);
    let stored = Pair::of(&one.stored, &two.stored);
    // What is drawn is what matched; where nothing did, the images as stored.
    let drawn = nearest
        .filter(|pair| pair.distance <= threshold)
        .unwrap_or(stored);
    let bits = drawn.bits();
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
            distance: stored.distance,
            threshold,
            matched,
            why: &why,
            same_file,
            a: image_json(a, one),
            b: image_json(b, two),
            differing_bits: stored.bits().differing().collect(),
            distance_by_chunk: stored.bits().by_chunk(),
            nearest: nearest.map(|pair| NearestJson {
                pair: pair.json(threshold),
                a_pdq: pair.a.hash.to_hex(),
                b_pdq: pair.b.hash.to_hex(),
                differing_bits: pair.bits().differing().collect(),
                distance_by_chunk: pair.bits().by_chunk(),
            }),
            forms: pairs.iter().map(|pair| pair.json(threshold)).collect(),
        })?;
        return Ok(done(matched));
    }
    say(format_args!("A  {}", image_in_words(a, one)))?;
    say(format_args!("B  {}", image_in_words(b, two)))?;
    say(format_args!("\nThe bits of {}:\n", drawn.in_words()))?;
    say(bits.grid())?;
    if pairs.len() > 1 {
        say(forms_table(&pairs, nearest, threshold))?;
    }
    say(why)?;
    Ok(done(matched))
}

/// Why two images match or not, in a sentence or two.
fn why(pairs: &[Pair<'_>], nearest: Option<Pair<'_>>, threshold: u32, same_file: bool) -> String {
    let by_pdq = match nearest {
        None => too_plain(pairs),
        Some(nearest) if nearest.distance <= threshold => near_enough(nearest, threshold),
        Some(nearest) => too_far(pairs, nearest, threshold),
    };
    if same_file {
        format!("they match: the files are the same, byte for byte; by pdq, {by_pdq}")
    } else {
        by_pdq
    }
}

fn near_enough(pair: Pair<'_>, threshold: u32) -> String {
    let Pair { a, b, distance } = pair;
    let is_turned = forms::is_dihedral(&a.name) || forms::is_dihedral(&b.name);
    let found = match (a.is_stored(), b.is_stored()) {
        (true, true) => {
            return format!(
                "they match: distance {distance} of 256 bits, and up to {threshold} count"
            );
        }
        // What is turned can be turned back, so either finds the other.
        _ if is_turned => {
            "a scan finds one with the other in a bank, unless the bank has --dihedral off"
        }
        (true, false) => "a scan finds B with A in a bank",
        (false, _) => "a scan finds A with B in a bank",
    };
    format!(
        "they match: {} have distance {distance} of 256 bits, and up to {threshold} count; {found}",
        pair.in_words()
    )
}

fn too_far(pairs: &[Pair<'_>], nearest: Pair<'_>, threshold: u32) -> String {
    let distance = nearest.distance;
    let nearest = if pairs.len() > 1 {
        let both = nearest.in_words();
        format!("the nearest forms are {both}, at distance {distance} of 256 bits")
    } else {
        format!("distance {distance} of 256 bits")
    };
    let why = format!("they do not match: {nearest}, and only up to {threshold} count");
    let alike = pairs.iter().filter(|pair| pair.distance <= threshold);
    let alike = alike.filter(|pair| !pair.a.is_too_plain() && !pair.b.is_too_plain());
    match alike.min_by_key(|pair| pair.distance) {
        Some(pair) => format!(
            "{why}; {} are alike (distance {}), but a bank holds images as stored: put that form into the bank to find the other",
            pair.in_words(),
            pair.distance
        ),
        None => why,
    }
}

/// Nothing could be looked up.
fn too_plain(pairs: &[Pair<'_>]) -> String {
    let sides = pairs.first().map(|pair| [("A", pair.a), ("B", pair.b)]);
    let words = |(side, form): (&str, &Form)| {
        let quality = form.quality.filter(|_| form.is_too_plain())?;
        Some(format!("{side} has quality {quality}"))
    };
    let plain: Vec<String> = sides.into_iter().flatten().filter_map(words).collect();
    format!(
        "they do not match: {}, under {PDQ_QUALITY_MIN}, which is too little in an image to tell it from others, so a scan does not look it up",
        plain.join(" and ")
    )
}

/// The forms side by side: of A as stored all, of its other forms the nearest.
fn forms_table(
    pairs: &[Pair<'_>],
    nearest: Option<Pair<'_>>,
    threshold: u32,
) -> comfy_table::Table {
    let mut table = table(["A", "B", "distance", "quality of A", "quality of B", ""]);
    let quality = |form: &Form| form.quality.map_or_else(String::new, |q| q.to_string());
    let same =
        |one: &Pair<'_>, two: &Pair<'_>| std::ptr::eq(one.a, two.a) && std::ptr::eq(one.b, two.b);
    let nearest_of = |form: &Form| {
        let own = pairs.iter().filter(|pair| std::ptr::eq(pair.a, form));
        own.min_by_key(|pair| pair.distance)
    };
    let shown = |pair: &&Pair<'_>| {
        pair.a.is_stored() || nearest_of(pair.a).is_some_and(|best| same(best, pair))
    };
    for pair in pairs.iter().filter(shown) {
        let remark = match pair.json(threshold) {
            PairJson {
                looked_up: false, ..
            } => "not looked up",
            PairJson { matched, .. } if nearest.is_some_and(|best| same(&best, pair)) => {
                if matched {
                    "◀ nearest: matches"
                } else {
                    "◀ nearest"
                }
            }
            PairJson { matched: true, .. } => "matches",
            PairJson { .. } => "",
        };
        table.add_row([
            forms::in_words(&pair.a.name),
            forms::in_words(&pair.b.name),
            pair.distance.to_string(),
            quality(pair.a),
            quality(pair.b),
            remark.to_owned(),
        ]);
    }
    table
}

fn image_json<'a>(side: &'a Side, image: &Image) -> ImageJson<'a> {
    ImageJson {
        given: &side.shown,
        pdq: image.stored.hash.to_hex(),
        quality: image.stored.quality,
        width: image.size.map(|(width, _)| width),
        height: image.size.map(|(_, height)| height),
    }
}

fn image_in_words(side: &Side, image: &Image) -> String {
    let pdq = image.stored.hash.to_hex();
    match (image.size, image.stored.quality) {
        (Some((width, height)), Some(quality)) => format!(
            "{} · {width}×{height} · quality {}\n   pdq {pdq}",
            plain(&side.shown),
            quality_in_words(quality),
        ),
        _ => format!("pdq {pdq}"),
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
    a: Keys,
    b: Keys,
    /// How far apart they are as whole texts.
    near: Vec<NearJson>,
}

#[derive(Serialize)]
struct NearJson {
    signal_type: SignalType,
    distance: u32,
    distance_max: u32,
}

/// How far apart two texts are in each of the ways in which whole texts are compared.
fn near(a: &str, b: &str) -> Vec<NearJson> {
    let ways = [
        SignalType::RawText,
        SignalType::SimilarText,
        SignalType::TextTlsh,
    ];
    let of = |signal_type, text: &str| match signal_type {
        SignalType::TextTlsh => Tlsh::of(text).ok().map(Signal::TextTlsh),
        other => Signal::parse(other, text).ok(),
    };
    let distance = |signal_type| {
        Some(NearJson {
            signal_type,
            distance: of(signal_type, a)?.distance(&of(signal_type, b)?)?,
            distance_max: signal_type.default_distance(),
        })
    };
    ways.into_iter().filter_map(distance).collect()
}

#[derive(Serialize)]
struct FoundJson {
    level: Level,
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
    let near = near(a, b);
    let alike = near.iter().any(|it| it.distance <= it.distance_max);
    let matched = equal.is_some() || a_in_b.is_some() || b_in_a.is_some() || alike;
    let (a_keys, b_keys) = (Keys::of(a, &one), Keys::of(b, &two));
    if arguments.json {
        say_json(&TextsJson {
            signal_type: SignalType::Text,
            matched,
            equal,
            a_in_b,
            b_in_a,
            a: a_keys,
            b: b_keys,
            near,
        })?;
        return Ok(done(matched));
    }
    for (name, keys, normalised) in [("A", a_keys, &one), ("B", b_keys, &two)] {
        say(format_args!("{name}  strict  {}", short(&keys.strict)))?;
        say(format_args!("   folded  {}", short(&keys.folded)))?;
        for step in keys.steps {
            say(format_args!("   {}: {}", step.name, short(&step.after)))?;
        }
        say(format_args!("   language  {}", keys.language))?;
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
    for NearJson {
        signal_type,
        distance,
        distance_max,
    } in &near
    {
        let unit = signal_type.unit().unwrap_or_default();
        say(format_args!(
            "as {signal_type}: {distance} {unit} apart, at most {distance_max} are a match"
        ))?;
    }
    if !matched {
        say(
            "they do not match: neither is found in the other, and as whole texts they are not near",
        )?;
    }
    Ok(done(matched))
}

/// How `phrase` is found in `text`, as a bank would find it.
fn found(phrase: &str, text: &str, normalised: &Normalised) -> Option<FoundJson> {
    let phrase = Phrase::parse(phrase).ok()?;
    let hits = phrase_hits(&phrase, &any_level(), normalised);
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
        level: hit.level,
        matched,
        undone,
    })
}

fn short(text: &str) -> String {
    const CHARACTERS_MAX: usize = 400;
    let shown: String = text.chars().take(CHARACTERS_MAX).collect();
    let cut = if shown.len() < text.len() { "…" } else { "" };
    plain(&shown) + cut
}

// ---- Other signals ----

#[derive(Serialize)]
struct SignalsJson {
    signal_type: SignalType,
    #[serde(rename = "match")]
    matched: bool,
    /// In the unit of the type.
    #[serde(skip_serializing_if = "Option::is_none")]
    distance: Option<u32>,
    /// Up to which distance they match.
    distance_max: u32,
    /// What the distance rests on, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    how: Option<String>,
    a: DetailJson,
    b: DetailJson,
}

/// A signal, and what is compared or known of it, step by step.
#[derive(Serialize)]
struct DetailJson {
    signal_type: SignalType,
    signal: String,
    steps: Vec<(String, String)>,
}

impl DetailJson {
    fn of(signal: &Signal) -> Self {
        Self {
            signal_type: signal.signal_type(),
            signal: signal.encode(),
            steps: facts(signal),
        }
    }
}

fn signals(arguments: &Arguments, a: &Signal, b: &Signal) -> Result<Done> {
    // A prefix or domain is what an address is compared with, whichever is given first.
    let is_place = |s: &Signal| matches!(s, Signal::UrlPrefix(_) | Signal::Domain(_));
    let (member, looked_up) = if is_place(b) { (b, a) } else { (a, b) };
    let distance = member.distance(looked_up);
    let distance_max = member.signal_type().default_distance();
    let matched = distance.is_some_and(|distance| distance <= distance_max);
    let how = alike(member, looked_up);
    if arguments.json {
        say_json(&SignalsJson {
            signal_type: member.signal_type(),
            matched,
            distance,
            distance_max,
            how,
            a: DetailJson::of(a),
            b: DetailJson::of(b),
        })?;
        return Ok(done(matched));
    }
    for (name, signal) in [("A", a), ("B", b)] {
        say(format_args!(
            "{name}  {}  {}",
            signal.signal_type(),
            short(&signal.encode())
        ))?;
        for (step, value) in facts(signal) {
            say(format_args!("   {}: {}", plain(&step), short(&value)))?;
        }
    }
    say("")?;
    if let Some(how) = how {
        say(plain(&how))?;
    }
    say(verdict(member.signal_type(), distance, distance_max))?;
    Ok(done(matched))
}

/// Whether they match, and why, in a sentence.
fn verdict(signal_type: SignalType, distance: Option<u32>, distance_max: u32) -> String {
    match (signal_type.unit(), distance) {
        (None, Some(_)) => "they match".to_owned(),
        (None, None) => "they differ: they do not match".to_owned(),
        (Some(unit), Some(distance)) if distance <= distance_max => {
            format!("they match: {distance} {unit} apart, at most {distance_max} are a match")
        }
        (Some(unit), Some(distance)) => format!(
            "they do not match: {distance} {unit} apart, at most {distance_max} are a match"
        ),
        (Some(_), None) => {
            "they do not match: they are farther apart than is ever looked for".to_owned()
        }
    }
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
