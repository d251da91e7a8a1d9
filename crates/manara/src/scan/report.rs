//! The page that one can hand to a colleague: one file, no requests, no script, nothing shown clearly.
//!
//! Thumbnails are made small, grey and blurred by the decoder process; the page blurs them once more
//! and can only take its own blur back. The content security policy allows nothing but the page's
//! own style, named by its hash, and images inside the page.

use super::{Excerpt, Item, Kind, Outcome, Totals};
use crate::console::text::{self, Html};
use crate::forms::{self, Compared};
use anyhow::{Context, Result};
use askama::Template;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use indicatif::{BinaryBytes, HumanCount};
use manara_model::{BankName, Match, MemberId, Span};
use manara_signal::{Pdq, Signal, SignalType};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// Most files and events shown with their matches.
const FILES_MAX: usize = 2000;
/// Most matches shown of one file or event.
const MATCHES_MAX: usize = 50;
/// Most undecodable or unreadable files listed.
const LIST_MAX: usize = 500;
/// Most thumbnails: at a few kilobytes each, the page stays small enough to mail.
pub(crate) const THUMBNAILS_MAX: usize = 500;
/// Most matches drawn bit by bit; each takes some 15 kilobytes.
const COMPARED_MAX: usize = 100;
/// Characters of an excerpt.
const EXCERPT_CHARACTERS: usize = 180;
const STYLE: &str = include_str!("report.css");

/// What a scan found, as far as people will read it.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// What matched, in the order of the walk.
    pub(crate) matched: Vec<Item>,
    /// Where something could not be decoded, and why.
    pub(crate) undecodable: Vec<(String, String)>,
    /// What could not be looked at, and why.
    pub(crate) failed: Vec<(String, String)>,
    pub(crate) totals: Totals,
    by_bank: BTreeMap<BankName, u64>,
    by_distance: BTreeMap<u32, u64>,
}

/// What the page says about the scan as a whole.
#[derive(Debug)]
pub(crate) struct About {
    pub(crate) made: jiff::Timestamp,
    pub(crate) took: Duration,
    pub(crate) paths: Vec<String>,
    /// Number of members and banks that were compared with.
    pub(crate) members: u64,
    pub(crate) banks: usize,
    /// What is known of the members that matched.
    pub(crate) known: BTreeMap<(BankName, MemberId), Known>,
}

/// What a report says of a member.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) note: String,
    /// Of an image.
    pub(crate) hash: Option<Pdq>,
}

impl Known {
    pub(crate) fn new(signal: &Signal, note: String) -> Self {
        let hash = match signal {
            Signal::Pdq(hash) => Some(*hash),
            _ => None,
        };
        Self { note, hash }
    }
}

impl Findings {
    /// Counts an outcome and keeps what people will want to see of it.
    pub(crate) fn add(&mut self, outcome: Outcome) {
        self.totals.add(&outcome);
        match outcome {
            Outcome::Item(item) => self.add_item(*item),
            Outcome::Failed {
                path,
                line,
                problem,
            } if self.failed.len() < LIST_MAX => {
                self.failed.push((place(&path, line), problem));
            }
            Outcome::Failed { .. } | Outcome::Skipped { .. } | Outcome::EventFile { .. } => {}
        }
    }

    fn add_item(&mut self, item: Item) {
        for hit in &item.matches {
            *self.by_bank.entry(hit.found.bank.clone()).or_default() += 1;
            if hit.found.signal_type == SignalType::Pdq {
                *self.by_distance.entry(hit.found.distance).or_default() += 1;
            }
        }
        if let Some(why) = item
            .undecodable
            .as_ref()
            .filter(|_| self.undecodable.len() < LIST_MAX)
        {
            self.undecodable
                .push((place(&item.path, item.line), why.clone()));
        }
        if !item.matches.is_empty() && self.matched.len() < FILES_MAX {
            self.matched.push(item);
        }
    }

