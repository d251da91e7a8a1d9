//! How text that somebody else wrote is put on a page: names, handles, posts, notes, identifiers.
//!
//! Every such text goes through here and comes out as [`Html`], the only type that templates print
//! without escaping. Three things happen to it:
//!
//! 1. It is escaped, and isolated (`<bdi dir="auto">`, `<p dir="auto">`), so that a right-to-left
//!    name reads right and cannot reorder its neighbours.
//! 2. What a reader cannot see is named instead of obeyed: bidirectional overrides, zero-width
//!    characters, tag characters and controls become a small label, `⟨RLO⟩`. Tatweel and
//!    diacritics stay as written, because they are visible; an emoji keeps its joiners.
//! 3. Matched parts, given as byte ranges of the original, are wrapped in `<mark>`. A range is
//!    widened to whole user-perceived characters, so a combining mark never leaves its letter, and
//!    a range that makes no sense is clamped or dropped rather than trusted.

use manara_model::Span;
use std::fmt::{self, Write as _};
use unicode_segmentation::UnicodeSegmentation;

/// Most combining marks shown on one letter; the rest are counted, so that a stack of hundreds
/// cannot cover the lines around it.
const COMBINING_MAX: usize = 8;
/// Most blank lines shown in a row; the rest are counted.
const BLANK_LINES_MAX: usize = 2;

/// Markup that is safe to print as it is. Only this module makes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Html(String);

impl fmt::Display for Html {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl askama::filters::HtmlSafe for Html {}

/// A short text within a line: a name, a handle, an identifier.
pub(crate) fn inline(text: &str) -> Html {
    inline_marked(text, &[])
}

/// A short text within a line, with its matched parts marked.
pub(crate) fn inline_marked(text: &str, spans: &[Span]) -> Html {
    if text.is_empty() {
        return Html("<span class=\"quiet\">(empty)</span>".to_owned());
    }
    let mut html = String::with_capacity(text.len() + 32);
    html.push_str("<bdi dir=\"auto\">");
    write_line(&mut html, &tokens(text, spans));
    html.push_str("</bdi>");
    Html(html)
}

/// The picture of two hashes, which holds no text from outside.
pub(crate) fn picture(bits: &crate::bits::Bits) -> Html {
    Html(bits.inline_svg())
}

/// A text as its author laid it out: one paragraph for each line, each with its own direction.
pub(crate) fn block(text: &str, spans: &[Span]) -> Html {
    let mut html = String::with_capacity(text.len() * 2);
    let mut blank = 0;
    for line in tokens(text, spans).split(|token| token.shape == Shape::Newline) {
        if line.is_empty() {
            blank += 1;
            if blank <= BLANK_LINES_MAX {
                html.push_str("<p></p>");
            }
            continue;
        }
        write_skipped(&mut html, blank);
        blank = 0;
        html.push_str("<p dir=\"auto\">");
        write_line(&mut html, line);
        html.push_str("</p>");
    }
    write_skipped(&mut html, blank);
    Html(html)
}

fn write_skipped(html: &mut String, blank: usize) {
    if blank > BLANK_LINES_MAX {
        let more = blank - BLANK_LINES_MAX;
        let _ = write!(html, "<p class=\"quiet\">({more} more blank lines)</p>");
    }
}

/// A text for a `<pre>`: line breaks stay, everything else as in [`inline`].
pub(crate) fn verbatim(text: &str) -> Html {
    let mut html = String::with_capacity(text.len() + 32);
    for (index, line) in tokens(text, &[])
        .split(|token| token.shape == Shape::Newline)
        .enumerate()
    {
        if index > 0 {
            html.push('\n');
        }
        write_line(&mut html, line);
    }
    Html(html)
}

/// About `characters_max` characters of a text on one line, beginning a little before its first
/// matched part.
pub(crate) fn excerpt(text: &str, spans: &[Span], characters_max: usize) -> Html {
    let tokens = tokens(text, spans);
    let first = tokens.iter().position(|token| token.marked).unwrap_or(0);
    let start = if first < characters_max / 2 {
        0
    } else {
        first - characters_max / 4
    };
    let end = (start + characters_max).min(tokens.len());
    let mut html = String::from("<bdi dir=\"auto\">");
    if start > 0 {
        html.push('…');
    }
    write_line(&mut html, tokens.get(start..end).unwrap_or_default());
    if end < tokens.len() {
        html.push('…');
    }
    html.push_str("</bdi>");
    Html(html)
}

/// A stretch of a longer text within a line, with its matched parts marked and `…` where it was cut.
pub(crate) fn cut(text: &str, spans: &[Span], cut: (bool, bool)) -> Html {
    let Html(inner) = inline_marked(text, spans);
    let open = "<bdi dir=\"auto\">";
    match inner
        .strip_prefix(open)
        .and_then(|it| it.strip_suffix("</bdi>"))
    {
        Some(inner) => {
            let dots = |is_cut| if is_cut { "…" } else { "" };
            Html(format!("{open}{}{inner}{}</bdi>", dots(cut.0), dots(cut.1)))
        }
        None => Html(inner),
    }
}

/// A text for places where markup is not possible (page titles, attributes): hidden characters are
/// named, and the rest is left to the template to escape.
pub(crate) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for token in tokens(text, &[]) {
        match &token.shape {
            Shape::Seen(seen) => out.push_str(seen),
            Shape::Newline => out.push(' '),
            hidden => out.push_str(&label(hidden).0),
        }
    }
    out
}

