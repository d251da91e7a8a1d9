//! Words that a returning account or channel adds to its name, with their languages.
//!
//! The table is complete: a word that is not in it is part of the name. Words stand in the spelling
//! of the folded key's letters; Arabic ones without their article, which is taken off a name's word
//! before it is looked up.

use super::stem::{Letter, key_of, read_letters};
use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

/// What an added word says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WordKind {
    /// Backup, reserve, alternative: the next account in waiting.
    Backup,
    /// New, back again, returned.
    New,
    /// Official, real, original, main.
    Official,
    /// A number in words: second, third.
    Ordinal,
    /// What the name is of: channel, group, account.
    Venue,
}

impl fmt::Display for WordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Backup => "backup word",
            Self::New => "word for new or back",
            Self::Official => "word for official",
            Self::Ordinal => "number in words",
            Self::Venue => "word for the place",
        })
    }
}

/// Every added word: its kind, the ISO 639-1 code of its language, and the words.
pub const ADDED_WORDS: &[(WordKind, &str, &str)] = &[
    (
        WordKind::Backup,
        "en",
        "backup backups bkup bckp bkp reserve spare alt alternate alternative",
    ),
    (
        WordKind::New,
        "en",
        "new newest again back return returns returned reborn",
    ),
    (
        WordKind::Official,
        "en",
        "official real original main only true the",
    ),
    (
        WordKind::Ordinal,
        "en",
        "second third fourth fifth two three four",
    ),
    (
        WordKind::Venue,
        "en",
        "channel group chat account acc page archive mirror",
    ),
    (WordKind::Backup, "ar", "احتياطي احتياطيه احتياط بديل بديله"),
    (WordKind::New, "ar", "جديد جديده عوده عاد عادت عدنا"),
    (
        WordKind::Official,
        "ar",
        "رسمي رسميه اصلي اصليه رئيسي رئيسيه حقيقي حقيقيه",
    ),
    (
        WordKind::Ordinal,
        "ar",
        "ثاني ثانيه ثالث ثالثه رابع رابعه خامس خامسه",
    ),
    (WordKind::Venue, "ar", "قناه مجموعه حساب صفحه ارشيف"),
    (
        WordKind::Backup,
        "ru",
        "резерв резервный резервная запасной запасная бэкап",
    ),
    (WordKind::New, "ru", "новый новая новое снова возвращение"),
    (
        WordKind::Official,
        "ru",
        "официальный официальная официально настоящий основной основная",
    ),
    (WordKind::Ordinal, "ru", "второй вторая третий третья"),
    (WordKind::Venue, "ru", "канал группа чат аккаунт архив"),
    (WordKind::Backup, "id", "cadangan"),
    (WordKind::New, "id", "baru kembali"),
    (WordKind::Official, "id", "resmi asli utama"),
    (WordKind::Ordinal, "id", "kedua ketiga"),
    (WordKind::Venue, "id", "saluran grup akun"),
    (WordKind::Backup, "tr", "yedek"),
    (WordKind::New, "tr", "yeni yeniden"),
    (WordKind::Official, "tr", "resmi gercek asil"),
    (WordKind::Ordinal, "tr", "ikinci ucuncu"),
    (WordKind::Venue, "tr", "kanal kanali grubu hesap hesabi"),
    (WordKind::Backup, "fr", "secours reserve"),
    (WordKind::New, "fr", "nouveau nouvelle retour"),
    (WordKind::Official, "fr", "officiel officielle vrai"),
    (WordKind::Ordinal, "fr", "deuxieme troisieme"),
    (WordKind::Venue, "fr", "chaine groupe compte"),
    (WordKind::Backup, "de", "ersatz reserve"),
    (WordKind::New, "de", "neu neue neuer neues wieder zuruck"),
    (WordKind::Official, "de", "offiziell offizieller echt"),
    (WordKind::Ordinal, "de", "zweite zweiter dritte"),
    (WordKind::Venue, "de", "kanal gruppe konto"),
    (WordKind::Backup, "es", "respaldo reserva"),
    (WordKind::New, "es", "nuevo nueva regreso"),
    (WordKind::Official, "es", "oficial verdadero"),
    (WordKind::Ordinal, "es", "segundo segunda tercero"),
    (WordKind::Venue, "es", "canal grupo cuenta"),
    (WordKind::Backup, "fa", "پشتيبان ذخيره يدكي"),
    (WordKind::New, "fa", "جديد تازه بازگشت"),
    (WordKind::Ordinal, "fa", "دوم سوم"),
    (WordKind::Venue, "fa", "كانال گروه"),
    (WordKind::Backup, "ur", "متبادل"),
    (WordKind::New, "ur", "نيا نئي واپس"),
    (WordKind::Ordinal, "ur", "دوسرا تيسرا"),
    (WordKind::Venue, "ur", "چينل گروپ"),
];

/// Words that stand before or after a number and belong to it: `v2`, `no_2`, `2nd`.
const MARKS: &str = "v ver vers version no nr n num vol part pt st nd rd th eme";

/// Whether a word of a name is an added one, by its [`key_of`].
pub(super) fn added_word(key: &str) -> Option<WordKind> {
    static TABLE: LazyLock<HashMap<Box<str>, WordKind>> = LazyLock::new(|| {
        let mut table = HashMap::new();
        for (kind, _, words) in ADDED_WORDS {
            for word in words.split(' ') {
                table
                    .entry(key_of(&read_letters(word)).into())
                    .or_insert(*kind);
            }
        }
        table
    });
    TABLE.get(key).copied().or_else(|| {
        let rest = key.strip_prefix("ال")?;
        TABLE.get(rest).copied()
    })
}

