#!/usr/bin/env bash
# Back-tests over a stored archive, beside the same conditions asked of the `cel` crate, in one run. What the rows say is
# in bench/backtest/README.md.
#   bench/backtest/run.sh [EVENTS]      (default 1000000)
set -euo pipefail
cd "$(dirname "$0")/../.."
events=${1:-1000000}
cargo build --release --quiet --locked -p manara --bin manara --example bench_events
cargo build --release --quiet --locked -p manara-rules --example cel_archive
bin=${CARGO_TARGET_DIR:-target}/release
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT

mkdir -p "$work/data/rules"
export MANARA_API_KEY=bench-key-0123456789abcdef0123
"$bin/manara" serve --data "$work/data" --listen 127.0.0.1:18081 >"$work/out" 2>"$work/err" &
server=$!
until curl -sf -o /dev/null http://127.0.0.1:18081/readyz; do sleep 0.05; done
"$bin/examples/bench_events" --address 127.0.0.1:18081 --key "$MANARA_API_KEY" \
  --run archive --events "$events" --batch 100 --connections 4 >/dev/null
kill "$server"
wait "$server" || true
echo "archive:       $events events, $(du -m "$work/data/manara.db" | cut -f1) MB"

# The same events as a file, for those who cannot read the database.
python3 - "$work/data/manara.db" "$work/events.ndjson" <<'PYTHON'
import sqlite3, sys
with open(sys.argv[2], "w") as out:
    for (body,) in sqlite3.connect(sys.argv[1]).execute("SELECT body FROM events ORDER BY leaf"):
        out.write(body + "\n")
PYTHON

for round in 1 2 3; do
  for count in 1 20 200; do
    python3 bench/backtest/rules.py "$count" >"$work/$count.rules"
    # One that found nothing says so by its exit code.
    "$bin/manara" rules backtest "$work/$count.rules" --data "$work/data" --since 1d >"$work/report" || true
    echo "manara  $count rules and 3 counters: $(head -1 "$work/report" | sed 's/.*looked at in//')"
    if [ "$count" != 200 ]; then
      python3 bench/backtest/rules.py "$count" cel >"$work/$count.cel"
      echo "cel     $count rules, no counters:   $("$bin/examples/cel_archive" "$work/events.ndjson" "$work/$count.cel")"
    fi
  done
done
