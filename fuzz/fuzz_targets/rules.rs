//! Any rule file: diagnostics or rules, whose own tests run.
#![no_main]

use libfuzzer_sys::fuzz_target;
use manara_rules::{Schema, Source, compile, render_plain};

fuzz_target!(|text: &str| {
    let source = Source {
        name: "fuzzed.rules".into(),
        text: text.into(),
    };
    match compile(std::slice::from_ref(&source), &Schema::builtin()) {
        Ok(rules) => drop(rules.run_tests()),
        Err(diagnostics) => {
            for diagnostic in &diagnostics {
                assert!(!render_plain(diagnostic, &source).is_empty());
            }
        }
    }
});
