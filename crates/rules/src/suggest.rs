//! "Did you mean": the known word an author most likely had in mind.

/// Most words named in one hint.
const LISTED_MAX: usize = 12;

/// Words people bring from other rule languages and from the trade, and what they are called here.
const OTHER_WORDS: &[(&str, &str)] = &[
    ("user", "account"),
    ("author", "account"),
    ("sender", "account"),
    ("actor", "account"),
    ("post", "content"),
    ("message", "content"),
    ("item", "content"),
    ("channel", "space"),
    ("group", "space"),
    ("attrs", "attributes"),
    ("attribute", "attributes"),
    ("now", "received_at"),
    ("username", "handle"),
    ("name", "display_name"),
    ("created", "created_at"),
    ("body", "text"),
    ("images", "media"),
    ("urls", "links"),
    ("len", "size"),
    ("length", "size"),
    ("count", "size"),
    ("includes", "contains"),
    ("any", "exists"),
    ("some", "exists"),
    ("every", "all"),
    ("match", "matches"),
    ("lowercase", "lower"),
    ("tolowercase", "lower"),
    ("regex", "matches"),
    ("lookslike", "looksLike"),
    ("similar", "looksLike"),
    ("strip", "trim"),
    ("url", "host"),
    ("tld", "domain"),
    ("hour", "getHours"),
    ("weekday", "getDayOfWeek"),
    ("year", "getFullYear"),
    ("select", "filter"),
    ("where", "filter"),
    ("random", "sample"),
    ("double", "float"),
    ("str", "string"),
    ("normalize", "normalised"),
    ("normalized", "normalised"),
    ("normalise", "normalised"),
    ("delete", "remove"),
    ("takedown", "remove"),
    ("block", "remove"),
    ("ban", "suspend"),
    ("limit", "restrict"),
    ("tag", "label"),
    ("review", "enqueue"),
    ("queue", "enqueue"),
    ("report", "enqueue"),
    ("warn", "strike"),
    ("if", "when"),
    ("condition", "when"),
    ("do", "then"),
    ("action", "then"),
    ("actions", "then"),
    ("because", "reason"),
    ("message", "reason"),
    ("description", "reason"),
    ("events", "on"),
    ("dry_run", "shadow"),
    ("disabled", "off"),
    ("test", "draft"),
    ("forward", "refer"),
    ("escalate", "refer"),
    ("alert", "notify"),
    ("page", "notify"),
    ("demonetize", "demonetise"),
    ("active", "live"),
    ("on", "live"),
];

/// The word among `known` nearest to `word`, when it is near enough to be what was meant.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let word: String = word.chars().take(64).collect();
    let lower = word.to_lowercase();
    let known: Vec<&str> = known.into_iter().collect();
    let other = OTHER_WORDS.iter().filter(|(theirs, _)| *theirs == lower);
    for (_, ours) in other {
        if let Some(found) = known.iter().find(|k| *k == ours) {
            return Some(found);
        }
    }
    let slips_max = (lower.chars().count() / 3).clamp(1, 3);
    known
        .iter()
        .map(|k| (strsim::damerau_levenshtein(&lower, &k.to_lowercase()), *k))
        .filter(|(slips, _)| *slips <= slips_max)
        .min()
        .map(|(_, k)| k)
}

/// "did you mean `x`?", when a known word is near.
pub(crate) fn did_you_mean<'k>(
    word: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<String> {
    nearest(word, known).map(|k| format!("did you mean `{k}`?"))
}

/// "did you mean `x`?", and otherwise what there is to choose from.
pub(crate) fn did_you_mean_or_list(word: &str, known: &[&str]) -> String {
    did_you_mean(word, known.iter().copied()).unwrap_or_else(|| {
        if known.len() > LISTED_MAX {
            return format!("the reference in docs/rules.md lists all {}", known.len());
        }
        format!("use {}", one_of(known))
    })
}

/// "`a`, `b` or `c`".
pub(crate) fn one_of(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => format!("`{only}`"),
        [first @ .., last] => {
            let first: Vec<String> = first.iter().map(|w| format!("`{w}`")).collect();
            format!("{} or `{last}`", first.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(word: &str, known: &[&str], expect: Option<&str>) {
        assert_eq!(nearest(word, known.iter().copied()), expect);
    }

    #[test]
    fn slips_case_and_other_trades_words_are_understood() {
        check("pdqq", &["pdq", "md5"], Some("pdq"));
        check(
            "startswith",
            &["startsWith", "endsWith"],
            Some("startsWith"),
        );
        check("ban", &["remove", "suspend"], Some("suspend"));
        check("txet", &["text", "links"], Some("text"));
        check("zebra", &["text", "links"], None);
        check("x", &["id"], None);
    }

    #[test]
    fn choices_read_as_a_sentence() {
        assert_eq!(one_of(&["a", "b", "c"]), "`a`, `b` or `c`");
        assert_eq!(one_of(&["a"]), "`a`");
    }
}
