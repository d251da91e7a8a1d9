//! What people say on the invented platform: everyday lines in five languages, the sentences around
//! a slogan, and lines that come close to a slogan without being one.
//!
//! All of it is put together from parts; nobody wrote any of these posts.

use super::prng::Prng;
use super::slogan::Script;

/// A post's text and the language the platform files it under.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) language: &'static str,
}

/// The parts of a language's everyday lines: one of each, in this order.
struct Parts {
    language: &'static str,
    /// Out of a hundred lines, how many are in this language.
    share: usize,
    openers: &'static [&'static str],
    middles: &'static [&'static str],
    closers: &'static [&'static str],
}

const LANGUAGES: &[Parts] = &[
    Parts {
        language: "ar",
        share: 43,
        openers: &[
            "صباح الخير يا جماعة،",
            "مساء النور،",
            "سؤال سريع:",
            "والله",
            "اليوم",
            "البارحة",
            "بصراحة",
            "للعلم فقط:",
            "يا سلام!",
            "نصيحة مني:",
            "الحمد لله،",
            "خبر جميل:",
        ],
        middles: &[
            "جربت وصفة العدس الجديدة",
            "وصلت الحافلة قبل موعدها",
            "زرعت النعناع على الشرفة",
            "المكتبة تفتح أبوابها يوم السبت",
            "انتهيت من قراءة رواية قصيرة",
            "مباراة الحي كانت ممتعة",
            "القهوة في المقهى الصغير لذيذة",
            "الطقس معتدل على الشاطئ",
            "ابنتي رسمت قطة زرقاء",
            "سوق الخضار مزدحم",
            "أصلحت دراجتي بنفسي",
            "بدأت دورة الخط العربي",
            "كُتِبَ الدرسُ بخطٍّ جميلٍ",
            "السماء صافية هذا المساء",
            "وجدت مفاتيح قرب الحديقة",
            "أخي الصغير تعلم السباحة",
        ],
        closers: &[
            "فما رأيكم؟",
            "شكرا لكم جميعا",
            "😊",
            "وأنصح بها كل من يحب البساطة",
            "ونلتقي غدا إن شاء الله",
            "من يرافقني؟",
            "وكانت لحظة جميلـــة",
            "كما في كل عام",
            "مع أطيب التحيات",
            "❤️",
            "هههههه",
            "وسأكتب لكم التفاصيل لاحقا",
        ],
    },
    Parts {
        language: "en",
        share: 39,
        openers: &[
            "Good morning everyone,",
            "Quick question:",
            "So",
            "Update:",
            "Honestly,",
            "Fun fact:",
            "Sooooo happy,",
            "Reminder:",
            "Anyone else?",
            "Today",
            "Last night",
            "PSA:",
        ],
        middles: &[
            "the lentil soup turned out great",
            "my bike finally has new brakes",
            "the library opens at nine on Saturday",
            "we counted forty ducks by the lake",
            "I finished the second chapter",
            "the neighbours lent me a ladder",
            "the number 12 bus takes the long way round",
            "her tomatoes are already red",
            "somebody left a blue umbrella in the hall",
            "the choir needs two more voices",
            "I painted the kitchen door green",
            "our cat learned to open drawers",
            "the new bakery sells rye bread",
            "the concert starts at half past seven",
            "my grandmother's clock runs backwards",
            "the old tower clock was repaired",
        ],
        closers: &[
            "what do you think?",
            "thanks to everybody who helped",
            "🙂",
            "see you there",
            "pictures to follow",
            "and it was worth the wait",
            "who wants to join?",
            "L O L",
            "no idea why",
            "same as every year",
            "👨‍👩‍👧 all well here",
            "details at https://town.example/news",
        ],
    },
    Parts {
        language: "id",
        share: 6,
        openers: &[
            "Selamat pagi,",
            "Info saja:",
            "Tadi malam",
            "Teman-teman,",
            "Hari ini",
        ],
        middles: &[
            "ibu memasak sayur asem",
            "kereta datang tepat waktu",
            "pasar pagi ramai sekali",
            "adik belajar naik sepeda",
            "hujan turun sebentar",
            "bunga melati sudah mekar",
        ],
        closers: &[
            "terima kasih semuanya",
            "bagaimana menurut kalian?",
            "sampai jumpa besok",
            "😄",
            "seru sekali",
        ],
    },
    Parts {
        language: "ru",
        share: 6,
        openers: &["Доброе утро,", "Вопрос:", "Сегодня", "Друзья,", "Кстати,"],
        middles: &[
            "мы испекли яблочный пирог",
            "трамвай пришёл вовремя",
            "в парке зацвела сирень",
            "кот снова спит на клавиатуре",
            "в библиотеке новая выставка",
            "соседи починили качели",
        ],
        closers: &[
            "что скажете?",
            "всем спасибо",
            "до завтра",
            "😀",
            "как и в прошлом году",
        ],
    },
    Parts {
        language: "fr",
        share: 6,
        openers: &[
            "Bonjour à tous,",
            "Petite question :",
            "Hier soir",
            "Bonne nouvelle :",
            "Aujourd'hui",
        ],
        middles: &[
            "la soupe aux lentilles était délicieuse",
            "le train est arrivé à l'heure",
            "le marché ouvre samedi",
            "j'ai planté de la menthe",
            "la chorale cherche deux voix",
            "le chat dort sur le piano",
        ],
        closers: &[
            "qu'en pensez-vous ?",
            "merci à tous",
            "à demain",
            "🙂",
            "comme chaque année",
        ],
    },
];

