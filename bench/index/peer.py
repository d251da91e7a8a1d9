"""One peer of the PDQ index on one core, radius 31: prints one JSON line.

  peer.py KIND HASHES QUERIES TRUTH COUNT QUERIES_MAX BUILDS

KIND is `threatexchange` (its PDQIndex, which HMA uses) or `faiss-flat` (IndexBinaryFlat). HASHES and
QUERIES hold 32 bytes each; TRUTH holds for each query the row it was planted from, or -1, as i64.
Each query is asked once. Recall is over the planted ones. It is built
BUILDS times: `build_s` is the first, `build_again_s` the quickest of the others. Seconds are the processor's, on which this runs as
one thread; `_wall` are the clock's, with whatever else the machine did meanwhile.
"""

import gc
import json
import sys
import time

import faiss
import numpy as np
from threatexchange.signal_type.pdq.pdq_index import PDQIndex

RADIUS = 31


def rss():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096


def built(kind, known, as_hex):
    if kind == "threatexchange":
        index = PDQIndex()
        index.add_all([(h, row) for row, h in enumerate(as_hex)])
    elif kind == "faiss-flat":
        index = faiss.IndexBinaryFlat(256)
        index.add(known)
    else:
        sys.exit(f"unknown peer {kind}")
    return index


def main():
    kind, hashes, queries, truth, count, queries_max, builds = sys.argv[1:8]
    count = int(count)
    faiss.omp_set_num_threads(1)
    known = np.ascontiguousarray(np.fromfile(hashes, np.uint8, count * 32).reshape(-1, 32))
    asked = np.fromfile(queries, np.uint8).reshape(-1, 32)[: int(queries_max)]
    planted = np.fromfile(truth, np.int64)[: len(asked)]
    as_hex = [bytes(h).hex() for h in known] if kind == "threatexchange" else None
    asked_hex = [bytes(h).hex() for h in asked]
    gc.collect()
    before = rss()
    # What is timed begins with the hashes in memory, in the form the engine takes, and ends when it can be asked.
    started, clock = time.process_time(), time.perf_counter()
    index = built(kind, known, as_hex)
    build, build_wall = time.process_time() - started, time.perf_counter() - clock
    gc.collect()
    memory = rss() - before
    again = []
    for _ in range(1, int(builds)):
        index = None
        started_again = time.process_time()
        index = built(kind, known, as_hex)
        again.append(time.process_time() - started_again)

    def ask(row):
        if kind == "threatexchange":
            return {found.metadata for found in index.query(asked_hex[row])}
        limits, _, found = index.range_search(asked[row : row + 1], RADIUS + 1)
        return set(found[limits[0] : limits[1]].tolist())

    started, clock = time.process_time(), time.perf_counter()
    answers = [ask(row) for row in range(len(asked))]
    took, took_wall = time.process_time() - started, time.perf_counter() - clock
    there = [(row, origin) for row, origin in enumerate(planted) if 0 <= origin < count]
    found = sum(int(origin) in answers[row] for row, origin in there)
    print(
        json.dumps(
            {
                "engine": kind,
                "hashes": count,
                "build_s": round(build, 3),
                "build_wall_s": round(build_wall, 3),
                "build_again_s": round(min(again, default=build), 3),
                "bytes_per_hash": round(memory / count),
                "queries_per_s": round(len(asked) / took, 1),
                "queries_per_s_wall": round(len(asked) / took_wall, 1),
                "recall": found / max(1, len(there)),
                "hits": sum(len(answer) for answer in answers),
                "queries": len(asked),
            }
        )
    )


main()
