//! Hover: what the thing under the pointer is, in a few lines of Markdown.

use super::complete::head;
use super::declared::named_at;
use super::known::{Declared, Known};
use super::place::{Place, Situation, TextOf, event_types_of, situate};
use super::read::{Cursor, Inside, ItemKind, Read};
use super::types::{Receiver, Scope};
use super::words::{WordDoc, WordPlace, word_of};
use super::{Around, Hover};
use crate::diagnostic::{Problems, Source, Span};
use crate::lexer::Token;
use crate::library::{self, On};
use crate::literal::{parse_duration, show_duration};
use crate::parser::parse;
use crate::ruleset::{Counter, CounterFunction, Rule, compile};
use crate::schema::fields;
use crate::types::Type;
use manara_model::EntityType;

/// What stands at an offset, if it is something that can be explained.
///
/// ```
/// use manara_rules::assist::{Around, hover};
/// let schema = manara_rules::Schema::builtin();
/// let around = Around { schema: &schema, banks: &[], sets: &[], other_sources: &[] };
/// let found = hover("rule r { when account.age < 24h }", 24, &around).unwrap();
/// assert_eq!(found.range, 22..25);
/// assert!(found.markdown.contains("`account.age`: `duration`"));
/// ```
pub fn hover(text: &str, offset: usize, around: &Around<'_>) -> Option<Hover> {
    let read = Read::of(text)?;
    let mut cursor = read.cursor(offset);
    if cursor.inside == Inside::Comment {
        return None;
    }
    let at = match cursor.inside {
        Inside::Text { token, .. } => token,
        Inside::Number => cursor.before,
        // On the first character of a text or number the cursor stands before it.
        _ => match read.token(cursor.before) {
            Token::Word | Token::Duration | Token::Text
                if read.span(cursor.before).start <= cursor.at =>
            {
                cursor.before
            }
            _ => return None,
        },
    };
    if read.token(at) == Token::Word {
        (cursor.before, cursor.word) = (at, read.span(at));
    }
    let known = Known::of(&read, around, None);
    let situation = situate(&read, &cursor);
    let item = situation.item.as_ref();
    let scope = Scope {
        read: &read,
        known: &known,
        schema: around.schema,
        on: item.map_or_else(Vec::new, |item| event_types_of(&read, item)),
    };
    let pointed = Pointed {
        scope: &scope,
        around,
        situation: &situation,
        cursor: &cursor,
        at,
    };
    let (span, markdown) = match read.token(at) {
        Token::Text => (read.span(at), pointed.text()?),
        Token::Duration => (read.span(at), duration(read.text_of(at))?),
        Token::Word => pointed.word()?,
        _ => return None,
    };
    Some(Hover {
        range: span.start..span.end,
        markdown,
    })
}

/// What the pointer is on.
struct Pointed<'a, 't> {
    scope: &'a Scope<'a, 't>,
    around: &'a Around<'a>,
    situation: &'a Situation,
    cursor: &'a Cursor,
    at: usize,
}

