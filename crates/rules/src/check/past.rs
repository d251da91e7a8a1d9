//! Checking what is asked of the past: labels, strikes, and sets kept by operators.

use super::expr::{Checker, a};
use crate::ast::{Arg, Expr, ExprKind, Spanned};
use crate::diagnostic::Span;
use crate::lexer::shown;
use crate::library::{self, On};
use crate::schema;
use crate::suggest::did_you_mean_or_list;
use crate::typed::{Kind, Literal, Typed};
use crate::types::Type;
use manara_model::EntityType;

/// The arguments of `set(…)`, and where it stands.
pub(super) fn set_called(expr: &Expr) -> Option<(&[Arg], Span)> {
    match &expr.kind {
        ExprKind::Call {
            receiver: None,
            name,
            args,
        } if name.node == "set" => Some((args, expr.span)),
        _ => None,
    }
}

impl Checker<'_, '_> {
    /// A function of an entity or a set, if that is what stands before the dot.
    pub(super) fn looking_back(
        &mut self,
        receiver: &Expr,
        name: &Spanned<String>,
        args: &[Arg],
        span: Span,
    ) -> Option<Typed> {
        if let Some((set, at)) = set_called(receiver) {
            return Some(self.set_method(set, at, name, args, span));
        }
        let ExprKind::Name(root) = &receiver.kind else {
            return None;
        };
        let entity = schema::root_entity(root)?;
        Some(match name.node.as_str() {
            "hasLabel" => self.has_label(entity, args, span),
            "strikes" => self.strikes(entity, receiver.span, args, span),
            other if library::find(On::Bank, other).is_some() => return None,
            other => {
                let message = format!("`{root}` has no function `{}`", shown(other));
                self.wrong(
                    name.span,
                    message,
                    did_you_mean_or_list(other, &library::names(On::Entity)),
                )
            }
        })
    }

    fn has_label(&mut self, entity: EntityType, args: &[Arg], span: Span) -> Typed {
        let Some([label]) = self.arguments("hasLabel", args, span) else {
            return Typed::wrong(span);
        };
        match self.name_arg(label, "label") {
            Some(label) => {
                let kind = Kind::HasLabel(entity, label.as_str().into());
                Typed::new(kind, Type::Bool, span)
            }
            None => Typed::wrong(span),
        }
    }

    fn strikes(&mut self, entity: EntityType, at: Span, args: &[Arg], span: Span) -> Typed {
        if entity != EntityType::Account {
            return self.wrong(
                at,
                "only accounts have strikes",
                "write `account.strikes()`",
            );
        }
        let within = match args {
            [] => None,
            [Arg { name, value }] if name.as_ref().is_none_or(|name| name.node == "within") => {
                Some(value)
            }
            _ => {
                let hint = "write `account.strikes()` or `account.strikes(within: 90d)`";
                return self.wrong(span, "`strikes` takes at most a duration", hint);
            }
        };
        let Some(within) = within else {
            return Typed::new(Kind::Strikes(None), Type::Int, span);
        };
        let typed = self.expr(within);
        match typed.kind {
            Kind::Literal(Literal::Duration(within)) if within.is_positive() => {
                Typed::new(Kind::Strikes(Some(within)), Type::Int, span)
            }
            Kind::Wrong => Typed::wrong(span),
            _ => self.wrong(
                typed.span,
                "`within` is a duration, written out",
                "for example `account.strikes(within: 90d)`",
            ),
        }
    }

    fn set_method(
        &mut self,
        set: &[Arg],
        at: Span,
        name: &Spanned<String>,
        args: &[Arg],
        span: Span,
    ) -> Typed {
        if name.node != "contains" {
            let message = format!("a set has no function `{}`", shown(&name.node));
            let hint = did_you_mean_or_list(&name.node, &library::names(On::Set));
            return self.wrong(name.span, message, hint);
        }
        match self.arguments("contains", args, span) {
            Some([item]) => self.in_set(set, at, item, span),
            None => Typed::wrong(span),
        }
    }

    /// Whether a set kept by operators holds an item.
    pub(super) fn in_set(&mut self, set: &[Arg], at: Span, item: &Expr, span: Span) -> Typed {
        let name = self
            .arguments::<1>("set", set, at)
            .and_then(|[name]| self.name_arg(name, "set"));
        let item = self.expr(item);
        if !item.ty.fits(&Type::String) {
            let message = format!("a set holds strings, this is {}", a(&item.ty));
            return self.wrong(item.span, message, "ask about an id, a name or a domain");
        }
        match name {
            Some(_) if item.is_wrong() => Typed::wrong(span),
            Some(name) => {
                self.shared.sets.insert(name.as_str().into());
                let kind = Kind::InSet(name.as_str().into(), Box::new(item));
                Typed::new(kind, Type::Bool, span)
            }
            None => Typed::wrong(span),
        }
    }
}
