//! Fixed-size values written as hexadecimal digits: reading, writing, and the newtype they share.

use thiserror::Error;

/// Why a text is not a hash of the expected length.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HexError {
    /// The number of digits is wrong; often a hash cut short, or one of another type.
    #[error(
        "{expected} hexadecimal digits expected, this has {found}: check that it was copied whole"
    )]
    Length {
        /// How many digits a value of this type has.
        expected: usize,
        /// How many characters were given.
        found: usize,
    },
    /// A character that is not `0-9`, `a-f` or `A-F`.
    #[error("`{}` at byte {column} is not a hexadecimal digit: only 0-9 and a-f are", found.escape_default())]
    Digit {
        /// The character found.
        found: char,
        /// Its byte offset in the text that was given.
        column: usize,
    },
}

impl HexError {
    /// Byte offset of the mistake in the text, when it lies at one place.
    pub fn column(&self) -> Option<usize> {
        match self {
            Self::Length { .. } => None,
            Self::Digit { column, .. } => Some(*column),
        }
    }
}

/// Reads exactly `2 * N` hexadecimal digits of either case; white space around them is ignored.
pub(crate) fn decode<const N: usize>(text: &str) -> Result<[u8; N], HexError> {
    let trimmed = text.trim();
    let lead = text.len() - text.trim_start().len();
    // A wrong digit is the better message for a short text that has one: it says where to look.
    if let Some((at, found)) = trimmed.char_indices().find(|(_, c)| !c.is_ascii_hexdigit()) {
        return Err(HexError::Digit {
            found,
            column: lead + at,
        });
    }
    if trimmed.len() != 2 * N {
        return Err(HexError::Length {
            expected: 2 * N,
            found: trimmed.len(),
        });
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(trimmed.as_bytes().chunks_exact(2)) {
        *byte = pair
            .iter()
            .fold(0, |high, &digit| (high << 4) | value(digit));
    }
    Ok(bytes)
}

const fn value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.wrapping_sub(b'A' - 10),
    }
}

/// Writes lower-case hexadecimal digits, most significant first.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let digit = |nibble: u8| {
        char::from(if nibble < 10 {
            b'0' + nibble
        } else {
            b'a' + nibble - 10
        })
    };
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// Declares a newtype over `[u8; N]` that reads and writes itself as hexadecimal.
macro_rules! hex_newtype {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Reads hexadecimal digits of either case; white space around them is ignored.
            pub fn from_hex(text: &str) -> Result<Self, $crate::HexError> {
                $crate::hex::decode(text).map(Self)
            }
            /// Lower-case hexadecimal digits.
            pub fn to_hex(&self) -> String {
                $crate::hex::encode(&self.0)
            }
            /// The bytes, in the order in which they are written.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.to_hex())
            }
        }
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({})", stringify!($name), self.to_hex())
            }
        }
        impl std::str::FromStr for $name {
            type Err = $crate::HexError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::from_hex(text)
            }
        }
        impl From<[u8; $len]> for $name {
            fn from(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.to_hex())
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::from_hex(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use hex_newtype;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expect: &Result<[u8; 2], HexError>) {
        assert_eq!(decode::<2>(text), *expect);
    }

    #[test]
    fn either_case_and_outer_space_are_read() {
        check("00fF", &Ok([0, 255]));
        check(" aBc9\n", &Ok([0xab, 0xc9]));
    }

    #[test]
    fn the_message_names_length_or_place() {
        check(
            "",
            &Err(HexError::Length {
                expected: 4,
                found: 0,
            }),
        );
        check(
            "00f",
            &Err(HexError::Length {
                expected: 4,
                found: 3,
            }),
        );
        check(
            "00ff0",
            &Err(HexError::Length {
                expected: 4,
                found: 5,
            }),
        );
        check(
            " 0g",
            &Err(HexError::Digit {
                found: 'g',
                column: 2,
            }),
        );
        check(
            "00 f",
            &Err(HexError::Digit {
                found: ' ',
                column: 2,
            }),
        );
        check(
            "0٣0٣",
            &Err(HexError::Digit {
                found: '٣',
                column: 1,
            }),
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(bytes: [u8; 32]) {
            prop_assert_eq!(decode::<32>(&encode(&bytes)), Ok(bytes));
            prop_assert_eq!(decode::<32>(&encode(&bytes).to_uppercase()), Ok(bytes));
        }

        #[test]
        fn nothing_makes_it_panic(text: String) {
            let _: Result<[u8; 16], _> = decode(&text);
        }
    }
}
