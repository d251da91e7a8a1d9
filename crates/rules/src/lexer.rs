//! Rule text to tokens. Never fails: what is not a token is reported and left out.
//!
//! Strings keep their quotes and escapes here, because the JSON of a test's event has its own
//! escapes; [`decode`] reads the escapes of the rule language.

use crate::diagnostic::{Problems, Span};

/// Longest string literal, in bytes as written.
pub(crate) const STRING_BYTES_MAX: usize = 8 * 1024;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    Word,
    Int,
    Float,
    /// `24h`, `1h30m`
    Duration,
    Text,
    OpenParen,
    CloseParen,
    OpenBracket,
    CloseBracket,
    OpenBrace,
    CloseBrace,
    Comma,
    Colon,
    Dot,
    Question,
    Not,
    And,
    Or,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Plus,
    Minus,
    Star,
    Slash,
    Percent,
    /// `=` by itself: in a counter's declaration.
    Assign,
    /// Reported already; whoever expects something here need not report again.
    Stray,
    End,
}

/// A token and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lexeme {
    pub(crate) token: Token,
    pub(crate) span: Span,
}

/// All tokens of the text, the last one [`Token::End`].
pub(crate) fn lex(text: &str, problems: &mut Problems<'_>) -> Vec<Lexeme> {
    let mut lexer = Lexer {
        text,
        at: 0,
        problems,
        tokens: Vec::with_capacity(text.len() / 4),
    };
    while lexer.next() {}
    let end = Span {
        start: text.len(),
        end: text.len(),
    };
    lexer.tokens.push(Lexeme {
        token: Token::End,
        span: end,
    });
    lexer.tokens
}

struct Lexer<'t, 'p, 's> {
    text: &'t str,
    at: usize,
    problems: &'p mut Problems<'s>,
    tokens: Vec<Lexeme>,
}

