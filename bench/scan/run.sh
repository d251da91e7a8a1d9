#!/usr/bin/env bash
# `manara scan` of many JPEGs on all cores, beside decoding and hashing them on one thread with nothing around.
#   bench/scan/run.sh [FILES]      (default 10000; needs Python with numpy and pillow)
set -euo pipefail
cd "$(dirname "$0")/../.."
files=${1:-10000}
cargo build --release --quiet --locked -p manara --bin manara --example bench_decode
bin=${CARGO_TARGET_DIR:-target}/release
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT
python3 bench/scan/generate.py "$work/images" "$files"
python3 - >"$work/bank.csv" <<'PY'
import random
random.seed(5)
print("signal_type,signal,note")
for _ in range(100_000):
    print(f"pdq,{random.getrandbits(256):064x},")
PY
du -sm "$work/images" | awk '{print "images:       " $1 " MB"}'
for round in 1 2; do
  alone=$("$bin/examples/bench_decode" "$work/images")
  echo "one thread:   $alone"
  : >"$work/rss"
  (while sleep 1; do awk '/VmRSS/ {printf "%d ", $2/1024}' "/proc/$(pgrep -n -x manara)/status" >>"$work/rss"; done) 2>/dev/null &
  sampler=$!
  started=$(date +%s.%N)
  "$bin/manara" scan --bank BANK="$work/bank.csv" "$work/images" --json >/dev/null 2>"$work/err" || [ "$?" = 1 ]
  took=$(echo "$(date +%s.%N) - $started" | bc)
  kill "$sampler"
  sum=$(sed 's/.*in all \([0-9.]*\) s.*/\1/' <<<"$alone")
  echo "manara scan:  $took s on $(nproc) cores = $(echo "scale=3; 100 * $sum / ($took * $(nproc))" | bc) % of the sum; memory each second, MB: $(cat "$work/rss")"
done