/// One thing on the page: a user-perceived character, or something hidden that is named.
#[derive(Debug, PartialEq, Eq)]
struct Token<'a> {
    shape: Shape<'a>,
    marked: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Shape<'a> {
    Seen(&'a str),
    Newline,
    /// One hidden character, so many times in a row.
    Hidden(char, usize),
    /// Tag characters spell ASCII that no font shows: this is what they spell.
    Tags(String),
    /// Combining marks beyond what one letter carries.
    Stacked(usize),
}

fn tokens<'a>(text: &'a str, spans: &[Span]) -> Vec<Token<'a>> {
    let spans = merged(text.len(), spans);
    let mut spans = spans.as_slice();
    let mut tokens = Vec::new();
    for (at, cluster) in text.grapheme_indices(true) {
        while spans.first().is_some_and(|span| span.end <= at) {
            spans = &spans[1..];
        }
        let marked = spans
            .first()
            .is_some_and(|span| span.start < at + cluster.len());
        push_cluster(&mut tokens, cluster, marked);
    }
    tokens
}

/// The ranges in order, clamped to the text, empty ones dropped, overlapping ones joined.
fn merged(len: usize, spans: &[Span]) -> Vec<Span> {
    let clamped = spans.iter().map(|s| Span {
        start: s.start,
        end: s.end.min(len),
    });
    let mut spans: Vec<Span> = clamped.filter(|s| s.start < s.end).collect();
    spans.sort_unstable_by_key(|s| (s.start, s.end));
    let mut merged: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
            _ => merged.push(span),
        }
    }
    merged
}

fn push_cluster<'a>(tokens: &mut Vec<Token<'a>>, cluster: &'a str, marked: bool) {
    if matches!(cluster, "\n" | "\r\n") {
        tokens.push(Token {
            shape: Shape::Newline,
            marked,
        });
        return;
    }
    let (mut seen_from, mut combining) = (0, 0);
    for (at, c) in cluster.char_indices() {
        let shape = if is_hidden(c) && !belongs(c, cluster) {
            Some(Shape::Hidden(c, 1))
        } else {
            combining += usize::from(at > 0 && !is_joiner(c));
            (combining > COMBINING_MAX && !is_emoji_base(cluster)).then_some(Shape::Stacked(1))
        };
        if let Some(shape) = shape {
            push_seen(tokens, &cluster[seen_from..at], marked);
            seen_from = at + c.len_utf8();
            push_hidden(tokens, shape, marked);
        }
    }
    push_seen(tokens, &cluster[seen_from..], marked);
}

