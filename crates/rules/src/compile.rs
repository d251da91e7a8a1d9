//! Checked conditions to closures: one small closure for each operator, typed by what it answers,
//! so that evaluating a rule is a handful of calls without tags, hashing or allocation.
//!
//! Every closure answers `None` for "unknown". A combination the checker never lets through becomes
//! a closure that is always unknown, so that a mistake there makes a rule not fire, and no panic.

use crate::ast::Binary;
use crate::env::{self, Bound, Ctx, Shared};
use crate::library::{Answer, EachText, Function, How, Input, Operand, Prepared, Run};
use crate::memory::Remembered;
use crate::ops;
use crate::schema::Field;
use crate::typed::{Kind, LIST_MAX, Literal, Macro, Place, TextFunction, Typed};
use crate::types::Type;
use jiff::{SignedDuration, Timestamp};
use manara_model::EntityType;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::ControlFlow;

/// A condition ready to run.
pub(crate) type BoolFn = Box<dyn Fn(&Ctx<'_>) -> Option<bool> + Send + Sync>;
/// A value ready to be computed.
type Computed<T> = Box<dyn Fn(&Ctx<'_>) -> Option<T> + Send + Sync>;
type IntFn = Computed<i64>;
type FloatFn = Computed<f64>;
type DurationFn = Computed<SignedDuration>;
type TimeFn = Computed<Timestamp>;
type TextFn = Box<dyn for<'a> Fn(&Ctx<'a>) -> Option<Cow<'a, str>> + Send + Sync>;
type OrderFn = Computed<Ordering>;
/// What is done with each element: with the facts and the element, `None` where it is unknown.
type Visit<'v> = dyn for<'e> FnMut(&Ctx<'e>, Option<Bound<'e>>) -> ControlFlow<()> + 'v;
/// Visits the elements of a list; `None` when there is no list.
type ListFn = Box<dyn Fn(&Ctx<'_>, &mut Visit<'_>) -> Option<()> + Send + Sync>;

/// The condition as a closure. Texts written in it are kept in `shared`.
pub(crate) fn compile_condition(typed: &Typed, shared: &mut Shared) -> BoolFn {
    bool_fn(typed, shared)
}

/// Writes a value down for a key: its type, its length and its bytes. Nothing when it is unknown.
pub(crate) type EncodeFn = Box<dyn Fn(&Ctx<'_>, &mut Vec<u8>) -> Option<()> + Send + Sync>;
/// A value of whatever single type.
pub(crate) type ValueFn = Computed<Remembered>;

/// The value as part of a key.
pub(crate) fn encode_fn(typed: &Typed, shared: &mut Shared) -> EncodeFn {
    if typed.ty == Type::String {
        let text = text_fn(typed, shared);
        return Box::new(move |ctx, out| {
            let text = text(ctx)?;
            encode(b't', text.as_bytes(), out);
            Some(())
        });
    }
    let value = value_fn(typed, shared);
    Box::new(move |ctx, out| {
        match value(ctx)? {
            Remembered::Bool(v) => encode(b'b', &[u8::from(v)], out),
            Remembered::Int(v) => encode(b'i', &v.to_le_bytes(), out),
            // Zero has two signs and is one value.
            Remembered::Float(v) => encode(b'f', &(v + 0.0).to_le_bytes(), out),
            Remembered::Text(v) => encode(b't', v.as_bytes(), out),
            Remembered::Duration(v) => encode(b'd', &v.as_nanos().to_le_bytes(), out),
            Remembered::Time(v) => encode(b'm', &v.as_nanosecond().to_le_bytes(), out),
        }
        Some(())
    })
}

fn encode(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// The value, whatever its type.
pub(crate) fn value_fn(typed: &Typed, shared: &mut Shared) -> ValueFn {
    fn of<T: 'static>(value: Computed<T>, make: fn(T) -> Remembered) -> ValueFn {
        Box::new(move |ctx| value(ctx).map(make))
    }
    match typed.ty {
        Type::Bool => of(bool_fn(typed, shared), Remembered::Bool),
        Type::Int => of(int_fn(typed, shared), Remembered::Int),
        Type::Float => of(float_fn(typed, shared), Remembered::Float),
        Type::Duration => of(duration_fn(typed, shared), Remembered::Duration),
        Type::Time => of(time_fn(typed, shared), Remembered::Time),
        Type::String => {
            let text = text_fn(typed, shared);
            Box::new(move |ctx| Some(Remembered::Text(text(ctx)?.into_owned())))
        }
        _ => Box::new(|_| None),
    }
}

fn bool_fn(typed: &Typed, shared: &mut Shared) -> BoolFn {
    match &typed.kind {
        Kind::Literal(Literal::Bool(value)) => {
            let value = *value;
            Box::new(move |_| Some(value))
        }
        Kind::Attribute(name) => {
            let name = name.clone();
            Box::new(move |ctx| env::json_bool(ctx.attribute(&name)?))
        }
        Kind::Entry { map, key } => {
            let (map, key) = (map.clone(), text_fn(key, shared));
            Box::new(move |ctx| env::json_bool(ctx.entry(&map, &key(ctx)?)?))
        }
        Kind::Variable { slot, .. } => {
            let slot = *slot;
            Box::new(move |ctx| {
                if let Bound::Bool(value) = ctx.bound(slot) {
                    Some(value)
                } else {
                    None
                }
            })
        }
        Kind::MediumField { slot, field, .. } => {
            let (slot, field) = (*slot, *field);
            Box::new(move |ctx| ctx.medium_bool(ctx.medium_index(slot)?, field))
        }
        Kind::Not(inner) => {
            let inner = bool_fn(inner, shared);
            Box::new(move |ctx| inner(ctx).map(|value| !value))
        }
        Kind::And(items) => {
            let items: Vec<BoolFn> = items.iter().map(|item| bool_fn(item, shared)).collect();
            Box::new(move |ctx| ops::all(items.iter().map(|item| item(ctx))))
        }
        Kind::Or(items) => {
            let items: Vec<BoolFn> = items.iter().map(|item| bool_fn(item, shared)).collect();
            Box::new(move |ctx| ops::any(items.iter().map(|item| item(ctx))))
        }
        Kind::Binary(Binary::In, item, list) => membership(item, list, shared),
        Kind::Binary(op, left, right) => comparison(*op, left, right, shared),
        Kind::Choose(condition, yes, no) => {
            let (condition, yes, no) = (
                bool_fn(condition, shared),
                bool_fn(yes, shared),
                bool_fn(no, shared),
            );
            Box::new(move |ctx| if condition(ctx)? { yes(ctx) } else { no(ctx) })
        }
        Kind::Text {
            function,
            receiver,
            arg: Some(arg),
        } => text_test(*function, receiver, arg, shared),
        // The function that most rules of one set ask, of a text that is looked through once: worth a
        // closure without further calls.
        Kind::Call {
            subject: Some(subject),
            prepared: Prepared::Phrase(phrase),
            ..
        } => {
            let (place, phrase) = (subject.place(), *phrase);
            let text = text_fn(subject, shared);
            Box::new(move |ctx| Some(ctx.contains_phrase(place.now(ctx), &text(ctx)?, phrase)))
        }
        Kind::Call { function, .. } => match function.how {
            How::Run {
                run: Run::Bool(run),
                ..
            } => call_fn(typed, run, shared),
            _ => Box::new(|_| None),
        },
        Kind::HasKey { map, key } => {
            let (map, key) = (map.clone(), text_fn(key, shared));
            Box::new(move |ctx| ctx.has_key(&map, &key(ctx)?))
        }
        Kind::Macro {
            which: which @ (Macro::Exists | Macro::All),
            list,
            slot,
            body,
            ..
        } => quantifier(*which, list, *slot, body, shared),
        Kind::Has(field) => has(field, shared),
        Kind::HasEntity(entity) => {
            let entity = *entity;
            Box::new(move |ctx| Some(ctx.has_entity(entity)))
        }
        Kind::Matches(lookup) => {
            let lookup = lookup.clone();
            Box::new(move |ctx| ctx.has_match(&lookup))
        }
        Kind::Counter(index) => counter(*index, Remembered::as_bool),
        Kind::HasLabel(entity, label) => {
            let (entity, label) = (*entity, label.clone());
            Box::new(move |ctx| ctx.has_label(entity, &label))
        }
        Kind::InSet(set, item) => {
            let (set, item) = (set.clone(), text_fn(item, shared));
            Box::new(move |ctx| ctx.in_set(&set, &item(ctx)?))
        }
        _ => Box::new(|_| None),
    }
}

// ---- functions of the library ----

/// Computes the value a function is about.
type OperandFn = Box<dyn for<'a> Fn(&Ctx<'a>) -> Option<Operand<'a>> + Send + Sync>;

fn operand_fn(subject: Option<&Typed>, shared: &mut Shared) -> OperandFn {
    let Some(subject) = subject else {
        return Box::new(|_| Some(Operand::Nothing));
    };
    match subject.ty {
        Type::Bool => {
            let value = bool_fn(subject, shared);
            Box::new(move |ctx| value(ctx).map(Operand::Bool))
        }
        Type::Int => {
            let value = int_fn(subject, shared);
            Box::new(move |ctx| value(ctx).map(Operand::Int))
        }
        Type::Float => {
            let value = float_fn(subject, shared);
            Box::new(move |ctx| value(ctx).map(Operand::Float))
        }
        Type::String => {
            let value = text_fn(subject, shared);
            Box::new(move |ctx| value(ctx).map(Operand::Text))
        }
        Type::Duration => {
            let value = duration_fn(subject, shared);
            Box::new(move |ctx| value(ctx).map(Operand::Duration))
        }
        Type::Time => {
            let value = time_fn(subject, shared);
            Box::new(move |ctx| value(ctx).map(Operand::Time))
        }
        _ => Box::new(|_| None),
    }
}

/// What a call needs at each evaluation.
fn call_parts(typed: &Typed, shared: &mut Shared) -> Option<(OperandFn, Place, Prepared)> {
    let Kind::Call {
        subject, prepared, ..
    } = &typed.kind
    else {
        return None;
    };
    let place = subject
        .as_ref()
        .map_or(Place::Elsewhere, |subject| subject.place());
    let operand = operand_fn(subject.as_deref(), shared);
    Some((operand, place, prepared.clone()))
}

fn call_fn<T: 'static>(
    typed: &Typed,
    run: for<'a> fn(Input<'a, '_>) -> Answer<T>,
    shared: &mut Shared,
) -> Computed<T> {
    let Some((operand, place, prepared)) = call_parts(typed, shared) else {
        return Box::new(|_| None);
    };
    Box::new(move |ctx| {
        let value = operand(ctx)?;
        let (origin, prepared) = (place.now(ctx), &prepared);
        run(Input {
            ctx,
            value,
            origin,
            prepared,
        })
        .ok()
    })
}

