//! Checking effects: what a rule asks for, on what, and with which details.

use super::expr::{Checker, LASTING_MAX};
use crate::ast::{Arg, Effect as Written, Expr, ExprKind};
use crate::lexer::shown;
use crate::suggest::{did_you_mean_or_list, one_of};
use crate::typed::{Kind, Literal};
use jiff::Timestamp;
use manara_model::{ActionKind, Detail, EntityType, Name};

pub(crate) const EFFECTS: &[&str] = &[
    "demonetise",
    "enqueue",
    "label",
    "notify",
    "refer",
    "remove",
    "restrict",
    "strike",
    "suspend",
];
/// Longest message, in bytes.
const MESSAGE_BYTES_MAX: usize = 1024;
const WEIGHT_MAX: i64 = 100;
const PRIORITIES: std::ops::RangeInclusive<i64> = 1..=9;
/// The priority of a case whose rule names none.
const PRIORITY_DEFAULT: u8 = 5;

/// An effect as a rule asks for it, before there is an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) kind: ActionKind,
    pub(crate) target: PlanTarget,
    pub(crate) detail: Detail,
}

/// What an effect is to be done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlanTarget {
    /// The event's entity of this type.
    Entity(EntityType),
    /// The media the condition found.
    FoundMedia,
    /// What the event is about: decided when there is an event.
    Subject,
}

/// Whether an effect is asked for by a rule or expected by a test, which may leave details open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    Asked,
    Expected,
}

/// What an effect can be done to.
pub(crate) fn allowed_targets(kind: ActionKind) -> &'static [&'static str] {
    match kind {
        ActionKind::Strike => &["account"],
        ActionKind::Suspend => &["account", "space"],
        ActionKind::Enqueue | ActionKind::Notify | ActionKind::Demonetise => {
            &["account", "space", "content"]
        }
        _ => &["account", "space", "content", "media"],
    }
}

impl Checker<'_, '_> {
    /// The effect, or `None` after a report.
    pub(crate) fn effect(&mut self, effect: &Written, usage: Use) -> Option<Plan> {
        let word = effect.name.node.as_str();
        let kind = match word.parse::<ActionKind>() {
            Ok(kind) if EFFECTS.contains(&word) => kind,
            _ => {
                let hint = did_you_mean_or_list(word, EFFECTS);
                self.problems.error_hint(
                    effect.name.span,
                    format!("unknown effect `{}`", shown(word)),
                    hint,
                );
                return None;
            }
        };
        let positional: Vec<&Expr> = effect
            .args
            .iter()
            .filter(|a| a.name.is_none())
            .map(|a| &a.value)
            .collect();
        let named: Vec<&Arg> = effect.args.iter().filter(|a| a.name.is_some()).collect();
        let (target, rest) = self.effect_target(effect, kind, &positional)?;
        let mut detail = self.positional_detail(effect, kind, rest, usage)?;
        for arg in named {
            self.named_detail(kind, arg, &mut detail)?;
        }
        if detail.duration_s.is_some() && detail.until.is_some() {
            let hint = "keep one of the two";
            let message = "`for` and `until` both say when it ends";
            self.problems.error_hint(effect.span, message, hint);
        }
        if kind == ActionKind::Enqueue && usage == Use::Asked {
            detail.priority.get_or_insert(PRIORITY_DEFAULT);
        }
        Some(Plan {
            kind,
            target,
            detail,
        })
    }