fn push_seen<'a>(tokens: &mut Vec<Token<'a>>, seen: &'a str, marked: bool) {
    if !seen.is_empty() {
        tokens.push(Token {
            shape: Shape::Seen(seen),
            marked,
        });
    }
}

/// Adds a hidden character, joining it to the run of its like before it.
fn push_hidden<'a>(tokens: &mut Vec<Token<'a>>, shape: Shape<'a>, marked: bool) {
    let shape = match shape {
        Shape::Hidden(c, _) if let Some(ascii) = tag_letter(c) => Shape::Tags(ascii.to_string()),
        other => other,
    };
    if let Some(last) = tokens.last_mut().filter(|last| last.marked == marked) {
        match (&mut last.shape, &shape) {
            (Shape::Hidden(before, count), Shape::Hidden(c, _)) if before == c => {
                return *count += 1;
            }
            (Shape::Stacked(count), Shape::Stacked(_)) => return *count += 1,
            (Shape::Tags(spelled), Shape::Tags(more)) => return spelled.push_str(more),
            _ => {}
        }
    }
    tokens.push(Token { shape, marked });
}

fn write_line(html: &mut String, tokens: &[Token<'_>]) {
    let mut in_mark = false;
    for token in tokens {
        if token.marked != in_mark {
            html.push_str(if token.marked { "<mark>" } else { "</mark>" });
            in_mark = token.marked;
        }
        match &token.shape {
            Shape::Seen(seen) => push_escaped(html, seen),
            Shape::Newline => html.push_str(" <span class=\"quiet\" title=\"new line\">↵</span> "),
            hidden => {
                let (short, long) = label(hidden);
                html.push_str("<span class=\"ctl\" dir=\"ltr\" title=\"");
                push_escaped(html, &long);
                html.push_str("\">");
                push_escaped(html, &short);
                html.push_str("</span>");
            }
        }
    }
    if in_mark {
        html.push_str("</mark>");
    }
}

fn push_escaped(html: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
}

/// The short label in the text and the full name shown on hover.
fn label(hidden: &Shape<'_>) -> (String, String) {
    match hidden {
        Shape::Seen(_) | Shape::Newline => (String::new(), String::new()),
        Shape::Tags(spelled) => (
            format!("⟨TAG {spelled}⟩"),
            format!(
                "tag characters, which no font shows, {} in number, spelling this",
                spelled.chars().count()
            ),
        ),
        Shape::Stacked(count) => (
            format!("⟨+{count} marks⟩"),
            format!("{count} more combining marks on this letter"),
        ),
        Shape::Hidden(c, count) => {
            let (short, long) = character_name(*c);
            let times = if *count > 1 {
                format!("×{count}")
            } else {
                String::new()
            };
            (
                format!("⟨{short}{times}⟩"),
                format!("U+{:04X} {long}{times}", *c as u32),
            )
        }
    }
}

/// Whether a reader cannot see this character, or it changes how its neighbours are seen.
fn is_hidden(c: char) -> bool {
    matches!(c,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}'
        | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{fffe}'..='\u{ffff}' | '\u{fdd0}'..='\u{fdef}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
        && c != '\t'
}

/// Whether a hidden character does its proper work here: joiners and presentation selectors of an
/// emoji, tags of a flag, variants of an ideograph or a Mongolian letter.
fn belongs(c: char, cluster: &str) -> bool {
    let base = cluster.chars().next().unwrap_or_default();
    match c {
        '\u{200d}' => is_emoji_base(cluster),
        '\u{fe0e}' | '\u{fe0f}' => is_emoji_base(cluster) || is_keycap(cluster),
        '\u{e0020}'..='\u{e007f}' => base == '🏴' && cluster.ends_with('\u{e007f}'),
        '\u{fe00}'..='\u{fe0d}' | '\u{e0100}'..='\u{e01ef}' => is_ideograph(base),
        '\u{180b}'..='\u{180d}' | '\u{180f}' => matches!(base, '\u{1820}'..='\u{18aa}'),
        _ => false,
    }
}

fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200d}' | '\u{fe0e}' | '\u{fe0f}')
}

