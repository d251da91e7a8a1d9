//! One expression, asked of us and of an oracle; and where the two differ, the smallest part on
//! which they do, with the named reason if there is one.
//!
//! An exception is never about a whole expression. It is about the smallest part on which the two
//! differ although all of *its* parts agree: when that part is of a named kind, our answer takes its
//! place in both, and the comparison goes on with the rest.

use super::generator::{Dialect, Form, Node, Scene, Ty, Value, schema};
use cel::{Context, Program};
use manara_model::Facts;
use manara_rules::{Schema, Source, compile};
use std::collections::{BTreeMap, HashMap};
use std::fmt;

/// What an oracle says of an expression.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Known(Value),
    /// It failed at run time: with us, unknown.
    Failed(String),
    /// It could not be read, or is no scalar.
    Unreadable(String),
}

/// What we say of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ours {
    Known(Value),
    /// Another value than the one it was compared with, as the trace shows it.
    Other(String),
    Unknown,
}

/// Another implementation of CEL.
pub(crate) trait Oracle {
    /// Its name, for exceptions that are about it alone.
    fn name(&self) -> &'static str;
    fn answer(&mut self, expression: &str, scene: &Scene) -> Answer;
}

// ---- ours ----

/// Our answer to a scalar expression, given what it is expected to be: `Err` when the checker
/// refuses it, with the reason.
pub(crate) fn ours(
    node: &Node,
    expected: &Answer,
    scene: &Scene,
    schema: &Schema,
) -> Result<Ours, String> {
    let text = node.text(Dialect::Ours);
    let value = match expected {
        Answer::Known(value) if is_in_our_range(value) => value.clone(),
        _ => node.ty.sample(),
    };
    // What makes `yes` fire says that the value is the expected one, what makes `no` fire that it is
    // another; neither fires where it is unknown.
    let (yes, no) = match node.ty {
        Ty::Bool => (text.clone(), format!("!({text})")),
        _ => (
            format!("({text}) == {}", value.literal()),
            format!("({text}) != {}", value.literal()),
        ),
    };
    let rule = |name: &str, condition: &str| {
        format!(
            "rule {name} {{ policy p reason \"r\" when {condition} then label(account, \"x\") }}\n"
        )
    };
    let source = Source {
        name: "t".into(),
        text: rule("yes", &yes) + &rule("no", &no),
    };
    let rules = compile(&[source], schema).map_err(|problems| {
        problems
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    })?;
    let event = &scene.event;
    let facts = Facts {
        event,
        media: &[],
        matches: &[],
        received_at: event.time,
    };
    let fired = rules.evaluate(&facts);
    match (fired.as_slice(), node.ty) {
        ([], _) => Ok(Ours::Unknown),
        ([verdict], Ty::Bool) => Ok(Ours::Known(Value::Bool(verdict.rule.as_str() == "yes"))),
        ([verdict], _) if verdict.rule.as_str() == "yes" => Ok(Ours::Known(value)),
        ([verdict], _) => {
            let shown: Vec<String> = verdict
                .trace
                .iter()
                .map(|t| format!("{} = {}", t.expression, t.value))
                .collect();
            Ok(Ours::Other(shown.join("; ")))
        }
        _ => Ok(Ours::Other("both true and false".to_owned())),
    }
}

/// Whether the value can be written in a rule.
fn is_in_our_range(value: &Value) -> bool {
    match value {
        Value::Float(value) => value.is_finite(),
        Value::Time(nanos) => jiff::Timestamp::from_nanosecond(*nanos).is_ok(),
        _ => true,
    }
}

/// Whether the two say the same.
fn agree(ours: &Ours, theirs: &Answer) -> bool {
    match (ours, theirs) {
        (Ours::Known(a), Answer::Known(b)) => a == b,
        (Ours::Unknown, Answer::Failed(_)) => true,
        _ => false,
    }
}

// ---- the `cel` crate ----

