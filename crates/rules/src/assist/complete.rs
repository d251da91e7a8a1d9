//! Completion: candidates for the place, those that fit what is typed, best first.

use super::known::Known;
use super::place::{Place, Situation, TextOf, event_types_of, situate};
use super::read::{ItemKind, Read};
use super::types::{Local, Receiver, Scope};
use super::words::{WordDoc, WordPlace, words_of};
use super::{Around, COMPLETIONS_MAX, Completion, CompletionKind};
use crate::check::allowed_targets;
use crate::diagnostic::Span;
use crate::library::{self, Function, Need, On};
use crate::schema::fields;
use crate::types::Type;
use manara_model::{EntityType, MediumKind};

/// Languages offered after `reason`; any tag of BCP 47 may be written.
const LANGUAGES: &[&str] = &[
    "ar", "de", "en", "es", "fa", "fr", "hi", "id", "it", "nl", "pt", "ru", "so", "sw", "tr", "uk",
    "ur",
];
const DURATIONS: &[(&str, &str)] = &[
    ("24h", "a day"),
    ("1h", "an hour"),
    ("7d", "a week"),
    ("30d", "thirty days"),
    ("10m", "ten minutes"),
    ("90d", "ninety days"),
];

/// What may be written at an offset, best first, at most [`COMPLETIONS_MAX`].
///
/// What begins as the word at the cursor comes before what holds its letters in their order. An
/// offset inside a character is rounded down, one beyond the text is its end. A text larger than a
/// rule file may be has no completions.
///
/// ```
/// use manara_rules::assist::{Around, complete};
/// let schema = manara_rules::Schema::builtin();
/// let around = Around { schema: &schema, banks: &[], sets: &[], other_sources: &[] };
/// let text = "rule r { when account.cr";
/// let found = complete(text, text.len(), &around);
/// assert_eq!((found[0].label.as_str(), found[0].detail.as_str()), ("created_at", "time"));
/// ```
pub fn complete(text: &str, offset: usize, around: &Around<'_>) -> Vec<Completion> {
    let Some(read) = Read::of(text) else {
        return Vec::new();
    };
    let cursor = read.cursor(offset);
    let situation = situate(&read, &cursor);
    if situation.place == Place::Nothing {
        return Vec::new();
    }
    let known = Known::of(&read, around, Some(situation.before));
    let on = situation.item.as_ref();
    let scope = Scope {
        read: &read,
        known: &known,
        schema: around.schema,
        on: on.map_or_else(Vec::new, |item| event_types_of(&read, item)),
    };
    let candidates = candidates(&situation, &scope);
    let typed_start = situation.replace.start.min(cursor.at);
    let typed = text.get(typed_start..cursor.at).unwrap_or_default();
    ranked(candidates, typed, situation.replace)
}

/// A completion before it is known what it replaces. The sooner of two stands first.
struct Candidate {
    label: String,
    kind: CompletionKind,
    detail: String,
    doc: String,
    insert: String,
}

impl Candidate {
    fn new(label: impl Into<String>, kind: CompletionKind) -> Self {
        let label = label.into();
        Self {
            insert: label.clone(),
            label,
            kind,
            detail: String::new(),
            doc: String::new(),
        }
    }

    fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    fn doc(mut self, doc: impl Into<String>) -> Self {
        self.doc = doc.into();
        self
    }

    fn insert(mut self, insert: impl Into<String>) -> Self {
        self.insert = insert.into();
        self
    }
}

/// Those that fit what is typed, best first.
fn ranked(candidates: Vec<Candidate>, typed: &str, replace: Span) -> Vec<Completion> {
    let typed = typed.to_lowercase();
    let mut fitting: Vec<(u8, Candidate)> = candidates
        .into_iter()
        .filter_map(|candidate| Some((fit(&candidate.label, &typed)?, candidate)))
        .collect();
    fitting.sort_by_key(|(fit, _)| *fit);
    fitting.truncate(COMPLETIONS_MAX);
    fitting
        .into_iter()
        .map(|(_, candidate)| Completion {
            label: candidate.label,
            kind: candidate.kind,
            detail: candidate.detail,
            doc: candidate.doc,
            insert: candidate.insert,
            replace: replace.start..replace.end.max(replace.start),
        })
        .collect()
}

