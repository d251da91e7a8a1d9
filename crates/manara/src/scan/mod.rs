//! A scan: files and event files against banks, in parallel, without a server.
//!
//! ```text
//! walk ─ units ─► threads ─ outcomes ─► put in order ─► sink (table, JSON, page)
//!        files,    sniff: image  → decoder process → signals ─┐
//!        batches          text   → windows                    ├─ match
//!        of events        event  → texts, links, media        │
//!                         other  → exact hashes ──────────────┘
//! ```
//! What cannot be read is never silently clean: it is an outcome of its own.

mod events;
mod excerpt;
pub(crate) mod report;
mod sniff;
mod texts;
mod walk;

pub(crate) use excerpt::Excerpt;
pub(crate) use sniff::{Kind, SNIFF_BYTES, sniff};
pub(crate) use walk::LeftOut;

use crate::config::Media;
use crate::forms;
use crate::matcher::{Matcher, MediaSignals, PDQ_QUALITY_MIN};
use crate::media::{BlockingPool, Extra, PoolOptions, Variants};
use anyhow::Context;
use bytes::Bytes;
use manara_model::{Decoding, Match, MediaFacts};
use manara_signal::{Md5, Sha256, Signal, SignalType};
use md5::Digest as _;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use walk::{Met, walk};

/// Largest file that is read into memory and decoded as an image.
pub(crate) const IMAGE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// One thing that was looked at: a file, or one event of an event file.
#[derive(Debug, Serialize)]
pub(crate) struct Item {
    #[serde(serialize_with = "lossy")]
    pub(crate) path: PathBuf,
    /// The line of an event file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<u64>,
    /// The event's source and id, as `source/id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) event: Option<String>,
    pub(crate) kind: Kind,
    pub(crate) bytes: u64,
    pub(crate) matches: Vec<Hit>,
    /// Matches that have no effect, each with the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) withheld: Vec<Hit>,
    pub(crate) signals: BTreeMap<&'static str, String>,
    /// Of the image, 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) quality: Option<u8>,
    /// Whether an image in it has too little in it for its pdq to be looked up.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) quality_too_low: bool,
    /// Why it, or a part of it, could not be read as what it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) undecodable: Option<String>,
    /// A small grey, blurred JPEG for the report.
    #[serde(skip)]
    pub(crate) thumbnail: Option<Bytes>,
}

/// A match, and where in the text it is.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Hit {
    #[serde(flatten)]
    pub(crate) found: Match,
    /// The line of a text file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) excerpt: Option<Excerpt>,
}

/// What became of one thing that was met.
#[derive(Debug)]
pub(crate) enum Outcome {
    Item(Box<Item>),
    /// An event file was opened; its events follow as items.
    EventFile {
        bytes: u64,
    },
    /// Left out on purpose.
    Skipped {
        path: PathBuf,
        why: &'static str,
    },
    /// It could not be looked at, which makes the scan incomplete.
    Failed {
        path: PathBuf,
        line: Option<u64>,
        problem: String,
    },
}

/// What was met, in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Totals {
    pub(crate) files: u64,
    /// How many of them are event files.
    pub(crate) event_files: u64,
    pub(crate) events: u64,
    pub(crate) bytes: u64,
    /// Files and events in which something matched.
    pub(crate) matched: u64,
    pub(crate) matches: u64,
    /// Matches that have no effect: of banks and members in shadow, or forbidden by a negative bank.
    pub(crate) withheld: u64,
    /// Files and events that could not be wholly read, matched or not.
    pub(crate) undecodable: u64,
    /// Those of them in which nothing matched.
    pub(crate) undecodable_unmatched: u64,
    /// Files and events with an image that has too little in it for its pdq to be looked up.
    pub(crate) quality_too_low: u64,
    pub(crate) skipped: u64,
    pub(crate) failed: u64,
}

/// Starts the processes that decode images.
pub(crate) fn decoders(config: &Media, extra: Extra) -> anyhow::Result<BlockingPool> {
    let options =
        PoolOptions::configured(config).context("finding this program, to decode images with")?;
    let options = PoolOptions { extra, ..options };
    BlockingPool::start(&options).context("starting the processes that decode images")
}

/// Everything a scan works with.
pub(crate) struct Scanner<'a> {
    pub(crate) matcher: &'a Matcher,
    pub(crate) pool: &'a BlockingPool,
    pub(crate) variants: Variants,
    /// The form whose hash is shown of an image.
    pub(crate) shown: &'static str,
    /// Whether `*.ndjson` and `*.jsonl` files are events, or texts like any other.
    pub(crate) events: bool,
    /// The widest PDQ distance that counts as a match.
    pub(crate) distance_max: u32,
    /// How many more thumbnails may be made.
    pub(crate) thumbnails: AtomicUsize,
}