/// The `cel` crate, in this process.
#[derive(Default)]
pub(crate) struct CelCrate {
    contexts: HashMap<usize, Context<'static, 'static>>,
}

impl Oracle for CelCrate {
    fn name(&self) -> &'static str {
        "cel crate"
    }

    fn answer(&mut self, expression: &str, scene: &Scene) -> Answer {
        let context = self
            .contexts
            .entry(scene.number)
            .or_insert_with(|| context(scene));
        match Program::compile(expression) {
            Err(e) => Answer::Unreadable(e.to_string()),
            Ok(program) => match program.execute(context) {
                Ok(value) => from_cel(&value)
                    .map_or_else(|| Answer::Unreadable(format!("{value:?}")), Answer::Known),
                Err(e) => Answer::Failed(e.to_string()),
            },
        }
    }
}

/// An event's variables, as the crate wants them.
fn context(scene: &Scene) -> Context<'static, 'static> {
    let mut context = Context::default();
    for (name, value) in &scene.bindings {
        context.add_variable_from_value(name.clone(), to_cel(value));
    }
    context
}

fn to_cel(value: &Value) -> cel::Value {
    match value {
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::Text(value) => value.clone().into(),
        // The crate's own functions make these, so that its library of times stays its own affair.
        Value::Duration(_) | Value::Time(_) => Program::compile(&value.literal())
            .ok()
            .and_then(|program| program.execute(&Context::default()).ok())
            .unwrap_or_else(|| panic!("{value:?} is in CEL's range")),
        Value::List(items) => items.iter().map(to_cel).collect::<Vec<cel::Value>>().into(),
        Value::Map(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| (name.clone(), to_cel(value)));
            fields.collect::<HashMap<String, cel::Value>>().into()
        }
    }
}

fn from_cel(value: &cel::Value) -> Option<Value> {
    Some(match value {
        cel::Value::Bool(value) => Value::Bool(*value),
        cel::Value::Int(value) => Value::Int(*value),
        cel::Value::Float(value) => Value::Float(*value),
        cel::Value::String(value) => Value::Text(value.to_string()),
        cel::Value::Duration(value) => Value::Duration(
            i128::from(value.num_seconds()) * 1_000_000_000 + i128::from(value.subsec_nanos()),
        ),
        cel::Value::Timestamp(value) => Value::Time(
            i128::from(value.timestamp()) * 1_000_000_000
                + i128::from(value.timestamp_subsec_nanos()),
        ),
        _ => return None,
    })
}

// ---- exceptions ----

/// A part on which the two differ, though all of its parts agree.
struct Case<'c> {
    oracle: &'c str,
    node: &'c Node,
    ours: &'c Ours,
    theirs: &'c Answer,
    /// The oracle's answers to its scalar parts, of a written list to its elements, and of what is filtered to
    /// elements and conditions.
    parts: &'c [Answer],
    scene: &'c Scene,
}

