//! What may be written where the cursor is.

use super::read::{Cursor, Inside, Item, ItemKind, Read};
use super::words::WordPlace;
use crate::diagnostic::Span;
use crate::lexer::Token;
use crate::parser::{COUNTER_CLAUSES, ITEMS, RULE_CLAUSES, TEST_PARTS};

/// What may be written at the cursor, and what it replaces.
#[derive(Debug)]
pub(super) struct Situation {
    pub(super) place: Place,
    /// What is replaced: the word or name the cursor is in.
    pub(super) replace: Span,
    /// The first token of the clause: expressions are not followed back beyond it.
    pub(super) floor: usize,
    /// The token at which something may be written.
    pub(super) before: usize,
    pub(super) item: Option<Item>,
    /// The clauses that the block has already.
    pub(super) given: Vec<String>,
}

/// What may be written somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Nothing,
    /// Words of the language.
    Words(WordPlace),
    /// The clauses of a block that it does not have yet; behind a counter also a new item.
    Clauses(WordPlace),
    /// One of these words.
    Plain(&'static [&'static str]),
    EventTypes,
    Languages,
    Policies,
    Rules,
    Counters,
    /// A length of time.
    Durations,
    Value,
    /// An operator or, where the expression may end, the next clause.
    Operator(Option<WordPlace>),
    /// A field or function, after this dot.
    Member {
        dot: usize,
    },
    Effects {
        /// In `expect`, where there is also `nothing` and `verdict`.
        expected: bool,
    },
    EffectArgument {
        effect: String,
        first: bool,
    },
    ArgumentValue {
        name: String,
    },
    Text(TextOf),
}

/// What stands between quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextOf {
    Bank,
    Set,
    Lexicon,
    Label,
    Queue,
    Receiver,
    Level,
    EventType,
    MediumKind,
    Form,
    Decoding,
    Anything,
}

/// The clause around the cursor: its word, and the tokens between it and the cursor.
struct Clause<'t> {
    word: &'t str,
    at: usize,
}

/// Says what may be written at the cursor.
pub(super) fn situate(read: &Read<'_>, cursor: &Cursor) -> Situation {
    let (dotted, name) = read.name_start(cursor);
    let item = read.item_at(cursor.before);
    let mut situation = Situation {
        place: Place::Nothing,
        replace: cursor.word,
        floor: item.as_ref().and_then(|item| item.body).unwrap_or(0),
        before: cursor.before,
        item,
        given: Vec::new(),
    };
    match cursor.inside {
        Inside::Comment | Inside::Number => return situation,
        Inside::Text { token, body } => {
            situation.replace = body;
            situation.place = Place::Text(text_of(read, token, situation.floor));
            return situation;
        }
        Inside::Code => {}
    }
    let Some(item) = situation.item.clone() else {
        // Behind the word itself comes a name of the author's choice.
        if !ITEMS.contains(&read.previous_word(cursor.before)) {
            situation.place = Place::Words(WordPlace::Item);
        }
        return situation;
    };
    let within = Within {
        read,
        item: &item,
        before: cursor.before,
        dotted,
        typed: (!cursor.word.of(read.text).is_empty()).then_some(cursor.before),
    };
    let clauses = within.clauses();
    let current = clauses.iter().rev().find(|(at, _)| *at < cursor.before);
    let current = current.map(|(at, word)| Clause { word, at: *at });
    if let Some(clause) = &current {
        situation.floor = clause.at + 1;
    }
    situation.given = clauses
        .iter()
        .filter(|(at, _)| Some(*at) != within.typed)
        .map(|(_, word)| (*word).to_owned())
        .collect();
    situation.place = match item.kind {
        _ if item.body.is_none_or(|body| cursor.before < body) => within.head(),
        ItemKind::Rule => within.rule(current.as_ref()),
        ItemKind::Counter => within.counter(current.as_ref()),
        ItemKind::Test => within.test(current.as_ref()),
        ItemKind::Lexicon => Place::Nothing,
    };
    let is_name = matches!(
        situation.place,
        Place::EventTypes | Place::Policies | Place::Rules | Place::Languages
    );
    if is_name {
        (situation.replace, situation.before) = (name, dotted);
    }
    situation
}

/// The event types that a rule or counter names after `on`.
pub(super) fn event_types_of(read: &Read<'_>, item: &Item) -> Vec<String> {
    let mut found = Vec::new();
    let Some(body) = item.body else {
        return found;
    };
    let is_on = |at: &usize| read.word(*at) == "on" && read.previous(*at) != Token::Dot;
    let on = (body..item.end).find(is_on);
    let counted =
        (item.kind == ItemKind::Counter && read.word(body) == "count").then_some(body + 1);
    let Some(mut at) = on.or(counted) else {
        return found;
    };
    // Rules name at most 64.
    while found.len() < 64 {
        let Some(name) = read.name(at + 1) else {
            break;
        };
        at += 1;
        while at + 1 < item.end && read.span(at).end < name.span.end {
            at += 1;
        }
        found.push(name.node);
        if read.token(at + 1) != Token::Comma {
            break;
        }
        at += 1;
    }
    found
}

