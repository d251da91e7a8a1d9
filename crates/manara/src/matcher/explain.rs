//! Why two things match, step by step, for people: `manara compare` and the console's pages show the
//! same steps and facts.
//!
//! All of this is worked out when somebody asks, from a stretch of text and a member's signal; nothing of
//! it is kept.

use manara_model::Span;
use manara_signal::language::identify;
use manara_signal::near::{RawText, Tlsh};
use manara_signal::text::{
    EXPLAINED_MAX, Level, NormalisationStep, Normalised, Phrase, PhraseHit, PhraseIndex,
    TermOptions, explain, normalise,
};
use manara_signal::url::{
    CanonicalUrl, Destination, FoundDestination, HostKind, LinkFacts, Onion, find_destinations,
};
use manara_signal::{Invite, Name, Signal, SignalType, Wallet};
use serde::Serialize;

/// Bytes of a text that are read for what it leads to, at most.
const LINK_BYTES_MAX: usize = 4 * 1024;
/// Bytes before and after them, where a chain may be named or a sign may end the link.
const AROUND_BYTES: usize = 64;

/// What a text is compared by, and how that came about.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Keys {
    pub(crate) strict: String,
    pub(crate) folded: String,
    /// The steps from the text as written to these keys, those that changed something.
    pub(crate) steps: Vec<NormalisationStep>,
    /// Its language as BCP 47 has it, `und` when that cannot be told.
    pub(crate) language: &'static str,
}

impl Keys {
    pub(crate) fn of(text: &str, normalised: &Normalised) -> Self {
        let steps = explain(text).into_iter();
        Self {
            strict: normalised.strict().to_owned(),
            folded: normalised.folded().to_owned(),
            steps: steps.filter(|step| step.name != "as written").collect(),
            language: identify(text).code,
        }
    }
}

/// Where and how a phrase is found in a text when it is looked for in this way; in any way where these
/// options do not go with the phrase. What has to stand near it is not asked for.
pub(crate) fn phrase_hits(
    phrase: &Phrase,
    options: &TermOptions,
    text: &Normalised,
) -> Vec<PhraseHit> {
    let mut index = PhraseIndex::default();
    let alone = TermOptions {
        near: Vec::new(),
        not_near: Vec::new(),
        ..options.clone()
    };
    if index.insert_with(0, phrase, &alone).is_err() {
        index.insert(0, phrase);
    }
    let mut hits = Vec::new();
    index.find(text, &mut hits);
    hits
}

/// How a phrase is looked for where nobody has said how: in every way there is.
pub(crate) fn any_level() -> TermOptions {
    TermOptions {
        level: Level::Aggressive,
        ..TermOptions::default()
    }
}

/// What a member of such a type was compared with: what the text, or the part of it that matched, says
/// as a signal, and what was undone to read it. `None` for phrases, of which there are many in a text.
pub(crate) fn written(
    text: &str,
    part: Option<Span>,
    signal_type: SignalType,
) -> Option<(Signal, String)> {
    let plain = |signal| (signal, String::new());
    match (signal_type, part) {
        (SignalType::RawText, _) => RawText::of_content(text)
            .ok()
            .map(Signal::RawText)
            .map(plain),
        (SignalType::SimilarText, _) => {
            Signal::parse(SignalType::SimilarText, text).ok().map(plain)
        }
        (SignalType::TextTlsh, _) => Tlsh::of(text).ok().map(Signal::TextTlsh).map(plain),
        (SignalType::Name, None) => Name::parse(text).ok().map(Signal::Name).map(plain),
        (_, Some(part)) => in_part(text, part, signal_type),
        (_, None) => as_link(text, signal_type).map(plain),
    }
}

/// A link given beside a text.
fn as_link(text: &str, signal_type: SignalType) -> Option<Signal> {
    let url = CanonicalUrl::parse(text).ok();
    match signal_type {
        SignalType::Url | SignalType::UrlPrefix | SignalType::Domain => url.map(Signal::Url),
        SignalType::Invite => url.and_then(|url| Invite::of_url(&url)).map(Signal::Invite),
        SignalType::Wallet => Wallet::parse(text).ok().map(Signal::Wallet),
        _ => None,
    }
}

