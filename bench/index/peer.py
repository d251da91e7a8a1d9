"""One peer of the PDQ index on one core, radius 31: prints one JSON line.

  peer.py KIND HASHES QUERIES TRUTH COUNT QUERIES_MAX

KIND is `threatexchange` (its PDQIndex, which HMA uses) or `faiss-flat` (IndexBinaryFlat). HASHES and
QUERIES hold 32 bytes each; TRUTH holds for each query the row it was planted from, or -1, as i64.
Each query is asked once. Recall is over the planted ones.
"""

import gc
import json
import sys
import time

import faiss
import numpy as np

RADIUS = 31


def rss():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096


def main():
    kind, hashes, queries, truth, count, queries_max = sys.argv[1:7]
    count = int(count)
    faiss.omp_set_num_threads(1)
    known = np.ascontiguousarray(np.fromfile(hashes, np.uint8, count * 32).reshape(-1, 32))
    asked = np.fromfile(queries, np.uint8).reshape(-1, 32)[: int(queries_max)]
    planted = np.fromfile(truth, np.int64)[: len(asked)]
    as_hex = [bytes(h).hex() for h in known] if kind == "threatexchange" else None
    asked_hex = [bytes(h).hex() for h in asked]
    if kind == "threatexchange":
        from threatexchange.signal_type.pdq.pdq_index import PDQIndex
    gc.collect()
    before = rss()
    # What is timed begins with the hashes in memory, in the form the engine takes, and ends when it can be asked.
    started, cpu = time.perf_counter(), time.process_time()
    if kind == "threatexchange":
        index = PDQIndex()
        index.add_all([(h, row) for row, h in enumerate(as_hex)])

        def ask(row):
            return {found.metadata for found in index.query(asked_hex[row])}

    elif kind == "faiss-flat":
        index = faiss.IndexBinaryFlat(256)
        index.add(known)

        def ask(row):
            limits, _, found = index.range_search(asked[row : row + 1], RADIUS + 1)
            return set(found[limits[0] : limits[1]].tolist())

    else:
        sys.exit(f"unknown peer {kind}")
    build, cpu = time.perf_counter() - started, time.process_time() - cpu
    gc.collect()
    memory = rss() - before
    started = time.perf_counter()
    answers = [ask(row) for row in range(len(asked))]
    took = time.perf_counter() - started
    there = [(row, origin) for row, origin in enumerate(planted) if 0 <= origin < count]
    found = sum(int(origin) in answers[row] for row, origin in there)
    print(
        json.dumps(
            {
                "engine": kind,
                "hashes": count,
                "build_s": round(build, 3),
                "build_cpu_s": round(cpu, 3),
                "bytes_per_hash": round(memory / count),
                "queries_per_s": round(len(asked) / took, 1),
                "recall": found / max(1, len(there)),
                "hits": sum(len(answer) for answer in answers),
                "queries": len(asked),
            }
        )
    )


main()