struct Within<'a, 't> {
    read: &'a Read<'t>,
    item: &'a Item,
    before: usize,
    /// Where the dotted name at the cursor begins.
    dotted: usize,
    /// The word the cursor is in.
    typed: Option<usize>,
}

impl<'t> Within<'_, 't> {
    fn keywords(&self) -> &'static [&'static str] {
        match self.item.kind {
            ItemKind::Rule => RULE_CLAUSES,
            ItemKind::Counter => COUNTER_CLAUSES,
            ItemKind::Test => TEST_PARTS,
            ItemKind::Lexicon => &[],
        }
    }

    /// The words that begin the clauses of the item.
    fn clauses(&self) -> Vec<(usize, &'t str)> {
        let mut found = Vec::new();
        let mut braces = 0_usize;
        for at in self.item.body.unwrap_or(self.item.end)..self.item.end {
            match self.read.token(at) {
                Token::OpenBrace => braces += 1,
                Token::CloseBrace => braces = braces.saturating_sub(1),
                Token::Word if braces == 0 && self.begins_clause(at) => {
                    found.push((at, self.read.word(at)));
                }
                _ => {}
            }
        }
        found
    }

    fn begins_clause(&self, at: usize) -> bool {
        let after = self.read.previous(at);
        let is_argument = matches!(after, Token::OpenParen | Token::Comma | Token::Colon)
            && self.item.kind == ItemKind::Test;
        self.keywords().contains(&self.read.word(at))
            && after != Token::Dot
            && !is_argument
            && self.read.token(at + 1) != Token::Colon
    }

    fn previous(&self) -> Token {
        self.read.previous(self.before)
    }

    fn previous_word(&self) -> &'t str {
        self.read.previous_word(self.before)
    }

    /// Between the item's word and its body.
    fn head(&self) -> Place {
        match (self.item.kind, self.before.saturating_sub(self.item.first)) {
            (ItemKind::Lexicon, 2) => Place::Plain(&["level"]),
            (ItemKind::Lexicon, 3) if self.previous_word() == "level" => {
                Place::Words(WordPlace::Level)
            }
            _ => Place::Nothing,
        }
    }

    fn rule(&self, clause: Option<&Clause<'_>>) -> Place {
        const NEXT: Place = Place::Clauses(WordPlace::Rule);
        let Some(clause) = clause else {
            return NEXT;
        };
        let first = self.before == clause.at + 1;
        match clause.word {
            "on" => self.event_types(clause).unwrap_or(NEXT),
            "mode" if first => Place::Words(WordPlace::Mode),
            "policy" if self.dotted == clause.at + 1 => Place::Policies,
            "reason" if self.dotted == clause.at + 1 => Place::Languages,
            "reason" if self.previous() != Token::Text => Place::Nothing,
            "once" => self.once(first),
            "limit" => self.limit(first),
            "when" => self.expression(clause, Some(WordPlace::Rule)),
            "then" => self.effects(clause, false).unwrap_or(NEXT),
            _ => NEXT,
        }
    }

    fn event_types(&self, clause: &Clause<'_>) -> Option<Place> {
        let before = self.read.previous(self.dotted);
        (self.dotted == clause.at + 1 || before == Token::Comma).then_some(Place::EventTypes)
    }

    fn once(&self, first: bool) -> Place {
        match self.previous_word() {
            _ if first => Place::Plain(&["per"]),
            "per" => Place::Value,
            "over" => Place::Durations,
            _ if self.previous() == Token::Duration => Place::Clauses(WordPlace::Rule),
            _ if self.expects_value() => self.value(),
            _ => Place::Plain(&["over"]),
        }
    }

    fn limit(&self, first: bool) -> Place {
        match (self.previous(), self.previous_word()) {
            _ if first => Place::Nothing,
            (Token::Int, _) => Place::Plain(&["per"]),
            (_, "per") => Place::Plain(&["hour", "day"]),
            (_, "hour" | "day") => Place::Clauses(WordPlace::Rule),
            _ => Place::Nothing,
        }
    }

    fn counter(&self, clause: Option<&Clause<'_>>) -> Place {
        let body = self.item.body.unwrap_or(self.before);
        match clause {
            None if self.before == body => Place::Words(WordPlace::CounterFunction),
            None => self.counted(body),
            Some(clause) => match clause.word {
                "on" => self
                    .event_types(clause)
                    .unwrap_or(Place::Clauses(WordPlace::Counter)),
                "over" if self.before == clause.at + 1 => Place::Durations,
                "over" => Place::Clauses(WordPlace::Counter),
                _ => self.expression(clause, Some(WordPlace::Counter)),
            },
        }
    }

    /// Between the parentheses of `count(…)`, or behind them.
    fn counted(&self, body: usize) -> Place {
        let open = body + 1;
        let mut depth = 0_usize;
        for at in open..self.before {
            match self.read.token(at) {
                Token::OpenParen => depth += 1,
                Token::CloseParen => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        if depth == 0 {
            return Place::Clauses(WordPlace::Counter);
        }
        let clause = Clause { word: "", at: open };
        if self.read.word(body) == "count" {
            return self.event_types(&clause).unwrap_or(Place::Nothing);
        }
        self.expression(&clause, None)
    }

    fn test(&self, clause: Option<&Clause<'_>>) -> Place {
        const NEXT: Place = Place::Clauses(WordPlace::Test);
        let Some(clause) = clause else {
            return NEXT;
        };
        let first = self.before == clause.at + 1;
        let braces = (clause.at..self.before).fold(0_usize, |open, at| match self.read.token(at) {
            Token::OpenBrace => open + 1,
            Token::CloseBrace => open.saturating_sub(1),
            _ => open,
        });
        let after_member = matches!(
            self.previous(),
            Token::OpenBrace | Token::Comma | Token::Text
        );
        match clause.word {
            "members" if braces == 1 && after_member => {
                Place::Plain(&["text", "url", "pdq", "sha256", "md5"])
            }
            _ if braces > 0 => Place::Nothing,
            _ if self.previous() == Token::CloseBrace => NEXT,
            "given" => self.given(first),
            "expect" => self.expected(clause).unwrap_or(NEXT),
            "at" if !first => NEXT,
            _ => Place::Nothing,
        }
    }

    fn given(&self, first: bool) -> Place {
        let before_that = self.read.previous_word(self.before.saturating_sub(1));
        match (self.previous(), self.previous_word()) {
            _ if first => Place::Words(WordPlace::Given),
            (_, "counter") if before_that == "given" => Place::Counters,
            (_, "label") if before_that == "given" => {
                Place::Plain(&["account", "content", "space"])
            }
            (Token::Text | Token::Int | Token::Float | Token::Duration, _) => {
                Place::Clauses(WordPlace::Test)
            }
            _ => Place::Nothing,
        }
    }

    fn expected(&self, clause: &Clause<'_>) -> Option<Place> {
        if self.read.previous_word(self.dotted) == "verdict" {
            return Some(Place::Rules);
        }
        if self.previous_word() == "no" {
            return Some(Place::Plain(&["verdict"]));
        }
        self.effects(clause, true)
    }

    /// In `then` and `expect`; `None` behind a whole effect.
    fn effects(&self, clause: &Clause<'_>, expected: bool) -> Option<Place> {
        let open: Vec<usize> = self.open(clause.at + 1);
        let previous = self.previous();
        let Some(outer) = open.first() else {
            let begins = self.before == clause.at + 1 || previous == Token::Comma;
            return begins.then_some(Place::Effects { expected });
        };
        let effect = self.read.previous_word(*outer).to_owned();
        Some(match previous {
            _ if open.len() > 1 => Place::Nothing,
            Token::OpenParen | Token::Comma => Place::EffectArgument {
                effect,
                first: previous == Token::OpenParen,
            },
            Token::Colon => Place::ArgumentValue {
                name: self.read.word(self.before.saturating_sub(2)).to_owned(),
            },
            _ => Place::Nothing,
        })
    }

    fn open(&self, floor: usize) -> Vec<usize> {
        let mut open = Vec::new();
        for at in floor..self.before {
            match self.read.token(at) {
                Token::OpenParen => open.push(at),
                Token::CloseParen => {
                    open.pop();
                }
                _ => {}
            }
        }
        open
    }

    fn expression(&self, clause: &Clause<'_>, next: Option<WordPlace>) -> Place {
        if self.previous() == Token::Dot || self.before == clause.at + 1 || self.expects_value() {
            return self.value();
        }
        let is_whole = self.open(clause.at + 1).is_empty();
        Place::Operator(next.filter(|_| is_whole))
    }

    fn value(&self) -> Place {
        if self.previous() == Token::Dot {
            let dot = self.before.saturating_sub(1);
            return Place::Member { dot };
        }
        let open = self.before.saturating_sub(1);
        let macro_word = self.read.previous_word(open);
        let is_macro = self.previous() == Token::OpenParen
            && matches!(macro_word, "exists" | "all" | "count" | "filter")
            && self.read.previous(open.saturating_sub(1)) == Token::Dot;
        let of_lexicon = is_macro && self.counts_in_a_name(open);
        if is_macro && !of_lexicon {
            // A name of the author's choice.
            return Place::Nothing;
        }
        if self.previous() == Token::Colon {
            match self.read.word(self.before.saturating_sub(2)) {
                "within" => return Place::Durations,
                "quality" | "distance" | "score" => return Place::Nothing,
                _ => {}
            }
        }
        Place::Value
    }

    /// Whether this is the parenthesis of `bank("…").count(` or `lexicon("…").count(`, which bind no name.
    fn counts_in_a_name(&self, open: usize) -> bool {
        open.checked_sub(6).is_some_and(|at| {
            matches!(self.read.word(at), "bank" | "lexicon")
                && self.read.token(at + 2) == Token::Text
        })
    }

    fn expects_value(&self) -> bool {
        match self.previous() {
            Token::Word => matches!(self.previous_word(), "and" | "or" | "not" | "in"),
            Token::CloseParen
            | Token::CloseBracket
            | Token::CloseBrace
            | Token::Text
            | Token::Int
            | Token::Float
            | Token::Duration => false,
            _ => true,
        }
    }
}

/// What the text that is this token stands for.
fn text_of(read: &Read<'_>, token: usize, floor: usize) -> TextOf {
    let (previous, word) = (read.previous(token), read.previous_word(token));
    let called = read.previous_word(token.saturating_sub(1));
    match previous {
        Token::Word if word == "members" => TextOf::Bank,
        Token::Word if word == "set" => TextOf::Set,
        Token::Word if read.word(token.saturating_sub(2)) == "label" => TextOf::Label,
        Token::OpenParen => match called {
            "bank" => TextOf::Bank,
            "set" => TextOf::Set,
            "lexicon" => TextOf::Lexicon,
            "hasLabel" => TextOf::Label,
            "normalised" => TextOf::Level,
            "enqueue" => TextOf::Queue,
            "refer" | "notify" => TextOf::Receiver,
            _ => TextOf::Anything,
        },
        Token::Comma => match effect_around(read, token, floor) {
            "label" => TextOf::Label,
            "enqueue" => TextOf::Queue,
            "refer" | "notify" => TextOf::Receiver,
            _ => compared(read, token, floor),
        },
        Token::Colon => match read.text_of(token.saturating_sub(2)) {
            "level" => TextOf::Level,
            "to" => TextOf::Receiver,
            "\"type\"" => TextOf::EventType,
            "\"bank\"" => TextOf::Bank,
            "\"kind\"" => TextOf::MediumKind,
            "\"form\"" => TextOf::Form,
            "\"decoding\"" => TextOf::Decoding,
            _ => TextOf::Anything,
        },
        _ => compared(read, token, floor),
    }
}

/// The word before the innermost parenthesis that is open, looked for nearby.
fn effect_around<'t>(read: &Read<'t>, token: usize, floor: usize) -> &'t str {
    let mut depth = 0_usize;
    for at in (floor.max(token.saturating_sub(100))..token).rev() {
        match read.token(at) {
            Token::CloseParen => depth += 1,
            Token::OpenParen if depth == 0 => return read.previous_word(at),
            Token::OpenParen => depth -= 1,
            _ => {}
        }
    }
    ""
}

