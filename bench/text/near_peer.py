#!/usr/bin/env python3
"""near_peer.py DIR TEXTS QUERIES: PyPI RapidFuzz asked what `bench_near edit` is asked.

Prints one JSON line: the median and 99th percentile of a lookup in microseconds, and all answers (query, member,
edits) as a digest. The cutoff is that of the longest member that could be near; what is over 5 % of its member's
own length is left out afterwards.
"""
import hashlib, json, statistics, sys, time
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import extract

folder, texts, queries = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


def lines(name, count):
    with open(f"{folder}/{name}.norm", encoding="utf8") as file:
        return [line.rstrip("\n") for line, _ in zip(file, range(count))]


bank, asked = lines("bank", texts), lines("queries", queries)
took, answers, hits = [], hashlib.sha256(), 0
for number, text in enumerate(asked):
    began = time.perf_counter()
    found = extract(text, bank, scorer=Levenshtein.distance, score_cutoff=len(text) // 19, limit=None)
    near = sorted((at, edits) for member, edits, at in found if edits * 100 <= 5 * len(member))
    took.append((time.perf_counter() - began) * 1e6)
    hits += len(near)
    for at, edits in near:
        answers.update(f"{number} {at} {int(edits)}\n".encode())
took.sort()
print(json.dumps({"engine": "rapidfuzz", "texts": len(bank), "queries": len(asked), "median_us": round(statistics.median(took), 2),
                  "p99_us": round(took[len(took) * 99 // 100], 2), "hits": hits, "answers": answers.hexdigest()[:16]}))
