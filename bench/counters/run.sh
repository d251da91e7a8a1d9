#!/usr/bin/env bash
# Counters: adding and reading counts of random keys beside a HashMap that keeps every time, distinct values beside
# HyperLogLog++, heavy hitters, and memory for a key. One core, turn by turn. What the rows say is in bench/counters/README.md.
#   bench/counters/run.sh [KEYS...]     (default 10000 1000000 10000000; the last needs 5 GB)
# MEMORY_KEYS=… measures memory with other than 10,000,000 keys.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo build --release --quiet --locked -p manara-rules --example counter_speed
bench=(taskset -c "${CORE:-$(($(nproc) - 1))}")
chrt -r 10 true 2>/dev/null && bench+=(chrt -r 10)
bench+=("${CARGO_TARGET_DIR:-target}/release/examples/counter_speed")
"${bench[@]}" "$@"
echo
echo "| active buckets | keys | counted by the counter, bytes a key | RSS, bytes a key | RSS, GB | snapshot, bytes a key |"
echo "|---|---|---|---|---|---|"
for active in 1 3 10 61; do "${bench[@]}" memory "${MEMORY_KEYS:-10000000}" "$active"; done
