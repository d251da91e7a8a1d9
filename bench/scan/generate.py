"""JPEGs for the scan benchmark: noise with the spectrum of photographs, and a few shapes.

  generate.py FOLDER COUNT
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

folder, count = Path(sys.argv[1]), int(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)
random = np.random.default_rng(7)
SIDE = 1024
fy, fx = np.meshgrid(np.fft.fftfreq(SIDE), np.fft.fftfreq(SIDE), indexing="ij")
spectrum = 1 / np.maximum(np.hypot(fx, fy), 1 / SIDE)
grounds = []
for _ in range(12):
    waves = np.fft.fft2(random.normal(size=(SIDE, SIDE))) * spectrum
    ground = np.real(np.fft.ifft2(waves))
    grounds.append(((ground - ground.min()) / np.ptp(ground) * 255).astype(np.uint8))
for number in range(count):
    width, height = int(random.integers(400, 900)), int(random.integers(400, 700))
    planes = []
    for _ in range(3):
        ground = grounds[random.integers(len(grounds))]
        x, y = random.integers(SIDE - width), random.integers(SIDE - height)
        planes.append(ground[y : y + height, x : x + width])
    image = Image.fromarray(np.stack(planes, axis=-1))
    draw = ImageDraw.Draw(image)
    for _ in range(4):
        x, y = int(random.integers(width)), int(random.integers(height))
        draw.ellipse((x, y, x + 90, y + 70), fill=tuple(int(c) for c in random.integers(256, size=3)))
    image.save(folder / f"{number:06}.jpg", quality=85)