/// How well a label fits what is typed: 0 when it begins so, 1 when its last part does, 2 when it
/// holds the letters in their order.
fn fit(label: &str, typed: &str) -> Option<u8> {
    let label = label.to_lowercase();
    if label.starts_with(typed) {
        return Some(0);
    }
    if label
        .rsplit('.')
        .next()
        .is_some_and(|last| last.starts_with(typed))
    {
        return Some(1);
    }
    let mut letters = label.chars();
    typed
        .chars()
        .all(|wanted| letters.any(|letter| letter == wanted))
        .then_some(2)
}

fn candidates(situation: &Situation, scope: &Scope<'_, '_>) -> Vec<Candidate> {
    match &situation.place {
        Place::Nothing => Vec::new(),
        Place::Words(place) => words_of(*place).map(from_word).collect(),
        Place::Clauses(place) => clauses(*place, situation).collect(),
        Place::Plain(words) => words
            .iter()
            .map(|word| Candidate::new(*word, CompletionKind::Keyword))
            .collect(),
        Place::EventTypes => event_types(scope).collect(),
        Place::Languages => LANGUAGES
            .iter()
            .map(|tag| {
                Candidate::new(*tag, CompletionKind::Value)
                    .detail("language of the reason")
                    .insert(format!("{tag} \"${{1:reason}}\""))
            })
            .collect(),
        Place::Policies => plain(&scope.known.policies, CompletionKind::Policy).collect(),
        Place::Rules => declared(scope, ItemKind::Rule, CompletionKind::Rule).collect(),
        Place::Counters => counters(scope).collect(),
        Place::Durations => durations().collect(),
        Place::Value => values(situation, scope),
        Place::Operator(next) => operators(*next, situation),
        Place::Member { dot } => members(*dot, situation.floor, scope),
        Place::Effects { expected } => effects(*expected).collect(),
        Place::EffectArgument { effect, first } => effect_arguments(effect, *first),
        Place::ArgumentValue { name } => argument_values(name),
        Place::Text(of) => texts(*of, scope),
    }
}

fn from_word(word: &WordDoc) -> Candidate {
    let kind = match word.place {
        WordPlace::Item | WordPlace::Test => CompletionKind::Snippet,
        WordPlace::Effect => CompletionKind::Effect,
        WordPlace::Argument => CompletionKind::Argument,
        WordPlace::EventType => CompletionKind::EventType,
        WordPlace::Mode | WordPlace::Level => CompletionKind::Value,
        WordPlace::CounterFunction => CompletionKind::Function,
        WordPlace::Root => CompletionKind::Field,
        _ => CompletionKind::Keyword,
    };
    Candidate::new(word.name, kind)
        .detail(word.form)
        .doc(word.doc)
        .insert(word.insert)
}

/// The clauses a block does not have yet; tests may have several of most parts.
fn clauses(place: WordPlace, situation: &Situation) -> impl Iterator<Item = Candidate> {
    let given = move |word: &&WordDoc| {
        let once = match place {
            WordPlace::Rule => word.name != "reason",
            WordPlace::Test => matches!(word.name, "at" | "event"),
            _ => true,
        };
        !(once && situation.given.iter().any(|given| given == word.name))
    };
    let items = words_of(WordPlace::Item).filter(move |_| place == WordPlace::Counter);
    words_of(place).filter(given).chain(items).map(from_word)
}

