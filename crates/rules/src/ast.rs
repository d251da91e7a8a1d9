//! The syntax tree: what an author wrote, with its places, before anybody asked whether it makes sense.

use crate::diagnostic::Span;
use jiff::SignedDuration;

/// A thing and where it is written.
#[derive(Debug, Clone)]
pub(crate) struct Spanned<T> {
    pub(crate) node: T,
    pub(crate) span: Span,
}

/// The rules and tests of one file.
#[derive(Debug, Default)]
pub(crate) struct File {
    pub(crate) rules: Vec<Rule>,
    pub(crate) counters: Vec<Counter>,
    pub(crate) tests: Vec<Test>,
    pub(crate) lexicons: Vec<Lexicon>,
}

/// `lexicon name level folded { "…", "…" }`
#[derive(Debug)]
pub(crate) struct Lexicon {
    pub(crate) name: Spanned<String>,
    pub(crate) level: Option<Spanned<String>>,
    pub(crate) phrases: Vec<Spanned<String>>,
}

/// `rule name { … }`. Missing parts are missed by the checker, so that all are named at once.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) name: Spanned<String>,
    /// From `rule` to the closing brace.
    pub(crate) span: Span,
    /// SHA-256 over the tokens, so that comments and layout do not make a new version.
    pub(crate) hash: [u8; 32],
    pub(crate) on: Vec<Spanned<String>>,
    pub(crate) mode: Option<Mode>,
    pub(crate) policy: Option<Spanned<String>>,
    /// Each with the language it is in, if the author says.
    pub(crate) reasons: Vec<(Option<Spanned<String>>, Spanned<String>)>,
    pub(crate) once: Option<Once>,
    pub(crate) limits: Vec<Limit>,
    pub(crate) when: Option<Expr>,
    pub(crate) then: Option<Vec<Effect>>,
    /// Whether a part was given but could not be read, so that it is not reported as missing too.
    pub(crate) broken: bool,
}

/// `live`, or `live 10%`.
#[derive(Debug)]
pub(crate) struct Mode {
    pub(crate) word: Spanned<String>,
    /// In percent.
    pub(crate) share: Option<Spanned<f64>>,
}

/// `once per account.id over 24h`.
#[derive(Debug)]
pub(crate) struct Once {
    pub(crate) by: Vec<Expr>,
    pub(crate) over: Expr,
    pub(crate) span: Span,
}

/// `100 per hour`.
#[derive(Debug)]
pub(crate) struct Limit {
    pub(crate) number: Expr,
    pub(crate) per: Spanned<String>,
}

/// `counter burst = count(post.created) by account.id over 1h`.
#[derive(Debug)]
pub(crate) struct Counter {
    pub(crate) name: Spanned<String>,
    /// From `counter` to its end.
    pub(crate) span: Span,
    /// SHA-256 over the tokens.
    pub(crate) hash: [u8; 32],
    /// `count`, `distinct`, `sum` or `last`.
    pub(crate) function: Spanned<String>,
    /// What is looked at; `count` takes event types instead.
    pub(crate) value: Option<Expr>,
    pub(crate) on: Vec<Spanned<String>>,
    pub(crate) by: Vec<Expr>,
    pub(crate) over: Option<Expr>,
    pub(crate) filter: Option<Expr>,
    pub(crate) broken: bool,
}

/// `remove(content)`, in `then` and in `expect`.
#[derive(Debug)]
pub(crate) struct Effect {
    pub(crate) name: Spanned<String>,
    pub(crate) args: Vec<Arg>,
    pub(crate) span: Span,
}

/// An argument, `8` or `priority: 8`.
#[derive(Debug)]
pub(crate) struct Arg {
    pub(crate) name: Option<Spanned<String>>,
    pub(crate) value: Expr,
}

/// `test "…" { … }`.
#[derive(Debug)]
pub(crate) struct Test {
    pub(crate) name: Spanned<String>,
    pub(crate) at: Option<Spanned<String>>,
    /// Events that came before, each so many times.
    pub(crate) before: Vec<(u32, Json)>,
    pub(crate) given: Vec<Given>,
    pub(crate) event: Option<Json>,
    pub(crate) media: Vec<Json>,
    pub(crate) matches: Vec<Json>,
    pub(crate) members: Vec<Members>,
    pub(crate) expect: Vec<Expect>,
    pub(crate) broken: bool,
}

/// A JSON object inside a test: `text` has the length of `span`, with comments blanked out.
#[derive(Debug)]
pub(crate) struct Json {
    pub(crate) text: String,
    pub(crate) span: Span,
}

/// What a test takes for granted: `given counter burst = 12`, `given label account "watched"`, `given strikes = 3`,
/// `given set "trusted" { "a-19" }`.
#[derive(Debug)]
pub(crate) enum Given {
    Counter(Spanned<String>, Expr),
    Label(Spanned<String>, Spanned<String>),
    Strikes(Expr),
    Set(Spanned<String>, Vec<Spanned<String>>),
}

/// `members "BANK" { text "…", url "…" }`.
#[derive(Debug)]
pub(crate) struct Members {
    pub(crate) bank: Spanned<String>,
    pub(crate) members: Vec<(Spanned<String>, Spanned<String>)>,
}

/// One thing a test expects.
#[derive(Debug)]
pub(crate) enum Expect {
    Nothing(Span),
    Verdict { rule: Spanned<String>, fires: bool },
    Action(Effect),
}

/// An expression, its place, and how deep it nests.
#[derive(Debug)]
pub(crate) struct Expr {
    pub(crate) kind: ExprKind,
    pub(crate) span: Span,
    pub(crate) depth: u16,
}

/// What an expression is.
#[derive(Debug)]
pub(crate) enum ExprKind {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Duration(SignedDuration),
    List(Vec<Expr>),
    Name(String),
    Field(Box<Expr>, Spanned<String>),
    /// `map["key"]`
    Index(Box<Expr>, Box<Expr>),
    Call {
        receiver: Option<Box<Expr>>,
        name: Spanned<String>,
        args: Vec<Arg>,
    },
    Not(Box<Expr>),
    Negate(Box<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Binary(Binary, Box<Expr>, Box<Expr>),
    Choose(Box<Expr>, Box<Expr>, Box<Expr>),
}

/// Operators with two operands, `&&` and `||` aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binary {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Binary {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::In => "in",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }
}

impl ExprKind {
    /// How deep the operands nest.
    pub(crate) fn depth_inside(&self) -> u16 {
        let deepest = |exprs: &[Expr]| exprs.iter().map(|e| e.depth).max().unwrap_or(0);
        match self {
            Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::Text(_)
            | Self::Duration(_)
            | Self::Name(_) => 0,
            Self::List(items) | Self::And(items) | Self::Or(items) => deepest(items),
            Self::Field(inner, _) | Self::Not(inner) | Self::Negate(inner) => inner.depth,
            Self::Call { receiver, args, .. } => {
                let args = args.iter().map(|a| a.value.depth).max().unwrap_or(0);
                args.max(receiver.as_ref().map_or(0, |r| r.depth))
            }
            Self::Binary(_, left, right) | Self::Index(left, right) => left.depth.max(right.depth),
            Self::Choose(a, b, c) => a.depth.max(b.depth).max(c.depth),
        }
    }
}