fn text_call_fn(
    typed: &Typed,
    run: for<'a> fn(Input<'a, '_>) -> Answer<Cow<'a, str>>,
    shared: &mut Shared,
) -> TextFn {
    let Some((operand, place, prepared)) = call_parts(typed, shared) else {
        return Box::new(|_| None);
    };
    Box::new(move |ctx| {
        let value = operand(ctx)?;
        let (origin, prepared) = (place.now(ctx), &prepared);
        run(Input {
            ctx,
            value,
            origin,
            prepared,
        })
        .ok()
    })
}

/// Visits the texts that a function answers, all of them.
type TextsFn = Box<dyn for<'a> Fn(&Ctx<'a>, &mut EachText<'_>) -> Option<()> + Send + Sync>;

fn texts_call_fn(typed: &Typed, shared: &mut Shared) -> TextsFn {
    let (
        Kind::Call {
            function:
                Function {
                    how:
                        How::Run {
                            run: Run::Texts(run),
                            ..
                        },
                    ..
                },
            ..
        },
        Some((operand, place, prepared)),
    ) = (&typed.kind, call_parts(typed, shared))
    else {
        return Box::new(|_, _| None);
    };
    let run = *run;
    Box::new(move |ctx, each| {
        let value = operand(ctx)?;
        let (origin, prepared) = (place.now(ctx), &prepared);
        let input = Input {
            ctx,
            value,
            origin,
            prepared,
        };
        run(input, each).ok()
    })
}

