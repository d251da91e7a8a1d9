#!/usr/bin/env python3
"""JPEG file to PDQ hash: Manara beside threatexchange `pdq_from_bytes`, same bytes, in alternating rounds.

Both report processor time, so that other load on the machine counts little. The two decoders round
differently, so hashes may differ by a bit or two: the largest difference is printed, and a difference
over 4 bits or 1 point of quality ends the run.

usage: bench_files.py PATH-OF-bench_file PATH-OF-manara   (files.sh builds both and calls it)
"""
import io
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from PIL import Image
from threatexchange.signal_type.pdq.pdq_hasher import pdq_from_bytes

from bench_pdq import photo

ROUNDS = 7
SIZES = [(512, 512, 12, 10), (1024, 768, 8, 8), (4000, 3000, 2, 3)]  # images, and passes over each


def peer(jpegs):
    start = time.thread_time_ns()
    found = [pdq_from_bytes(jpeg) for jpeg in jpegs]
    return time.thread_time_ns() - start, found


def main():
    program = subprocess.Popen(sys.argv[1:3], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ours(way, passes, files):
        took, found = 0, []
        for file in files:
            program.stdin.write(f"{way} {passes} {file}\n")
            program.stdin.flush()
            one, answer = program.stdout.readline().split()
            took += int(one)
            found.append((answer.split(":")[0], int(answer.split(":")[1])))
        return took / passes, found

    print(f"{'size':>11} {'way':>8} {'peer ms':>9} {'manara ms':>10} {'ratio':>6}  (lowest to highest of {ROUNDS} rounds)")
    for width, height, count, passes in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            jpegs, files = [], []
            for number in range(count):
                file = io.BytesIO()
                Image.fromarray(photo(width, height, 1000 * width + number)).save(file, "JPEG", quality=85)
                jpegs.append(file.getvalue())
                files.append(pathlib.Path(folder, f"{number}.jpg"))
                files[-1].write_bytes(jpegs[-1])
            peer(jpegs[:2]), [ours(way, 1, files) for way in ("process", "worker")]  # warm up
            rounds, bits, points = {"process": [], "worker": []}, 0, 0
            for _ in range(ROUNDS):
                theirs, expected = peer(jpegs)
                for way in rounds:
                    our, found = ours(way, passes, files)
                    for (a, x), (b, y) in zip(expected, found):
                        bits = max(bits, (int(a, 16) ^ int(b, 16)).bit_count())
                        points = max(points, abs(x - y))
                    rounds[way].append((theirs, our, theirs / our))
        if bits > 4 or points > 1:
            sys.exit(f"{width}x{height}: {bits} bits, {points} points of quality from the peer's hash")
        for way, times in rounds.items():
            theirs, our, ratios = zip(*times)
            print(f"{f'{width}x{height}':>11} {way:>8} {statistics.median(theirs) / count / 1e6:>9.2f} "
                  f"{statistics.median(our) / count / 1e6:>10.3f} {statistics.median(ratios):>6.1f}  "
                  f"({min(ratios):.1f} to {max(ratios):.1f}); at most {bits} bits and {points} points of quality apart", flush=True)
    program.stdin.close()
    program.wait()


if __name__ == "__main__":
    main()
