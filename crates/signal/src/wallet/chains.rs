//! How each chain's addresses are read.

use super::base58::{by_blocks, checked, decoded, with_checksum};
use super::{Chain, Flaw, Wallet, WalletError, cashaddr};
use base64::Engine;
use bech32::primitives::decode::{CheckedHrpstring, SegwitHrpstring};
use bs58::Alphabet;
use sha3::{Digest, Keccak256};

/// Reads the address of a chain.
pub(super) fn read(chain: Chain, address: &str) -> Result<Wallet, Flaw> {
    let mut checksummed = true;
    let address = match chain {
        Chain::Bitcoin => bitcoin(address)?,
        Chain::BitcoinCash => bitcoin_cash(address)?,
        Chain::Litecoin => litecoin(address)?,
        Chain::Dogecoin => versioned(address, &[&[0x1e], &[0x16]], &[&[0x71], &[0xc4]])?,
        Chain::Dash => versioned(address, &[&[0x4c], &[0x10]], &[&[0x8c], &[0x13]])?,
        Chain::Zcash => versioned(
            address,
            &[&[0x1c, 0xb8], &[0x1c, 0xbd]],
            &[&[0x1d, 0x25], &[0x1c, 0xba]],
        )?,
        Chain::Tron => versioned(address, &[&[0x41]], &[&[0xa0]])?,
        Chain::Xrp => xrp(address)?,
        Chain::Monero => monero(address)?,
        Chain::Cardano => cardano(address)?,
        Chain::Ton => ton(address)?,
        Chain::Ethereum => {
            let (address, mixed) = ethereum(address)?;
            checksummed = mixed;
            address
        }
        Chain::Solana => {
            checksummed = false;
            solana(address)?
        }
    };
    Ok(Wallet {
        chain,
        address: address.into(),
        checksummed,
    })
}

/// The chain that an address without a name is of, by its beginning and length.
pub(super) fn guess(address: &str) -> Option<Chain> {
    let (len, bytes) = (address.len(), address.as_bytes());
    let begins = |prefix: &str| {
        let start = bytes.get(..prefix.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
    };
    let second = bytes.get(1).copied().unwrap_or_default();
    let base58 = (26..=35).contains(&len);
    match bytes.first().copied().unwrap_or_default() {
        b'0' if begins("0x") => Some(Chain::Ethereum),
        b'b' | b'B' if begins("bc1") => Some(Chain::Bitcoin),
        b't' | b'T' if begins("tb1") => Some(Chain::Bitcoin),
        b'l' | b'L' if begins("ltc1") => Some(Chain::Litecoin),
        b'a' | b'A' if begins("addr1") => Some(Chain::Cardano),
        b'q' | b'p' | b'Q' | b'P' if len == 42 => Some(Chain::BitcoinCash),
        b'4' | b'8' if len == 95 || len == 106 => Some(Chain::Monero),
        b'E' | b'U' if second == b'Q' && len == 48 => Some(Chain::Ton),
        b'r' if (25..=35).contains(&len) => Some(Chain::Xrp),
        b't' if len == 35 && matches!(second, b'1' | b'3') => Some(Chain::Zcash),
        b'T' if len == 34 => Some(Chain::Tron),
        b'X' | b'7' if len == 34 => Some(Chain::Dash),
        b'D' | b'A' | b'9' if len == 34 => Some(Chain::Dogecoin),
        b'L' | b'M' if len == 34 => Some(Chain::Litecoin),
        b'1' | b'3' if base58 && !is_zeros(bytes) => Some(Chain::Bitcoin),
        _ => None,
    }
}

/// Why an address that has no name, and the beginning of no chain's addresses, is refused.
pub(super) fn unnamed(address: &str) -> WalletError {
    if (32..=44).contains(&address.len()) && solana(address).is_ok() {
        return WalletError::Unnamed {
            chain: Chain::Solana,
        };
    }
    WalletError::Unknown
}

/// Whether it is all ones, as the address of Solana's system program is.
fn is_zeros(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| *b == b'1')
}

/// A base58check address whose 20 bytes follow one of the given version prefixes.
fn versioned(address: &str, main: &[&[u8]], test: &[&[u8]]) -> Result<String, Flaw> {
    payload(address, main, test).map(|_| address.to_owned())
}

/// Which of the version prefixes a base58check address has, and its 20 bytes.
fn payload(address: &str, main: &[&[u8]], test: &[&[u8]]) -> Result<(usize, Vec<u8>), Flaw> {
    let bytes = checked(address, Alphabet::BITCOIN)?;
    let of = |versions: &[&[u8]]| {
        let is = |version: &&[u8]| bytes.len() == version.len() + 20 && bytes.starts_with(version);
        versions.iter().position(is)
    };
    match of(main) {
        Some(which) => Ok((which, bytes.into_iter().rev().take(20).rev().collect())),
        None if of(test).is_some() => Err(Flaw::TestNetwork),
        None => Err(Flaw::Form(
            "its checksum is right, but its first byte or its length is that of something else",
        )),
    }
}

