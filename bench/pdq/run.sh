#!/bin/sh
# Builds the Rust half and runs both on one core. Needs: pip install pdqhash numpy
set -eu
cd "$(dirname "$0")/../.."
cargo build --release --quiet -p manara-signal --example bench_pdq
exec taskset -c "${CORE:-0}" python3 bench/pdq/bench_pdq.py "${CARGO_TARGET_DIR:-target}/release/examples/bench_pdq"
