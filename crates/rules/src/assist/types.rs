//! What stands before a dot, and of which type it is.

use super::known::{Declared, Known};
use super::read::{ItemKind, Read};
use crate::ast::{Expr, ExprKind};
use crate::check::Checker;
use crate::diagnostic::{Problems, Source, Span};
use crate::env::Shared;
use crate::lexer::Token;
use crate::library::On;
use crate::parser::{DEPTH_MAX, parse, parse_expression};
use crate::schema::{ROOTS, Schema};
use crate::types::Type;
use std::collections::BTreeMap;

/// Longest expression, in bytes, whose type is worked out.
const EXPRESSION_BYTES_MAX: usize = 8 * 1024;
/// Most tokens an expression is followed back over.
const TOKENS_MAX: usize = 2_000;
/// Most names bound by macros around the cursor; rules allow fewer.
const LOCALS_MAX: usize = 4;

/// What stands before a dot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Receiver {
    /// `account`, `event`, …
    Root(String),
    /// A bank, set or lexicon.
    Named(On),
    Value(Type),
    /// Nothing that can be read.
    Unknown,
}

/// A name bound by a macro around the cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Local {
    pub(super) name: String,
    /// `None` when the list before the macro cannot be read.
    pub(super) ty: Option<Type>,
    /// Of what it is an element, as written.
    pub(super) of: String,
}

/// What an expression is read with.
pub(super) struct Scope<'a, 't> {
    pub(super) read: &'a Read<'t>,
    pub(super) known: &'a Known,
    pub(super) schema: &'a Schema,
    /// The event types the rule is about.
    pub(super) on: Vec<String>,
}

impl Scope<'_, '_> {
    /// The first token of the expression that ends before a token: names, calls and entries joined
    /// by dots.
    pub(super) fn expression_start(&self, end: usize, floor: usize) -> Option<usize> {
        let read = self.read;
        let floor = floor.max(end.saturating_sub(TOKENS_MAX));
        let mut first = end;
        loop {
            let last = first.checked_sub(1).filter(|last| *last >= floor)?;
            first = match read.token(last) {
                Token::CloseParen | Token::CloseBracket => {
                    let open = self.opening(last, floor)?;
                    let before = open.checked_sub(1).filter(|before| *before >= floor);
                    let of_word = before.filter(|at| is_value_word(read.word(*at)));
                    of_word.unwrap_or(open)
                }
                Token::Word if is_value_word(read.word(last)) => last,
                Token::Text | Token::Int | Token::Float | Token::Duration => last,
                _ => return None,
            };
            let dot = first.checked_sub(1).filter(|dot| *dot >= floor);
            match dot.filter(|dot| read.token(*dot) == Token::Dot) {
                Some(dot) => first = dot,
                None => return Some(first),
            }
        }
    }