/// An everyday line in one of the five languages.
pub(crate) fn everyday(prng: &mut Prng) -> Line {
    let mut left = prng.below(LANGUAGES.iter().map(|l| l.share).sum());
    let chosen = LANGUAGES.iter().find(|l| {
        let here = left < l.share;
        left = left.saturating_sub(l.share);
        here
    });
    // `left` starts below the sum of the shares, so some language is always reached.
    line_of(chosen.unwrap_or(&LANGUAGES[0]), prng)
}

/// An everyday line in the language of a script.
pub(crate) fn everyday_in(script: Script, prng: &mut Prng) -> Line {
    let chosen = LANGUAGES.iter().find(|l| l.language == script.language());
    line_of(chosen.unwrap_or(&LANGUAGES[0]), prng)
}

fn line_of(parts: &Parts, prng: &mut Prng) -> Line {
    let text = format!(
        "{} {} {}",
        prng.pick(parts.openers),
        prng.pick(parts.middles),
        prng.pick(parts.closers)
    );
    Line {
        text,
        language: parts.language,
    }
}

const AROUND_ARABIC: &[(&str, &str)] = &[
    ("", ""),
    ("أيها الإخوة: ", " ولن ننتظر أحدا"),
    ("تذكروا دائما: ", "!"),
    ("«", "» هذا شعارنا الليلة"),
    ("قالها القائد، ", "، فانشروها"),
    ("🏴 ", " 🏴"),
    ("رسالة إلى الجميع: ", " والسلام"),
];
const AROUND_LATIN: &[(&str, &str)] = &[
    ("", ""),
    ("Brothers, ", " and wait for nobody"),
    ("Never forget: ", "!"),
    ("\"", "\" - pass it on tonight"),
    ("He said it, ", ", so spread it"),
    ("🏴 ", " 🏴"),
    ("Message to all: ", ". More soon"),
];

/// A slogan as a follower of the Order would post it.
pub(crate) fn around_slogan(slogan: &str, script: Script, prng: &mut Prng) -> Line {
    let (before, after) = prng.pick(if script == Script::Arabic {
        AROUND_ARABIC
    } else {
        AROUND_LATIN
    });
    Line {
        text: format!("{before}{slogan}{after}"),
        language: script.language(),
    }
}

