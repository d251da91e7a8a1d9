#!/bin/sh
# One rule beside the `cel` crate and beside closures by hand, and two hundred rules on two thousand events; on one core.
# The lines are explained in bench/rules/README.md.
#   bench/rules/run.sh [ROUNDS]     (default 3; each round prints all lines)
set -eu
cd "$(dirname "$0")/../.."
cargo build --release --quiet --locked -p manara-rules --example rule_speed
run="${CARGO_TARGET_DIR:-target}/release/examples/rule_speed"
for round in $(seq "${1:-3}"); do
  echo "round $round"
  if command -v taskset >/dev/null; then taskset -c "${CORE:-$(($(nproc) - 1))}" "$run"; else "$run"; fi
done