/// What a text is compared with: `event.type == "…"`, `m.kind in ["…", "…"]`.
fn compared(read: &Read<'_>, token: usize, floor: usize) -> TextOf {
    let floor = floor.max(token.saturating_sub(200));
    let mut end = token.saturating_sub(1);
    if matches!(read.token(end), Token::OpenBracket | Token::Comma) {
        let bracket = (floor..token)
            .rev()
            .find(|at| read.token(*at) == Token::OpenBracket);
        end = bracket.map_or(0, |at| at.saturating_sub(1));
    }
    let compares =
        matches!(read.token(end), Token::Equal | Token::NotEqual) || read.word(end) == "in";
    if !compares || end <= floor {
        return TextOf::Anything;
    }
    let last = end - 1;
    let of = (read.word(last), read.previous(last));
    match of {
        ("type", Token::Dot) if read.previous_word(last.saturating_sub(1)) == "event" => {
            TextOf::EventType
        }
        ("kind", Token::Dot) if read.previous_word(last.saturating_sub(1)) != "space" => {
            TextOf::MediumKind
        }
        _ if read.token(last) == Token::CloseParen => {
            let open = (floor..last)
                .rev()
                .find(|at| read.token(*at) == Token::OpenParen);
            let called = open.map_or("", |open| read.previous_word(open));
            if called == "form" {
                TextOf::Form
            } else {
                TextOf::Anything
            }
        }
        _ => TextOf::Anything,
    }
}