impl<'t> Lexer<'t, '_, '_> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Reads one token or gap; false at the end.
    fn next(&mut self) -> bool {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return false;
        };
        if first.is_whitespace() || first == '\u{feff}' {
            self.at += first.len_utf8();
        } else if rest.starts_with("//") {
            self.at += rest.find('\n').unwrap_or(rest.len());
        } else if let Some((open, raw)) = opening_quote(rest) {
            self.string(open, raw);
        } else if first.is_ascii_digit() {
            self.number();
        } else if first.is_ascii_alphabetic() || first == '_' {
            let len = leading(rest, |c| c.is_ascii_alphanumeric() || c == '_');
            self.push(Token::Word, len);
        } else if let Some((token, len)) = punctuation(rest) {
            self.push(token, len);
        } else {
            self.stray(first);
        }
        true
    }

    fn push(&mut self, token: Token, len: usize) {
        let span = Span {
            start: self.at,
            end: self.at + len,
        };
        self.tokens.push(Lexeme { token, span });
        self.at += len;
    }

    fn string(&mut self, open: &str, raw: bool) {
        let quote = open.trim_start_matches(['r', 'R']);
        let body = self.rest().get(open.len()..).unwrap_or_default();
        let (len, closed) = string_len(body, quote, raw);
        let len = open.len() + len;
        let span = Span {
            start: self.at,
            end: self.at + len,
        };
        if !closed {
            self.problems.error_hint(
                span,
                "this text has no closing quote",
                format!(
                    "end it with `{quote}` on the same line, or begin and end it with `\"\"\"`"
                ),
            );
        } else if len > STRING_BYTES_MAX {
            self.problems.error_hint(
                span,
                format!("this text is {len} bytes long, the limit is {STRING_BYTES_MAX}"),
                "shorten it, or keep the phrases in a bank",
            );
        }
        self.push(Token::Text, len);
    }

    fn number(&mut self) {
        let rest = self.rest();
        let len = leading(rest, |c| c.is_ascii_alphanumeric() || c == '_');
        let word = rest.get(..len).unwrap_or_default();
        if word.starts_with("0x")
            || word.starts_with("0X")
            || word.bytes().all(|b| b.is_ascii_digit())
        {
            let fraction = rest
                .get(len..)
                .and_then(|r| r.strip_prefix('.'))
                .map_or(0, |r| leading(r, |c| c.is_ascii_alphanumeric()));
            let starts_with_digit = rest.as_bytes().get(len + 1).is_some_and(u8::is_ascii_digit);
            if fraction == 0 || !starts_with_digit {
                return self.push(Token::Int, len);
            }
            return self.float_or_duration(len + 1 + fraction);
        }
        self.float_or_duration(len);
    }

    /// A number with a fraction, an exponent or units; `len` ends before the exponent's sign.
    fn float_or_duration(&mut self, len: usize) {
        let rest = self.rest();
        let word = rest.get(..len).unwrap_or_default();
        let signed = word.ends_with(['e', 'E']).then(|| {
            let after = rest.get(len..).unwrap_or_default();
            let digits = after
                .strip_prefix(['+', '-'])
                .map_or(0, |r| leading(r, |c| c.is_ascii_digit()));
            if digits == 0 { 0 } else { digits + 1 }
        });
        let len = len + signed.unwrap_or(0);
        let word = rest.get(..len).unwrap_or_default();
        if word
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'))
            && word.parse::<f64>().is_ok()
        {
            return self.push(Token::Float, len);
        }
        if crate::literal::parse_duration(word).is_none() {
            let span = Span {
                start: self.at,
                end: self.at + len,
            };
            self.problems.error_hint(
                span,
                format!("`{}` is neither a number nor a duration", shown(word)),
                "write a duration as `90s`, `30m`, `24h`, `7d`, `2w` or `1h30m`",
            );
        }
        self.push(Token::Duration, len);
    }

    /// Reports a run of characters that begin no token, once, and reads it as what was meant.
    fn stray(&mut self, first: char) {
        let rest = self.rest();
        let len = match first {
            '#' => leading(rest, |c| c != '\n'),
            '“' | '„' | '‘' | '«' => curly_len(rest),
            _ => leading(rest, |c| !c.is_ascii() && !c.is_whitespace()),
        };
        let len = len.max(first.len_utf8());
        let span = Span {
            start: self.at,
            end: self.at + len,
        };
        let hint = match first {
            '“' | '”' | '„' | '‘' | '’' | '«' | '»' => {
                Some("use straight quotes: `\"…\"`")
            }
            '&' => Some("write `&&` or `and`"),
            '|' => Some("write `||` or `or`"),
            '#' | ';' => Some("a comment begins with `//`; nothing needs a semicolon"),
            c if !c.is_ascii() => Some("names are written in ASCII; put other text between quotes"),
            _ => None,
        };
        let found = if first == '#' {
            "#".to_owned()
        } else {
            shown(span.of(self.text))
        };
        self.problems.error_maybe(
            span,
            format!("`{found}` means nothing here"),
            hint.map(str::to_owned),
        );
        match first {
            '&' => self.push(Token::And, len),
            '|' => self.push(Token::Or, len),
            '#' | ';' => self.at += len,
            _ => self.push(Token::Stray, len),
        }
    }
}

/// A text made safe to show: at most 40 characters, control and bidirectional characters by number.
pub(crate) fn shown(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().take(40) {
        if c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
        {
            out.extend(format!("U+{:04X}", u32::from(c)).chars());
        } else {
            out.push(c);
        }
    }
    if text.chars().nth(40).is_some() {
        out.push('…');
    }
    out
}

/// Length of a text in typographic quotes, or of its opening quote when none closes it nearby.
fn curly_len(rest: &str) -> usize {
    let nearby = rest
        .char_indices()
        .skip(1)
        .take(200)
        .take_while(|(_, c)| *c != '\n');
    let close = nearby
        .into_iter()
        .find(|(_, c)| matches!(c, '”' | '“' | '’' | '»' | '"'));
    close.map_or(0, |(at, c)| at + c.len_utf8())
}

fn leading(text: &str, wanted: impl Fn(char) -> bool) -> usize {
    text.find(|c| !wanted(c)).unwrap_or(text.len())
}

/// The opening of a string literal, `r` included, and whether it is raw.
fn opening_quote(rest: &str) -> Option<(&str, bool)> {
    let raw = usize::from(rest.starts_with(['r', 'R']));
    let quotes = rest.get(raw..)?;
    let len = ["\"\"\"", "'''", "\"", "'"]
        .into_iter()
        .find(|q| quotes.starts_with(q))?
        .len();
    Some((rest.get(..raw + len)?, raw == 1))
}

