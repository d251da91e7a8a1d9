//! Random expressions of the part of the rule language that is CEL too, each well typed, and random
//! events to evaluate them on.
//!
//! An expression is a tree that is written in two dialects: ours (`7d`, `not`, `count`) and CEL's
//! (`duration("168h")`, `!`, `filter(…).size()`), with as few parentheses as precedence allows and
//! now and then one more. Everything follows from a seed and a number.

use manara_model::{Event, Origin};
use manara_rules::{Schema, Type};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// `SplitMix64`: small, seeded, and good enough to choose among expressions.
pub(crate) struct Rng(u64);

impl Rng {
    /// The generator for the `number`th thing of a seed.
    pub(crate) fn new(seed: u64, number: u64) -> Self {
        let mut rng = Self(seed.wrapping_mul(0xD134_2543_DE82_EF95) ^ number);
        rng.next();
        rng
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    fn pick<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[self.below(of.len())]
    }

    /// The place of one of the weights, the heavier the more often.
    fn weighted(&mut self, weights: &[usize]) -> usize {
        let mut at = self.below(weights.iter().sum());
        for (place, weight) in weights.iter().enumerate() {
            if at < *weight {
                return place;
            }
            at -= weight;
        }
        unreachable!("the weights sum to more than `at`")
    }
}

// ---- values ----

/// A value, as both languages know it. Durations and times are nanoseconds, the latter since 1970.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Duration(i128),
    Time(i128),
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
}

const SECOND: i128 = 1_000_000_000;

fn rfc3339(nanos: i128) -> String {
    jiff::Timestamp::from_nanosecond(nanos)
        .map_or_else(|_| "out of range".to_owned(), |time| time.to_string())
}

impl Value {
    /// As it is written in either language; of scalars only.
    pub(crate) fn literal(&self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Float(value) => format!("{value:?}"),
            Self::Text(value) => text_literal(value),
            Self::Duration(nanos) => {
                let sign = if *nanos < 0 { "-" } else { "" };
                let (whole, rest) = (nanos.abs() / SECOND, nanos.abs() % SECOND);
                format!("duration(\"{sign}{whole}s{rest}ns\")")
            }
            Self::Time(nanos) => format!("timestamp(\"{}\")", rfc3339(*nanos)),
            Self::List(_) | Self::Map(_) => unreachable!("only scalars are written out"),
        }
    }

    /// As an event carries it.
    fn event_json(&self) -> Json {
        match self {
            Self::Bool(value) => json!(value),
            Self::Int(value) => json!(value),
            Self::Float(value) => json!(value),
            Self::Text(value) => json!(value),
            Self::Duration(nanos) => json!(format!("{}ms", nanos / 1_000_000)),
            Self::Time(nanos) => json!(rfc3339(*nanos)),
            Self::List(items) => items.iter().map(Self::event_json).collect(),
            Self::Map(fields) => fields
                .iter()
                .map(|(name, value)| (name.clone(), value.event_json()))
                .collect(),
        }
    }

    /// With its type, for an oracle in another process.
    pub(crate) fn tagged(&self) -> Json {
        match self {
            Self::Bool(value) => json!({ "bool": value }),
            Self::Int(value) => json!({ "int": value }),
            Self::Float(value) => json!({ "float": format!("{value:?}") }),
            Self::Text(value) => json!({ "text": value }),
            Self::Duration(nanos) => json!({ "duration": nanos.to_string() }),
            Self::Time(nanos) => json!({ "time": nanos.to_string() }),
            Self::List(items) => {
                json!({ "list": items.iter().map(Self::tagged).collect::<Vec<Json>>() })
            }
            Self::Map(fields) => {
                json!({ "map": fields.iter().map(|(name, value)| (name.clone(), value.tagged())).collect::<serde_json::Map<_, _>>() })
            }
        }
    }

    /// The scalar that [`Value::tagged`] wrote.
    pub(crate) fn from_tagged(json: &Json) -> Option<Self> {
        let (tag, value) = json.as_object()?.iter().next()?;
        let number = || value.as_str()?.parse().ok();
        match tag.as_str() {
            "bool" => value.as_bool().map(Self::Bool),
            "int" => value.as_i64().map(Self::Int),
            "float" => value.as_str()?.parse().ok().map(Self::Float),
            "text" => value.as_str().map(|text| Self::Text(text.to_owned())),
            "duration" => number().map(Self::Duration),
            "time" => number().map(Self::Time),
            _ => None,
        }
    }
}

fn text_literal(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

// ---- types ----

/// The type of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Ty {
    Bool,
    Int,
    Float,
    Text,
    Duration,
    Time,
    Bools,
    Ints,
    Floats,
    Texts,
    Durations,
    Times,
    /// A map of texts to texts.
    TextMap,
}

const SCALARS: [Ty; 6] = [
    Ty::Bool,
    Ty::Int,
    Ty::Float,
    Ty::Text,
    Ty::Duration,
    Ty::Time,
];
const LISTS: [Ty; 6] = [
    Ty::Bools,
    Ty::Ints,
    Ty::Floats,
    Ty::Texts,
    Ty::Durations,
    Ty::Times,
];

impl Ty {
    /// The type of a list's elements.
    pub(crate) fn element(self) -> Option<Self> {
        LISTS
            .iter()
            .position(|list| *list == self)
            .map(|at| SCALARS[at])
    }

