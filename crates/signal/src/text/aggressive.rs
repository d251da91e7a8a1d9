//! What the aggressive level finds beyond the folded one.
//!
//! From each word of the text its own trie is followed along every reading of the place: the word
//! with symbols at its edges or between its parts (`$logan`, `b@nner`), the parts of a word put
//! together (`gr-ey`, `b a n n e r`), a word in Latin letters as an Arabic one. What is reached is
//! compared letter by letter, and has to be long enough for what was undone.

use super::arabizi;
use super::chars::script;
use super::index::{Member, PhraseHit, without_vowel_signs};
use super::loose::{class, is_leet_symbol, loose_hash, spelling};
use super::normalise::Normalised;
use super::search::Search;
use super::term::Level;
use super::trie::ROOT;
use super::words::{Manner, Stretch, Word, WordHash, without_proclitics};

/// Fewest letters of a phrase that is found at this level.
const LETTERS_MIN: usize = 4;
/// Fewest letters of one that is found in pieces, or with letters repeated.
const PIECES_LETTERS_MIN: usize = 6;
/// Most symbols in one place of a word.
const SYMBOLS_MAX: usize = 3;
/// Most parts of a word with symbols or apostrophes between them.
const PARTS_MAX: usize = 4;
/// Most pieces of a word.
const PIECES_MAX: usize = 24;
/// Most bytes of a word in pieces.
const PIECES_BYTES_MAX: u32 = 64;
/// What pieces of a word are set apart with, besides spaces.
const GAPS: &str = ".-_*|·•~+=/\\,،:'’";
/// Most characters between two pieces.
const GAP_MAX: usize = 3;
/// Most places of the trie visited from one word of the text, so that no text takes long.
const VISITS_MAX: u32 = 48;
/// Most readings compared letter by letter in one text.
const COMPARED_MAX: u32 = 50_000;

/// A reading of one word of a phrase.
#[derive(Debug, Clone, Copy)]
struct Step {
    /// The words of the text.
    from: u32,
    to: u32,
    /// In the plain key.
    plain: Stretch,
    how: How,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// The plain key as it is.
    Plain,
    /// A reading that the folded level has too: its text in the buffer.
    Read(Stretch, Manner),
    /// Without a particle, and with what writing dropped after it.
    Bare(&'static str),
    /// The words without what is between them.
    Pieces(Pieces),
    Arabizi,
}

/// What kind of pieces a word is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pieces {
    /// Parted by punctuation, or single letters.
    Sure,
    /// Two parts with a space between, which are two words more often than not.
    Halves,
}

/// Adds the hits.
pub(super) fn find(search: &mut Search<'_, '_>) {
    let mut walk = Walk::new(search.text);
    for at in 0..walk.text.words().len() as u32 {
        walk.begin_at(search, at);
    }
}

struct Walk<'t> {
    text: &'t Normalised,
    visits: u32,
    compared: u32,
    /// The readings at the words of the current path.
    edges: Vec<(u64, Step)>,
    steps: Vec<Step>,
    hashes: Vec<u64>,
}

impl<'t> Walk<'t> {
    fn new(text: &'t Normalised) -> Self {
        Self {
            text,
            visits: 0,
            compared: 0,
            edges: Vec::new(),
            steps: Vec::new(),
            hashes: Vec::new(),
        }
    }

    /// Looks for what begins at a word; gives how many places of the trie that took.
    fn begin_at(&mut self, search: &mut Search<'_, 't>, at: u32) -> u32 {
        self.visits = 0;
        self.follow(search, at, ROOT);
        self.visits
    }

