//! Wallet addresses, read only when their checksum is right.
//!
//! Calls for money name an address on some chain. Almost every chain puts a checksum into its
//! addresses, so a typing mistake is told apart from an address, and a run of letters in a text is
//! an address or is not: nothing is guessed. Each [`Chain`] says which standard it is read by.
//!
//! One address has one form here whatever way it was written: `bech32` in lower case, Ethereum in
//! the mixed case of EIP-55, Bitcoin Cash as cashaddr, Litecoin's old `3…` as `M…`, TON in its
//! bounceable URL-safe form. Test networks carry no value and are refused.

mod base58;
mod cashaddr;
mod chains;

use std::fmt;
use std::hash::{Hash, Hasher};
use thiserror::Error;

/// Longest text that is read as a wallet, in bytes.
pub const LEN_MAX: usize = 512;

/// A chain whose addresses are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Chain {
    /// Base58check `1…` and `3…`; bech32 and bech32m `bc1…` (BIP 173, BIP 350).
    Bitcoin,
    /// Cashaddr `q…` and `p…` (Bitcoin Cash specification of 2018); `1…` and `3…` when named.
    BitcoinCash,
    /// Base58check `L…` and `M…`, bech32 `ltc1…`; the old `3…` when named.
    Litecoin,
    /// Base58check `D…`, `A…` and `9…`.
    Dogecoin,
    /// Base58check `X…` and `7…`.
    Dash,
    /// Transparent addresses: base58check `t1…` and `t3…`.
    Zcash,
    /// `0x` and 40 hexadecimal digits, whose letter case is the checksum (EIP-55); one such address
    /// is the same on every chain that runs Ethereum's virtual machine.
    Ethereum,
    /// Base58check `T…`.
    Tron,
    /// `4…` and `8…`: base58 by blocks with a Keccak checksum; standard, integrated, subaddress.
    Monero,
    /// Base58 of 32 bytes. There is no checksum, so the chain must be named.
    Solana,
    /// Base58check `r…` with the alphabet of the XRP Ledger.
    Xrp,
    /// Base64 of 36 bytes with CRC-16: `EQ…` and `UQ…`.
    Ton,
    /// Bech32 `addr1…` (CIP-19).
    Cardano,
}

impl Chain {
    /// All chains.
    pub const ALL: [Self; 13] = [
        Self::Bitcoin,
        Self::BitcoinCash,
        Self::Litecoin,
        Self::Dogecoin,
        Self::Dash,
        Self::Zcash,
        Self::Ethereum,
        Self::Tron,
        Self::Monero,
        Self::Solana,
        Self::Xrp,
        Self::Ton,
        Self::Cardano,
    ];

