//! The table itself. Within a receiver, in the order in which the reference shows it.

use super::Need::{May, Must, Named};
use super::{
    Function, How, Need, On, Param, Run, Wants, links, names, numbers, sample, texts, times,
};
use crate::types::Shape;

/// Work of searching or changing a text.
const SCAN: u64 = 20;
/// Work of normalising a text, or of what costs about as much.
const NORMALISE: u64 = 500;
/// Work of reading a web address.
pub(super) const LINK: u64 = 300;
/// Work of comparing two names.
const NAME: u64 = 2_000;
/// Work of telling a language.
const LANGUAGE: u64 = 4_000;

const fn own(name: &'static str, words: &'static str) -> Param {
    Param {
        name,
        wants: Wants::Own(words),
        need: Must,
    }
}

const fn param(name: &'static str, wants: Wants, need: Need) -> Param {
    Param { name, wants, need }
}

const ELEMENT: &[Param] = &[own("x", "name"), own("condition", "bool")];
const TEXT: &[Param] = &[own("part", "string")];
const WHAT: Param = own("what", "what of the event");
const LOOKED_UP: &[Param] = &[
    WHAT,
    param("distance", Wants::Own("number"), May),
    param("quality", Wants::Own("number"), Named),
];
const LEVEL: Wants = Wants::LiteralText("a level", "for example `level: \"aggressive\"`");
const ZONE: &[Param] = &[param(
    "zone",
    Wants::LiteralText(
        "a time zone",
        "for example `\"Europe/Berlin\"` or `\"+03:00\"`",
    ),
    May,
)];
const NAME_HINT: &str =
    "write the name here, or keep several in a bank and ask `bank(\"…\").matches(account)`";
const PHRASE_HINT: &str =
    "write the phrase here, or keep several in a bank and ask `bank(\"…\").matches(content.text)`";
const IN_TEXT: &[Param] = &[param("text", Wants::Value(&[Shape::Text]), Must)];

const fn built(
    on: On,
    name: &'static str,
    params: &'static [Param],
    result: &'static str,
    doc: &'static str,
    example: &'static str,
) -> Function {
    Function {
        name,
        on,
        params,
        result,
        cost: SCAN,
        doc,
        example,
        how: How::Built,
    }
}

const fn of_text(
    name: &'static str,
    run: Run,
    cost: u64,
    doc: &'static str,
    example: &'static str,
) -> Function {
    Function {
        name,
        on: On::Text,
        params: &[],
        result: answers(run),
        cost,
        doc,
        example,
        how: How::Run {
            prepare: texts::nothing,
            run,
        },
    }
}

const fn of_time(
    name: &'static str,
    run: Run,
    doc: &'static str,
    example: &'static str,
) -> Function {
    Function {
        name,
        on: On::Time,
        params: ZONE,
        result: "int",
        cost: 100,
        doc,
        example,
        how: How::Run {
            prepare: times::zone,
            run,
        },
    }
}

const fn of_duration(
    name: &'static str,
    run: Run,
    doc: &'static str,
    example: &'static str,
) -> Function {
    Function {
        on: On::Duration,
        params: &[],
        cost: 2,
        how: How::Run {
            prepare: texts::nothing,
            run,
        },
        ..of_time(name, run, doc, example)
    }
}

const fn of_lexicon(
    name: &'static str,
    run: Run,
    doc: &'static str,
    example: &'static str,
) -> Function {
    Function {
        name,
        on: On::Lexicon,
        params: IN_TEXT,
        result: answers(run),
        cost: 2 * NORMALISE,
        doc,
        example,
        how: How::Run {
            prepare: texts::nothing,
            run,
        },
    }
}

const fn answers(run: Run) -> &'static str {
    match run {
        Run::Bool(_) => "bool",
        Run::Int(_) => "int",
        Run::Float(_) => "float",
        Run::Text(_) => "string",
        Run::Texts(_) => "list<string>",
    }
}

