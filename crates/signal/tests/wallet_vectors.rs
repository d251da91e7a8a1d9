//! Wallet addresses against independent implementations, and against the standards' lists of what
//! must be refused.
//!
//! `vectors/make_wallet_vectors.py` made `vectors/wallets.ndjson` with the PyPI libraries that it
//! names, from keys and hashes that were made up.

use manara_signal::{Wallet, WalletError};
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Vector {
    text: String,
    expect: Option<String>,
    refused: Option<String>,
}

fn vectors() -> impl Iterator<Item = Vector> {
    let lines = include_str!("vectors/wallets.ndjson").lines();
    lines.map(|line| serde_json::from_str(line).unwrap())
}

fn reason(error: &WalletError) -> &'static str {
    match error {
        WalletError::Checksum { .. } => "checksum",
        WalletError::TestNetwork { .. } => "test",
        WalletError::Unnamed { .. } => "unnamed",
        _ => "other",
    }
}

#[test]
fn addresses_of_independent_libraries_are_read_as_they_are_meant() {
    for Vector {
        text,
        expect,
        refused,
    } in vectors()
    {
        let found = Wallet::parse(&text);
        assert_eq!(found.as_ref().ok().map(|w| w.to_string()), expect, "{text}");
        assert_eq!(
            found.as_ref().err().map(reason),
            refused.as_deref(),
            "{text}"
        );
    }
}

/// Invalid addresses of BIP 173 and BIP 350.
#[test]
fn what_the_standards_call_invalid_is_refused() {
    for text in [
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",
        "BC13W508D6QEJXTDG4Y5R3ZARVARY0C5XW7KN40WF2",
        "BC130XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ7ZWS8R",
        "bc1rw5uspcuf",
        "bc10w508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kw5rljs90",
        "BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P",
        "bc1zw508d6qejxtdg4y5r3zarvaryvqyzf3du",
        "bc1gmk9yu",
        "bc1pw5dgrnzv",
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd",
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v8n0nx0muaewav253zgeav",
        "bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4",
    ] {
        let found = Wallet::parse(text).map(|w| w.to_string());
        assert!(found.is_err(), "{text} became {found:?}");
    }
}

proptest! {
    /// Base58check and bech32 promise to notice any one changed character; so do Monero's and
    /// TON's sums: of single changes CRC-16 misses none.
    #[test]
    fn any_one_changed_letter_is_noticed(which in 0..576_usize, at in 0..200_usize, letter in "[1-9a-zA-Z]") {
        let wallets: Vec<_> = vectors().filter_map(|v| Some(v.text).filter(|_| v.expect.is_some())).collect();
        let text = &wallets[which % wallets.len()];
        let wallet = Wallet::parse(text).unwrap();
        prop_assume!(wallet.checksummed() && wallet.chain() != manara_signal::Chain::Ethereum);
        let start = text.find(':').map_or(0, |at| at + 1);
        let at = start + at % (text.len() - start);
        let mut changed = text.clone();
        changed.replace_range(at..=at, &letter);
        prop_assume!(changed != *text);
        prop_assert!(Wallet::parse(&changed).is_err(), "{changed}");
    }
}