    /// The name that stands before an address: that of the chain's own URIs, where it has some.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bitcoin => "bitcoin",
            Self::BitcoinCash => "bitcoincash",
            Self::Litecoin => "litecoin",
            Self::Dogecoin => "dogecoin",
            Self::Dash => "dash",
            Self::Zcash => "zcash",
            Self::Ethereum => "ethereum",
            Self::Tron => "tron",
            Self::Monero => "monero",
            Self::Solana => "solana",
            Self::Xrp => "xrp",
            Self::Ton => "ton",
            Self::Cardano => "cardano",
        }
    }

    /// The chain of a name or of the usual abbreviation, in any letter case.
    pub fn of_name(name: &str) -> Option<Self> {
        let is = |chain: &Self| {
            let (short, other) = chain.abbreviations();
            [chain.name(), short, other]
                .iter()
                .any(|known| known.eq_ignore_ascii_case(name))
        };
        Self::ALL.into_iter().find(is)
    }

    fn abbreviations(self) -> (&'static str, &'static str) {
        match self {
            Self::Bitcoin => ("btc", "btc"),
            Self::BitcoinCash => ("bch", "bitcoin-cash"),
            Self::Litecoin => ("ltc", "ltc"),
            Self::Dogecoin => ("doge", "doge"),
            Self::Dash => ("dash", "dash"),
            Self::Zcash => ("zec", "zec"),
            Self::Ethereum => ("eth", "eth"),
            Self::Tron => ("trx", "trx"),
            Self::Monero => ("xmr", "xmr"),
            Self::Solana => ("sol", "sol"),
            Self::Xrp => ("ripple", "xrpl"),
            Self::Ton => ("toncoin", "ton"),
            Self::Cardano => ("ada", "web+cardano"),
        }
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Why a text is not a wallet that can be compared.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WalletError {
    /// Nothing but white space, or a chain without an address.
    #[error("a wallet signal has no address: give one such as bitcoin:1…")]
    Empty,
    /// Over [`LEN_MAX`] bytes.
    #[error(
        "a wallet signal has at most {LEN_MAX} bytes, this has {found}: give one address and nothing else"
    )]
    Length {
        /// Length that was given.
        found: usize,
    },
    /// The word before the colon names no known chain.
    #[error("`{}` is no known chain: {} are", found.escape_default(), names())]
    Chain {
        /// The word found.
        found: String,
    },
    /// It looks like an address of no known chain.
    #[error(
        "this looks like an address of no known chain: check that it was copied whole, or name its chain as in `monero:4…`"
    )]
    Unknown,
    /// A chain without checksums was not named.
    #[error(
        "this may be a {chain} address, which has no checksum: write `{chain}:` before it if it is one"
    )]
    Unnamed {
        /// The chain it looks like.
        chain: Chain,
    },
    /// A character that addresses of the chain do not have.
    #[error("`{}` at byte {column} is in no {chain} address: check that it was copied and not typed", found.escape_default())]
    Character {
        /// The chain it looks like, or that was named.
        chain: Chain,
        /// The character found.
        found: char,
        /// Its byte offset in the text that was given.
        column: usize,
    },
    /// Length, beginning or kind is not that of the chain's addresses.
    #[error("this is not a {chain} address: {reason}")]
    Form {
        /// The chain it looks like, or that was named.
        chain: Chain,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The checksum is wrong.
    #[error(
        "this looks like a {chain} address, but its checksum is wrong: a character was changed or lost, copy it again"
    )]
    Checksum {
        /// The chain it looks like, or that was named.
        chain: Chain,
    },
    /// An address of a test network.
    #[error("this is a {chain} address of a test network, where nothing has value")]
    TestNetwork {
        /// The chain.
        chain: Chain,
    },
}

fn names() -> String {
    Chain::ALL.map(Chain::name).join(", ")
}

impl WalletError {
    /// Byte offset of the mistake in the text, when it lies at one place.
    pub fn column(&self) -> Option<usize> {
        match self {
            Self::Character { column, .. } => Some(*column),
            _ => None,
        }
    }
}

/// An address on a chain. Its text is the chain's name, a colon and the address in canonical form.
///
/// ```
/// use manara_signal::Wallet;
/// // The example of BIP 173, and the same in a payment URI.
/// let wallet = Wallet::parse("BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4")?;
/// assert_eq!(wallet.to_string(), "bitcoin:bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4");
/// assert_eq!(Wallet::parse("bitcoin:bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4?amount=1")?, wallet);
///
/// let wrong = Wallet::parse("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5").unwrap_err();
/// assert_eq!(
///     wrong.to_string(),
///     "this looks like a bitcoin address, but its checksum is wrong: a character was changed or lost, copy it again"
/// );
/// # Ok::<(), manara_signal::WalletError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Wallet {
    chain: Chain,
    address: Box<str>,
    checksummed: bool,
}

impl Wallet {
    /// Reads an address, bare or with its chain before it (`bitcoin:`, `eth:`), also as a payment
    /// URI, whose amount and message are left out.
    pub fn parse(text: &str) -> Result<Self, WalletError> {
        let given = text.trim();
        if given.len() > LEN_MAX {
            return Err(WalletError::Length { found: given.len() });
        }
        let (chain, address) = split_chain(given)?;
        if address.is_empty() {
            return Err(WalletError::Empty);
        }
        let chain = chain
            .or_else(|| chains::guess(address))
            .ok_or_else(|| chains::unnamed(address))?;
        let at = address.as_ptr() as usize - text.as_ptr() as usize;
        chains::read(chain, address).map_err(|flaw| flaw.of(chain, at))
    }

    /// The chain.
    pub fn chain(&self) -> Chain {
        self.chain
    }

    /// The address in canonical form, without the chain's name.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether a checksum vouched for it as it was written. Solana has none, nor have Ethereum
    /// addresses in one letter case.
    pub fn checksummed(&self) -> bool {
        self.checksummed
    }
}