    pub(crate) fn is_scalar(self) -> bool {
        SCALARS.contains(&self)
    }

    fn list(self) -> Self {
        SCALARS
            .iter()
            .position(|scalar| *scalar == self)
            .map_or(self, |at| LISTS[at])
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Float => "float",
            Self::Text => "string",
            Self::Duration => "duration",
            Self::Time => "time",
            Self::Bools => "bools",
            Self::Ints => "ints",
            Self::Floats => "floats",
            Self::Texts => "strings",
            Self::Durations => "durations",
            Self::Times => "times",
            Self::TextMap => "map",
        }
    }

    /// A field of this type that no event has.
    pub(crate) fn missing_field(self) -> &'static str {
        match self {
            Self::Bool => "no_bool",
            Self::Int => "no_int",
            Self::Float => "no_float",
            Self::Text => "no_text",
            Self::Duration => "no_duration",
            Self::Time => "no_time",
            _ => "no_list",
        }
    }

    /// Some value of the type, to compare an unknown one with.
    pub(crate) fn sample(self) -> Value {
        match self {
            Self::Bool => Value::Bool(true),
            Self::Int => Value::Int(0),
            Self::Float => Value::Float(0.0),
            Self::Text => Value::Text(String::new()),
            Self::Duration => Value::Duration(0),
            Self::Time => Value::Time(0),
            _ => Value::List(Vec::new()),
        }
    }
}

/// What a field of an event is called and its type.
type FieldOf = (&'static str, &'static str, Ty);

const FIELDS: &[FieldOf] = &[
    ("attributes", "yes", Ty::Bool),
    ("attributes", "b", Ty::Bool),
    ("account", "followers", Ty::Int),
    ("space", "members", Ty::Int),
    ("attributes", "n", Ty::Int),
    ("attributes", "m", Ty::Int),
    ("attributes", "f", Ty::Float),
    ("attributes", "g", Ty::Float),
    ("account", "id", Ty::Text),
    ("account", "handle", Ty::Text),
    ("account", "display_name", Ty::Text),
    ("space", "name", Ty::Text),
    ("content", "text", Ty::Text),
    ("content", "language", Ty::Text),
    ("event", "type", Ty::Text),
    ("attributes", "s", Ty::Text),
    ("account", "age", Ty::Duration),
    ("attributes", "d", Ty::Duration),
    ("event", "time", Ty::Time),
    ("account", "created_at", Ty::Time),
    ("attributes", "t", Ty::Time),
    ("content", "links", Ty::Texts),
    ("attributes", "bs", Ty::Bools),
    ("attributes", "ns", Ty::Ints),
    ("attributes", "fs", Ty::Floats),
    ("attributes", "ss", Ty::Texts),
    ("attributes", "ds", Ty::Durations),
    ("attributes", "ts", Ty::Times),
];

/// The attribute that is a map of texts.
const MAP: &str = "kv";

/// The attributes of [`FIELDS`], declared, and one of each type that no event has.
pub(crate) fn schema() -> Schema {
    let rule_type = |ty: Ty| match ty {
        Ty::Bool => Type::Bool,
        Ty::Int => Type::Int,
        Ty::Float => Type::Float,
        Ty::Text => Type::String,
        Ty::Duration => Type::Duration,
        _ => Type::Time,
    };
    let mut schema = Schema::builtin();
    for (_, name, ty) in FIELDS.iter().filter(|(root, ..)| *root == "attributes") {
        let declared = ty
            .element()
            .map_or_else(|| rule_type(*ty), |of| Type::list(rule_type(of)));
        schema = schema.with_attribute(None, name, declared);
    }
    for ty in SCALARS {
        schema = schema.with_attribute(None, ty.missing_field(), rule_type(ty));
    }
    // Where the language has maps.
    match "map<string>".parse() {
        Ok(map) => schema.with_attribute(None, MAP, map),
        Err(_) => schema,
    }
}

// ---- events ----

/// An event, as the two languages see it.
pub(crate) struct Scene {
    pub(crate) number: usize,
    pub(crate) json: String,
    pub(crate) event: Event,
    /// The variables of a CEL program. What an event lacks altogether is an empty map.
    pub(crate) bindings: BTreeMap<String, Value>,
}

const TEXTS: &[&str] = &[
    "",
    "a",
    "Rise",
    "Rise, رايـة!",
    "Grey_Banner",
    "order of the grey banner",
    "\u{1F600} é e\u{301}",
    "ab\n\"c\"\\d",
    "https://a.example/x",
    "راية الرماد",
    "Aa",
];
const INTS: &[i64] = &[0, 1, 2, 3, 7, 12, -1, -3, 100, 1200, -86_400];
const LARGE_INTS: &[i64] = &[
    i64::MAX,
    i64::MIN,
    i64::MAX - 1,
    (1 << 53) + 1,
    -(1 << 53) - 1,
    1 << 32,
];
const FLOATS: &[f64] = &[
    0.0,
    1.0,
    2.5,
    3.0,
    12.0,
    -0.5,
    -3.0,
    1e-3,
    7.25,
    1e300,
    9_007_199_254_740_992.0,
];
const MILLIS: &[i64] = &[
    0,
    1_000,
    90_000,
    3_600_000,
    5_400_000,
    86_400_000,
    604_800_000,
    -3_600_000,
    250,
    -1,
];
/// 2026-11-22T10:15:00Z
const NOON: i64 = 1_795_342_500_000;

