#!/usr/bin/env python3
"""make_near_vectors.py DIR: golden vectors of near-duplicate texts, from independent implementations.

Needs PyPI threatexchange 1.2.17, RapidFuzz 3.14.6, datasketch 2.0.0 and py-tlsh 5.0.0. Writes
  raw_text.ndjson   pairs of texts: normalised, edits, and whether HMA's raw_text matches them. Texts are ASCII where
                    threatexchange compares them itself; for others its normalisation is taken and RapidFuzz compares,
                    because its own comparison refuses everything that is not ASCII.
  tlsh.ndjson       texts with their hash and the distance to the line before.
  minhash.ndjson    pairs of sets with datasketch's estimate from 128 permutations.
"""
import json, random, sys

import tlsh
from datasketch import MinHash
from rapidfuzz.distance import Levenshtein
from threatexchange.common import normalize_string
from threatexchange.signal_type.raw_text import RawTextSignal

out = sys.argv[1]
rng = random.Random(5)
english = "the grey banner flies above harbour river lantern every market bread quietly storm tonight Carry it home, fishermen! nets 42 What's up? lighthouse well-known and over under".split()
others = ["رايةُ الرَّماد فوق التل عند الفجر يحملها الناس إلى البيت ليلاً آخر ١٢".split(),
          "Серое знамя ещё над холмом у реки Ёлки йод вечером людям 7".split(),
          "gri sancağı göğe çıkar İstanbul ışığı şöyle böyle ağaç".split(),
          "灰色 の 旗 を 丘 上 に 掲げ 夜明け ﾊﾛｰ ＡＢＣ".split()]


def text(words, low, high):
    return " ".join(rng.choice(words) for _ in range(rng.randint(low, high)))


def changed(text, edits):
    letters = list(text)
    for _ in range(edits):
        at = rng.randrange(len(letters))
        letters[at] = rng.choice(["x", "", "7", letters[at] + "q", letters[at].upper(), letters[at] + "!"])
    return "".join(letters)


def raw_text(words, ascii):
    a = text(words, 1, 45)
    b = changed(a, rng.randint(0, 1 + len(a) // 14))
    left, right = normalize_string(a), normalize_string(b)
    if not left or not right:
        return None
    edits = Levenshtein.distance(left, right)
    matches = RawTextSignal.matches_str(a, b).match if ascii else edits <= len(left) - len(left) * 95 / 100
    return {"signal": a, "text": b, "normalised": left, "edits": edits, "matches": matches}


def write(name, lines):
    with open(f"{out}/{name}.ndjson", "w", encoding="utf8") as file:
        file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


pairs = [raw_text(english, True) for _ in range(320)] + [raw_text(words, False) for words in others for _ in range(30)]
pairs.append({"signal": "a" * 19, "text": "a" * 18 + "b", "normalised": "a" * 19, "edits": 1, "matches": RawTextSignal.matches_str("a" * 19, "a" * 18 + "b").match})
pairs.append({"signal": "a" * 20, "text": "a" * 19 + "b", "normalised": "a" * 20, "edits": 1, "matches": RawTextSignal.matches_str("a" * 20, "a" * 19 + "b").match})
write("raw_text", [pair for pair in pairs if pair])

hashed, before = [], None
for number in range(300):
    words = english if number % 2 else others[number % 4]
    # Every other is its predecessor, a little changed, so that small distances occur.
    of = changed(hashed[-2]["text"], rng.randint(1, 12)) if number % 3 == 2 else text(words, 5, 90)
    hash = tlsh.hash(of.encode())
    line = {"text": of, "tlsh": hash}
    if hash != "TNULL":
        if before:
            line["diffxlen"] = tlsh.diffxlen(before, hash)
        before = hash
    hashed.append(line)
write("tlsh", hashed)

sets = []
for number in range(120):
    size, shared = rng.choice((16, 40, 120, 300)), rng.random()
    a = set(rng.sample(range(1 << 40), size))
    kept = set(rng.sample(sorted(a), int(shared * size)))
    b = kept | set(rng.sample(range(1 << 40), size - len(kept)))
    sketches = []
    for members in (a, b):
        sketch = MinHash(128)
        sketch.update_batch([str(member).encode() for member in sorted(members)])
        sketches.append(sketch)
    sets.append({"size": size, "kept": len(kept), "jaccard": round(len(a & b) / len(a | b), 4), "datasketch": sketches[0].jaccard(sketches[1])})
write("minhash", sets)
