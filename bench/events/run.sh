#!/usr/bin/env bash
# Durable events over HTTP beside the bare engine's limit, in one run.
#   bench/events/run.sh [EVENTS]      (default 300000; 1000000 for the memory figure)
set -euo pipefail
cd "$(dirname "$0")/../.."
events=${1:-300000}
cargo build --release --quiet --locked -p manara --bin manara --example bench_events
cargo build --release --quiet --locked -p manara-store --example bench_sqlite
bin=${CARGO_TARGET_DIR:-target}/release
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT

python3 bench/events/generate.py "$work"
"$bin/manara" bank create --data "$work/data" SLOGANS
"$bin/manara" bank import --data "$work/data" SLOGANS "$work/bank.csv" 2>/dev/null
mkdir -p "$work/data/rules" && cp "$work/bench.rules" "$work/data/rules/"

export MANARA_API_KEY=bench-key-0123456789abcdef0123
"$bin/manara" serve --data "$work/data" --listen 127.0.0.1:18080 >"$work/out" 2>"$work/err" &
server=$!
until curl -sf -o /dev/null http://127.0.0.1:18080/readyz; do sleep 0.05; done
load() { "$bin/examples/bench_events" --address 127.0.0.1:18080 --key "$MANARA_API_KEY" "$@"; }
rss() { awk '/VmRSS/ {printf "%.0f MB", $2/1024}' "/proc/$server/status"; }

echo "bare engine:  $("$bin/examples/bench_sqlite" "$work/bare.db" 300000 100)"
load --run warm --events 20000 >/dev/null
before=$(rss)
(while sleep 1; do rss >>"$work/rss"; echo >>"$work/rss"; done) 2>/dev/null &
echo "full speed:   $(load --run full --events "$events" --batch 100 --connections 4)"
rate=${RATE:-5000}
echo "at $rate/s:    $(load --run half --events $((rate * 20)) --batch 100 --connections 4 --rate "$rate")"
# Ten looks at equal distances in time; flat means that the later ones do not grow.
echo "memory:       $before before; $(awk '{a[NR]=$0} END {for (i=1;i<=10;i++) printf "%s%s", a[int(NR*i/10)], i<10 ? ", " : ""}' "$work/rss") during"
echo "bare engine:  $("$bin/examples/bench_sqlite" "$work/bare2.db" 300000 100)"
echo "database:     $(du -m "$work/data/manara.db" | cut -f1) MB for $((events + 20000 + rate * 20)) events"