    fn word(&self, at: u32) -> Option<&'t Word> {
        self.text.words().get(at as usize)
    }

    fn plain_text(&self) -> &'t str {
        self.text.plain().text()
    }

    fn slice(&self, stretch: Stretch) -> &'t str {
        self.text.plain().slice(stretch)
    }

    /// Follows the trie from a node along the readings of the text from a word on.
    fn follow(&mut self, search: &mut Search<'_, 't>, at: u32, node: u32) {
        if self.visits == VISITS_MAX || self.compared == COMPARED_MAX {
            return;
        }
        self.visits += 1;
        let base = self.edges.len();
        self.add_edges(at, search.index.arabizi > 0);
        let mut next = base;
        while let Some((hash, step)) = self.edges.get(next).copied() {
            next += 1;
            let Some(child) = search.index.loose.child(node, hash) else {
                continue;
            };
            self.steps.push(step);
            if child.has_ends {
                self.arrive(search, child.node);
            }
            if child.goes_on {
                self.follow(search, step.to, child.node);
            }
            self.steps.pop();
        }
        self.edges.truncate(base);
    }

    fn add_edges(&mut self, at: u32, with_arabizi: bool) {
        let Some(word) = self.word(at) else { return };
        let step = Step {
            from: at,
            to: at + 1,
            plain: word.plain,
            how: How::Plain,
        };
        let hash = loose_hash(self.slice(word.plain).chars());
        self.edges.push((hash, step));
        for reading in self.text.readings_at(at) {
            let hash = loose_hash(self.text.buffered(reading.text).chars());
            let how = How::Read(reading.text, reading.manner);
            let to = reading.to;
            self.edges.push((hash, Step { to, how, ..step }));
        }
        if self.steps.is_empty() && word.scripts == script::ARABIC {
            self.add_bare(step, word);
        }
        if word.scripts & !script::LATIN == 0 {
            self.add_symbols(step, word);
            if with_arabizi {
                self.add_arabizi(step, word);
            }
        }
        self.add_pieces(step, word);
    }

    fn add_bare(&mut self, step: Step, word: &Word) {
        let plain = self.slice(word.plain);
        for (cut, put_back, rest) in without_proclitics(plain, word.scripts) {
            let hash = loose_hash(put_back.chars().chain(rest.chars()));
            let plain = (word.plain.0 + cut as u32, word.plain.1);
            let how = How::Bare(put_back);
            self.edges.push((hash, Step { plain, how, ..step }));
        }
    }

    /// The word with the symbols before and after it, and with parts joined to it by symbols.
    fn add_symbols(&mut self, step: Step, word: &Word) {
        let lead = self.symbols_before(word.plain.0);
        let mut last = *word;
        for to in step.to..step.to + PARTS_MAX as u32 {
            let trail = self.symbols_after(last.plain.1);
            let starts = [word.plain.0, word.plain.0 - lead];
            let ends = [last.plain.1, last.plain.1 + trail];
            for &start in starts.iter().take(1 + usize::from(lead > 0)) {
                for &end in ends.iter().take(1 + usize::from(trail > 0)) {
                    let plain = (start, end);
                    if plain != word.plain {
                        let hash = loose_hash(self.slice(plain).chars());
                        self.edges.push((hash, Step { to, plain, ..step }));
                    }
                }
            }
            match self.word(to) {
                Some(next)
                    if trail > 0
                        && next.plain.0 == last.plain.1 + trail
                        && next.scripts & !script::LATIN == 0 =>
                {
                    last = *next;
                }
                _ => break,
            }
        }
    }

    /// Bytes of the symbols that end where a word begins, unless they belong to a word before.
    fn symbols_before(&self, start: u32) -> u32 {
        let before = self.slice((0, start));
        let symbols = before.chars().rev().take_while(|c| is_leet_symbol(*c));
        let (count, bytes) = symbols.fold((0, 0), |(n, bytes), c| (n + 1, bytes + c.len_utf8()));
        let joined = before
            .get(..before.len() - bytes)
            .and_then(|rest| rest.chars().next_back())
            .is_some_and(char::is_alphanumeric);
        if joined || count > SYMBOLS_MAX {
            0
        } else {
            bytes as u32
        }
    }

    fn symbols_after(&self, end: u32) -> u32 {
        let after = self.plain_text().get(end as usize..).unwrap_or_default();
        let symbols = after.chars().take_while(|c| is_leet_symbol(*c));
        let (count, bytes) = symbols
            .take(SYMBOLS_MAX + 1)
            .fold((0, 0), |(n, bytes), c| (n + 1, bytes + c.len_utf8()));
        if count > SYMBOLS_MAX { 0 } else { bytes as u32 }
    }

    /// The word as an Arabic one: with parts joined by apostrophes, and with an article before it.
    fn add_arabizi(&mut self, step: Step, word: &Word) {
        self.add_arabizi_from(step, word);
        let Some(next) = self.word(step.to) else {
            return;
        };
        let article = self.slice(word.plain);
        let gap = self.slice((word.plain.1, next.plain.0));
        if matches!(gap, " " | "-") && is_article(article, self.slice(next.plain)) {
            let step = Step {
                to: step.to + 1,
                ..step
            };
            self.add_arabizi_from(step, next);
        }
    }

    /// The skeletons of the word and its parts, of a step that may begin earlier.
    fn add_arabizi_from(&mut self, step: Step, word: &Word) {
        let mut last = *word;
        for to in step.to..step.to + PARTS_MAX as u32 {
            let mut hashes = std::mem::take(&mut self.hashes);
            arabizi::latin_hashes(self.slice((word.plain.0, last.plain.1)), &mut hashes);
            let plain = (step.plain.0, last.plain.1);
            let how = How::Arabizi;
            let step = Step {
                to,
                plain,
                how,
                ..step
            };
            self.edges.extend(hashes.iter().map(|hash| (*hash, step)));
            self.hashes = hashes;
            let Some(next) = self.word(to) else { break };
            let mut gap = self.slice((last.plain.1, next.plain.0)).chars();
            let joined = gap.next().is_some_and(arabizi::is_apostrophe) && gap.next().is_none();
            if !joined || next.scripts & !script::LATIN != 0 {
                break;
            }
            last = *next;
        }
    }

    /// The word together with the words after it, as pieces of one.
    fn add_pieces(&mut self, step: Step, word: &Word) {
        let mut hash = WordHash::new();
        let push = |hash: &mut WordHash, text: &str| {
            text.chars().filter_map(class).for_each(|c| hash.push(c));
        };
        push(&mut hash, self.slice(word.plain));
        let (mut last, mut spaces, mut singles) = (*word, false, word.single);
        for to in step.to..step.to + PIECES_MAX as u32 {
            let Some(next) = self.word(to) else { break };
            let Some(space) = self.gap(last.plain.1, next.plain.0) else {
                break;
            };
            spaces |= space;
            singles &= next.single;
            let halves = to == step.to;
            if next.plain.1 - step.plain.0 > PIECES_BYTES_MAX || spaces && !singles && !halves {
                break;
            }
            push(&mut hash, self.slice(next.plain));
            let pieces = if spaces && !singles {
                Pieces::Halves
            } else {
                Pieces::Sure
            };
            let step = Step {
                to: to + 1,
                plain: (step.plain.0, next.plain.1),
                how: How::Pieces(pieces),
                ..step
            };
            self.edges.push((hash.finish(), step));
            last = *next;
        }
    }

    /// Whether what is between two pieces has space in it; nothing if it is not what pieces are
    /// parted with.
    fn gap(&self, from: u32, to: u32) -> Option<bool> {
        let gap = self.slice((from, to));
        let allowed = gap.chars().all(|c| c.is_whitespace() || GAPS.contains(c));
        let fits = allowed && !gap.is_empty() && gap.chars().nth(GAP_MAX).is_none();
        fits.then(|| gap.chars().any(char::is_whitespace))
    }

    /// Reports the phrases that end at a node.
    fn arrive(&mut self, search: &mut Search<'_, 't>, node: u32) {
        let index = search.index;
        for end in index.loose.ends(node) {
            let Some((key, member)) = search.wanted(end >> 1) else {
                continue;
            };
            if self.compared == COMPARED_MAX {
                return;
            }
            self.compared += 1;
            let Some(undone) = self.compare(member) else {
                continue;
            };
            if undone.is_likely(member) {
                self.hit(search, key, member, &undone);
            }
        }
    }

    /// What has to be undone for the steps to be the phrase, if they can be.
    fn compare(&self, member: &Member) -> Option<Undone> {
        let mut undone = Undone::default();
        // In the trie for Latin letters are only phrases whose two forms have as many words.
        let (mut folded, mut strict) = (member.folded.split(' '), member.strict().split(' '));
        for step in &self.steps {
            let (folded, strict) = (folded.next()?, strict.next());
            undone.words += 1;
            match step.how {
                How::Arabizi => {
                    let arabic = without_vowel_signs(strict?);
                    let spelt = arabizi::spells(self.slice(step.plain), &arabic)?;
                    undone.arabizi += 1;
                    undone.score += spelt.score;
                    undone.digits |= spelt.digits;
                }
                _ => self.compare_letters(step, folded, &mut undone)?,
            }
        }
        folded.next().is_none().then_some(undone)
    }

    fn compare_letters(&self, step: &Step, folded: &str, undone: &mut Undone) -> Option<()> {
        let phrase: Vec<char> = folded.chars().collect();
        let said = spelling(&self.letters(step), &phrase)?;
        undone.leet += said.leet;
        undone.merged |= said.merged;
        undone.repeated |= said.repeated;
        match step.how {
            // A short word in halves is two words (`stay a way`) more often than one.
            How::Pieces(Pieces::Halves) if phrase.len() < PIECES_LETTERS_MIN => return None,
            How::Pieces(pieces) => {
                undone.gaps += step.to - step.from - 1;
                undone.halves |= pieces == Pieces::Halves;
            }
            How::Bare(_) => undone.bare = true,
            How::Read(_, Manner::Whole(_)) => undone.imitations += phrase.len() as u32,
            How::Plain | How::Read(..) | How::Arabizi => {}
        }
        Some(())
    }

    /// The letters of a step.
    fn letters(&self, step: &Step) -> Vec<char> {
        match step.how {
            How::Plain | How::Arabizi => self.slice(step.plain).chars().collect(),
            How::Read(text, _) => self.text.buffered(text).chars().collect(),
            How::Bare(put_back) => {
                let rest = self.slice(step.plain).chars();
                put_back.chars().chain(rest).collect()
            }
            How::Pieces(_) => {
                let words = self.text.words().get(step.from as usize..step.to as usize);
                let pieces = words.unwrap_or_default().iter();
                pieces
                    .flat_map(|word| self.slice(word.plain).chars())
                    .collect()
            }
        }
    }

    fn hit(&self, search: &mut Search<'_, 't>, key: u64, member: &Member, undone: &Undone) {
        let (Some(first), Some(last)) = (self.steps.first(), self.steps.last()) else {
            return;
        };
        let plain = self.text.plain();
        let start = match first.how {
            How::Read(..) => self.word(first.from).map(|word| word.original.0 as usize),
            _ => None,
        };
        let end = match last.how {
            How::Read(..) => self.word(last.to - 1).map(|word| word.original.1 as usize),
            _ => None,
        };
        let span = |(from, to): Stretch| plain.original_span(from as usize, to as usize);
        let start = start.unwrap_or_else(|| span(first.plain).start);
        let original = start..end.unwrap_or_else(|| span(last.plain).end);
        let mut evasions = self.text.evasions_in(&original, false);
        evasions.leet += undone.leet;
        evasions.arabizi += undone.arabizi;
        evasions.spacing += undone.gaps.saturating_sub(evasions.spacing);
        evasions.look_alikes += undone.imitations;
        evasions.elongation += u32::from(undone.repeated && evasions.elongation == 0);
        let hit = PhraseHit {
            key,
            level: Level::Aggressive,
            original,
            evasions,
            read: Some(member.folded.to_string()),
        };
        search.add(member, hit);
    }
}

