//! The links written in a text.

use super::{CanonicalUrl, LEN_MAX, LINKS_MAX, is_port};
use std::ops::Range;

/// A link written in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundLink {
    /// Where it leads.
    pub url: CanonicalUrl,
    /// Its bytes in the text.
    pub original: Range<usize>,
}

/// The first [`LINKS_MAX`] links in a text, in order.
///
/// Found are addresses with a scheme (`https://…`, `hxxps://…`, `tg://…`), those that begin with
/// `www.`, and bare ones that have a path (`example.com/page`) or a common ending
/// (`shop.example.com`). Punctuation after a link is not part of it.
///
/// ```
/// use manara_signal::url::find_links;
/// let text = "انظر https://example.com/صفحة، and (www.example.org/a_(b)) or chat.example/join.";
/// let found: Vec<_> = find_links(text).into_iter().map(|link| &text[link.original]).collect();
/// assert_eq!(found, ["https://example.com/صفحة", "www.example.org/a_(b)", "chat.example/join"]);
/// ```
pub fn find_links(text: &str) -> Vec<FoundLink> {
    let mut found = Vec::new();
    // Every link has a dot in it, or a scheme's colon.
    if !text.bytes().any(|b| b == b'.' || b == b':') {
        return found;
    }
    for (start, word) in words(text) {
        if found.len() == LINKS_MAX {
            break;
        }
        if word.contains("://")
            || word.contains("[:]//")
            || word.contains('.')
            || word.contains("[.]")
        {
            found.extend(link_in(start, word));
        }
    }
    found
}

/// Whether a character cannot be in a link as people write them.
fn is_outside_links(c: char) -> bool {
    match c {
        '\0'..=' '
        | '\x7f'
        | '<'
        | '>'
        | '"'
        | '`'
        | '{'
        | '}'
        | '|'
        | '\\'
        | '^'
        | '«'
        | '»'
        | '“'
        | '”' => true,
        '!'..='~' => false,
        _ => c.is_whitespace() || c.is_control(),
    }
}

/// Splits at white space and at the characters that enclose links.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut rest = Some((0, text));
    std::iter::from_fn(move || {
        let (start, text) = rest?;
        if let Some(end) = text.find(is_outside_links) {
            let (word, after) = text.split_at(end);
            let skip = after.chars().next().map_or(0, char::len_utf8);
            rest = after.get(skip..).map(|after| (start + end + skip, after));
            Some((start, word))
        } else {
            rest = None;
            Some((start, text))
        }
    })
    .filter(|(_, word)| word.len() >= 4)
}

/// The link in a word, if there is one, without the punctuation around it.
fn link_in(word_at: usize, word: &str) -> Option<FoundLink> {
    let start = link_start(word)?;
    let link = trimmed(word.get(start..)?);
    if link.len() > LEN_MAX || !(has_scheme(link) || is_bare_link(link)) {
        return None;
    }
    let url = CanonicalUrl::parse(link).ok()?;
    let at = word_at + start;
    Some(FoundLink {
        url,
        original: at..at + link.len(),
    })
}

const PREFIXES: [&str; 7] = [
    "https:", "http:", "hxxps:", "hxxp:", "tg:", "ipfs:", "ipns:",
];

/// Where in a word a link begins: at its scheme, which other text may touch, or at its first letter.
fn link_start(word: &str) -> Option<usize> {
    let scheme_end = word.find("://").or_else(|| word.find("[:]//"));
    if let Some(end) = scheme_end {
        let before = word.get(..end)?;
        let is_letter = |c: char| c.is_ascii_alphabetic();
        let start = before
            .char_indices()
            .rev()
            .take_while(|(_, c)| is_letter(*c))
            .last()
            .map_or(end, |(at, _)| at);
        let letters = before.get(start..)?.to_ascii_lowercase();
        // In `seehttps://…` the longest known scheme at the end is the one that was meant.
        let known = PREFIXES
            .iter()
            .map(|p| p.trim_end_matches(':'))
            .find(|p| letters.ends_with(p))?;
        return Some(end - known.len());
    }
    word.find(char::is_alphanumeric)
}

fn has_scheme(link: &str) -> bool {
    link.contains("://") || link.contains("[:]//")
}

/// Cuts off punctuation that ends a sentence, and closing brackets that were not opened inside.
fn trimmed(mut link: &str) -> &str {
    while let Some(last) = link.chars().next_back() {
        let open = match last {
            ')' => '(',
            ']' => '[',
            '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '*' | '_' | '~' | '،' | '؛' | '؟' | '…'
            | '。' | '、' | '’' => '\0',
            _ => break,
        };
        if open != '\0' && link.matches(open).count() >= link.matches(last).count() {
            break;
        }
        link = link.get(..link.len() - last.len_utf8()).unwrap_or_default();
    }
    link
}

/// Endings common enough that `name.ending` alone is read as a link.
const ENDINGS: [&str; 28] = [
    "com", "org", "net", "info", "io", "me", "tv", "co", "gg", "ly", "app", "dev", "xyz", "site",
    "online", "link", "live", "news", "blog", "page", "cc", "ws", "to", "onion", "example", "test",
    "biz", "club",
];

/// Whether a word without a scheme looks like `host.ending`, with a path or a common ending.
fn is_bare_link(link: &str) -> bool {
    let end = link.find(['/', '?', '#']).unwrap_or(link.len());
    let (host, tail) = link.split_at(end);
    let host = host.replace("[.]", ".");
    let name = match host.rsplit_once(':') {
        Some((name, port)) if is_port(port) => name,
        Some(_) => return false,
        None => &host,
    };
    let mut labels = name.rsplit('.');
    let ending = labels.next().unwrap_or_default().to_lowercase();
    let mut others = 0;
    let well_formed = |label: &str| {
        !label.is_empty()
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
            && !label.starts_with('-')
    };
    let all = labels.inspect(|_| others += 1).all(well_formed);
    let plausible =
        (2..=24).contains(&ending.chars().count()) && ending.chars().all(char::is_alphabetic);
    let www = name
        .get(..4)
        .is_some_and(|start| start.eq_ignore_ascii_case("www."));
    all && others > 0 && plausible && (tail.len() > 1 || www || ENDINGS.contains(&ending.as_str()))
}
