//! Where a text leads: the links, invitations, wallets and mentions written in it.
//!
//! Almost all text is passed over: a search for the few marks that every link has (a dot, a colon,
//! an `@`, a word for a dot) finds the stretches between spaces that may hold one. Such a stretch is
//! looked at in a [`View`], in which what hides links is undone, and read from left to right; what
//! was read is not read again, so that the work grows with the text alone. Wallets have no mark, but
//! are long: a letter in every 25 is looked at, and no run of letters that long is missed.

use super::lookalike::imitated;
use super::view::{DOT_WORDS, Undone, View, is_hidden, spelt_dot};
use super::{CanonicalUrl, LEN_MAX, LINKS_MAX, is_port};
use crate::invite::Invite;
use crate::wallet::{self, Chain, Wallet};
use memchr::memmem::Finder;
use memchr::{memchr2, memchr3};
use std::ops::Range;
use std::sync::LazyLock;

/// Most mentions taken from one text.
pub const MENTIONS_MAX: usize = 256;
/// Most wallets taken from one text.
pub const WALLETS_MAX: usize = 64;

/// Something a text leads to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Destination {
    /// An address.
    Link(CanonicalUrl),
    /// A group, channel or room; its link is also a [`Link`](Self::Link).
    Invite(Invite),
    /// An address to pay to.
    Wallet(Wallet),
    /// An account by its handle, in lower case and without the `@`; `name@server` of the fediverse.
    Mention(String),
}

/// Something a text leads to, and where it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundDestination {
    /// Where it leads.
    pub what: Destination,
    /// Its bytes in the text.
    pub original: Range<usize>,
    /// What was undone to read it.
    pub undone: Undone,
}

/// A link written in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundLink {
    /// Where it leads.
    pub url: CanonicalUrl,
    /// Its bytes in the text.
    pub original: Range<usize>,
}

/// What a text leads to, in the order of its bytes: the first [`LINKS_MAX`] links,
/// [`MENTIONS_MAX`] mentions and [`WALLETS_MAX`] wallets.
///
/// Links are found as by [`find_links`]. Mentions are `@` and a handle of ASCII letters, digits and
/// `_.-`; an address of mail is none. Wallets are found only with a right checksum, but for `0x` and
/// 40 digits in one letter case, and for chains without checksums where the chain stands before it.
///
/// ```
/// use manara_signal::url::{Destination, Undone, find_destinations};
/// let text = "انضم: t.me/+AbCdEfGh1234 أو hxxps://chat[.]example/join، @Grey_Banner";
/// let found = find_destinations(text);
/// let parts: Vec<_> = found.iter().map(|f| &text[f.original.clone()]).collect();
/// let link = "t.me/+AbCdEfGh1234";
/// assert_eq!(parts, [link, link, "hxxps://chat[.]example/join", "@Grey_Banner"]);
/// assert_eq!(found[3].what, Destination::Mention("grey_banner".to_owned()));
/// assert!(found[2].undone.has(Undone::DEFANGED));
/// ```
pub fn find_destinations(text: &str) -> Vec<FoundDestination> {
    let mut finder = Destinations {
        found: Vec::new(),
        links: LINKS_MAX,
        mentions: MENTIONS_MAX,
        wallets: WALLETS_MAX,
    };
    finder.marked(text);
    let marked = finder.found.len();
    finder.wallets(text);
    if finder.found.len() > marked {
        finder.found.sort_by_key(|f| f.original.start);
    }
    finder.found
}

/// The first [`LINKS_MAX`] links in a text, in order.
///
/// Found are addresses with a scheme (`https://…`, `hxxps://…`, `tg://…`), those that begin with
/// `www.`, and bare ones that have a path (`example.com/page`) or a common ending
/// (`shop.example.com`). Punctuation after a link is not part of it, nor is text of another script
/// that touches it.
///
/// ```
/// use manara_signal::url::find_links;
/// let text = "انظر https://example.com/صفحة، and (www.example.org/a_(b)) or chat.example/join.";
/// let found: Vec<_> = find_links(text).into_iter().map(|link| &text[link.original]).collect();
/// assert_eq!(found, ["https://example.com/صفحة", "www.example.org/a_(b)", "chat.example/join"]);
/// ```
pub fn find_links(text: &str) -> Vec<FoundLink> {
    let mut finder = Destinations {
        found: Vec::new(),
        links: LINKS_MAX,
        mentions: 0,
        wallets: 0,
    };
    finder.marked(text);
    let links = finder
        .found
        .into_iter()
        .filter_map(|found| match found.what {
            Destination::Link(url) => Some(FoundLink {
                url,
                original: found.original,
            }),
            _ => None,
        });
    links.collect()
}

