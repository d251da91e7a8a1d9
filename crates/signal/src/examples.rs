//! Examples of each signal type: what matches, what does not, and why. They run as tests.

use crate::signal::SignalType;

/// Two values to compare, and what must come of it.
///
/// ```
/// use manara_signal::{Expected, Signal, SignalType};
/// for example in SignalType::Url.examples() {
///     let parse = |text| Signal::parse(SignalType::Url, text).unwrap();
///     let distance = parse(example.a).distance(&parse(example.b));
///     assert_eq!(distance.is_some(), matches!(example.expect, Expected::Match(_)), "{}", example.why);
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Example {
    /// A member of a bank.
    pub a: &'static str,
    /// What it is compared with: a value of the same type; for `text`, a post; for `url_prefix` and
    /// `domain`, an address.
    pub b: &'static str,
    /// What must come of it.
    pub expect: Expected,
    /// The reason, for people.
    pub why: &'static str,
}

/// The outcome of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// They match at this distance, which is within the type's default.
    Match(u32),
    /// They do not match; the distance is given where the type has one.
    NoMatch(Option<u32>),
}

const fn same(a: &'static str, b: &'static str, why: &'static str) -> Example {
    near(a, b, 0, why)
}

const fn near(a: &'static str, b: &'static str, distance: u32, why: &'static str) -> Example {
    Example {
        a,
        b,
        expect: Expected::Match(distance),
        why,
    }
}

const fn apart(a: &'static str, b: &'static str, why: &'static str) -> Example {
    Example {
        a,
        b,
        expect: Expected::NoMatch(None),
        why,
    }
}

const fn far(a: &'static str, b: &'static str, distance: u32, why: &'static str) -> Example {
    Example {
        a,
        b,
        expect: Expected::NoMatch(Some(distance)),
        why,
    }
}

pub(crate) const fn of(ty: SignalType) -> &'static [Example] {
    match ty {
        SignalType::Sha256 => &SHA256,
        SignalType::Md5 => &MD5,
        SignalType::Pdq => &PDQ,
        SignalType::Text => &TEXT,
        SignalType::RawText => &RAW_TEXT,
        SignalType::SimilarText => &SIMILAR_TEXT,
        SignalType::TextTlsh => &TEXT_TLSH,
        SignalType::Url => &URL,
        SignalType::UrlPrefix => &URL_PREFIX,
        SignalType::Domain => &DOMAIN,
        SignalType::Invite => &INVITE,
        SignalType::Wallet => &WALLET,
        SignalType::Name => &NAME,
    }
}

const SHA256_ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

static SHA256: [Example; 3] = [
    same(SHA256_ABC, SHA256_ABC, "the same file"),
    same(
        SHA256_ABC,
        "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD",
        "the same digest in capitals",
    ),
    apart(
        SHA256_ABC,
        "a52d159f262b2c6ddb724a61840befc36eb30c88877a4030b65cbe86298449c9",
        "`abc` and `abd`: one letter changes the whole digest",
    ),
];

static MD5: [Example; 2] = [
    same(
        "900150983cd24fb0d6963f7d28e17f72",
        " 900150983CD24FB0D6963F7D28E17F72 ",
        "the same digest in capitals, with spaces around it as spreadsheets leave them",
    ),
    apart(
        "900150983cd24fb0d6963f7d28e17f72",
        "4911e516e5aa21d327512e0c8b197616",
        "`abc` and `abd`",
    ),
];

const PICTURE: &str = "163e95c1708eec19d8d9179367aa353c811ad2b373e26a259ddc1e47aa66e3c2";

/// Of a generated picture with many colours and some shapes.
static PDQ: [Example; 7] = [
    same(PICTURE, PICTURE, "the same picture"),
    near(
        PICTURE,
        "142eb4c1708eec19d9d9179366aab53c811ad3b333e24a259ddc5e47ea66e3c2",
        12,
        "the picture at a third of its size",
    ),
    near(
        PICTURE,
        "173a9fc97086e419d899579367aa353c811a72b3b3e26a259ddc1e47a866e3c2",
        14,
        "the picture at half its size, as a JPEG of quality 20",
    ),
    far(
        PICTURE,
        "162ebe49f08e641dc9f95f976722163c811a6ab333e02a359ddc7e47a066e3c2",
        34,
        "10 of 640 columns and 8 of 480 rows cut off at each side: just too far",
    ),
    far(
        PICTURE,
        "972b9de2b48d6d1aa89d5d1266a9153a801bd3ba53e22a251dde3e476866a3cb",
        50,
        "a white box over a corner: PDQ does not see through large overlays",
    ),
    far(
        PICTURE,
        "436fc09425d3b14c9d8c42c632ff4069d44f07e626b73f70c8894b12ff33b697",
        130,
        "mirrored: compare the dihedral forms to find such copies",
    ),
    far(
        PICTURE,
        "65f4c6c107e99813fcdd793ebc59f82c69a647c382c98323839426f36c33e895",
        122,
        "another picture: unrelated hashes are about 128 apart",
    ),
];