/// A way in which the two differ on purpose, or the oracle is wrong.
pub(crate) struct Exception {
    pub(crate) name: &'static str,
    pub(crate) reason: &'static str,
    applies: fn(&Case<'_>) -> bool,
}

/// Every difference there may be.
pub(crate) const EXCEPTIONS: &[Exception] = &[
    Exception {
        name: "float out of range",
        reason: "a float that is infinite or not a number is unknown here; CEL follows IEEE 754",
        applies: |case| {
            *case.ours == Ours::Unknown
                && matches!(case.theirs, Answer::Known(Value::Float(f)) if !f.is_finite())
                && matches!(case.node.form, Form::Binary("+" | "-" | "*" | "/"))
        },
    },
    Exception {
        name: "unknown element of a written list",
        reason: "here only that element is unknown, and another may decide; in CEL the list fails as a whole",
        applies: |case| list_fails(case) && writes_list(case.node),
    },
    Exception {
        name: "unknown condition of a filter",
        reason: "here only that element is unknown, and another may decide; in CEL the list fails as a whole",
        applies: |case| list_fails(case) && case.node.parts.iter().any(is_filter),
    },
    Exception {
        name: "has of an empty list",
        reason: "an empty list is absent here, as in CEL's messages; in CEL's maps, which stand in for events, it is there",
        applies: |case| match case.node.form {
            Form::Has { root, name } => {
                matches!(case.scene.field(root, name), Some(Value::List(items)) if items.is_empty())
                    && *case.ours == Ours::Known(Value::Bool(false))
            }
            _ => false,
        },
    },
    Exception {
        name: "whole numbers beside floats beyond 2^53",
        reason: "compared exactly here, as the specification says; the crate rounds the whole number to a float",
        applies: |case| {
            case.oracle == "cel crate"
                && compares_int_with_float(case.node)
                && case.parts.iter().any(beyond_exact)
        },
    },
    Exception {
        name: "two signs cancel",
        reason: "the crate's parser, as that of cel-go, reads `--x` as `x`; negating the smallest whole number has no value",
        applies: |case| {
            case.node.form == Form::Negate
                && case.node.parts[0].form == Form::Negate
                && *case.ours == Ours::Unknown
                && matches!(case.theirs, Answer::Known(Value::Int(i64::MIN)))
        },
    },
    Exception {
        name: "duration or time out of CEL's range",
        reason: "durations reach 292 billion years here and times begin in -9999; CEL has 292 years in some \
                 implementations, 10,000 in others, and times from year 1",
        applies: |case| {
            matches!(case.node.ty, Ty::Duration | Ty::Time)
                && matches!(case.node.form, Form::Binary("+" | "-"))
                && matches!(case.ours, Ours::Other(_))
                && matches!(case.theirs, Answer::Failed(_))
        },
    },
    Exception {
        name: "the last day of the year 9999",
        reason: "times end at 9999-12-30T22:00:00Z here, so that any offset keeps the year; in CEL a day later",
        applies: |case| {
            *case.ours == Ours::Unknown
                && matches!(case.theirs, Answer::Known(value @ Value::Time(_)) if !is_in_our_range(value))
        },
    },
    Exception {
        name: "parts of a time written with an offset",
        reason: "without a zone they are those of UTC; the crate takes them in the offset the time was written with",
        applies: |case| {
            let text = case.node.text(Dialect::Cel);
            case.oracle == "cel crate"
                && matches!(case.node.form, Form::Method(name) if name.starts_with("get"))
                && case.node.parts.len() == 1
                && matches!(case.theirs, Answer::Known(Value::Int(_)))
                && ["+02:00\"", "-11:30\""]
                    .iter()
                    .any(|offset| text.contains(offset))
        },
    },
    Exception {
        name: "cel-python: whole numbers beside floats",
        reason: "the specification compares them by value; cel-python has no overload for most of these, or converts the float first",
        applies: |case| {
            case.oracle == "cel-python"
                && compares_int_with_float(case.node)
                && matches!(case.ours, Ours::Known(_))
                && matches!(case.theirs, Answer::Failed(problem) if problem.contains("overload") || problem.contains("overflow"))
        },
    },
    Exception {
        name: "cel-python: functions of a joined text",
        reason: "what cel-python's `+` joins is no longer a text of CEL to it, and has no `contains`",
        applies: |case| {
            case.oracle == "cel-python"
                && matches!(case.node.form, Form::Method("contains"))
                && matches!(case.ours, Ours::Known(_))
                && matches!(case.theirs, Answer::Failed(problem) if problem.contains("'str' object has no attribute 'contains'"))
        },
    },
    Exception {
        name: "cel-python: two escapes",
        reason: r"the specification has the escapes `\?` and `` \` ``; cel-python leaves their backslash in the text",
        applies: |case| {
            case.oracle == "cel-python"
                && matches!(&case.node.form, Form::Literal { cel, .. } if cel.contains(r"\?\`"))
        },
    },
    Exception {
        name: "cel-python: the smallest whole number % -1",
        reason: "out of range in CEL, as its division is; cel-python, whose numbers have no end, answers 0",
        applies: |case| {
            case.oracle == "cel-python"
                && case.node.form == Form::Binary("%")
                && *case.ours == Ours::Unknown
                && matches!(case.theirs, Answer::Known(Value::Int(0)))
                && matches!(
                    case.parts,
                    [
                        Answer::Known(Value::Int(i64::MIN)),
                        Answer::Known(Value::Int(-1))
                    ]
                )
        },
    },
    Exception {
        name: "cel-python: line breaks in texts",
        reason: "cel-python leaves out the line breaks of a text between triple quotes",
        applies: |case| {
            case.oracle == "cel-python"
                && matches!(&case.node.form, Form::Literal { cel, .. } if cel.contains('\n'))
        },
    },
    Exception {
        name: "cel-python: an error inside `filter`",
        reason: "in CEL `error && false` is false and `error || true` is true; in cel-python an error inside `filter` gets past both",
        applies: |case| {
            let decides = match case.node.form {
                Form::And { .. } => Value::Bool(false),
                Form::Or { .. } => Value::Bool(true),
                _ => return false,
            };
            case.oracle == "cel-python"
                && matches!(case.theirs, Answer::Failed(_))
                && case
                    .parts
                    .iter()
                    .any(|part| matches!(part, Answer::Known(value) if *value == decides))
                && filters(case.node)
        },
    },
    Exception {
        name: "cel-python: an error it cannot write down",
        reason: "an error in `_ ? _ : _` with `[]` in it ends cel-python's own printing of expressions, and so the whole evaluation, whatever stands beside it",
        applies: |case| {
            case.oracle == "cel-python"
                && matches!(case.ours, Ours::Known(_))
                && matches!(case.theirs, Answer::Failed(problem) if problem == "IndexError: pop from empty list")
                && case.node.text(Dialect::Cel).contains("[]")
        },
    },
];

/// Whether something that is asked of a list has a value for us and none for the oracle, to which a part of the
/// list has none.
fn list_fails(case: &Case<'_>) -> bool {
    let over_list = matches!(
        case.node.form,
        Form::Binary("in") | Form::Size { .. } | Form::Macro { .. }
    );
    let has_failed = |part: &Answer| matches!(part, Answer::Failed(_));
    matches!(case.ours, Ours::Known(_) | Ours::Other(_))
        && has_failed(case.theirs)
        && over_list
        && case.parts.iter().any(has_failed)
}

/// Whether a list is filtered anywhere in it: counting is filtering in CEL.
fn filters(node: &Node) -> bool {
    matches!(
        node.form,
        Form::Macro {
            which: "count" | "filter",
            ..
        }
    ) || node.parts.iter().any(filters)
}

fn compares_int_with_float(node: &Node) -> bool {
    let comparison = matches!(
        node.form,
        Form::Binary("==" | "!=" | "<" | "<=" | ">" | ">=" | "in")
    );
    let [a, b] = node.parts.as_slice() else {
        return false;
    };
    let b = b.ty.element().unwrap_or(b.ty);
    comparison && [(Ty::Int, Ty::Float), (Ty::Float, Ty::Int)].contains(&(a.ty, b))
}

fn writes_list(node: &Node) -> bool {
    node.form == Form::List
        || node
            .parts
            .iter()
            .any(|part| !part.ty.is_scalar() && writes_list(part))
}

fn beyond_exact(answer: &Answer) -> bool {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match answer {
        Answer::Known(Value::Int(n)) => n.unsigned_abs() >= 1 << 53,
        Answer::Known(Value::Float(f)) => f.abs() >= EXACT,
        _ => false,
    }
}

// ---- comparing ----

/// How a comparison ended.
pub(crate) enum Ended {
    /// The two say the same, or differ for the named reasons.
    Agreed {
        ours: Ours,
        exceptions: Vec<&'static str>,
    },
    /// The checker refuses what CEL lets fail at run time.
    Refused(String),
    Disagreed(Box<Disagreement>),
}

/// All that is needed to see where the two part.
pub(crate) struct Disagreement {
    whole: Node,
    smallest: Node,
    ours: Ours,
    theirs: Answer,
    event: String,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "expression:  {}",
            one_line(&self.whole.text(Dialect::Ours))
        )?;
        writeln!(
            f,
            "in CEL:      {}",
            one_line(&self.whole.text(Dialect::Cel))
        )?;
        writeln!(
            f,
            "smallest:    {}",
            one_line(&self.smallest.text(Dialect::Ours))
        )?;
        writeln!(
            f,
            "in CEL:      {}",
            one_line(&self.smallest.text(Dialect::Cel))
        )?;
        writeln!(f, "ours:        {:?}", self.ours)?;
        writeln!(f, "theirs:      {:?}", self.theirs)?;
        write!(f, "event:       {}", self.event)
    }
}

