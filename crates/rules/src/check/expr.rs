//! Checking expressions: names resolved, types agreed, banks and phrases noted.
//!
//! A part that is wrong is reported once and becomes [`Typed::wrong`], which fits everywhere, so
//! that one slip is one diagnostic.

use crate::ast::{Arg, Binary, Expr, ExprKind, Spanned};
use crate::diagnostic::{Problems, Span};
use crate::env::Shared;
use crate::lexer::shown;
use crate::lexicon::Lexicons;
use crate::library::{self, How, On, Prepared};
use crate::literal;
use crate::schema::{self, Declared, Field, MediumField, ROOTS, Schema};
use crate::suggest::{did_you_mean, did_you_mean_or_list, nearest, one_of};
use crate::typed::{AttributeName, Kind, LIST_MAX, Literal, Macro, SLOTS, TextFunction, Typed};
use crate::types::Type;
use jiff::SignedDuration;
use manara_model::{BankName, EntityType, MediumKind};
use manara_signal::pdq::Dihedral;
use manara_signal::text::{Level, normalise};
use std::collections::BTreeMap;

/// Checks the expressions of one rule.
pub(crate) struct Checker<'c, 's> {
    pub(crate) problems: &'c mut Problems<'s>,
    pub(crate) schema: &'c Schema,
    /// The rule's event types, none for all.
    pub(crate) on: &'c [String],
    pub(crate) shared: &'c mut Shared,
    /// Every bank asked about, with the largest distance asked for.
    pub(crate) banks: &'c mut BTreeMap<BankName, u32>,
    /// The counters there are, by name: their number and what they read.
    pub(crate) counters: &'c BTreeMap<String, (usize, Type)>,
    locals: Vec<Local>,
    /// Whether the condition finds some of the media, so that `media` may be a target.
    pub(crate) finds_media: bool,
    /// The rule's name, of which its samples depend.
    pub(crate) rule: &'c str,
    /// The lexicons there are.
    pub(crate) lexicons: Option<&'c Lexicons>,
    /// The hashes of those the rule asks about.
    pub(super) lexicon_hashes: Vec<[u8; 32]>,
    /// Whether it is a counter that is checked, which asks no others.
    pub(crate) of_counter: bool,
}

struct Local {
    name: String,
    ty: Type,
    /// Whether it ranges over `content.links`, so that a bank can be asked about it.
    is_link: bool,
    /// Whether it ranges over links of the event, what is known of which is kept.
    is_kept: bool,
    used: bool,
}

impl<'c, 's> Checker<'c, 's> {
    pub(crate) fn new(
        problems: &'c mut Problems<'s>,
        schema: &'c Schema,
        on: &'c [String],
        shared: &'c mut Shared,
        banks: &'c mut BTreeMap<BankName, u32>,
        counters: &'c BTreeMap<String, (usize, Type)>,
    ) -> Self {
        Self {
            problems,
            schema,
            on,
            shared,
            banks,
            counters,
            locals: Vec::new(),
            finds_media: false,
            rule: "",
            lexicons: None,
            lexicon_hashes: Vec::new(),
            of_counter: false,
        }
    }

    /// Lets a name stand for an element of this type, as `exists` does.
    pub(crate) fn bind_name(&mut self, name: &str, ty: Type) {
        self.locals.push(Local {
            name: name.to_owned(),
            ty,
            is_link: false,
            is_kept: false,
            used: true,
        });
    }

    /// Checks an expression that must be true or false.
    pub(crate) fn condition(&mut self, expr: &Expr) -> Typed {
        let typed = self.expr(expr);
        self.want_bool(typed, "the condition")
    }

    /// Checks an expression on its own, as an effect's argument.
    pub(crate) fn expr(&mut self, expr: &Expr) -> Typed {
        let span = expr.span;
        let literal = |literal, ty| Typed::new(Kind::Literal(literal), ty, span);
        match &expr.kind {
            ExprKind::Bool(value) => literal(Literal::Bool(*value), Type::Bool),
            ExprKind::Int(value) => literal(Literal::Int(*value), Type::Int),
            ExprKind::Float(value) => literal(Literal::Float(*value), Type::Float),
            ExprKind::Text(text) => literal(Literal::Text(text.as_str().into()), Type::String),
            ExprKind::Duration(value) => literal(Literal::Duration(*value), Type::Duration),
            ExprKind::List(items) => self.list(items, span),
            ExprKind::Name(name) => self.name(name, span),
            ExprKind::Field(inner, name) => self.field(inner, name, span),
            ExprKind::Index(map, key) => self.index(map, key, span),
            ExprKind::Call {
                receiver: None,
                name,
                args,
            } => self.function(name, args, span),
            ExprKind::Call {
                receiver: Some(receiver),
                name,
                args,
            } => self.method(receiver, name, args, span),
            ExprKind::Not(inner) => self.not(inner, span),
            ExprKind::Negate(inner) => self.negate(inner, span),
            ExprKind::And(items) => {
                self.connective(items, span, "`and` joins conditions, each", Kind::And)
            }
            ExprKind::Or(items) => {
                self.connective(items, span, "`or` joins conditions, each", Kind::Or)
            }
            ExprKind::Binary(op, left, right) => self.binary(*op, left, right, span),
            ExprKind::Choose(condition, yes, no) => self.choose(condition, yes, no, span),
        }
    }