/// Whether a word is the article of the next, written apart: `al`, `el`, or with the next word's
/// first consonant for the l.
fn is_article(word: &str, next: &str) -> bool {
    let Some(rest) = word.strip_prefix(['a', 'e', 'i', 'u']) else {
        return word == "l";
    };
    rest == "l" || !rest.is_empty() && rest.len() <= 2 && next.starts_with(rest)
}

/// What one way of reading a phrase undoes.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one thing that was undone or not"
)]
struct Undone {
    words: usize,
    leet: u32,
    merged: bool,
    repeated: bool,
    /// Gaps between pieces.
    gaps: u32,
    halves: bool,
    bare: bool,
    /// Letters of words of one script that are read as another's.
    imitations: u32,
    /// Words in Latin letters read as Arabic.
    arabizi: u32,
    score: u32,
    digits: bool,
}

impl Undone {
    /// Whether the phrase is long enough for what was undone. What needs nothing of this level undone
    /// was found at a lower one.
    fn is_likely(&self, member: &Member) -> bool {
        let changed =
            self.leet > 0 || self.merged || self.repeated || self.gaps > 0 || self.arabizi > 0;
        let letters = member.folded.chars().filter(|c| c.is_alphabetic()).count();
        let least = if self.repeated || self.gaps > 0 {
            PIECES_LETTERS_MIN
        } else {
            LETTERS_MIN
        };
        let digits = if self.digits { arabizi::DIGIT_SCORE } else { 0 };
        let believed = self.arabizi == 0 || self.score + digits >= arabizi::SCORE_MIN;
        let several = self.words > 1;
        let in_company = several || !self.halves && !self.bare && self.imitations == 0;
        changed && letters >= least && believed && in_company
    }
}

