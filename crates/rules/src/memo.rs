//! What is computed at most once for an event, however many rules ask: normal forms of its own
//! texts, the phrases and lexicon hits in them, their language, and what its links say.

use manara_model::Content;
use manara_signal::CanonicalUrl;
use manara_signal::language::{Language, identify};
use manara_signal::name::Name;
use manara_signal::text::{Normalised, PhraseHit, PhraseIndex, normalise};
use manara_signal::url::{LinkFacts, find_links};
use sha2::{Digest, Sha256};
use std::cell::OnceCell;

/// Most links of one event, listed and found.
const FOUND_LINKS_MAX: usize = 256;

/// Everything kept for one event. Nothing is allocated until a rule asks.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    texts: [OnceCell<Box<Kept>>; 4],
    listed: OnceCell<Box<[OnceCell<Option<Link>>]>>,
    found: OnceCell<Vec<Link>>,
    domains: OnceCell<Vec<Box<str>>>,
}

impl Memo {
    /// What is kept of the text at one of four places, which is always the same text.
    pub(crate) fn text<'a>(&'a self, place: usize, text: &'a str) -> Option<TextMemo<'a>> {
        let kept = self.texts.get(place)?.get_or_init(Box::default);
        Some(TextMemo { text, kept })
    }

    /// The numbers of the phrases in that text, as `find` finds them.
    pub(crate) fn phrases(
        &self,
        place: usize,
        text: &str,
        find: impl FnOnce(&Normalised) -> Vec<u64>,
    ) -> Option<&[u64]> {
        let kept = self.texts.get(place)?.get_or_init(Box::default);
        let normalised = || kept.normalised.get_or_init(|| normalise(text));
        Some(kept.phrases.get_or_init(|| find(normalised())))
    }

    /// A link listed in the event; nothing when it is no web address.
    pub(crate) fn listed(&self, content: &Content, index: usize) -> Option<&Link> {
        let make = || content.links.iter().map(|_| OnceCell::new()).collect();
        let cell = self.listed.get_or_init(make).get(index)?;
        let read = || Link::parse(content.links.get(index)?);
        cell.get_or_init(read).as_ref()
    }

    /// The web addresses listed in the event and those written in its text, each once.
    pub(crate) fn found(&self, content: &Content) -> &[Link] {
        self.found.get_or_init(|| find(content))
    }

    /// The registrable domains of these links, each once.
    pub(crate) fn domains(&self, content: &Content) -> &[Box<str>] {
        self.domains.get_or_init(|| {
            let mut domains: Vec<Box<str>> = Vec::new();
            for link in self.found(content) {
                if let Some(domain) = link.url.registrable_domain()
                    && !domains.iter().any(|known| **known == *domain)
                {
                    domains.push(domain.into());
                }
            }
            domains
        })
    }
}

/// What is listed but no web address is left out: one such entry would make unknown what is asked of
/// all the others.
fn find(content: &Content) -> Vec<Link> {
    let listed = content.links.iter().filter_map(|text| Link::parse(text));
    let text = content.text.as_deref().unwrap_or_default();
    let written = find_links(text)
        .into_iter()
        .map(|found| Link::of(found.url));
    let mut all: Vec<Link> = Vec::new();
    // The keys seen so far, sorted, so that 512 links need no 512 × 512 comparisons.
    let mut seen: Vec<Box<str>> = Vec::new();
    for link in listed.chain(written) {
        let key = link.url.match_key();
        if let Err(place) = seen.binary_search_by(|seen| (**seen).cmp(key))
            && all.len() < FOUND_LINKS_MAX
        {
            seen.insert(place, key.into());
            all.push(link);
        }
    }
    all
}

/// A web address and what it says about itself.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) url: CanonicalUrl,
    facts: OnceCell<LinkFacts>,
}

impl Link {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        CanonicalUrl::parse(text).ok().map(Self::of)
    }

    fn of(url: CanonicalUrl) -> Self {
        Self {
            url,
            facts: OnceCell::new(),
        }
    }

    pub(crate) fn facts(&self) -> &LinkFacts {
        self.facts.get_or_init(|| self.url.facts())
    }
}

/// What of a lexicon is in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct LexiconHits {
    /// Occurrences that do not overlap.
    pub(crate) count: i64,
    /// Different phrases among them.
    pub(crate) distinct: i64,
}

impl LexiconHits {
    pub(crate) fn of(lexicon: &PhraseIndex, text: &Normalised) -> Self {
        let mut hits: Vec<PhraseHit> = Vec::new();
        lexicon.find_leftmost_longest(text, &mut hits);
        let mut keys: Vec<u64> = hits.iter().map(|hit| hit.key).collect();
        keys.sort_unstable();
        keys.dedup();
        Self {
            count: hits.len() as i64,
            distinct: keys.len() as i64,
        }
    }
}

#[derive(Debug, Default)]
struct Kept {
    normalised: OnceCell<Normalised>,
    phrases: OnceCell<Vec<u64>>,
    lexicons: OnceCell<Box<[OnceCell<LexiconHits>]>>,
    language: OnceCell<Language>,
    name: OnceCell<Option<Name>>,
    key: OnceCell<Option<String>>,
}

/// One of the event's own texts, with what is kept of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TextMemo<'a> {
    text: &'a str,
    kept: &'a Kept,
}

impl<'a> TextMemo<'a> {
    pub(crate) fn normalised(&self) -> &'a Normalised {
        self.kept.normalised.get_or_init(|| normalise(self.text))
    }

    /// What the lexicon of this number, of these, has in it.
    pub(crate) fn lexicon(&self, lexicons: &[PhraseIndex], number: usize) -> Option<LexiconHits> {
        let make = || lexicons.iter().map(|_| OnceCell::new()).collect();
        let cell = self.kept.lexicons.get_or_init(make).get(number)?;
        let lexicon = lexicons.get(number)?;
        Some(*cell.get_or_init(|| LexiconHits::of(lexicon, self.normalised())))
    }

    pub(crate) fn language(&self) -> &'a Language {
        self.kept.language.get_or_init(|| identify(self.text))
    }

    /// The language's code, when it can be told.
    pub(crate) fn language_code(&self) -> Option<&'static str> {
        Some(self.language().code).filter(|code| *code != "und")
    }

    /// It as a name that can be compared, if it is one.
    pub(crate) fn name(&self) -> Option<&'a Name> {
        let read = || Name::parse(self.text).ok();
        self.kept.name.get_or_init(read).as_ref()
    }

    /// A short key of its folded form; nothing when nothing is left of that.
    pub(crate) fn key(&self) -> Option<&'a str> {
        let make = || text_key(self.normalised().folded());
        self.kept.key.get_or_init(make).as_deref()
    }
}

/// The first 128 bits of the SHA-256 of a folded text, in hexadecimal.
fn text_key(folded: &str) -> Option<String> {
    if folded.trim().is_empty() {
        return None;
    }
    let digest = Sha256::digest(folded);
    digest.get(..16).map(hex::encode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_text_stays_what_it_is() {
        // `printf 'grey banner' | sha256sum`, its first 32 digits.
        assert_eq!(
            text_key("grey banner").as_deref(),
            Some("f4d5ee29b6bec29df52b759e70e48b59")
        );
        assert_eq!(text_key(""), None);
    }
}
