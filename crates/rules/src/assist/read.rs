//! A file as the language service reads it: tokens, the items they make, and where the cursor is.
//!
//! Nothing here asks whether the text is in order. An item reaches to its closing brace or, when
//! there is none, to the next item, as the [parser](crate::parser) recovers.

use crate::ast::Spanned;
use crate::diagnostic::{Problems, Source, Span};
use crate::lexer::{Lexeme, Token, is_closed, lex};
use crate::literal;
use crate::ruleset::FILE_BYTES_MAX;

/// The tokens of a text.
pub(super) struct Read<'t> {
    pub(super) text: &'t str,
    tokens: Vec<Lexeme>,
}

/// What an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ItemKind {
    Rule,
    Test,
    Counter,
    Lexicon,
}

/// An item, by the numbers of its tokens.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) kind: ItemKind,
    pub(super) first: usize,
    /// The first token of its body: after `{`, or after a counter's `=`; none while it has none.
    pub(super) body: Option<usize>,
    /// The token after its last.
    pub(super) end: usize,
    /// Whether its closing brace is there.
    pub(super) closed: bool,
}

/// Where the cursor is.
#[derive(Debug, Clone)]
pub(super) struct Cursor {
    /// In bytes, on the border of a character.
    pub(super) at: usize,
    /// How many tokens stand before the word it is in.
    pub(super) before: usize,
    /// The word it is in, as far as there is one; otherwise empty, at the cursor.
    pub(super) word: Span,
    pub(super) inside: Inside,
}

/// What the cursor stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inside {
    Code,
    Comment,
    Number,
    /// In the text that is this token; what stands between its quotes.
    Text {
        token: usize,
        body: Span,
    },
}