fn one_line(text: &str) -> String {
    text.replace('\n', "⏎")
}

/// Compares the two, given what the oracle says of the whole.
pub(crate) fn compare(
    node: &Node,
    theirs: Answer,
    scene: &Scene,
    schema: &Schema,
    oracle: &mut dyn Oracle,
) -> Ended {
    let found = match ours(node, &theirs, scene, schema) {
        Ok(found) => found,
        Err(reason) => return Ended::Refused(reason),
    };
    let mut exceptions = Vec::new();
    if !agree(&found, &theirs) {
        let mut settling = Settling {
            scene,
            schema,
            oracle,
        };
        if let Err(disagreement) = settling.settle(node, &mut exceptions) {
            return Ended::Disagreed(Box::new(disagreement));
        }
    }
    Ended::Agreed {
        ours: found,
        exceptions,
    }
}

/// How a value is written.
type Written = fn(&Value, Ty) -> Node;

/// What our answer begins with where the checker refuses a part.
const REFUSED: &str = "refused: ";

struct Settling<'s> {
    scene: &'s Scene,
    schema: &'s Schema,
    oracle: &'s mut dyn Oracle,
}

/// A part on which the two differ, and what they say: by its place, from the root down.
struct Difference {
    path: Vec<usize>,
    ours: Ours,
    theirs: Answer,
}