    pub(super) fn wrong(
        &mut self,
        span: Span,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Typed {
        self.problems.error_hint(span, message, hint);
        Typed::wrong(span)
    }

    /// The expression, or a report that it is not a condition.
    fn want_bool(&mut self, typed: Typed, what: &str) -> Typed {
        if typed.ty.fits(&Type::Bool) {
            return typed;
        }
        let hint = match &typed.ty {
            Type::String => "compare it: `… == \"…\"`, or ask `has(…)`",
            Type::List(_) | Type::Set(_) => "ask `….exists(x, …)` or `….size() > 0`",
            Type::Map(_) => "ask for an entry: `…[\"key\"]`, or whether it has one: `\"key\" in …`",
            Type::Entity(_) => "ask for one of its fields, or ask a bank about it",
            _ => "compare it with `==`, `<` or `>`",
        };
        self.wrong(
            typed.span,
            format!("{what} must be true or false, this is {}", a(&typed.ty)),
            hint,
        )
    }

    // ---- operators ----

    fn not(&mut self, inner: &Expr, span: Span) -> Typed {
        let inner = self.expr(inner);
        let inner = self.want_bool(inner, "what `!` denies");
        Typed::new(Kind::Not(Box::new(inner)), Type::Bool, span)
    }

    fn negate(&mut self, inner: &Expr, span: Span) -> Typed {
        let inner = self.expr(inner);
        if !(inner.ty.is_number() || inner.ty == Type::Duration) {
            return self.wrong(
                span,
                format!("`-` needs a number or a duration, this is {}", a(&inner.ty)),
                "compare or convert it first",
            );
        }
        let ty = inner.ty.clone();
        Typed::new(Kind::Negate(Box::new(inner)), ty, span)
    }

    fn connective(
        &mut self,
        items: &[Expr],
        span: Span,
        what: &str,
        kind: fn(Vec<Typed>) -> Kind,
    ) -> Typed {
        let mut typed = Vec::with_capacity(items.len());
        for item in items {
            let item = self.expr(item);
            typed.push(self.want_bool(item, what));
        }
        Typed::new(kind(typed), Type::Bool, span)
    }

    fn choose(&mut self, condition: &Expr, yes: &Expr, no: &Expr, span: Span) -> Typed {
        let condition = self.expr(condition);
        let condition = self.want_bool(condition, "what stands before `?`");
        let (yes, no) = (self.expr(yes), self.expr(no));
        let Some(ty) = yes.ty.join(&no.ty) else {
            let message = format!(
                "both values of `? :` must be of one type, these are {} and {}",
                a(&yes.ty),
                a(&no.ty)
            );
            return self.wrong(span, message, mixed_hint(&yes.ty, &no.ty));
        };
        Typed::new(
            Kind::Choose(Box::new(condition), Box::new(yes), Box::new(no)),
            ty,
            span,
        )
    }

    fn binary(&mut self, op: Binary, left: &Expr, right: &Expr, span: Span) -> Typed {
        if let (Binary::In, Some((set, at))) = (op, super::past::set_called(right)) {
            return self.in_set(set, at, left, span);
        }
        let (left, right) = (self.expr(left), self.expr(right));
        if left.is_wrong() || right.is_wrong() {
            return Typed::wrong(span);
        }
        let ty = match op {
            Binary::In => return self.membership(left, right, span),
            Binary::Equal
            | Binary::NotEqual
            | Binary::Less
            | Binary::LessEqual
            | Binary::Greater
            | Binary::GreaterEqual => {
                self.check_words(&left, &right);
                self.check_words(&right, &left);
                comparison_type(op, &left.ty, &right.ty)
            }
            _ => arithmetic_type(op, &left.ty, &right.ty),
        };
        let Some(ty) = ty else {
            let verb = match op {
                Binary::Add => "add",
                Binary::Subtract => "subtract",
                Binary::Multiply => "multiply",
                Binary::Divide | Binary::Remainder => "divide",
                _ => "compare",
            };
            let op = op.as_str();
            let message = format!(
                "cannot {verb} {} and {} with `{op}`",
                a(&left.ty),
                a(&right.ty)
            );
            return self.wrong(span, message, mixed_hint(&left.ty, &right.ty));
        };
        let zero = matches!(right.kind, Kind::Literal(Literal::Int(0)))
            || matches!(right.kind, Kind::Literal(Literal::Float(0.0)));
        if zero && matches!(op, Binary::Divide | Binary::Remainder) {
            return self.wrong(
                span,
                "a division by zero has no value",
                "divide by something else",
            );
        }
        Typed::new(Kind::Binary(op, Box::new(left), Box::new(right)), ty, span)
    }

    fn membership(&mut self, item: Typed, list: Typed, span: Span) -> Typed {
        if let Type::Map(_) = &list.ty {
            return self.has_key(item, list, span);
        }
        let Some(of) = list.ty.element() else {
            let hint = if list.ty == Type::String {
                "write `text.contains(\"…\")`"
            } else {
                "write the list as `[\"a\", \"b\"]`"
            };
            return self.wrong(
                list.span,
                format!(
                    "`in` looks into a list, set or map, this is {}",
                    a(&list.ty)
                ),
                hint,
            );
        };
        if comparison_type(Binary::Equal, &item.ty, of).is_none() {
            let message = format!("{} cannot be in a {}", a(&item.ty), list.ty);
            return self.wrong(span, message, mixed_hint(&item.ty, of));
        }
        if let Kind::List(items) = &list.kind {
            for literal in items {
                self.check_words(&item, literal);
            }
        }
        Typed::new(
            Kind::Binary(Binary::In, Box::new(item), Box::new(list)),
            Type::Bool,
            span,
        )
    }

    /// `"key" in attributes.map`
    fn has_key(&mut self, key: Typed, map: Typed, span: Span) -> Typed {
        let Some(map) = self.map_of(map) else {
            return Typed::wrong(span);
        };
        let Some(key) = self.map_key(key) else {
            return Typed::wrong(span);
        };
        let key = Box::new(key);
        Typed::new(Kind::HasKey { map, key }, Type::Bool, span)
    }

    /// `attributes.map["key"]`
    fn index(&mut self, map: &Expr, key: &Expr, span: Span) -> Typed {
        let (map, key) = (self.expr(map), self.expr(key));
        if map.is_wrong() || key.is_wrong() {
            return Typed::wrong(span);
        }
        let Type::Map(of) = &map.ty else {
            let hint = match map.ty {
                Type::List(_) | Type::Set(_) => {
                    "ask about any element with `.exists(x, …)`, or about all with `.all(x, …)`"
                }
                _ => "only maps have entries",
            };
            let message = format!("{} has no entries by name", a(&map.ty));
            return self.wrong(span, message, hint);
        };
        let ty = (**of).clone();
        let (Some(map), Some(key)) = (self.map_of(map), self.map_key(key)) else {
            return Typed::wrong(span);
        };
        let key = Box::new(key);
        Typed::new(Kind::Entry { map, key }, ty, span)
    }

    /// Maps come from attributes only.
    fn map_of(&mut self, map: Typed) -> Option<AttributeName> {
        if let Kind::Attribute(name) = map.kind {
            return Some(name);
        }
        let hint = "name the attribute: `attributes.…[\"key\"]`";
        self.wrong(map.span, "a map is an attribute, named as such", hint);
        None
    }

    fn map_key(&mut self, key: Typed) -> Option<Typed> {
        if key.ty == Type::String {
            return Some(key);
        }
        if !key.is_wrong() {
            let message = format!("the key of a map is a string, this is {}", a(&key.ty));
            self.wrong(key.span, message, "put it between quotes");
        }
        None
    }

    /// Fields with a fixed vocabulary, compared with a word outside it.
    fn check_words(&mut self, field: &Typed, literal: &Typed) {
        let Some(word) = literal.literal_text() else {
            return;
        };
        match &field.kind {
            Kind::MediumField {
                field: MediumField::Kind,
                ..
            } => {
                let known: Vec<&str> = MediumKind::ALL.iter().map(|k| k.as_str()).collect();
                if !known.contains(&word) {
                    let message = format!("`{}` is not a kind of medium", shown(word));
                    self.problems.error_hint(
                        literal.span,
                        message,
                        did_you_mean_or_list(word, &known),
                    );
                }
            }
            Kind::Form(_) if !is_form(word) => {
                let message = format!("`{}` is not a form of an image", shown(word));
                self.problems.error_hint(
                    literal.span,
                    message,
                    did_you_mean_or_list(word, &forms()),
                );
            }
            Kind::Field(Field::EventType) if !self.schema.knows_event_type(word) => {
                let hint = did_you_mean(word, self.schema.event_types()).unwrap_or_else(|| {
                    "declare it in the schema, or use a built-in event type".to_owned()
                });
                self.problems.warn(
                    literal.span,
                    format!("`{}` is not a known event type", shown(word)),
                    hint,
                );
            }
            _ => {}
        }
    }

    fn list(&mut self, items: &[Expr], span: Span) -> Typed {
        if items.len() > LIST_MAX {
            let message = format!(
                "this list has {} elements, the limit is {LIST_MAX}",
                items.len()
            );
            return self.wrong(
                span,
                message,
                "keep the values in a bank, or split the rule",
            );
        }
        let mut of = Type::Never;
        let mut typed = Vec::with_capacity(items.len());
        for item in items {
            let item = self.expr(item);
            if !item.ty.is_plain() {
                return self.wrong(
                    item.span,
                    format!("a list cannot hold {}", a(&item.ty)),
                    "hold texts, numbers, durations or times",
                );
            }
            let Some(joined) = of.join(&item.ty) else {
                let message = format!(
                    "the elements of a list must be of one type, these are {} and {}",
                    a(&of),
                    a(&item.ty)
                );
                return self.wrong(item.span, message, mixed_hint(&of, &item.ty));
            };
            of = joined;
            typed.push(item);
        }
        Typed::new(Kind::List(typed), Type::list(of), span)
    }

    // ---- names and fields ----

    pub(super) fn local(&mut self, name: &str) -> Option<(usize, Type, bool)> {
        let slot = self.locals.iter().rposition(|l| l.name == name)?;
        let local = self.locals.get_mut(slot)?;
        local.used = true;
        Some((slot, local.ty.clone(), local.is_link))
    }

    fn name(&mut self, name: &str, span: Span) -> Typed {
        if let Some((slot, ty, _)) = self.local(name) {
            return Typed::new(Kind::Variable { slot }, ty, span);
        }
        if let Some((index, ty)) = self.counters.get(name) {
            return Typed::new(Kind::Counter(*index), ty.clone(), span);
        }
        if name == "received_at" {
            return Typed::new(Kind::Field(Field::ReceivedAt), Type::Time, span);
        }
        if ROOTS.contains(&name) {
            let fields = schema::field_names(name);
            let hint = match name {
                "attributes" => "name the attribute: `attributes.…`".to_owned(),
                _ => format!("name one of its fields: {}", one_of(&fields)),
            };
            return self.wrong(span, format!("`{name}` is not a value by itself"), hint);
        }
        if library::find(On::Nothing, name).is_some() {
            return self.wrong(
                span,
                format!("`{name}` is a function"),
                format!("call it: `{name}(…)`"),
            );
        }
        self.unknown_name(name, span)
    }

    pub(super) fn is_kept_link(&self, typed: &Typed) -> bool {
        match typed.kind {
            Kind::Variable { slot } => self.locals.get(slot).is_some_and(|local| local.is_kept),
            _ => false,
        }
    }

    pub(super) fn unknown_name(&mut self, name: &str, span: Span) -> Typed {
        let locals: Vec<String> = self.locals.iter().map(|l| l.name.clone()).collect();
        let counters = self.counters.keys().map(String::as_str);
        let known = ROOTS
            .iter()
            .copied()
            .chain(locals.iter().map(String::as_str))
            .chain(counters);
        let hint = did_you_mean(name, known).unwrap_or_else(|| match nearest_field(name) {
            Some(path) => format!("did you mean `{path}`?"),
            None if self.of_counter => format!(
                "a counter counts what events say and asks no other counter; a value begins with {}",
                one_of(ROOTS)
            ),
            None => format!("a value begins with {}", one_of(ROOTS)),
        });
        self.wrong(span, format!("unknown name `{}`", shown(name)), hint)
    }

    fn field(&mut self, inner: &Expr, name: &Spanned<String>, span: Span) -> Typed {
        let ExprKind::Name(root) = &inner.kind else {
            let inner = self.expr(inner);
            return self.no_field(&inner, name);
        };
        if let Some((slot, ty, _)) = self.local(root) {
            if ty != Type::Entity(EntityType::Media) {
                let inner = Typed::new(Kind::Variable { slot }, ty, inner.span);
                return self.no_field(&inner, name);
            }
            let Some(field) = schema::medium_field(&name.node) else {
                return self.unknown_field(
                    "a medium",
                    &name.node,
                    name.span,
                    &schema::medium_field_names(),
                );
            };
            let ty = field.ty();
            return Typed::new(Kind::MediumField { slot, field }, ty, span);
        }
        if root == "attributes" {
            return self.attribute(name, span);
        }
        if !ROOTS.contains(&root.as_str()) {
            return self.unknown_name(root, inner.span);
        }
        let Some(field) = schema::field(root, &name.node) else {
            let names = schema::field_names(root);
            return self.unknown_field(&format!("`{root}`"), &name.node, name.span, &names);
        };
        Typed::new(Kind::Field(field), field.ty(), span)
    }

    fn unknown_field(&mut self, of: &str, name: &str, span: Span, known: &[&str]) -> Typed {
        let message = format!("{of} has no field `{}`", shown(name));
        if known.is_empty() {
            return self.wrong(span, message, "compare it, or call a function of it");
        }
        self.wrong(span, message, did_you_mean_or_list(name, known))
    }

    fn no_field(&mut self, inner: &Typed, name: &Spanned<String>) -> Typed {
        if inner.is_wrong() {
            return Typed::wrong(name.span);
        }
        let message = format!("{} has no field `{}`", a(&inner.ty), shown(&name.node));
        let hint = match (&inner.ty, nearest(&name.node, methods_of(&inner.ty))) {
            (_, Some(method)) => format!("did you mean `.{method}(…)`?"),
            (Type::Map(_), None) => format!("write `[\"{}\"]`", shown(&name.node)),
            (Type::List(_) | Type::Set(_), None) => {
                "ask about its elements with `.exists(x, …)`".to_owned()
            }
            _ => "only `account`, `space`, `content`, `event`, `attributes` and media have fields"
                .to_owned(),
        };
        self.wrong(name.span, message, hint)
    }

    fn attribute(&mut self, name: &Spanned<String>, span: Span) -> Typed {
        let declared = match self.schema.attribute(&name.node, self.on) {
            Declared::Yes(ty) => {
                let attribute = AttributeName {
                    name: name.node.as_str().into(),
                    before: self.schema.old_names(&name.node).into(),
                };
                return Typed::new(Kind::Attribute(attribute), ty.clone(), span);
            }
            other => other,
        };
        let shown_name = shown(&name.node);
        let (message, hint) = match declared {
            Declared::NotFor(Some(event_type)) => (
                format!("`attributes.{shown_name}` is not declared for `{event_type}`"),
                "narrow the rule's `on`, or declare the attribute for this event type too"
                    .to_owned(),
            ),
            Declared::NotFor(None) => (
                format!("`attributes.{shown_name}` is not declared for every event type"),
                "say with `on` which events the rule is about".to_owned(),
            ),
            Declared::Renamed(new) => (
                format!("`attributes.{shown_name}` is called `attributes.{new}` now"),
                format!("write `attributes.{new}`: it is read from events under either name"),
            ),
            Declared::Differs(a, b) => (
                format!(
                    "`attributes.{shown_name}` is {a} for one of the rule's event types and {b} for another"
                ),
                "write one rule for each".to_owned(),
            ),
            _ => (
                format!("unknown attribute `{shown_name}`"),
                did_you_mean(&name.node, self.schema.attribute_names())
                    .unwrap_or_else(|| "declare it in the schema, with its type".to_owned()),
            ),
        };
        self.wrong(name.span, message, hint)
    }

    // ---- functions ----

    fn function(&mut self, name: &Spanned<String>, args: &[Arg], span: Span) -> Typed {
        match name.node.as_str() {
            "has" => self.has(args, span),
            "size" => match self.arguments::<1>(&name.node, args, span) {
                Some([list]) => {
                    let list = self.expr(list);
                    self.size(list, span)
                }
                None => Typed::wrong(span),
            },
            "duration" => self.parsed(
                name,
                args,
                span,
                "for example `duration(\"24h\")`, or write `24h`",
                |text| {
                    Some((
                        Literal::Duration(literal::parse_duration(text)?),
                        Type::Duration,
                    ))
                },
            ),
            "timestamp" => self.parsed(
                name,
                args,
                span,
                "for example `timestamp(\"2026-11-22T10:15:00Z\")`",
                |text| Some((Literal::Time(literal::parse_time(text)?), Type::Time)),
            ),
            "set" => {
                let hint = "ask whether it holds something: `account.id in set(\"…\")`";
                self.wrong(span, "a set is not a value by itself", hint)
            }
            "bank" => {
                let hint = "ask it about the event: `bank(\"…\").matches(content)`";
                self.wrong(span, "a bank is not a value by itself", hint)
            }
            "lexicon" => {
                let hint = "ask it about a text: `lexicon(\"…\").count(content.text)`";
                self.wrong(span, "a lexicon is not a value by itself", hint)
            }
            other if library::find(On::Nothing, other).is_some() => {
                match library::find(On::Nothing, other) {
                    Some(function) => self.call(function, None, args, span),
                    None => Typed::wrong(span),
                }
            }
            other
                if library::find(On::Text, other).is_some()
                    || library::find(On::List, other).is_some() =>
            {
                let hint = format!("write it after what it is about: `content.text.{other}(…)`");
                self.wrong(name.span, format!("`{other}` is called on a value"), hint)
            }
            other => {
                let hint = did_you_mean_or_list(other, &library::names(On::Nothing));
                self.wrong(
                    name.span,
                    format!("unknown function `{}`", shown(other)),
                    hint,
                )
            }
        }
    }

    /// The arguments, when there are as many as wanted and none has a name.
    pub(super) fn arguments<'a, const N: usize>(
        &mut self,
        name: &str,
        args: &'a [Arg],
        span: Span,
    ) -> Option<[&'a Expr; N]> {
        if let Some(named) = args.iter().find_map(|a| a.name.as_ref()) {
            let message = format!("`{name}` takes no named arguments");
            self.problems.error_hint(
                named.span,
                message,
                format!("leave `{}:` out", shown(&named.node)),
            );
            return None;
        }
        let values: Vec<&Expr> = args.iter().map(|a| &a.value).collect();
        let given = values.len();
        let Ok(values) = values.try_into() else {
            let plural = if N == 1 { "" } else { "s" };
            self.problems.error(
                span,
                format!("`{name}` takes {N} argument{plural}, {given} given"),
            );
            return None;
        };
        Some(values)
    }