fn is_emoji_base(cluster: &str) -> bool {
    matches!(cluster.chars().next().unwrap_or_default(),
        '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}' | '\u{2190}'..='\u{27ff}'
        | '\u{2900}'..='\u{2bff}' | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}' | '\u{1f000}'..='\u{1faff}')
}

/// A digit, `#` or `*` drawn on a key: `1`, selector, enclosing keycap.
fn is_keycap(cluster: &str) -> bool {
    cluster.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '#' | '*'))
        && cluster.ends_with('\u{20e3}')
}

fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// The ASCII character that a tag character stands for.
fn tag_letter(c: char) -> Option<char> {
    let ascii = (c as u32).checked_sub(0xe_0000)?;
    char::from_u32(ascii).filter(|c| matches!(c, ' '..='~'))
}

fn character_name(c: char) -> (String, String) {
    let known = HIDDEN_NAMES.iter().find(|(point, ..)| *point == c);
    if let Some((_, short, long)) = known {
        return ((*short).to_owned(), (*long).to_owned());
    }
    match c as u32 {
        point @ 0..=0x1f => {
            let short = C0_NAMES.get(point as usize).copied().unwrap_or("CTL");
            (short.to_owned(), format!("control character {short}"))
        }
        point @ 0x7f..=0x9f => (format!("{point:02X}"), "control character".to_owned()),
        point @ 0xfe00..=0xfe0f => selector(point - 0xfe00 + 1),
        point @ 0xe0100..=0xe01ef => selector(point - 0xe0100 + 17),
        point => (
            format!("{point:04X}"),
            "character without a visible form".to_owned(),
        ),
    }
}

fn selector(number: u32) -> (String, String) {
    (
        format!("VS{number}"),
        format!("VARIATION SELECTOR-{number}"),
    )
}

/// The abbreviations of ASCII's control characters, by code.
const C0_NAMES: [&str; 32] = [
    "NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "TAB", "LF", "VT", "FF", "CR",
    "SO", "SI", "DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC",
    "FS", "GS", "RS", "US",
];

