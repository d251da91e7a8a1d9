//! Looking a test's bank members up in its event, the way the server does: phrases through the
//! normaliser, links in canonical form, ready-made media signals by distance.

use manara_model::{BankName, Event, Match, MemberId, Span};
use manara_signal::near::Tlsh;
use manara_signal::text::{PhraseHit, PhraseIndex, normalise};
use manara_signal::url::{CanonicalUrl, find_links};
use manara_signal::{Signal, SignalType};

/// Bank members and the phrases among them ready to be found.
#[derive(Debug)]
pub(super) struct Members {
    members: Vec<(BankName, MemberId, Signal)>,
    /// Keyed by place in `members`.
    phrases: PhraseIndex,
}

impl Members {
    pub(super) fn new(members: Vec<(BankName, MemberId, Signal)>) -> Self {
        let mut phrases = PhraseIndex::default();
        for (key, (_, _, signal)) in members.iter().enumerate() {
            if let Signal::Text(phrase) = signal {
                phrases.insert(key as u64, phrase);
            }
        }
        Self { members, phrases }
    }

    /// Every match of the event, within each signal type's default distance.
    pub(super) fn matches(&self, event: &Event) -> Vec<Match> {
        let mut found = Vec::new();
        if self.members.is_empty() {
            return found;
        }
        for (field, text) in event.texts() {
            self.in_text(field, text, &mut found);
        }
        for (i, link) in event
            .content
            .iter()
            .flat_map(|c| c.links.iter().enumerate())
        {
            // A link that is no URL has no canonical form, and so nothing to compare.
            if let Ok(url) = CanonicalUrl::parse(link) {
                self.near(
                    &Signal::Url(url),
                    &format!("content.links[{i}]"),
                    None,
                    &mut found,
                );
            }
        }
        for (i, medium) in event.media().iter().enumerate() {
            for (signal_type, value) in &medium.signals {
                if let Ok(signal) = Signal::parse(*signal_type, value) {
                    self.near(
                        &signal,
                        &format!("content.media[{i}]"),
                        medium.quality,
                        &mut found,
                    );
                }
            }
        }
        found
    }

    fn in_text(&self, field: &str, text: &str, found: &mut Vec<Match>) {
        let mut hits: Vec<PhraseHit> = Vec::new();
        self.phrases.find(&normalise(text), &mut hits);
        for hit in hits {
            let Some((bank, member, _)) = usize::try_from(hit.key)
                .ok()
                .and_then(|key| self.members.get(key))
            else {
                continue;
            };
            let span = Some(Span {
                start: hit.original.start,
                end: hit.original.end,
            });
            add(
                found,
                new_match(SignalType::Text, bank, *member, field),
                span,
            );
        }
        self.whole(field, text, found);
        for link in find_links(text) {
            let span = Span {
                start: link.original.start,
                end: link.original.end,
            };
            let before = found.len();
            self.near(&Signal::Url(link.url), field, None, found);
            for link_match in found.iter_mut().skip(before) {
                link_match.span = Some(span);
            }
        }
    }

    /// What is compared with all of a text: near-duplicates, names, invitations and wallets. A
    /// test's texts are short, so those are only found when they are all there is.
    fn whole(&self, field: &str, text: &str, found: &mut Vec<Match>) {
        use SignalType::{Invite, Name, RawText, SimilarText, TextTlsh, Wallet};
        for signal_type in [RawText, SimilarText, TextTlsh, Invite, Wallet, Name] {
            let is_name = matches!(
                field,
                "account.handle" | "account.display_name" | "space.name"
            );
            let parsed = match signal_type {
                TextTlsh => Tlsh::of(text).ok().map(Signal::TextTlsh),
                Name if !is_name => None,
                other => Signal::parse(other, text).ok(),
            };
            if let Some(signal) = parsed {
                self.near(&signal, field, None, found);
            }
        }
    }

    fn near(&self, signal: &Signal, field: &str, quality: Option<u8>, found: &mut Vec<Match>) {
        for (bank, member, known) in &self.members {
            let signal_type = known.signal_type();
            let Some(distance) = known
                .distance(signal)
                .filter(|d| *d <= signal_type.default_distance())
            else {
                continue;
            };
            add(
                found,
                Match {
                    distance,
                    quality,
                    ..new_match(signal_type, bank, *member, field)
                },
                None,
            );
        }
    }
}

fn new_match(signal_type: SignalType, bank: &BankName, member: MemberId, field: &str) -> Match {
    Match {
        signal_type,
        bank: bank.clone(),
        member,
        distance: 0,
        field: field.to_owned(),
        quality: None,
        span: None,
        how: None,
        form: None,
        form_hash: None,
        distance_stored: None,
        withheld: None,
    }
}

/// A member that occurs twice in one field matches once.
fn add(found: &mut Vec<Match>, new: Match, span: Option<Span>) {
    if !found
        .iter()
        .any(|m| m.member == new.member && m.field == new.field)
    {
        found.push(Match { span, ..new });
    }
}