    /// A function of one literal text, computed while checking.
    fn parsed(
        &mut self,
        name: &Spanned<String>,
        args: &[Arg],
        span: Span,
        example: &str,
        parse: impl Fn(&str) -> Option<(Literal, Type)>,
    ) -> Typed {
        let Some([arg]) = self.arguments(&name.node, args, span) else {
            return Typed::wrong(span);
        };
        let ExprKind::Text(text) = &arg.kind else {
            return self.wrong(
                arg.span,
                format!("`{}` takes a text in quotes", name.node),
                example,
            );
        };
        if let Some((literal, ty)) = parse(text) {
            return Typed::new(Kind::Literal(literal), ty, span);
        }
        let noun = if name.node == "duration" {
            "a duration"
        } else {
            "a time"
        };
        self.wrong(
            arg.span,
            format!("`{}` is not {noun}", shown(text)),
            example,
        )
    }

    fn has(&mut self, args: &[Arg], span: Span) -> Typed {
        let Some([arg]) = self.arguments("has", args, span) else {
            return Typed::wrong(span);
        };
        if let ExprKind::Name(root) = &arg.kind
            && let Some(entity) = schema::root_entity(root)
            && self.local(root).is_none()
        {
            return Typed::new(Kind::HasEntity(entity), Type::Bool, span);
        }
        let value = self.expr(arg);
        match value.kind {
            Kind::Wrong => Typed::wrong(span),
            Kind::Field(_) | Kind::Attribute(_) | Kind::Entry { .. } | Kind::MediumField { .. } => {
                Typed::new(Kind::Has(Box::new(value)), Type::Bool, span)
            }
            _ => self.wrong(
                arg.span,
                "`has` asks whether a field is there",
                "name a field: `has(account.created_at)`",
            ),
        }
    }