const SLOGAN: &str = "rise under the grey banner";
const ARABIC: &str = "راية الرماد ترتفع";

/// `a` is a phrase of a bank, `b` a post.
static TEXT: [Example; 50] = [
    same(
        SLOGAN,
        "they say: Rise under the GREY banner!",
        "capitals and punctuation do not matter",
    ),
    same(
        SLOGAN,
        "rise-under/the…grey, banner",
        "what stands between words does not matter",
    ),
    same(
        SLOGAN,
        "rise\u{200b} un\u{200d}der the gr\u{2060}ey ban\u{ad}ner",
        "invisible characters inside words",
    ),
    same(
        SLOGAN,
        "\u{202e}rise under the grey banner\u{202c}",
        "marks of writing direction",
    ),
    same(
        SLOGAN,
        "ｒｉｓｅ ｕｎｄｅｒ ｔｈｅ ｇｒｅｙ ｂａｎｎｅｒ",
        "full-width letters",
    ),
    same(
        SLOGAN,
        "𝓻𝓲𝓼𝓮 𝐮𝐧𝐝𝐞𝐫 𝕥𝕙𝕖 𝗴𝗿𝗲𝘆 𝚋𝚊𝚗𝚗𝚎𝚛",
        "mathematical letters used as ornament",
    ),
    same(SLOGAN, "ʀɪsᴇ ᴜɴᴅᴇʀ ᴛʜᴇ ɢʀᴇʏ ʙᴀɴɴᴇʀ", "small capitals"),
    same(SLOGAN, "rísé ündêr thë grëy bánnèr", "accents"),
    same(
        SLOGAN,
        "r̷i̶s̵e̴ under the g̴̢̛͔r̷e̸y̶ banner",
        "marks stacked on letters",
    ),
    same(
        SLOGAN,
        "risе undеr thе grеy bаnnеr",
        "Cyrillic letters in the place of Latin ones",
    ),
    same(
        SLOGAN,
        "RISΕ UNDΕR ΤΗΕ GRΕΥ ΒΑΝΝΕR",
        "Greek capitals in the place of Latin ones",
    ),
    same(
        SLOGAN,
        "гіѕе under the grey banner",
        "a word of Cyrillic letters only, among words of the phrase",
    ),
    same(
        SLOGAN,
        "r.i.s.e under the g r e y b-a-n-n-e-r",
        "letters set apart with dots, spaces and dashes",
    ),
    same(
        SLOGAN,
        "r i s e  u n d e r  t h e  g r e y  b a n n e r",
        "letters set apart, words further apart",
    ),
    same(
        SLOGAN,
        "now r i s e u n d e r t h e g r e y b a n n e r",
        "letters set apart so that words cannot be told",
    ),
    same(
        SLOGAN,
        "riiiise under the greeeey bannnnner",
        "letters repeated for emphasis",
    ),
    same(
        SLOGAN,
        "#RiseUnderTheGreyBanner",
        "written as one word, as tags are",
    ),
    apart(SLOGAN, "rise under the greyish banner", "another word"),
    apart(
        SLOGAN,
        "sunrise under the grey banner",
        "the phrase begins inside a word",
    ),
    apart(
        SLOGAN,
        "rise under the grey banners",
        "the phrase ends inside a word",
    ),
    apart(
        SLOGAN,
        "under the grey banner, rise",
        "another order of words",
    ),
    apart(SLOGAN, "rise under the grey", "only a part"),
    apart(
        SLOGAN,
        "rise under the baner grey",
        "a misspelling is another word",
    ),
    same("cat", "a cat.", "a word on its own"),
    apart(
        "cat",
        "category, concatenate, Cat5",
        "a word inside other words",
    ),
    apart("cat", "s c a t t e r", "a word inside letters set apart"),
    apart(
        "cop",
        "вынеси сор из избы",
        "an honest Russian word that looks like a Latin one",
    ),
    same(
        "cop",
        "the сор is here",
        "the same letters among Latin words",
    ),
    apart(
        "100",
        "1000",
        "a number is not emphasised by repeating its digits",
    ),
    same("кот", "Это КОТ!", "Russian, in capitals"),
    apart("кот", "которые", "a Russian word inside another"),
    same("кот", "это кoт", "a Latin o in a Russian word"),
    same(
        ARABIC,
        "قالوا: راية الرماد ترتفع.",
        "the slogan in a sentence",
    ),
    same(ARABIC, "رَايَةُ الرَّمَادِ تَرْتَفِعُ", "vowel signs"),
    same(ARABIC, "رايـــة الـرمـاد ترتــفع", "tatweel"),
    same(ARABIC, "ﺭﺍﻳﺔ ﺍﻟﺮﻣﺎﺩ ﺗﺮﺗﻔﻊ", "presentation forms"),
    same(
        ARABIC,
        "رایۃ الرماد ترتفع",
        "Farsi yeh and the teh marbuta of Urdu",
    ),
    same(
        ARABIC,
        "رايه الرماد ترتفع",
        "teh marbuta written as heh, as many do",
    ),
    same(ARABIC, "رآية ٱلرماد ترتفع", "other forms of alef"),
    same(
        ARABIC,
        "را\u{200c}ية الر\u{200f}ماد ترتفع",
        "invisible characters",
    ),
    same(ARABIC, "ر ا ي ة ا ل ر م ا د ت ر ت ف ع", "letters set apart"),
    same(
        ARABIC,
        "ر.ا.ي.ة الرماد ت-ر-ت-ف-ع",
        "letters set apart with dots and dashes",
    ),
    same(
        ARABIC,
        "راااااية الرماد ترتفعععع",
        "letters repeated for emphasis",
    ),
    same(ARABIC, "#راية_الرماد_ترتفع", "a tag"),
    same(
        ARABIC,
        "وراية الرماد ترتفع",
        "with the particle for `and` attached",
    ),
    apart(
        ARABIC,
        "راية الرمادي ترتفع غدا",
        "`grey` is another word than `ash`, and not the last of the phrase",
    ),
    apart(ARABIC, "ترتفع راية الرماد", "another order of words"),
    apart("راية", "دراية", "a word inside another: `knowledge`"),
    apart(
        "راية",
        "وراية",
        "one word alone is looked for as written: particles are only taken off phrases",
    ),
    apart("شرق", "شروق", "another word: `sunrise`"),
];