impl<'t> Pointed<'_, 't> {
    fn read(&self) -> &Read<'t> {
        self.scope.read
    }

    fn word(&self) -> Option<(Span, String)> {
        let read = self.read();
        let (word, span) = (read.word(self.at), read.span(self.at));
        let declared = |kind| self.declared(kind);
        match &self.situation.place {
            Place::EventTypes => return self.event_type(),
            Place::Rules => return declared(ItemKind::Rule),
            Place::Counters => return declared(ItemKind::Counter),
            Place::Member { dot } => return Some((span, self.member(*dot, word)?)),
            _ => {}
        }
        match read.previous_word(self.at) {
            "rule" => return declared(ItemKind::Rule),
            "lexicon" => return declared(ItemKind::Lexicon),
            "counter" => return declared(ItemKind::Counter),
            _ => {}
        }
        if let Some(doc) = self.keyword(word) {
            return Some((span, described(doc)));
        }
        let locals = self.scope.locals(self.at, self.situation.floor);
        if let Some(local) = locals.iter().rev().find(|local| local.name == word) {
            let ty = local
                .ty
                .as_ref()
                .map_or_else(String::new, |ty| format!(": `{ty}`"));
            let of = head(&local.of);
            return Some((span, format!("`{word}`{ty}\n\nAn element of `{of}`.")));
        }
        if let Some(found) = declared(ItemKind::Counter) {
            return Some(found);
        }
        if let Some(doc) = function(On::Nothing, word) {
            return Some((span, doc));
        }
        let root = word_of(WordPlace::Root, word).map(described);
        Some((span, root.or_else(|| field(word, word))?))
    }

    /// A word of the language, as far as it may stand here.
    fn keyword(&self, word: &str) -> Option<&'static WordDoc> {
        let read = self.read();
        let named = read.token(self.at + 1) == Token::Colon;
        let item = self.situation.item.as_ref();
        let clause = item.map(|item| match item.kind {
            ItemKind::Rule => WordPlace::Rule,
            ItemKind::Counter => WordPlace::Counter,
            ItemKind::Test => WordPlace::Test,
            ItemKind::Lexicon => WordPlace::Level,
        });
        let clause = clause.and_then(|place| word_of(place, word));
        let starts_clause = self.situation.floor == self.at
            || matches!(
                self.situation.place,
                Place::Clauses(_) | Place::Operator(Some(_))
            );
        match &self.situation.place {
            Place::Words(place) => word_of(*place, word),
            Place::Effects { .. } => {
                word_of(WordPlace::Effect, word).or_else(|| word_of(WordPlace::Expect, word))
            }
            Place::EffectArgument { .. } if named => word_of(WordPlace::Argument, word),
            Place::Value if named => None,
            _ if starts_clause && clause.is_some() => clause,
            Place::Value | Place::Operator(_) => word_of(WordPlace::Operator, word),
            _ => None,
        }
    }

    fn event_type(&self) -> Option<(Span, String)> {
        let read = self.read();
        let name = read.name(self.situation.before)?;
        let (span, name) = (name.span, name.node);
        Some((span, self.described_event_type(&name)?))
    }

    fn described_event_type(&self, name: &str) -> Option<String> {
        if let Some(word) = word_of(WordPlace::EventType, name) {
            return Some(format!("`{name}`\n\nEvent type: {}.", word.doc));
        }
        let (_, description) = self
            .around
            .schema
            .events()
            .find(|(known, _)| *known == name)?;
        let doc = match description {
            "" => "Event type declared in the schema.".to_owned(),
            description => format!("Event type: {}.", description.trim_end_matches('.')),
        };
        Some(format!("`{name}`\n\n{doc}"))
    }

    /// What stands behind a dot.
    fn member(&self, dot: usize, name: &str) -> Option<String> {
        let scope = self.scope;
        match scope.receiver(dot, self.situation.floor) {
            Receiver::Root(root) if root == "attributes" => self.attribute(name),
            Receiver::Root(root) => field(&format!("{root}.{name}"), &format!("{root}.{name}"))
                .or_else(|| function(On::Entity, name)),
            Receiver::Named(on) => function(on, name),
            Receiver::Value(Type::Entity(EntityType::Media)) => {
                let local = self.read().previous_word(dot);
                field(&format!("m.{name}"), &format!("{local}.{name}"))
            }
            Receiver::Value(ty) => function(On::of(&ty)?, name),
            Receiver::Unknown => None,
        }
    }

    fn attribute(&self, name: &str) -> Option<String> {
        let mut lines = Vec::new();
        for attribute in self.around.schema.attributes().filter(|a| a.name == name) {
            let on = attribute
                .on
                .map_or_else(String::new, |on| format!(" on `{on}`"));
            lines.push(format!("`attributes.{name}`: `{}`{on}", attribute.ty));
            if !attribute.description.is_empty() {
                lines.push(attribute.description);
            }
        }
        (!lines.is_empty()).then(|| lines.join("\n\n"))
    }

    fn text(&self) -> Option<String> {
        let value = self.read().value_of(self.at)?;
        let Place::Text(of) = self.situation.place else {
            return None;
        };
        let named = |what: &str, listed: &[String]| {
            let listed = match listed {
                [] => "",
                _ if listed.contains(&value) => " It exists.",
                _ => " There is none of this name.",
            };
            Some(format!("`{value}`\n\n{what}{listed}"))
        };
        match of {
            TextOf::Bank => named(
                "A bank: known images, files, phrases and addresses.",
                self.around.banks,
            ),
            TextOf::Set => named("A set that operators keep.", self.around.sets),
            TextOf::Lexicon => Some(self.declared(ItemKind::Lexicon)?.1),
            TextOf::EventType => self.described_event_type(&value),
            TextOf::Level => word_of(WordPlace::Level, &value).map(described),
            _ => None,
        }
    }

    /// A rule, counter or lexicon that is named here.
    fn declared(&self, kind: ItemKind) -> Option<(Span, String)> {
        let (_, name, span) = named_at(self.read(), self.cursor)?;
        let declared = self.scope.known.find(kind, &name)?;
        let place = declared.place(self.around);
        let doc = match kind {
            ItemKind::Rule => self.rule(declared, &place),
            ItemKind::Counter => self.counter(declared, &place),
            _ => lexicon(declared, &place),
        };
        Some((span, doc))
    }

    fn rule(&self, declared: &Declared, place: &str) -> String {
        let name = &declared.name;
        if let Some(rule) = self.compiled(declared) {
            return format!(
                "rule `{name}`{place}\n\n- mode: `{}`\n- policy: `{}`\n- reason: {}\n- cost: up to {} for one event",
                rule.mode, rule.policy, rule.reason, rule.cost
            );
        }
        let source = source(declared.text.clone());
        let file = parse(&source, &mut Problems::of(&source));
        let mut lines = vec![format!("rule `{name}`{place}"), String::new()];
        if let Some(rule) = file.rules.first() {
            let mode = rule.mode.as_ref().map_or("live", |mode| &mode.word.node);
            lines.push(format!("- mode: `{mode}`"));
            let policy = rule.policy.as_ref();
            lines.extend(policy.map(|policy| format!("- policy: `{}`", policy.node)));
            let reason = rule.reasons.first();
            lines.extend(reason.map(|(_, reason)| format!("- reason: {}", reason.node)));
        }
        lines.push("- not in order yet".to_owned());
        lines.join("\n")
    }

    /// A rule that is in order, by itself with the counters and lexicons of all files.
    fn compiled(&self, declared: &Declared) -> Option<Rule> {
        let texts = self.declarations();
        let text = format!("{}\n{texts}", declared.text);
        let rules = compile(&[source(text)], self.around.schema).ok()?;
        rules.rules().first().cloned()
    }

    /// The counters and lexicons of all files that are in order by themselves.
    fn declarations(&self) -> String {
        let known = self.scope.known;
        let lexicons = known.of_kind(ItemKind::Lexicon);
        let counters = known.of_kind(ItemKind::Counter);
        let texts: Vec<&str> = lexicons.chain(counters).map(|d| d.text.as_str()).collect();
        texts.join("\n")
    }

    fn counter(&self, declared: &Declared, place: &str) -> String {
        let shown = format!("```rules\n{}\n```", head(declared.text.trim_end()));
        let rules = compile(&[source(declared.text.clone())], self.around.schema).ok();
        let counter = rules.as_ref().and_then(|rules| rules.counters().first());
        match counter {
            Some(counter) => format!("{shown}\n\n{}{place}", reads(counter)),
            None => format!("{shown}\n\nA counter that is not in order yet{place}"),
        }
    }
}

