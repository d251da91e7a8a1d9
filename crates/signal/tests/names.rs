//! What `docs/text-names.md` says of names holds: its tables are read and tried row by row.
//!
//! The evaluation generates 2,000 made-up names, ten evasive variants of each and 20,000 names of
//! the same kind that are nobody's return, all from a fixed seed. `MANARA_PRINT=1 cargo test -p
//! manara-signal --test names -- --nocapture` prints its table as the document has it.

use manara_signal::name::{ADDED_WORDS, FURTHER, Name, NameIndex, SCORE_DEFAULT, compare};
use std::collections::HashSet;

const DOC: &str = include_str!("../../../docs/text-names.md");

/// The rows of the table after a heading, as cells.
fn table(heading: &str) -> Vec<Vec<&'static str>> {
    let (_, after) = DOC
        .split_once(&format!("## {heading}\n"))
        .expect("the heading");
    let section = after.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    let cells = |row: &'static str| row.trim_matches('|').split('|').map(plain).collect();
    rows.map(cells).collect()
}

fn plain(cell: &str) -> &str {
    cell.trim().trim_matches('`')
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn each_reason_costs_what_the_document_says() {
    let rows = table("The score");
    assert_eq!(rows.len(), 14);
    for row in rows {
        let [reason, cost, alone, a, b] = row[..] else {
            panic!("{row:?}")
        };
        let found = compare(&name(a), &name(b)).unwrap_or_else(|| panic!("{row:?}"));
        let dearest = found
            .reasons
            .iter()
            .max_by_key(|reason| reason.cost())
            .unwrap();
        assert!(dearest.to_string().starts_with(reason), "{row:?}: {found}");
        assert_eq!(dearest.cost().to_string(), cost, "{row:?}: {found}");
        assert_eq!((100 - dearest.cost()).to_string(), alone);
        let expect = 100 - dearest.cost() - FURTHER * (found.reasons.len() as u8 - 1);
        assert_eq!(found.score, expect, "{row:?}: {found}");
    }
}

#[test]
fn each_evasion_is_found_as_the_document_says() {
    let rows = table("Evasions");
    assert!(rows.len() >= 25);
    for row in rows {
        let [_, known, again, expect] = row[..] else {
            panic!("{row:?}")
        };
        let found = compare(&name(known), &name(again)).map(|found| found.to_string());
        assert_eq!(found.as_deref(), Some(expect), "{row:?}");
        let mut index = NameIndex::new();
        index.insert(1, &name(known));
        let mut hits = Vec::new();
        index.find(&name(again), 0, &mut hits);
        assert_eq!(hits.len(), 1, "{row:?}");
        let back = compare(&name(again), &name(known)).map(|found| found.score);
        assert_eq!(back, Some(hits[0].score), "{row:?}");
    }
}

#[test]
fn false_friends_do_not_match() {
    let rows = table("False friends");
    assert!(rows.len() >= 12);
    for row in rows {
        let [known, other, expect, _] = row[..] else {
            panic!("{row:?}")
        };
        let score = compare(&name(known), &name(other)).map(|found| found.score);
        let shown = score.map_or_else(|| "none".to_owned(), |score| score.to_string());
        assert_eq!(shown, expect, "{row:?}");
        assert!(score.is_none_or(|score| score < SCORE_DEFAULT), "{row:?}");
    }
}

#[test]
fn the_added_words_are_listed() {
    let rows = table("Added words");
    let listed: Vec<String> = rows.iter().map(|row| row.join(" | ")).collect();
    let known: Vec<String> = ADDED_WORDS
        .iter()
        .map(|(kind, language, words)| format!("{kind} | {language} | {words}"))
        .collect();
    assert_eq!(listed, known, "expected\n| {} |", known.join(" |\n| "));
}

#[test]
fn names_that_would_match_too_many_are_refused() {
    for row in table("Names that are refused") {
        let [given, message] = row[..] else {
            panic!("{row:?}")
        };
        let refused = Name::parse(given).map_err(|error| error.to_string());
        assert_eq!(refused, Err(message.to_owned()), "{given}");
    }
}

/// The generator `SplitMix64`.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// Syllables in both writings, long vowels in Arabic, and some without one.
const SYLLABLES: [(&str, &str); 28] = [
    ("ra", "را"),
    ("ba", "با"),
    ("mi", "مي"),
    ("lu", "لو"),
    ("ka", "كا"),
    ("sa", "سا"),
    ("di", "دي"),
    ("nu", "نو"),
    ("ta", "تا"),
    ("ma", "م"),
    ("kha", "خا"),
    ("shi", "شي"),
    ("fa", "فا"),
    ("za", "زا"),
    ("ja", "جا"),
    ("ri", "ري"),
    ("mu", "مو"),
    ("na", "نا"),
    ("lam", "لم"),
    ("qa", "قا"),
    ("du", "دو"),
    ("gha", "غا"),
    ("har", "هر"),
    ("bi", "بي"),
    ("sul", "سول"),
    ("tar", "تار"),
    ("lim", "ليم"),
    ("nab", "ناب"),
];

/// A name of two words in Latin and in Arabic letters; the second word has the article.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Made {
    latin: [String; 2],
    arabic: [String; 2],
}