impl Settling<'_> {
    /// Replaces what differs for a named reason, until nothing differs any more.
    fn settle(&mut self, whole: &Node, used: &mut Vec<&'static str>) -> Result<(), Disagreement> {
        let mut now = whole.clone();
        // Each round replaces a part by a literal or a macro by its body: a few dozen are plenty.
        for _ in 0..200 {
            let Some(Difference { path, ours, theirs }) = self.smallest(&now) else {
                return Ok(());
            };
            let place = at(&mut now, &path);
            let parts = self.parts(place);
            let case = Case {
                oracle: self.oracle.name(),
                node: place,
                ours: &ours,
                theirs: &theirs,
                parts: &parts,
                scene: self.scene,
            };
            if let Some(exception) = EXCEPTIONS
                .iter()
                .find(|exception| (exception.applies)(&case))
            {
                used.push(exception.name);
                *place = stand_in(place.ty, &ours);
            } else if let Some(unrolled) = self.unrolled_differing(place) {
                *place = unrolled;
            } else {
                let (smallest, event) = (self.simpler(place.clone()), self.scene.json.clone());
                return Err(Disagreement {
                    whole: whole.clone(),
                    smallest,
                    ours,
                    theirs,
                    event,
                });
            }
        }
        let (ours, theirs) = (
            Ours::Other("no end of differences".to_owned()),
            Answer::Unreadable(String::new()),
        );
        Err(Disagreement {
            whole: whole.clone(),
            smallest: now,
            ours,
            theirs,
            event: self.scene.json.clone(),
        })
    }

    /// What the two say of a part, if it is not the same. No part of what passed the checker is refused.
    fn difference(&mut self, node: &Node) -> Option<(Ours, Answer)> {
        let theirs = self.oracle.answer(&node.text(Dialect::Cel), self.scene);
        let ours = ours(node, &theirs, self.scene, self.schema)
            .unwrap_or_else(|reason| Ours::Other(format!("{REFUSED}{reason}")));
        (!agree(&ours, &theirs)).then_some((ours, theirs))
    }

    /// The smallest part on which the two differ. The bodies of macros are not looked into, since
    /// their variables mean nothing outside.
    fn smallest(&mut self, node: &Node) -> Option<Difference> {
        if let Some((ours, theirs)) = node.ty.is_scalar().then(|| self.difference(node)).flatten() {
            let inside = self.smallest_inside(node);
            return inside.or(Some(Difference {
                path: Vec::new(),
                ours,
                theirs,
            }));
        }
        // A list has no answer of its own, but what it is made of has.
        if node.ty.is_scalar() {
            None
        } else {
            self.smallest_inside(node)
        }
    }

    fn smallest_inside(&mut self, node: &Node) -> Option<Difference> {
        for (at, part) in closed_parts(node).iter().enumerate() {
            if let Some(mut found) = self.smallest(part) {
                found.path.insert(0, at);
                return Some(found);
            }
        }
        None
    }

    /// The oracle's answers to what a part is made of.
    fn parts(&mut self, node: &Node) -> Vec<Answer> {
        let mut answers = Vec::new();
        for part in closed_parts(node) {
            if part.ty.is_scalar() {
                answers.push(self.oracle.answer(&part.text(Dialect::Cel), self.scene));
            } else {
                answers.extend(self.elements(part));
            }
        }
        answers
    }

    fn elements(&mut self, list: &Node) -> Vec<Answer> {
        if is_filter(list) {
            let kept = self.kept_elements(list, Node::literal).unwrap_or_default();
            let asked = kept
                .into_iter()
                .flat_map(|(conditions, element)| conditions.into_iter().chain([element]));
            return asked
                .map(|it| self.oracle.answer(&it.text(Dialect::Cel), self.scene))
                .collect();
        }
        if let Form::Field { root, name } = list.form {
            return match self.scene.field(root, name) {
                Some(Value::List(items)) => items.iter().cloned().map(Answer::Known).collect(),
                _ => Vec::new(),
            };
        }
        self.parts(list)
    }

    /// A macro over a list that is known, as its body for each element, where the two still differ. A zero is
    /// written as one, or as a sum where our checker sees that something is divided by it; to cel-python a
    /// sum of floats is no longer one of CEL's.
    fn unrolled_differing(&mut self, node: &Node) -> Option<Node> {
        for written in [Node::literal, Node::value] {
            let unrolled = self.unrolled(node, written)?;
            match self.difference(&unrolled) {
                Some((Ours::Other(said), _)) if said.starts_with(REFUSED) => {}
                Some(_) => return Some(unrolled),
                None => {}
            }
        }
        None
    }

    fn unrolled(&mut self, node: &Node, written: Written) -> Option<Node> {
        let (which, list, body) = match (&node.form, node.parts.as_slice()) {
            (Form::Macro { which, variable }, [list, body]) => {
                (*which, list, Some((*variable, body)))
            }
            // The size of what is filtered is a count, and to be in it is to be one of them.
            (Form::Size { .. }, [list]) if is_filter(list) => ("count", list, None),
            (Form::Binary("in"), [_, list]) if is_filter(list) => ("exists", list, None),
            _ => return None,
        };
        let (first, form, ty) = match which {
            "exists" => (Value::Bool(false), Form::Or { word: false }, Ty::Bool),
            "all" => (Value::Bool(true), Form::And { word: false }, Ty::Bool),
            "count" => (Value::Int(0), Form::Binary("+"), Ty::Int),
            _ => return None,
        };
        let elements = self.kept_elements(list, written)?;
        let of_each = elements.into_iter().map(|(conditions, element)| {
            let holds = match (&node.form, body) {
                (_, Some((variable, body))) => Some(replaced(body, variable, &element)),
                (Form::Binary(_), None) => Some(Node::new(
                    Form::Binary("=="),
                    Ty::Bool,
                    vec![element, node.parts[0].clone()],
                )),
                _ => None,
            };
            joined(which, conditions, holds)
        });
        let one = |body: Node| match which {
            "count" => {
                let (yes, no) = (
                    Node::literal(&Value::Int(1), Ty::Int),
                    Node::literal(&Value::Int(0), Ty::Int),
                );
                Node::new(Form::Choose, Ty::Int, vec![body, yes, no])
            }
            _ => body,
        };
        let first = Node::literal(&first, ty);
        Some(of_each.map(one).fold(first, |all, next| {
            Node::new(form.clone(), ty, vec![all, next])
        }))
    }

    /// The elements of a list, each with the conditions of the filters it has to pass.
    fn kept_elements(&mut self, list: &Node, written: Written) -> Option<Vec<(Vec<Node>, Node)>> {
        if let (
            Form::Macro {
                which: "filter",
                variable,
            },
            [list, body],
        ) = (&list.form, list.parts.as_slice())
        {
            let mut kept = self.kept_elements(list, written)?;
            for (conditions, element) in &mut kept {
                conditions.push(replaced(body, variable, element));
            }
            return Some(kept);
        }
        let elements = self.written_elements(list, written)?;
        Some(elements.into_iter().map(|it| (Vec::new(), it)).collect())
    }

    /// The elements of a list that is written out, a field, or a choice between such lists.
    fn written_elements(&mut self, list: &Node, written: Written) -> Option<Vec<Node>> {
        match &list.form {
            Form::List => Some(list.parts.clone()),
            Form::Field { root, name } => match self.scene.field(root, name)? {
                Value::List(items) => {
                    let of = list.ty.element()?;
                    Some(items.iter().map(|item| written(item, of)).collect())
                }
                _ => None,
            },
            Form::Choose => match self
                .oracle
                .answer(&list.parts[0].text(Dialect::Cel), self.scene)
            {
                Answer::Known(Value::Bool(yes)) => {
                    self.written_elements(&list.parts[if yes { 1 } else { 2 }], written)
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// The same difference with the values of its parts in their place, where it stays one.
    fn simpler(&mut self, mut node: Node) -> Node {
        for at in 0..closed_parts(&node).len() {
            let part = node.parts[at].clone();
            if !part.ty.is_scalar() {
                continue;
            }
            node.parts[at] = match self.oracle.answer(&part.text(Dialect::Cel), self.scene) {
                Answer::Known(value) => Node::value(&value, part.ty),
                _ => Node::unknown(part.ty),
            };
            if self.difference(&node).is_none() {
                node.parts[at] = part;
            }
        }
        node
    }
}

fn is_filter(node: &Node) -> bool {
    matches!(
        node.form,
        Form::Macro {
            which: "filter",
            ..
        }
    )
}

/// What a macro asks of one element that has to pass filters first.
fn joined(which: &str, conditions: Vec<Node>, holds: Option<Node>) -> Node {
    let (form, negated) = match which {
        "all" => (Form::Or { word: false }, true),
        _ => (Form::And { word: false }, false),
    };
    let conditions = conditions.into_iter().map(|condition| {
        if negated {
            Node::new(Form::Not { word: false }, Ty::Bool, vec![condition])
        } else {
            condition
        }
    });
    let parts = conditions.chain(holds);
    let join = |a, b| Node::new(form.clone(), Ty::Bool, vec![a, b]);
    parts
        .reduce(join)
        .unwrap_or_else(|| Node::literal(&Value::Bool(true), Ty::Bool))
}

/// The parts that mean something by themselves.
fn closed_parts(node: &Node) -> &[Node] {
    match node.form {
        Form::Macro { .. } => &node.parts[..1],
        _ => &node.parts,
    }
}

fn at<'n>(node: &'n mut Node, path: &[usize]) -> &'n mut Node {
    path.iter().fold(node, |node, step| &mut node.parts[*step])
}

/// Our answer, as an expression both languages agree on; what cannot be written is unknown.
fn stand_in(ty: Ty, ours: &Ours) -> Node {
    match ours {
        Ours::Known(value) => Node::value(value, ty),
        _ => Node::unknown(ty),
    }
}

/// The body with an element in the variable's place.
fn replaced(body: &Node, variable: &str, element: &Node) -> Node {
    if body.form == Form::Variable(if variable == "x" { "x" } else { "y" }) {
        return element.clone();
    }
    let mut out = body.clone();
    out.parts = body
        .parts
        .iter()
        .map(|part| replaced(part, variable, element))
        .collect();
    out
}

// ---- tallies ----

/// What was compared and how it ended.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) compared: u64,
    pub(crate) refused: BTreeMap<String, u64>,
    pub(crate) yes: u64,
    pub(crate) no: u64,
    pub(crate) value: u64,
    pub(crate) unknown: u64,
    pub(crate) kinds: BTreeMap<String, u64>,
    /// Uses of each exception, and in how many expressions any was needed.
    pub(crate) exceptions: BTreeMap<&'static str, u64>,
    pub(crate) with_exceptions: u64,
    pub(crate) disagreed: u64,
}