fn event_types(scope: &Scope<'_, '_>) -> impl Iterator<Item = Candidate> {
    let builtin = words_of(WordPlace::EventType)
        .filter(|word| scope.schema.knows_event_type(word.name))
        .map(from_word);
    let own = scope
        .schema
        .events()
        .filter(|(name, _)| words_of(WordPlace::EventType).all(|word| word.name != *name));
    builtin.chain(own.map(|(name, description)| {
        Candidate::new(name, CompletionKind::EventType)
            .detail("declared in the schema")
            .doc(description)
    }))
}

fn plain<'n>(
    names: impl IntoIterator<Item = &'n String>,
    kind: CompletionKind,
) -> impl Iterator<Item = Candidate> {
    names
        .into_iter()
        .map(move |name| Candidate::new(name, kind))
}

fn declared(
    scope: &Scope<'_, '_>,
    item: ItemKind,
    kind: CompletionKind,
) -> impl Iterator<Item = Candidate> {
    let all = scope.known.of_kind(item);
    all.map(move |declared| {
        Candidate::new(&declared.name, kind).doc(format!("```rules\n{}\n```", head(&declared.text)))
    })
}

/// The first lines of an item.
pub(super) fn head(text: &str) -> String {
    let mut lines = text.lines();
    let mut shown: Vec<&str> = lines.by_ref().take(12).collect();
    if lines.next().is_some() {
        shown.push("…");
    }
    shown.join("\n").chars().take(1_000).collect()
}

fn counters(scope: &Scope<'_, '_>) -> impl Iterator<Item = Candidate> {
    let all = scope.known.of_kind(ItemKind::Counter);
    let candidates = declared(scope, ItemKind::Counter, CompletionKind::Counter);
    candidates.zip(all).map(|(candidate, declared)| {
        let ty = scope.counter_type(declared);
        candidate.detail(ty.map_or_else(String::new, |ty| ty.to_string()))
    })
}

fn durations() -> impl Iterator<Item = Candidate> {
    DURATIONS.iter().map(|(text, doc)| {
        Candidate::new(*text, CompletionKind::Value)
            .detail("duration")
            .doc(*doc)
    })
}

fn values(situation: &Situation, scope: &Scope<'_, '_>) -> Vec<Candidate> {
    let locals = scope.locals(situation.before, situation.floor);
    let mut found: Vec<Candidate> = Vec::new();
    if compared_with_duration(situation, scope, &locals) {
        found.extend(durations());
    }
    found.extend(locals.iter().map(|local| {
        Candidate::new(&local.name, CompletionKind::Variable)
            .detail(local.ty.as_ref().map_or_else(String::new, Type::to_string))
            .doc(format!("an element of `{}`", head(&local.of)))
    }));
    found.extend(words_of(WordPlace::Root).map(from_word));
    let in_counter = situation.item.as_ref().map(|item| item.kind) == Some(ItemKind::Counter);
    if !in_counter {
        found.extend(counters(scope));
    }
    found.extend(methods(On::Nothing));
    found.extend(named_arguments(situation, scope));
    let words =
        words_of(WordPlace::Operator).filter(|word| matches!(word.name, "not" | "true" | "false"));
    found.extend(words.map(from_word));
    // Whole paths last, so that `age` finds `account.age`.
    let paths = fields().filter(|field| !field.path.starts_with("m."));
    found.extend(paths.map(|field| {
        Candidate::new(field.path, CompletionKind::Field)
            .detail(field.ty.to_string())
            .doc(field.doc)
    }));
    found
}

/// Whether what stands before a comparison is a length of time.
fn compared_with_duration(situation: &Situation, scope: &Scope<'_, '_>, locals: &[Local]) -> bool {
    use crate::lexer::Token::{Equal, Greater, GreaterEqual, Less, LessEqual, NotEqual};
    let Some(operator) = situation.before.checked_sub(1) else {
        return false;
    };
    let compares = matches!(
        scope.read.token(operator),
        Equal | NotEqual | Less | LessEqual | Greater | GreaterEqual
    );
    let start = scope.expression_start(operator, situation.floor);
    let Some(start) = start.filter(|_| compares) else {
        return false;
    };
    let last = operator.saturating_sub(1).max(start);
    let text = scope
        .read
        .span(start)
        .to(scope.read.span(last))
        .of(scope.read.text);
    scope.type_of(text, locals) == Some(Type::Duration)
}