static URL: [Example; 9] = [
    same(
        "https://example.com/page",
        "HTTP://www.Example.com:80/page",
        "scheme, `www.`, case of the host, default port",
    ),
    same(
        "example.com/page",
        "https://example.com/a/../page#part",
        "no scheme, dot segments, fragment",
    ),
    same(
        "https://example.com/page?id=7",
        "https://example.com/page?utm_source=x&id=7&fbclid=y",
        "tracking parameters",
    ),
    same(
        "https://example.com/%7Eme",
        "https://example.com/~me",
        "percent-encoding of a plain character",
    ),
    same(
        "https://bücher.example/",
        "https://xn--bcher-kva.example",
        "an international host name",
    ),
    same(
        "https://chat.example/join",
        "hxxps://chat[.]example/join",
        "defanged, as analysts write links",
    ),
    apart(
        "https://example.com/page",
        "https://example.com/Page",
        "case matters in a path",
    ),
    apart(
        "https://example.com/page",
        "https://example.com/page?id=7",
        "a query selects another page",
    ),
    apart(
        "https://example.com/page",
        "https://example.com.evil.example/page",
        "another host",
    ),
];

const POST: &str = "Rise at dawn, all of you, and carry the grey banner up to the hill!";

static RAW_TEXT: [Example; 5] = [
    same(
        POST,
        "rise at DAWN all of you and carry the grey banner up to the hill",
        "only letters and digits count, not their case",
    ),
    near(
        POST,
        "Rise at dawn, all of you, and carry the gray banner up to the hill!",
        2,
        "one letter of fifty-two",
    ),
    far(
        POST,
        "Rise at dusk, all of us, and carry the gray banner up to the hill!",
        14,
        "seven letters of fifty-two",
    ),
    apart(
        POST,
        "Carry the grey banner up to the hill, and rise at dawn, all of you!",
        "another order: that is what similar_text is for",
    ),
    near(
        "يا أهل القرية اجتمعوا عند الفجر وارفعوا راية الرماد فوق التلة",
        "يا أهل القرية اجتمعوا عند الفجر وارفعوا راية الرمال فوق التلة",
        2,
        "one Arabic letter",
    ),
];