// ---- comparisons ----

fn comparison(op: Binary, left: &Typed, right: &Typed, shared: &mut Shared) -> BoolFn {
    // Fields on the left and literals on the right are by far the most common, and worth one closure
    // without further calls.
    match (&left.ty, &right.kind) {
        (Type::Int, Kind::Literal(Literal::Int(b))) => {
            if let Kind::Field(field) = left.kind {
                let b = *b;
                return Box::new(move |ctx| Some(ops::holds(op, ctx.int(field)?.cmp(&b))));
            }
            let (left, b) = (int_fn(left, shared), *b);
            Box::new(move |ctx| Some(ops::holds(op, left(ctx)?.cmp(&b))))
        }
        (Type::Duration, Kind::Literal(Literal::Duration(b))) => {
            if let Kind::Field(field) = left.kind {
                let b = *b;
                return Box::new(move |ctx| Some(ops::holds(op, ctx.duration(field)?.cmp(&b))));
            }
            let (left, b) = (duration_fn(left, shared), *b);
            Box::new(move |ctx| Some(ops::holds(op, left(ctx)?.cmp(&b))))
        }
        (Type::String, Kind::Literal(Literal::Text(b))) => {
            let (left, b) = (text_fn(left, shared), b.clone());
            Box::new(move |ctx| Some(ops::holds(op, (*left(ctx)?).cmp(&*b))))
        }
        _ => {
            let order = order_fn(left, right, shared);
            Box::new(move |ctx| Some(ops::holds(op, order(ctx)?)))
        }
    }
}

/// How two values of comparable types stand to each other.
fn order_fn(left: &Typed, right: &Typed, shared: &mut Shared) -> OrderFn {
    match (&left.ty, &right.ty) {
        (Type::Bool, _) => {
            let (a, b) = (bool_fn(left, shared), bool_fn(right, shared));
            Box::new(move |ctx| Some(a(ctx)?.cmp(&b(ctx)?)))
        }
        (Type::Int, Type::Int) => {
            let (a, b) = (int_fn(left, shared), int_fn(right, shared));
            Box::new(move |ctx| Some(a(ctx)?.cmp(&b(ctx)?)))
        }
        (Type::Int, Type::Float) => {
            let (a, b) = (int_fn(left, shared), float_fn(right, shared));
            Box::new(move |ctx| ops::int_to_float(a(ctx)?, b(ctx)?))
        }
        (Type::Float, Type::Int) => {
            let (a, b) = (float_fn(left, shared), int_fn(right, shared));
            Box::new(move |ctx| ops::int_to_float(b(ctx)?, a(ctx)?).map(Ordering::reverse))
        }
        (Type::Float, _) => {
            let (a, b) = (float_fn(left, shared), float_fn(right, shared));
            Box::new(move |ctx| a(ctx)?.partial_cmp(&b(ctx)?))
        }
        (Type::String, _) => {
            let (a, b) = (text_fn(left, shared), text_fn(right, shared));
            Box::new(move |ctx| Some(a(ctx)?.cmp(&b(ctx)?)))
        }
        (Type::Duration, _) => {
            let (a, b) = (duration_fn(left, shared), duration_fn(right, shared));
            Box::new(move |ctx| Some(a(ctx)?.cmp(&b(ctx)?)))
        }
        (Type::Time, _) => {
            let (a, b) = (time_fn(left, shared), time_fn(right, shared));
            Box::new(move |ctx| Some(a(ctx)?.cmp(&b(ctx)?)))
        }
        _ => Box::new(|_| None),
    }
}

