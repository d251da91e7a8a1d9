#!/usr/bin/env bash
# The PDQ index beside threatexchange's PDQIndex and faiss's linear scan: the same hashes, the same queries,
# each asked once, radius 31, on one core. A build begins with the hashes in memory and ends with an index to ask.
# Seconds are the processor's, for all alike, and beside them those of the clock. Each is built two or three times,
# for the first build also waits for the system to give memory.
#   bench/index/run.sh [HASHES...]     (default 1000 10000 100000 1000000; 10000000 takes 6 min, 100000000 18 GB)
# Needs Python with numpy, faiss-cpu and threatexchange. Prints JSON lines; draws docs/img/index-*.svg of them
# when PLOTS=1.
set -euo pipefail
cd "$(dirname "$0")/../.."
sizes=("$@")
[ "$#" -gt 0 ] || sizes=(1000 10000 100000 1000000)
cargo build --release --quiet --locked -p manara-signal --example bench_index
bench=${CARGO_TARGET_DIR:-target}/release/examples/bench_index
core=$(($(nproc) - 1))
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
results=$work/results
for hashes in "${sizes[@]}"; do
  queries=$((hashes >= 10000000 ? 20000 : 100000))
  peer_queries=$((hashes >= 10000000 ? 200 : 2000))
  builds=$((hashes >= 10000000 ? 2 : 3))
  taskset -c "$core" "$bench" --hashes "$hashes" --queries "$queries" --builds "$builds" --json >"$work/manara"
  python3 - "$work/manara" <<'PY' | tee -a "$results"
import json, sys
f = json.load(open(sys.argv[1]))
common = {"hashes": int(f["hashes"]), "build_s": f["build_s"], "build_wall_s": f["build_wall_s"], "build_again_s": f["build_again_s"],
          "build_peak_bytes_per_hash": round(f["build_peak_bytes_per_hash"]), "bytes_per_hash": round(f["resident_bytes_per_hash"])}
print(json.dumps({"engine": "manara", **common, "queries_per_s": f["single_q_s"],
                  "queries_per_s_wall": f["single_wall_q_s"], "recall": f["single_recall"]}))
print(json.dumps({"engine": "manara, stream", "hashes": common["hashes"], "queries_per_s": f["stream_q_s"], "recall": f["stream_recall"]}))
print(json.dumps({"engine": "manara, bulk", "hashes": common["hashes"], "queries_per_s": f["bulk_q_s"], "recall": f["bulk_recall"]}))
PY
  # The peers would need 54 GB, or an hour, for more.
  [ "$hashes" -le 10000000 ] || continue
  taskset -c "$core" "$bench" --hashes "$hashes" --queries "$peer_queries" --write "$work"
  for peer in threatexchange faiss-flat; do
    taskset -c "$core" python3 bench/index/peer.py "$peer" "$work/hashes" "$work/queries" "$work/truth" "$hashes" "$peer_queries" "$builds" | tee -a "$results"
  done
done
if [ "${PLOTS:-}" = 1 ]; then
  mkdir -p docs/img
  python3 bench/index/plot.py "$results" docs/img
fi