impl Item {
    fn new(path: PathBuf, kind: Kind, bytes: u64) -> Self {
        Self {
            path,
            line: None,
            event: None,
            kind,
            bytes,
            matches: Vec::new(),
            withheld: Vec::new(),
            signals: BTreeMap::new(),
            quality: None,
            quality_too_low: false,
            undecodable: None,
            thumbnail: None,
        }
    }

    /// Parts the matches that count from those that have no effect; what negative banks hold is
    /// neither.
    fn set_aside(&mut self, matcher: &Matcher) {
        self.matches
            .retain(|hit| !matcher.is_negative(&hit.found.bank));
        let withheld = |hit: &mut Hit| hit.found.withheld.is_some();
        self.withheld = self.matches.extract_if(.., withheld).collect();
    }

    fn problem(&mut self, problem: String) {
        match &mut self.undecodable {
            Some(known) => known.extend(["; ", &problem]),
            None => self.undecodable = Some(problem),
        }
    }

    /// Of the image's hashes the one in this form, or as stored when that form is the same.
    fn keep_signals(&mut self, signals: &MediaSignals, form: &str) {
        let in_form = signals.pdq.iter().find(|(_, name)| name == form);
        let shown = in_form.or(signals.pdq.first()).map(|(hash, _)| *hash);
        let pdq = shown.map(|shown| Signal::Pdq(shown.hash));
        for signal in signals.exact.iter().cloned().chain(pdq) {
            self.signals
                .insert(signal.signal_type().name(), signal.encode());
        }
        self.quality = shown.map_or(signals.facts.quality, |shown| Some(shown.quality));
        self.note_quality(signals);
    }

    fn note_quality(&mut self, signals: &MediaSignals) {
        let quality = signals.facts.quality;
        self.quality_too_low |= quality.is_some_and(|quality| quality < PDQ_QUALITY_MIN);
    }
}

impl Totals {
    pub(crate) fn add(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Item(item) => {
                let (matched, undecodable) = (!item.matches.is_empty(), item.undecodable.is_some());
                if item.kind == Kind::Event {
                    self.events += 1;
                } else {
                    self.files += 1;
                    self.bytes += item.bytes;
                }
                self.matched += u64::from(matched);
                self.matches += item.matches.len() as u64;
                self.withheld += item.withheld.len() as u64;
                self.quality_too_low += u64::from(item.quality_too_low);
                self.undecodable += u64::from(undecodable);
                self.undecodable_unmatched += u64::from(undecodable && !matched);
            }
            Outcome::EventFile { bytes } => {
                self.files += 1;
                self.event_files += 1;
                self.bytes += bytes;
            }
            Outcome::Skipped { .. } => self.skipped += 1,
            Outcome::Failed { .. } => self.failed += 1,
        }
    }
}

