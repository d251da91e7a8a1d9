//! Blast radius: before a change goes live, a page says what it would have matched.
//!
//! ```text
//! form ──▶ what it would have matched, with a seal ──▶ done
//!   ▲                    │
//!   └────── back ────────┘
//! ```
//! The seal says what was looked at, by whom, when, and whether it was wide. It is made with a
//! secret of this process, so that nothing is done that was not looked at in just that form.

use super::ConsoleState;
use super::typed::Typed;
use crate::console::Error;
use crate::console::session::{Session, same};
use crate::console::shell::Shell;
use crate::console::text::{self, Html};
use crate::console::view::{Count, When};
use crate::recent::Window;
use crate::recent::preview::{Preview, Sample, Thought, is_wide, preview};
use crate::scan::Excerpt;
use askama::Template;
use jiff::{SignedDuration, Timestamp};
use manara_model::{BankName, Span};
use manara_signal::SignalType;
use sha2::{Digest, Sha256};

/// How long what was looked at counts, in minutes: events come in meanwhile.
const SEAL_MINUTES: i64 = 60;

/// The page between a form and its effect.
#[derive(Template)]
#[template(path = "radius.html")]
pub(super) struct RadiusPage {
    pub(super) shell: Shell,
    pub(super) csrf: String,
    pub(super) crumbs: Vec<Crumb>,
    pub(super) heading: Html,
    /// What is to be done, in words.
    pub(super) what: Vec<Html>,
    pub(super) radius: RadiusView,
    /// Where the buttons go.
    pub(super) action: String,
    pub(super) carried: Vec<(String, String)>,
    pub(super) seal: String,
    /// Whether it can be done in shadow instead.
    pub(super) shadow: bool,
    pub(super) read_problem: Option<String>,
}

/// A step of the way to a page.
pub(super) struct Crumb {
    pub(super) href: String,
    pub(super) name: String,
}

impl Crumb {
    pub(super) fn banks() -> Self {
        Self {
            href: "/banks".into(),
            name: "Banks".into(),
        }
    }

    pub(super) fn bank(name: &BankName) -> Self {
        Self {
            href: format!("/banks/{name}"),
            name: name.to_string(),
        }
    }
}

/// What would have matched.
pub(super) struct RadiusView {
    pub(super) seen: Count,
    pub(super) since: When,
    pub(super) matched: Count,
    pub(super) lost: Count,
    pub(super) vetoed: Count,
    pub(super) accounts: Count,
    pub(super) spaces: Count,
    pub(super) share: String,
    pub(super) wide: bool,
    pub(super) nothing_seen: bool,
    pub(super) samples: Vec<SampleView>,
}

/// An event of which a part is shown; media never are.
pub(super) struct SampleView {
    pub(super) at: When,
    pub(super) decision: String,
    pub(super) id: Html,
    pub(super) source: Html,
    pub(super) account: Option<Html>,
    pub(super) field: String,
    pub(super) distance: Option<u32>,
    pub(super) excerpt: Option<ExcerptView>,
}

pub(super) struct ExcerptView {
    pub(super) text: Html,
    pub(super) cut: (bool, bool),
}

impl From<&Preview> for RadiusView {
    fn from(preview: &Preview) -> Self {
        Self {
            seen: Count(preview.seen),
            since: When::exact(preview.since),
            matched: Count(preview.matched),
            lost: Count(preview.lost),
            vetoed: Count(preview.vetoed),
            accounts: Count(preview.accounts),
            spaces: Count(preview.spaces),
            share: percent(preview.share()),
            wide: is_wide(preview.matched, preview.seen),
            nothing_seen: preview.seen == 0,
            samples: preview.samples.iter().map(SampleView::from).collect(),
        }
    }
}

impl From<&Sample> for SampleView {
    fn from(sample: &Sample) -> Self {
        let excerpt = sample.excerpt.as_ref();
        Self {
            at: When::exact(sample.received_at),
            decision: sample.decision.to_string(),
            id: text::inline(&sample.id),
            source: text::inline(&sample.source),
            account: sample.account.as_deref().map(text::inline),
            field: sample.field.clone(),
            distance: (sample.distance > 0).then_some(sample.distance),
            excerpt: excerpt.map(|excerpt| ExcerptView {
                text: text::inline_marked(&excerpt.text, part_of(excerpt)),
                cut: excerpt.cut,
            }),
        }
    }
}