fn membership(item: &Typed, list: &Typed, shared: &mut Shared) -> BoolFn {
    if let Some(words) = literal_texts(list) {
        let item = text_fn(item, shared);
        return Box::new(move |ctx| {
            let item = item(ctx)?;
            Some(words.iter().any(|word| **word == *item))
        });
    }
    // The element becomes the bound variable of an equality, as `list.exists(x, x == item)`.
    let Some(of) = list.ty.element() else {
        return Box::new(|_| None);
    };
    let (ty, list) = (of.clone(), list_fn(list, shared));
    let equal = equal_to_element(item, &ty, shared);
    let item_is_known = has(item, shared);
    Box::new(move |ctx| {
        let (mut found, mut is_empty) = (Some(false), true);
        list(ctx, &mut |ctx, element| {
            is_empty = false;
            match element.and_then(|element| equal(ctx, element)) {
                Some(true) => {
                    found = Some(true);
                    return ControlFlow::Break(());
                }
                None => found = None,
                Some(false) => {}
            }
            ControlFlow::Continue(())
        })?;
        // Where there was nothing to compare it with, an unknown item is still unknown.
        if is_empty {
            found.filter(|_| item_is_known(ctx) == Some(true))
        } else {
            found
        }
    })
}

type ElementTest = Box<dyn for<'e> Fn(&Ctx<'e>, Bound<'e>) -> Option<bool> + Send + Sync>;

fn equal_to_element(item: &Typed, of: &Type, shared: &mut Shared) -> ElementTest {
    match item.ty {
        Type::String => {
            let item = text_fn(item, shared);
            Box::new(move |ctx, element| Some(*item(ctx)? == *ctx.bound_text(element)?))
        }
        Type::Bool => {
            let item = bool_fn(item, shared);
            Box::new(move |ctx, element| {
                Some(
                    item(ctx)?
                        == if let Bound::Bool(b) = element {
                            b
                        } else {
                            return None;
                        },
                )
            })
        }
        Type::Duration => {
            let item = duration_fn(item, shared);
            Box::new(move |ctx, element| {
                Some(
                    item(ctx)?
                        == if let Bound::Duration(b) = element {
                            b
                        } else {
                            return None;
                        },
                )
            })
        }
        Type::Time => {
            let item = time_fn(item, shared);
            Box::new(move |ctx, element| {
                Some(
                    item(ctx)?
                        == if let Bound::Time(b) = element {
                            b
                        } else {
                            return None;
                        },
                )
            })
        }
        Type::Int => {
            let item = int_fn(item, shared);
            Box::new(move |ctx, element| match element {
                Bound::Int(b) => Some(item(ctx)? == b),
                Bound::Float(b) => Some(ops::int_to_float(item(ctx)?, b)?.is_eq()),
                _ => None,
            })
        }
        Type::Float => {
            let item = float_fn(item, shared);
            Box::new(move |ctx, element| match element {
                Bound::Int(b) => Some(ops::int_to_float(b, item(ctx)?)?.is_eq()),
                Bound::Float(b) => Some(item(ctx)?.partial_cmp(&b)?.is_eq()),
                _ => None,
            })
        }
        // Only an empty list has no type of elements to compare with, and it holds nothing.
        _ if *of == Type::Never => Box::new(|_, _| Some(false)),
        _ => Box::new(|_, _| None),
    }
}

fn literal_texts(list: &Typed) -> Option<Vec<Box<str>>> {
    match &list.kind {
        Kind::List(items) if !items.is_empty() => items
            .iter()
            .map(|item| item.literal_text().map(Box::from))
            .collect(),
        _ => None,
    }
}

// ---- lists ----

fn quantifier(
    which: Macro,
    list: &Typed,
    slot: usize,
    body: &Typed,
    shared: &mut Shared,
) -> BoolFn {
    if let Some((field, element)) = own_list(list) {
        return quantifier_over(which, field, element, slot, bool_fn(body, shared));
    }
    let (list, body) = (list_fn(list, shared), bool_fn(body, shared));
    // `exists` is decided by a true element, `all` by a false one; otherwise an unknown one counts.
    let decides = which == Macro::Exists;
    Box::new(move |ctx| {
        let mut result = Some(!decides);
        list(ctx, &mut |ctx, element| {
            match element.and_then(|element| body(&ctx.with(slot, element))) {
                Some(value) if value == decides => {
                    result = Some(decides);
                    return ControlFlow::Break(());
                }
                Some(_) => {}
                None => result = None,
            }
            ControlFlow::Continue(())
        })?;
        result
    })
}

/// Binds the element of a list by its place.
type BindFn = fn(usize) -> Bound<'static>;

/// The event's links or media, which are by far the most common lists, and how an element is bound.
fn own_list(list: &Typed) -> Option<(Field, BindFn)> {
    match list.kind {
        Kind::Field(field @ Field::ContentLinks) => Some((field, Bound::Link)),
        Kind::Field(field @ Field::ContentMedia) => Some((field, Bound::Medium)),
        _ => None,
    }
}

/// As [`quantifier`], without a visitor: what is bound changes in one place from element to element.
fn quantifier_over(
    which: Macro,
    field: Field,
    element: BindFn,
    slot: usize,
    body: BoolFn,
) -> BoolFn {
    let decides = which == Macro::Exists;
    Box::new(move |ctx| {
        let mut result = Some(!decides);
        let mut inner = *ctx;
        for index in 0..ctx.len(field)? {
            inner.bind(slot, element(index));
            match body(&inner) {
                Some(value) if value == decides => return Some(decides),
                Some(_) => {}
                None => result = None,
            }
        }
        result
    })
}