impl PartialEq for Wallet {
    fn eq(&self, other: &Self) -> bool {
        self.chain == other.chain && self.address == other.address
    }
}
impl Eq for Wallet {}
impl Hash for Wallet {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.chain.hash(state);
        self.address.hash(state);
    }
}
impl fmt::Display for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}:{}", self.chain, self.address))
    }
}
impl std::str::FromStr for Wallet {
    type Err = WalletError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// Why the address of a chain that is known was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    Character { found: char, at: usize },
    Form(&'static str),
    Checksum,
    TestNetwork,
}

impl Flaw {
    fn of(self, chain: Chain, start: usize) -> WalletError {
        match self {
            Self::Character { found, at } => WalletError::Character {
                chain,
                found,
                column: start + at,
            },
            Self::Form(reason) => WalletError::Form { chain, reason },
            Self::Checksum => WalletError::Checksum { chain },
            Self::TestNetwork => WalletError::TestNetwork { chain },
        }
    }
}

/// The chain that is named before a colon, and the address without what a payment URI adds to it.
fn split_chain(given: &str) -> Result<(Option<Chain>, &str), WalletError> {
    let Some((name, rest)) = given.split_once(':') else {
        return Ok((None, given));
    };
    let chain = Chain::of_name(name).ok_or_else(|| WalletError::Chain {
        found: name.chars().take(40).collect(),
    })?;
    let rest = rest.strip_prefix("//").unwrap_or(rest).trim_start();
    let rest = rest.strip_prefix("transfer/").unwrap_or(rest); // TON
    let rest = rest.strip_prefix("pay-").unwrap_or(rest); // EIP-681
    let end = rest.find(['?', '@']).unwrap_or(rest.len());
    Ok((Some(chain), rest.get(..end).unwrap_or_default()))
}

/// The wallet in a run of plain letters and digits of a text (with `-` and `_` for TON), if the run
/// is one. `named` is the chain whose name and colon stand right before it.
///
/// Cheap for runs that are none: length and beginning rule most of them out.
pub(crate) fn in_run(run: &str, named: Option<Chain>) -> Option<Wallet> {
    let chain = named.or_else(|| chains::guess(run))?;
    chains::read(chain, run).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let found = Wallet::parse(text).map(|w| w.to_string());
        assert_eq!(found, Ok(expect.to_owned()), "{text}");
        let again = Wallet::parse(expect).map(|w| w.to_string());
        assert_eq!(again, Ok(expect.to_owned()), "{expect} is not settled");
    }

    /// Addresses of the standards themselves: nobody's money.
    #[test]
    fn the_standards_examples_are_read() {
        // BIP 173, BIP 350
        let v0 = "bitcoin:bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
        check("BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4", v0);
        check(
            "BITCOIN:BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4?amount=0.1&label=x",
            v0,
        );
        check(
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
            "bitcoin:bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
        );
        check("BC1SW50QGDZ25J", "bitcoin:bc1sw50qgdz25j");
        // EIP-55
        let eth = "ethereum:0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
        check("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", eth);
        check("eth:0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed", eth);
        check("0x5AAEB6053F3E94C9B9A09F33669435E7EF1BEAED", eth);
        check(
            "ethereum:pay-0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed@1?value=1",
            eth,
        );
        // The cashaddr specification, with the legacy forms that it says are the same.
        let bch = "bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a";
        check(
            "bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a",
            bch,
        );
        check("QPM2QSZNHKS23Z7629MMS6S4CWEF74VCWVY22GDX6A", bch);
        check("bitcoincash:1BpEi6DfDAUFd7GtittLSdBeYJvcoaVggu", bch);
        check(
            "bch:3CWFddi6m4ndiGyKqzYvsFYagqDLPVMTzC",
            "bitcoincash:ppm2qsznhks23z7629mms6s4cwef74vcwvn0h829pq",
        );
        // CIP-19
        check(
            "addr1vx2fxv2umyhttkxyxp8x0dlpdt3k6cwng5pxj3jhsydzers66hrl8",
            "cardano:addr1vx2fxv2umyhttkxyxp8x0dlpdt3k6cwng5pxj3jhsydzers66hrl8",
        );
        // Monero's documentation of integrated addresses
        check(
            "4LL9oSLmtpccfufTMvppY6JwXNouMBzSkbLYfpAV5Usx3skxNgYeYTRj5UzqtReoS44qo9mtmXCqY45DJ852K5Jv2bYXZKKQePHES9khPK",
            "monero:4LL9oSLmtpccfufTMvppY6JwXNouMBzSkbLYfpAV5Usx3skxNgYeYTRj5UzqtReoS44qo9mtmXCqY45DJ852K5Jv2bYXZKKQePHES9khPK",
        );
        // The XRP Ledger's account zero, Solana's system program, TON's account zero.
        check(
            "rrrrrrrrrrrrrrrrrrrrrhoLvTp",
            "xrp:rrrrrrrrrrrrrrrrrrrrrhoLvTp",
        );
        check(
            "solana:11111111111111111111111111111111",
            "solana:11111111111111111111111111111111",
        );
        check(
            "ton://transfer/UQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAJKZ?amount=1",
            "ton:EQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAM9c",
        );
    }