    fn opening(&self, close: usize, floor: usize) -> Option<usize> {
        let mut depth = 0_usize;
        for at in (floor..=close).rev() {
            match self.read.token(at) {
                Token::CloseParen | Token::CloseBracket | Token::CloseBrace => depth += 1,
                Token::OpenParen | Token::OpenBracket | Token::OpenBrace => {
                    depth = depth.checked_sub(1)?;
                    if depth == 0 {
                        return Some(at);
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// The parentheses and brackets that are open before a token, outermost first.
    pub(super) fn open_before(&self, end: usize, floor: usize) -> Vec<usize> {
        let mut open = Vec::new();
        for at in floor..end {
            match self.read.token(at) {
                Token::OpenParen | Token::OpenBracket => open.push(at),
                Token::CloseParen | Token::CloseBracket => {
                    open.pop();
                }
                _ => {}
            }
        }
        open
    }

    /// The names bound around a token, outermost first.
    pub(super) fn locals(&self, end: usize, floor: usize) -> Vec<Local> {
        let mut locals: Vec<Local> = Vec::new();
        let open = self.open_before(end, floor);
        // Expressions nest no deeper than this.
        let nearest = open.len().saturating_sub(DEPTH_MAX as usize);
        for open in open.into_iter().skip(nearest) {
            if locals.len() >= LOCALS_MAX {
                break;
            }
            locals.extend(self.local_of(open, end, floor, &locals));
        }
        locals
    }

    /// What a macro whose parenthesis this is binds, if the token stands behind its comma.
    fn local_of(&self, open: usize, end: usize, floor: usize, outer: &[Local]) -> Option<Local> {
        let read = self.read;
        let is_macro = matches!(
            read.previous_word(open),
            "exists" | "all" | "count" | "filter"
        );
        let dot = open.checked_sub(2).filter(|dot| *dot >= floor)?;
        let binds = read.token(open + 1) == Token::Word && read.token(open + 2) == Token::Comma;
        if !(is_macro && binds && read.token(dot) == Token::Dot && open + 2 < end) {
            return None;
        }
        let first = self.expression_start(dot, floor)?;
        let of = self.span(first, dot).of(read.text).to_owned();
        let ty = self.type_of(&of, outer);
        let ty = ty.and_then(|ty| ty.element().cloned());
        let name = read.word(open + 1).to_owned();
        Some(Local { name, ty, of })
    }

    fn span(&self, first: usize, end: usize) -> Span {
        let last = end.saturating_sub(1).max(first);
        self.read.span(first).to(self.read.span(last))
    }

    /// What stands before a dot.
    pub(super) fn receiver(&self, dot: usize, floor: usize) -> Receiver {
        let read = self.read;
        let Some(first) = self.expression_start(dot, floor) else {
            return Receiver::Unknown;
        };
        let locals = self.locals(first, floor);
        let word = read.word(first);
        let is_local = locals.iter().any(|local| local.name == word);
        if first + 1 == dot && ROOTS.contains(&word) && word != "received_at" && !is_local {
            return Receiver::Root(word.to_owned());
        }
        let is_call = read.token(first + 1) == Token::OpenParen;
        if is_call && self.opening(dot.saturating_sub(1), floor) == Some(first + 1) {
            match word {
                "bank" => return Receiver::Named(On::Bank),
                "set" => return Receiver::Named(On::Set),
                "lexicon" => return Receiver::Named(On::Lexicon),
                _ => {}
            }
        }
        let text = self.span(first, dot).of(read.text);
        self.type_of(text, &locals)
            .map_or(Receiver::Unknown, Receiver::Value)
    }

    /// The type of an expression, where it is in order.
    pub(super) fn type_of(&self, text: &str, locals: &[Local]) -> Option<Type> {
        if text.len() > EXPRESSION_BYTES_MAX {
            return None;
        }
        let source = source(text);
        let mut problems = Problems::of(&source);
        let expr = parse_expression(&source, &mut problems)?;
        let counters = self.counters_in(&expr);
        self.check(&expr, &source, &counters, locals)
    }

    fn check(
        &self,
        expr: &Expr,
        source: &Source,
        counters: &BTreeMap<String, (usize, Type)>,
        locals: &[Local],
    ) -> Option<Type> {
        let mut problems = Problems::of(source);
        let (mut shared, mut banks) = (Shared::default(), BTreeMap::new());
        let mut checker = Checker::new(
            &mut problems,
            self.schema,
            &self.on,
            &mut shared,
            &mut banks,
            counters,
        );
        for local in locals {
            checker.bind_name(&local.name, local.ty.clone().unwrap_or(Type::Never));
        }
        let typed = checker.expr(expr);
        (!typed.is_wrong() && typed.ty != Type::Never).then_some(typed.ty)
    }

    /// The counters an expression names, with what they read.
    fn counters_in(&self, expr: &Expr) -> BTreeMap<String, (usize, Type)> {
        let mut names = Vec::new();
        names_in(expr, &mut names);
        let mut counters = BTreeMap::new();
        for name in names {
            let declared = self.known.find(ItemKind::Counter, name);
            if let Some(ty) = declared.and_then(|declared| self.counter_type(declared)) {
                counters.insert(name.to_owned(), (0, ty));
            }
        }
        counters
    }

    /// What a counter reads.
    pub(super) fn counter_type(&self, declared: &Declared) -> Option<Type> {
        let source = source(&declared.text);
        let mut problems = Problems::of(&source);
        let file = parse(&source, &mut problems);
        let counter = file.counters.first()?;
        match counter.function.node.as_str() {
            "count" | "distinct" => Some(Type::Int),
            // Counters do not read counters.
            _ => self.check(
                counter.value.as_ref()?,
                &source,
                &BTreeMap::new(),
                &Vec::new(),
            ),
        }
    }
}

fn source(text: &str) -> Source {
    Source {
        name: String::new(),
        text: text.to_owned(),
    }
}

fn is_value_word(word: &str) -> bool {
    !matches!(word, "" | "and" | "or" | "not" | "in")
}

/// The names an expression begins with. It nests no deeper than the parser allows.
fn names_in<'e>(expr: &'e Expr, names: &mut Vec<&'e str>) {
    let parts: Vec<&Expr> = match &expr.kind {
        ExprKind::Name(name) => {
            names.push(name);
            return;
        }
        ExprKind::List(items) | ExprKind::And(items) | ExprKind::Or(items) => {
            items.iter().collect()
        }
        ExprKind::Field(inner, _) | ExprKind::Not(inner) | ExprKind::Negate(inner) => vec![inner],
        ExprKind::Index(left, right) | ExprKind::Binary(_, left, right) => vec![left, right],
        ExprKind::Choose(a, b, c) => vec![a, b, c],
        ExprKind::Call { receiver, args, .. } => {
            let args = args.iter().map(|arg| &arg.value);
            receiver.as_deref().into_iter().chain(args).collect()
        }
        _ => return,
    };
    for part in parts {
        names_in(part, names);
    }
}