    /// The bank and member of every match that is shown.
    pub(crate) fn members(&self) -> impl Iterator<Item = (BankName, MemberId)> {
        let shown = self
            .matched
            .iter()
            .flat_map(|item| item.matches.iter().take(MATCHES_MAX));
        shown.map(|hit| (hit.found.bank.clone(), hit.found.member))
    }

    /// Writes the page.
    pub(crate) fn write(&self, about: &About, to: &Path) -> Result<()> {
        let html = self.page(about).render().context("making the report")?;
        std::fs::write(to, html).with_context(|| format!("writing {}", to.display()))
    }

    fn page(&self, about: &About) -> Page {
        let totals = &self.totals;
        let looked_at = looked_at(totals);
        Page {
            style: STYLE,
            style_hash: format!("sha256-{}", STANDARD.encode(Sha256::digest(STYLE))),
            headline: headline(totals),
            made: about.made.strftime("%-d %B %Y, %H:%M UTC").to_string(),
            paths: about.paths.iter().map(|path| text::inline(path)).collect(),
            banks: format!(
                "{} in {}",
                counted(about.members, "member"),
                counted(about.banks as u64, "bank")
            ),
            cards: cards(totals, about.took),
            share: share(totals, looked_at),
            bank_bars: self.bank_bars(),
            distance_words: format!(
                "Image matches by PDQ distance: {}",
                self.distances_in_words()
            ),
            distance_bars: self.distance_bars(),
            matches_words: self.matches_in_words(),
            files: {
                let mut drawn = 0;
                let file = |item| file(item, about, &mut drawn);
                self.matched.iter().map(file).collect()
            },
            lists: self.lists(),
            thumbnails_words: self.thumbnails_in_words(),
            version: env!("CARGO_PKG_VERSION"),
        }
    }

    fn bank_bars(&self) -> Vec<Bar> {
        const BARS_MAX: usize = 12;
        let mut banks: Vec<(&BankName, u64)> = self
            .by_bank
            .iter()
            .map(|(name, count)| (name, *count))
            .collect();
        banks.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let most = banks.first().map_or(1, |(_, count)| *count);
        let bar = |(index, (name, count)): (usize, (&BankName, u64))| Bar {
            label: name.to_string(),
            count: HumanCount(count).to_string(),
            y: index * 34,
            width: scaled(count, most, 420).max(4),
        };
        banks
            .into_iter()
            .take(BARS_MAX)
            .enumerate()
            .map(bar)
            .collect()
    }

    fn distance_bars(&self) -> Vec<Column> {
        let Some(most) = self.by_distance.values().max() else {
            return Vec::new();
        };
        let column = |(distance, count): (&u32, &u64)| {
            let height = scaled(*count, *most, 120).max(2);
            Column {
                distance: *distance,
                count: HumanCount(*count).to_string(),
                x: 8 + u64::from(*distance).min(31) * 14,
                y: 146 - height,
                height,
            }
        };
        self.by_distance.iter().map(column).collect()
    }

    fn distances_in_words(&self) -> String {
        let words = self
            .by_distance
            .iter()
            .map(|(distance, count)| format!("{count} at {distance}"));
        words.collect::<Vec<_>>().join(", ")
    }

    fn matches_in_words(&self) -> String {
        let words = format!(
            "{} in {}",
            counted(self.totals.matches, "match"),
            files_or_events(self.totals.matched)
        );
        if self.totals.matched > self.matched.len() as u64 {
            format!(
                "{words}; the first {} are shown",
                HumanCount(self.matched.len() as u64)
            )
        } else {
            words
        }
    }

    fn thumbnails_in_words(&self) -> String {
        let made = self
            .matched
            .iter()
            .filter(|item| item.thumbnail.is_some())
            .count();
        let cap = if made >= THUMBNAILS_MAX {
            format!(" Only the first {THUMBNAILS_MAX} images have one.")
        } else {
            String::new()
        };
        format!(
            "Thumbnails are shrunk, blurred and grey; the images themselves are not in this page.{cap}"
        )
    }