fn list_fn(typed: &Typed, shared: &mut Shared) -> ListFn {
    match &typed.kind {
        Kind::Field(field @ (Field::ContentLinks | Field::ContentMedia)) => {
            let field = *field;
            let element = if field == Field::ContentMedia {
                Bound::Medium
            } else {
                Bound::Link
            };
            Box::new(move |ctx, visit| {
                for index in 0..ctx.len(field)? {
                    if visit(ctx, Some(element(index))).is_break() {
                        break;
                    }
                }
                Some(())
            })
        }
        Kind::Field(field) => {
            let field = *field;
            Box::new(move |ctx, visit| {
                for index in 0..ctx.len(field)? {
                    if visit(ctx, ctx.element(field, index)).is_break() {
                        break;
                    }
                }
                Some(())
            })
        }
        Kind::Attribute(name) => {
            let (name, ty) = (name.clone(), typed.ty.clone());
            Box::new(move |ctx, visit| {
                for element in env::json_elements(ctx.attribute(&name)?, &ty)? {
                    if visit(ctx, element).is_break() {
                        break;
                    }
                }
                Some(())
            })
        }
        Kind::Call { .. } => {
            let texts = texts_call_fn(typed, shared);
            Box::new(move |ctx, visit| {
                let mut seen = 0;
                texts(ctx, &mut |text| {
                    seen += 1;
                    let known = (seen <= LIST_MAX).then_some(Bound::Text(text));
                    if visit(ctx, known).is_break() || known.is_none() {
                        return ControlFlow::Break(());
                    }
                    ControlFlow::Continue(())
                })
            })
        }
        Kind::Filter {
            list, slot, body, ..
        } => {
            let (list, slot, body) = (list_fn(list, shared), *slot, bool_fn(body, shared));
            Box::new(move |ctx, visit| {
                list(ctx, &mut |ctx, element| {
                    let holds = element.and_then(|element| body(&ctx.with(slot, element)));
                    match holds {
                        Some(true) => visit(ctx, element),
                        Some(false) => ControlFlow::Continue(()),
                        None => visit(ctx, None),
                    }
                })
            })
        }
        Kind::List(items) => {
            let items: Vec<ElementFn> = items.iter().map(|item| element_fn(item, shared)).collect();
            Box::new(move |ctx, visit| {
                for item in &items {
                    if item(ctx, visit).is_break() {
                        break;
                    }
                }
                Some(())
            })
        }
        Kind::Choose(condition, yes, no) => {
            let (condition, yes, no) = (
                bool_fn(condition, shared),
                list_fn(yes, shared),
                list_fn(no, shared),
            );
            Box::new(move |ctx, visit| {
                if condition(ctx)? {
                    yes(ctx, visit)
                } else {
                    no(ctx, visit)
                }
            })
        }
        _ => Box::new(|_, _| None),
    }
}

/// Computes one element of a written list and visits it.
type ElementFn = Box<dyn Fn(&Ctx<'_>, &mut Visit<'_>) -> ControlFlow<()> + Send + Sync>;

fn element_fn(item: &Typed, shared: &mut Shared) -> ElementFn {
    match item.ty {
        Type::Bool => {
            let item = bool_fn(item, shared);
            Box::new(move |ctx, visit| visit(ctx, item(ctx).map(Bound::Bool)))
        }
        Type::Int => {
            let item = int_fn(item, shared);
            Box::new(move |ctx, visit| visit(ctx, item(ctx).map(Bound::Int)))
        }
        Type::Float => {
            let item = float_fn(item, shared);
            Box::new(move |ctx, visit| visit(ctx, item(ctx).map(Bound::Float)))
        }
        Type::Duration => {
            let item = duration_fn(item, shared);
            Box::new(move |ctx, visit| visit(ctx, item(ctx).map(Bound::Duration)))
        }
        Type::Time => {
            let item = time_fn(item, shared);
            Box::new(move |ctx, visit| visit(ctx, item(ctx).map(Bound::Time)))
        }
        Type::String => {
            let item = text_fn(item, shared);
            Box::new(move |ctx, visit| {
                let text = item(ctx);
                visit(ctx, text.as_deref().map(Bound::Text))
            })
        }
        _ => Box::new(|ctx, visit| visit(ctx, None)),
    }
}

fn has(field: &Typed, shared: &mut Shared) -> BoolFn {
    match (&field.kind, &field.ty) {
        (Kind::Attribute(name), Type::Map(_)) => {
            let name = name.clone();
            Box::new(move |ctx| Some(env::map_len(ctx, &name).is_some_and(|len| len > 0)))
        }
        // A list is there when it holds something, as in CEL.
        (_, Type::List(_) | Type::Set(_)) => {
            let list = list_fn(field, shared);
            Box::new(move |ctx| {
                let mut some = false;
                list(ctx, &mut |_, _| {
                    some = true;
                    ControlFlow::Break(())
                });
                Some(some)
            })
        }
        (_, Type::Bool) => known(bool_fn(field, shared)),
        (_, Type::Int) => known(int_fn(field, shared)),
        (_, Type::Float) => known(float_fn(field, shared)),
        (_, Type::Duration) => known(duration_fn(field, shared)),
        (_, Type::Time) => known(time_fn(field, shared)),
        (_, Type::String) => {
            let text = text_fn(field, shared);
            Box::new(move |ctx| Some(text(ctx).is_some()))
        }
        _ => Box::new(|_| None),
    }
}