/// Length of a string after its opening quote, closing quote included, and whether it is closed.
fn string_len(body: &str, quote: &str, raw: bool) -> (usize, bool) {
    let mut chars = body.char_indices();
    while let Some((at, c)) = chars.next() {
        if body.get(at..).is_some_and(|r| r.starts_with(quote)) {
            return (at + quote.len(), true);
        }
        match c {
            '\\' if !raw => {
                // The escaped character is skipped, unless it ends the line and so the string.
                if quote.len() == 1 && body.get(at + 1..).is_some_and(|r| r.starts_with('\n')) {
                    return (at + 1, false);
                }
                chars.next();
            }
            '\n' if quote.len() == 1 => return (at, false),
            _ => {}
        }
    }
    (body.len(), false)
}

/// Whether the text of a token has its closing quote.
pub(crate) fn is_closed(text: &str) -> bool {
    let Some((open, raw)) = opening_quote(text) else {
        return false;
    };
    let body = text.get(open.len()..).unwrap_or_default();
    string_len(body, open.trim_start_matches(['r', 'R']), raw) == (body.len(), true)
}

fn punctuation(rest: &str) -> Option<(Token, usize)> {
    const TWO: &[(&str, Token)] = &[
        ("&&", Token::And),
        ("||", Token::Or),
        ("==", Token::Equal),
        ("!=", Token::NotEqual),
        ("<=", Token::LessEqual),
        (">=", Token::GreaterEqual),
    ];
    const ONE: &[(&str, Token)] = &[
        ("(", Token::OpenParen),
        (")", Token::CloseParen),
        ("[", Token::OpenBracket),
        ("]", Token::CloseBracket),
        ("{", Token::OpenBrace),
        ("}", Token::CloseBrace),
        (",", Token::Comma),
        (":", Token::Colon),
        (".", Token::Dot),
        ("?", Token::Question),
        ("!", Token::Not),
        ("<", Token::Less),
        (">", Token::Greater),
        ("+", Token::Plus),
        ("-", Token::Minus),
        ("*", Token::Star),
        ("/", Token::Slash),
        ("%", Token::Percent),
        ("=", Token::Assign),
    ];
    TWO.iter()
        .chain(ONE)
        .find(|(text, _)| rest.starts_with(text))
        .map(|(text, token)| (*token, text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Source;

    #[track_caller]
    fn check(text: &str, expect: &[(Token, &str)]) {
        let source = Source {
            name: "t".into(),
            text: text.into(),
        };
        let mut problems = Problems::of(&source);
        let found: Vec<_> = lex(text, &mut problems)
            .iter()
            .map(|l| (l.token, l.span.of(text)))
            .collect();
        let mut expect = expect.to_vec();
        expect.push((Token::End, ""));
        assert_eq!(found, expect);
        assert_eq!(problems.finish(), []);
    }

    #[track_caller]
    fn refused(text: &str, says: &str) {
        let source = Source {
            name: "t".into(),
            text: text.into(),
        };
        let mut problems = Problems::of(&source);
        lex(text, &mut problems);
        let found = problems.finish();
        assert!(
            found.iter().any(|d| d.to_string().contains(says)),
            "{found:?}"
        );
    }

    #[test]
    fn numbers_durations_and_fields_are_told_apart() {
        use Token::{Dot, Duration, Float, Int, Word};
        check(
            "12 0x1F 1.5 2e3 1e-2 2.5E+3",
            &[
                (Int, "12"),
                (Int, "0x1F"),
                (Float, "1.5"),
                (Float, "2e3"),
                (Float, "1e-2"),
                (Float, "2.5E+3"),
            ],
        );
        check(
            "24h 1h30m 1.5h 250ms",
            &[
                (Duration, "24h"),
                (Duration, "1h30m"),
                (Duration, "1.5h"),
                (Duration, "250ms"),
            ],
        );
        check("1.size", &[(Int, "1"), (Dot, "."), (Word, "size")]);
    }

    #[test]
    fn strings_keep_their_quotes_and_comments_vanish() {
        use Token::Text;
        check(
            r#""a\"b" 'c' // "x"
            r"\" """d
            "e" f""" "#,
            &[
                (Text, r#""a\"b""#),
                (Text, "'c'"),
                (Text, r#"r"\""#),
                (Text, "\"\"\"d\n            \"e\" f\"\"\""),
            ],
        );
    }

    #[test]
    fn what_is_no_token_is_named() {
        refused("\"abc\n", "no closing quote");
        refused("\"abc\\\n", "no closing quote");
        refused("“x”", "straight quotes");
        refused("24x", "neither a number nor a duration");
        refused("a \u{202e} b", "U+202E");
        refused(&format!("\"{}\"", "x".repeat(9000)), "9002 bytes");
    }
}