/// What is marked in an excerpt: nothing where all of it matched.
fn part_of(excerpt: &Excerpt) -> &[Span] {
    let is_whole = excerpt.span.start == 0 && excerpt.span.end == excerpt.text.len();
    if is_whole && excerpt.cut == (false, false) {
        &[]
    } else {
        std::slice::from_ref(&excerpt.span)
    }
}

/// A share in percent, with as many digits as it takes to tell it from nothing.
pub(super) fn percent(share: f64) -> String {
    match share * 100.0 {
        0.0 => "0 %".to_owned(),
        it if it < 0.01 => "under 0.01 %".to_owned(),
        it if it < 10.0 => format!("{it:.2} %"),
        it => format!("{it:.0} %"),
    }
}

/// The unit of a distance.
pub(super) fn unit(signal_type: SignalType) -> &'static str {
    match signal_type {
        SignalType::Pdq => "bits of 256",
        SignalType::RawText => "% of the letters",
        SignalType::SimilarText => "% of the pieces",
        SignalType::TextTlsh => "by TLSH",
        SignalType::Name => "points",
        _ => "",
    }
}

/// The window that counts as recently seen.
pub(super) fn window(state: &ConsoleState) -> Window {
    let recent = state.0.options.recent;
    let length = SignedDuration::from_hours(24 * i64::from(recent.days));
    Window {
        since: (state.now().checked_sub(length)).unwrap_or(Timestamp::UNIX_EPOCH),
        events_max: if recent.days == 0 {
            0
        } else {
            recent.events_max
        },
    }
}

/// What a change would have matched. One at a time: each reads all that was recently seen.
pub(super) async fn look(
    state: &ConsoleState,
    bank: BankName,
    thought: Thought,
) -> Result<Preview, Error> {
    let turn = state.0.looking.acquire().await;
    let window = window(state);
    let store = state.store().clone();
    let looking = tokio::task::spawn_blocking(move || preview(&store, &bank, &thought, window));
    let found = looking.await;
    drop(turn);
    Ok(found.map_err(|error| Error::Internal(format!("a preview failed: {error}")))??)
}

/// The seal on a change that was looked at.
pub(super) fn seal(
    state: &ConsoleState,
    session: &Session,
    path: &str,
    typed: &Typed,
    wide: bool,
) -> String {
    let minute = state.now().as_second() / 60;
    let digest = digest(state, session, path, typed, wide, minute);
    format!("{minute}.{}.{digest}", u8::from(wide))
}

/// Whether a change was looked at just as it was sent, and if so, whether it was wide.
pub(super) fn looked_at(
    state: &ConsoleState,
    session: &Session,
    path: &str,
    typed: &Typed,
) -> Option<bool> {
    let mut parts = typed.value("seal").splitn(3, '.');
    let minute: i64 = parts.next()?.parse().ok()?;
    let wide = match parts.next()? {
        "1" => true,
        "0" => false,
        _ => return None,
    };
    let age = state.now().as_second() / 60 - minute;
    let ours = digest(state, session, path, typed, wide, minute);
    let fits = (0..=SEAL_MINUTES).contains(&age) && same(&ours, parts.next()?);
    fits.then_some(wide)
}

fn digest(
    state: &ConsoleState,
    session: &Session,
    path: &str,
    typed: &Typed,
    wide: bool,
    minute: i64,
) -> String {
    let mut digest = Sha256::new().chain_update(state.0.form_secret);
    let mut add = |part: &str| {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    };
    add(&session.csrf);
    add(path);
    add(&minute.to_string());
    add(if wide { "wide" } else { "narrow" });
    for (name, value) in typed.carried() {
        add(name);
        add(value);
    }
    hex::encode(digest.finalize())
}

/// What was typed, for the fields of the next form.
pub(super) fn carried(typed: &Typed) -> Vec<(String, String)> {
    let fields = typed.carried();
    let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
    fields.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_shares_are_not_nothing() {
        for (share, expect) in [
            (0.0, "0 %"),
            (0.000_01, "under 0.01 %"),
            (0.012_3, "1.23 %"),
            (0.5, "50 %"),
            (1.0, "100 %"),
        ] {
            assert_eq!(percent(share), expect);
        }
    }
}