/// What a counter reads, and how exactly.
fn reads(counter: &Counter) -> String {
    let (window, ty) = (counter.window, &counter.ty);
    let span = show_duration(window.span());
    let what = match counter.function {
        CounterFunction::Count => "events",
        CounterFunction::Distinct => "different values",
        CounterFunction::Sum => "the sum",
        CounterFunction::Last => {
            return format!("`{ty}`: the value of the event before, if it is no older than {span}");
        }
    };
    let (bucket, late) = (
        show_duration(window.bucket()),
        show_duration(window.lateness()),
    );
    format!(
        "`{ty}`: {what} over {span}, in buckets of {bucket}: up to {bucket} more than was asked for is counted. Events may come {late} late"
    )
}

fn lexicon(declared: &Declared, place: &str) -> String {
    let source = source(declared.text.clone());
    let file = parse(&source, &mut Problems::of(&source));
    let Some(lexicon) = file.lexicons.first() else {
        return format!("lexicon `{}`{place}", declared.name);
    };
    let level = lexicon.level.as_ref().map_or("folded", |level| &level.node);
    let some: Vec<String> = lexicon
        .phrases
        .iter()
        .take(5)
        .map(|phrase| format!("“{}”", phrase.node.chars().take(60).collect::<String>()))
        .collect();
    let more = if lexicon.phrases.len() > some.len() {
        ", …"
    } else {
        ""
    };
    format!(
        "lexicon `{}`{place}\n\nLevel `{level}`, {} phrases: {}{more}",
        declared.name,
        lexicon.phrases.len(),
        some.join(", ")
    )
}

fn described(word: &WordDoc) -> String {
    let mut doc = word.doc.to_owned();
    if let Some(first) = doc.get(..1).map(str::to_uppercase) {
        doc.replace_range(..1, &first);
    }
    format!("`{}`\n\n{doc}.", word.form)
}

fn field(path: &str, shown: &str) -> Option<String> {
    let field = fields().find(|field| field.path == path)?;
    Some(format!("`{shown}`: `{}`\n\n{}", field.ty, field.doc))
}

fn function(on: On, name: &str) -> Option<String> {
    let function = library::find(on, name)?;
    Some(format!(
        "`{} → {}`\n\n{}\n\n```rules\n{}\n```",
        library::signature(function),
        function.result,
        function.doc,
        function.example
    ))
}

fn duration(text: &str) -> Option<String> {
    let duration = parse_duration(text)?;
    let seconds = duration.as_secs_f64();
    Some(format!(
        "`{}`\n\nA duration: {seconds} seconds.",
        show_duration(duration)
    ))
}

fn source(text: String) -> Source {
    Source {
        name: String::new(),
        text,
    }
}