/// Where the part of a text leads that matched.
fn in_part(text: &str, part: Span, signal_type: SignalType) -> Option<(Signal, String)> {
    let from = text.floor_char_boundary(part.start.saturating_sub(AROUND_BYTES));
    let end = part.end.min(part.start.saturating_add(LINK_BYTES_MAX));
    let to = text.ceil_char_boundary(end.saturating_add(AROUND_BYTES));
    let found = find_destinations(text.get(from..to)?);
    let here = |found: &FoundDestination| {
        let (start, end) = (found.original.start + from, found.original.end + from);
        start < part.end && part.start < end
    };
    found.into_iter().filter(here).find_map(|found| {
        let undone: Vec<&str> = found.undone.names().collect();
        Some((as_signal(found.what, signal_type)?, undone.join(", ")))
    })
}

fn as_signal(what: Destination, signal_type: SignalType) -> Option<Signal> {
    match (what, signal_type) {
        (Destination::Link(url), SignalType::Url | SignalType::UrlPrefix | SignalType::Domain) => {
            Some(Signal::Url(url))
        }
        (Destination::Invite(invite), SignalType::Invite) => Some(Signal::Invite(invite)),
        (Destination::Wallet(wallet), SignalType::Wallet) => Some(Signal::Wallet(wallet)),
        (Destination::Mention(name), SignalType::Name) => Name::parse(&name).ok().map(Signal::Name),
        _ => None,
    }
}

/// What the distance of two signals rests on, in words.
pub(crate) fn alike(a: &Signal, b: &Signal) -> Option<String> {
    match (a, b) {
        (Signal::Name(a), Signal::Name(b)) => {
            manara_signal::name::compare(a, b).map(|found| found.to_string())
        }
        (Signal::SimilarText(a), Signal::SimilarText(b)) => {
            let overlap = a.shingles().overlap(b.shingles());
            Some(format!(
                "{} of {} pieces in common",
                overlap.common, overlap.total
            ))
        }
        _ => None,
    }
}

/// What is compared of a signal with the steps that made it, and what its form tells: names and values.
pub(crate) fn facts(signal: &Signal) -> Vec<(String, String)> {
    let said = |name: &str, value: String| (name.to_owned(), value);
    match signal {
        Signal::Name(name) => {
            let steps = name.keys().steps().into_iter();
            steps
                .map(|step| (step.name.to_owned(), step.result))
                .collect()
        }
        Signal::Url(url) => {
            let mut facts = vec![
                said("canonical", url.as_str().to_owned()),
                said("compared", url.match_key().to_owned()),
            ];
            facts.extend(link_facts(&url.facts()));
            facts
        }
        Signal::RawText(text) => vec![
            said("letters", text.letters().to_string()),
            said("compared", text.normalised().to_owned()),
        ],
        Signal::SimilarText(text) => {
            let original = text.original();
            let end = original.floor_char_boundary(EXPLAINED_MAX);
            let folded = normalise(original.get(..end).unwrap_or_default());
            let count = text.shingles().count().to_string();
            vec![
                said("different pieces of six letters", count),
                said("compared", folded.folded().to_owned()),
            ]
        }
        Signal::Invite(invite) => vec![said("invitation", invite.to_string())],
        Signal::Wallet(wallet) => vec![
            said("chain", wallet.chain().to_string()),
            said(
                "checksum",
                if wallet.checksummed() {
                    "valid"
                } else {
                    "none"
                }
                .to_owned(),
            ),
        ],
        _ => Vec::new(),
    }
}