    #[test]
    fn a_checksum_is_told_where_there_is_one() {
        let told = |text| Wallet::parse(text).map(|w| w.checksummed());
        assert_eq!(told("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"), Ok(true));
        assert_eq!(
            told("0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed"),
            Ok(false)
        );
        assert_eq!(told("solana:11111111111111111111111111111111"), Ok(false));
    }

    #[track_caller]
    fn check_refused(text: &str, message: &str, column: Option<usize>) {
        let error = Wallet::parse(text).unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), error.column()),
            (message, column),
            "{text}"
        );
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let wrong = |chain: &str| {
            format!(
                "this looks like a {chain} address, but its checksum is wrong: a character was changed or lost, copy it again"
            )
        };
        check_refused(
            " ",
            "a wallet signal has no address: give one such as bitcoin:1…",
            None,
        );
        check_refused(
            "bitcoin:",
            "a wallet signal has no address: give one such as bitcoin:1…",
            None,
        );
        check_refused(
            "peso:123",
            "`peso` is no known chain: bitcoin, bitcoincash, litecoin, dogecoin, dash, zcash, ethereum, tron, monero, solana, xrp, ton, cardano are",
            None,
        );
        check_refused(
            "banner",
            "this looks like an address of no known chain: check that it was copied whole, or name its chain as in `monero:4…`",
            None,
        );
        check_refused(
            "11111111111111111111111111111111",
            "this may be a solana address, which has no checksum: write `solana:` before it if it is one",
            None,
        );
        check_refused(
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD",
            &wrong("ethereum"),
            None,
        );
        // BIP 173: a bech32 checksum where version 1 wants bech32m, and the reverse.
        check_refused(
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd",
            &wrong("bitcoin"),
            None,
        );
        check_refused(
            " bitcoin:1AGNa15ZQXAZUgFiqJ2i7Z2DPU2J6hW620",
            "`0` at byte 42 is in no bitcoin address: check that it was copied and not typed",
            Some(42),
        );
        check_refused(
            "1AGNa15ZQXAZUgFiqJ2i7Z2DPU2J6hW62j",
            &wrong("bitcoin"),
            None,
        );
        check_refused(
            "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx",
            "this is a bitcoin address of a test network, where nothing has value",
            None,
        );
        check_refused(
            "litecoin:bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
            "this is not a litecoin address: it does not begin with `ltc1`",
            None,
        );
        check_refused(
            "bitcoin:0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed",
            "`0` at byte 8 is in no bitcoin address: check that it was copied and not typed",
            Some(8),
        );
        check_refused(
            "eth:0x5aaeb6053f3e94c9b9a09f33669435e7ef1beae",
            "this is not a ethereum address: it has 40 hexadecimal digits after `0x`",
            None,
        );
        check_refused(
            &"1".repeat(600),
            "a wallet signal has at most 512 bytes, this has 600: give one address and nothing else",
            None,
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text: String, chain in 0..Chain::ALL.len()) {
            let _ = Wallet::parse(&text);
            let _ = Wallet::parse(&format!("{}:{text}", Chain::ALL[chain]));
        }

        #[test]
        fn any_text_of_address_letters_is_read_without_panic(
            text in "(bc1|ltc1|addr1|0x|q|r|EQ|4|1|3)?[0-9a-zA-Z+/_-]{0,110}", chain in 0..Chain::ALL.len(),
        ) {
            for text in [text.clone(), format!("{}:{text}", Chain::ALL[chain])] {
                if let Ok(wallet) = Wallet::parse(&text) {
                    prop_assert_eq!(Wallet::parse(&wallet.to_string()), Ok(wallet));
                }
            }
        }
    }
}