static TABLE: &[Function] = &[
    // ---- by themselves ----
    built(
        On::Nothing,
        "has",
        &[own("field", "field")],
        "bool",
        "whether the event carries a field, an entity or an entry of a map; for lists, sets and maps, whether it holds something; never unknown",
        "has(account.created_at)",
    ),
    built(
        On::Nothing,
        "size",
        &[own("of", "string, list, set or map")],
        "int",
        "as the method `size`",
        "size(content.links) > 3",
    ),
    built(
        On::Nothing,
        "duration",
        &[own("text", "\"…\"")],
        "duration",
        "a length of time",
        "duration(\"24h\") > account.age",
    ),
    built(
        On::Nothing,
        "timestamp",
        &[own("text", "\"…\"")],
        "time",
        "a point in time",
        "event.time > timestamp(\"2026-11-22T10:15:00Z\")",
    ),
    built(
        On::Nothing,
        "bank",
        &[own("name", "\"…\"")],
        "bank",
        "a set of known images, files, phrases and addresses",
        "bank(\"B\").matches(content)",
    ),
    built(
        On::Nothing,
        "lexicon",
        &[own("name", "\"…\"")],
        "lexicon",
        "a list of phrases written in a rule file",
        "lexicon(\"shop_words\").count(content.text) > 2",
    ),
    built(
        On::Nothing,
        "set",
        &[own("name", "\"…\"")],
        "set",
        "a set of texts that operators keep; unknown when nobody keeps one of this name",
        "account.id in set(\"trusted\")",
    ),
    Function {
        name: "int",
        on: On::Nothing,
        params: &[param(
            "number",
            Wants::Value(&[Shape::Float, Shape::Int]),
            Must,
        )],
        result: "int",
        cost: 2,
        doc: "a number without its fraction; unknown out of range",
        example: "int(2.9) == account.followers",
        how: How::Run {
            prepare: texts::nothing,
            run: Run::Int(numbers::int),
        },
    },
    Function {
        name: "float",
        on: On::Nothing,
        params: &[param(
            "number",
            Wants::Value(&[Shape::Int, Shape::Float]),
            Must,
        )],
        result: "float",
        cost: 2,
        doc: "a whole number as one with a fraction",
        example: "float(account.followers) / 2.0 > 1.5",
        how: How::Run {
            prepare: texts::nothing,
            run: Run::Float(numbers::float),
        },
    },
    Function {
        name: "string",
        on: On::Nothing,
        params: &[param(
            "value",
            Wants::Value(&[Shape::Int, Shape::Float, Shape::Bool, Shape::Text]),
            Must,
        )],
        result: "string",
        cost: 50,
        doc: "a number or truth as a text",
        example: "string(account.followers) == \"12\"",
        how: How::Run {
            prepare: texts::nothing,
            run: Run::Text(numbers::string),
        },
    },
    Function {
        name: "sample",
        on: On::Nothing,
        params: &[
            param(
                "share",
                Wants::LiteralNumber("a share", "for example `sample(0.1)` for a tenth"),
                Must,
            ),
            param("by", Wants::Value(&[Shape::Text]), Named),
        ],
        result: "bool",
        cost: 300,
        doc: "whether the event is in this share of all; with `by`, the same for every event with the same key",
        example: "sample(0.1, by: account.id)",
        how: How::Run {
            prepare: sample::share,
            run: Run::Bool(sample::sample),
        },
    },
    // ---- texts ----
    built(
        On::Text,
        "contains",
        TEXT,
        "bool",
        "whether exactly these characters are in it",
        "content.text.contains(\"free\")",
    ),
    built(
        On::Text,
        "startsWith",
        TEXT,
        "bool",
        "whether it begins with exactly these characters",
        "content.text.startsWith(\"Win\")",
    ),
    built(
        On::Text,
        "endsWith",
        TEXT,
        "bool",
        "whether it ends in exactly these characters",
        "account.handle.endsWith(\"_17\")",
    ),
    Function {
        name: "containsPhrase",
        on: On::Text,
        params: &[
            param("phrase", Wants::LiteralText("a phrase", PHRASE_HINT), Must),
            param("level", LEVEL, Named),
        ],
        result: "bool",
        cost: NORMALISE,
        doc: "whole words in any disguise: other case, accents and vowel signs, look-alike letters, letters set apart, characters nobody sees; at the level `aggressive` also digits for letters and Arabic in Latin letters, at `strict` nothing but case and width",
        example: "content.text.containsPhrase(\"join us\", level: \"aggressive\")",
        how: How::Run {
            prepare: texts::phrase,
            run: Run::Bool(texts::contains_phrase),
        },
    },
    Function {
        name: "matches",
        on: On::Text,
        params: &[param(
            "pattern",
            Wants::LiteralText(
                "a pattern",
                "for example `content.text.matches(r\"\\bv[i1]p\\b\")`",
            ),
            Must,
        )],
        result: "bool",
        cost: 100,
        doc: "whether a regular expression is found anywhere in it",
        example: "content.text.matches(r\"(?i)\\bfr[e3]{2}\\b\")",
        how: How::Run {
            prepare: texts::pattern,
            run: Run::Bool(texts::matches),
        },
    },
    built(
        On::Text,
        "lower",
        &[],
        "string",
        "in lower case",
        "content.text.lower().contains(\"free\")",
    ),
    built(
        On::Text,
        "lowerAscii",
        &[],
        "string",
        "in lower case, as far as letters are ASCII",
        "account.handle.lowerAscii() == \"river_walker\"",
    ),
    Function {
        params: &[param("level", LEVEL, May)],
        how: How::Run {
            prepare: texts::form,
            run: Run::Text(texts::normalised),
        },
        ..of_text(
            "normalised",
            Run::Text(texts::normalised),
            NORMALISE,
            "with every disguise taken off; compare it with plain lower-case text. At the level `strict` accents, look-alikes and letters set apart stay",
            "content.text.normalised().contains(\"free money\")",
        )
    },
    of_text(
        "trim",
        Run::Text(texts::trim),
        SCAN,
        "without white space around it",
        "account.display_name.trim() == \"\"",
    ),
    built(
        On::Text,
        "size",
        &[],
        "int",
        "number of characters",
        "content.text.size() > 500",
    ),
    of_text(
        "words",
        Run::Texts(texts::words),
        300,
        "its words; `size` counts all, other functions look at the first 256",
        "content.text.words().size() < 3",
    ),
    of_text(
        "language",
        Run::Text(texts::language),
        LANGUAGE,
        "the language it is in: `en`, `ar`, `ar-Latn`, …; unknown when it cannot be told",
        "content.text.language() in [\"ar\", \"ar-Latn\"]",
    ),
    of_text(
        "scripts",
        Run::Texts(texts::scripts),
        LANGUAGE,
        "the scripts of its letters, most used first: `Latn`, `Arab`, `Cyrl`, …",
        "account.display_name.scripts().size() > 1",
    ),
    // ---- names ----
    Function {
        params: &[param("name", Wants::LiteralText("a name", NAME_HINT), Must)],
        how: How::Run {
            prepare: names::known_name,
            run: Run::Int(names::name_score),
        },
        ..of_text(
            "nameScore",
            Run::Int(names::name_score),
            NAME,
            "how alike a handle or name is to a known one, 0 to 100: counters, look-alikes, digits for letters and other scripts are seen through",
            "account.handle.nameScore(\"grey_banner\") >= 90",
        )
    },
    Function {
        params: &[
            param("name", Wants::LiteralText("a name", NAME_HINT), Must),
            param(
                "score",
                Wants::LiteralNumber("a score", "80 is usual; higher is stricter"),
                Named,
            ),
        ],
        how: How::Run {
            prepare: names::known_name,
            run: Run::Bool(names::looks_like),
        },
        ..of_text(
            "looksLike",
            Run::Bool(names::looks_like),
            NAME,
            "whether that score is 80 or more, or the one given",
            "account.handle.looksLike(\"grey_banner\", score: 85)",
        )
    },
    Function {
        params: &[param(
            "slogan",
            Wants::LiteralText("a slogan", PHRASE_HINT),
            Must,
        )],
        how: How::Run {
            prepare: names::known_slogan,
            run: Run::Bool(names::slogan),
        },
        ..of_text(
            "slogan",
            Run::Bool(names::slogan),
            NAME,
            "whether a slogan is spelt into a name, its words set apart or not",
            "account.handle.slogan(\"rise under the grey banner\")",
        )
    },
    // ---- links ----
    of_text(
        "host",
        Run::Text(links::host),
        LINK,
        "of a link: its host, in ASCII; this and what follows is unknown for a text that is no web address",
        "content.found_links.exists(l, l.host() == \"shop.example\")",
    ),
    of_text(
        "domain",
        Run::Text(links::domain),
        LINK,
        "of a link: the part of its host that somebody registered",
        "content.found_links.exists(l, l.domain() in [\"shop.example\"])",
    ),
    of_text(
        "scheme",
        Run::Text(links::scheme),
        LINK,
        "of a link: `https`, `http`, `ipfs`, `ipns` or `tg`",
        "content.links.exists(l, l.scheme() == \"http\")",
    ),
    of_text(
        "port",
        Run::Int(links::port),
        LINK,
        "of a link: its port, the scheme's own when none is written",
        "content.links.exists(l, l.port() != 443)",
    ),
    of_text(
        "isShortener",
        Run::Bool(links::is_shortener),
        LINK,
        "of a link: whether its host is a known public shortener",
        "content.found_links.exists(l, l.isShortener())",
    ),
    of_text(
        "isIp",
        Run::Bool(links::is_ip),
        LINK,
        "of a link: whether its host is an IP address",
        "content.found_links.exists(l, l.isIp())",
    ),
    of_text(
        "isOnion",
        Run::Bool(links::is_onion),
        LINK,
        "of a link: whether its host is a service of the Tor network",
        "content.found_links.exists(l, l.isOnion())",
    ),
    of_text(
        "hasUserInfo",
        Run::Bool(links::has_user_info),
        LINK,
        "of a link: whether a user name or password stands before its host",
        "content.links.exists(l, l.hasUserInfo())",
    ),
    of_text(
        "imitates",
        Run::Text(links::imitates),
        LINK,
        "of a link: the host in ASCII that its own looks like; unknown when it looks like no other",
        "content.found_links.exists(l, l.imitates() == \"example.com\")",
    ),
    of_text(
        "isInvite",
        Run::Bool(links::is_invite),
        LINK,
        "of a link: whether it invites to a group, channel or room",
        "content.found_links.count(l, l.isInvite()) > 2",
    ),
    of_text(
        "invitePlatform",
        Run::Text(links::invite_platform),
        LINK,
        "of an invitation: `telegram`, `discord`, `whatsapp`, `signal` or `matrix`",
        "content.found_links.exists(l, l.invitePlatform() == \"telegram\")",
    ),
    of_text(
        "inviteCode",
        Run::Text(links::invite_code),
        LINK,
        "of an invitation: the code of the group in canonical form",
        "content.found_links.exists(l, l.inviteCode() == \"@grey_banner\")",
    ),
    // ---- lists and sets ----
    built(
        On::List,
        "exists",
        ELEMENT,
        "bool",
        "whether some element fulfils the condition; `x` is a name of your choice",
        "content.media.exists(m, m.undecodable)",
    ),
    built(
        On::List,
        "all",
        ELEMENT,
        "bool",
        "whether every element does",
        "content.links.all(l, l.startsWith(\"https://\"))",
    ),
    built(
        On::List,
        "count",
        ELEMENT,
        "int",
        "how many do",
        "content.media.count(m, m.kind == \"image\") > 3",
    ),
    built(
        On::List,
        "filter",
        ELEMENT,
        "list",
        "those that do; an element of which it is not known makes unknown what depends on it",
        "content.links.filter(l, l.startsWith(\"http:\")).size() > 1",
    ),
    built(
        On::List,
        "size",
        &[],
        "int",
        "how many elements there are; of a set, how many different ones",
        "content.links.size() > 3",
    ),
    // ---- maps ----
    built(
        On::Map,
        "size",
        &[],
        "int",
        "how many entries there are",
        "attributes.labels.size() > 0",
    ),
    // ---- times ----
    of_time(
        "getFullYear",
        Run::Int(times::full_year),
        "the year; the time zone is UTC unless one is given, as in all of these",
        "event.time.getFullYear() >= 2026",
    ),
    of_time(
        "getMonth",
        Run::Int(times::month),
        "the month, 0 (January) to 11",
        "event.time.getMonth() == 11",
    ),
    of_time(
        "getDate",
        Run::Int(times::date),
        "the day of the month, from 1",
        "event.time.getDate() == 24",
    ),
    of_time(
        "getDayOfMonth",
        Run::Int(times::day_of_month),
        "the day of the month, from 0",
        "event.time.getDayOfMonth() == 0",
    ),
    of_time(
        "getDayOfWeek",
        Run::Int(times::day_of_week),
        "the day of the week, 0 (Sunday) to 6",
        "event.time.getDayOfWeek(\"Europe/Berlin\") in [0, 6]",
    ),
    of_time(
        "getDayOfYear",
        Run::Int(times::day_of_year),
        "the day of the year, from 0",
        "event.time.getDayOfYear() == 0",
    ),
    of_time(
        "getHours",
        Run::Int(times::hours),
        "the hour, 0 to 23",
        "event.time.getHours(\"+03:00\") < 6",
    ),
    of_time(
        "getMinutes",
        Run::Int(times::minutes),
        "the minute, 0 to 59",
        "event.time.getMinutes() == 0",
    ),
    of_time(
        "getSeconds",
        Run::Int(times::seconds),
        "the second, 0 to 59",
        "event.time.getSeconds() == 0",
    ),
    of_time(
        "getMilliseconds",
        Run::Int(times::milliseconds),
        "the milliseconds, 0 to 999",
        "event.time.getMilliseconds() == 0",
    ),
    // ---- durations ----
    of_duration(
        "getHours",
        Run::Int(times::whole_hours),
        "all of it in whole hours",
        "account.age.getHours() < 36",
    ),
    of_duration(
        "getMinutes",
        Run::Int(times::whole_minutes),
        "all of it in whole minutes",
        "account.age.getMinutes() < 90",
    ),
    of_duration(
        "getSeconds",
        Run::Int(times::whole_seconds),
        "all of it in whole seconds",
        "account.age.getSeconds() < 90",
    ),
    // ---- banks ----
    built(
        On::Bank,
        "matches",
        LOOKED_UP,
        "bool",
        "whether something near enough was found",
        "bank(\"B\").matches(content.media, distance: 20, quality: 60)",
    ),
    built(
        On::Bank,
        "count",
        LOOKED_UP,
        "int",
        "how many different members were found; unknown when a medium could not be compared",
        "bank(\"B\").count(content) > 1",
    ),
    built(
        On::Bank,
        "distance",
        &[WHAT],
        "int",
        "the distance of the nearest find; unknown when there is none",
        "bank(\"B\").distance(content.media) < 10",
    ),
    built(
        On::Bank,
        "form",
        &[WHAT],
        "string",
        "the form in which the nearest image was found; unknown when none was",
        "bank(\"B\").form(content.media) == \"rotate90\"",
    ),
    // ---- what happened before ----
    built(
        On::Entity,
        "hasLabel",
        &[own("label", "\"…\"")],
        "bool",
        "whether the account, space or content carries a label that a rule or a person has set and that has not ended",
        "account.hasLabel(\"watched\")",
    ),
    built(
        On::Entity,
        "strikes",
        &[param("within", Wants::Own("duration"), May)],
        "int",
        "the weight of the account's strikes that nobody took back: all, or those of a time before the event",
        "account.strikes(within: 90d) >= 3",
    ),
    built(
        On::Set,
        "contains",
        &[own("item", "string")],
        "bool",
        "whether the set holds it; `item in set(\"…\")` is the same",
        "set(\"partners\").contains(event.source)",
    ),
    // ---- lexicons ----
    of_lexicon(
        "count",
        Run::Int(texts::lexicon_count),
        "how many of its phrases stand in a text, the longest first where they overlap",
        "lexicon(\"shop_words\").count(content.text) > 2",
    ),
    of_lexicon(
        "distinct",
        Run::Int(texts::lexicon_distinct),
        "how many different ones",
        "lexicon(\"shop_words\").distinct(content.text) >= 2",
    ),
    of_lexicon(
        "matches",
        Run::Bool(texts::lexicon_matches),
        "whether any does",
        "lexicon(\"shop_words\").matches(account.display_name)",
    ),
];

/// Every function of the language.
pub(crate) fn table() -> &'static [Function] {
    TABLE
}
