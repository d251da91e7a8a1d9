//! Checking calls of the library's functions by their entries in its table, and what is asked of
//! banks and lexicons.

use super::expr::{Checker, a};
use crate::ast::{Arg, Expr, ExprKind, Spanned};
use crate::diagnostic::Span;
use crate::lexer::shown;
use crate::library::{
    self, Function, Given, GivenLiteral, How, Need, On, Param, Prepared, Refused, Wants, Workshop,
};
use crate::schema::{self, Field, ROOTS};
use crate::suggest::{did_you_mean, did_you_mean_or_list};
use crate::typed::{Kind, Lookup, Target, Typed};
use crate::types::{Shape, Type};
use manara_model::{BankName, EntityType};
use manara_signal::SignalType;
use sha2::{Digest, Sha256};

/// Largest distance a rule may ask for, in bits: images are looked up no further.
const DISTANCE_MAX: i64 = 31;
/// The same of texts and names, whose distances are percent or points; see the signal types.
const TEXT_DISTANCE_MAX: i64 = 100;

/// How near and how good a find must be.
#[derive(Debug, Default, Clone, Copy)]
struct Strictness {
    distance_max: Option<u32>,
    quality_min: Option<u8>,
}

impl Checker<'_, '_> {
    // ---- functions of the table ----

    /// A call of a function that has an entry of its own in the table. `subject` is what it is
    /// called on, if anything.
    pub(super) fn call(
        &mut self,
        function: &'static Function,
        subject: Option<Typed>,
        args: &[Arg],
        span: Span,
    ) -> Typed {
        let How::Run { prepare, run } = function.how else {
            return Typed::wrong(span);
        };
        let Some(bound) = self.bind(function, args, span) else {
            return Typed::wrong(span);
        };
        let mut subject = subject;
        let mut given = Vec::with_capacity(bound.len());
        for (param, arg) in function.params.iter().zip(&bound) {
            let Some(arg) = arg else {
                given.push(None);
                continue;
            };
            match self.argument(function, param, arg) {
                Some(Argument::Literal(literal)) => given.push(Some(literal)),
                Some(Argument::Value(value)) => {
                    subject = Some(value);
                    given.push(None);
                }
                None => return Typed::wrong(span),
            }
        }
        let mut shop = Workshop {
            shared: &mut *self.shared,
            rule: self.rule,
        };
        match prepare(&Given(given), &mut shop) {
            Ok(prepared) => {
                let kept = subject
                    .as_ref()
                    .is_some_and(|subject| self.is_kept_link(subject));
                let mut call = of_call(function, run.ty(), subject, prepared, span);
                if let Some(cost) = function.cost_of_kept_link().filter(|_| kept) {
                    call.cost = cost;
                }
                call
            }
            Err(refused) => {
                let at = bound.get(refused.param).copied().flatten();
                self.refused_argument(refused, at.map_or(span, |arg| arg.span));
                Typed::wrong(span)
            }
        }
    }

    /// Reports a refused argument, at the part of its text that is wrong if that can be told.
    fn refused_argument(&mut self, refused: Refused, span: Span) {
        let written = self.problems.text_at(span);
        let open = written.find(['"', '\'']).unwrap_or(0);
        let quote = ["\"\"\"", "'''"]
            .iter()
            .find(|q| {
                written
                    .get(open..)
                    .is_some_and(|rest| rest.starts_with(**q))
            })
            .map_or(1, |q| q.len());
        // Where escapes were read, places in the text are not those in what is written.
        let as_written = written.starts_with(['r', 'R']) || !written.contains('\\');
        let at = match refused.at {
            Some(range) if as_written => {
                let from = span.start + open + quote;
                Span {
                    start: from + range.start,
                    end: from + range.end.max(range.start),
                }
            }
            _ => span,
        };
        let at = if at.end <= span.end { at } else { span };
        self.problems.error_hint(at, refused.message, refused.hint);
    }