const REPORTS_ARABIC: &[(&str, &str)] = &[
    (
        "أفادت صحيفة البلدة بأن ملصقات كتب عليها «",
        "» أزيلت صباح اليوم من جدران السوق",
    ),
    (
        "دراسة جديدة تشرح كيف يستغل المتطرفون عبارات مثل «",
        "» لجذب المراهقين",
    ),
];
const REPORTS_LATIN: &[(&str, &str)] = &[
    (
        "The town paper reports that posters reading \"",
        "\" were taken off the market walls this morning",
    ),
    (
        "A new study explains how extremists use lines such as \"",
        "\" to draw in teenagers",
    ),
];

/// A slogan quoted whole by a newspaper or a scholar: for a person to look at, not for removal.
pub(crate) fn quoted_in_report(slogan: &str, script: Script, prng: &mut Prng) -> Line {
    let (before, after) = prng.pick(if script == Script::Arabic {
        REPORTS_ARABIC
    } else {
        REPORTS_LATIN
    });
    Line {
        text: format!("{before}{slogan}{after}"),
        language: script.language(),
    }
}

/// A way in which harmless text comes near a slogan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Nearness {
    /// A word of the slogan is the beginning of a longer, other word.
    LongerWord,
    /// News that share single words with a slogan.
    News,
    /// Somebody speaking against the Order.
    CounterSpeech,
    /// Letters of another script as that script is meant, spaced or drawn out for other reasons.
    OrdinaryScript,
}

const LONGER_WORDS: &[(&str, &str)] = &[
    (
        "en",
        "Mind your hand on the grey bannister of the old staircase",
    ),
    (
        "en",
        "Children should not rise under the grey bannisters, the caretaker says",
    ),
    (
        "en",
        "Ash covers the cityscape in the second painting on the left",
    ),
    ("en", "From ash we returned to oak for the new shelves"),
    (
        "en",
        "The hour of the tower is nearly over, the museum guide said",
    ),
    (
        "en",
        "They had to kneel before the grey towering cliff to tie their boots",
    ),
    (
        "en",
        "No banner above the grey bannerstone, the archaeologist insists",
    ),
    (
        "en",
        "She will swear to the grey towers of Elm Street being prettier in spring",
    ),
    (
        "ar",
        "ساعة البرجوازية اقتربت من نهايتها كما يقول الكاتب في مقاله",
    ),
    ("ar", "البرجان يناديان الزوار كل صيف بإطلالة على البحر"),
    ("ar", "الرمادة يغطي سفحها الزهر في الربيع"),
    ("ar", "عهد البرجين لا ينكسران في القصة إلا في الفصل الأخير"),
    ("ar", "من الرمادة نعودكم بالصور كل خميس"),
    ("ar", "دراية الرمادي بالنبات ترتفع مع كل كتاب يقرؤه"),
];
const NEWS: &[(&str, &str)] = &[
    (
        "en",
        "The volcano was quiet today; ash fell on two villages and the city was spared",
    ),
    (
        "en",
        "The bakery has replaced its grey banner with a yellow one",
    ),
    (
        "en",
        "Council: the clock tower will be closed for repairs, the hour bell stays silent",
    ),
    (
        "en",
        "The choir order new robes: grey, with a banner for the parade",
    ),
    (
        "en",
        "Her sons climbed the tower; nobody calls it dangerous any more",
    ),
    ("en", "Join the tea lovers of the grey house on Sunday"),
    ("ar", "سقط الرماد البركاني على قريتين ولم يصل إلى المدينة"),
    ("ar", "رفع الكشافة راية جديدة فوق مدرسة الحي"),
    ("ar", "برج الساعة مغلق للصيانة حتى نهاية الشهر"),
    ("ar", "اللون الرمادي هو لون العام في معرض الأثاث"),
    ("ar", "فرسان الجري قادمون إلى ماراثون المدينة"),
    ("ar", "انضموا إلى دورة الخط في المكتبة"),
];
const COUNTER_SPEECH: &[(&str, &str)] = &[
    (
        "en",
        "Nobody should follow an order that hides behind a grey flag. Talk to your kids",
    ),
    (
        "en",
        "I left that tower cult two years ago, ask me anything about leaving",
    ),
    (
        "en",
        "Their banner is grey because their promises are. Stay away from them",
    ),
    (
        "en",
        "If somebody asks you to swear an oath to a tower, call the helpline",
    ),
    ("en", "There is no honour in ash. Build something instead"),
    ("ar", "لا تصدقوا من يبيعكم رايات رمادية، احموا أبناءكم"),
    ("ar", "تركت جماعة البرج قبل عامين، واسألوني عن طريق الخروج"),
    ("ar", "الرماد لا يبني مدينة، فلنبن معا"),
    ("ar", "من يطلب منك عهدا لبرج فاتصل بخط المساعدة"),
    ("ar", "راياتهم رمادية ووعودهم رماد، ابتعدوا عنهم"),
];
const ORDINARY_SCRIPT: &[(&str, &str)] = &[
    ("ru", "Серый баннер над булочной заменили на жёлтый"),
    ("ru", "Башня закрыта на ремонт, час бьёт соседняя"),
    ("ru", "Пепел костра засыпали песком, как и положено"),
    ("fa", "کتاب کوچک شهر را دوست دارم"),
    ("fa", "برج میلاد را در شب ببینید"),
    ("ar", "جمـــعة مبـــاركة على الجميع"),
    ("ar", "مُعَلِّمَةُ اللُّغَةِ الْعَرَبِيَّةِ تُحِبُّ تَلَامِيذَهَا"),
    ("ar", "هـ ـ ـ ـلا والله بالحلوين"),
    ("en", "W E  M I S S  Y O U, come home for the holidays"),
    ("en", "Yesssss, the tower of pancakes is done"),
    ("en", "U R G R 8 m8, c u l8r"),
    ("el", "Ο πύργος είναι κλειστός για επισκευή"),
];