#[cfg(test)]
mod tests {
    use super::{COMPARED_MAX, VISITS_MAX, Walk};
    use crate::Phrase;
    use crate::text::search::Search;
    use crate::text::{Level, PhraseIndex, TEXT_MAX, TermOptions, normalise};

    fn options() -> TermOptions {
        TermOptions {
            level: Level::Aggressive,
            ..TermOptions::default()
        }
    }

    /// What a phrase is found in, as `LEVEL: ORIGINAL (EVASIONS)`.
    #[track_caller]
    fn check(phrase: &str, text: &str, expect: &[&str]) {
        let mut index = PhraseIndex::new();
        index
            .insert_with(0, &Phrase::parse(phrase).unwrap(), &options())
            .unwrap();
        let mut hits = Vec::new();
        index.find(&normalise(text), &mut hits);
        let said = hits.iter().map(|hit| {
            let original = &text[hit.original.clone()];
            format!("{}: {original} ({})", hit.level, hit.evasions)
        });
        assert_eq!(said.collect::<Vec<_>>(), expect, "{phrase} in {text}");
    }

    /// Places of the trie visited and readings compared in a text.
    fn work(index: &PhraseIndex, text: &str) -> (u64, u32) {
        let text = normalise(text);
        let mut search = Search::new(index, &text);
        let mut walk = Walk::new(&text);
        let mut visits = 0;
        for at in 0..text.words().len() as u32 {
            visits += u64::from(walk.begin_at(&mut search, at));
        }
        (visits, walk.compared)
    }