fn made(random: &mut Random) -> Made {
    let mut word = || {
        let parts: Vec<(&str, &str)> = (0..2 + random.below(2))
            .map(|_| random.of(&SYLLABLES))
            .collect();
        let latin: String = parts.iter().map(|(latin, _)| *latin).collect();
        let arabic: String = parts.iter().map(|(_, arabic)| *arabic).collect();
        (latin, arabic)
    };
    let (first, second) = (word(), word());
    Made {
        latin: [first.0, second.0],
        arabic: [first.1, second.1],
    }
}

impl Made {
    fn latin(&self) -> String {
        self.latin.join("_")
    }
    fn arabic(&self) -> String {
        format!("{} ال{}", self.arabic[0], self.arabic[1])
    }
    fn known(&self, arabic: bool) -> String {
        if arabic { self.arabic() } else { self.latin() }
    }
}

const EVASIONS: [&str; 10] = [
    "other case and separators",
    "a counter",
    "a backup word",
    "a backup word run together, or before",
    "a counter and a backup word",
    "digits for letters, or stretched letters",
    "look-alike letters, or other forms",
    "a doubled letter, or vowel signs",
    "in the other script",
    "in the other script, with a counter",
];

fn capital(word: &str) -> String {
    word[..1].to_uppercase() + &word[1..]
}

/// A returning account's name, by the number of the evasion.
fn evade(random: &mut Random, made: &Made, arabic: bool, evasion: usize) -> String {
    let known = made.known(arabic);
    let number = 2 + random.below(900);
    let [first, second] = if arabic { &made.arabic } else { &made.latin };
    match (evasion, arabic) {
        (0, false) => random
            .of(&[
                capital(first) + &capital(second),
                format!("{first}.{second}"),
                known.to_uppercase(),
            ]
            .each_ref())
            .clone(),
        (0, true) => known.replace(' ', random.of(&["_", "", " · "])),
        (1, _) => format!("{known}{}{number}", random.of(&["", "_", " "])),
        (2, false) => format!(
            "{known}_{}",
            random.of(&["backup", "official", "yedek", "reserve", "baru", "2nd"])
        ),
        (2, true) => format!(
            "{known} {}",
            random.of(&["احتياطي", "الجديدة", "الرسمي", "بديل"])
        ),
        (3, false) => random
            .of(&[
                format!("{first}{second}backup"),
                format!("new_{known}"),
                format!("{first}{second}official"),
            ]
            .each_ref())
            .clone(),
        (3, true) => format!("{} {known}", random.of(&["قناة", "حساب", "مجموعة"])),
        (4, false) => format!("{known}_backup{number}"),
        (4, true) => format!("{known} ٢ احتياطي"),
        (5, false) => {
            let digits =
                |word: &str| word[..1].to_owned() + &word[1..].replace('a', "4").replace('i', "1");
            format!("{}_{}", digits(first), digits(second))
        }
        (5, true) => known.replacen('ا', "اـــ", 2),
        (6, false) => known
            .replacen('a', "а", 1 + random.below(2))
            .replacen('i', "і", 1),
        (6, true) => known.replace('ي', "ی").replace('ك', "ک"),
        (7, false) => known.replacen('m', "mm", 1).replacen('r', "rr", 1),
        (7, true) => known
            .chars()
            .flat_map(|c| [c, if c == ' ' { ' ' } else { '\u{64e}' }])
            .collect(),
        (8, false) => made.arabic(),
        (8, true) => random
            .of(&[
                format!("{first}_al{second}"),
                format!("{first}al{second}"),
                format!("{first}_el_{second}"),
            ]
            .each_ref())
            .replace(first.as_str(), &made.latin[0])
            .replace(second.as_str(), &made.latin[1]),
        (_, false) => format!("{} {number}", made.arabic()),
        (_, true) => format!("{}_al_{}{number}", made.latin[0], made.latin[1]),
    }
}

/// A name that is nobody's return: new words, or a known name with letters changed.
fn innocent(random: &mut Random, known: &[Made], arabic: bool) -> String {
    let of = random.below(known.len());
    let near = known[of].known(arabic);
    let text = match random.below(4) {
        0 => made(random).known(arabic),
        1 => changed(random, &near, 1),
        2 => changed(random, &near, 2),
        // A word of one known name with a word of another.
        _ => {
            let other = &known[random.below(known.len())];
            let mixed = Made {
                latin: [known[of].latin[0].clone(), other.latin[1].clone()],
                arabic: [known[of].arabic[0].clone(), other.arabic[1].clone()],
            };
            mixed.known(arabic)
        }
    };
    match random.below(3) {
        0 => format!("{text}{}", 2 + random.below(99)),
        _ => text,
    }
}

