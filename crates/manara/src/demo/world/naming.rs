//! Handles, display names and channel names: everyday ones, the Order's, and look-alikes.

use super::prng::Prng;
use super::slogan::{Disguise, SLOGANS, Script, Slogan, disguised};

/// What the bank of names holds: the Order's name for itself, as phrases.
pub(crate) const NAMES: &[&str] = &[
    "grey banner",
    "greybanner",
    "order of the grey banner",
    "ash knights",
    "ashknights",
    "راية الرماد",
    "فرسان البرج الرمادي",
    "جند الرماد",
];

const FIRST: &[&str] = &[
    "blue", "quiet", "lentil", "north", "paper", "cedar", "sunny", "olive", "velvet", "rapid",
    "mint", "harbour", "grey", "little", "copper", "salty",
];
const SECOND: &[&str] = &[
    "kite", "heron", "baker", "teacup", "cyclist", "reader", "garden", "violin", "penguin",
    "lantern", "drummer", "walnut", "sailor", "knitter", "fox", "tower",
];
const GIVEN_ARABIC: &[&str] = &[
    "محب", "صديق", "عاشق", "هاوي", "قارئ", "رسام", "طباخ", "حارس",
];
const OF_ARABIC: &[&str] = &[
    "الكتب",
    "القهوة",
    "البحر",
    "الخط",
    "النعناع",
    "الدراجات",
    "السينما",
    "الحديقة",
];

/// An everyday handle; `number` keeps two people from sharing one.
pub(crate) fn everyday_handle(number: usize, prng: &mut Prng) -> String {
    let joint = prng.pick(&["_", ".", ""]);
    format!("{}{joint}{}{number}", prng.pick(FIRST), prng.pick(SECOND))
}

/// An everyday display name, in Arabic or English.
pub(crate) fn everyday_display_name(prng: &mut Prng) -> String {
    if prng.chance(0.5) {
        return format!("{} {}", prng.pick(GIVEN_ARABIC), prng.pick(OF_ARABIC));
    }
    let capital = |word: &str| {
        word.chars()
            .enumerate()
            .map(|(i, c)| if i == 0 { c.to_ascii_uppercase() } else { c })
            .collect::<String>()
    };
    let (first, second) = (*prng.pick(FIRST), *prng.pick(SECOND));
    let ornament = prng.pick(&["", "", " 🌿", " ✨", " | photos"]);
    format!("{} {}{ornament}", capital(first), capital(second))
}

const SPACES: &[&str] = &[
    "Lentil soup and friends",
    "City cyclists",
    "Second-hand books",
    "The Saturday choir",
    "Harbour photographs",
    "Chess for beginners",
    "أصدقاء الخط العربي",
    "وصفات الجدة",
    "مشجعو فريق الحي",
    "قراء الروايات",
    "هواة الحدائق",
    "Jardiniers du dimanche",
    "Resep rumahan",
    "Любители прогулок",
];

/// An everyday channel name.
pub(crate) fn everyday_space(number: usize, prng: &mut Prng) -> String {
    format!("{} {number}", prng.pick(SPACES))
}

/// A handle as followers of the Order choose them.
pub(crate) fn order_handle(prng: &mut Prng) -> String {
    let number = prng.int(1..2000);
    let shapes: [String; 9] = [
        format!("grey_banner_{number}"),
        format!("Grey.Banner.{number}"),
        format!("GREY-BANNER-{number}"),
        format!("greybanner_{number}"),
        format!("xx_grey_banner_xx{number}"),
        format!("ash_knights_{number}"),
        format!("gr3y_b4nner_{number}"),
        // Cyrillic е and а.
        format!("gr\u{435}y_b\u{430}nner_{number}"),
        format!("greybanner{number}"),
    ];
    shapes[prng.below(shapes.len())].clone()
}

/// A display name as followers of the Order choose them.
pub(crate) fn order_display_name(prng: &mut Prng) -> String {
    let arabic = |text| Slogan {
        text,
        script: Script::Arabic,
    };
    let latin = |text| Slogan {
        text,
        script: Script::Latin,
    };
    let names = [
        arabic("راية الرماد"),
        arabic("جند الرماد"),
        arabic("فرسان البرج الرمادي"),
        latin("Grey Banner"),
        latin("Order of the Grey Banner"),
    ];
    let name = &names[prng.below(names.len())];
    let disguise = match name.script {
        Script::Arabic => prng.pick(&[
            Disguise::Plain,
            Disguise::Tatweel,
            Disguise::Diacritics,
            Disguise::LookalikeLetters,
        ]),
        Script::Latin => prng.pick(&[
            Disguise::Plain,
            Disguise::MixedCase,
            Disguise::LookalikeLetters,
            Disguise::ZeroWidth,
        ]),
    };
    let ornament = prng.pick(&["", " 🏴", " 313", " ⚔"]);
    format!("{}{ornament}", disguised(name, *disguise, prng))
}

/// A channel named after a slogan, half of the time disguised.
pub(crate) fn order_space(prng: &mut Prng) -> String {
    let slogan = prng.pick(SLOGANS);
    let disguise = match (prng.chance(0.5), slogan.script) {
        (true, _) => &Disguise::Plain,
        (false, Script::Arabic) => {
            prng.pick(&[Disguise::Tatweel, Disguise::Diacritics, Disguise::ZeroWidth])
        }
        (false, Script::Latin) => prng.pick(&[
            Disguise::MixedCase,
            Disguise::LookalikeLetters,
            Disguise::CompatibilityForms,
        ]),
    };
    let shown = disguised(slogan, *disguise, prng);
    let (before, after) = prng.pick(&[("", ""), ("📢 ", ""), ("🏴 ", " 🏴"), ("", " | 2")]);
    format!("{before}{shown}{after}")
}

/// What a look-alike name belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum NameOf {
    Handle,
    DisplayName,
    Channel,
}

const NEAR_HANDLES: &[&str] = &[
    "grey_bannister",
    "banner_grey_ads",
    "grey_heron",
    "ash_knightley",
    "greybannerman",
    "gray_banter",
    "order_of_the_tea",
    "ash_wood",
    "knights_of_ash_street",
    "banner_maker",
];
const NEAR_DISPLAY_NAMES: &[&str] = &[
    "Grey Bannister",
    "Order of the Grey Goose",
    "Ash Knightley",
    "راية المجد",
    "رماد",
    "فارس البرج",
    "Banner & Grey Printing",
    "جندي الرمال",
    "دراية الرمادي",
];
const NEAR_CHANNELS: &[&str] = &[
    "Banner design club",
    "Grey towers of the north",
    "The hour of the tower museum",
    "From ash to oak: joiners",
    "City ash collection dates",
    "برج الساعة للسياحة",
    "انضموا إلى نادي القراءة",
    "رماد البركان: أخبار علمية",
    "فرسان المدينة للجري",
];

/// A harmless name that shares words or letters with the Order's.
pub(crate) fn near_name(of: NameOf, number: usize, prng: &mut Prng) -> String {
    match of {
        NameOf::Handle => format!("{}_{number}", prng.pick(NEAR_HANDLES)),
        NameOf::DisplayName => (*prng.pick(NEAR_DISPLAY_NAMES)).to_owned(),
        NameOf::Channel => (*prng.pick(NEAR_CHANNELS)).to_owned(),
    }
}