fn known<T: 'static>(value: Computed<T>) -> BoolFn {
    Box::new(move |ctx| Some(value(ctx).is_some()))
}

// ---- texts ----

fn text_fn(typed: &Typed, shared: &mut Shared) -> TextFn {
    match &typed.kind {
        Kind::Literal(Literal::Text(text)) => {
            let number = shared.add_literal(text);
            Box::new(move |ctx| {
                ctx.shared
                    .literals
                    .get(number)
                    .map(|text| Cow::Borrowed(&**text))
            })
        }
        Kind::Field(field) => {
            let field = *field;
            Box::new(move |ctx| ctx.text(field).map(Cow::Borrowed))
        }
        Kind::Attribute(name) => {
            let name = name.clone();
            Box::new(move |ctx| env::json_text(ctx.attribute(&name)?).map(Cow::Borrowed))
        }
        Kind::Entry { map, key } => {
            let (map, key) = (map.clone(), text_fn(key, shared));
            Box::new(move |ctx| env::json_text(ctx.entry(&map, &key(ctx)?)?).map(Cow::Borrowed))
        }
        Kind::Variable { slot, .. } => {
            let slot = *slot;
            Box::new(move |ctx| ctx.bound_text(ctx.bound(slot)).map(Cow::Borrowed))
        }
        Kind::MediumField { slot, field, .. } => {
            let (slot, field) = (*slot, *field);
            Box::new(move |ctx| ctx.medium_text(ctx.medium_index(slot)?, field))
        }
        Kind::Form(lookup) => {
            let lookup = lookup.clone();
            Box::new(move |ctx| ctx.nearest_image(&lookup)?.form().map(Cow::Borrowed))
        }
        Kind::Counter(index) => {
            let index = *index;
            Box::new(move |ctx| ctx.counter(index)?.into_text().map(Cow::Owned))
        }
        Kind::Binary(Binary::Add, a, b) => {
            let (a, b) = (text_fn(a, shared), text_fn(b, shared));
            Box::new(move |ctx| Some(a(ctx)? + b(ctx)?))
        }
        Kind::Choose(condition, yes, no) => {
            let (condition, yes, no) = (
                bool_fn(condition, shared),
                text_fn(yes, shared),
                text_fn(no, shared),
            );
            Box::new(move |ctx| if condition(ctx)? { yes(ctx) } else { no(ctx) })
        }
        Kind::Text {
            function,
            receiver,
            arg: None,
        } => {
            let function = *function;
            let receiver = text_fn(receiver, shared);
            Box::new(move |ctx| Some(text_form(function, receiver(ctx)?)))
        }
        Kind::Call { function, .. } => match function.how {
            How::Run {
                run: Run::Text(run),
                ..
            } => text_call_fn(typed, run, shared),
            _ => Box::new(|_| None),
        },
        _ => Box::new(|_| None),
    }
}

/// Another form of a text.
pub(crate) fn text_form(function: TextFunction, text: Cow<'_, str>) -> Cow<'_, str> {
    match function {
        TextFunction::LowerAscii if text.bytes().any(|b| b.is_ascii_uppercase()) => {
            text.to_ascii_lowercase().into()
        }
        TextFunction::Lower if text.chars().any(char::is_uppercase) => text.to_lowercase().into(),
        _ => text,
    }
}

/// A test of one text by another.
pub(crate) fn text_holds(function: TextFunction, text: &str, part: &str) -> bool {
    match function {
        TextFunction::Contains => text.contains(part),
        TextFunction::StartsWith => text.starts_with(part),
        TextFunction::EndsWith => text.ends_with(part),
        _ => false,
    }
}

fn text_test(function: TextFunction, receiver: &Typed, arg: &Typed, shared: &mut Shared) -> BoolFn {
    let receiver_fn = text_fn(receiver, shared);
    match (arg.literal_text(), function) {
        (Some(part), TextFunction::Contains) => {
            // The searcher is prepared once; preparing it costs more than most searches.
            let finder = memchr::memmem::Finder::new(part.as_bytes()).into_owned();
            Box::new(move |ctx| Some(finder.find(receiver_fn(ctx)?.as_bytes()).is_some()))
        }
        (Some(part), _) => {
            let part: Box<str> = part.into();
            Box::new(move |ctx| Some(text_holds(function, &receiver_fn(ctx)?, &part)))
        }
        (None, _) => {
            let arg = text_fn(arg, shared);
            Box::new(move |ctx| Some(text_holds(function, &receiver_fn(ctx)?, &arg(ctx)?)))
        }
    }
}

// ---- what happened before ----

fn counter<T: 'static>(index: usize, read: fn(&Remembered) -> Option<T>) -> Computed<T> {
    Box::new(move |ctx| read(&ctx.counter(index)?))
}

// ---- numbers and times ----