    /// Which argument is given for which parameter.
    fn bind<'g>(
        &mut self,
        function: &Function,
        args: &'g [Arg],
        span: Span,
    ) -> Option<Vec<Option<&'g Expr>>> {
        let name = function.name;
        let mut bound: Vec<Option<&Expr>> = function.params.iter().map(|_| None).collect();
        let mut given = 0;
        for arg in args {
            let place = match &arg.name {
                None => {
                    given += 1;
                    let mut places = function.params.iter().enumerate();
                    let free = places.find(|(at, param)| {
                        param.need != Need::Named && bound.get(*at).is_some_and(Option::is_none)
                    });
                    free.map(|(at, _)| at)
                }
                Some(written) => Some(self.named(function, written)?),
            };
            let Some(slot) = place.and_then(|at| bound.get_mut(at)) else {
                self.wrong_number(function, args, given, span);
                return None;
            };
            if slot.replace(&arg.value).is_some() {
                let message = format!("`{name}` is given the same argument twice");
                self.problems
                    .error_hint(arg.value.span, message, "keep one of the two");
                return None;
            }
        }
        let missing = function.params.iter().zip(&bound);
        if missing
            .into_iter()
            .any(|(p, b)| p.need == Need::Must && b.is_none())
        {
            self.wrong_number(function, args, given, span);
            return None;
        }
        Some(bound)
    }

    fn named(&mut self, function: &Function, written: &Spanned<String>) -> Option<usize> {
        let named: Vec<&str> = function
            .params
            .iter()
            .filter(|param| param.need != Need::Must)
            .map(|param| param.name)
            .collect();
        let at = function
            .params
            .iter()
            .position(|param| param.need != Need::Must && param.name == written.node);
        if at.is_none() {
            let (message, hint) = if named.is_empty() {
                (
                    format!("`{}` takes no named arguments", function.name),
                    format!("leave `{}:` out", shown(&written.node)),
                )
            } else {
                (
                    format!(
                        "`{}` has no argument `{}`",
                        function.name,
                        shown(&written.node)
                    ),
                    did_you_mean_or_list(&written.node, &named),
                )
            };
            self.problems.error_hint(written.span, message, hint);
        }
        at
    }

    fn wrong_number(&mut self, function: &Function, args: &[Arg], given: usize, span: Span) {
        let by_place = function.params.iter().filter(|p| p.need != Need::Named);
        let (most, least) = by_place.fold((0, 0), |(most, least), param| {
            (most + 1, least + usize::from(param.need == Need::Must))
        });
        let given = if args.is_empty() { 0 } else { given };
        let at_most = if most == least { "" } else { "at most " };
        let plural = if most == 1 { "" } else { "s" };
        let message = format!(
            "`{}` takes {at_most}{most} argument{plural}, {given} given",
            function.name
        );
        self.problems
            .error_hint(span, message, format!("for example `{}`", function.example));
    }

    fn argument<'g>(
        &mut self,
        function: &Function,
        param: &Param,
        arg: &'g Expr,
    ) -> Option<Argument<'g>> {
        match (param.wants, &arg.kind) {
            (Wants::LiteralText(..), ExprKind::Text(text)) => {
                Some(Argument::Literal(GivenLiteral::Text(text)))
            }
            (Wants::LiteralNumber(..), ExprKind::Int(number)) => {
                Some(Argument::Literal(GivenLiteral::Number(*number as f64)))
            }
            (Wants::LiteralNumber(..), ExprKind::Float(number)) => {
                Some(Argument::Literal(GivenLiteral::Number(*number)))
            }
            (Wants::LiteralText(noun, hint), _) => {
                let message = format!("`{}` takes {noun} in quotes", function.name);
                self.problems.error_hint(arg.span, message, hint);
                None
            }
            (Wants::LiteralNumber(noun, hint), _) => {
                let message = format!("`{}` takes {noun} written out", function.name);
                self.problems.error_hint(arg.span, message, hint);
                None
            }
            (Wants::Value(shapes), _) => self
                .value_argument(function, shapes, arg)
                .map(Argument::Value),
            (Wants::Own(_), _) => None,
        }
    }

    fn value_argument(
        &mut self,
        function: &Function,
        shapes: &[Shape],
        arg: &Expr,
    ) -> Option<Typed> {
        let value = self.expr(arg);
        if value.is_wrong() {
            return None;
        }
        if shapes.iter().any(|shape| value.ty == shape.ty()) {
            return Some(value);
        }
        let wanted: Vec<String> = shapes.iter().map(|shape| a(&shape.ty())).collect();
        let message = format!(
            "`{}` takes {}, this is {}",
            function.name,
            wanted.join(" or "),
            a(&value.ty)
        );
        let hint = format!("for example `{}`", function.example);
        self.problems.error_hint(value.span, message, hint);
        None
    }

    // ---- lexicons ----

    /// `lexicon("name").count(text)`
    pub(super) fn lexicon(
        &mut self,
        lexicon: (&[Arg], Span),
        name: &Spanned<String>,
        args: &[Arg],
        span: Span,
    ) -> Typed {
        let number = self.lexicon_number(lexicon.0, lexicon.1);
        let Some(function) = library::find(On::Lexicon, &name.node) else {
            let known = library::names(On::Lexicon);
            let hint = did_you_mean_or_list(&name.node, &known);
            let message = format!("a lexicon has no function `{}`", shown(&name.node));
            return self.wrong(name.span, message, hint);
        };
        let call = self.call(function, None, args, span);
        match (call.kind, number) {
            (
                Kind::Call {
                    function, subject, ..
                },
                Some(number),
            ) => Typed::new(
                Kind::Call {
                    function,
                    subject,
                    prepared: Prepared::Lexicon(number),
                },
                call.ty,
                span,
            ),
            _ => Typed::wrong(span),
        }
    }

    fn lexicon_number(&mut self, args: &[Arg], span: Span) -> Option<usize> {
        let [arg] = self.arguments::<1>("lexicon", args, span)?;
        let ExprKind::Text(name) = &arg.kind else {
            let hint = "for example `lexicon(\"shop_words\")`";
            let message = "`lexicon` takes the lexicon's name in quotes";
            self.problems.error_hint(arg.span, message, hint);
            return None;
        };
        let lexicons = self.lexicons;
        if let Some(known) = lexicons.and_then(|lexicons| lexicons.get(name)) {
            self.lexicon_hashes.push(known.hash);
            return Some(known.number);
        }
        let names = lexicons.map_or_else(Vec::new, |lexicons| lexicons.names());
        let hint = did_you_mean(name, names).unwrap_or_else(|| {
            format!(
                "write it in a rule file: `lexicon {} {{ \"…\" }}`",
                shown(name)
            )
        });
        let message = format!("there is no lexicon `{}`", shown(name));
        self.problems.error_hint(arg.span, message, hint);
        None
    }

    /// The hash of a rule or counter with those of the lexicons and counters it asks, so that it is another
    /// version once one of them changes.
    pub(crate) fn hash_with_asked(&self, hash: [u8; 32], counters: &[[u8; 32]]) -> [u8; 32] {
        if self.lexicon_hashes.is_empty() && counters.is_empty() {
            return hash;
        }
        let mut hasher = Sha256::new();
        hasher.update(hash);
        for asked in self.lexicon_hashes.iter().chain(counters) {
            hasher.update(asked);
        }
        hasher.finalize().into()
    }

    // ---- banks ----

    pub(super) fn bank(
        &mut self,
        bank: (&[Arg], Span),
        name: &Spanned<String>,
        args: &[Arg],
        span: Span,
    ) -> Typed {
        let bank = self.bank_name(bank.0, bank.1);
        let lookup = match name.node.as_str() {
            "matches" | "count" => self.lookup_args(args, span, true),
            "distance" | "form" => self.lookup_args(args, span, false),
            other => {
                let hint = did_you_mean_or_list(other, &library::names(On::Bank));
                return self.wrong(
                    name.span,
                    format!("a bank has no function `{}`", shown(other)),
                    hint,
                );
            }
        };
        let (Some(bank), Some((target, strictness))) = (bank, lookup) else {
            return Typed::wrong(span);
        };
        self.finds_media |= matches!(
            target,
            Target::Medium { .. } | Target::AllMedia | Target::Content
        );
        let widest_default = SignalType::ALL
            .iter()
            .map(|t| t.default_distance())
            .max()
            .unwrap_or(0);
        let asked = self.banks.entry(bank.clone()).or_default();
        *asked = (*asked).max(strictness.distance_max.unwrap_or(widest_default));
        let lookup = Lookup {
            bank,
            target,
            distance_max: strictness.distance_max,
            quality_min: strictness.quality_min,
        };
        match name.node.as_str() {
            "matches" => Typed::new(Kind::Matches(lookup), Type::Bool, span),
            "count" => Typed::new(Kind::Members(lookup), Type::Int, span),
            "form" => Typed::new(Kind::Form(lookup), Type::String, span),
            _ => Typed::new(Kind::Distance(lookup), Type::Int, span),
        }
    }

    fn bank_name(&mut self, args: &[Arg], span: Span) -> Option<BankName> {
        let [arg] = self.arguments::<1>("bank", args, span)?;
        let ExprKind::Text(text) = &arg.kind else {
            self.problems.error_hint(
                arg.span,
                "`bank` takes the bank's name in quotes",
                "for example `bank(\"TVEC_IMAGES\")`",
            );
            return None;
        };
        match text.parse::<BankName>() {
            Ok(bank) => Some(bank),
            Err(problem) => {
                self.problems.refused(arg.span, "", &problem);
                None
            }
        }
    }

    /// What is looked up, and how strictly.
    fn lookup_args(
        &mut self,
        args: &[Arg],
        span: Span,
        may_be_strict: bool,
    ) -> Option<(Target, Strictness)> {
        let split = args.split_first().filter(|(what, _)| what.name.is_none());
        let Some((what, rest)) = split.filter(|(_, rest)| may_be_strict || rest.is_empty()) else {
            let hint = "for example `bank(\"TVEC_IMAGES\").matches(m, 31)`";
            let message = if may_be_strict {
                "a bank takes what is looked up, and perhaps a distance and a quality"
            } else {
                "a bank takes what is looked up"
            };
            self.problems.error_hint(span, message, hint);
            return None;
        };
        let target = self.target(&what.value);
        let widest = match target {
            Some(Target::AllMedia | Target::Medium { .. }) | None => DISTANCE_MAX,
            Some(_) => TEXT_DISTANCE_MAX,
        };
        let mut strictness = Strictness::default();
        let mut in_order = true;
        for (at, arg) in rest.iter().enumerate() {
            in_order &= self.strictness(at, arg, widest, &mut strictness).is_some();
        }
        target
            .filter(|_| in_order)
            .map(|target| (target, strictness))
    }

    fn strictness(
        &mut self,
        at: usize,
        arg: &Arg,
        widest: i64,
        strictness: &mut Strictness,
    ) -> Option<()> {
        let (name, span) = match &arg.name {
            Some(name) => (name.node.as_str(), name.span),
            None if at == 0 => ("distance", arg.value.span),
            None => ("", arg.value.span),
        };
        let twice = match name {
            "distance" => {
                let distance = self.whole(
                    &arg.value,
                    widest,
                    "a distance",
                    "31 is the usual distance for images; smaller is stricter",
                )?;
                strictness.distance_max.replace(distance).is_some()
            }
            "quality" => {
                let quality = self.whole(
                    &arg.value,
                    100,
                    "a quality",
                    "50 is usual; higher leaves out images with little to compare",
                )?;
                let quality = u8::try_from(quality).ok()?;
                strictness.quality_min.replace(quality).is_some()
            }
            other => {
                let (message, hint) = if other.is_empty() {
                    (
                        "a bank takes no third argument without a name".to_owned(),
                        "write the quality as `quality: 60`".to_owned(),
                    )
                } else {
                    (
                        format!("a bank has no argument `{}`", shown(other)),
                        did_you_mean_or_list(other, &["distance", "quality"]),
                    )
                };
                self.problems.error_hint(span, message, hint);
                return None;
            }
        };
        if twice {
            let message = format!("`{name}` is given twice");
            self.problems
                .error_hint(span, message, "keep one of the two");
        }
        (!twice).then_some(())
    }

    fn whole(&mut self, expr: &Expr, max: i64, noun: &str, hint: &str) -> Option<u32> {
        if let ExprKind::Int(given) = expr.kind
            && (0..=max).contains(&given)
        {
            return u32::try_from(given).ok();
        }
        let message = format!("{noun} is a whole number from 0 to {max}, written out");
        self.problems.error_hint(expr.span, message, hint);
        None
    }

    fn target(&mut self, what: &Expr) -> Option<Target> {
        match &what.kind {
            ExprKind::Name(name) => {
                if let Some((slot, ty, is_link)) = self.local(name) {
                    if is_link {
                        return Some(Target::Link { slot });
                    }
                    if ty == Type::Entity(EntityType::Media) {
                        return Some(Target::Medium { slot });
                    }
                } else {
                    match schema::root_entity(name) {
                        Some(EntityType::Account) => return Some(Target::Account),
                        Some(EntityType::Space) => return Some(Target::Space),
                        Some(EntityType::Content) => return Some(Target::Content),
                        _ => {}
                    }
                    if !ROOTS.contains(&name.as_str()) {
                        self.unknown_name(name, what.span);
                        return None;
                    }
                }
            }
            ExprKind::Field(..) => {
                let typed = self.expr(what);
                match typed.kind {
                    Kind::Field(Field::AccountHandle) => return Some(Target::Handle),
                    Kind::Field(Field::AccountDisplayName) => return Some(Target::DisplayName),
                    Kind::Field(Field::SpaceName) => return Some(Target::SpaceName),
                    Kind::Field(Field::ContentText) => return Some(Target::Text),
                    Kind::Field(Field::ContentLinks) => return Some(Target::Links),
                    Kind::Field(Field::ContentMedia) => return Some(Target::AllMedia),
                    Kind::Wrong => return None,
                    _ => {}
                }
            }
            _ => {}
        }
        let hint = "look up `content`, `content.text`, `content.links`, `content.media`, a medium or link of `exists`, \
                    `account`, `account.handle`, `account.display_name`, `space` or `space.name`";
        self.problems
            .error_hint(what.span, "a bank cannot be asked about this", hint);
        None
    }
}

enum Argument<'g> {
    Literal(GivenLiteral<'g>),
    Value(Typed),
}

fn of_call(
    function: &'static Function,
    ty: Type,
    subject: Option<Typed>,
    prepared: Prepared,
    span: Span,
) -> Typed {
    let subject = subject.map(Box::new);
    Typed::new(
        Kind::Call {
            function,
            subject,
            prepared,
        },
        ty,
        span,
    )
}
