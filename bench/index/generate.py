"""Hashes and queries for the index benchmark, the same for every engine and every run.

  generate.py FOLDER COUNT QUERIES

Writes FOLDER/hashes (COUNT × 32 bytes), FOLDER/queries (QUERIES × 32 bytes: every second one random,
the others planted 0 to 31 bits from a hash) and FOLDER/truth (for each query that hash's row, or -1).
Rows for planted queries are taken from the first 1,000 too, so that smaller banks find some.
"""

import sys

import numpy as np

folder, count, queries = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
random = np.random.default_rng(11)
with open(f"{folder}/hashes", "wb") as out:
    for start in range(0, count, 1_000_000):
        out.write(random.bytes(32 * min(1_000_000, count - start)))
known = np.memmap(f"{folder}/hashes", np.uint8, "r").reshape(-1, 32)
asked = np.frombuffer(random.bytes(32 * queries), np.uint8).reshape(-1, 32).copy()
truth = np.full(queries, -1, np.int64)
for query in range(1, queries, 2):
    row = int(random.integers(0, count if query % 4 == 1 else min(count, 1_000)))
    bits = np.unpackbits(known[row])
    bits[random.choice(256, (query // 2) % 32, replace=False)] ^= 1
    asked[query] = np.packbits(bits)
    truth[query] = row
asked.tofile(f"{folder}/queries")
truth.tofile(f"{folder}/truth")
