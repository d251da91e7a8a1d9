#!/usr/bin/env python3
"""Makes pdq.ndjson and pdq_reference512.ndjson: PDQ hashes and qualities by PyPI `pdqhash` of generated images.

    pip install pdqhash numpy pillow
    python3 make_pdq_vectors.py > pdq.ndjson            # the committed file
    python3 make_pdq_vectors.py --reference-512 > pdq_reference512.ndjson
    python3 make_pdq_vectors.py --random 2000 --seed 7  # other images, for a run by hand:
    PDQ_VECTORS=that-file cargo test -p manara-signal --test pdq_vectors

Each line names an image by content, mode, size and seed. The pixels follow from these by integer
arithmetic only, which `tests/pdq_vectors.rs` repeats, so that no image has to be kept.

With --reference-512, an image over 512 in either direction is first made 512x512 as Meta's command-line tools do
before they hash it: `input.resize(512, 512)` in their pdqio.cpp, which in CImg picks the nearest pixel, number
floor(i * side / 512); check_reference512_pixels.cpp asks CImg itself. The hash of what it gives is the package's.
"""
import argparse
import json

import numpy as np
import pdqhash
from PIL import Image

CONTENTS = ["noise", "gradient", "flat", "low_texture", "shapes", "bars", "checkers", "patches", "grain"]
MODES = ["RGB", "L", "RGBA", "P"]
U32 = np.uint32


def mix(seed, x, y, channel):
    """32 well mixed bits for a place; `x` and `y` may be arrays."""
    x, y = np.asarray(x, np.uint32), np.asarray(y, np.uint32)
    with np.errstate(over="ignore"):
        h = x * U32(0x9E3779B1) ^ y * U32(0x85EBCA77) ^ U32((channel * 0xC2B2AE3D + seed * 0x27D4EB2F) & 0xFFFFFFFF)
        h = (h ^ (h >> U32(15))) * U32(0x2C1B3C6D)
        h = (h ^ (h >> U32(12))) * U32(0x297A2D39)
        return (h ^ (h >> U32(15))).astype(np.int64)