impl Scene {
    /// The event of this number. Most fields are there, each missing now and then.
    pub(crate) fn new(seed: u64, number: usize) -> Self {
        let mut rng = Rng::new(seed ^ 0x5CE4E, number as u64);
        let mut roots: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
        for root in ["account", "space", "content"] {
            if rng.percent(95) {
                let id = Value::Text(format!("{root}-1"));
                roots.insert(root.to_owned(), BTreeMap::from([("id".to_owned(), id)]));
            }
        }
        let event = [
            ("id", "e-1"),
            ("source", "forum.example"),
            ("type", "post.created"),
        ];
        let mut event: BTreeMap<String, Value> = event
            .into_iter()
            .map(|(name, value)| (name.to_owned(), Value::Text(value.to_owned())))
            .collect();
        event.insert("time".to_owned(), Value::Time(i128::from(NOON) * 1_000_000));
        roots.insert("attributes".to_owned(), BTreeMap::new());
        for (root, name, ty) in FIELDS {
            let derived = *root == "event" || matches!(*name, "id" | "age");
            let always = *name == "links";
            if let Some(fields) = roots
                .get_mut(*root)
                .filter(|_| !derived && (always || rng.percent(90)))
            {
                fields.insert((*name).to_owned(), field_value(&mut rng, name, *ty));
            }
        }
        if let Some(fields) = roots.get_mut("attributes") {
            let entries = MAP_KEYS.iter().filter(|_| rng.percent(60));
            let entries: BTreeMap<String, Value> = entries
                .map(|key| ((*key).to_owned(), Value::Text(TEXTS[key.len()].to_owned())))
                .collect();
            fields.insert(MAP.to_owned(), Value::Map(entries));
        }
        let mut json: serde_json::Map<String, Json> = event
            .iter()
            .map(|(name, value)| (name.clone(), value.event_json()))
            .collect();
        json.extend(
            roots
                .iter()
                .map(|(root, fields)| (root.clone(), Value::Map(fields.clone()).event_json())),
        );
        let json = Json::Object(json).to_string();
        let (parsed, _) = Event::from_json(json.as_bytes(), Origin::Http)
            .unwrap_or_else(|e| panic!("{e}: {json}"));
        let mut bindings: BTreeMap<String, Value> = ["account", "space", "content"]
            .into_iter()
            .map(|root| (root.to_owned(), Value::Map(BTreeMap::new())))
            .collect();
        bindings.extend(
            roots
                .into_iter()
                .map(|(root, fields)| (root, Value::Map(fields))),
        );
        bindings.insert("event".to_owned(), Value::Map(event));
        Self {
            number,
            json,
            event: parsed,
            bindings,
        }
    }

    /// The value of a field, when the event has it.
    pub(crate) fn field(&self, root: &str, name: &str) -> Option<&Value> {
        match self.bindings.get(root)? {
            Value::Map(fields) => fields.get(name),
            _ => None,
        }
    }
}

fn field_value(rng: &mut Rng, name: &str, ty: Ty) -> Value {
    if let Some(of) = ty.element() {
        let len = *rng.pick(&[0, 1, 2, 3, 3, 4]);
        return Value::List((0..len).map(|_| scalar_value(rng, of)).collect());
    }
    match (name, scalar_value(rng, ty)) {
        // Counts are never negative; `m` is where the large numbers are.
        ("followers" | "members", Value::Int(n)) => Value::Int(n.abs()),
        ("m", Value::Int(_)) => Value::Int(*rng.pick(LARGE_INTS)),
        (_, value) => value,
    }
}

fn scalar_value(rng: &mut Rng, ty: Ty) -> Value {
    match ty {
        Ty::Bool => Value::Bool(rng.percent(50)),
        Ty::Int => Value::Int(*rng.pick(INTS)),
        Ty::Float => Value::Float(*rng.pick(FLOATS)),
        Ty::Duration => Value::Duration(i128::from(*rng.pick(MILLIS)) * 1_000_000),
        Ty::Time => Value::Time(i128::from(NOON - rng.pick(MILLIS) * 3) * 1_000_000),
        _ => Value::Text((*rng.pick(TEXTS)).to_owned()),
    }
}

// ---- expressions ----

/// An expression: what it does, with what, and its type.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) form: Form,
    pub(crate) ty: Ty,
    pub(crate) parts: Vec<Node>,
    /// Written between parentheses that it does not need.
    pub(crate) wrapped: bool,
}