    // Phrases and texts made for each other: every piece of a text begins and continues many phrases.
    #[test]
    fn work_grows_with_the_text_and_not_with_what_it_may_be_read_as() {
        let mut index = PhraseIndex::new();
        let words = ["aa", "abab", "s1s1", "banner", "راية", "كلكل", "غضب", "a"];
        let mut phrases = Vec::new();
        for word in words {
            phrases.extend((2..32).map(|n| vec![word; n].join(" ")));
            phrases.extend((2..24).map(|n| word.repeat(n)));
        }
        for (key, phrase) in (0..).zip(&phrases) {
            let phrase = Phrase::parse(phrase).unwrap();
            index.insert_with(key, &phrase, &options()).unwrap();
        }
        let pieces = [
            "a ",
            "a.",
            "a-a ",
            "4@ ",
            "@",
            "4b4b ",
            "ab ab ",
            "$1s! ",
            "b4nner ",
            "ban.ner ",
            "raya ",
            "raya'",
            "kalkal ",
            "k",
            "3'a9'ab ",
            "'",
            "وراية ",
            "aа ",
            "l1!|",
            "كل ",
            "al el ar ",
        ];
        for piece in pieces {
            let texts = [1, 4].map(|part| piece.repeat(TEXT_MAX / 4 * part / piece.len()));
            let [short, long] = texts.map(|text| {
                let words = normalise(&text).words().len() as u64;
                let (visits, compared) = work(&index, &text);
                assert!(visits <= words * u64::from(VISITS_MAX), "{piece:?}");
                assert!(compared <= COMPARED_MAX, "{piece:?}");
                visits
            });
            assert!(long <= 5 * short + 100, "{piece:?}: {short}, then {long}");
        }
    }

