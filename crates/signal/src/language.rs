//! Which language a post is in, or `und` when that cannot be told.
//!
//! A wrong answer sends a case to somebody who cannot read it, so this says `und` (undetermined)
//! unless there is evidence of two kinds. Links, handles and hashtags are left out first. The script
//! decides where one language is written in it. Letters that only one language has decide among
//! those in Arabic and Cyrillic script. Otherwise a post must contain words that carry a language's
//! grammar (*the*, *und*, *في*), and for languages that the classifier `whichlang` knows, it, which
//! looks at sequences of letters, must come to the same answer.
//!
//! Arabic in Latin letters and digits is told by digits that stand for letters (`3ala`, `7abibi`)
//! and by its common words, and is called `ar-Latn`. Malay is taken for Indonesian. Languages that
//! are not in the table are `und`, or, of those related closely to one that is, sometimes taken for
//! it: Ukrainian and Bulgarian are told apart from Russian, Afrikaans is not from Dutch.

use hashbrown::HashTable;
use std::fmt;
use std::sync::LazyLock;
use unicode_script::{Script, UnicodeScript};
use whichlang::{Lang, detect_language};

/// Bytes of a text that are looked at.
pub const LANGUAGE_BYTES_MAX: usize = 4096;

/// What a text is written in.
#[derive(Debug, Clone, PartialEq)]
pub struct Language {
    /// BCP 47: ISO 639-1 where the language has such a code, `ar-Latn`, or `und`.
    pub code: &'static str,
    /// From 0 for `und` to 1: how much of the possible evidence was there. Not a probability.
    pub confidence: f32,
    /// Scripts of the letters, as ISO 15924 codes, with how many letters each, most first.
    pub scripts: Vec<(&'static str, u32)>,
    /// What the answer rests on.
    pub why: Why,
}

/// What an answer rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// One language is written in this script.
    Script,
    /// Letters that only this language has.
    Letters,
    /// Its common words, and nothing against it.
    Words,
    /// Its common words, and the same answer from sequences of letters.
    WordsAndSequences,
    /// Digits that stand for Arabic letters, or common Arabic words, in Latin letters.
    Arabizi,
    /// `und`: too few letters.
    TooShort,
    /// `und`: no script has most of the letters.
    Mixed,
    /// `und`: none of the words and letters that tell languages apart, or those of several.
    NoEvidence,
    /// `und`: words say one language, sequences of letters another.
    Contradiction,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Script => "one language is written in this script",
            Self::Letters => "letters that only this language has",
            Self::Words => "common words of this language",
            Self::WordsAndSequences => "common words and sequences of letters of this language",
            Self::Arabizi => "Arabic in Latin letters",
            Self::TooShort => "too few letters to tell",
            Self::Mixed => "several scripts",
            Self::NoEvidence => "no words that tell languages apart",
            Self::Contradiction => "words and sequences of letters contradict each other",
        })
    }
}

/// Fewest letters of which anything is said.
const LETTERS_MIN: u32 = 6;
/// The same of scripts in which a character is a syllable or a word.
const SYLLABLES_MIN: u32 = 3;

/// Tells the language of a text's first [`LANGUAGE_BYTES_MAX`] bytes.
///
/// ```
/// use manara_signal::language::identify;
/// assert_eq!(identify("The ferry leaves at noon and comes back before dark.").code, "en");
/// assert_eq!(identify("ana ray7 3al be7r ma3 ashabi bokra").code, "ar-Latn");
/// assert_eq!(identify("ok 👍 https://pictures.example/the-and-of").code, "und");
/// ```
pub fn identify(text: &str) -> Language {
    let text = text
        .get(..text.floor_char_boundary(LANGUAGE_BYTES_MAX))
        .unwrap_or_default();
    let words = words(text);
    let scripts = scripts(&words);
    let (code, confidence, why) = decide(&words, &scripts);
    let scripts = scripts
        .iter()
        .map(|(script, count)| (script.short_name(), *count))
        .collect();
    Language {
        code,
        confidence,
        scripts,
        why,
    }
}