    fn effect_target<'e>(
        &mut self,
        effect: &Written,
        kind: ActionKind,
        args: &'e [&'e Expr],
    ) -> Option<(PlanTarget, &'e [&'e Expr])> {
        use EntityType::{Account, Content, Space};
        let allowed = allowed_targets(kind);
        let named = args
            .split_first()
            .and_then(|(first, rest)| match &first.kind {
                ExprKind::Name(name) => Some((name.as_str(), first.span, rest)),
                _ => None,
            });
        let Some((name, span, rest)) = named else {
            if matches!(kind, ActionKind::Enqueue | ActionKind::Notify) {
                return Some((PlanTarget::Subject, args));
            }
            let at = args.first().map_or(effect.span, |a| a.span);
            let message = format!("`{kind}` needs to know what it is done to");
            self.problems
                .error_hint(at, message, format!("first name {}", one_of(allowed)));
            return None;
        };
        if !allowed.contains(&name) {
            let hint = did_you_mean_or_list(name, allowed);
            self.problems.error_hint(
                span,
                format!("`{kind}` cannot be done to `{}`", shown(name)),
                hint,
            );
            return None;
        }
        let target = match name {
            "account" => PlanTarget::Entity(Account),
            "space" => PlanTarget::Entity(Space),
            "content" => PlanTarget::Entity(Content),
            _ => PlanTarget::FoundMedia,
        };
        Some((target, rest))
    }

    fn positional_detail(
        &mut self,
        effect: &Written,
        kind: ActionKind,
        args: &[&Expr],
        usage: Use,
    ) -> Option<Detail> {
        let mut detail = Detail::default();
        let takes_one = matches!(
            kind,
            ActionKind::Strike
                | ActionKind::Label
                | ActionKind::Enqueue
                | ActionKind::Refer
                | ActionKind::Notify
        );
        match (args, kind) {
            ([], ActionKind::Strike) => detail.weight = (usage == Use::Asked).then_some(1),
            ([weight], ActionKind::Strike) => detail.weight = Some(self.weight(weight)?),
            ([label], ActionKind::Label) => detail.label = Some(self.name_arg(label, "label")?),
            ([queue], ActionKind::Enqueue) => detail.queue = Some(self.name_arg(queue, "queue")?),
            ([to], ActionKind::Refer | ActionKind::Notify) => {
                detail.to = Some(self.name_arg(to, "receiver")?);
            }
            (
                [],
                ActionKind::Label | ActionKind::Enqueue | ActionKind::Refer | ActionKind::Notify,
            ) => {
                let (noun, example) = match kind {
                    ActionKind::Label => ("label", "label(content, \"graphic\")"),
                    ActionKind::Refer => ("receiver", "refer(content, \"hotline\")"),
                    ActionKind::Notify => ("receiver", "notify(\"on_call\", message: \"…\")"),
                    _ => ("queue", "enqueue(\"tvec\", priority: 8)"),
                };
                self.problems.error_hint(
                    effect.span,
                    format!("`{kind}` needs the {noun}'s name"),
                    format!("for example `{example}`"),
                );
                return None;
            }
            ([], _) => {}
            ([first, ..], _) => {
                let extra = if takes_one {
                    args.get(1).unwrap_or(first)
                } else {
                    first
                };
                let hint = match kind {
                    ActionKind::Restrict | ActionKind::Suspend => {
                        format!("write how long it lasts as `{kind}(…, for: 24h)`")
                    }
                    ActionKind::Enqueue => "write the priority as `priority: 8`".to_owned(),
                    _ => "leave it out".to_owned(),
                };
                self.problems.error_hint(
                    extra.span,
                    format!("`{kind}` takes no further argument"),
                    hint,
                );
                return None;
            }
        }
        Some(detail)
    }

    fn named_detail(&mut self, kind: ActionKind, arg: &Arg, detail: &mut Detail) -> Option<()> {
        let name = arg.name.as_ref()?;
        let lasts = matches!(
            kind,
            ActionKind::Restrict | ActionKind::Suspend | ActionKind::Demonetise | ActionKind::Label
        );
        let speaks = matches!(kind, ActionKind::Refer | ActionKind::Notify);
        let twice = match (kind, name.node.as_str()) {
            (_, "for") if lasts => detail
                .duration_s
                .replace(self.lasting(&arg.value)?)
                .is_some(),
            (_, "until") if lasts => detail.until.replace(self.until(&arg.value)?).is_some(),
            (_, "message") if speaks => detail.message.replace(self.message(&arg.value)?).is_some(),
            (ActionKind::Refer | ActionKind::Notify, "to") => detail
                .to
                .replace(self.name_arg(&arg.value, "receiver")?)
                .is_some(),
            (ActionKind::Enqueue, "priority") => detail
                .priority
                .replace(self.priority(&arg.value)?)
                .is_some(),
            (ActionKind::Strike, "weight") => detail
                .weight
                .replace(self.weight(&arg.value)?)
                .is_some_and(|w| w != 1),
            _ => {
                let known: &[&str] = match kind {
                    _ if lasts => &["for", "until"],
                    _ if speaks => &["message"],
                    ActionKind::Enqueue => &["priority"],
                    ActionKind::Strike => &["weight"],
                    _ => &[],
                };
                let message = format!("`{kind}` has no argument `{}`", shown(&name.node));
                let hint = if known.is_empty() {
                    "leave it out".to_owned()
                } else {
                    did_you_mean_or_list(&name.node, known)
                };
                self.problems.error_hint(name.span, message, hint);
                return None;
            }
        };
        if twice {
            self.problems
                .error(name.span, format!("`{}` is given twice", name.node));
        }
        Some(())
    }

    fn weight(&mut self, expr: &Expr) -> Option<u32> {
        if let ExprKind::Int(weight @ 1..=WEIGHT_MAX) = expr.kind {
            return u32::try_from(weight).ok();
        }
        let message = format!("a strike weighs a whole number from 1 to {WEIGHT_MAX}");
        self.problems
            .error_hint(expr.span, message, "for example `strike(account, 1)`");
        None
    }

    fn priority(&mut self, expr: &Expr) -> Option<u8> {
        if let ExprKind::Int(priority) = expr.kind
            && PRIORITIES.contains(&priority)
        {
            return u8::try_from(priority).ok();
        }
        self.problems.error_hint(
            expr.span,
            "a priority is a whole number from 1 (can wait) to 9 (now)",
            "for example `priority: 8`",
        );
        None
    }

    fn lasting(&mut self, expr: &Expr) -> Option<u64> {
        let typed = self.expr(expr);
        match typed.kind {
            Kind::Literal(Literal::Duration(duration))
                if !duration.is_negative() && duration.as_secs() > 0 && duration <= LASTING_MAX =>
            {
                return u64::try_from(duration.as_secs()).ok();
            }
            Kind::Wrong => return None,
            _ => {}
        }
        self.problems.error_hint(
            expr.span,
            "how long it lasts is a duration from one second to ten years, written out",
            "for example `for: 24h`",
        );
        None
    }

    fn until(&mut self, expr: &Expr) -> Option<Timestamp> {
        let typed = self.expr(expr);
        match typed.kind {
            Kind::Literal(Literal::Time(time)) => return Some(time),
            Kind::Wrong => return None,
            _ => {}
        }
        self.problems.error_hint(
            expr.span,
            "until when it lasts is a time, written out",
            "for example `until: timestamp(\"2027-01-01T00:00:00Z\")`; `for: 30d` counts from the event on",
        );
        None
    }

    fn message(&mut self, expr: &Expr) -> Option<String> {
        let hint = "for example `message: \"Look at this channel.\"`";
        match &expr.kind {
            ExprKind::Text(text) if !text.trim().is_empty() && text.len() <= MESSAGE_BYTES_MAX => {
                return Some(text.clone());
            }
            ExprKind::Text(text) if !text.trim().is_empty() => {
                let message = format!(
                    "this message is {} bytes long, the limit is {MESSAGE_BYTES_MAX}",
                    text.len()
                );
                self.problems.error(expr.span, message);
            }
            _ => self
                .problems
                .error_hint(expr.span, "a message is a text in quotes", hint),
        }
        None
    }

    pub(super) fn name_arg(&mut self, expr: &Expr, noun: &str) -> Option<Name> {
        let ExprKind::Text(text) = &expr.kind else {
            self.problems.error_hint(
                expr.span,
                format!("a {noun}'s name is a text in quotes"),
                format!("for example `\"{noun}\"`"),
            );
            return None;
        };
        match text.parse::<Name>() {
            Ok(name) => Some(name),
            Err(problem) => {
                self.problems
                    .refused(expr.span, &format!("as a {noun}'s name, "), &problem);
                None
            }
        }
    }
}