    #[test]
    fn leet() {
        let grey = "grey banner";
        check(grey, "gr3y banner", &["aggressive: gr3y banner (leet 1)"]);
        check(
            grey,
            "x gr3y b4nn3r y",
            &["aggressive: gr3y b4nn3r (leet 3)"],
        );
        check(grey, "6r€y b@nn3r!", &["aggressive: 6r€y b@nn3r (leet 4)"]);
        check(grey, "GR3Y B@NNER", &["aggressive: GR3Y B@NNER (leet 2)"]);
        check(grey, "grey banner", &["strict: grey banner (none)"]);
        check(grey, "gr3уbanner", &[]);
        check(
            grey,
            "gr3у banner",
            &["aggressive: gr3у banner (look alikes 1, leet 1)"],
        );
        check("slogan", "the $logan", &["aggressive: $logan (leet 1)"]);
        check("slogan", "the $1ogan", &["aggressive: $1ogan (leet 2)"]);
        check("slogans", "slogan$", &["aggressive: slogan$ (leet 1)"]);
        check(
            "slogan",
            "slogan! slogan|x",
            &["strict: slogan (none)", "strict: slogan (none)"],
        );
        check("covid19", "c0vid19", &["aggressive: c0vid19 (leet 1)"]);
        check("teams", "team5", &[]);
        check("sam", "at 5am", &[]);
        check("aa bb", "44 88", &[]);
    }

    #[test]
    fn pieces() {
        let grey = "rise under the grey banner";
        check(
            grey,
            "rise under the g r e y b a n n e r",
            &["aggressive: rise under the g r e y b a n n e r (spacing 9)"],
        );
        let grey = "grey banner";
        check(
            grey,
            "gr-ey ban_ner",
            &["aggressive: gr-ey ban_ner (spacing 2)"],
        );
        check(
            grey,
            "grey ban.ner",
            &["aggressive: grey ban.ner (spacing 1)"],
        );
        check(
            grey,
            "grey ba nner",
            &["aggressive: grey ba nner (spacing 1)"],
        );
        check(
            grey,
            "gr-3y banner",
            &["aggressive: gr-3y banner (spacing 1, leet 1)"],
        );
        check(grey, "grey ba nn er", &[]);
        check("together", "to get her", &[]);
        check("stay away", "stay a way", &[]);
        check("apartment", "a part-ment", &[]);
        check("anyone", "any one", &[]);
        check("banner", "ban.ner", &["aggressive: ban.ner (spacing 1)"]);
        check("grey", "gr.ey", &[]);
    }

    #[test]
    fn repeated_letters_and_neighbouring_languages() {
        check(
            "grey banner",
            "greyy bannerr",
            &["aggressive: greyy bannerr (elongation 1)"],
        );
        check("later", "latter", &[]);
        check("god", "good", &[]);
        check("راية الرماد", "راية الرماذ", &[]);
        check(
            "رئيس الجمعية",
            "رييس الجمعية",
            &["aggressive: رييس الجمعية (none)"],
        );
        check(
            "پرچم خاکستری",
            "برجم خاكسترى",
            &["aggressive: برجم خاكسترى (none)"],
        );
        check("ماء", "ما هذا", &[]);
    }

    #[test]
    fn arabic_in_latin_letters() {
        let banner = "راية الرماد";
        for written in [
            "rayat alramad",
            "rayat al ramad",
            "raya el-ramad",
            "rayet ar-ramad",
            "Rayat Arramad",
        ] {
            check(
                banner,
                &format!("ya {written} ya"),
                &[&format!("aggressive: {written} (arabizi 2)")],
            );
        }
        check(banner, "raya ramad", &[]);
        check(
            "غضب الرماد",
            "3'a9'ab elramad",
            &["aggressive: 3'a9'ab elramad (arabizi 2)"],
        );
        check("خليفة", "el khalifa", &[]);
        check("خليفة", "5alifa", &["aggressive: 5alifa (arabizi 1)"]);
        check("خليفة", "khalifa", &[]);
    }
}