type Answer = (&'static str, f32, Why);

const fn unknown(why: Why) -> Answer {
    ("und", 0.0, why)
}

/// The words that say something, in lower case: no links, addresses, handles or hashtags.
fn words(text: &str) -> Vec<String> {
    let pieces = text.split_whitespace().filter(|piece| {
        let named = piece.starts_with(['@', '#', '/', '\\']) || piece.contains("://");
        let address = piece.contains('@') || piece.contains('_');
        // `example.com` and `pictures.zip`, but not `end.Next`, which people write in haste.
        let domain = piece
            .trim_matches(|c: char| !c.is_alphanumeric())
            .contains('.')
            && piece
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || !byte.is_ascii_alphabetic());
        !named && !address && !domain
    });
    let split = |c: char| {
        !c.is_alphanumeric()
            && !matches!(c, '\'' | '’' | '\u{300}'..='\u{36f}' | '\u{200c}' | '\u{64b}'..='\u{652}' | '\u{900}'..='\u{dff}')
    };
    let words = pieces.flat_map(|piece| piece.split(split).filter(|word| !word.is_empty()));
    words
        .map(|word| {
            let kept = word
                .chars()
                .filter(|c| !matches!(c, '\u{64b}'..='\u{652}' | '\u{640}'));
            let lower = kept.flat_map(char::to_lowercase);
            lower
                .filter(|c| *c != '\u{307}')
                .map(|c| if c == '’' { '\'' } else { c })
                .collect()
        })
        .collect()
}

/// Letters by script, most first.
fn scripts(words: &[String]) -> Vec<(Script, u32)> {
    let mut scripts: Vec<(Script, u32)> = Vec::new();
    for c in words.iter().flat_map(|word| word.chars()) {
        if !c.is_alphabetic() {
            continue;
        }
        let script = if c.is_ascii() {
            Script::Latin
        } else {
            c.script()
        };
        if matches!(script, Script::Common | Script::Inherited | Script::Unknown) {
            continue;
        }
        match scripts.iter_mut().find(|(other, _)| *other == script) {
            Some((_, count)) => *count += 1,
            None => scripts.push((script, 1)),
        }
    }
    scripts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    scripts
}

fn decide(words: &[String], scripts: &[(Script, u32)]) -> Answer {
    let total: u32 = scripts.iter().map(|(_, count)| count).sum();
    let of = |script| {
        let found = scripts.iter().find(|(other, _)| *other == script);
        found.map_or(0, |(_, count)| *count)
    };
    let kana = of(Script::Hiragana) + of(Script::Katakana);
    let dense = kana + of(Script::Han) + of(Script::Hangul);
    if total < LETTERS_MIN && dense < SYLLABLES_MIN {
        return unknown(Why::TooShort);
    }
    let mostly = |count: u32| count * 4 >= total * 3;
    if mostly(kana + of(Script::Han)) {
        return if kana * 8 >= total {
            ("ja", 0.95, Why::Script)
        } else if kana == 0 && total >= 5 {
            ("zh", 0.85, Why::Script)
        } else {
            unknown(Why::TooShort)
        };
    }
    match scripts.first() {
        Some((script, count)) if mostly(*count) => match script {
            Script::Latin => latin(words),
            Script::Arabic => arabic(words),
            Script::Cyrillic => cyrillic(words),
            Script::Devanagari => by_words(words, &DEVANAGARI, |_| Opinion::None),
            script => match SCRIPTS.iter().find(|(one, _)| one == script) {
                Some((_, code)) => (code, 0.95, Why::Script),
                None => unknown(Why::NoEvidence),
            },
        },
        _ => unknown(Why::Mixed),
    }
}