/// What an expression does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Form {
    /// As the two dialects write it.
    Literal {
        ours: String,
        cel: String,
    },
    Field {
        root: &'static str,
        name: &'static str,
    },
    Has {
        root: &'static str,
        name: &'static str,
    },
    Variable(&'static str),
    /// `not` where ours has a word for it, otherwise `!`.
    Not {
        word: bool,
    },
    Negate,
    /// `and`, `or` as words, otherwise as signs.
    And {
        word: bool,
    },
    Or {
        word: bool,
    },
    Binary(&'static str),
    Choose,
    /// `parts[0].name(parts[1..])`
    Method(&'static str),
    /// `size(x)` rather than `x.size()`.
    Size {
        global: bool,
    },
    List,
    /// `exists`, `all`, `count` or `filter`: the list, and the condition on the variable.
    Macro {
        which: &'static str,
        variable: &'static str,
    },
    /// `map["key"]`
    Index,
}

/// In which language an expression is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Ours,
    Cel,
}

// How strongly forms bind, weakest first.
const CHOICE: u8 = 0;
const OR: u8 = 1;
const AND: u8 = 2;
const RELATION: u8 = 3;
const SUM: u8 = 4;
const PRODUCT: u8 = 5;
const UNARY: u8 = 6;
const PRIMARY: u8 = 7;

impl Node {
    pub(crate) fn new(form: Form, ty: Ty, parts: Vec<Node>) -> Self {
        Self {
            form,
            ty,
            parts,
            wrapped: false,
        }
    }

    /// A value, written out.
    pub(crate) fn literal(value: &Value, ty: Ty) -> Self {
        let text = value.literal();
        Self::new(
            Form::Literal {
                ours: text.clone(),
                cel: text,
            },
            ty,
            Vec::new(),
        )
    }

    /// A value as a sum where it is zero: the checker refuses to divide by a zero it can see.
    pub(crate) fn value(value: &Value, ty: Ty) -> Self {
        let one = match value {
            Value::Int(0) => Value::Int(1),
            Value::Float(0.0) => Value::Float(1.0),
            _ => return Self::literal(value, ty),
        };
        let one = Self::literal(&one, ty);
        Self::new(Form::Binary("-"), ty, vec![one.clone(), one])
    }

    /// A value of the type that is unknown.
    pub(crate) fn unknown(ty: Ty) -> Self {
        Self::new(
            Form::Field {
                root: "attributes",
                name: ty.missing_field(),
            },
            ty,
            Vec::new(),
        )
    }

    pub(crate) fn text(&self, dialect: Dialect) -> String {
        let mut out = String::new();
        self.write(dialect, CHOICE, &mut out);
        out
    }

    fn strength(&self, dialect: Dialect) -> u8 {
        match &self.form {
            Form::Choose => CHOICE,
            Form::Or { .. } => OR,
            Form::And { .. } => AND,
            // The word covers a comparison, so it may stand only where one may.
            Form::Not { word: true } if dialect == Dialect::Ours => RELATION,
            Form::Binary("+" | "-") => SUM,
            Form::Binary("*" | "/" | "%") => PRODUCT,
            Form::Binary(_) => RELATION,
            Form::Not { .. } | Form::Negate => UNARY,
            Form::Literal { ours, .. } if ours.starts_with('-') => UNARY,
            Form::Field {
                root: "account",
                name: "age",
            } if dialect == Dialect::Cel => SUM,
            _ => PRIMARY,
        }
    }

    /// Writes it where operators of at least the strength `min` may stand.
    fn write(&self, dialect: Dialect, min: u8, out: &mut String) {
        let parentheses = self.wrapped || self.strength(dialect) < min;
        if parentheses {
            out.push('(');
        }
        self.write_bare(dialect, out);
        if parentheses {
            out.push(')');
        }
    }

    fn write_bare(&self, dialect: Dialect, out: &mut String) {
        let is_cel = dialect == Dialect::Cel;
        let join = |operator: &str, left: u8, right: u8, out: &mut String| {
            self.parts[0].write(dialect, left, out);
            out.extend([" ", operator, " "]);
            self.parts[1].write(dialect, right, out);
        };
        match &self.form {
            Form::Literal { ours, cel } => out.push_str(if is_cel { cel } else { ours }),
            Form::Field {
                root: "account",
                name: "age",
            } if is_cel => out.push_str("event.time - account.created_at"),
            Form::Has {
                root: "account",
                name: "age",
            } if is_cel => out.push_str("has(account.created_at)"),
            Form::Field { root, name } => out.extend([root, ".", name]),
            Form::Has { root, name } => out.extend(["has(", root, ".", name, ")"]),
            Form::Variable(name) => out.push_str(name),
            Form::Not { word: true } if !is_cel => {
                out.push_str("not ");
                self.parts[0].write(dialect, RELATION, out);
            }
            Form::Not { .. } => {
                out.push('!');
                self.parts[0].write(dialect, UNARY, out);
            }
            Form::Negate => {
                out.push('-');
                // A negative literal stands in parentheses: whether `--1` holds one is left open.
                let literal = matches!(self.parts[0].form, Form::Literal { .. });
                self.parts[0].write(dialect, if literal { PRIMARY } else { UNARY }, out);
            }
            Form::And { word } => join(
                if *word && !is_cel { "and" } else { "&&" },
                AND,
                RELATION,
                out,
            ),
            Form::Or { word } => join(if *word && !is_cel { "or" } else { "||" }, OR, AND, out),
            Form::Binary(operator @ ("+" | "-")) => join(operator, SUM, PRODUCT, out),
            Form::Binary(operator @ ("*" | "/" | "%")) => join(operator, PRODUCT, UNARY, out),
            Form::Binary(operator) => join(operator, SUM, SUM, out),
            Form::Choose => {
                self.parts[0].write(dialect, OR, out);
                out.push_str(" ? ");
                self.parts[1].write(dialect, OR, out);
                out.push_str(" : ");
                self.parts[2].write(dialect, CHOICE, out);
            }
            Form::Method(name) => {
                self.parts[0].write(dialect, PRIMARY, out);
                out.extend([".", name, "("]);
                self.write_all(1, dialect, out);
                out.push(')');
            }
            Form::Size { global: true } => {
                out.push_str("size(");
                self.write_all(0, dialect, out);
                out.push(')');
            }
            Form::Size { global: false } => {
                self.parts[0].write(dialect, PRIMARY, out);
                out.push_str(".size()");
            }
            Form::List => {
                out.push('[');
                self.write_all(0, dialect, out);
                out.push(']');
            }
            Form::Macro { which, variable } => {
                let (name, after) = if is_cel && *which == "count" {
                    ("filter", ".size()")
                } else {
                    (*which, "")
                };
                self.parts[0].write(dialect, PRIMARY, out);
                out.extend([".", name, "(", variable, ", "]);
                self.parts[1].write(dialect, CHOICE, out);
                out.extend([")", after]);
            }
            Form::Index => {
                self.parts[0].write(dialect, PRIMARY, out);
                out.push('[');
                self.parts[1].write(dialect, CHOICE, out);
                out.push(']');
            }
        }
    }

    fn write_all(&self, from: usize, dialect: Dialect, out: &mut String) {
        for (at, part) in self.parts.iter().skip(from).enumerate() {
            if at > 0 {
                out.push_str(", ");
            }
            part.write(dialect, CHOICE, out);
        }
    }

    /// Counts what it is made of, by kind.
    pub(crate) fn count(&self, counts: &mut BTreeMap<String, u64>) {
        *counts.entry(self.kind()).or_default() += 1;
        self.parts.iter().for_each(|part| part.count(counts));
    }

    fn kind(&self) -> String {
        let of = |at: usize| self.parts.get(at).map_or("", |part| part.ty.name());
        match &self.form {
            Form::Literal { .. } => format!("literal: {}", self.ty.name()),
            Form::Field { name, .. } if name.starts_with("no_") => {
                "field that is never there".to_owned()
            }
            Form::Field { .. } => format!("field: {}", self.ty.name()),
            Form::Has { .. } => "has".to_owned(),
            Form::Variable(_) => format!("variable: {}", self.ty.name()),
            Form::Not { .. } => "!".to_owned(),
            Form::Negate => format!("- {}", self.ty.name()),
            Form::And { .. } => "&&".to_owned(),
            Form::Or { .. } => "||".to_owned(),
            Form::Binary(operator) => format!("{} {operator} {}", of(0), of(1)),
            Form::Choose => format!("? : {}", self.ty.name()),
            Form::Method(name) => format!("{}.{name}", of(0)),
            Form::Size { .. } => format!("size: {}", of(0)),
            Form::List => format!("list: {}", self.ty.name()),
            Form::Macro { which, .. } => format!("{}.{which}", of(0)),
            Form::Index => "map[key]".to_owned(),
        }
    }
}

/// What is generated beyond the core.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    /// `filter`, `matches`, maps and the parts of times: newer than the core.
    pub(crate) library: bool,
}

