"""Growth curves of near-duplicate lookups as SVG, from the JSON lines of `near.sh`.

  near_plot.py RESULTS FILE.svg
"""

import json
import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "index"))
import plot

plot.COLOURS |= {"raw_text": "#1d5766", "similar_text, nothing near": "#9cc9d3", "RapidFuzz": "#b4532a"}

with open(sys.argv[1], encoding="utf8") as file:
    rows = [json.loads(line) for line in file]
curves = {
    "raw_text": [(row["texts"], row["edit_us"]) for row in rows if "edit_us" in row],
    "similar_text, nothing near": [(row["texts"], row["nothing_median_us"]) for row in rows if row.get("engine") == "manara shingle"],
    "RapidFuzz": [(row["texts"], row["rapidfuzz_us"]) for row in rows if "rapidfuzz_us" in row],
}
with open(sys.argv[2], "w", encoding="utf8") as file:
    file.write(plot.plot("Microseconds to look a post up, one core", curves, "known texts"))