    fn size(&mut self, of: Typed, span: Span) -> Typed {
        match of.ty {
            Type::Never if of.is_wrong() => Typed::wrong(span),
            Type::Map(_) if !matches!(of.kind, Kind::Attribute(_)) => {
                self.map_of(of);
                Typed::wrong(span)
            }
            Type::String | Type::List(_) | Type::Set(_) | Type::Map(_) => {
                Typed::new(Kind::Size(Box::new(of)), Type::Int, span)
            }
            _ => self.wrong(
                of.span,
                format!(
                    "only texts, lists, sets and maps have a size, this is {}",
                    a(&of.ty)
                ),
                "ask for a field of it",
            ),
        }
    }

    fn method(
        &mut self,
        receiver: &Expr,
        name: &Spanned<String>,
        args: &[Arg],
        span: Span,
    ) -> Typed {
        if let ExprKind::Call {
            receiver: None,
            name: function,
            args: inner,
        } = &receiver.kind
        {
            match function.node.as_str() {
                "bank" => return self.bank((inner, receiver.span), name, args, span),
                "lexicon" => return self.lexicon((inner, receiver.span), name, args, span),
                _ => {}
            }
        }
        if let Some(typed) = self.looking_back(receiver, name, args, span) {
            return typed;
        }
        let is_entity = matches!(&receiver.kind, ExprKind::Name(root)
            if schema::root_entity(root).is_some() && self.local(root).is_none());
        if is_entity && library::find(On::Bank, &name.node).is_some() {
            return self.asked_of_a_bank(&name.node, span);
        }
        let receiver = self.expr(receiver);
        if receiver.is_wrong() {
            return Typed::wrong(span);
        }
        let on = On::of(&receiver.ty);
        let Some(function) = on.and_then(|on| library::find(on, &name.node)) else {
            if library::find(On::Bank, &name.node).is_some() {
                return self.asked_of_a_bank(&name.node, span);
            }
            return self.unknown_method(&receiver.ty, name);
        };
        if matches!(function.how, How::Run { .. }) {
            return self.call(function, Some(receiver), args, span);
        }
        match function.name {
            "size" => match self.arguments::<0>("size", args, span) {
                Some([]) => self.size(receiver, span),
                None => Typed::wrong(span),
            },
            "contains" => self.text_test(TextFunction::Contains, receiver, name, args, span),
            "startsWith" => self.text_test(TextFunction::StartsWith, receiver, name, args, span),
            "endsWith" => self.text_test(TextFunction::EndsWith, receiver, name, args, span),
            "lower" => self.text_form(TextFunction::Lower, receiver, name, args, span),
            "lowerAscii" => self.text_form(TextFunction::LowerAscii, receiver, name, args, span),
            "exists" => self.over_list(Over::Macro(Macro::Exists), receiver, args, span),
            "all" => self.over_list(Over::Macro(Macro::All), receiver, args, span),
            "count" => self.over_list(Over::Macro(Macro::Count), receiver, args, span),
            "filter" => self.over_list(Over::Filter, receiver, args, span),
            _ => self.unknown_method(&receiver.ty, name),
        }
    }