/// Replaces so many letters by others of the script.
fn changed(random: &mut Random, name: &str, letters: usize) -> String {
    let mut chars: Vec<char> = name.chars().collect();
    let alphabet: Vec<char> = if name.is_ascii() {
        "abdefghijklmnopqrstuvwz"
    } else {
        "ابتجحخدرزسشصطعفقكلمنهوي"
    }
    .chars()
    .collect();
    let mut left = letters;
    while left > 0 {
        let at = random.below(chars.len());
        let new = random.of(&alphabet);
        if chars[at].is_alphabetic() && chars[at] != new {
            chars[at] = new;
            left -= 1;
        }
    }
    chars.into_iter().collect()
}

#[test]
fn the_evaluation_gives_the_figures_of_the_document() {
    let mut random = Random(2024);
    let mut seen = HashSet::new();
    let mut known = Vec::new();
    while known.len() < 2000 {
        let new = made(&mut random);
        let letters: usize = new.latin.iter().map(String::len).sum();
        if letters >= 9 && seen.insert(new.latin.concat()) {
            known.push(new);
        }
    }
    let mut index = NameIndex::new();
    for (key, made) in (0..).zip(&known) {
        index.insert(key, &name(&made.known(key % 2 == 1)));
    }
    let mut hits = Vec::new();
    let mut found = |text: &str, score_min: u8| -> Vec<u64> {
        hits.clear();
        index.find(&name(text), score_min, &mut hits);
        hits.iter().map(|hit| hit.key).collect()
    };
    let mut lines = Vec::new();
    for (evasion, what) in EVASIONS.iter().enumerate() {
        let mut counts = [0; 4];
        for (key, made) in (0_u64..).zip(&known) {
            let arabic = key % 2 == 1;
            let text = evade(&mut random, made, arabic, evasion);
            let is_found = found(&text, SCORE_DEFAULT).contains(&key);
            counts[usize::from(arabic)] += usize::from(is_found);
            if !is_found && key < 100 && std::env::var_os("MANARA_PRINT").is_some() {
                eprintln!("missed: {} as {text}", made.known(arabic));
            }
            counts[2 + usize::from(arabic)] += usize::from(found(&text, 70).contains(&key));
        }
        let [latin, arabic, ..] = counts.map(|count| format!("{:.1} %", count as f64 / 10.0));
        lines.push(format!("{what} | {latin} | {arabic}"));
        assert!(counts[0] <= counts[2] && counts[1] <= counts[3]);
    }
    let written: HashSet<String> = known
        .iter()
        .flat_map(|made| [made.latin.concat(), made.arabic().replace(' ', "")])
        .collect();
    let (mut false_matches, mut by_sounds) = ([0; 3], 0);
    let mut tried = 0;
    while tried < 20_000 {
        let arabic = random.below(2) == 1;
        let text = innocent(&mut random, &known, arabic);
        let bare: String = text.chars().filter(|c| c.is_alphabetic()).collect();
        if written.contains(&bare) {
            continue;
        }
        tried += 1;
        for (score_min, count) in [90, SCORE_DEFAULT, 70].into_iter().zip(&mut false_matches) {
            let keys = found(&text, score_min);
            *count += usize::from(!keys.is_empty());
            if score_min == SCORE_DEFAULT {
                by_sounds += keys.first().map_or(0, |key| {
                    let member = index_name(&known, *key);
                    usize::from(member.is_ascii() != text.is_ascii())
                });
            }
            if score_min == SCORE_DEFAULT && std::env::var_os("MANARA_PRINT").is_some() {
                for key in keys {
                    eprintln!(
                        "{text} ~ {}: {}",
                        index_name(&known, key),
                        compare(&name(&index_name(&known, key)), &name(&text)).unwrap()
                    );
                }
            }
        }
    }
    for (score_min, count) in [90, SCORE_DEFAULT, 70].into_iter().zip(false_matches) {
        lines.push(format!(
            "innocent names matched from {score_min} | {count} of 20000 |"
        ));
    }
    lines.push(format!(
        "of those from {SCORE_DEFAULT}, by sounds alone | {by_sounds} |"
    ));
    let expect: Vec<String> = table("Evaluation")
        .iter()
        .map(|row| row.join(" | ").trim().to_owned())
        .collect();
    let shown = format!("| {} |", lines.join(" |\n| "));
    if std::env::var_os("MANARA_PRINT").is_some() {
        eprintln!("{shown}");
    }
    assert_eq!(lines, expect, "expected\n{shown}");
}

fn index_name(known: &[Made], key: u64) -> String {
    known[key as usize].known(key % 2 == 1)
}