/// Abbreviations and names as in the Unicode Character Database.
const HIDDEN_NAMES: &[(char, &str, &str)] = &[
    ('\u{7f}', "DEL", "control character DELETE"),
    ('\u{85}', "NEL", "control character NEXT LINE"),
    ('\u{ad}', "SHY", "SOFT HYPHEN"),
    ('\u{34f}', "CGJ", "COMBINING GRAPHEME JOINER"),
    ('\u{61c}', "ALM", "ARABIC LETTER MARK"),
    ('\u{115f}', "HF", "HANGUL CHOSEONG FILLER"),
    ('\u{1160}', "HF", "HANGUL JUNGSEONG FILLER"),
    ('\u{180e}', "MVS", "MONGOLIAN VOWEL SEPARATOR"),
    ('\u{200b}', "ZWSP", "ZERO WIDTH SPACE"),
    ('\u{200c}', "ZWNJ", "ZERO WIDTH NON-JOINER"),
    ('\u{200d}', "ZWJ", "ZERO WIDTH JOINER"),
    ('\u{200e}', "LRM", "LEFT-TO-RIGHT MARK"),
    ('\u{200f}', "RLM", "RIGHT-TO-LEFT MARK"),
    ('\u{2028}', "LS", "LINE SEPARATOR"),
    ('\u{2029}', "PS", "PARAGRAPH SEPARATOR"),
    ('\u{202a}', "LRE", "LEFT-TO-RIGHT EMBEDDING"),
    ('\u{202b}', "RLE", "RIGHT-TO-LEFT EMBEDDING"),
    ('\u{202c}', "PDF", "POP DIRECTIONAL FORMATTING"),
    ('\u{202d}', "LRO", "LEFT-TO-RIGHT OVERRIDE"),
    ('\u{202e}', "RLO", "RIGHT-TO-LEFT OVERRIDE"),
    ('\u{2060}', "WJ", "WORD JOINER"),
    ('\u{2061}', "FA", "FUNCTION APPLICATION"),
    ('\u{2062}', "IT", "INVISIBLE TIMES"),
    ('\u{2063}', "IS", "INVISIBLE SEPARATOR"),
    ('\u{2064}', "IP", "INVISIBLE PLUS"),
    ('\u{2066}', "LRI", "LEFT-TO-RIGHT ISOLATE"),
    ('\u{2067}', "RLI", "RIGHT-TO-LEFT ISOLATE"),
    ('\u{2068}', "FSI", "FIRST STRONG ISOLATE"),
    ('\u{2069}', "PDI", "POP DIRECTIONAL ISOLATE"),
    ('\u{2800}', "BLANK", "BRAILLE PATTERN BLANK"),
    ('\u{3164}', "HF", "HANGUL FILLER"),
    ('\u{feff}', "BOM", "ZERO WIDTH NO-BREAK SPACE"),
    ('\u{ffa0}', "HF", "HALFWIDTH HANGUL FILLER"),
    ('\u{fff9}', "IAA", "INTERLINEAR ANNOTATION ANCHOR"),
    ('\u{fffa}', "IAS", "INTERLINEAR ANNOTATION SEPARATOR"),
    ('\u{fffb}', "IAT", "INTERLINEAR ANNOTATION TERMINATOR"),
    ('\u{e0001}', "TAG", "LANGUAGE TAG"),
    ('\u{e007f}', "TAG END", "CANCEL TAG"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(ranges: &[(usize, usize)]) -> Vec<Span> {
        ranges
            .iter()
            .map(|(start, end)| Span {
                start: *start,
                end: *end,
            })
            .collect()
    }

    #[track_caller]
    fn check(text: &str, ranges: &[(usize, usize)], expect: &str) {
        let Html(html) = inline_marked(text, &spans(ranges));
        let inner = html
            .strip_prefix("<bdi dir=\"auto\">")
            .and_then(|h| h.strip_suffix("</bdi>"));
        // Labels are compared by their text alone; `labels_carry_the_full_name` looks at the rest.
        let mut short = inner.expect("isolated").to_owned();
        while let Some((before, rest)) = short.split_once("<span class=\"ctl\"") {
            let (_, rest) = rest.split_once('>').expect("opened");
            let (label, after) = rest.split_once("</span>").expect("closed");
            short = format!("{before}{label}{after}");
        }
        assert_eq!(short, expect);
    }

    #[test]
    fn markup_is_text() {
        check(
            "<script>alert('x')&\"</script>",
            &[],
            "&lt;script&gt;alert(&#39;x&#39;)&amp;&quot;&lt;/script&gt;",
        );
        check("a<b>c", &[(1, 4)], "a<mark>&lt;b&gt;</mark>c");
        check("<!--", &[(0, 99)], "<mark>&lt;!--</mark>");
    }

    #[test]
    fn an_override_in_a_handle_cannot_reorder_the_page() {
        check("user\u{202e}gnp.exe", &[], "user⟨RLO⟩gnp.exe");
        check("\u{2067}abc\u{2066}", &[], "⟨RLI⟩abc⟨LRI⟩");
        check("a\u{2069}\u{2069}\u{202c}b", &[], "a⟨PDI×2⟩⟨PDF⟩b");
        for c in ('\u{202a}'..='\u{202e}')
            .chain('\u{2066}'..='\u{2069}')
            .chain("\u{61c}\u{200e}\u{200f}".chars())
        {
            let text = format!("x{c}y");
            for html in [inline(&text), block(&text, &[]), excerpt(&text, &[], 80)] {
                assert!(!html.0.contains(c), "{:04x} reached the page", c as u32);
            }
            assert!(!plain(&text).contains(c));
        }
    }

    #[test]
    fn what_cannot_be_seen_is_named() {
        check(
            "gr\u{200b}ey\u{200d} b\u{ad}anner",
            &[],
            "gr⟨ZWSP⟩ey⟨ZWJ⟩ b⟨SHY⟩anner",
        );
        check(&format!("a{}b", "\u{200b}".repeat(20)), &[], "a⟨ZWSP×20⟩b");
        check(&format!("a{}b", "\u{200c}".repeat(3)), &[], "a⟨ZWNJ×3⟩b");
        check(
            "\0\u{1b}\u{7f}\u{85}\u{90}",
            &[],
            "⟨NUL⟩⟨ESC⟩⟨DEL⟩⟨NEL⟩⟨90⟩",
        );
        check("a\u{fe0f}\u{e0101}b", &[], "a⟨VS16⟩⟨VS18⟩b");
        check("x\u{e0068}\u{e0069}\u{e007f}y", &[], "x⟨TAG hi⟩⟨TAG END⟩y");
        check(
            "\u{3164}\u{2800}\u{feff}\u{fdd0}",
            &[],
            "⟨HF⟩⟨BLANK⟩⟨BOM⟩⟨FDD0⟩",
        );
        check("a\rb\tc", &[], "a⟨CR⟩b\tc");
    }

    #[test]
    fn labels_carry_the_full_name() {
        let html = inline("a\u{202e}b").0;
        assert!(html.contains("<span class=\"ctl\" dir=\"ltr\" title=\"U+202E RIGHT-TO-LEFT OVERRIDE\">⟨RLO⟩</span>"), "{html}");
        let tags = inline("a\u{e003c}\u{e003e}").0;
        assert!(tags.contains("⟨TAG &lt;&gt;⟩"), "{tags}");
    }

    #[test]
    fn tatweel_diacritics_and_emoji_stay_as_written() {
        for text in [
            "رايـــة الرَّمادِ",
            "ﷺ",
            "👩‍👩‍👧 ❤️ 1️⃣ 🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
            "葛\u{e0100}",
            "e\u{301}",
        ] {
            check(text, &[], text);
        }
    }

    #[test]
    fn a_stack_of_marks_is_counted() {
        let zalgo = format!("a{}b", "\u{301}".repeat(100));
        check(
            &zalgo,
            &[],
            &format!("a{}⟨+92 marks⟩b", "\u{301}".repeat(8)),
        );
    }

    #[test]
    fn matched_parts_are_marked_once() {
        check("abcdef", &[(1, 3)], "a<mark>bc</mark>def");
        check("abcdef", &[(3, 5), (1, 4)], "a<mark>bcde</mark>f");
        check("abcdef", &[(0, 2), (2, 4)], "<mark>abcd</mark>ef");
        check(
            "abcdef",
            &[(0, 1), (5, 6)],
            "<mark>a</mark>bcde<mark>f</mark>",
        );
        check("a\u{202e}b", &[(0, 5)], "<mark>a⟨RLO⟩b</mark>");
    }

    #[test]
    fn ranges_that_make_no_sense_are_clamped_or_dropped() {
        check("abc", &[(2, 1), (3, 3), (3, 9), (900, 901)], "abc");
        check("abc", &[(1, usize::MAX)], "a<mark>bc</mark>");
        check("abc", &[(usize::MAX, usize::MAX)], "abc");
        // Inside the bytes of one letter: the whole letter.
        check("aراb", &[(2, 3)], "a<mark>ر</mark>اb");
    }

    #[test]
    fn a_mark_never_leaves_its_letter() {
        // رَّ is one letter with two marks: 2 + 2 + 2 bytes.
        check("رَّماد", &[(0, 2)], "<mark>رَّ</mark>ماد");
        check("رَّماد", &[(4, 8)], "<mark>رَّم</mark>اد");
        check("👩‍👧x", &[(0, 4)], "<mark>👩‍👧</mark>x");
    }

    #[test]
    fn lines_are_paragraphs_of_their_own_direction() {
        let html = block("راية\nline two", &spans(&[(4, 13)])).0;
        assert_eq!(
            html,
            "<p dir=\"auto\">را<mark>ية</mark></p><p dir=\"auto\"><mark>line</mark> two</p>"
        );
        assert_eq!(
            block("a\r\n\r\nb", &[]).0,
            "<p dir=\"auto\">a</p><p></p><p dir=\"auto\">b</p>"
        );
        let many = block(&format!("a{}b", "\n".repeat(1000)), &[]).0;
        assert!(
            many.contains("(997 more blank lines)") && many.len() < 200,
            "{many}"
        );
    }

    #[test]
    fn an_excerpt_shows_the_first_match() {
        let text = format!("{}needle{}", "hay ".repeat(100), " hay".repeat(100));
        let html = excerpt(&text, &spans(&[(400, 406)]), 60).0;
        assert!(
            html.contains("<mark>needle</mark>") && html.starts_with("<bdi dir=\"auto\">…"),
            "{html}"
        );
        assert!(html.len() < 140, "{html}");
        assert_eq!(excerpt("short", &[], 60).0, "<bdi dir=\"auto\">short</bdi>");
        assert_eq!(excerpt("", &[], 60).0, "<bdi dir=\"auto\"></bdi>");
    }

    #[test]
    fn verbatim_text_keeps_its_lines() {
        assert_eq!(verbatim("{\n  \"a\": 1\r\n}").0, "{\n  &quot;a&quot;: 1\n}");
        assert!(verbatim("a\u{202e}b").0.contains("⟨RLO⟩"));
    }

    #[test]
    fn titles_carry_no_hidden_characters() {
        assert_eq!(plain("<a>\u{202e}\n\u{200b}"), "<a>⟨RLO⟩ ⟨ZWSP⟩");
    }

    /// Whatever the text and the ranges: nothing hidden gets out, every tag is closed, and what is
    /// left after removing our own markup is the text.
    #[test]
    fn any_text_with_any_ranges_comes_out_whole() {
        let alphabet: Vec<char> = "ab<>&\"' \n\rراَّـ\u{200b}\u{200d}\u{202e}\u{2066}\u{fe0f}\u{e0061}\u{e007f}👩🏴❤1\u{20e3}葛\u{301}".chars().collect();
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = move |below: usize| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed % below as u64) as usize
        };
        for _ in 0..3_000 {
            let text: String = (0..next(24))
                .map(|_| alphabet[next(alphabet.len())])
                .collect();
            let ranges: Vec<_> = (0..next(4)).map(|_| (next(60), next(60))).collect();
            let Html(html) = block(&text, &spans(&ranges));
            for tag in ["p", "mark", "span"] {
                let opened = html.matches(&format!("<{tag}>")).count()
                    + html.matches(&format!("<{tag} ")).count();
                assert_eq!(
                    opened,
                    html.matches(&format!("</{tag}>")).count(),
                    "{text:?} {html}"
                );
            }
            for (at, c) in html.char_indices().filter(|(_, c)| is_hidden(*c)) {
                // Only where an emoji, flag or ideograph needs it.
                let before = html[..at].chars().last().unwrap_or_default();
                assert!(
                    matches!(c, '\u{200d}' | '\u{fe0f}' | '\u{e0020}'..='\u{e007f}')
                        && !before.is_ascii_alphabetic(),
                    "{text:?} {html}"
                );
            }
            let mut bare = String::new();
            let mut depth = 0;
            for c in html.chars() {
                match c {
                    '<' => depth += 1,
                    '>' => depth -= 1,
                    c if depth == 0 => bare.push(c),
                    _ => {}
                }
            }
            let kept = |c: &char| "abر葛👩".contains(*c);
            let hidden_labels = bare.split('⟨').enumerate().map(|(i, part)| {
                if i == 0 {
                    part
                } else {
                    part.split_once('⟩').map_or("", |p| p.1)
                }
            });
            let found: String = hidden_labels
                .flat_map(str::chars)
                .collect::<String>()
                .replace("&amp;", "")
                .replace("&quot;", "")
                .replace("&lt;", "")
                .replace("&gt;", "");
            assert_eq!(
                found.chars().filter(kept).collect::<String>(),
                text.chars().filter(kept).collect::<String>(),
                "{html}"
            );
        }
    }
}