static SIMILAR_TEXT: [Example; 3] = [
    same(
        POST,
        "RISE at dawn; all of you – and carry the grey banner up to the hill",
        "case and punctuation",
    ),
    near(
        POST,
        "Hear this. Rise at dawn, all of you, and carry the grey banner up to the hill! Pass it on.",
        27,
        "made longer at both ends",
    ),
    far(
        POST,
        "The museum opens at nine; all are welcome to walk up to the hill.",
        93,
        "another text with some of the same words",
    ),
];

const TLSH_A: &str = "T1DFB092A1724AC2C0D3CA48452291EA04A5B75EB903A6E7577A54118FFA8148E98F9426";

static TEXT_TLSH: [Example; 2] = [
    same(TLSH_A, TLSH_A, "the same text"),
    near(
        TLSH_A,
        "T1DFB092A1724AC2C0D3CA48452291EA04A5B75EB903A6E7577A54118FFA8148E98F9000",
        6,
        "an invented hash",
    ),
];

static URL_PREFIX: [Example; 3] = [
    same(
        "https://video.example/channel/banner",
        "https://video.example/channel/banner/clips?page=2",
        "everything under it",
    ),
    same(
        "https://video.example/channel/banner",
        "http://www.video.example/channel/banner",
        "the address itself, in another spelling",
    ),
    apart(
        "https://video.example/channel/banner",
        "https://video.example/channel/bannermakers",
        "another channel whose name begins alike",
    ),
];

static DOMAIN: [Example; 3] = [
    same(
        "banner.example",
        "https://banner.example/page",
        "the domain",
    ),
    same(
        "banner.example",
        "https://cdn.eu.banner.example/page",
        "its subdomains",
    ),
    apart(
        "banner.example",
        "https://greybanner.example/page",
        "another domain that ends alike",
    ),
];

static INVITE: [Example; 3] = [
    same(
        "https://t.me/+AbCdEfGhIjKlMnOp",
        "tg://join?invite=AbCdEfGhIjKlMnOp",
        "one group, two links",
    ),
    same(
        "telegram:@grey_banner",
        "https://telegram.me/Grey_Banner/15",
        "a message of a public channel",
    ),
    apart(
        "telegram:@grey_banner",
        "https://t.me/grey_manner",
        "another channel",
    ),
];

static WALLET: [Example; 2] = [
    same(
        "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
        "bitcoin:bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4?amount=1",
        "capitals, and as a payment link",
    ),
    apart(
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
        "another address",
    ),
];

static NAME: [Example; 5] = [
    near("grey_banner", "@Grey.Banner", 3, "separators and case"),
    near("grey_banner", "grey_banner_18", 12, "a counter"),
    near(
        "grey_banner",
        "greybаnner",
        5,
        "a Cyrillic letter that looks alike",
    ),
    near("راية الرماد", "rayat_alramad", 16, "in Latin letters"),
    far(
        "grey_banner",
        "grey_manner",
        30,
        "another word, a letter apart",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::Signal;
    use crate::text::{PhraseIndex, normalise};

    /// The distance at which an example's values match, as the matcher would find it.
    fn distance(ty: SignalType, example: &Example) -> Option<u32> {
        let member = Signal::parse(ty, example.a).unwrap();
        let looked_up = match ty {
            SignalType::UrlPrefix | SignalType::Domain => SignalType::Url,
            other => other,
        };
        if let Signal::Text(phrase) = &member {
            let (mut index, mut hits) = (PhraseIndex::new(), Vec::new());
            index.insert(1, phrase);
            index.find(&normalise(example.b), &mut hits);
            return (!hits.is_empty()).then_some(0);
        }
        member.distance(&Signal::parse(looked_up, example.b).unwrap())
    }

    #[test]
    fn examples_hold() {
        let mut wrong = Vec::new();
        for ty in SignalType::ALL {
            assert!(ty.examples().len() > 1, "{ty}");
            for example in ty.examples() {
                let found = distance(ty, example);
                let holds = match example.expect {
                    Expected::Match(expect) => {
                        found == Some(expect) && expect <= ty.default_distance()
                    }
                    Expected::NoMatch(expect) => {
                        found == expect && found.is_none_or(|d| d > ty.default_distance())
                    }
                };
                if !holds {
                    wrong.push(format!(
                        "{ty}: {} / {}: {found:?} ({})",
                        example.a, example.b, example.why
                    ));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