/// The arguments that are given by name, of the function around the cursor.
fn named_arguments(situation: &Situation, scope: &Scope<'_, '_>) -> Vec<Candidate> {
    use crate::lexer::Token::{Comma, OpenParen};
    let read = scope.read;
    if !matches!(read.previous(situation.before), Comma | OpenParen) {
        return Vec::new();
    }
    let open = scope.open_before(situation.before, situation.floor);
    let Some(called) = open.last().map(|open| read.previous_word(*open)) else {
        return Vec::new();
    };
    let mut found: Vec<Candidate> = Vec::new();
    let functions = library::table().iter().filter(|f| f.name == called);
    for param in functions.flat_map(|function| function.params) {
        if param.need == Need::Must || found.iter().any(|f| f.label == param.name) {
            continue;
        }
        found.push(
            Candidate::new(param.name, CompletionKind::Argument)
                .detail(format!("of `{called}`"))
                .insert(format!("{}: ", param.name)),
        );
    }
    found
}

fn operators(next: Option<WordPlace>, situation: &Situation) -> Vec<Candidate> {
    let words = words_of(WordPlace::Operator)
        .filter(|word| matches!(word.name, "and" | "or" | "in"))
        .map(from_word);
    let mut found: Vec<Candidate> = words.collect();
    if let Some(place) = next {
        found.extend(clauses(place, situation));
    }
    found
}

fn members(dot: usize, floor: usize, scope: &Scope<'_, '_>) -> Vec<Candidate> {
    match scope.receiver(dot, floor) {
        Receiver::Root(root) => of_root(&root, scope),
        Receiver::Named(on) => methods(on).collect(),
        Receiver::Value(Type::Entity(EntityType::Media)) => of_path("m").collect(),
        Receiver::Value(ty) => On::of(&ty).map_or_else(Vec::new, |on| methods(on).collect()),
        Receiver::Unknown => of_anything(),
    }
}

/// What could stand behind something that cannot be read.
fn of_anything() -> Vec<Candidate> {
    let receivers = [On::Text, On::List, On::Time, On::Duration];
    let mut found: Vec<Candidate> = Vec::new();
    for candidate in receivers.into_iter().flat_map(methods).chain(of_path("m")) {
        if found.iter().all(|other| other.label != candidate.label) {
            found.push(candidate);
        }
    }
    found
}

fn of_root(root: &str, scope: &Scope<'_, '_>) -> Vec<Candidate> {
    if root == "attributes" {
        return attributes(scope).collect();
    }
    let methods = methods(On::Entity).filter(|method| match root {
        "account" => true,
        "content" | "space" => method.label == "hasLabel",
        _ => false,
    });
    of_path(root).chain(methods).collect()
}

fn of_path(root: &str) -> impl Iterator<Item = Candidate> {
    fields().filter_map(move |field| {
        let name = field.path.strip_prefix(root)?.strip_prefix('.')?;
        Some(
            Candidate::new(name, CompletionKind::Field)
                .detail(field.ty.to_string())
                .doc(field.doc),
        )
    })
}

/// The attributes declared for the events the rule is about, one entry for each name.
fn attributes(scope: &Scope<'_, '_>) -> impl Iterator<Item = Candidate> {
    use crate::schema::Declared;
    let mut seen: Option<String> = None;
    scope.schema.attributes().filter_map(move |attribute| {
        if seen.as_ref() == Some(&attribute.name) {
            return None;
        }
        seen = Some(attribute.name.clone());
        let Declared::Yes(ty) = scope.schema.attribute(&attribute.name, &scope.on) else {
            return None;
        };
        Some(
            Candidate::new(&attribute.name, CompletionKind::Field)
                .detail(ty.to_string())
                .doc(attribute.description),
        )
    })
}

