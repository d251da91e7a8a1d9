//! The operators, once for both walks over the tree: total functions that answer `None` for what
//! has no answer (a division by zero, a result out of range).

use crate::ast::Binary;
use jiff::{SignedDuration, Timestamp};
use std::cmp::Ordering;

/// Whether a comparison holds, given how its sides stand to each other.
pub(crate) fn holds(op: Binary, ordering: Ordering) -> bool {
    match op {
        Binary::Equal => ordering.is_eq(),
        Binary::NotEqual => ordering.is_ne(),
        Binary::Less => ordering.is_lt(),
        Binary::LessEqual => ordering.is_le(),
        Binary::Greater => ordering.is_gt(),
        Binary::GreaterEqual => ordering.is_ge(),
        _ => false,
    }
}

/// Three-valued `&&`: false decides, whatever else is unknown.
pub(crate) fn all(values: impl IntoIterator<Item = Option<bool>>) -> Option<bool> {
    let mut result = Some(true);
    for value in values {
        match value {
            Some(false) => return Some(false),
            None => result = None,
            Some(true) => {}
        }
    }
    result
}

/// Three-valued `||`: true decides, whatever else is unknown.
pub(crate) fn any(values: impl IntoIterator<Item = Option<bool>>) -> Option<bool> {
    let mut result = Some(false);
    for value in values {
        match value {
            Some(true) => return Some(true),
            None => result = None,
            Some(false) => {}
        }
    }
    result
}

/// Arithmetic on whole numbers; division truncates towards zero, as in CEL.
pub(crate) fn int(op: Binary, a: i64, b: i64) -> Option<i64> {
    match op {
        Binary::Add => a.checked_add(b),
        Binary::Subtract => a.checked_sub(b),
        Binary::Multiply => a.checked_mul(b),
        Binary::Divide => a.checked_div(b),
        Binary::Remainder => a.checked_rem(b),
        _ => None,
    }
}

/// Arithmetic on floats; a result that is infinite or not a number is unknown.
pub(crate) fn float(op: Binary, a: f64, b: f64) -> Option<f64> {
    let result = match op {
        Binary::Add => a + b,
        Binary::Subtract => a - b,
        Binary::Multiply => a * b,
        Binary::Divide => a / b,
        _ => return None,
    };
    result.is_finite().then_some(result)
}

pub(crate) fn duration(op: Binary, a: SignedDuration, b: SignedDuration) -> Option<SignedDuration> {
    match op {
        Binary::Add => a.checked_add(b),
        Binary::Subtract => a.checked_sub(b),
        _ => None,
    }
}

pub(crate) fn moved(op: Binary, time: Timestamp, by: SignedDuration) -> Option<Timestamp> {
    match op {
        Binary::Add => time.checked_add(by).ok(),
        Binary::Subtract => time.checked_sub(by).ok(),
        _ => None,
    }
}

/// How a whole number stands to a float, exactly: no rounding of large numbers.
pub(crate) fn int_to_float(a: i64, b: f64) -> Option<Ordering> {
    // 2^63, the first float that no i64 reaches.
    const END: f64 = 9_223_372_036_854_775_808.0;
    if b.is_nan() {
        return None;
    }
    if b >= END {
        return Some(Ordering::Less);
    }
    if b < -END {
        return Some(Ordering::Greater);
    }
    let whole = b.trunc();
    // In range, so the conversion is exact; the fraction decides between equals.
    let by_whole = a.cmp(&(whole as i64));
    Some(by_whole.then(0.0_f64.partial_cmp(&(b - whole))?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{prop_assert_eq, proptest};

    #[test]
    fn arithmetic_has_no_surprises() {
        assert_eq!(int(Binary::Divide, 7, 0), None);
        assert_eq!(int(Binary::Divide, i64::MIN, -1), None);
        assert_eq!(int(Binary::Remainder, -7, 2), Some(-1));
        assert_eq!(int(Binary::Add, i64::MAX, 1), None);
        assert_eq!(float(Binary::Divide, 1.0, 0.0), None);
        assert_eq!(float(Binary::Multiply, f64::MAX, 2.0), None);
        assert_eq!(
            moved(Binary::Add, Timestamp::MAX, SignedDuration::from_secs(1)),
            None
        );
    }

    #[test]
    fn unknown_gives_way_to_what_decides() {
        assert_eq!(all([None, Some(false)]), Some(false));
        assert_eq!(all([None, Some(true)]), None);
        assert_eq!(any([None, Some(true)]), Some(true));
        assert_eq!(any([None, Some(false)]), None);
        assert_eq!((all([]), any([])), (Some(true), Some(false)));
    }

    #[test]
    fn whole_numbers_and_floats_compare_exactly() {
        assert_eq!(
            int_to_float((1 << 53) + 1, 9_007_199_254_740_992.0),
            Some(Ordering::Greater)
        );
        assert_eq!(
            int_to_float(i64::MAX, 9_223_372_036_854_775_808.0),
            Some(Ordering::Less)
        );
        assert_eq!(
            int_to_float(i64::MIN, -9_223_372_036_854_775_808.0),
            Some(Ordering::Equal)
        );
        assert_eq!(int_to_float(-1, -1.5), Some(Ordering::Greater));
        assert_eq!(int_to_float(1, 1.5), Some(Ordering::Less));
    }

    proptest! {
        #[test]
        fn small_whole_numbers_compare_as_floats_do(a in -1000_i64..1000, b in -1000.0_f64..1000.0) {
            prop_assert_eq!(int_to_float(a, b), (a as f64).partial_cmp(&b));
        }
    }
}
