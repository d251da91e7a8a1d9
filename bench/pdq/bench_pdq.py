#!/usr/bin/env python3
"""PDQ of decoded RGB: Manara beside PyPI pdqhash, on the same pixels, in alternating rounds.

Both report the processor time of their own thread, so that other load on the machine counts little.
The system brings ours up to date every few milliseconds only, so it hashes each set several times.

usage: bench_pdq.py PATH-OF-bench_pdq   (run.sh builds it, pins this to one core and calls it)
"""
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import pdqhash

ROUNDS = 7
SIZES = [(512, 512, 24, 20), (1024, 768, 12, 15), (4000, 3000, 2, 6)]  # images, and passes over them


def photo(width, height, seed):
    """Something like a photograph: noise at every scale, and a few shapes."""
    r = np.random.default_rng(seed)
    out = np.zeros((height, width, 3))
    cells, strength = 2, 60.0
    while cells < 256:
        grid = r.standard_normal((cells + 2, cells + 2, 1)) * 0.8 + r.standard_normal((cells + 2, cells + 2, 3)) * 0.3
        y, x = np.linspace(0, cells, height), np.linspace(0, cells, width)
        iy, ix = y.astype(int), x.astype(int)
        ty, tx = (y - iy)[:, None, None], (x - ix)[None, :, None]
        corner = lambda dy, dx: grid[np.ix_(iy + dy, ix + dx)]
        out += strength * ((corner(0, 0) * (1 - tx) + corner(0, 1) * tx) * (1 - ty)
                           + (corner(1, 0) * (1 - tx) + corner(1, 1) * tx) * ty)
        cells, strength = cells * 2, strength * 0.65
    out += 120 + r.standard_normal((height, width, 1)) * 3
    for _ in range(6):
        x, y, w, h = r.integers(0, width), r.integers(0, height), r.integers(8, width // 3), r.integers(8, height // 3)
        out[y:y + h, x:x + w] = out[y:y + h, x:x + w] * 0.4 + r.uniform(0, 255, 3) * 0.6
    return np.clip(out, 0, 255).astype(np.uint8)


def peer(images):
    start = time.thread_time_ns()
    found = [pdqhash.compute(image) for image in images]
    took = time.thread_time_ns() - start
    return took, ["%064x:%d" % (int("".join(map(str, bits)), 2), quality) for bits, quality in found]


def main():
    program = subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ours(request):
        program.stdin.write(request)
        program.stdin.flush()
        took, *found = program.stdout.readline().split()
        return int(took), found

    levels = program.stdout.readline().split()
    print(f"{'size':>11} {'level':>9} {'pdqhash ms':>11} {'manara ms':>10} {'ratio':>6}  (lowest to highest of {ROUNDS} rounds)")
    for width, height, count, passes in SIZES:
        images = [photo(width, height, 1000 * width + i) for i in range(count)]
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "pixels")
            file.write_bytes(b"".join(image.tobytes() for image in images))
            request = lambda level, passes: ours(f"{level} {passes} {count} {width} {height} {file}\n")
            peer(images[:2]), [request(level, 1) for level in levels]  # warm up
            rounds = {level: [] for level in levels}
            for _ in range(ROUNDS):
                theirs, expected = peer(images)
                for level in levels:
                    our, found = request(level, passes)
                    if found != expected:
                        sys.exit(f"{width}x{height}, {level}: a hash or quality differs from pdqhash")
                    rounds[level].append((theirs, our / passes, theirs / our * passes))
        for level, times in rounds.items():
            theirs, our, ratios = zip(*times)
            print(f"{f'{width}x{height}':>11} {level:>9} {statistics.median(theirs) / count / 1e6:>11.3f} "
                  f"{statistics.median(our) / count / 1e6:>10.3f} {statistics.median(ratios):>6.1f}  "
                  f"({min(ratios):.1f} to {max(ratios):.1f}); bits and quality equal", flush=True)
    program.stdin.close()
    program.wait()


if __name__ == "__main__":
    main()