fn methods(on: On) -> impl Iterator<Item = Candidate> {
    let all = library::table().iter().filter(move |f| f.on == on);
    all.map(|function| {
        Candidate::new(function.name, CompletionKind::Function)
            .detail(format!(
                "{} → {}",
                library::signature(function),
                function.result
            ))
            .doc(format!(
                "{}\n\n```rules\n{}\n```",
                function.doc, function.example
            ))
            .insert(call(function))
    })
}

/// A call with places for what must be given.
fn call(function: &Function) -> String {
    let must = function.params.iter().filter(|p| p.need == Need::Must);
    let places: Vec<String> = must
        .enumerate()
        .map(|(at, param)| {
            let place = at + 1;
            if library::is_text(param) {
                format!("\"${{{place}:{}}}\"", param.name)
            } else {
                format!("${{{place}:{}}}", param.name)
            }
        })
        .collect();
    format!("{}({})", function.name, places.join(", "))
}

fn effects(expected: bool) -> impl Iterator<Item = Candidate> {
    let outcomes = words_of(WordPlace::Expect).filter(move |_| expected);
    outcomes.chain(words_of(WordPlace::Effect)).map(from_word)
}

fn effect_arguments(effect: &str, first: bool) -> Vec<Candidate> {
    let Ok(kind) = effect.parse() else {
        return Vec::new();
    };
    let targets = if first { allowed_targets(kind) } else { &[] };
    let targets = targets.iter().map(|target| {
        let doc = words_of(WordPlace::Root).find(|word| word.name == *target);
        Candidate::new(*target, CompletionKind::Field)
            .detail("target")
            .doc(doc.map_or("the media that the condition found", |word| word.doc))
    });
    let named: &[&str] = match effect {
        "restrict" | "suspend" | "label" | "demonetise" => &["for", "until"],
        "refer" | "notify" => &["message"],
        "enqueue" => &["priority"],
        "strike" => &["weight"],
        _ => &[],
    };
    let words = words_of(WordPlace::Argument).filter(|word| named.contains(&word.name));
    targets.chain(words.map(from_word)).collect()
}

fn argument_values(name: &str) -> Vec<Candidate> {
    match name {
        "for" => durations().collect(),
        "until" => vec![
            Candidate::new("timestamp", CompletionKind::Function)
                .insert("timestamp(\"${1:2027-01-01T00:00:00Z}\")"),
        ],
        "priority" => ('1'..='9')
            .map(|priority| Candidate::new(priority, CompletionKind::Value))
            .collect(),
        _ => Vec::new(),
    }
}

fn texts(of: TextOf, scope: &Scope<'_, '_>) -> Vec<Candidate> {
    let known = scope.known;
    let words = |words: &[&str]| {
        let value = |word: &&str| Candidate::new(*word, CompletionKind::Value);
        words.iter().map(value).collect()
    };
    match of {
        TextOf::Bank => plain(&known.banks, CompletionKind::Bank).collect(),
        TextOf::Set => plain(&known.sets, CompletionKind::Set).collect(),
        TextOf::Lexicon => declared(scope, ItemKind::Lexicon, CompletionKind::Lexicon).collect(),
        TextOf::Label => plain(&known.labels, CompletionKind::Label).collect(),
        TextOf::Queue => plain(&known.queues, CompletionKind::Queue).collect(),
        TextOf::Receiver => plain(&known.receivers, CompletionKind::Receiver).collect(),
        TextOf::Level => words_of(WordPlace::Level).map(from_word).collect(),
        TextOf::EventType => event_types(scope).collect(),
        TextOf::MediumKind => {
            let kinds: Vec<&str> = MediumKind::ALL.iter().map(|kind| kind.as_str()).collect();
            words(&kinds)
        }
        TextOf::Form => words(&crate::check::forms()),
        TextOf::Decoding => words(&["decoded", "undecodable", "unavailable", "signals_only"]),
        TextOf::Anything => Vec::new(),
    }
}
