#!/usr/bin/env bash
# Lookups among a million names: ours and a plain hash set in one process, then RapidFuzz over the same names.
#   bench/text/names.sh [MEMBERS]     (default 1000000; needs Python with rapidfuzz)
# RapidFuzz answers another question: which names are near by letters, whatever they say. Every name costs it
# a pass over all members.
set -euo pipefail
cd "$(dirname "$0")/../.."
members=${1:-1000000}
cargo build --release --quiet --locked -p manara-signal --example bench_names
bin=${CARGO_TARGET_DIR:-target}/release/examples/bench_names
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for round in 1 2; do
  taskset -c 0 "$bin" "$members" --write "$work"
  taskset -c 0 "${PYTHON:-python3}" - "$work" <<'PY'
import sys, time
import rapidfuzz
from rapidfuzz import process, distance
folder = sys.argv[1]
members = open(f"{folder}/members.txt").read().split("\n")
names = open(f"{folder}/names.txt").read().split("\n")[:20]
print(f"rapidfuzz {rapidfuzz.__version__}, {len(members)} members, {len(names)} names")
for label, scorer, cutoff in [
    ("extract, Jaro-Winkler from 0.95", distance.JaroWinkler.normalized_similarity, 0.95),
    ("extract, Levenshtein up to 1", distance.Levenshtein.distance, 1),
]:
    found, start = 0, time.process_time()
    for name in names:
        found += len(process.extract(name, members, scorer=scorer, score_cutoff=cutoff, limit=100))
    print(f"{label}: {(time.process_time() - start) * 1e3 / len(names):.1f} ms a name, {found} found")
start = time.process_time()
scores = process.cdist(names, members, scorer=distance.Levenshtein.distance, score_cutoff=1, workers=1)
print(f"cdist, Levenshtein up to 1: {(time.process_time() - start) * 1e3 / len(names):.1f} ms a name, {(scores <= 1).sum()} found")
PY
done
