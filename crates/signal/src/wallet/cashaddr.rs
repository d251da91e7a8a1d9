//! Cashaddr, the address form of Bitcoin Cash: base32 with a 40-bit BCH code over prefix and data
//! (Bitcoin Cash specification "CashAddr", 2018).

use super::Flaw;

const LETTERS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const PREFIX: &[u8] = b"bitcoincash";
const CHECKSUM_LETTERS: usize = 8;

/// What an address pays to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The hash of a key.
    Key = 0,
    /// The hash of a script.
    Script = 1,
}

/// The remainder of the code's division: zero for a valid word.
fn polymod(values: impl Iterator<Item = u8>) -> u64 {
    const GENERATORS: [u64; 5] = [
        0x98_f2bc_8e61,
        0x79_b76d_99e2,
        0xf3_3e5f_b3c4,
        0xae_2eab_e2a8,
        0x1e_4f43_e470,
    ];
    let mut c: u64 = 1;
    for value in values {
        let top = c >> 35;
        c = ((c & 0x07_ffff_ffff) << 5) ^ u64::from(value);
        for (bit, generator) in GENERATORS.iter().enumerate() {
            if top >> bit & 1 == 1 {
                c ^= generator;
            }
        }
    }
    c ^ 1
}

fn prefix_values() -> impl Iterator<Item = u8> {
    PREFIX.iter().map(|b| b & 31).chain([0])
}

/// Reads an address without its prefix and gives it in lower case.
pub(super) fn read(address: &str) -> Result<String, Flaw> {
    let upper = address.bytes().any(|b| b.is_ascii_uppercase());
    if upper && address.bytes().any(|b| b.is_ascii_lowercase()) {
        return Err(Flaw::Form("it mixes upper and lower case"));
    }
    let lower = address.to_ascii_lowercase();
    let mut values = Vec::with_capacity(lower.len());
    for (at, found) in lower.char_indices() {
        let value = LETTERS.iter().position(|l| char::from(*l) == found);
        let Some(value) = value else {
            return Err(Flaw::Character { found, at });
        };
        values.push(value as u8);
    }
    if polymod(prefix_values().chain(values.iter().copied())) != 0 {
        return Err(Flaw::Checksum);
    }
    values.truncate(values.len().saturating_sub(CHECKSUM_LETTERS));
    let bytes = regrouped(&values).ok_or(Flaw::Form("its padding is not zero"))?;
    // The first byte holds the kind and the hash's size; kinds 2 and 3 are 0 and 1 with tokens.
    let (Some(version), len) = (bytes.first(), bytes.len()) else {
        return Err(Flaw::Form("it is too short"));
    };
    const SIZES: [usize; 8] = [20, 24, 28, 32, 40, 48, 56, 64];
    let size = SIZES.get(usize::from(version & 7)).copied();
    if size != Some(len - 1) || version >> 3 > 3 {
        return Err(Flaw::Form("its kind or length is unknown"));
    }
    Ok(lower)
}

/// Groups of five bits as bytes; nothing when the bits left over are more than padding.
fn regrouped(values: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(values.len() * 5 / 8);
    let (mut bits, mut have) = (0_u32, 0);
    for value in values {
        bits = bits << 5 | u32::from(*value);
        have += 5;
        if have >= 8 {
            have -= 8;
            bytes.push((bits >> have) as u8);
            bits &= (1 << have) - 1;
        }
    }
    (have < 5 && bits == 0).then_some(bytes)
}

/// The address of a 20-byte hash, without its prefix.
pub(super) fn write(kind: Kind, hash: &[u8]) -> String {
    let version = (kind as u8) << 3;
    let mut values = Vec::with_capacity(42);
    let (mut bits, mut have) = (0_u32, 0);
    for byte in [version].iter().chain(hash) {
        bits = bits << 8 | u32::from(*byte);
        have += 8;
        while have >= 5 {
            have -= 5;
            values.push((bits >> have & 31) as u8);
        }
        bits &= (1 << have) - 1;
    }
    if have > 0 {
        values.push((bits << (5 - have) & 31) as u8);
    }
    let zeros = [0; CHECKSUM_LETTERS];
    let sum = polymod(prefix_values().chain(values.iter().copied()).chain(zeros));
    values.extend(
        (0..CHECKSUM_LETTERS)
            .rev()
            .map(|i| (sum >> (5 * i) & 31) as u8),
    );
    let letter = |value: &u8| LETTERS.get(usize::from(*value)).copied().map(char::from);
    values.iter().filter_map(letter).collect()
}
