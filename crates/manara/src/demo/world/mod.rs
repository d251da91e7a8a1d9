//! The world of `manara demo`: one day on an invented platform, made from a seed.
//!
//! Everything here is generated. The people, their posts, the pictures, and above all the "Order of
//! the Grey Banner" with its slogans and its tower exist nowhere else. A day holds
//!
//! - ordinary traffic in five languages, most of the day;
//! - planted violations: copies of banked pictures and slogans in the disguises that moderators
//!   meet, names, links, and files that cannot be read;
//! - look-alikes, which share subjects, words or letters with the planted ones and must be left alone.
//!
//! The same seed, day and number of events give the same world, byte for byte, on one kind of
//! machine. Nothing is read or written.
//!
//! ```text
//! seed ─ originals ─┬─ banks
//!                   └─ drafts (what, who, when) ─ picture files ─ events as the API takes them
//! ```

mod alteration;
mod canvas;
mod drawing;
mod kind;
mod link;
mod naming;
mod people;
mod picture;
mod plan;
mod prng;
mod slogan;
mod talk;

pub(crate) use kind::{Expectation, PlantedKind};
#[cfg(test)]
pub(crate) use link::LinkDisguise;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use manara_model::MemberSettings;
use manara_signal::SignalType;
use manara_signal::digest::sha256;
use manara_signal::text::{Level, TermOptions};
use picture::{Original, Picture};
use plan::{Draft, Given};
use prng::Prng;
use std::collections::HashMap;

/// Events in a day, unless another number is asked for.
pub(crate) const EVENTS: usize = 5000;
/// Pictures of the Order that the bank knows.
const ORIGINALS: usize = 25;
/// Every so many originals, the bank of files knows the exact file too.
const FILE_EVERY: usize = 4;

/// A day, ready to be played.
#[derive(Debug)]
pub(crate) struct World {
    /// What the server should know before the day begins.
    pub(crate) banks: Vec<BankPlan>,
    /// What happens, in order of time.
    pub(crate) events: Vec<Planned>,
}

/// A bank to be made.
#[derive(Debug)]
pub(crate) struct BankPlan {
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) members: Vec<MemberPlan>,
}

/// A member to be added.
#[derive(Debug)]
pub(crate) struct MemberPlan {
    pub(crate) signal_type: SignalType,
    /// As `manara bank add` takes it.
    pub(crate) value: String,
    pub(crate) note: String,
    pub(crate) level: Level,
}

impl MemberPlan {
    /// A day is played within seconds, in which any member matches far more than it used to: people
    /// have vouched for all of them.
    pub(crate) fn settings(&self) -> MemberSettings {
        MemberSettings {
            vouched: true,
            term: TermOptions {
                level: self.level,
                ..TermOptions::default()
            },
            ..MemberSettings::default()
        }
    }
}

/// One event of the day, and what should come of it.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    /// The event's id, by which its answer is recognised.
    pub(crate) id: String,
    /// The event as `POST /api/v1/events` takes it, on one line.
    pub(crate) json: String,
    pub(crate) kind: PlantedKind,
    pub(crate) should: Expectation,
}

impl World {
    /// The day of [`EVENTS`] events that ends at `day_end`.
    pub(crate) fn new(seed: u64, day_end: Timestamp) -> Result<Self> {
        Self::sized(seed, day_end, EVENTS)
    }

    /// A shorter or longer day: everything planted becomes rarer or more frequent, and at least one
    /// of each kind is kept. So a very short day may hold a few more events than asked for.
    pub(crate) fn sized(seed: u64, day_end: Timestamp, events: usize) -> Result<Self> {
        let prng = Prng::new(seed);
        let originals =
            picture::originals(ORIGINALS, &prng.fork(1)).context("drawing the demo's bank")?;
        let drafts = plan::day(&prng.fork(2), day_end, events, originals.len());
        let wanted = drafts
            .iter()
            .flat_map(|draft| draft.pictures.iter().copied());
        let files = picture::make_all(&originals, wanted).context("drawing the demo's pictures")?;
        let events = drafts
            .into_iter()
            .map(|draft| planned(draft, &files))
            .collect::<Result<_>>()?;
        Ok(Self {
            banks: banks(&originals),
            events,
        })
    }
}

/// Puts the pictures' files, or what the platform computed from them, into the event.
fn planned(draft: Draft, files: &HashMap<Picture, Vec<u8>>) -> Result<Planned> {
    let Draft {
        mut event,
        pictures,
        given,
        kind,
    } = draft;
    let media = event
        .content
        .iter_mut()
        .flat_map(|content| content.media.iter_mut());
    for (medium, picture) in media.zip(pictures) {
        let file = files
            .get(&picture)
            .context("a picture of the demo was not made")?;
        match given {
            Given::File => medium.data = Some(STANDARD.encode(file)),
            Given::Signals => {
                let hash = picture::hash_of(file)?;
                medium.signals.insert(SignalType::Pdq, hash.hash.to_hex());
                medium.quality = Some(hash.quality);
            }
        }
    }
    let json = serde_json::to_string(&event).context("writing an event of the demo")?;
    Ok(Planned {
        id: event.id,
        json,
        kind,
        should: kind.expectation(),
    })
}

fn banks(originals: &[Original]) -> Vec<BankPlan> {
    let note_of = |i: usize, original: &Original| {
        format!("invented picture {}: {:?}", i + 1, original.subject)
    };
    let image = |(i, original): (usize, &Original)| MemberPlan {
        signal_type: SignalType::Pdq,
        value: original.hash.hash.to_hex(),
        note: note_of(i, original),
        level: Level::default(),
    };
    let file = |(i, original): (usize, &Original)| MemberPlan {
        signal_type: SignalType::Sha256,
        value: sha256(&original.file).to_hex(),
        note: note_of(i, original),
        level: Level::default(),
    };
    let member = |signal_type, note: &'static str| {
        move |value: &&str| MemberPlan {
            signal_type,
            value: (*value).to_owned(),
            note: note.to_owned(),
            level: Level::default(),
        }
    };
    // Whole slogans are long enough to be looked for behind digits and in pieces, too.
    let slogan = |slogan: &slogan::Slogan| MemberPlan {
        level: Level::Aggressive,
        ..member(SignalType::Text, "invented slogan")(&slogan.text)
    };
    vec![
        BankPlan {
            name: "TVEC_IMAGES",
            description: "Pictures of the invented Order of the Grey Banner, as a partner would share them.",
            members: originals.iter().enumerate().map(image).collect(),
        },
        BankPlan {
            name: "TVEC_FILES",
            description: "Exact files of some of these pictures.",
            members: originals
                .iter()
                .enumerate()
                .step_by(FILE_EVERY)
                .map(file)
                .collect(),
        },
        BankPlan {
            name: "TVEC_SLOGANS",
            description: "Slogans of the invented Order, in Arabic and English.",
            members: slogan::SLOGANS.iter().map(slogan).collect(),
        },
        BankPlan {
            name: "TVEC_NAMES",
            description: "Names the invented Order gives itself, for handles, display names and channels.",
            members: naming::NAMES
                .iter()
                .map(member(SignalType::Text, "invented name"))
                .chain(
                    naming::NAMES
                        .iter()
                        .map(member(SignalType::Name, "invented name")),
                )
                .collect(),
        },
        BankPlan {
            name: "TVEC_LINKS",
            description: "Pages of the invented Order.",
            members: link::LINKS
                .iter()
                .map(member(SignalType::Url, "invented page"))
                .collect(),
        },
    ]
}