/// Scripts in which, today, one language is written.
const SCRIPTS: [(Script, &str); 19] = [
    (Script::Hangul, "ko"),
    (Script::Greek, "el"),
    (Script::Hebrew, "he"),
    (Script::Thai, "th"),
    (Script::Georgian, "ka"),
    (Script::Armenian, "hy"),
    (Script::Tamil, "ta"),
    (Script::Telugu, "te"),
    (Script::Gujarati, "gu"),
    (Script::Gurmukhi, "pa"),
    (Script::Kannada, "kn"),
    (Script::Malayalam, "ml"),
    (Script::Sinhala, "si"),
    (Script::Khmer, "km"),
    (Script::Lao, "lo"),
    (Script::Myanmar, "my"),
    (Script::Oriya, "or"),
    (Script::Thaana, "dv"),
    (Script::Tibetan, "bo"),
];

/// What sequences of letters say of a language that words speak for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Opinion {
    Same,
    Another,
    None,
}

/// The common words of the languages of a script.
struct Table {
    codes: Vec<&'static str>,
    /// By word, the set of languages that have it.
    words: HashTable<(&'static str, u16)>,
}

impl Table {
    fn of(lists: &[(&'static str, &'static str)]) -> Self {
        let mut words: HashTable<(&'static str, u16)> = HashTable::new();
        for ((_, list), language) in lists.iter().zip(0..) {
            for word in list.split(' ') {
                let entry = words.entry(hash(word), |known| known.0 == word, |known| hash(known.0));
                entry.or_insert((word, 0)).into_mut().1 |= 1_u16 << language;
            }
        }
        let codes = lists.iter().map(|(code, _)| *code).collect();
        Self { codes, words }
    }

    /// The set of languages that have a word.
    fn languages(&self, word: &str) -> u16 {
        let known = self.words.find(hash(word), |known| known.0 == word);
        known.map_or(0, |known| known.1)
    }
}

fn hash(word: &str) -> u64 {
    rapidhash::v3::rapidhash_v3(word.as_bytes())
}

static LATIN: LazyLock<Table> = LazyLock::new(|| Table::of(&LATIN_WORDS));
static ARABIC: LazyLock<Table> = LazyLock::new(|| Table::of(&ARABIC_WORDS));
static CYRILLIC: LazyLock<Table> = LazyLock::new(|| Table::of(&CYRILLIC_WORDS));
static DEVANAGARI: LazyLock<Table> = LazyLock::new(|| Table::of(&DEVANAGARI_WORDS));
static ARABIZI: LazyLock<Table> = LazyLock::new(|| Table::of(&[("ar-Latn", ARABIZI_WORDS)]));

/// The language with clearly most of its common words in the text.
fn by_words(words: &[String], table: &Table, opinion: impl Fn(&str) -> Opinion) -> Answer {
    let mut seen: Vec<&str> = words.iter().map(String::as_str).collect();
    seen.sort_unstable();
    seen.dedup();
    let mut found: Vec<(f32, usize, &'static str)> =
        table.codes.iter().map(|code| (0.0, 0, *code)).collect();
    for word in &seen {
        let languages = table.languages(word);
        for (language, score) in found.iter_mut().enumerate() {
            if languages >> language & 1 == 1 {
                score.0 += 1.0 / languages.count_ones() as f32;
                score.1 += 1;
            }
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    let ((best, hits, code), second) = match found[..] {
        [first, second, ..] => (first, second.0),
        [first] => (first, 0.0),
        [] => return unknown(Why::NoEvidence),
    };
    let opinion = if best > 0.0 {
        opinion(code)
    } else {
        Opinion::None
    };
    let clear = best >= 1.5 * second + 0.3;
    let enough = match opinion {
        Opinion::Same => best >= 0.9 && seen.len() >= 3 && best * 12.0 >= seen.len() as f32,
        Opinion::Another => best >= 4.0 && best >= 3.0 * second,
        Opinion::None => hits >= 2 && best >= 1.3 && best * 8.0 >= seen.len() as f32,
    };
    if !clear || !enough {
        let contradicted = opinion == Opinion::Another && best >= 1.0;
        return unknown(if contradicted {
            Why::Contradiction
        } else {
            Why::NoEvidence
        });
    }
    let margin = (best - second) / best;
    let confidence = margin * (0.5 + best / 8.0).min(1.0);
    match opinion {
        Opinion::Same => (code, (confidence + 0.1).min(0.99), Why::WordsAndSequences),
        _ => (code, confidence.min(0.9), Why::Words),
    }
}

fn latin(words: &[String]) -> Answer {
    let (digits, common) = arabizi(words);
    if digits + common >= 2 && (digits >= 1 || common >= 3) {
        let other = by_words(words, &LATIN, |_| Opinion::None);
        if other.0 == "und" || digits >= 2 && digits * 4 >= words.len() {
            let share = (digits + common) as f32 / words.len().max(1) as f32;
            if share >= 0.2 {
                return ("ar-Latn", (0.5 + share / 2.0).min(0.95), Why::Arabizi);
            }
        }
        return unknown(Why::Contradiction);
    }
    by_words(words, &LATIN, |code| sequences(words, code))
}

/// Whether sequences of letters say the same language, if they could.
fn sequences(words: &[String], code: &str) -> Opinion {
    let says = match detect_language(&words.join(" ")) {
        Lang::Deu => "de",
        Lang::Eng => "en",
        Lang::Fra => "fr",
        Lang::Ita => "it",
        Lang::Nld => "nl",
        Lang::Por => "pt",
        Lang::Spa => "es",
        Lang::Swe => "sv",
        Lang::Tur => "tr",
        Lang::Vie => "vi",
        _ => "",
    };
    match code {
        code if code == says => Opinion::Same,
        "de" | "en" | "fr" | "it" | "nl" | "pt" | "es" | "sv" | "tr" | "vi" => Opinion::Another,
        _ => Opinion::None,
    }
}

/// Different words in which a digit stands for an Arabic letter, and common words of Arabizi.
fn arabizi(words: &[String]) -> (usize, usize) {
    let mut seen: Vec<&str> = words.iter().map(String::as_str).collect();
    seen.sort_unstable();
    seen.dedup();
    let digits = seen.iter().filter(|word| has_letter_digit(word)).count();
    let common = seen.iter().filter(|word| ARABIZI.languages(word) != 0);
    (digits, common.count())
}

/// A single 2, 3, 5, 6, 7, 8 or 9 beside letters, not at the end, and no number, ordinal or measure.
fn has_letter_digit(word: &str) -> bool {
    let digits: Vec<char> = word.chars().filter(|c| c.is_ascii_digit()).collect();
    let letters = word.chars().filter(|c| c.is_ascii_lowercase()).count();
    let stands = digits.iter().all(|c| "2356789".contains(*c));
    let parts = word.split(|c: char| c.is_ascii_digit()).count();
    let number = word.starts_with(|c: char| c.is_ascii_digit())
        && MEASURES
            .split(' ')
            .any(|measure| word.ends_with(measure) && word.len() <= measure.len() + 2);
    let last = word.ends_with(|c: char| c.is_ascii_digit());
    (1..=3).contains(&digits.len())
        && letters >= 2
        && stands
        && parts == digits.len() + 1
        && !number
        && !last
}

const MEASURES: &str =
    "nd rd th st km kg cm mm gb mb pm am hrs min sec px ml usd eur ans jours uhr";

fn count(words: &[String], letters: &str) -> usize {
    let all = words.iter().flat_map(|word| word.chars());
    all.filter(|c| letters.contains(*c)).count()
}

fn arabic(words: &[String]) -> Answer {
    for (code, letters, least) in [
        ("sd", "ٻڀٺٽڄڃڇڊڏڳڱڻ", 2),
        ("ckb", "ێۆڵڕ", 2),
        ("ug", "ۇۈۋ", 2),
        ("ps", "ټډړښځڅۍګ", 2),
        ("ur", "ٹڈڑں", 1),
    ] {
        if count(words, letters) >= least {
            let others = count(words, "ٻڀٺٽڄڃڇڊڏڳڱڻێۆڵڕۇۈۋټډړښځڅۍګٹڈڑں") - count(words, letters);
            if others == 0 && (code != "ur" || count(words, "ہےھ") >= 1) {
                return (code, 0.9, Why::Letters);
            }
        }
    }
    let persian = count(words, "پچژگ");
    let keyboard = count(words, "کی");
    let answer = by_words(words, &ARABIC, |code| match code {
        "fa" if persian + keyboard >= 2 => Opinion::Same,
        "ur" if count(words, "ہے") >= 2 => Opinion::Same,
        // The article, and letters that Persian and Urdu hardly use.
        "ar" if persian == 0 && (articles(words) >= 1 || count(words, "ةىأإ") >= 1) => {
            Opinion::Same
        }
        "ar" if persian >= 1 => Opinion::Another,
        _ => Opinion::None,
    });
    let (code, confidence, why) = answer;
    if code == "und"
        && why == Why::NoEvidence
        && persian + keyboard == 0
        && articles(words) >= 2
        && words.len() >= 3
    {
        return ("ar", 0.6, Why::Letters);
    }
    let why = if why == Why::WordsAndSequences {
        Why::Words
    } else {
        why
    };
    (code, confidence, why)
}

/// Words with the Arabic article.
fn articles(words: &[String]) -> usize {
    let with = words.iter().filter(|word| {
        let bare = word.trim_start_matches(['و', 'ب', 'ف', 'ك']);
        bare.starts_with("ال") && bare.chars().count() >= 5
    });
    with.count()
}

fn cyrillic(words: &[String]) -> Answer {
    for (code, letters) in [
        ("uk", "іїєґ"),
        ("be", "ў"),
        ("sr", "ђћ"),
        ("mk", "ѓќѕ"),
        ("kk", "ұқғ"),
    ] {
        if count(words, letters) >= 2 {
            let others = count(words, "їєґўђћѓќѕұқғәңөүһј")
                - count(words, letters).min(count(words, "їєґўђћѓќѕұқғ"));
            return if others == 0 || code == "kk" || code == "sr" || code == "mk" {
                (code, 0.85, Why::Letters)
            } else {
                unknown(Why::NoEvidence)
            };
        }
    }
    if count(words, "іїєґўђћѓќѕұқғәңөүһјљњџ") >= 1 {
        return unknown(Why::NoEvidence);
    }
    let (code, confidence, why) = by_words(words, &CYRILLIC, |code| match code {
        "ru" if count(words, "ыэё") >= 1 => Opinion::Same,
        "bg" if count(words, "ыэё") >= 1 => Opinion::Another,
        "bg" if count(words, "ъ") >= 1 => Opinion::Same,
        _ => Opinion::None,
    });
    let why = if why == Why::WordsAndSequences {
        Why::Words
    } else {
        why
    };
    (code, confidence, why)
}

const LATIN_WORDS: [(&str, &str); 14] = [
    (
        "en",
        "the and of to is was are were with that this have has had you your we they it its not for from will would can what when where there their been but all my our who how she he if about out up just don't it's i'm no one more some because before after into over only",
    ),
    (
        "fr",
        "le la les un une des du de et est dans pour que qui pas sur avec ce cette ces nous vous ils elle sont mais au aux ne se plus tout j'ai c'est leur mon ma mes son sa ses fait être était avant après chez très où donc quand je tu il on d'un d'une",
    ),
    (
        "de",
        "der die das und ist nicht ein eine einen einem einer ich wir sie ihr mit auf für von zu den dem des im am es auch aber wie war sind wird werden haben hat noch nach bei aus nur kann wenn oder sich über vor so mich mein unser dass schon heute immer",
    ),
    (
        "es",
        "el la los las un una de del y en que es no se por con para su como más pero está están este esta al lo le me mi muy ya todo fue ser hay son cuando sin sobre porque nos desde hasta también donde ella yo tu él si",
    ),
    (
        "it",
        "il lo la i gli le un una di del della dei delle e è che non per con si sono in nel nella alla al ma come anche più questo questa ho ha mi ci ti se da dal dalla molto quando perché era essere tutti loro dopo prima io",
    ),
    (
        "pt",
        "o a os as um uma de do da dos das e é em no na nos nas que não por para com se mais mas como foi ser está muito já eu você ele ela isso este esta ao pela pelo tem são quando também sem até meu minha nós seu sua depois",
    ),
    (
        "nl",
        "de het een en van in is dat op te niet zijn voor met die aan er maar om ook als dan wij we ik je naar bij nog door over uit wel geen hebben heeft werd was deze dit kan worden zo hun onze alle",
    ),
    (
        "sv",
        "och att det som en ett är av för på med den till inte har om jag vi de han hon var men kan ska från när så eller efter också där här vid sig nu mycket min alla mot under inga",
    ),
    (
        "tr",
        "ve bir bu da de için ile çok ne gibi daha ama var yok olarak değil kadar sonra ben sen biz siz o mi mı ki her en olan olduğu bütün şey artık hiç nasıl niçin neden önce bana sana bizim hem ya çünkü şimdi bugün yarın akşam gün sabah",
    ),
    (
        "id",
        "yang dan di ke dari untuk dengan ini itu tidak ada pada akan dalam sudah saya kami kita mereka adalah bisa juga oleh karena atau tapi lagi anda dia kalau belum sangat setiap hari telah harus seperti setelah sebelum banyak orang jangan lebih para",
    ),
    (
        "vi",
        "và của là có không được cho một những các trong người này đã với để khi tôi ra như thì từ đến cũng rất nhiều lại về chúng",
    ),
    (
        "pl",
        "i w na z się nie do to jest że jak co o po za od przez ale tak dla są był była było tylko już czy jego jej ich ten ta te tym może jeszcze bardzo",
    ),
    (
        "ro",
        "și în de la cu pe nu este o un care din pentru mai ca să fost sunt au ce dar sau prin după foarte toate acest această lor noi",
    ),
    (
        "sw",
        "na ya wa kwa ni katika za la cha kuwa hii hiyo si sana watu wake yake lakini kama pia mimi sisi leo kila",
    ),
];

const ARABIC_WORDS: [(&str, &str); 3] = [
    (
        "ar",
        "في من على إلى عن مع هذا هذه ذلك التي الذي كان كانت لا ما لم لن قد كل بعد قبل بين حتى عند ثم أو أن إن هو هي نحن هم أنا أنت كيف متى أين هل ليس لكن غير منذ حول تحت فوق يا اليوم غدا كما لأن عندما الى او ان مش شو ليش كده عشان احنا انت وين",
    ),
    (
        "fa",
        "و در به از که این است را با برای آن یک می های بود شد ما من تو او هم تا بر اما اگر یا هر نیست کرد کرده دارد همه خود خیلی چه پس باید شما آنها بعد هستند نمی بودند کنند دارند روی است؟ شده رفت",
    ),
    (
        "ur",
        "کے کی کا میں ہے سے کو نے اور پر یہ وہ ہیں کہ بھی تھا تھی تھے نہیں ہم آپ جو تو ایک اس ان کر کیا ہو گیا لیے ساتھ بہت اپنے اپنی میرے ہوئے گا گے رہا رہے بعد پہلے",
    ),
];

const CYRILLIC_WORDS: [(&str, &str); 2] = [
    (
        "ru",
        "и в не на что с по как это но за он она они мы вы я из у к от так же для все его её ее их был была были было есть или уже если когда только ещё еще до при бы чтобы где мне меня нас вас себя очень там тут после перед под над со во об сегодня завтра нет да без",
    ),
    (
        "bg",
        "и в не на с да се е от за като това но са той тя те ние по при как ще си си го му ли още много има няма беше бяха след преди че през във към само този тази всички днес утре които който",
    ),
];

const DEVANAGARI_WORDS: [(&str, &str); 3] = [
    (
        "hi",
        "है हैं का की के में को से पर और यह वह नहीं हम था थी थे भी कर एक तो ही इस उस ने लिए साथ बहुत अपने अपनी गया हो रहा रहे रही बाद पहले कि आप मैं जो",
    ),
    (
        "mr",
        "आहे आहेत आणि मी तो ती ते हा ही हे च्या ला मध्ये नाही होते होता होती पण या त्या साठी आम्ही तुम्ही काय खूप एक",
    ),
    (
        "ne",
        "छ छन् र को मा लाई ले हो होइन यो त्यो हामी तिमी म पनि गर्न थियो थिए भने एक धेरै हुन्छ गरेको बाट सँग",
    ),
];

const ARABIZI_WORDS: &str = "ana enta enti inta inti ihna ehna howa hiya homma wallah walla wallahi yalla yala habibi habibti mesh msh mish mafi kteer ktir keda kida kda ezay ezayak ezayek izayak shu shou lesh leh leih leesh ahlan inshallah mashallah elhamdulillah hamdulillah alhamdulillah elly illi bas kaman delwa2ti fe fel fil fen feen wein wen kifak kifik keefak halla hala2 bokra bukra imbare7 mabrouk shukran shokran akeed aywa aiwa la2 3ala 3al ma3 el wel bel ya khalas tayeb mumkin momken eh ay shway shwaya ba3d ba3den ashan 3ashan shaklo nas kol kul kull";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[track_caller]
    fn check(text: &str, code: &str, why: Why) {
        let found = identify(text);
        assert_eq!((found.code, found.why), (code, why), "{text}");
        assert_eq!(found.confidence > 0.0, code != "und");
    }

    #[test]
    fn what_cannot_be_told_is_undetermined() {
        check("", "und", Why::TooShort);
        check("🙂🙂 12:30 !!", "und", Why::TooShort);
        check(
            "@the_and_of #because https://x.example/the/and",
            "und",
            Why::TooShort,
        );
        check("ok no", "und", Why::TooShort);
        check("asdkjh qwlekj zxmcnb", "und", Why::NoEvidence);
        check("hello всем вам добрый day my friends", "und", Why::Mixed);
        check("محمود كامل", "und", Why::NoEvidence);
        check("h3ll0 w0rld g00d", "und", Why::NoEvidence);
    }

    #[test]
    fn scripts_and_letters_decide() {
        check("등대 아래에서 만나요", "ko", Why::Script);
        check("灯台の下で会いましょう", "ja", Why::Script);
        check("我们在灯塔下见面", "zh", Why::Script);
        check("Ο φάρος ανάβει το βράδυ", "el", Why::Script);
        check("Маяк світить уночі, і їжа вже готова", "uk", Why::Letters);
        check("مونږ ښه یو او ډېر کار لرو", "ps", Why::Letters);
        check(
            "ئێمە ئەمڕۆ دەچینە بازاڕ لەگەڵ هاوڕێکان",
            "ckb",
            Why::Letters,
        );
    }

    /// Made-up neutral sentences with the language each is in.
    const SENTENCES: &str = include_str!("../tests/vectors/languages.tsv");

    /// How often each language was given each answer.
    fn answers() -> BTreeMap<&'static str, BTreeMap<&'static str, usize>> {
        let mut answers: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for line in SENTENCES.lines() {
            let (code, sentence) = line.split_once('\t').unwrap();
            let answer = identify(sentence).code;
            *answers.entry(code).or_default().entry(answer).or_default() += 1;
        }
        answers
    }

    #[test]
    fn sentences_are_told_apart_and_hardly_one_is_taken_for_another() {
        let answers = answers();
        assert!(answers.len() >= 14);
        let (mut all, mut right, mut wrong) = (0, 0, 0);
        for (code, answers) in &answers {
            for (answer, count) in answers {
                all += count;
                right += if answer == code { *count } else { 0 };
                wrong += if answer != code && *answer != "und" {
                    *count
                } else {
                    0
                };
            }
            assert!(answers.values().sum::<usize>() >= 20, "{code}");
        }
        let told = format!("{right} right, {wrong} wrong of {all}: {answers:?}");
        assert!(wrong * 100 <= all && right * 100 >= 85 * all, "{told}");
    }

    proptest! {
        #[test]
        fn any_text_has_an_answer(text: String) {
            let found = identify(&text);
            prop_assert!((0.0..=1.0).contains(&found.confidence));
            prop_assert_eq!(found.code == "und", found.confidence == 0.0);
        }
    }
}
