//! The tables of `docs/text.md`, row by row: what is written there is what happens.
//!
//! A row of the first kind has a phrase, a text, the level at which the phrase is found in it and
//! what the hit says was undone; a row of the second kind has a phrase and a text in which it is not
//! found at any level.

use manara_signal::Phrase;
use manara_signal::text::{Level, PhraseHit, PhraseIndex, TermOptions, normalise};

const PAGE: &str = include_str!("../../../docs/text.md");

/// The cells of the rows of the table under a heading.
fn rows(heading: &str) -> Vec<Vec<String>> {
    let section = PAGE.split("\n## ").find(|s| s.starts_with(heading));
    let lines = section.expect("the heading is there").lines();
    let lines = lines.filter(|line| line.starts_with('|')).skip(2);
    let cell = |cell: &str| unescaped(cell.trim().trim_matches('`'));
    lines
        .map(|line| line.trim_matches('|').split('|').map(cell).collect())
        .collect()
}

/// `\u{200b}` as the character, since a page does not show it.
fn unescaped(cell: &str) -> String {
    let mut parts = cell.split("\\u{");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (code, rest) = part.split_once('}').expect("an escape ends");
        let code = u32::from_str_radix(code, 16).expect("an escape is hexadecimal");
        text.push(char::from_u32(code).expect("an escape is a character"));
        text.push_str(rest);
    }
    text
}

fn hits(phrase: &str, text: &str, level: Level) -> Vec<PhraseHit> {
    let mut index = PhraseIndex::new();
    let options = TermOptions {
        level,
        ..TermOptions::default()
    };
    let phrase = Phrase::parse(phrase).expect("a phrase");
    index.insert_with(1, &phrase, &options).expect("a term");
    let mut hits = Vec::new();
    index.find(&normalise(text), &mut hits);
    hits
}

#[test]
fn every_evasion_is_undone_at_its_level_and_no_lower() {
    let rows = rows("Evasions");
    assert!(rows.len() > 20, "the table was found");
    let mut wrong = Vec::new();
    for row in rows {
        let [_, phrase, text, level, undone, _] = row.as_slice() else {
            panic!("six cells: {row:?}");
        };
        let level: Level = level.parse().expect("a level");
        let found = hits(phrase, text, Level::Aggressive);
        let said: Vec<_> = found
            .iter()
            .map(|hit| (hit.level, hit.evasions.to_string()))
            .collect();
        let as_said = said == [(level, undone.clone())];
        let only_from_there = [Level::Strict, Level::Folded]
            .into_iter()
            .all(|lower| hits(phrase, text, lower).is_empty() == (lower < level));
        if !as_said || !only_from_there {
            wrong.push(format!("{row:?}: {said:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_only_looks_alike_is_not_found_at_any_level() {
    let rows = rows("What must not match");
    assert!(rows.len() > 20, "the table was found");
    for row in rows {
        let [phrase, text, _] = row.as_slice() else {
            panic!("three cells: {row:?}");
        };
        assert_eq!(hits(phrase, text, Level::Aggressive), [], "{row:?}");
    }
}

/// Short and common Arabic words.
const ARABIC: &str = "كتاب سلام قلب رجل ملك بيت باب دين علم حرب نار بنت ولد يوم ليل شمس قمر بحر جبل سيف \
    راية رماد جيش نصر دم موت حياة طريق مدينة دولة شعب ثورة غضب صبر حق عدل ظلم خليفة رئيس وزير كلب";

/// Ordinary words of English, Indonesian and French.
const ORDINARY: &str = "the be to of and in that have it for not on with he as you do at this but his by \
    from they we say her she or an will my one all would there their what so up out if about who \
    get which go me when make can like time no just him know take people into year your good some \
    could them see other than then now look only come its over think also back after use two how \
    our work first well way even new want because any these give day most us water long little very \
    called made land north near book money power tomorrow never market murder marble master member \
    number matter mother butter letter bitter banter kettle cattle battle bottle settle saddle middle \
    saya kamu dia kita mereka yang dan di ke dari untuk dengan tidak ada ini itu akan sudah bisa \
    juga orang anak rumah jalan besar kecil makan minum datang pergi lihat dengar baik buruk panas \
    dingin hari malam pagi siang bulan tahun minggu pasar sekolah guru murid buku kertas kata bahasa \
    negara kota desa sungai gunung laut pantai pohon bunga buah nasi ayam ikan daging susu kopi teh \
    je tu il elle nous vous ils elles le la les un une des du au aux et ou mais donc car que qui quoi \
    dont sur sous dans par pour sans avec chez entre avant devant derriere maison rue ville pays \
    jour nuit matin soir semaine mois annee homme femme enfant pere mere frere soeur ami livre";

/// What is found in ordinary words of phrases looked for aggressively.
fn found_in_ordinary_words(phrases: impl Iterator<Item = String>) -> Vec<String> {
    let mut index = PhraseIndex::new();
    let options = TermOptions {
        level: Level::Aggressive,
        ..TermOptions::default()
    };
    for (key, phrase) in (0..).zip(phrases) {
        let phrase = Phrase::parse(&phrase).expect("a phrase");
        index.insert_with(key, &phrase, &options).expect("a term");
    }
    let mut hits = Vec::new();
    index.find(&normalise(ORDINARY), &mut hits);
    let found = |hit: &PhraseHit| ORDINARY.get(hit.original.clone()).unwrap_or("").to_owned();
    hits.iter().map(found).collect()
}

#[test]
fn ordinary_words_are_no_arabic_in_latin_letters() {
    let words = ARABIC.split_whitespace().map(str::to_owned);
    assert_eq!(found_in_ordinary_words(words), [""; 0]);
}

/// Every two of the Arabic words, with and without the article: few of the phrases are in earnest, so
/// what is found of them is found by chance.
#[test]
fn ordinary_words_are_no_arabic_phrases_in_latin_letters() {
    let words = || ARABIC.split_whitespace();
    let two =
        words().flat_map(|a| words().flat_map(move |b| [format!("{a} {b}"), format!("{a} ال{b}")]));
    assert_eq!(found_in_ordinary_words(two), [""; 0]);
}