    fn lists(&self) -> Vec<List> {
        let list = |title, total: u64, rows: &[(String, String)]| {
            let shown = if total > rows.len() as u64 {
                format!("the first {} of {}", rows.len(), HumanCount(total))
            } else {
                HumanCount(total).to_string()
            };
            let row = |(path, why): &(String, String)| (text::inline(path), text::inline(why));
            List {
                title,
                words: shown,
                rows: rows.iter().map(row).collect(),
            }
        };
        let lists = [
            list(
                "Could not be decoded",
                self.totals.undecodable,
                &self.undecodable,
            ),
            list("Could not be looked at", self.totals.failed, &self.failed),
        ];
        lists
            .into_iter()
            .filter(|list| !list.rows.is_empty())
            .collect()
    }
}

/// Files that are not lists of events, and events.
pub(crate) fn looked_at(totals: &Totals) -> u64 {
    totals.files - totals.event_files + totals.events
}

/// A path as people find it again: with the line, where it has one.
pub(crate) fn place(path: &Path, line: Option<u64>) -> String {
    match line {
        Some(line) => format!("{}:{line}", path.display()),
        None => path.display().to_string(),
    }
}

/// `1 match`, `2 matches`, `5,000 banks`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    let ending = match noun {
        _ if count == 1 => "",
        noun if noun.ends_with("ch") => "es",
        _ => "s",
    };
    format!("{} {noun}{ending}", HumanCount(count))
}

fn files_or_events(count: u64) -> String {
    if count == 1 {
        "one file or event".to_owned()
    } else {
        format!("{} files and events", HumanCount(count))
    }
}

fn headline(totals: &Totals) -> String {
    let of = match (totals.files - totals.event_files, totals.events) {
        (files, 0) => counted(files, "file"),
        (0, events) => counted(events, "event"),
        (files, events) => {
            let both = format!(
                "among {} and {}",
                counted(files, "file"),
                counted(events, "event")
            );
            return match totals.matched {
                0 => format!("No match {both}"),
                1 => format!("1 match {both}"),
                matched => format!("{} that match {both}", HumanCount(matched)),
            };
        }
    };
    match totals.matched {
        0 => format!("None of {of} matched"),
        matched => format!("{} of {of} matched", HumanCount(matched)),
    }
}