/// A harmless line that is near a slogan in this way.
pub(crate) fn near_slogan(nearness: Nearness, prng: &mut Prng) -> Line {
    let (language, text) = prng.pick(match nearness {
        Nearness::LongerWord => LONGER_WORDS,
        Nearness::News => NEWS,
        Nearness::CounterSpeech => COUNTER_SPEECH,
        Nearness::OrdinaryScript => ORDINARY_SCRIPT,
    });
    // A second, everyday sentence, so that the same line is rarely sent twice.
    let script = if *language == "ar" {
        Script::Arabic
    } else {
        Script::Latin
    };
    let more = everyday_in(script, prng).text;
    Line {
        text: if prng.chance(0.6) {
            format!("{text}. {more}")
        } else {
            (*text).to_owned()
        },
        language,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn everyday_lines_are_in_all_languages_by_their_shares() {
        let mut prng = Prng::new(4);
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for _ in 0..2000 {
            *counts.entry(everyday(&mut prng).language).or_default() += 1;
        }
        assert_eq!(counts.len(), LANGUAGES.len());
        assert!(
            counts["ar"] > counts["id"] * 3 && counts["en"] > counts["fr"] * 3,
            "{counts:?}"
        );
    }

    #[test]
    fn no_harmless_line_holds_a_slogan() {
        let holds = |text: &str, slogan: &str| {
            let words = |t: &str| {
                t.to_lowercase()
                    .split(|c: char| !c.is_alphanumeric())
                    .filter(|w| !w.is_empty())
                    .map(String::from)
                    .collect::<Vec<_>>()
            };
            let (text, slogan) = (words(text), words(slogan));
            text.windows(slogan.len()).any(|window| window == slogan)
        };
        let lists = [LONGER_WORDS, NEWS, COUNTER_SPEECH, ORDINARY_SCRIPT];
        for (_, text) in lists.into_iter().flatten() {
            for slogan in super::super::slogan::SLOGANS {
                assert!(!holds(text, slogan.text), "{text}");
            }
        }
    }
}