/// The expression of this number.
pub(crate) fn generate(seed: u64, number: u64, options: Options) -> Node {
    let mut make = Make {
        rng: Rng::new(seed, number),
        options,
        scope: Vec::new(),
    };
    let ty = *make.rng.pick(&[
        Ty::Bool,
        Ty::Bool,
        Ty::Bool,
        Ty::Bool,
        Ty::Bool,
        Ty::Bool,
        Ty::Bool,
        Ty::Int,
        Ty::Int,
        Ty::Float,
        Ty::Text,
        Ty::Duration,
        Ty::Time,
    ]);
    let depth = *make.rng.pick(&[1, 2, 2, 3, 3, 4]);
    make.node(ty, depth)
}

struct Make {
    rng: Rng,
    options: Options,
    /// The variables that macros have bound around here.
    scope: Vec<(&'static str, Ty)>,
}

const ORDER: &[&str] = &["==", "!=", "<", "<=", ">", ">="];
const EQUALITY: &[&str] = &["==", "!="];

impl Make {
    fn node(&mut self, ty: Ty, depth: u32) -> Node {
        let mut node = if depth == 0 || self.rng.percent(12) {
            self.leaf(ty)
        } else {
            self.inner(ty, depth - 1)
        };
        node.wrapped = self.rng.percent(8);
        node
    }

    fn inner(&mut self, ty: Ty, depth: u32) -> Node {
        match ty {
            Ty::Bool => self.condition(depth),
            Ty::Int => self.int(depth),
            Ty::Float => self.float(depth),
            Ty::Text => self.text(depth),
            Ty::Duration => self.duration(depth),
            Ty::Time => self.time(depth),
            _ => self.list(ty, depth),
        }
    }

    fn leaf(&mut self, ty: Ty) -> Node {
        if let Some(of) = ty.element() {
            return if self.rng.percent(60) {
                self.field(ty)
            } else {
                self.written_list(of, 0)
            };
        }
        let bound: Vec<&'static str> = self
            .scope
            .iter()
            .filter(|(_, of)| *of == ty)
            .map(|(name, _)| *name)
            .collect();
        if !bound.is_empty() && self.rng.percent(60) {
            return Node::new(
                Form::Variable(bound[self.rng.below(bound.len())]),
                ty,
                Vec::new(),
            );
        }
        match self.rng.weighted(&[50, 48, 2]) {
            0 => self.literal(ty),
            1 => self.field(ty),
            _ => Node::unknown(ty),
        }
    }