    fn asked_of_a_bank(&mut self, name: &str, span: Span) -> Typed {
        let hint = format!("write `bank(\"…\").{name}(…)`, with what is looked up as its argument");
        self.wrong(span, format!("`{name}` is asked of a bank"), hint)
    }

    fn unknown_method(&mut self, ty: &Type, name: &Spanned<String>) -> Typed {
        let word = shown(&name.node);
        let message = format!("{} has no function `{word}`", a(ty));
        let hint = match (ty, name.node.as_str()) {
            (Type::String, "exists" | "all" | "count" | "filter") => format!(
                "`{word}` is for lists; ask a text with `contains`, `containsPhrase` or `matches`, or its `words()`"
            ),
            (Type::Map(_), "contains" | "has") => "write `\"key\" in map`".to_owned(),
            (Type::List(_) | Type::Set(_), "contains") => {
                "write `x in list`, or `.exists(x, …)`".to_owned()
            }
            (Type::List(_) | Type::Set(_), text) if library::find(On::Text, text).is_some() => {
                format!("ask each element: `.exists(x, x.{text}(…))`")
            }
            _ if methods_of(ty).is_empty() => "compare it instead".to_owned(),
            _ => did_you_mean_or_list(&name.node, &methods_of(ty)),
        };
        self.wrong(name.span, message, hint)
    }