impl Tally {
    /// Adds one ended comparison, and hands back what was no agreement.
    pub(crate) fn add(&mut self, node: &Node, ended: Ended) -> Option<Box<Disagreement>> {
        match ended {
            Ended::Refused(reason) => {
                let kind = kind_of(&reason);
                *self.refused.entry(kind).or_default() += 1;
                None
            }
            Ended::Agreed { ours, exceptions } => {
                self.compared += 1;
                node.count(&mut self.kinds);
                match ours {
                    Ours::Known(Value::Bool(true)) => self.yes += 1,
                    Ours::Known(Value::Bool(false)) => self.no += 1,
                    Ours::Known(_) | Ours::Other(_) => self.value += 1,
                    Ours::Unknown => self.unknown += 1,
                }
                self.with_exceptions += u64::from(!exceptions.is_empty());
                for name in exceptions {
                    *self.exceptions.entry(name).or_default() += 1;
                }
                None
            }
            Ended::Disagreed(disagreement) => {
                self.disagreed += 1;
                Some(disagreement)
            }
        }
    }

    /// Refusals that say the generator made a mistake: what it writes is well typed and well formed.
    pub(crate) fn unexpected_refusals(&self) -> Vec<&str> {
        let expected =
            |kind: &str| kind.contains("division by zero") || kind.contains("costs up to");
        self.refused
            .keys()
            .map(String::as_str)
            .filter(|kind| !expected(kind))
            .collect()
    }

    /// Adds another tally.
    pub(crate) fn merge(&mut self, other: Self) {
        let add = |into: &mut BTreeMap<String, u64>, from: BTreeMap<String, u64>| {
            for (name, n) in from {
                *into.entry(name).or_default() += n;
            }
        };
        self.compared += other.compared;
        self.yes += other.yes;
        self.no += other.no;
        self.value += other.value;
        self.unknown += other.unknown;
        self.with_exceptions += other.with_exceptions;
        self.disagreed += other.disagreed;
        add(&mut self.refused, other.refused);
        add(&mut self.kinds, other.kinds);
        for (name, n) in other.exceptions {
            *self.exceptions.entry(name).or_default() += n;
        }
    }
}

/// The first error without what it quotes, so that like reasons are counted together.
fn kind_of(reason: &str) -> String {
    let error = reason
        .lines()
        .find(|line| line.contains("error"))
        .unwrap_or(reason);
    let unquoted = error.split('`').step_by(2).collect::<Vec<&str>>().join("…");
    unquoted.chars().filter(|c| !c.is_ascii_digit()).collect()
}

/// The declarations both sides are checked against.
pub(crate) fn declared() -> Schema {
    schema()
}