impl Scanner<'_> {
    /// Scans everything below `paths`, giving `sink` the outcomes in the order of the walk, and
    /// `progress` the number of units met and done so far. Ends early when `sink` refuses.
    pub(crate) fn run(
        &self,
        paths: &[PathBuf],
        left_out: &LeftOut,
        progress: &(dyn Fn(u64, u64) + Sync),
        sink: &mut dyn FnMut(Outcome) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let workers = self.pool.threads();
        let stop = AtomicBool::new(false);
        let (to_workers, units) = sync_channel::<(u64, Unit)>(workers * 4);
        let (to_sink, outcomes) = sync_channel::<(u64, Vec<Outcome>)>(workers * 16);
        let units = Mutex::new(units);
        let met = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                feed(
                    paths,
                    left_out,
                    self.events,
                    &to_workers_counted(to_workers, &met, &stop),
                );
            });
            for _ in 0..workers {
                let (to_sink, units, stop) = (to_sink.clone(), &units, &stop);
                scope.spawn(move || self.work(units, &to_sink, stop));
            }
            drop(to_sink);
            let ended = in_order(&outcomes, &mut |done, outcome| {
                progress(met.load(Ordering::Relaxed) as u64, done);
                sink(outcome)
            });
            if ended.is_err() {
                stop.store(true, Ordering::Relaxed);
                // Workers that wait to be heard must be heard out, or they would never end.
                while outcomes.recv().is_ok() {}
            }
            ended
        })
    }

    fn work(
        &self,
        units: &Mutex<Receiver<(u64, Unit)>>,
        to_sink: &SyncSender<(u64, Vec<Outcome>)>,
        stop: &AtomicBool,
    ) {
        loop {
            let next = units.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok((number, unit)) = next else { return };
            if stop.load(Ordering::Relaxed) {
                continue;
            }
            let outcomes = match unit {
                Unit::Ready(outcome) => vec![outcome],
                Unit::File(path) => vec![self.file(path)],
                Unit::Events(path, batch) => events::scan_batch(self, &path, batch),
            };
            if to_sink.send((number, outcomes)).is_err() {
                return;
            }
        }
    }

    fn file(&self, path: PathBuf) -> Outcome {
        match self.open_and_scan(&path) {
            Ok(mut item) => {
                item.set_aside(self.matcher);
                Outcome::Item(Box::new(item))
            }
            Err(error) => Outcome::Failed {
                path,
                line: None,
                problem: error.to_string(),
            },
        }
    }

    fn open_and_scan(&self, path: &Path) -> io::Result<Item> {
        let mut file = File::open(path)?;
        let bytes = file.metadata()?.len();
        let mut start = Vec::with_capacity(SNIFF_BYTES);
        (&mut file)
            .take(SNIFF_BYTES as u64)
            .read_to_end(&mut start)?;
        let kind = sniff(&start);
        let mut item = Item::new(path.to_owned(), kind, bytes);
        match kind {
            Kind::Image if bytes <= IMAGE_BYTES_MAX => {
                read_rest(&mut file, bytes, &mut start)?;
                self.image(&mut item, Bytes::from(start));
            }
            Kind::Text => self.text(&mut item, io::Cursor::new(start).chain(file))?,
            Kind::Image | Kind::Event | Kind::Other => {
                item.problem(if kind == Kind::Image {
                    format!("an image of {bytes} bytes; the limit is {IMAGE_BYTES_MAX}")
                } else {
                    "neither text nor an image that Manara reads; compared by its exact hashes only"
                        .to_owned()
                });
                self.exact(&mut item, io::Cursor::new(start).chain(file))?;
            }
        }
        Ok(item)
    }

    fn image(&self, item: &mut Item, content: Bytes) {
        let signals = self.sign(content.clone());
        if signals.facts.decoding != Decoding::Decoded {
            item.problem(
                signals
                    .facts
                    .problem
                    .clone()
                    .unwrap_or_else(|| "not readable as an image".to_owned()),
            );
        }
        item.keep_signals(&signals, self.shown);
        let matches = self.near_enough(self.matcher.matches_of_medium("image", &signals));
        if !matches.is_empty() {
            self.picture(item, content);
        }
        item.matches = matches.into_iter().map(Hit::plain).collect();
    }

    fn text(&self, item: &mut Item, reader: impl Read) -> io::Result<()> {
        let mut hashing = Hashing::new(reader);
        let found = texts::look_through(&mut hashing, &|window| {
            self.matcher.matches_of_text("text", window)
        })?;
        self.matches_of_hashes(item, hashing);
        item.matches.extend(found.hits);
        if let Some(problem) = found.problem {
            item.problem(problem);
        }
        Ok(())
    }

    fn exact(&self, item: &mut Item, reader: impl Read) -> io::Result<()> {
        let mut hashing = Hashing::new(reader);
        io::copy(&mut hashing, &mut io::sink())?;
        self.matches_of_hashes(item, hashing);
        Ok(())
    }

    fn matches_of_hashes<R>(&self, item: &mut Item, hashing: Hashing<R>) {
        let facts = MediaFacts {
            decoding: Decoding::SignalsOnly,
            problem: None,
            width: 0,
            height: 0,
            quality: None,
            forms: Vec::new(),
            hashes: BTreeMap::new(),
        };
        let signals = MediaSignals {
            facts,
            exact: hashing.finish(),
            pdq: Vec::new(),
        };
        item.keep_signals(&signals, forms::STORED);
        item.matches.extend(
            self.matcher
                .matches_of_medium("file", &signals)
                .into_iter()
                .map(Hit::plain),
        );
    }

    fn sign(&self, content: Bytes) -> MediaSignals {
        crate::pipeline::signals_of(&self.pool.sign(content), self.variants)
    }

    /// Whether there is room for another thumbnail.
    fn may_picture(&self) -> bool {
        self.thumbnails.load(Ordering::Relaxed) > 0
    }

    /// Makes the thumbnail of something that matched, while there is room for more in the report.
    fn picture(&self, item: &mut Item, content: Bytes) {
        let take = |left: usize| left.checked_sub(1);
        let may = self
            .thumbnails
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .is_ok();
        if may && item.thumbnail.is_none() {
            // An image that matched by its exact hash may not be decodable: then there is none.
            item.thumbnail = self
                .pool
                .thumbnail(content)
                .ok()
                .map(|preview| Bytes::from(preview.bytes));
        }
    }

    fn near_enough(&self, matches: Vec<Match>) -> Vec<Match> {
        let near = |m: &Match| m.signal_type != SignalType::Pdq || m.distance <= self.distance_max;
        matches.into_iter().filter(near).collect()
    }
}