/// What an address says about itself, in words.
pub(crate) fn link_facts(facts: &LinkFacts) -> Vec<(String, String)> {
    let named = [
        ("registrable domain", facts.registrable_domain.clone()),
        ("imitates", facts.imitates.clone()),
        ("invitation", facts.invite.as_ref().map(ToString::to_string)),
        ("port", facts.port.map(|port| port.to_string())),
    ];
    let named = named
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    let told = peculiarities(facts)
        .into_iter()
        .map(|words| ("fact", words.to_owned()));
    named
        .chain(told)
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn peculiarities(facts: &LinkFacts) -> Vec<&'static str> {
    let onion = facts.onion.map(|onion| match onion {
        Onion::V3 => "a service of the Tor network, its checksum right",
        Onion::V2 => "a Tor address of version 2, which has not been reachable since 2021",
        Onion::Invalid => "looks like a Tor address and cannot be one",
    });
    let network = match facts.host {
        HostKind::I2p => Some("a service of the I2P network"),
        HostKind::Ipfs => Some("named by its content: IPFS"),
        HostKind::App => Some("opens an app"),
        _ => None,
    };
    let is = |holds: bool, words| holds.then_some(words);
    [
        is(facts.shortener, "a shortener: it leads elsewhere"),
        is(
            facts.user_info,
            "a user name before the host, which hides the host",
        ),
        is(
            facts.percent_nested,
            "percent-encoding inside percent-encoding",
        ),
        is(facts.ip_literal, "an address in place of a name"),
        is(facts.punycode, "an international host name"),
        onion,
        network,
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The keys of a text, and in each the bytes that stand for a part of it.
#[derive(Debug, Clone)]
pub(crate) struct MarkedKeys {
    pub(crate) strict: (String, Span),
    pub(crate) folded: (String, Span),
}

impl MarkedKeys {
    pub(crate) fn of(normalised: &Normalised, part: Span) -> Self {
        let marked = |key: &manara_signal::text::Key| {
            let stands = |at: usize, c: char| {
                let original = key.original_span(at, at + c.len_utf8());
                original.start < part.end && part.start < original.end
            };
            let text = key.text();
            let here = || text.char_indices().filter(|(at, c)| stands(*at, *c));
            let start = here().next().map_or(0, |(at, _)| at);
            let end = here().next_back().map_or(0, |(at, c)| at + c.len_utf8());
            (text.to_owned(), Span { start, end })
        };
        Self {
            strict: marked(&normalised.strict),
            folded: marked(&normalised.folded),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_written(text: &str, part: &str, signal_type: SignalType, expect: &str) {
        let start = text.find(part).unwrap();
        let part = Span {
            start,
            end: start + part.len(),
        };
        let found = written(text, Some(part), signal_type);
        let said = found.map_or_else(String::new, |(signal, undone)| {
            format!("{}:{} {undone}", signal.signal_type(), signal.encode())
        });
        assert_eq!(said.trim_end(), expect, "{text}");
    }

    #[test]
    fn the_part_that_matched_is_read_as_its_type() {
        use SignalType::{Domain, Invite, Name, Text, Url};
        let link = "join hxxps://grey[.]example/a now";
        check_written(
            link,
            "hxxps://grey[.]example/a",
            Url,
            "url:https://grey.example/a defanged",
        );
        check_written(
            link,
            "hxxps://grey[.]example/a",
            Domain,
            "url:https://grey.example/a defanged",
        );
        check_written(link, "join", Url, "");
        check_written(link, "join", Text, "");
        let many = format!("{}https://t.me/grey_banner", "ب ".repeat(9_000));
        check_written(
            &many,
            "https://t.me/grey_banner",
            Invite,
            "invite:telegram:@grey_banner",
        );
        check_written("ask @Grey_Banner", "@Grey_Banner", Name, "name:grey_banner");
    }

    #[track_caller]
    fn check_marks(text: &str, part: &str, strict: &str, folded: &str) {
        let start = text.find(part).unwrap();
        let end = start + part.len();
        let keys = MarkedKeys::of(&normalise(text), Span { start, end });
        let marked = |(text, span): &(String, Span)| text[span.start..span.end].to_owned();
        assert_eq!(marked(&keys.strict), strict);
        assert_eq!(marked(&keys.folded), folded);
    }

    #[test]
    fn keys_are_marked_where_the_part_stands() {
        check_marks("Under the Grèy", "Grèy", "grèy", "grey");
        check_marks(
            "see g\u{200b}.r.e.y banner!",
            "g\u{200b}.r.e.y banner",
            "g.r.e.y banner",
            "grey banner",
        );
        check_marks(
            "قبل رايــــة الرَّمادِ بعد",
            "رايــــة الرَّمادِ",
            "راية الرَّمادِ",
            "رايه الرماد",
        );
        check_marks("all", "all", "all", "all");
    }

    #[test]
    fn addresses_say_what_is_peculiar() {
        let said = |text: &str| -> Vec<String> {
            let facts = link_facts(&CanonicalUrl::parse(text).unwrap().facts());
            facts.into_iter().map(|(_, value)| value).collect()
        };
        assert_eq!(
            said("https://example.com@exаmple.com:8443/%2541"),
            [
                "xn--exmple-4nf.com",
                "example.com",
                "8443",
                "a user name before the host, which hides the host",
                "percent-encoding inside percent-encoding",
                "an international host name",
            ]
        );
        assert_eq!(
            said("http://abc.onion/"),
            ["abc.onion", "looks like a Tor address and cannot be one"]
        );
    }
}