/// What has been found, and how many more of each kind may be.
struct Destinations {
    found: Vec<FoundDestination>,
    links: usize,
    mentions: usize,
    wallets: usize,
}

impl Destinations {
    /// Finds what has a mark.
    fn marked(&mut self, text: &str) {
        let mut marks = Marks::default();
        let mut from = 0;
        while self.links + self.mentions > 0
            && let Some(mark) = marks.next(text.as_bytes(), from)
        {
            let stretch = stretch_around(text, mark, from);
            from = stretch.end.max(mark + 1);
            self.read(&View::of(text, stretch));
        }
    }

    /// Reads a stretch from left to right.
    fn read(&mut self, view: &View<'_>) {
        let text = &*view.text;
        let mut from = 0;
        while let Some(at) = memchr3(
            b'.',
            b':',
            b'@',
            text.as_bytes().get(from..).unwrap_or_default(),
        ) {
            let at = from + at;
            let end = match text.as_bytes().get(at) {
                Some(b':') => self.with_scheme(view, from, at),
                Some(b'.') => self.bare(view, from, at),
                _ => self.mention(view, at),
            };
            from = end.max(at + 1);
        }
    }

    fn push(&mut self, what: Destination, view: &View<'_>, range: Range<usize>, more: Undone) {
        self.found.push(FoundDestination {
            what,
            original: view.original(range.clone()),
            undone: view.undone(range).and(more),
        });
    }

    /// Takes over a link if its text is one; whether it was.
    fn link(&mut self, view: &View<'_>, range: Range<usize>) -> bool {
        let Some(text) = view.text.get(range.clone()).filter(|_| self.links > 0) else {
            return false;
        };
        let Ok(url) = CanonicalUrl::parse(text) else {
            return false;
        };
        let hxxp = text
            .get(..4)
            .is_some_and(|s| s.eq_ignore_ascii_case("hxxp"));
        let more = if hxxp {
            Undone::DEFANGED
        } else {
            Undone::default()
        };
        self.links -= 1;
        let invite = Invite::of_url(&url);
        self.push(Destination::Link(url), view, range.clone(), more);
        if let Some(invite) = invite {
            self.push(Destination::Invite(invite), view, range, more);
        }
        true
    }

    /// Reads on from a colon: a link if a scheme stands before it and slashes behind.
    fn with_scheme(&mut self, view: &View<'_>, from: usize, colon: usize) -> usize {
        let text = &*view.text;
        let before = text.get(from..colon).unwrap_or_default();
        let after = text.get(colon + 1..).unwrap_or_default();
        if ends_with(before, "matrix") && (after.starts_with("r/") || after.starts_with("roomid/"))
        {
            return self.matrix(view, colon);
        }
        let scheme = SCHEMES.iter().find(|scheme| ends_with(before, scheme));
        let (Some(scheme), true) = (scheme, after.starts_with("//")) else {
            return colon;
        };
        let (start, host) = (colon - scheme.len(), colon + 3);
        let end = link_end(text, start, host);
        if end > host {
            self.link(view, start..end);
            return end;
        }
        colon
    }

    /// Reads a `matrix:` URI, which is an invitation and no address of a page.
    fn matrix(&mut self, view: &View<'_>, colon: usize) -> usize {
        let start = colon - "matrix".len();
        let end = link_end(&view.text, start, colon + 1);
        let text = view.text.get(start..end).unwrap_or_default();
        let invite = Some(text).filter(|_| self.links > 0).map(Invite::parse);
        if let Some(Ok(invite)) = invite {
            self.links -= 1;
            self.push(
                Destination::Invite(invite),
                view,
                start..end,
                Undone::default(),
            );
        }
        end
    }

