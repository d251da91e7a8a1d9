#!/usr/bin/env bash
# Near-duplicate texts beside PyPI RapidFuzz (edits within 5 %) and py-tlsh (hashing and comparing): the same posts, the
# same questions, one core, turn by turn; medians of three rounds and their ratios, one JSON line each.
#   bench/text/near.sh [TEXTS...]       (default 1000 10000 100000 1000000; the last takes some minutes and 3 GB)
# Needs Python with RapidFuzz and py-tlsh.
set -euo pipefail
cd "$(dirname "$0")/../.."
sizes=("$@")
[ "$#" -gt 0 ] || sizes=(1000 10000 100000 1000000)
cargo build --release --quiet --locked -p manara-signal --example bench_near
bench=${CARGO_TARGET_DIR:-target}/release/examples/bench_near
core=$(($(nproc) - 1))
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
most=0
for texts in "${sizes[@]}"; do [ "$texts" -le "$most" ] || most=$texts; done
python3 bench/text/near_gen.py "$work" "$most" 2000
for texts in "${sizes[@]}"; do
  # RapidFuzz looks at every text: fewer questions of larger banks, the same ones in both.
  queries=$((texts >= 1000000 ? 60 : texts >= 100000 ? 300 : 2000))
  rounds=$((texts >= 1000000 ? 2 : 3))
  for _ in $(seq "$rounds"); do
    taskset -c "$core" "$bench" edit "$work" "$texts" "$queries" >>"$work/ours.$texts"
    taskset -c "$core" python3 bench/text/near_peer.py "$work" "$texts" "$queries" >>"$work/peer.$texts"
  done
  taskset -c "$core" "$bench" edit "$work" "$texts" 2000 >"$work/edit"
  taskset -c "$core" "$bench" shingle "$work" "$texts" 2000 >"$work/shingle"
  python3 - "$work/ours.$texts" "$work/peer.$texts" "$work/edit" "$work/shingle" <<'PY'
import json, statistics, sys
ours, peer = ([json.loads(line) for line in open(name)] for name in sys.argv[1:3])
for line in ours + peer:
    assert line["answers"] == ours[0]["answers"], "different answers"
median = lambda lines: statistics.median(line["median_us"] for line in lines)
print(json.dumps({"texts": ours[0]["texts"], "queries": ours[0]["queries"], "same_answers": True, "edit_us": median(ours),
                  "rapidfuzz_us": median(peer), "ratio": round(median(peer) / median(ours), 1)}))
for name in sys.argv[3:]:
    print(open(name).read().strip())
PY
done
texts=$((most < 100000 ? most : 100000))
taskset -c "$core" "$bench" tlsh "$work" "$texts" 200
taskset -c "$core" python3 - "$work/bank" "$texts" <<'PY'
import json, sys, time, tlsh
texts = [line.rstrip("\n").encode() for line, _ in zip(open(sys.argv[1], encoding="utf8"), range(int(sys.argv[2])))]
began = time.perf_counter()
hashes = [tlsh.hash(text) for text in texts]
hashing = time.perf_counter() - began
hashes = [hash for hash in hashes if hash != "TNULL"]
began = time.perf_counter()
for hash in hashes: tlsh.diffxlen(hashes[0], hash)
comparing = time.perf_counter() - began
print(json.dumps({"engine": "py-tlsh", "hash_mb_s": round(sum(map(len, texts)) / 1e6 / hashing, 1), "million_comparisons_s": round(len(hashes) / comparing / 1e6, 2)}))
PY
taskset -c "$core" "$bench" language "$work" 1 2000
