//! Any text, with each chain named before it: what is read is settled.
#![no_main]

use libfuzzer_sys::fuzz_target;
use manara_signal::{Chain, Wallet};

fuzz_target!(|text: &str| {
    let named = Chain::ALL.map(|chain| format!("{chain}:{text}"));
    for text in named.iter().map(String::as_str).chain([text]) {
        if let Ok(wallet) = Wallet::parse(text) {
            assert_eq!(Wallet::parse(&wallet.to_string()), Ok(wallet));
        }
    }
});