    /// Reads on from a dot: a link if a host lies around it that is likely meant as one.
    fn bare(&mut self, view: &View<'_>, from: usize, dot: usize) -> usize {
        let text = &*view.text;
        let start = host_start(text, from, dot);
        let host_end = run_end(text, dot, is_of_host);
        if start == dot || host_end == dot + 1 {
            return host_end;
        }
        let before = text.get(..start).unwrap_or_default();
        // The server of an address of mail is no link, nor is a part of a path.
        if before.ends_with('@') || before.ends_with('/') && !before.ends_with(":/") {
            return host_end;
        }
        if !is_bare_host(text.get(start..host_end).unwrap_or_default()) {
            return host_end;
        }
        let end = bare_end(text, start, host_end);
        if is_bare_link(text.get(start..end).unwrap_or_default()) {
            self.link(view, start..end);
        }
        end.max(dot + 1)
    }

    /// Reads on from an `@`: a mention, if no address of mail is around it.
    fn mention(&mut self, view: &View<'_>, at: usize) -> usize {
        let text = &*view.text;
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let of_mail = |c: char| c.is_ascii_alphanumeric() || "._%+-@/".contains(c);
        let is_of_handle = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        let end = run_end(text, at + 1, is_of_handle);
        let handle = text.get(at + 1..end).unwrap_or_default();
        let handle = handle.trim_end_matches(['.', '-']);
        if before.is_some_and(of_mail) {
            // Behind the `@` of a mail address is its server.
            return end;
        }
        if !(2..=64).contains(&handle.len())
            || handle.starts_with(['.', '-'])
            || !handle.bytes().any(|b| b.is_ascii_alphabetic())
        {
            return end;
        }
        let mut until = at + 1 + handle.len();
        if let Some(server) = text.get(until..).and_then(|rest| rest.strip_prefix('@')) {
            let server = server
                .get(..run_end(server, 0, is_of_handle))
                .unwrap_or_default();
            let server = server.trim_end_matches(['.', '-']);
            if is_bare_link(server) || server.contains('.') && server.len() > 3 {
                until += 1 + server.len();
            }
        }
        if self.mentions > 0 {
            self.mentions -= 1;
            let handle = text.get(at + 1..until).unwrap_or_default();
            let handle = Destination::Mention(handle.to_ascii_lowercase());
            self.push(handle, view, at..until, Undone::default());
        }
        until.max(end)
    }

    /// Finds the wallets among the runs of letters, digits, `-` and `_`.
    fn wallets(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let (mut from, mut at) = (0, RUN_MIN - 1);
        while self.wallets > 0
            && let Some(byte) = bytes.get(at)
        {
            if !is_of_code(*byte) {
                at += RUN_MIN;
                continue;
            }
            let before = bytes.get(from..at).unwrap_or_default();
            let after = bytes.get(at..).unwrap_or_default();
            let start = at - before.iter().rev().take_while(|b| is_of_code(**b)).count();
            let end = at + after.iter().take_while(|b| is_of_code(**b)).count();
            if end - start >= RUN_MIN {
                self.wallets_in(text, start..end);
            }
            from = end;
            at = end + RUN_MIN;
        }
    }

    /// Reads a run as a wallet, or as several that `-` and `_` part.
    fn wallets_in(&mut self, text: &str, run: Range<usize>) {
        let whole = text.get(run.clone()).unwrap_or_default();
        if self.wallet(text, run.clone()) || !whole.contains(['-', '_']) {
            return;
        }
        let mut start = run.start;
        for part in whole.split(['-', '_']) {
            if part.len() >= RUN_MIN && self.wallets > 0 {
                self.wallet(text, start..start + part.len());
            }
            start += part.len() + 1;
        }
    }

    fn wallet(&mut self, text: &str, run: Range<usize>) -> bool {
        let (start, named) = match named_before(text, run.start) {
            Some((start, chain)) => (start, Some(chain)),
            None => (run.start, None),
        };
        let wallet = text
            .get(run.clone())
            .and_then(|run| wallet::in_run(run, named));
        let Some(wallet) = wallet else {
            return false;
        };
        self.wallets -= 1;
        self.found.push(FoundDestination {
            what: Destination::Wallet(wallet),
            original: start..run.end,
            undone: Undone::default(),
        });
        true
    }
}

/// Letters of the shortest run that is looked at as a wallet.
const RUN_MIN: usize = 25;

