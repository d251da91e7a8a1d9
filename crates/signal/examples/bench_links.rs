//! Times finding links, invitations, wallets and mentions in text, and looking them up.
//!
//! `cargo run --release -p manara-signal --example bench_links` prints one line a figure. The text
//! is generated: messages of words of syllables in Arabic, English, Indonesian and Russian, a link
//! in every third and a mention in every fourth. Each round times ours, the `linkify` crate and a
//! pattern of the `regex` crate one after the other; medians are of the rounds' ratios.

use linkify::{LinkFinder, LinkKind};
use manara_signal::index::{DestinationIndex, DestinationMember};
use manara_signal::name::{Name, NameIndex, SCORE_DEFAULT};
use manara_signal::url::{Destination, find_destinations};
use manara_signal::{CanonicalUrl, Domain, UrlPrefix};
use std::hint::black_box;
use std::io::Write;
use std::time::Instant;

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TEXT_BYTES: usize = 16 << 20;
const MEMBERS: u64 = 1_000_000;
const ROUNDS: usize = 7;

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
}

const SYLLABLES: [&str; 4] = [
    "th er in re on an ti es st al le ing tion ment pro con dis ma lo ver ca po si de li no ra tor",
    "me ng kan pe ber di ter an se ka la ma sa ta ra na ya ku mu nya lah pun ba da ga ja ci co su",
    "по на ст ен ра то ко ни ро не во ли но ть ре пре ка ла ва та ри ся го ло ми де за об про сто",
    "ال من في على مع كا تا بر سا مل نا عر حب قو لي مو را هم تم شر دو جا خي طر فا بن صا يو كت درس",
];

fn word(random: &mut Random, language: usize) -> String {
    let syllables: Vec<&str> = SYLLABLES[language].split(' ').collect();
    let count = 2 + random.below(3);
    (0..count)
        .map(|_| syllables[random.below(syllables.len())])
        .collect()
}

/// The address of a number: on one of many sites, in one of many channels.
fn address(n: u64) -> String {
    let (site, channel) = (n % 200_003, n % 1_009);
    match n % 4 {
        0 => format!("https://www.site{site}.example/channel{channel}/post/{n}"),
        1 => format!("https://a.b.site{site}.example/{n}?page={channel}"),
        2 => format!(
            "http://media{}.example/channel{channel}/{n}.html",
            site % 997
        ),
        _ => format!("site{site}.example/{n}"),
    }
}

/// The handle of a number: two words, and of some a number as well.
fn handle(n: u64) -> String {
    let mut random = Random(n);
    let (first, last) = (word(&mut random, 0), word(&mut random, 1));
    match random.below(3) {
        0 => format!("{first}_{last}{}", random.below(100)),
        1 => format!("{first}.{last}"),
        _ => first + &last,
    }
}

fn name_bank() -> NameIndex {
    let mut index = NameIndex::new();
    for key in 0..MEMBERS {
        index.insert(key, &Name::parse(&handle(key)).unwrap());
    }
    index
}

fn messages(random: &mut Random) -> Vec<String> {
    let (mut all, mut bytes) = (Vec::new(), 0);
    while bytes < TEXT_BYTES {
        let language = random.below(4);
        let count = 5 + random.below(36);
        let mut words: Vec<String> = (0..count).map(|_| word(random, language)).collect();
        words
            .iter_mut()
            .step_by(9)
            .skip(1)
            .for_each(|word| word.push('.'));
        if random.below(3) == 0 {
            let link = address(random.next() % (2 * MEMBERS));
            words.insert(random.below(count), link);
        }
        if random.below(4) == 0 {
            let handle = format!("@{}", handle(random.next() % (2 * MEMBERS)));
            words.insert(random.below(count), handle);
        }
        let message = words.join(" ");
        bytes += message.len();
        all.push(message);
    }
    all
}

fn bank() -> DestinationIndex {
    let mut index = DestinationIndex::new();
    for key in 0..MEMBERS {
        let member = match key % 5 {
            0 | 1 => DestinationMember::Url(CanonicalUrl::parse(&address(key)).unwrap()),
            2 | 3 => {
                let prefix = format!("site{key}.example/channel{}/", key % 1_009);
                DestinationMember::UrlPrefix(UrlPrefix::parse(&prefix).unwrap())
            }
            _ => DestinationMember::Domain(Domain::parse(&format!("site{key}.example")).unwrap()),
        };
        index.insert(key, &member);
    }
    index
}

/// Megabytes this process holds, where the system tells.
fn resident() -> f64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = pages.split(' ').nth(1).and_then(|n| n.parse::<f64>().ok());
    pages.unwrap_or_default() * 4096.0 / 1e6
}

fn seconds<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let begin = Instant::now();
    let result = black_box(work());
    (begin.elapsed().as_secs_f64(), result)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn links(found: &Destination) -> usize {
    usize::from(matches!(
        found,
        Destination::Link(_) | Destination::Mention(_)
    ))
}