    fn text_test(
        &mut self,
        function: TextFunction,
        receiver: Typed,
        name: &Spanned<String>,
        args: &[Arg],
        span: Span,
    ) -> Typed {
        let Some([arg]) = self.arguments(&name.node, args, span) else {
            return Typed::wrong(span);
        };
        let arg = self.expr(arg);
        if !arg.ty.fits(&Type::String) {
            return self.wrong(
                arg.span,
                format!("`{}` takes a string, this is {}", name.node, a(&arg.ty)),
                "put it between quotes",
            );
        }
        if arg.literal_text() == Some("") {
            let hint = "write the text that is looked for, or ask `has(…)`";
            self.problems
                .warn(arg.span, "every text contains the empty text", hint);
        }
        self.check_reachable(&receiver, &arg);
        Typed::new(
            Kind::Text {
                function,
                receiver: Box::new(receiver),
                arg: Some(Box::new(arg)),
            },
            Type::Bool,
            span,
        )
    }

    /// Warns of a literal that the folded or lower-case form of a text can never hold.
    fn check_reachable(&mut self, receiver: &Typed, literal: &Typed) {
        let Some(text) = literal.literal_text() else {
            return;
        };
        let reachable = match &receiver.kind {
            Kind::Call {
                prepared: Prepared::Level(Level::Strict),
                ..
            } => normalise(text).strict().to_owned(),
            Kind::Call {
                prepared: Prepared::Level(_),
                ..
            } => normalise(text).folded().to_owned(),
            Kind::Text {
                function: TextFunction::Lower,
                ..
            } => text.to_lowercase(),
            Kind::Text {
                function: TextFunction::LowerAscii,
                ..
            } => text.to_ascii_lowercase(),
            _ => return,
        };
        if reachable != text {
            let message = format!("a text in this form never holds `{}`", shown(text));
            self.problems.warn(
                literal.span,
                message,
                format!("write `{}`", shown(&reachable)),
            );
        }
    }