fn int_fn(typed: &Typed, shared: &mut Shared) -> IntFn {
    match &typed.kind {
        Kind::Literal(Literal::Int(value)) => {
            let value = *value;
            Box::new(move |_| Some(value))
        }
        Kind::Field(field) => {
            let field = *field;
            Box::new(move |ctx| ctx.int(field))
        }
        Kind::Attribute(name) => {
            let name = name.clone();
            Box::new(move |ctx| env::json_int(ctx.attribute(&name)?))
        }
        Kind::Entry { map, key } => {
            let (map, key) = (map.clone(), text_fn(key, shared));
            Box::new(move |ctx| env::json_int(ctx.entry(&map, &key(ctx)?)?))
        }
        Kind::Variable { slot, .. } => {
            let slot = *slot;
            Box::new(move |ctx| {
                if let Bound::Int(value) = ctx.bound(slot) {
                    Some(value)
                } else {
                    None
                }
            })
        }
        Kind::MediumField { slot, field, .. } => {
            let (slot, field) = (*slot, *field);
            Box::new(move |ctx| ctx.medium_int(ctx.medium_index(slot)?, field))
        }
        Kind::Negate(inner) => {
            let inner = int_fn(inner, shared);
            Box::new(move |ctx| inner(ctx)?.checked_neg())
        }
        Kind::Binary(op, a, b) => {
            let (op, a, b) = (*op, int_fn(a, shared), int_fn(b, shared));
            Box::new(move |ctx| ops::int(op, a(ctx)?, b(ctx)?))
        }
        Kind::Choose(condition, yes, no) => {
            let (condition, yes, no) = (
                bool_fn(condition, shared),
                int_fn(yes, shared),
                int_fn(no, shared),
            );
            Box::new(move |ctx| if condition(ctx)? { yes(ctx) } else { no(ctx) })
        }
        Kind::Size(of) => size(of, shared),
        Kind::Call { function, .. } => match function.how {
            How::Run {
                run: Run::Int(run), ..
            } => call_fn(typed, run, shared),
            _ => Box::new(|_| None),
        },
        Kind::Members(lookup) => {
            let lookup = lookup.clone();
            Box::new(move |ctx| ctx.members(&lookup))
        }
        Kind::Macro {
            which: Macro::Count,
            list,
            slot,
            body,
            ..
        } => count(list, *slot, body, shared),
        Kind::Distance(lookup) => {
            let lookup = lookup.clone();
            Box::new(move |ctx| ctx.distance(&lookup))
        }
        Kind::Counter(index) => counter(*index, Remembered::as_int),
        Kind::Strikes(within) => {
            let within = *within;
            Box::new(move |ctx| ctx.strikes(within))
        }
        _ => Box::new(|_| None),
    }
}

fn size(of: &Typed, shared: &mut Shared) -> IntFn {
    match (&of.kind, &of.ty) {
        (Kind::Field(field), Type::List(_)) => {
            let field = *field;
            Box::new(move |ctx| i64::try_from(ctx.len(field)?).ok())
        }
        (Kind::Attribute(name), Type::List(_)) => {
            let name = name.clone();
            Box::new(move |ctx| i64::try_from(ctx.attribute(&name)?.as_array()?.len()).ok())
        }
        (Kind::Attribute(name), Type::Map(_)) => {
            let name = name.clone();
            Box::new(move |ctx| env::map_len(ctx, &name))
        }
        (Kind::List(items), _) => {
            let len = i64::try_from(items.len()).ok();
            Box::new(move |_| len)
        }
        (Kind::Call { .. }, Type::List(_)) => {
            let texts = texts_call_fn(of, shared);
            Box::new(move |ctx| {
                let mut len = 0;
                texts(ctx, &mut |_| {
                    len += 1;
                    ControlFlow::Continue(())
                })?;
                Some(len)
            })
        }
        // An element that may or may not be one makes the number unknown.
        (_, Type::List(_) | Type::Set(_)) => {
            let list = list_fn(of, shared);
            Box::new(move |ctx| {
                let mut len = Some(0);
                list(ctx, &mut |_, element| {
                    len = element.and(len).map(|len| len + 1);
                    match len {
                        Some(_) => ControlFlow::Continue(()),
                        None => ControlFlow::Break(()),
                    }
                })?;
                len
            })
        }
        _ => {
            let text = text_fn(of, shared);
            Box::new(move |ctx| i64::try_from(text(ctx)?.chars().count()).ok())
        }
    }
}