impl<'t> Read<'t> {
    /// The tokens; `None` when the text is larger than a rule file may be.
    pub(super) fn of(text: &'t str) -> Option<Self> {
        if text.len() > FILE_BYTES_MAX {
            return None;
        }
        let source = Source {
            name: String::new(),
            text: String::new(),
        };
        // The tokens are wanted, what is wrong with them is not.
        let tokens = lex(text, &mut Problems::of(&source));
        Some(Self { text, tokens })
    }

    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }

    pub(super) fn token(&self, at: usize) -> Token {
        self.tokens.get(at).map_or(Token::End, |l| l.token)
    }

    pub(super) fn span(&self, at: usize) -> Span {
        let end = Span {
            start: self.text.len(),
            end: self.text.len(),
        };
        self.tokens.get(at).map_or(end, |l| l.span)
    }

    pub(super) fn text_of(&self, at: usize) -> &'t str {
        self.span(at).of(self.text)
    }

    /// The word that is this token, "" when it is none.
    pub(super) fn word(&self, at: usize) -> &'t str {
        if self.token(at) == Token::Word {
            self.text_of(at)
        } else {
            ""
        }
    }

    /// The token before, `End` when there is none.
    pub(super) fn previous(&self, at: usize) -> Token {
        at.checked_sub(1).map_or(Token::End, |at| self.token(at))
    }

    pub(super) fn previous_word(&self, at: usize) -> &'t str {
        at.checked_sub(1).map_or("", |at| self.word(at))
    }

    /// What a text stands for, if it is one in order.
    pub(super) fn value_of(&self, at: usize) -> Option<String> {
        let is_text = self.token(at) == Token::Text && is_closed(self.text_of(at));
        is_text
            .then(|| literal::decode(self.text_of(at)).ok())
            .flatten()
    }

    /// The name that begins at a token: with dots and dashes, or between quotes.
    pub(super) fn name(&self, at: usize) -> Option<Spanned<String>> {
        match self.token(at) {
            Token::Text => Some(Spanned {
                node: self.value_of(at)?,
                span: self.span(at),
            }),
            Token::Word => {
                let span = self.span(at).to(self.span(self.name_end(at)));
                Some(Spanned {
                    node: span.of(self.text).to_owned(),
                    span,
                })
            }
            _ => None,
        }
    }

    /// The last token of the name that begins at a word.
    fn name_end(&self, mut at: usize) -> usize {
        while matches!(self.token(at + 1), Token::Dot | Token::Minus)
            && matches!(
                self.token(at + 2),
                Token::Word | Token::Int | Token::Duration
            )
            && self.span(at).end == self.span(at + 1).start
            && self.span(at + 1).end == self.span(at + 2).start
        {
            at += 2;
        }
        at
    }

    /// The first token of the dotted name that leads up to a word, itself when it stands alone.
    pub(super) fn name_start(&self, cursor: &Cursor) -> (usize, Span) {
        let (mut first, mut start) = (cursor.before, cursor.word.start);
        while let Some(before) = first.checked_sub(2) {
            let joint = matches!(self.token(before + 1), Token::Dot | Token::Minus)
                && self.span(before + 1).end == start
                && self.token(before) == Token::Word
                && self.span(before).end == self.span(before + 1).start;
            if !joint {
                break;
            }
            (first, start) = (before, self.span(before).start);
        }
        let end = cursor.word.end;
        (first, Span { start, end })
    }

    fn begins_item(&self, at: usize) -> Option<ItemKind> {
        let next = self.token(at + 1);
        let named = matches!(next, Token::Word | Token::Text);
        match self.word(at) {
            "rule" if named => Some(ItemKind::Rule),
            "lexicon" if named => Some(ItemKind::Lexicon),
            "test" if next == Token::Text => Some(ItemKind::Test),
            "counter"
                if next == Token::Word
                    && self.token(at + 2) == Token::Assign
                    && self.previous_word(at) != "given" =>
            {
                Some(ItemKind::Counter)
            }
            _ => None,
        }
    }

    /// The items, in the order of the text.
    pub(super) fn items(&self) -> Vec<Item> {
        let mut items: Vec<Item> = Vec::new();
        let mut braces = 0_usize;
        for at in 0..self.len() {
            if let Some(kind) = self.begins_item(at) {
                if let Some(open) = items.last_mut().filter(|item| !item.closed) {
                    open.end = at;
                }
                braces = 0;
                items.push(Item {
                    kind,
                    first: at,
                    body: (kind == ItemKind::Counter).then_some(at + 3),
                    end: self.len().saturating_sub(1),
                    closed: false,
                });
                continue;
            }
            let Some(item) = items.last_mut().filter(|item| !item.closed) else {
                continue;
            };
            match self.token(at) {
                Token::OpenBrace => {
                    braces += 1;
                    item.body.get_or_insert(at + 1);
                }
                Token::CloseBrace => {
                    braces = braces.saturating_sub(1);
                    if braces == 0 && item.kind != ItemKind::Counter {
                        (item.end, item.closed) = (at + 1, true);
                    }
                }
                _ => {}
            }
        }
        items
    }

    /// The item whose tokens stand around the cursor.
    pub(super) fn item_at(&self, before: usize) -> Option<Item> {
        let items = self.items();
        let at = items.partition_point(|item| item.first < before);
        let item = items.get(at.checked_sub(1)?)?;
        // Behind its closing brace the cursor is outside.
        (!item.closed || before < item.end).then(|| item.clone())
    }

    /// From the item's first character to its last.
    pub(super) fn item_span(&self, item: &Item) -> Span {
        let last = item.end.saturating_sub(1).max(item.first);
        self.span(item.first).to(self.span(last))
    }

    /// Where the cursor is; an offset inside a character or beyond the text is rounded down.
    pub(super) fn cursor(&self, offset: usize) -> Cursor {
        let mut at = offset.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        let touching = self.tokens.partition_point(|l| l.span.end < at);
        let span = self.span(touching);
        let none = Span { start: at, end: at };
        let cursor = |before, word, inside| Cursor {
            at,
            before,
            word,
            inside,
        };
        if span.start < at {
            match self.token(touching) {
                Token::Word => return cursor(touching, span, Inside::Code),
                Token::Int | Token::Float | Token::Duration => {
                    return cursor(touching, span, Inside::Number);
                }
                Token::Text if at < span.end || !is_closed(self.text_of(touching)) => {
                    let inside = Inside::Text {
                        token: touching,
                        body: self.body(touching),
                    };
                    return cursor(touching, none, inside);
                }
                _ => {}
            }
        }
        let before = touching + usize::from(span.start < at && span.end == at);
        let gap_start = before.checked_sub(1).map_or(0, |last| self.span(last).end);
        let gap = self.text.get(gap_start..at).unwrap_or_default();
        let line = gap.rsplit('\n').next().unwrap_or_default();
        let is_comment = line.contains("//") || line.trim_start().starts_with('#');
        let inside = if is_comment {
            Inside::Comment
        } else {
            Inside::Code
        };
        cursor(before, none, inside)
    }

    /// The word the cursor is in, or stands before.
    pub(super) fn word_at(&self, cursor: &Cursor) -> Option<usize> {
        let is_word = cursor.inside == Inside::Code
            && self.token(cursor.before) == Token::Word
            && self.span(cursor.before).start <= cursor.at;
        is_word.then_some(cursor.before)
    }

    /// What stands between the quotes of a text; of one that is not closed, what looks like a name.
    fn body(&self, token: usize) -> Span {
        let (span, text) = (self.span(token), self.text_of(token));
        let after_r = text.trim_start_matches(['r', 'R']);
        let quote = match after_r.as_bytes() {
            [b'"', b'"', b'"', ..] | [b'\'', b'\'', b'\'', ..] => 3,
            _ => 1,
        };
        let start = span.start + (text.len() - after_r.len()) + quote;
        if is_closed(text) {
            let end = span.end.saturating_sub(quote).max(start);
            return Span { start, end };
        }
        let rest = self.text.get(start..span.end).unwrap_or_default();
        let len = rest
            .find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.')))
            .unwrap_or(rest.len());
        let end = start + len;
        Span { start, end }
    }
}
