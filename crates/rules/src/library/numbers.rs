//! Conversions between numbers and texts, as in CEL.

use super::{Answer, Input, Operand};
use std::borrow::Cow;

const NOT_A_NUMBER: &str = "this is no number";

pub(super) fn float(input: Input<'_, '_>) -> Answer<f64> {
    match input.value {
        Operand::Int(value) => Ok(value as f64),
        Operand::Float(value) => Ok(value),
        _ => Err(NOT_A_NUMBER),
    }
}

/// Towards zero; unknown where no whole number of 64 bits is near.
pub(super) fn int(input: Input<'_, '_>) -> Answer<i64> {
    // 2^63, the first float that no i64 reaches; its negative is one.
    const END: f64 = 9_223_372_036_854_775_808.0;
    match input.value {
        Operand::Int(value) => Ok(value),
        Operand::Float(value) if (-END..END).contains(&value) => Ok(value as i64),
        Operand::Float(_) => Err("out of range of whole numbers"),
        _ => Err(NOT_A_NUMBER),
    }
}

pub(super) fn string<'a>(input: Input<'a, '_>) -> Answer<Cow<'a, str>> {
    match input.value {
        Operand::Bool(true) => Ok(Cow::Borrowed("true")),
        Operand::Bool(false) => Ok(Cow::Borrowed("false")),
        Operand::Int(value) => Ok(Cow::Owned(value.to_string())),
        Operand::Float(value) => Ok(Cow::Owned(float_text(value))),
        Operand::Text(text) => Ok(text),
        _ => Err("this has no form as a text"),
    }
}

/// The shortest digits that read back as this number; with an exponent where it would be long.
fn float_text(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || (1e-6..1e21).contains(&size) {
        return format!("{value}");
    }
    let text = format!("{value:e}");
    if size >= 1.0 {
        text.replace('e', "e+")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_cel_writes_them() {
        let cases = [
            (1.0, "1"),
            (123.456, "123.456"),
            (-98_765_432.1, "-98765432.1"),
            (6.022_14e23, "6.02214e+23"),
            (1e-9, "1e-9"),
            (0.0, "0"),
        ];
        for (value, expect) in cases {
            assert_eq!(float_text(value), expect);
            assert_eq!(float_text(value).parse::<f64>(), Ok(value));
        }
    }
}