    fn text_form(
        &mut self,
        function: TextFunction,
        receiver: Typed,
        name: &Spanned<String>,
        args: &[Arg],
        span: Span,
    ) -> Typed {
        match self.arguments::<0>(&name.node, args, span) {
            Some([]) => Typed::new(
                Kind::Text {
                    function,
                    receiver: Box::new(receiver),
                    arg: None,
                },
                Type::String,
                span,
            ),
            None => Typed::wrong(span),
        }
    }

    // ---- macros ----

    fn over_list(&mut self, over: Over, list: Typed, args: &[Arg], span: Span) -> Typed {
        let word = match over {
            Over::Macro(Macro::Exists) => "exists",
            Over::Macro(Macro::All) => "all",
            Over::Macro(Macro::Count) => "count",
            Over::Filter => "filter",
        };
        let example = format!("for example `content.media.{word}(m, m.undecodable)`");
        let [
            Arg {
                name: None,
                value: variable,
            },
            Arg {
                name: None,
                value: body,
            },
        ] = args
        else {
            return self.wrong(
                span,
                format!("`{word}` takes a name for the element and a condition"),
                example,
            );
        };
        let ExprKind::Name(name) = &variable.kind else {
            return self.wrong(
                variable.span,
                format!("`{word}` first takes a name for the element"),
                example,
            );
        };
        if ROOTS.contains(&name.as_str())
            || library::find(On::Nothing, name).is_some()
            || self.locals.iter().any(|l| l.name == *name)
        {
            return self.wrong(
                variable.span,
                format!("`{name}` already means something here"),
                "choose another name",
            );
        }
        if self.locals.len() >= SLOTS {
            let message =
                format!("`exists`, `all`, `count` and `filter` nest at most {SLOTS} deep");
            return self.wrong(span, message, "write a second rule");
        }
        let Some(of) = list.ty.element() else {
            return Typed::wrong(span);
        };
        let slot = self.locals.len();
        let is_link = list.holds(&[Field::ContentLinks]);
        let is_kept = list.holds(&[Field::ContentLinks, Field::ContentFoundLinks]);
        self.finds_media |= *of == Type::Entity(EntityType::Media);
        self.locals.push(Local {
            name: name.clone(),
            ty: of.clone(),
            is_link,
            is_kept,
            used: false,
        });
        let errors_before = self.problems.errors();
        let body = self.expr(body);
        let body = self.want_bool(body, &format!("what `{word}` asks of each element"));
        if self.locals.pop().is_some_and(|l| !l.used) && self.problems.errors() == errors_before {
            let message = format!("`{name}` is never used, so every element is asked the same");
            self.problems.warn(
                variable.span,
                message,
                format!("ask about it: `{name}…`, or write the condition without `{word}`"),
            );
        }
        let (name, list, body) = (name.as_str().into(), Box::new(list), Box::new(body));
        let (kind, ty) = match over {
            Over::Filter => {
                let ty = list.ty.clone();
                (
                    Kind::Filter {
                        list,
                        slot,
                        name,
                        body,
                    },
                    ty,
                )
            }
            Over::Macro(which) => {
                let ty = match which {
                    Macro::Count => Type::Int,
                    Macro::Exists | Macro::All => Type::Bool,
                };
                (
                    Kind::Macro {
                        which,
                        list,
                        slot,
                        name,
                        body,
                    },
                    ty,
                )
            }
        };
        Typed::new(kind, ty, span)
    }
}

