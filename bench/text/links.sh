#!/bin/sh
# Finding and looking up links, mentions, invitations and wallets, on one core, beside the linkify
# crate and a pattern of the regex crate in the same run. The figures are explained in
# docs/text-links.md.
set -eu
cd "$(dirname "$0")/../.."
cargo build --release -p manara-signal --example bench_links
run=target/release/examples/bench_links
if command -v taskset >/dev/null; then exec taskset -c "${CORE:-1}" "$run"; else exec "$run"; fi