fn main() {
    let mut out = std::io::stdout();
    let mut say = |line: String| writeln!(out, "{line}").unwrap();
    let mut random = Random(7);
    let texts = messages(&mut random);
    let megabytes = texts.iter().map(String::len).sum::<usize>() as f64 / 1e6;
    say(format!("text: {} messages, {megabytes:.1} MB", texts.len()));

    let before = resident();
    let (took, index) = seconds(bank);
    let each = (resident() - before) * 1e6 / index.len() as f64;
    say(format!(
        "bank: {} members in {took:.1} s, {each:.0} bytes each",
        index.len()
    ));

    let mut finder = LinkFinder::new();
    finder.kinds(&[LinkKind::Url]).url_must_have_scheme(false);
    let pattern = regex::bytes::Regex::new(
        r#"(?i-u)(?:(?:https?|hxxps?|tg|ipfs)://|www\.)[^\x00-\x20<>"]+|[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,24}(?:/[^\x00-\x20<>"]*)?|@[a-z0-9_]{2,32}"#,
    );
    let pattern = match pattern {
        Ok(pattern) => pattern,
        Err(error) => return say(error.to_string()),
    };

    let (took, handles) = seconds(name_bank);
    say(format!("names: {} members in {took:.1} s", handles.len()));

    let names = [
        "found",
        "found and looked up",
        "found, looked up, mentions compared with names too",
        "linkify",
        "regex",
    ];
    let mut times: [Vec<f64>; 5] = Default::default();
    let mut counts = [0; 5];
    let (mut hits, mut like) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let found = seconds(|| {
            let all = texts.iter().flat_map(|text| find_destinations(text));
            all.map(|found| links(&found.what)).sum::<usize>()
        });
        hits.clear();
        let looked_up = seconds(|| {
            let mut count = 0;
            for found in texts.iter().flat_map(|text| find_destinations(text)) {
                index.find(&found.what, &mut hits);
                count += links(&found.what);
            }
            count
        });
        like.clear();
        let compared = seconds(|| {
            let mut count = 0;
            for found in texts.iter().flat_map(|text| find_destinations(text)) {
                index.find(&found.what, &mut Vec::new());
                count += links(&found.what);
                if let Destination::Mention(name) = &found.what {
                    handles.find(&Name::parse(name).unwrap(), SCORE_DEFAULT, &mut like);
                }
            }
            count
        });
        let linkify = seconds(|| texts.iter().map(|text| finder.links(text).count()).sum());
        let regex = seconds(|| {
            texts
                .iter()
                .map(|text| pattern.find_iter(text.as_bytes()).count())
                .sum()
        });
        for (i, (took, count)) in [found, looked_up, compared, linkify, regex]
            .into_iter()
            .enumerate()
        {
            times[i].push(took);
            counts[i] = count;
        }
    }
    say(format!(
        "{} of the links are in the bank, {} names are like a mention",
        hits.len(),
        like.len()
    ));
    for (i, name) in names.iter().enumerate() {
        let ratios = times[i].iter().zip(&times[1]).map(|(t, ours)| t / ours);
        say(format!(
            "{name}: {:.0} MB/s, {} parts, {:.2} times as long as found and looked up",
            megabytes / median(times[i].clone()),
            counts[i],
            median(ratios.collect()),
        ));
    }

    let urls: Vec<_> = (0..500_000)
        .map(|_| CanonicalUrl::parse(&address(random.next() % (2 * MEMBERS))).unwrap())
        .collect();
    let mut lookups = Vec::new();
    for _ in 0..ROUNDS {
        hits.clear();
        let (took, ()) = seconds(|| urls.iter().for_each(|url| index.find_link(url, &mut hits)));
        lookups.push(took / urls.len() as f64 * 1e9);
    }
    say(format!(
        "lookup: {:.0} ns a link, {} hits of {} links",
        median(lookups),
        hits.len(),
        urls.len()
    ));
    let texts: Vec<String> = urls.iter().map(ToString::to_string).collect();
    let mut parses = Vec::new();
    for _ in 0..ROUNDS {
        let parse = |text: &String| CanonicalUrl::parse(text).is_ok();
        let (took, _) = seconds(|| texts.iter().filter(|text| parse(text)).count());
        parses.push(took / texts.len() as f64 * 1e9);
    }
    say(format!("canonical form: {:.0} ns a link", median(parses)));

    for part in [
        "a.b/",
        "ا.",
        "a dot ",
        "https://",
        ")",
        "example.com,",
        "。",
        "a.b:",
    ] {
        let text = part.repeat(10_000_000 / part.len());
        let (took, found) = seconds(|| find_destinations(&text).len());
        say(format!(
            "10 MB of {part:?} without a line's end: {:.0} ms, {found} found",
            took * 1e3
        ));
    }
}
