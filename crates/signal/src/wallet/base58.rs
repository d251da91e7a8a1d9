//! Base58 with a checksum of two SHA-256 (base58check), and Monero's base58 by blocks.

use super::Flaw;
use bs58::Alphabet;
use sha2::{Digest, Sha256};

/// Longest base58 text that is decoded whole; the work grows with its square.
const LEN_MAX: usize = 64;

/// The bytes of a base58 text.
pub(super) fn decoded(text: &str, alphabet: &Alphabet) -> Result<Vec<u8>, Flaw> {
    if text.len() > LEN_MAX {
        return Err(Flaw::Form("it is too long"));
    }
    let mut bytes = vec![0; LEN_MAX];
    let len = bs58::decode(text)
        .with_alphabet(alphabet)
        .onto(bytes.as_mut_slice())
        .map_err(|error| flaw(text, error))?;
    bytes.truncate(len);
    Ok(bytes)
}

fn flaw(text: &str, error: bs58::decode::Error) -> Flaw {
    use bs58::decode::Error::{InvalidCharacter, NonAsciiCharacter};
    match error {
        InvalidCharacter { index, .. } | NonAsciiCharacter { index } => {
            let found = text.get(index..).and_then(|rest| rest.chars().next());
            Flaw::Character {
                found: found.unwrap_or('\u{fffd}'),
                at: index,
            }
        }
        _ => Flaw::Form("it is too long"),
    }
}

/// The payload, with its version bytes, of a text whose last four bytes are its checksum.
pub(super) fn checked(text: &str, alphabet: &Alphabet) -> Result<Vec<u8>, Flaw> {
    let mut bytes = decoded(text, alphabet)?;
    let Some(len) = bytes.len().checked_sub(4) else {
        return Err(Flaw::Form("it is too short"));
    };
    let sum = bytes.split_off(len);
    let twice = Sha256::digest(Sha256::digest(&bytes));
    if twice.starts_with(&sum) {
        Ok(bytes)
    } else {
        Err(Flaw::Checksum)
    }
}

/// The text of a payload with its version bytes.
pub(super) fn with_checksum(payload: &[u8]) -> String {
    let twice = Sha256::digest(Sha256::digest(payload));
    let mut bytes = payload.to_vec();
    bytes.extend(twice.iter().take(4));
    let mut text = vec![0; LEN_MAX * 2];
    let len = bs58::encode(bytes).onto(text.as_mut_slice()).unwrap_or(0);
    text.truncate(len);
    String::from_utf8(text).unwrap_or_default()
}

const LETTERS: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// Letters of a block of so many bytes.
const BLOCK_LETTERS: [usize; 9] = [0, 2, 3, 5, 6, 7, 9, 10, 11];

/// The bytes of Monero's base58: each eight bytes are eleven letters, the rest as many as it needs
/// (`CryptoNote` standard 007).
pub(super) fn by_blocks(text: &str) -> Result<Vec<u8>, Flaw> {
    let mut bytes = Vec::with_capacity(80);
    for (i, block) in text.as_bytes().chunks(11).enumerate() {
        let Some(len) = BLOCK_LETTERS.iter().position(|n| *n == block.len()) else {
            return Err(Flaw::Form("its length is not that of an address"));
        };
        let mut value: u128 = 0;
        for (j, letter) in block.iter().enumerate() {
            let digit = LETTERS.iter().position(|known| known == letter);
            let Some(digit) = digit else {
                let at = i * 11 + j;
                let found = text.get(at..).and_then(|rest| rest.chars().next());
                return Err(Flaw::Character {
                    found: found.unwrap_or('\u{fffd}'),
                    at,
                });
            };
            value = value * 58 + digit as u128;
        }
        if value >> (8 * len) != 0 {
            return Err(Flaw::Checksum);
        }
        bytes.extend(value.to_be_bytes().iter().skip(16 - len));
    }
    Ok(bytes)
}