    fn field(&mut self, ty: Ty) -> Node {
        if ty == Ty::TextMap {
            let (root, name) = ("attributes", MAP);
            return Node::new(Form::Field { root, name }, ty, Vec::new());
        }
        let known: Vec<&FieldOf> = FIELDS.iter().filter(|(_, _, of)| *of == ty).collect();
        let (root, name, _) = **self.rng.pick(&known);
        Node::new(Form::Field { root, name }, ty, Vec::new())
    }

    fn literal(&mut self, ty: Ty) -> Node {
        let (ours, cel) = match ty {
            Ty::Int => same(self.int_literal()),
            Ty::Float => same((*self.rng.pick(FLOAT_LITERALS)).to_owned()),
            Ty::Text => same((*self.rng.pick(TEXT_LITERALS)).to_owned()),
            Ty::Duration => self.duration_literal(),
            Ty::Time => same(format!(
                "timestamp({})",
                text_literal(TIME_LITERALS[self.rng.below(TIME_LITERALS.len())])
            )),
            _ => same(self.rng.percent(50).to_string()),
        };
        Node::new(Form::Literal { ours, cel }, ty, Vec::new())
    }

    fn int_literal(&mut self) -> String {
        match self.rng.weighted(&[40, 40, 10, 10]) {
            0 => (self.rng.below(25) as i64 - 8).to_string(),
            1 => self.rng.pick(INTS).to_string(),
            2 => (*self.rng.pick(&["0x10", "0xff", "-0x1F", "0xABCDEF", "007"])).to_owned(),
            _ => self.rng.pick(LARGE_INTS).to_string(),
        }
    }

    fn duration_literal(&mut self) -> (String, String) {
        let (ours, cel) = *self.rng.pick(DURATION_LITERALS);
        let cel = format!("duration(\"{cel}\")");
        if self.rng.percent(70) && !ours.starts_with('-') {
            (ours.to_owned(), cel)
        } else {
            (format!("duration('{ours}')"), cel)
        }
    }