fn cards(totals: &Totals, took: Duration) -> Vec<Card> {
    let count = |label, count: u64, class: &'static str| {
        Some(Card {
            label,
            value: HumanCount(count).to_string(),
            class: if count > 0 { class } else { "" },
        })
    };
    let some = |card: Option<Card>, count: u64| card.filter(|_| count > 0);
    [
        count("matched", totals.matched, "hit"),
        count("matches", totals.matches, ""),
        count("files", totals.files, ""),
        some(count("events", totals.events, ""), totals.events),
        count("undecodable", totals.undecodable, "odd"),
        some(
            count("too plain for pdq", totals.quality_too_low, ""),
            totals.quality_too_low,
        ),
        some(count("not looked at", totals.failed, "odd"), totals.failed),
        some(count("skipped", totals.skipped, ""), totals.skipped),
        Some(Card {
            label: "read",
            value: BinaryBytes(totals.bytes).to_string(),
            class: "",
        }),
        Some(Card {
            label: "took",
            value: format!("{:.1} s", took.as_secs_f64()),
            class: "",
        }),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn share(totals: &Totals, looked_at: u64) -> Share {
    let clean = looked_at.saturating_sub(totals.matched + totals.undecodable_unmatched);
    let counts = [
        ("hit", "matched", totals.matched),
        (
            "odd",
            "undecodable, nothing matched",
            totals.undecodable_unmatched,
        ),
        ("clean", "nothing matched", clean),
    ];
    let mut x = 0;
    let mut parts = Vec::new();
    for (class, label, count) in counts {
        // A sliver stays visible however small its share.
        let width = if count == 0 {
            0
        } else {
            scaled(count, looked_at, 1000).max(3).min(1000 - x)
        };
        parts.push(Part {
            class,
            label,
            count: HumanCount(count).to_string(),
            x,
            width,
        });
        x += width;
    }
    let words = counts
        .map(|(_, label, count)| format!("{count} {label}"))
        .join(", ");
    Share {
        total: HumanCount(looked_at).to_string(),
        words,
        parts,
    }
}

/// `value` of `most`, as a length of at most `length`.
fn scaled(value: u64, most: u64, length: u64) -> u64 {
    ((value as f64 / most.max(1) as f64) * length as f64).round() as u64
}

fn file(item: &Item, about: &About, drawn: &mut usize) -> FileView {
    let mut rows: Vec<RowView> = item
        .matches
        .iter()
        .take(MATCHES_MAX)
        .map(|hit| row(item, hit, about, drawn))
        .collect();
    if let Some(last) = rows.last_mut().filter(|_| item.matches.len() > MATCHES_MAX) {
        let more = format!(" (and {} more matches)", item.matches.len() - MATCHES_MAX);
        last.how.push_str(&more);
    }
    FileView {
        path: text::inline(&place(&item.path, item.line)),
        under: match (&item.event, item.kind) {
            (Some(event), _) => format!("event {}", text::plain(event)),
            (None, Kind::Image) => format!("image, {}", BinaryBytes(item.bytes)),
            (None, Kind::Text) => format!("text, {}", BinaryBytes(item.bytes)),
            (None, _) => BinaryBytes(item.bytes).to_string(),
        },
        undecodable: item
            .undecodable
            .as_deref()
            .map(text::plain)
            .unwrap_or_default(),
        picture: item.thumbnail.as_ref().map(|jpeg| STANDARD.encode(jpeg)),
        rows,
    }
}

fn row(item: &Item, hit: &super::Hit, about: &About, drawn: &mut usize) -> RowView {
    let found = &hit.found;
    let is_pdq = found.signal_type == SignalType::Pdq;
    let known = about.known.get(&(found.bank.clone(), found.member));
    let note = known
        .map(|known| known.note.as_str())
        .filter(|note| !note.is_empty());
    let compared = known
        .and_then(|known| known.hash)
        .filter(|_| is_pdq && *drawn < COMPARED_MAX)
        .and_then(|member| {
            let stored = item.signals.get(SignalType::Pdq.name());
            let stored = stored.and_then(|hash| Pdq::from_hex(hash).ok());
            forms::compared(found, member, stored)
        });
    *drawn += usize::from(compared.is_some());
    RowView {
        bank: found.bank.to_string(),
        member: found.member,
        note: note.map(|note| text::excerpt(note, &[], EXCERPT_CHARACTERS)),
        signal_type: found.signal_type,
        distance: found.distance,
        distance_width: is_pdq.then(|| scaled(u64::from(found.distance), 31, 62).min(62)),
        quality: found
            .quality
            .map(|quality| quality.to_string())
            .unwrap_or_default(),
        excerpt: hit.excerpt.as_ref().map(excerpt),
        how: how(hit),
        compared,
    }
}

fn excerpt(excerpt: &Excerpt) -> Html {
    let [before, matched, after] = excerpt.parts();
    let (from, to) = excerpt.cut;
    let start = if from { "…" } else { "" };
    let shown = format!(
        "{start}{before}{matched}{after}{}",
        if to { "…" } else { "" }
    );
    let at = start.len() + before.len();
    text::excerpt(
        &shown,
        &[Span {
            start: at,
            end: at + matched.len(),
        }],
        EXCERPT_CHARACTERS,
    )
}

/// Where and how it matched, in words.
pub(crate) fn how(hit: &super::Hit) -> String {
    let mut words = Vec::new();
    if let Some(line) = hit.line {
        words.push(format!("line {line}"));
    }
    if !matches!(hit.found.field.as_str(), "text" | "image" | "file") {
        words.push(format!("in {}", hit.found.field));
    }
    words.extend(match (hit.found.signal_type, &hit.found.how) {
        (SignalType::Pdq, _) => Some(looks(&hit.found)),
        (_, Some(how)) => Some(how.clone()),
        (SignalType::Sha256 | SignalType::Md5, None) => Some("the same bytes".to_owned()),
        _ => None,
    });
    words.join(", ")
}

/// How an image resembles a member, with the form in which it does.
fn looks(found: &Match) -> String {
    let alike = if found.distance == 0 {
        "the same"
    } else {
        "alike"
    };
    let mut words = format!("looks {alike}");
    if let Some(form) = &found.form {
        let form = forms::in_words(form);
        let joint = if form.starts_with("frame ") {
            "in "
        } else {
            ""
        };
        words.push_str(&format!(", {joint}{form}"));
    }
    if let Some(distance) = found.distance_stored {
        words.push_str(&format!(" (as stored: {distance} bits)"));
    }
    words
}

#[derive(Template)]
#[template(path = "report.html")]
struct Page {
    style: &'static str,
    style_hash: String,
    headline: String,
    made: String,
    paths: Vec<Html>,
    banks: String,
    cards: Vec<Card>,
    share: Share,
    bank_bars: Vec<Bar>,
    distance_words: String,
    distance_bars: Vec<Column>,
    matches_words: String,
    files: Vec<FileView>,
    lists: Vec<List>,
    thumbnails_words: String,
    version: &'static str,
}

struct Card {
    label: &'static str,
    value: String,
    class: &'static str,
}

struct Share {
    total: String,
    words: String,
    parts: Vec<Part>,
}

struct Part {
    class: &'static str,
    label: &'static str,
    count: String,
    x: u64,
    width: u64,
}

struct Bar {
    label: String,
    count: String,
    y: usize,
    width: u64,
}

struct Column {
    distance: u32,
    count: String,
    x: u64,
    y: u64,
    height: u64,
}

struct FileView {
    path: Html,
    under: String,
    undecodable: String,
    picture: Option<String>,
    rows: Vec<RowView>,
}

struct RowView {
    bank: String,
    member: MemberId,
    note: Option<Html>,
    signal_type: SignalType,
    distance: u32,
    distance_width: Option<u64>,
    quality: String,
    excerpt: Option<Html>,
    how: String,
    compared: Option<Compared>,
}

struct List {
    title: &'static str,
    words: String,
    rows: Vec<(Html, Html)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(files: u64, events: u64, matched: u64, undecodable: u64) -> Totals {
        Totals {
            files,
            events,
            matched,
            undecodable,
            undecodable_unmatched: undecodable,
            ..Totals::default()
        }
    }

    #[track_caller]
    fn check_headline(totals: &Totals, expect: &str) {
        assert_eq!(headline(totals), expect);
    }

    #[test]
    fn the_headline_counts_what_was_looked_at() {
        check_headline(&totals(1, 0, 0, 0), "None of 1 file matched");
        check_headline(&totals(5000, 0, 18, 0), "18 of 5,000 files matched");
        check_headline(&totals(2, 3, 1, 0), "1 match among 2 files and 3 events");
        check_headline(
            &totals(4, 18, 7, 0),
            "7 that match among 4 files and 18 events",
        );
        let events = Totals {
            event_files: 1,
            ..totals(1, 3, 3, 0)
        };
        check_headline(&events, "3 of 3 events matched");
    }

    #[test]
    fn every_share_is_seen_and_all_fit() {
        for totals in [
            totals(1_000_000, 0, 1, 1),
            totals(3, 0, 1, 1),
            totals(2, 0, 2, 0),
            totals(0, 0, 0, 0),
        ] {
            let share = share(&totals, looked_at(&totals));
            for part in &share.parts {
                assert_eq!(
                    part.width == 0,
                    part.count == "0",
                    "{} of {totals:?}",
                    part.label
                );
                assert!(part.x + part.width <= 1000, "{} of {totals:?}", part.label);
            }
        }
    }

    #[test]
    fn words_have_their_plurals() {
        assert_eq!(
            [counted(1, "match"), counted(2, "match"), counted(0, "bank")],
            ["1 match", "2 matches", "0 banks"]
        );
    }
}