const BITCOIN: [&[u8]; 2] = [&[0x00], &[0x05]];
const BITCOIN_TEST: [&[u8]; 2] = [&[0x6f], &[0xc4]];

fn bitcoin(address: &str) -> Result<String, Flaw> {
    if is_bech32(address, "tb") || is_bech32(address, "bcrt") {
        return segwit(address).and(Err(Flaw::TestNetwork));
    }
    if is_bech32(address, "bc") {
        return segwit(address);
    }
    versioned(address, &BITCOIN, &BITCOIN_TEST)
}

fn litecoin(address: &str) -> Result<String, Flaw> {
    if is_bech32(address, "ltc") {
        return segwit(address);
    }
    if ["bc", "tb", "tltc"]
        .iter()
        .any(|hrp| is_bech32(address, hrp))
    {
        return Err(Flaw::Form("it does not begin with `ltc1`"));
    }
    // Scripts began with Bitcoin's `3` until their own version byte was introduced in 2017.
    let versions: [&[u8]; 3] = [&[0x30], &[0x32], &[0x05]];
    match payload(address, &versions, &[&[0x6f], &[0x3a]])? {
        (2, hash) => Ok(with_checksum(&[&[0x32], hash.as_slice()].concat())),
        _ => Ok(address.to_owned()),
    }
}

fn bitcoin_cash(address: &str) -> Result<String, Flaw> {
    if !address.starts_with(['1', '3']) {
        return cashaddr::read(address);
    }
    let (which, hash) = payload(address, &BITCOIN, &BITCOIN_TEST)?;
    let kind = [cashaddr::Kind::Key, cashaddr::Kind::Script];
    let kind = kind.get(which).copied().unwrap_or(cashaddr::Kind::Script);
    Ok(cashaddr::write(kind, &hash))
}

fn is_bech32(address: &str, hrp: &str) -> bool {
    let start = address.get(..hrp.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(hrp))
        && address.as_bytes().get(hrp.len()) == Some(&b'1')
}

/// BIP 173 for version 0, BIP 350 for those after it.
fn segwit(address: &str) -> Result<String, Flaw> {
    use bech32::primitives::decode::{CheckedHrpstringError, SegwitHrpstringError};
    match SegwitHrpstring::new(address) {
        Ok(_) => Ok(address.to_ascii_lowercase()),
        Err(SegwitHrpstringError::Checksum(_)) => Err(Flaw::Checksum),
        Err(SegwitHrpstringError::Unchecked(error)) => {
            Err(bech32_flaw(address, CheckedHrpstringError::Parse(error)))
        }
        Err(_) => Err(Flaw::Form(
            "its version, length or padding is not that of a witness program",
        )),
    }
}

const BECH32_LETTERS: &str = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

fn bech32_flaw(address: &str, error: bech32::primitives::decode::CheckedHrpstringError) -> Flaw {
    use bech32::primitives::decode::CheckedHrpstringError;
    if matches!(error, CheckedHrpstringError::Checksum(_)) {
        return Flaw::Checksum;
    }
    let data_at = address.find('1').map_or(0, |at| at + 1);
    let is_wrong = |(at, c): &(usize, char)| {
        *at >= data_at && !BECH32_LETTERS.contains(c.to_ascii_lowercase())
    };
    match address.char_indices().find(is_wrong) {
        Some((at, found)) => Flaw::Character { found, at },
        None => Flaw::Form("it is too short, or mixes upper and lower case"),
    }
}

fn cardano(address: &str) -> Result<String, Flaw> {
    if is_bech32(address, "addr_test") {
        return Err(Flaw::TestNetwork);
    }
    if !is_bech32(address, "addr") {
        return Err(Flaw::Form("it does not begin with `addr1`"));
    }
    let words = CheckedHrpstring::new::<bech32::Bech32>(address)
        .map_err(|error| bech32_flaw(address, error))?;
    let bytes: Vec<u8> = words.byte_iter().take(80).collect();
    // CIP-19: the kind in the upper half of the first byte, the network (1 = main) in the lower.
    let header = bytes.first().copied().unwrap_or(0xff);
    let right = match header >> 4 {
        0..=3 => bytes.len() == 57,
        4 | 5 => (32..=50).contains(&bytes.len()),
        6 | 7 => bytes.len() == 29,
        _ => false,
    };
    match header & 15 {
        0 if right => Err(Flaw::TestNetwork),
        1 if right => Ok(address.to_ascii_lowercase()),
        _ => Err(Flaw::Form("its kind or length is unknown")),
    }
}