/// What is done with the elements of a list.
#[derive(Debug, Clone, Copy)]
enum Over {
    Macro(Macro),
    Filter,
}

fn methods_of(ty: &Type) -> Vec<&'static str> {
    On::of(ty).map_or_else(Vec::new, library::names)
}

/// "a string", "an int".
pub(super) fn a(ty: &Type) -> String {
    if *ty == Type::list(Type::Never) {
        return "an empty list".to_owned();
    }
    let name = ty.to_string();
    let article = if name.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {name}")
}

/// A field of any root whose own name is this, for authors who leave the root out.
fn nearest_field(name: &str) -> Option<String> {
    ["account", "content", "space", "event"]
        .into_iter()
        .find(|root| schema::field(root, name).is_some())
        .map(|root| format!("{root}.{name}"))
}

fn comparison_type(op: Binary, a: &Type, b: &Type) -> Option<Type> {
    let ordered = matches!(op, Binary::Equal | Binary::NotEqual)
        || !matches!((a, b), (Type::Bool, _) | (_, Type::Bool));
    let same = a.fits(b) || (a.is_number() && b.is_number());
    (same && ordered && a.is_plain() && b.is_plain()).then_some(Type::Bool)
}

fn arithmetic_type(op: Binary, a: &Type, b: &Type) -> Option<Type> {
    use Binary::{Add, Remainder, Subtract};
    match (a, b) {
        (Type::Never, t) | (t, Type::Never) => Some(t.clone()),
        (Type::Int, Type::Int) => Some(Type::Int),
        (Type::Float, Type::Float) if op != Remainder => Some(Type::Float),
        (Type::Duration, Type::Duration) if matches!(op, Add | Subtract) => Some(Type::Duration),
        (Type::Time, Type::Duration) if matches!(op, Add | Subtract) => Some(Type::Time),
        (Type::Duration, Type::Time) if op == Add => Some(Type::Time),
        (Type::Time, Type::Time) if op == Subtract => Some(Type::Duration),
        (Type::String, Type::String) if op == Add => Some(Type::String),
        _ => None,
    }
}

/// What to do about two types that do not go together.
fn mixed_hint(a: &Type, b: &Type) -> String {
    let either = |x: &Type| a == x || b == x;
    let hint = if either(&Type::Duration) && (either(&Type::Int) || either(&Type::Float)) {
        "write a duration with its unit: `90s`, `24h`, `7d`"
    } else if either(&Type::Duration) && either(&Type::String) {
        "write a duration without quotes: `24h`"
    } else if either(&Type::Time) && either(&Type::String) {
        "write a time as `timestamp(\"2026-11-22T10:15:00Z\")`"
    } else if either(&Type::Time) && either(&Type::Duration) {
        "subtract two times to get a duration: `event.time - account.created_at < 24h`"
    } else if either(&Type::Float) && either(&Type::Int) {
        "write the whole number with a point: `2.0`"
    } else if either(&Type::String) {
        "put the other side between quotes, or compare a field of its type"
    } else if a.element().is_some() || b.element().is_some() {
        "ask about the elements: `x in list`, `.exists(x, …)` or `.size()`"
    } else if matches!(a, Type::Entity(_)) || matches!(b, Type::Entity(_)) {
        "compare one of its fields"
    } else {
        "make both sides of one type"
    };
    hint.to_owned()
}

/// The largest duration an effect may last: ten years, more than any platform keeps a suspension.
pub(crate) const LASTING_MAX: SignedDuration = SignedDuration::from_hours(10 * 365 * 24);

/// The forms of an image that have one name.
pub(crate) fn forms() -> Vec<&'static str> {
    let others = ["exif_orientation", "without_bars", "frame_1"];
    Dihedral::NAMES.into_iter().chain(others).collect()
}

fn is_form(word: &str) -> bool {
    let number = word.strip_prefix("frame_").unwrap_or_default();
    forms().contains(&word) || number.parse::<u32>().is_ok()
}