impl Hit {
    fn plain(found: Match) -> Self {
        Self {
            found,
            line: None,
            excerpt: None,
        }
    }
}

/// Reads on to the end of a file that was `bytes` long when it was opened, in one go. Should it have
/// grown since, at most [`IMAGE_BYTES_MAX`] more are read.
fn read_rest(file: &mut File, bytes: u64, start: &mut Vec<u8>) -> io::Result<()> {
    let known = start.len();
    start.resize(known.max(bytes as usize), 0);
    let mut end = known;
    while let Some(room @ [_, ..]) = start.get_mut(end..) {
        match file.read(room) {
            Ok(0) => break,
            Ok(read) => end += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    start.truncate(end);
    file.take(IMAGE_BYTES_MAX).read_to_end(start)?;
    Ok(())
}

/// A piece of work.
enum Unit {
    File(PathBuf),
    Events(PathBuf, events::Batch),
    Ready(Outcome),
}

type Feed<'a> = Box<dyn Fn(Unit) -> bool + 'a>;

/// Numbers the units on their way to the workers; `false` when there is no use in going on.
fn to_workers_counted<'a>(
    to_workers: SyncSender<(u64, Unit)>,
    met: &'a AtomicUsize,
    stop: &'a AtomicBool,
) -> Feed<'a> {
    Box::new(move |unit| {
        let number = met.fetch_add(1, Ordering::Relaxed) as u64;
        !stop.load(Ordering::Relaxed) && to_workers.send((number, unit)).is_ok()
    })
}

/// Walks the paths and cuts what is found into units.
fn feed(paths: &[PathBuf], left_out: &LeftOut, events: bool, give: &dyn Fn(Unit) -> bool) {
    walk(paths, left_out, &mut |met| match met {
        Met::File(path) if events && is_event_file(&path) => feed_events(&path, give),
        Met::File(path) => give(Unit::File(path)),
        Met::Skipped(path, why) => give(Unit::Ready(Outcome::Skipped { path, why })),
        Met::Failed(path, error) => give(Unit::Ready(Outcome::Failed {
            path,
            line: None,
            problem: error.to_string(),
        })),
    });
}

fn feed_events(path: &Path, give: &dyn Fn(Unit) -> bool) -> bool {
    let read = || -> io::Result<bool> {
        let file = File::open(path)?;
        let mut going = give(Unit::Ready(Outcome::EventFile {
            bytes: file.metadata()?.len(),
        }));
        if going {
            events::batches(BufReader::with_capacity(1 << 16, file), &mut |batch| {
                going = give(Unit::Events(path.to_owned(), batch));
                going
            })?;
        }
        Ok(going)
    };
    read().unwrap_or_else(|error| {
        give(Unit::Ready(Outcome::Failed {
            path: path.to_owned(),
            line: None,
            problem: error.to_string(),
        }))
    })
}

/// Whether a file is one of events: here the name counts, since JSON lines are also plain text.
fn is_event_file(path: &Path) -> bool {
    path.extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("ndjson") || e.eq_ignore_ascii_case("jsonl"))
}

/// Hands outcomes on in the order of their units, with the number of units done.
fn in_order(
    outcomes: &Receiver<(u64, Vec<Outcome>)>,
    hand_on: &mut dyn FnMut(u64, Outcome) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut next = 0;
    let mut early: BTreeMap<u64, Vec<Outcome>> = BTreeMap::new();
    while let Ok((number, outcome)) = outcomes.recv() {
        early.insert(number, outcome);
        while let Some(outcomes) = early.remove(&next) {
            next += 1;
            outcomes
                .into_iter()
                .try_for_each(|outcome| hand_on(next, outcome))?;
        }
    }
    Ok(())
}

/// A reader that hashes what passes through it.
pub(crate) struct Hashing<R> {
    reader: R,
    sha256: sha2::Sha256,
    md5: md5::Md5,
}

impl<R> Hashing<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self {
            reader,
            sha256: sha2::Sha256::new(),
            md5: md5::Md5::new(),
        }
    }

    /// The hashes of everything that was read.
    pub(crate) fn finish(self) -> Vec<Signal> {
        vec![
            Signal::Sha256(Sha256(self.sha256.finalize().into())),
            Signal::Md5(Md5(self.md5.finalize().into())),
        ]
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(into)?;
        let bytes = into.get(..read).unwrap_or_default();
        self.sha256.update(bytes);
        self.md5.update(bytes);
        Ok(read)
    }
}

/// JSON has no way to write a path that is not Unicode; what cannot be written is shown as U+FFFD.
fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}
