#!/usr/bin/env bash
# From start to /readyz with 1,000,000 PDQ members, beside building faiss's index of the same hashes.
#   bench/start/run.sh [MEMBERS]
set -euo pipefail
cd "$(dirname "$0")/../.."
members=${1:-1000000}
cargo build --release --quiet --locked -p manara --bin manara
bin=${CARGO_TARGET_DIR:-target}/release
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT

python3 - "$members" >"$work/bank.csv" <<'PY'
import random, sys
random.seed(11)
print("signal_type,signal,note")
for _ in range(int(sys.argv[1])):
    print(f"pdq,{random.getrandbits(256):064x},")
PY
"$bin/manara" bank create --data "$work/data" HASHES
import_started=$(date +%s.%N)
"$bin/manara" bank import --data "$work/data" HASHES "$work/bank.csv"
echo "import:       $(echo "$(date +%s.%N) - $import_started" | bc) s for $members members"
for round in 1 2 3; do
  started=$(date +%s.%N)
  "$bin/manara" serve --data "$work/data" --listen 127.0.0.1:18081 >/dev/null 2>"$work/err" &
  server=$!
  until curl -sf -o /dev/null http://127.0.0.1:18081/readyz; do sleep 0.02; done
  echo "start $round:      $(echo "$(date +%s.%N) - $started" | bc) s to readyz, $(awk '/VmRSS/ {printf "%.0f MB", $2/1024}' "/proc/$server/status")"
  kill -TERM "$server"; wait "$server" || true
done
if python3 -c 'import faiss' 2>/dev/null; then
  python3 - "$work/bank.csv" <<'PY'
import sys, time
import faiss, numpy as np
rows = [line.split(",")[1] for line in open(sys.argv[1])][1:]
hashes = np.frombuffer(bytes.fromhex("".join(rows)), dtype=np.uint8).reshape(-1, 32)
started = time.time()
index = faiss.IndexBinaryMultiHash(256, 16, 16)
index.add(hashes)
print(f"peer:         {time.time() - started:.2f} s to build faiss IndexBinaryMultiHash(256,16,16) alone, hashes already in memory")
PY
else
  echo "peer:         faiss is not installed (pip install faiss-cpu numpy), so not measured"
fi
