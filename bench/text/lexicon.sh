#!/usr/bin/env bash
# Phrases of lexicons of 10,000 and 100,000 in 100 MB of messages, on one core: ours and the daachorse crate in one process,
# turn by turn, medians of the rounds as a table. What the rows say is in bench/text/README.md.
#   bench/text/lexicon.sh [BYTES] [ROUNDS]     (default 100000000 and 3; needs Python 3 for the messages)
set -euo pipefail
cd "$(dirname "$0")/../.."
bytes=${1:-100000000}
cargo build --release --quiet --locked -p manara-signal --example bench_lexicon
bench=${CARGO_TARGET_DIR:-target}/release/examples/bench_lexicon
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 bench/text/lexicon_gen.py "$work" "$bytes"
taskset -c "${CORE:-$(($(nproc) - 1))}" "$bench" "$work" "${2:-3}"