def plane(content, seed, width, height, channel):
    """One channel, values 0 to 255, as int64."""
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    if content == "noise":
        return mix(seed, x, y, channel) & 255
    if content == "gradient":
        a, b = 1 + seed % 3, 1 + (seed // 3 + channel) % 3
        return (a * x * 255 // width + b * y * 255 // height) // (a + b)
    if content == "flat":
        return np.full_like(x, mix(seed, 0, 0, channel) & 255)
    if content == "low_texture":
        return 100 + (mix(seed, 0, 0, channel) & 63) + (mix(seed, x // 3, y // 3, channel) & 3)
    if content == "shapes":
        out = np.full_like(x, 40 + seed % 100)
        for k in range(8):
            side = min(width, height)
            cx, cy = mix(seed, k, 1, 9) % width, mix(seed, k, 2, 9) % height
            r = 1 + mix(seed, k, 3, 9) % (side // 2 + 1)
            inside = (x - cx) ** 2 + (y - cy) ** 2 <= r * r if k % 2 else (abs(x - cx) <= r) & (abs(y - cy) * 2 <= r)
            out = np.where(inside, mix(seed, k, 4, channel) & 255, out)
        return out
    if content == "bars":
        line, word = height // 14 + 1, width // 30 + 1
        ink = (mix(seed, x // word, y // line, 9) % 4 != 0) & (y % line * 3 < line * 2)
        return np.where(ink, 20 + channel, 235 - seed % 40)
    if content == "checkers":
        cell = 1 + seed % 37
        return np.where((x // cell + y // cell) % 2 == 0, 250 - 20 * channel, 10 + seed % 50)
    cells = 5 + seed % 9  # patches: values on a grid, interpolated; grain: the same with noise
    fx, fy = x * cells * 256 // width, y * cells * 256 // height
    ix, iy, tx, ty = fx // 256, fy // 256, fx % 256, fy % 256
    corner = lambda dx, dy: mix(seed, ix + dx, iy + dy, channel) & 255
    top = corner(0, 0) * (256 - tx) + corner(1, 0) * tx
    bottom = corner(0, 1) * (256 - tx) + corner(1, 1) * tx
    smooth = (top * (256 - ty) + bottom * ty) // 65536
    if content == "patches":
        return smooth
    return np.clip(smooth + (mix(seed, x, y, channel) & 31) - 16, 0, 255)


def picture(content, mode, width, height, seed):
    """Pixels as an array of height x width x 3 bytes."""
    planes = lambda n: [plane(content, seed, width, height, c) for c in range(n)]
    if mode == "L":
        return np.array(Image.fromarray(planes(1)[0].astype(np.uint8), "L").convert("RGB"))
    if mode == "P":
        image = Image.fromarray((planes(1)[0] // 16).astype(np.uint8), "P")
        image.putpalette([int(mix(seed, i, 77, c)) & 255 for i in range(16) for c in range(3)])
        return np.array(image.convert("RGB"))
    rgb = np.stack(planes(3), -1)
    if mode == "RGBA":  # laid on white
        alpha = plane("patches", seed + 1, width, height, 3)[..., None]
        rgb = (rgb * alpha + 255 * (255 - alpha) + 127) // 255
    return np.ascontiguousarray(rgb.astype(np.uint8))


def sizes():
    """The sizes of the committed file, chosen where something changes."""
    yield from ((w, h) for w in range(1, 9) for h in range(1, 9))
    yield from [(64, 64)] * 72
    yield from ((w, h) for w in (63, 64, 65) for h in (63, 64, 65, 128) if (w, h) != (64, 64))
    yield from ((w, h) for w in (127, 128, 129) for h in (127, 128, 129))
    extremes = [(5, 3000), (3000, 5), (6, 2000), (1, 500), (700, 4), (7, 1999), (2000, 9), (10, 1000), (1024, 16),
                (33, 1537), (1500, 64), (64, 1500), (5, 64), (64, 5), (5, 5000), (9000, 6)]
    yield from extremes * 6
    usual = [(255, 257), (256, 256), (300, 200), (320, 240), (384, 512), (511, 511), (512, 512), (513, 511),
             (640, 480), (100, 401), (480, 270)]
    yield from usual * 9
    yield from [(768, 1024), (1023, 769), (1280, 720), (1500, 1100), (1111, 1313), (720, 1280)] * 3
    for k in range(1660):
        r = [int(mix(k, j, 5, 5)) for j in range(3)]
        top = 60 if r[2] % 3 == 0 else 200 if r[2] % 3 == 1 else 420
        yield 5 + r[0] % top, 5 + r[1] % top


def reference_512_sizes():
    yield from [(512, 512), (513, 512), (512, 513), (511, 513), (513, 3), (3, 600), (600, 1), (64, 513), (1024, 1024)]
    yield from [(1023, 1025), (1536, 512), (513, 513), (300, 512), (2, 512), (5000, 7), (9, 4001), (1280, 720)]
    yield from [(720, 1280), (1500, 1100), (640, 480), (480, 640), (2048, 100), (777, 1333)]
    for k in range(120):
        r = [int(mix(k, j, 7, 5)) for j in range(2)]
        yield 500 + r[0] % 700, 1 + r[1] % 1000


def picked(pixels):
    height, width, _ = pixels.shape
    if max(width, height) <= 512:
        return pixels
    i = np.arange(512)
    return np.ascontiguousarray(pixels[i * height // 512][:, i * width // 512])


def bits(vector):
    return "%064x" % int("".join(str(int(b)) for b in vector), 2)


def line(content, mode, width, height, seed, dihedral, reference_512=False):
    pixels = picture(content, mode, width, height, seed)
    if reference_512:
        pixels = picked(pixels)
    vector, quality = pdqhash.compute(pixels)
    out = {"content": content, "mode": mode, "width": width, "height": height, "seed": seed,
           "hash": bits(vector), "quality": quality}
    if dihedral:
        vectors, quality = pdqhash.compute_dihedral(pixels)
        out["dihedral"], out["dihedral_quality"] = [bits(v) for v in vectors], quality
    if reference_512:
        out["form"] = "reference-512"
    print(json.dumps(out, separators=(",", ":")))


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--random", type=int, default=0, help="this many random images in place of the committed ones")
    args.add_argument("--seed", type=int, default=1)
    args.add_argument("--reference-512", action="store_true", help="the images of the other committed file")
    args = args.parse_args()
    if args.reference_512:
        for k, (width, height) in enumerate(reference_512_sizes()):
            line(CONTENTS[k % len(CONTENTS)], MODES[k // 2 % len(MODES)], width, height, k, k % 3 == 0, True)
        return
    if args.random:
        rng = np.random.default_rng(args.seed)
        for _ in range(args.random):
            side = int(rng.choice([40, 130, 300, 600, 1500], p=[.25, .25, .3, .15, .05]))
            width, height = (int(v) for v in rng.integers(5, side + 5, 2))
            line(str(rng.choice(CONTENTS)), str(rng.choice(MODES)), width, height, int(rng.integers(0, 1 << 24)),
                 bool(rng.random() < .3))
        return
    for k, (width, height) in enumerate(sizes()):
        line(CONTENTS[k % len(CONTENTS)], MODES[k // len(CONTENTS) % len(MODES)], width, height, k, k % 8 == 0)


if __name__ == "__main__":
    main()
