"""Growth curves as SVG, from the JSON lines of `run.sh`.

  plot.py RESULTS FOLDER

Writes FOLDER/index-queries.svg, index-build.svg and index-memory.svg: both axes logarithmic.
"""

import json
import math
import sys

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 400, 70, 190, 44, 52
COLOURS = {"manara": "#1d5766", "manara, stream": "#4f9aa8", "manara, bulk": "#9cc9d3", "threatexchange": "#b4532a", "faiss-flat": "#6b7280"}
TITLES = {
    "queries_per_s": ("index-queries", "Queries a second on one core, radius 31, each seen once"),
    "build_s": ("index-build", "Seconds to build"),
    "bytes_per_hash": ("index-memory", "Bytes of memory a hash, everything included"),
}


def short(value):
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def plot(title, curves, below="hashes in the bank"):
    points = [point for curve in curves.values() for point in curve]
    lows = [math.floor(math.log10(min(p[axis] for p in points))) for axis in (0, 1)]
    highs = [max(lows[axis] + 1, math.ceil(math.log10(max(p[axis] for p in points)))) for axis in (0, 1)]

    def at(point):
        x, y = ((math.log10(point[axis]) - lows[axis]) / (highs[axis] - lows[axis]) for axis in (0, 1))
        return LEFT + x * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - y * (HEIGHT - TOP - BOTTOM)

    svg = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f"<title>{title}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="24" font-size="15" font-weight="bold" fill="#1b2327">{title}</text>',
    ]
    for power in range(lows[0], highs[0] + 1):
        x, _ = at((10**power, 10 ** lows[1]))
        svg.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="#e2e5e4"/>')
        svg.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle" fill="#515d64">{short(10**power)}</text>')
    for power in range(lows[1], highs[1] + 1):
        _, y = at((10 ** lows[0], 10**power))
        svg.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e2e5e4"/>')
        svg.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" fill="#515d64">{short(10.0**power)}</text>')
    svg.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 12}" text-anchor="middle" fill="#515d64">{below}</text>')
    labels = []
    for name, curve in curves.items():
        colour = COLOURS.get(name, "#1b2327")
        places = [at(point) for point in sorted(curve)]
        svg.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in places)}"/>')
        svg.extend(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in places)
        labels.append((places[-1][1], name, colour))
    last = -math.inf
    for y, name, colour in sorted(labels):
        last = max(y + 4, last + 16)
        svg.append(f'<text x="{WIDTH - RIGHT + 12}" y="{last:.1f}" fill="{colour}" font-weight="bold">{name}</text>')
    svg.append("</svg>")
    return "\n".join(svg) + "\n"


def main():
    results, folder = sys.argv[1:3]
    with open(results) as lines:
        rows = [json.loads(line) for line in lines if line.startswith("{")]
    for key, (name, title) in TITLES.items():
        curves = {}
        for row in rows:
            if row.get(key):
                curves.setdefault(row["engine"], []).append((row["hashes"], row[key]))
        with open(f"{folder}/{name}.svg", "w") as out:
            out.write(plot(title, curves))


if __name__ == "__main__":
    main()