    fn binary(
        &mut self,
        operators: &[&'static str],
        left: Ty,
        right: Ty,
        ty: Ty,
        depth: u32,
    ) -> Node {
        let operator = *self.rng.pick(operators);
        let mut parts = vec![self.node(left, depth), self.node(right, depth)];
        // A right side that is not zero keeps most divisions known.
        if matches!(operator, "/" | "%") && self.rng.percent(70) {
            let value = if right == Ty::Int {
                Value::Int(*self.rng.pick(&[2, 3, -4, 7, 10]))
            } else {
                Value::Float(2.5)
            };
            parts[1] = Node::literal(&value, right);
        }
        Node::new(Form::Binary(operator), ty, parts)
    }

    fn choose(&mut self, ty: Ty, depth: u32) -> Node {
        let parts = vec![
            self.node(Ty::Bool, depth),
            self.node(ty, depth),
            self.node(ty, depth),
        ];
        Node::new(Form::Choose, ty, parts)
    }

    fn int(&mut self, depth: u32) -> Node {
        let time_parts = usize::from(self.options.library) * 12;
        match self.rng.weighted(&[45, 8, 12, 10, 8, 8, time_parts]) {
            0 => self.binary(&["+", "-", "*", "/", "%"], Ty::Int, Ty::Int, Ty::Int, depth),
            1 => Node::new(Form::Negate, Ty::Int, vec![self.node(Ty::Int, depth)]),
            2 => self.size(Ty::Text, depth),
            3 => {
                let of = *self.rng.pick(&LISTS);
                self.size(of, depth)
            }
            4 => self.choose(Ty::Int, depth),
            5 => self.over_list("count", Ty::Int, depth),
            _ => self.time_part(depth),
        }
    }

    fn size(&mut self, of: Ty, depth: u32) -> Node {
        let global = self.rng.percent(50);
        Node::new(Form::Size { global }, Ty::Int, vec![self.node(of, depth)])
    }

    fn time_part(&mut self, depth: u32) -> Node {
        let part = *self.rng.pick(TIME_PARTS);
        let mut parts = vec![self.node(Ty::Time, depth)];
        if self.rng.percent(30) {
            let zone = Value::Text((*self.rng.pick(ZONES)).to_owned());
            parts.push(Node::literal(&zone, Ty::Text));
        }
        Node::new(Form::Method(part), Ty::Int, parts)
    }

    fn float(&mut self, depth: u32) -> Node {
        match self.rng.weighted(&[60, 15, 25]) {
            0 => self.binary(
                &["+", "-", "*", "/"],
                Ty::Float,
                Ty::Float,
                Ty::Float,
                depth,
            ),
            1 => Node::new(Form::Negate, Ty::Float, vec![self.node(Ty::Float, depth)]),
            _ => self.choose(Ty::Float, depth),
        }
    }

    fn text(&mut self, depth: u32) -> Node {
        match self
            .rng
            .weighted(&[55, 25, usize::from(self.options.library) * 20])
        {
            0 => self.binary(&["+"], Ty::Text, Ty::Text, Ty::Text, depth),
            1 => self.choose(Ty::Text, depth),
            _ => {
                let key = Value::Text((*self.rng.pick(MAP_KEYS)).to_owned());
                let map = self.field(Ty::TextMap);
                Node::new(
                    Form::Index,
                    Ty::Text,
                    vec![map, Node::literal(&key, Ty::Text)],
                )
            }
        }
    }

    fn duration(&mut self, depth: u32) -> Node {
        match self.rng.weighted(&[45, 35, 20]) {
            0 => self.binary(&["+", "-"], Ty::Duration, Ty::Duration, Ty::Duration, depth),
            1 => self.binary(&["-"], Ty::Time, Ty::Time, Ty::Duration, depth),
            _ => self.choose(Ty::Duration, depth),
        }
    }

    fn time(&mut self, depth: u32) -> Node {
        match self.rng.weighted(&[60, 15, 25]) {
            0 => self.binary(&["+", "-"], Ty::Time, Ty::Duration, Ty::Time, depth),
            1 => self.binary(&["+"], Ty::Duration, Ty::Time, Ty::Time, depth),
            _ => self.choose(Ty::Time, depth),
        }
    }

    fn list(&mut self, ty: Ty, depth: u32) -> Node {
        let of = ty.element().expect("a list's type");
        match self
            .rng
            .weighted(&[50, 30, 12, usize::from(self.options.library) * 12])
        {
            0 => self.field(ty),
            1 => self.written_list(of, depth),
            2 => self.choose(ty, depth),
            _ => self.filter(ty, depth),
        }
    }

    fn written_list(&mut self, of: Ty, depth: u32) -> Node {
        // An empty one has no type of its own with us, so it stands only where none is needed.
        let len = *self.rng.pick(&[1, 2, 2, 3, 4]);
        let items = (0..len).map(|_| self.node(of, depth.min(1))).collect();
        Node::new(Form::List, of.list(), items)
    }

    fn filter(&mut self, ty: Ty, depth: u32) -> Node {
        let list = self.node(ty, depth);
        self.with_body("filter", list, ty, depth)
    }

    fn over_list(&mut self, which: &'static str, ty: Ty, depth: u32) -> Node {
        let of = *self.rng.pick(&[
            Ty::Ints,
            Ty::Texts,
            Ty::Ints,
            Ty::Texts,
            Ty::Floats,
            Ty::Bools,
            Ty::Durations,
            Ty::Times,
        ]);
        let list = self.node(of, depth);
        self.with_body(which, list, ty, depth)
    }

    fn with_body(&mut self, which: &'static str, list: Node, ty: Ty, depth: u32) -> Node {
        // Macros nest at most twice.
        let Some(variable) = ["x", "y"].get(self.scope.len()).copied() else {
            return if ty.is_scalar() { self.leaf(ty) } else { list };
        };
        let of = list.ty.element().unwrap_or(Ty::Int);
        self.scope.push((variable, of));
        let body = self.node(Ty::Bool, depth.max(1));
        self.scope.pop();
        Node::new(Form::Macro { which, variable }, ty, vec![list, body])
    }

    fn condition(&mut self, depth: u32) -> Node {
        let library = usize::from(self.options.library);
        match self
            .rng
            .weighted(&[22, 10, 40, 3, 8, 10, 14, 6, 5, library * 6, library * 5])
        {
            0 => {
                let word = self.rng.percent(50);
                let form = if self.rng.percent(50) {
                    Form::And { word }
                } else {
                    Form::Or { word }
                };
                Node::new(
                    form,
                    Ty::Bool,
                    vec![self.node(Ty::Bool, depth), self.node(Ty::Bool, depth)],
                )
            }
            1 => {
                let word = self.rng.percent(40);
                Node::new(
                    Form::Not { word },
                    Ty::Bool,
                    vec![self.node(Ty::Bool, depth)],
                )
            }
            2 => self.comparison(depth),
            3 => self.binary(EQUALITY, Ty::Bool, Ty::Bool, Ty::Bool, depth),
            4 => self.membership(depth),
            5 => {
                let name = *self.rng.pick(&["contains", "startsWith", "endsWith"]);
                let parts = vec![self.node(Ty::Text, depth), self.node(Ty::Text, depth)];
                Node::new(Form::Method(name), Ty::Bool, parts)
            }
            6 => {
                let which = *self.rng.pick(&["exists", "all"]);
                self.over_list(which, Ty::Bool, depth)
            }
            7 => self.choose(Ty::Bool, depth),
            8 => {
                let (root, name, _) = *self.rng.pick(FIELDS);
                Node::new(Form::Has { root, name }, Ty::Bool, Vec::new())
            }
            9 => {
                let pattern = (*self.rng.pick(PATTERNS)).to_owned();
                let (ours, cel) = same(pattern);
                let pattern = Node::new(Form::Literal { ours, cel }, Ty::Text, Vec::new());
                Node::new(
                    Form::Method("matches"),
                    Ty::Bool,
                    vec![self.node(Ty::Text, depth), pattern],
                )
            }
            _ => {
                let parts = vec![self.node(Ty::Text, depth), self.field(Ty::TextMap)];
                Node::new(Form::Binary("in"), Ty::Bool, parts)
            }
        }
    }

    fn comparison(&mut self, depth: u32) -> Node {
        match self.rng.weighted(&[30, 4, 4, 12, 20, 12, 12]) {
            0 => self.binary(ORDER, Ty::Int, Ty::Int, Ty::Bool, depth),
            1 if self.rng.percent(15) => {
                // Where a float cannot hold every whole number.
                let n = Value::Int(*self.rng.pick(LARGE_INTS));
                let f = Value::Float(*self.rng.pick(&[
                    9_007_199_254_740_992.0,
                    9.3e18,
                    9_223_372_036_854_775_808.0,
                ]));
                let parts = vec![Node::literal(&n, Ty::Int), Node::literal(&f, Ty::Float)];
                Node::new(
                    Form::Binary(ORDER[self.rng.below(ORDER.len())]),
                    Ty::Bool,
                    parts,
                )
            }
            1 => self.binary(ORDER, Ty::Int, Ty::Float, Ty::Bool, depth),
            2 => self.binary(ORDER, Ty::Float, Ty::Int, Ty::Bool, depth),
            3 => self.binary(ORDER, Ty::Float, Ty::Float, Ty::Bool, depth),
            4 => self.binary(ORDER, Ty::Text, Ty::Text, Ty::Bool, depth),
            5 => self.binary(ORDER, Ty::Duration, Ty::Duration, Ty::Bool, depth),
            _ => self.binary(ORDER, Ty::Time, Ty::Time, Ty::Bool, depth),
        }
    }

    fn membership(&mut self, depth: u32) -> Node {
        let of = *self.rng.pick(&[
            Ty::Int,
            Ty::Text,
            Ty::Int,
            Ty::Text,
            Ty::Float,
            Ty::Bool,
            Ty::Duration,
            Ty::Time,
        ]);
        let item = self.node(of, depth);
        let list = match (of, self.rng.below(100)) {
            (_, 0..4) => Node::new(Form::List, of.list(), Vec::new()),
            (Ty::Int, 4..10) => self.node(Ty::Floats, depth),
            (Ty::Float, 4..10) => self.node(Ty::Ints, depth),
            _ => self.node(of.list(), depth),
        };
        Node::new(Form::Binary("in"), Ty::Bool, vec![item, list])
    }
}

fn same(text: String) -> (String, String) {
    (text.clone(), text)
}

const FLOAT_LITERALS: &[&str] = &[
    "0.0",
    "0.5",
    "1.0",
    "2.5",
    "3.0",
    "12.0",
    "-0.5",
    "-2.5e1",
    "1e3",
    "1.5E-3",
    "7.25",
    "1e300",
    "9007199254740992.0",
    "9.3e18",
    "-1e19",
    "100.0",
];
const TEXT_LITERALS: &[&str] = &[
    "'a'",
    "\"Rise\"",
    "''",
    "\"\"",
    r"'\u0631\x61'",
    r"r'\n'",
    r#"R"a\d""#,
    "'راية'",
    r"'\U0001F600'",
    "'\u{1F600}'",
    r"'\101\141'",
    r#""a\tb\"\\""#,
    r"'it\'s'",
    r#""""say "hi" now""""#,
    "'''it's'''",
    "\"\"\"two\nlines\"\"\"",
    r"'\a\b\f\n\r\t\v\?\`'",
    "'e'",
    "'_'",
    "'https://'",
    "\"grey banner\"",
    "'e\u{301}'",
    r"'\u00e9'",
    r"r'''\d'''",
];
const TIME_LITERALS: &[&str] = &[
    "2026-11-22T10:15:00Z",
    "2026-11-22T12:15:00+02:00",
    "2026-11-22T10:15:00.5Z",
    "2024-02-29T23:59:59Z",
    "1970-01-01T00:00:00Z",
    "1969-12-31T23:59:59.999Z",
    "2026-11-21T00:00:00-11:30",
    "2026-11-22T10:15:00.001Z",
    "2000-01-01T00:00:00Z",
    "2026-11-23T00:00:00Z",
    "2026-11-22T10:15:00.250Z",
    "9999-12-30T20:00:00Z",
    "0001-01-01T00:00:00Z",
    "2026-11-22T10:14:00Z",
    "2026-11-15T10:15:00Z",
    "2026-11-22T10:15:00+00:00",
];
const DURATION_LITERALS: &[(&str, &str)] = &[
    ("24h", "24h"),
    ("7d", "168h"),
    ("90s", "90s"),
    ("1h30m", "1h30m"),
    ("0s", "0s"),
    ("1.5h", "1.5h"),
    ("250ms", "250ms"),
    ("2w", "336h"),
    ("1d12h", "36h"),
    ("-1h", "-1h"),
    ("-1h30m", "-1h30m"),
    ("30m", "30m"),
    ("87600h", "87600h"),
];
const PATTERNS: &[&str] = &[
    "r'e'",
    "r'^R'",
    "r'[0-9]+'",
    "r'a|b'",
    r"r'^https?://'",
    "r'(?i)grey'",
    "r'^$'",
    "r'.'",
    "'x*'",
    "r'راي.ة'",
    "r'[^a-z]$'",
];
const MAP_KEYS: &[&str] = &["k", "key", "", "ä", "none"];
const TIME_PARTS: &[&str] = &[
    "getFullYear",
    "getMonth",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
];
const ZONES: &[&str] = &["UTC", "+02:00", "-11:30", "+05:30"];
