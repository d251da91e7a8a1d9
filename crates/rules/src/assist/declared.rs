//! The items of a text, and where a name is declared.

use super::known::{Declared, Known};
use super::place::{Place, TextOf, situate};
use super::read::{Cursor, Inside, ItemKind, Read};
use super::{Around, Definition, Symbol, SymbolKind};
use crate::diagnostic::Span;
use crate::lexer::Token;

/// The rules, counters, lexicons and tests of a text, in its order.
///
/// ```
/// let symbols = manara_rules::assist::outline("rule a { } lexicon b { \"x\" } test \"c\" {");
/// let names: Vec<&str> = symbols.iter().map(|symbol| symbol.name.as_str()).collect();
/// assert_eq!(names, ["a", "b", "c"]);
/// ```
pub fn outline(text: &str) -> Vec<Symbol> {
    let Some(read) = Read::of(text) else {
        return Vec::new();
    };
    let symbol = |item| {
        let name = read.name(item_name(&item))?;
        let (range, name_range) = (read.item_span(&item), name.span);
        Some(Symbol {
            name: name.node,
            kind: item.kind.into(),
            range: range.start..range.end.max(name_range.end),
            name_range: name_range.start..name_range.end,
        })
    };
    read.items().into_iter().filter_map(symbol).collect()
}

fn item_name(item: &super::read::Item) -> usize {
    item.first + 1
}

/// Where the counter, lexicon or rule at an offset is declared.
pub fn definition(text: &str, offset: usize, around: &Around<'_>) -> Option<Definition> {
    let read = Read::of(text)?;
    let cursor = read.cursor(offset);
    let (kind, name, _) = named_at(&read, &cursor)?;
    let known = Known::of(&read, around, None);
    let declared = known.find(kind, &name)?;
    let source = match declared.source {
        None => None,
        Some(number) => Some(around.other_sources.get(number)?.name.clone()),
    };
    Some(Definition {
        source,
        range: declared.name_span.start..declared.name_span.end,
    })
}

/// The rule, counter or lexicon that is named at the cursor, if it may be one, and where.
pub(super) fn named_at(read: &Read<'_>, cursor: &Cursor) -> Option<(ItemKind, String, Span)> {
    if let Inside::Text { token, .. } = cursor.inside {
        let situation = situate(read, cursor);
        let is_lexicon = situation.place == Place::Text(TextOf::Lexicon);
        return is_lexicon.then_some((ItemKind::Lexicon, read.value_of(token)?, read.span(token)));
    }
    let at = read.word_at(cursor)?;
    let end = read.span(at).end;
    let begins = Cursor {
        at: end,
        before: at,
        word: read.span(at),
        inside: Inside::Code,
    };
    let (first, _) = read.name_start(&begins);
    let name = read.name(first)?;
    let kind = match read.previous_word(first) {
        "verdict" | "rule" => ItemKind::Rule,
        "lexicon" => ItemKind::Lexicon,
        _ if read.previous(at) == Token::Dot => return None,
        _ => {
            let word = read.word(at).to_owned();
            return Some((ItemKind::Counter, word, read.span(at)));
        }
    };
    Some((kind, name.node, name.span))
}

impl Declared {
    pub(super) fn place(&self, around: &Around<'_>) -> String {
        let source = self.source.and_then(|at| around.other_sources.get(at));
        source.map_or_else(String::new, |source| format!(" in `{}`", source.name))
    }
}

impl From<ItemKind> for SymbolKind {
    fn from(kind: ItemKind) -> Self {
        match kind {
            ItemKind::Rule => Self::Rule,
            ItemKind::Test => Self::Test,
            ItemKind::Counter => Self::Counter,
            ItemKind::Lexicon => Self::Lexicon,
        }
    }
}