fn is_of_code(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// The chain whose name and colon stand before a place, and where its name begins.
fn named_before(text: &str, at: usize) -> Option<(usize, Chain)> {
    let before = text.get(..at)?.strip_suffix(':')?;
    let letters = before.bytes().rev().take(12);
    let len = letters.take_while(u8::is_ascii_alphabetic).count();
    let start = before.len() - len;
    Some((start, Chain::of_name(before.get(start..)?)?))
}

/// The marks of a text in ascending order, each kind looked for no further than needed.
#[derive(Default)]
struct Marks {
    /// The next of each kind: a position, or none to the end; not looked for yet at first.
    next: [Option<usize>; 1 + 1 + SPELT.len()],
    begun: bool,
}

/// Words for a dot as they are searched for.
const SPELT: [&str; 5] = ["dot", "DOT", "نقطة", "точка", "titik"];

static SPELT_FINDERS: LazyLock<[Finder<'static>; SPELT.len()]> =
    LazyLock::new(|| SPELT.map(Finder::new));

impl Marks {
    fn next(&mut self, text: &[u8], from: usize) -> Option<usize> {
        for kind in 0..self.next.len() {
            let Some(next) = self.next.get_mut(kind) else {
                continue;
            };
            if !self.begun || next.is_some_and(|at| at < from) {
                *next = match kind {
                    0 => next_ascii(text, from),
                    1 => next_wide(text, from),
                    _ => next_spelt(text, from, kind - 2),
                };
            }
        }
        self.begun = true;
        self.next.iter().flatten().min().copied()
    }
}

fn byte_at(text: &[u8], at: Option<usize>) -> u8 {
    at.and_then(|at| text.get(at)).copied().unwrap_or(b' ')
}

/// The next dot between letters, colon before slashes, or `@` before a handle.
fn next_ascii(text: &[u8], from: usize) -> Option<usize> {
    let mut from = from;
    loop {
        let at = from + memchr3(b'.', b':', b'@', text.get(from..)?)?;
        let (before, after) = (
            byte_at(text, at.checked_sub(1)),
            byte_at(text, Some(at + 1)),
        );
        let letter = |b: u8| b.is_ascii_alphanumeric() || b >= 0x80;
        let meant = match byte_at(text, Some(at)) {
            b'.' => {
                (letter(after) || b"])".contains(&after))
                    && (letter(before) || b"[(".contains(&before))
            }
            b':' => b"/]".contains(&after) || after == b'r' && before | 32 == b'x',
            _ => letter(after) || after == b'_',
        };
        if meant {
            return Some(at);
        }
        from = at + 1;
    }
}

/// The next full-width dot or colon.
fn next_wide(text: &[u8], from: usize) -> Option<usize> {
    let mut from = from;
    loop {
        let at = from + memchr2(0xe3, 0xef, text.get(from..)?)?;
        let wide = ["。", "｡", "．", "：", "＠"];
        let here = text.get(at..)?;
        if wide.iter().any(|dot| here.starts_with(dot.as_bytes())) {
            return Some(at);
        }
        from = at + 1;
    }
}

/// The next word for a dot that stands alone or in brackets.
fn next_spelt(text: &[u8], from: usize, which: usize) -> Option<usize> {
    let (finder, word) = (SPELT_FINDERS.get(which)?, SPELT.get(which)?);
    let mut from = from;
    loop {
        let at = from + finder.find(text.get(from..)?)?;
        let (before, after) = (
            byte_at(text, at.checked_sub(1)),
            byte_at(text, Some(at + word.len())),
        );
        if b" [(".contains(&before) && b" ])".contains(&after) && at > 0 {
            return Some(at);
        }
        from = at + word.len();
    }
}

/// The stretch around a mark that spaces and enclosing marks end, not before `from`. A word for a
/// dot reaches over the spaces around it.
fn stretch_around(text: &str, mark: usize, from: usize) -> Range<usize> {
    let mut start = before_space(text, mark, from);
    // The mark may lie in a word for a dot: then the stretch before it belongs to it.
    let word = text.get(start..).unwrap_or_default();
    let space = start.checked_sub(1).filter(|at| *at >= from);
    if let Some(space) = space
        && DOT_WORDS.iter().any(|dot| word.starts_with(dot))
        && text.get(space..).and_then(spelt_dot).is_some()
    {
        start = before_space(text, space, from);
    }
    let mut end = start;
    loop {
        let rest = text.get(end..).unwrap_or_default();
        end += rest.find(is_outside_links).unwrap_or(rest.len());
        let rest = text.get(end..).unwrap_or_default();
        match spelt_dot(rest) {
            Some(len) => end += len,
            None => return start..end,
        }
    }
}

fn before_space(text: &str, at: usize, from: usize) -> usize {
    let before = text.get(from..at).unwrap_or_default();
    let space = before
        .char_indices()
        .rev()
        .find(|(_, c)| is_outside_links(*c));
    from + space.map_or(0, |(at, c)| at + c.len_utf8())
}

/// Whether a character cannot be in a link as people write them.
pub(super) fn is_outside_links(c: char) -> bool {
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

const SCHEMES: [&str; 7] = ["https", "http", "hxxps", "hxxp", "tg", "ipfs", "ipns"];

fn ends_with(text: &str, end: &str) -> bool {
    let at = text.len().checked_sub(end.len());
    let last = at.and_then(|at| text.get(at..));
    last.is_some_and(|last| last.eq_ignore_ascii_case(end))
}

fn is_of_host(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '.' || c == '-' || !c.is_ascii() && c.is_alphanumeric()
}

/// Where the characters of a kind end that stand at a place.
fn run_end(text: &str, at: usize, is: impl Fn(char) -> bool) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    at + rest.find(|c| !is(c)).unwrap_or(rest.len())
}

/// Whether a letter is of a script that does not mix with Latin in a name, and looks like no Latin
/// letter: in `انضمexample.com` the name begins behind such letters.
fn is_foreign(c: char) -> bool {
    match c {
        '\0'..'\u{370}' => false,
        // Scripts from right to left, of which a stroke may look like an `l`.
        '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}' => {
            c.is_alphanumeric()
        }
        _ => c.is_alphanumeric() && imitated(c).is_none(),
    }
}

/// Where a bare host begins that a dot is in: at its first letter, or behind text of another script.
fn host_start(text: &str, from: usize, dot: usize) -> usize {
    let before = text.get(from..dot).unwrap_or_default();
    let run = before
        .char_indices()
        .rev()
        .take_while(|(_, c)| is_of_host(*c));
    let start = from + run.last().map_or(before.len(), |(at, _)| at);
    let label = text.get(start..dot).unwrap_or_default();
    let label_end = label.find('.').unwrap_or(label.len());
    let label = label.get(..label_end).unwrap_or_default();
    let foreign = label.char_indices().rev().find(|(_, c)| is_foreign(*c));
    let behind = foreign.map_or(0, |(at, c)| at + c.len_utf8());
    // A name that is all of another script is a name of its own.
    let ascii = label
        .get(behind..)
        .is_some_and(|rest| rest.bytes().any(|b| b.is_ascii_alphabetic()));
    let start = if ascii { start + behind } else { start };
    let marks = text.get(start..dot).map_or(0, |host| {
        host.len() - host.trim_start_matches(['-', '.']).len()
    });
    start + marks
}

/// Where a link without a scheme ends: behind its host if neither port nor path follows.
fn bare_end(text: &str, start: usize, host_end: usize) -> usize {
    let after = text.get(host_end..).unwrap_or_default();
    let port = after.strip_prefix(':').unwrap_or_default();
    let digits = port.bytes().take_while(u8::is_ascii_digit).count();
    let name_end = if digits > 0 {
        host_end + 1 + digits
    } else {
        host_end
    };
    let after = text.get(name_end..).unwrap_or_default();
    if after.starts_with(['/', '?', '#']) {
        return link_end(text, start, start);
    }
    let host = text.get(start..name_end).unwrap_or_default();
    start + host_cut(host).unwrap_or_else(|| trimmed(host).len())
}

/// Where a link ends that begins at `start` and whose host begins at `host`.
fn link_end(text: &str, start: usize, host: usize) -> usize {
    let most = floor(text, start + LEN_MAX + 1);
    let rest = text.get(host..most).unwrap_or_default();
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let name = rest.get(..authority).unwrap_or_default();
    // Before an `@` anything may stand; a name has none of these, so that the link ends there.
    let marks = [',', ';', '(', ')', '!', '*', '\''];
    let cut = name.find(marks).filter(|_| !name.contains('@'));
    let end = tail_end(rest, authority).min(cut.unwrap_or(rest.len()));
    let name = rest.get(..authority.min(end)).unwrap_or_default();
    let end = host + host_cut(name).unwrap_or(end);
    start + trimmed(text.get(start..end).unwrap_or_default()).len()
}

fn floor(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (at.saturating_sub(3)..=at)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

/// Where text of another script begins that touches a host's ending, as in `example.comانضم`.
fn host_cut(authority: &str) -> Option<usize> {
    if authority.is_ascii() {
        return None;
    }
    let ending = authority.trim_end_matches('.').rfind('.')? + 1;
    let letters = authority.get(ending..)?;
    let ascii = letters.find(|c: char| !c.is_ascii_alphanumeric())?;
    let known = letters.get(..ascii).filter(|ascii| !ascii.is_empty())?;
    let foreign = letters.get(ascii..)?.chars().next().is_some_and(is_foreign);
    let suffix = psl::suffix(known.to_ascii_lowercase().as_bytes()).is_some_and(|s| s.is_known());
    (foreign && (suffix || ENDINGS.contains(&known))).then_some(ending + ascii)
}

/// Where path, query and fragment end: before punctuation that addresses do not have, before a
/// second address, and where text of another script touches a Latin letter or digit.
fn tail_end(rest: &str, authority: usize) -> usize {
    let mut before = ' ';
    for (at, c) in rest.char_indices() {
        let ends = match c {
            '،' | '؛' | '؟' | '۔' | '。' | '、' | '，' | '；' | '！' | '？' | '）' | '」' | '…' => {
                true
            }
            ',' | ';' => rest.get(at + 1..).is_some_and(begins_address),
            _ if c.is_ascii() => false,
            _ => at > authority && before.is_ascii_alphanumeric() && is_foreign(c),
        };
        if ends {
            return at;
        }
        before = c;
    }
    rest.len()
}

fn begins_address(text: &str) -> bool {
    let start = text.get(..4).unwrap_or_default();
    ["http", "hxxp", "www.", "t.me"]
        .iter()
        .any(|s| start.eq_ignore_ascii_case(s))
}

/// Cuts off punctuation that ends a sentence, and closing brackets that were not opened inside.
fn trimmed(mut link: &str) -> &str {
    let count = |link: &str, c: u8| link.bytes().filter(|b| *b == c).count();
    let mut round: Option<usize> = None;
    let mut square: Option<usize> = None;
    while let Some(last) = link.chars().next_back() {
        // How many closing brackets are too many, counted once.
        let surplus = match last {
            ')' => round.get_or_insert_with(|| count(link, b')').saturating_sub(count(link, b'('))),
            ']' => {
                square.get_or_insert_with(|| count(link, b']').saturating_sub(count(link, b'[')))
            }
            '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '*' | '_' | '~' | '،' | '؛' | '؟' | '…'
            | '。' | '、' | '’' | '۔' => &mut 1,
            c if is_hidden(c) => &mut 1,
            _ => break,
        };
        if *surplus == 0 {
            break;
        }
        if matches!(last, ')' | ']') {
            *surplus -= 1;
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

/// Whether a word may be the name of a host, by its form.
fn is_bare_host(name: &str) -> bool {
    let name = name.trim_end_matches(['.', '-']);
    let well_formed = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    let Some((others, ending)) = name.rsplit_once('.') else {
        return false;
    };
    // A name has 253 letters at most (RFC 1035), each of up to four bytes here.
    name.len() <= 253 * 4
        && (2..=24).contains(&ending.chars().count())
        && ending.chars().all(char::is_alphabetic)
        && others.split('.').all(well_formed)
}

/// Whether a word without a scheme looks like `host.ending`, with a path or a common ending.
fn is_bare_link(link: &str) -> bool {
    let end = link.find(['/', '?', '#']).unwrap_or(link.len());
    let (host, tail) = link.split_at_checked(end).unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if is_port(port) => name,
        Some(_) => return false,
        None => host,
    };
    let www = name
        .get(..4)
        .is_some_and(|start| start.eq_ignore_ascii_case("www."));
    let ending = name.rsplit('.').next().unwrap_or_default();
    let common = ENDINGS
        .iter()
        .any(|known| known.eq_ignore_ascii_case(ending));
    is_bare_host(name) && (tail.len() > 1 || www || common)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(what: &Destination) -> String {
        match what {
            Destination::Link(url) => url.to_string(),
            Destination::Invite(invite) => invite.to_string(),
            Destination::Wallet(wallet) => wallet.to_string(),
            Destination::Mention(handle) => format!("@{handle}"),
        }
    }

    /// What is found, each as `part = destination (what was undone)`.
    #[track_caller]
    fn check(text: &str, expect: &[&str]) {
        let found: Vec<String> = find_destinations(text)
            .into_iter()
            .map(|f| {
                let undone: Vec<_> = f.undone.names().collect();
                let undone = if undone.is_empty() {
                    String::new()
                } else {
                    format!(" ({})", undone.join(" "))
                };
                format!("{} = {}{undone}", &text[f.original.clone()], shown(&f.what))
            })
            .collect();
        assert_eq!(found, expect, "in {text:?}");
    }

    #[test]
    fn text_that_touches_a_link_is_no_part_of_it() {
        let a = "https://example.com/a = https://example.com/a";
        check("انضمhttps://example.com/aانضم", &[a]);
        check("«https://example.com/a»؛", &[a]);
        check("https://example.com/a،https://example.com/a؟", &[a, a]);
        check("https://example.com/a,https://example.com/a", &[a, a]);
        check(
            "https://example.comانضم",
            &["https://example.com = https://example.com/"],
        );
        check(
            "انضمexample.comانضم",
            &["example.com = https://example.com/"],
        );
        check("https://example.com/a。次の", &[a]);
        check("смотриexample.com", &["example.com = https://example.com/"]);
        check(
            "https://example.com/صفحة-1",
            &["https://example.com/صفحة-1 = https://example.com/%D8%B5%D9%81%D8%AD%D8%A9-1"],
        );
        check("пример.com", &["пример.com = https://xn--e1afmkfd.com/"]);
    }

    #[test]
    fn what_hides_links_is_undone() {
        let a = "https://example.com/a";
        check(
            "hxxps://example[.]com/a",
            &[&format!("hxxps://example[.]com/a = {a} (defanged)")],
        );
        check(
            "example[dot]com/a",
            &[&format!("example[dot]com/a = {a} (defanged)")],
        );
        check(
            "https[:]//example(.)com/a",
            &[&format!("https[:]//example(.)com/a = {a} (defanged)")],
        );
        check(
            "see example dot com/a.",
            &[&format!("example dot com/a = {a} (spelt)")],
        );
        check(
            "www.example dot com",
            &["www.example dot com = https://www.example.com/ (spelt)"],
        );
        check(
            "a (dot) b [.] com now",
            &["a (dot) b [.] com = https://a.b.com/ (spelt)"],
        );
        check(
            "انظر example نقطة com الآن",
            &["example نقطة com = https://example.com/ (spelt)"],
        );
        check(
            "exam\u{200b}ple.co\u{ad}m/a\u{200b}",
            &[&format!("exam\u{200b}ple.co\u{ad}m/a = {a} (hidden)")],
        );
        check(
            "ｅｘａｍｐｌｅ．ｃｏｍ／ａ",
            &[&format!("ｅｘａｍｐｌｅ．ｃｏｍ／ａ = {a} (wide)")],
        );
        check("example。com/a", &[&format!("example。com/a = {a} (wide)")]);
        check(
            "https：//example.com/a",
            &[&format!("https：//example.com/a = {a} (wide)")],
        );
    }

    #[test]
    fn words_that_are_words_stay_words() {
        for text in [
            "connect the dot me",
            "the dot com bubble. dot",
            "(dot) dot",
            "a dot b",
            "someone@example.com",
            "mail someone@mail.example.com now",
            "x://y.com/z.com",
            "bitcoin:",
            "@ @a @1 a@b",
            "句子。句子",
            "to be continued....now",
        ] {
            let expect: &[&str] = if text.starts_with("the dot com") {
                &["the dot com = https://the.com/ (spelt)"]
            } else {
                &[]
            };
            check(text, expect);
        }
    }

    #[test]
    fn all_kinds_are_found_in_one_text_in_order() {
        check(
            "@Grey_Banner: t.me/+AbCdEfGh1234, bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4 matrix:r/grey:chat.example @ab@c.example.",
            &[
                "@Grey_Banner = @grey_banner",
                "t.me/+AbCdEfGh1234 = https://t.me/+AbCdEfGh1234",
                "t.me/+AbCdEfGh1234 = telegram:+AbCdEfGh1234",
                "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4 = bitcoin:bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
                "matrix:r/grey:chat.example = matrix:#grey:chat.example",
                "@ab@c.example = @ab@c.example",
            ],
        );
    }

    #[test]
    fn wallets_are_found_when_their_checksum_is_right() {
        let eth = "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed";
        let same = "ethereum:0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
        check(&format!("إلى{eth}هنا"), &[&format!("{eth} = {same}")]);
        check("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD", &[]);
        check(
            &format!("ethereum:{eth}?value=1"),
            &[&format!("ethereum:{eth} = {same}")],
        );
        check(
            "_1BpEi6DfDAUFd7GtittLSdBeYJvcoaVggu_",
            &["1BpEi6DfDAUFd7GtittLSdBeYJvcoaVggu = bitcoin:1BpEi6DfDAUFd7GtittLSdBeYJvcoaVggu"],
        );
        check("1BpEi6DfDAUFd7GtittLSdBeYJvcoaVggv", &[]);
        let sol = "11111111111111111111111111111111";
        check(sol, &[]);
        check(
            &format!("sol:{sol}"),
            &[&format!("sol:{sol} = solana:{sol}")],
        );
        let ton = "EQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAM9c";
        check(ton, &[&format!("{ton} = ton:{ton}")]);
    }

    #[test]
    fn hostile_texts_are_passed_in_time_that_grows_with_them() {
        let long = |part: &str| part.repeat(200_000 / part.len());
        for part in [
            "a",
            "a.",
            "a.b/",
            "@a",
            "https://",
            "https://a.example/",
            ")",
            "a.example)",
            "-",
            "[.]",
            " dot ",
            "a dot ",
            "\u{200b}",
            "。",
            "ا.",
            "x_",
            "1BpEi6DfDAUFd7GtittLSdBeYJvcoaVggv ",
            "exаmple.",
            "://",
            "a@",
        ] {
            let text = long(part);
            assert!(find_destinations(&text).len() <= 2 * LINKS_MAX + MENTIONS_MAX + WALLETS_MAX);
        }
    }

    #[test]
    fn each_kind_is_counted_up_to_its_cap() {
        let text = "@banner t.me/banner bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4 ".repeat(1000);
        let found = find_destinations(&text);
        let count = |is: fn(&Destination) -> bool| found.iter().filter(|f| is(&f.what)).count();
        assert_eq!(count(|d| matches!(d, Destination::Link(_))), LINKS_MAX);
        assert_eq!(count(|d| matches!(d, Destination::Invite(_))), LINKS_MAX);
        assert_eq!(
            count(|d| matches!(d, Destination::Mention(_))),
            MENTIONS_MAX
        );
        assert_eq!(count(|d| matches!(d, Destination::Wallet(_))), WALLETS_MAX);
    }

    /// Found by fuzzing: what stood behind it decided what was found.
    #[test]
    fn what_stands_behind_a_link_is_not_part_of_it() {
        check("www.CvҊut.", &["www.Cv = https://www.cv/"]);
        check("tw-a-.co", &[]);
        check("tw-a-.co@5", &[]);
        check("tw-a.co", &["tw-a.co = https://tw-a.co/"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn what_is_found_is_found_again_in_its_own_bytes(
            text in "([a-zA-Z0-9é./:\\[\\]()?#%@ اа\u{200b}。ｅ．_-]|https?://|hxxp|www\\.|\\.com|t\\.me/|matrix:r/| dot |\\[\\.\\]|,|،|0x|bitcoin:|1BpEi6DfDAUFd7GtittLSdBeYJvcoaVggu){0,40}",
        ) {
            let found = find_destinations(&text);
            prop_assert!(found.is_sorted_by_key(|f| f.original.start));
            for f in found {
                let part = text.get(f.original.clone());
                prop_assert!(part.is_some_and(|part| !part.is_empty()));
                let again = find_destinations(part.unwrap());
                prop_assert!(again.iter().any(|a| a.what == f.what), "{:?} in {:?} gives {:?}", f, part, again);
            }
        }

        #[test]
        fn any_text_is_searched(text: String) {
            for f in find_destinations(&text) {
                prop_assert!(text.get(f.original).is_some());
            }
        }
    }
}