fn count(list: &Typed, slot: usize, body: &Typed, shared: &mut Shared) -> IntFn {
    let (list, body) = (list_fn(list, shared), bool_fn(body, shared));
    Box::new(move |ctx| {
        let mut counted = Some(0_i64);
        list(ctx, &mut |ctx, element| {
            match element.and_then(|element| body(&ctx.with(slot, element))) {
                Some(true) => counted = counted.map(|n| n + 1),
                Some(false) => {}
                None => counted = None,
            }
            if counted.is_none() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        counted
    })
}

fn float_fn(typed: &Typed, shared: &mut Shared) -> FloatFn {
    match &typed.kind {
        Kind::Literal(Literal::Float(value)) => {
            let value = *value;
            Box::new(move |_| Some(value))
        }
        Kind::Counter(index) => counter(*index, Remembered::as_float),
        Kind::Attribute(name) => {
            let name = name.clone();
            Box::new(move |ctx| env::json_float(ctx.attribute(&name)?))
        }
        Kind::Entry { map, key } => {
            let (map, key) = (map.clone(), text_fn(key, shared));
            Box::new(move |ctx| env::json_float(ctx.entry(&map, &key(ctx)?)?))
        }
        Kind::Variable { slot, .. } => {
            let slot = *slot;
            Box::new(move |ctx| {
                if let Bound::Float(value) = ctx.bound(slot) {
                    Some(value)
                } else {
                    None
                }
            })
        }
        Kind::Negate(inner) => {
            let inner = float_fn(inner, shared);
            Box::new(move |ctx| inner(ctx).map(|value| -value))
        }
        Kind::Call { function, .. } => match function.how {
            How::Run {
                run: Run::Float(run),
                ..
            } => call_fn(typed, run, shared),
            _ => Box::new(|_| None),
        },
        Kind::Binary(op, a, b) => {
            let (op, a, b) = (*op, float_fn(a, shared), float_fn(b, shared));
            Box::new(move |ctx| ops::float(op, a(ctx)?, b(ctx)?))
        }
        Kind::Choose(condition, yes, no) => {
            let (condition, yes, no) = (
                bool_fn(condition, shared),
                float_fn(yes, shared),
                float_fn(no, shared),
            );
            Box::new(move |ctx| if condition(ctx)? { yes(ctx) } else { no(ctx) })
        }
        _ => Box::new(|_| None),
    }
}

fn duration_fn(typed: &Typed, shared: &mut Shared) -> DurationFn {
    match &typed.kind {
        Kind::Literal(Literal::Duration(value)) => {
            let value = *value;
            Box::new(move |_| Some(value))
        }
        Kind::Field(field) => {
            let field = *field;
            Box::new(move |ctx| ctx.duration(field))
        }
        Kind::Counter(index) => counter(*index, Remembered::as_duration),
        Kind::Attribute(name) => {
            let name = name.clone();
            Box::new(move |ctx| env::json_duration(ctx.attribute(&name)?))
        }
        Kind::Entry { map, key } => {
            let (map, key) = (map.clone(), text_fn(key, shared));
            Box::new(move |ctx| env::json_duration(ctx.entry(&map, &key(ctx)?)?))
        }
        Kind::Variable { slot, .. } => {
            let slot = *slot;
            Box::new(move |ctx| {
                if let Bound::Duration(value) = ctx.bound(slot) {
                    Some(value)
                } else {
                    None
                }
            })
        }
        Kind::Negate(inner) => {
            let inner = duration_fn(inner, shared);
            Box::new(move |ctx| inner(ctx)?.checked_neg())
        }
        Kind::Binary(Binary::Subtract, a, b) if a.ty == Type::Time => {
            let (a, b) = (time_fn(a, shared), time_fn(b, shared));
            Box::new(move |ctx| Some(a(ctx)?.duration_since(b(ctx)?)))
        }
        Kind::Binary(op, a, b) => {
            let (op, a, b) = (*op, duration_fn(a, shared), duration_fn(b, shared));
            Box::new(move |ctx| ops::duration(op, a(ctx)?, b(ctx)?))
        }
        Kind::Choose(condition, yes, no) => {
            let (condition, yes, no) = (
                bool_fn(condition, shared),
                duration_fn(yes, shared),
                duration_fn(no, shared),
            );
            Box::new(move |ctx| if condition(ctx)? { yes(ctx) } else { no(ctx) })
        }
        _ => Box::new(|_| None),
    }
}

fn time_fn(typed: &Typed, shared: &mut Shared) -> TimeFn {
    match &typed.kind {
        Kind::Literal(Literal::Time(value)) => {
            let value = *value;
            Box::new(move |_| Some(value))
        }
        Kind::Field(field) => {
            let field = *field;
            Box::new(move |ctx| ctx.time(field))
        }
        Kind::Counter(index) => counter(*index, Remembered::as_time),
        Kind::Attribute(name) => {
            let name = name.clone();
            Box::new(move |ctx| env::json_time(ctx.attribute(&name)?))
        }
        Kind::Entry { map, key } => {
            let (map, key) = (map.clone(), text_fn(key, shared));
            Box::new(move |ctx| env::json_time(ctx.entry(&map, &key(ctx)?)?))
        }
        Kind::Variable { slot, .. } => {
            let slot = *slot;
            Box::new(move |ctx| {
                if let Bound::Time(value) = ctx.bound(slot) {
                    Some(value)
                } else {
                    None
                }
            })
        }
        Kind::Binary(op, a, b) => {
            // `duration + time` is `time + duration`.
            let (time, by) = if a.ty == Type::Time { (a, b) } else { (b, a) };
            let (op, time, by) = (*op, time_fn(time, shared), duration_fn(by, shared));
            Box::new(move |ctx| ops::moved(op, time(ctx)?, by(ctx)?))
        }
        Kind::Choose(condition, yes, no) => {
            let (condition, yes, no) = (
                bool_fn(condition, shared),
                time_fn(yes, shared),
                time_fn(no, shared),
            );
            Box::new(move |ctx| if condition(ctx)? { yes(ctx) } else { no(ctx) })
        }
        _ => Box::new(|_| None),
    }
}

/// The subject of an event, for effects that name no target: what its type is named after, then
/// whatever else it has.
pub(crate) fn subject_of(ctx: &Ctx<'_>) -> EntityType {
    use EntityType::{Account, Content, Space};
    let noun = ctx.facts.event.r#type.split('.').next().unwrap_or_default();
    let order = match noun {
        "account" | "payout" => [Account, Content, Space],
        "space" => [Space, Content, Account],
        _ => [Content, Space, Account],
    };
    order
        .into_iter()
        .find(|entity| ctx.has_entity(*entity))
        .unwrap_or(order[0])
}