fn ethereum(address: &str) -> Result<(String, bool), Flaw> {
    const FORM: Flaw = Flaw::Form("it has 40 hexadecimal digits after `0x`");
    let start = address.get(..2).ok_or(FORM)?;
    let digits = address.get(2..).ok_or(FORM)?;
    if !start.eq_ignore_ascii_case("0x") || digits.len() != 40 {
        return Err(FORM);
    }
    let not_hex = |(_, c): &(usize, char)| !c.is_ascii_hexdigit();
    if let Some((at, found)) = digits.char_indices().find(not_hex) {
        return Err(Flaw::Character { found, at: at + 2 });
    }
    let cased = mixed_case(&digits.to_ascii_lowercase());
    let has = |test: fn(&u8) -> bool| digits.as_bytes().iter().any(test);
    let mixed = has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
    if mixed && cased != digits {
        return Err(Flaw::Checksum);
    }
    // Digits alone, or by chance one case, are their own checksum.
    let checksummed = cased == digits && digits.bytes().any(|b| b.is_ascii_alphabetic());
    Ok((format!("0x{cased}"), checksummed))
}

/// EIP-55: a letter is upper case where the hash of the lower-case text has a digit of 8 or more.
fn mixed_case(lower: &str) -> String {
    let hash = Keccak256::digest(lower.as_bytes());
    let nibbles = hash.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let cased = lower.chars().zip(nibbles);
    cased
        .map(|(c, nibble)| {
            if nibble >= 8 {
                c.to_ascii_uppercase()
            } else {
                c
            }
        })
        .collect()
}

fn xrp(address: &str) -> Result<String, Flaw> {
    let bytes = checked(address, Alphabet::RIPPLE)?;
    if bytes.len() == 21 && bytes.first() == Some(&0) {
        Ok(address.to_owned())
    } else {
        Err(Flaw::Form(
            "it is no classic address, which begins with `r`",
        ))
    }
}

fn monero(address: &str) -> Result<String, Flaw> {
    if ![95, 106].contains(&address.len()) {
        return Err(Flaw::Form("it has 95 letters, or 106 with a payment id"));
    }
    let bytes = by_blocks(address)?;
    let Some((body, sum)) = bytes
        .split_last_chunk::<4>()
        .map(|(body, sum)| (body, *sum))
    else {
        return Err(Flaw::Form("it is too short"));
    };
    if !Keccak256::digest(body).starts_with(&sum) {
        return Err(Flaw::Checksum);
    }
    match (body.first(), body.len()) {
        (Some(18 | 42), 65) | (Some(19), 73) => Ok(address.to_owned()),
        (Some(53 | 63 | 24 | 36), 65) | (Some(54 | 25), 73) => Err(Flaw::TestNetwork),
        _ => Err(Flaw::Form("its first byte is that of something else")),
    }
}

fn solana(address: &str) -> Result<String, Flaw> {
    let bytes = decoded(address, Alphabet::BITCOIN)?;
    if bytes.len() == 32 {
        Ok(address.to_owned())
    } else {
        Err(Flaw::Form("it does not have 32 bytes"))
    }
}

fn ton(address: &str) -> Result<String, Flaw> {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    const FORM: Flaw = Flaw::Form("it has 48 letters of base64");
    let safe = address.replace('+', "-").replace('/', "_");
    if let Some((at, found)) = safe
        .char_indices()
        .find(|(_, c)| !(c.is_ascii_alphanumeric() || "-_".contains(*c)))
    {
        return Err(Flaw::Character { found, at });
    }
    let mut bytes = URL_SAFE_NO_PAD.decode(&safe).map_err(|_| FORM)?;
    let (Some(sum), 36) = (
        bytes
            .split_off(bytes.len().min(34))
            .first_chunk::<2>()
            .copied(),
        safe.len() * 3 / 4,
    ) else {
        return Err(FORM);
    };
    if crc16(&bytes) != u16::from_be_bytes(sum) {
        return Err(Flaw::Checksum);
    }
    // 0x11 is bounceable, 0x51 not; both are the same account. 0x80 is the test network's bit.
    match bytes.first_mut() {
        Some(flags @ (0x11 | 0x51)) => *flags = 0x11,
        Some(0x91 | 0xd1) => return Err(Flaw::TestNetwork),
        _ => return Err(Flaw::Form("its first byte is that of something else")),
    }
    bytes.extend(crc16(&bytes).to_be_bytes());
    Ok(URL_SAFE_NO_PAD.encode(&bytes))
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    let step = |crc: u16, _| (crc << 1) ^ if crc & 0x8000 == 0 { 0 } else { 0x1021 };
    let byte = |crc: u16, byte: &u8| (0..8).fold(crc ^ u16::from(*byte) << 8, step);
    bytes.iter().fold(0, byte)
}