/// Whether a word only marks a number beside it.
pub(super) fn is_mark(key: &str) -> bool {
    static TABLE: LazyLock<Vec<String>> = LazyLock::new(|| {
        let words = MARKS.split(' ').map(|word| key_of(&read_letters(word)));
        words.collect()
    });
    key.len() <= 7 && TABLE.iter().any(|mark| mark == key)
}

/// The value of a Roman numeral up to twenty.
pub(super) fn roman(word: &str) -> Option<u32> {
    const UP_TO_TWENTY: [&str; 20] = [
        "i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii", "xiii", "xiv",
        "xv", "xvi", "xvii", "xviii", "xix", "xx",
    ];
    let at = UP_TO_TWENTY.iter().position(|numeral| *numeral == word)?;
    Some(at as u32 + 1)
}

/// Letters that must be left when an added word is cut off a longer one: more when the added word
/// is short, because short ones end many words (`cobalt`, `montreal`).
fn left_min(added: usize) -> usize {
    if added <= 4 { 8 } else { 5 }
}

/// An added word written together with the rest (`greybannerbackup`): how many letters of it stand
/// at the start of the word, and how many at its end.
pub(super) fn glued(letters: &[Letter]) -> Option<(usize, usize, WordKind)> {
    static TABLES: LazyLock<[Ends; 2]> = LazyLock::new(|| {
        let mut tables = [Ends::new(), Ends::new()];
        for (kind, _, words) in ADDED_WORDS {
            for word in words.split(' ').filter(|word| is_glued(word)) {
                let key: Vec<char> = read_letters(word).iter().map(Letter::key).collect();
                let [first, last] = &mut tables;
                for (table, end) in [(first, key.first()), (last, key.last())] {
                    if let Some(end) = end {
                        table.entry(*end).or_default().push((key.clone(), *kind));
                    }
                }
            }
        }
        tables
    });
    let [first, last] = &*TABLES;
    let at_end = longest(last, letters, letters.last(), |word| {
        letters.get(letters.len().checked_sub(word.len())?..)
    });
    if let Some((word, kind)) = at_end {
        return Some((0, word.len(), *kind));
    }
    let (word, kind) = longest(first, letters, letters.first(), |word| {
        letters.get(..word.len())
    })?;
    Some((word.len(), 0, *kind))
}

type Ends = HashMap<char, Vec<(Vec<char>, WordKind)>>;

/// The longest word of a table that stands in the part of the letters meant for it.
fn longest<'t, 'l>(
    table: &'t Ends,
    letters: &'l [Letter],
    end: Option<&Letter>,
    part: impl Fn(&[char]) -> Option<&'l [Letter]>,
) -> Option<&'t (Vec<char>, WordKind)> {
    let there = |word: &[char]| {
        let rest = letters.len().checked_sub(word.len());
        rest.is_some_and(|rest| rest >= left_min(word.len()))
            && part(word).is_some_and(|part| part.iter().map(Letter::key).eq(word.iter().copied()))
    };
    let words = table.get(&end?.key())?.iter();
    words
        .filter(|(word, _)| there(word))
        .max_by_key(|(word, _)| word.len())
}

/// Which words are looked for inside others: Latin ones that are not the ends of many words.
fn is_glued(word: &str) -> bool {
    word.is_ascii()
        && !matches!(
            word,
            "the"
                | "two"
                | "three"
                | "four"
                | "acc"
                | "true"
                | "only"
                | "bkp"
                | "asil"
                | "asli"
                | "second"
                | "third"
                | "fifth"
                | "fourth"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(word: &str, expect: Option<WordKind>) {
        assert_eq!(added_word(&key_of(&read_letters(word))), expect, "{word}");
    }

    #[test]
    fn added_words_are_known_in_every_language() {
        check("backup", Some(WordKind::Backup));
        check("احتياطي", Some(WordKind::Backup));
        check("الاحتياطيه", Some(WordKind::Backup));
        check("резерв", Some(WordKind::Backup));
        check("cadangan", Some(WordKind::Backup));
        check("الرسمي", Some(WordKind::Official));
        check("nuevo", Some(WordKind::New));
        check("banner", None);
        check("الرماد", None);
        check("", None);
    }

    #[test]
    fn the_table_is_in_folded_spelling() {
        for (_, language, words) in ADDED_WORDS {
            assert_eq!(language.len(), 2);
            for word in words.split(' ') {
                assert_eq!(crate::text::normalise(word).folded(), word, "{language}");
                assert!(added_word(&key_of(&read_letters(word))).is_some());
            }
        }
    }

    #[track_caller]
    fn check_glued(word: &str, expect: Option<(usize, usize)>) {
        let found = glued(&read_letters(word));
        assert_eq!(found.map(|(a, b, _)| (a, b)), expect, "{word}");
    }

    #[test]
    fn added_words_written_together_with_the_name() {
        check_glued("greybannerbackup", Some((0, 6)));
        check_glued("newgreybanner", Some((3, 0)));
        check_glued("cobalt", None);
        check_glued("montreal", None);
        check_glued("backup", None);
    }

    #[test]
    fn numerals() {
        assert_eq!(
            (roman("iv"), roman("xx"), roman("grey")),
            (Some(4), Some(20), None)
        );
    }
}
