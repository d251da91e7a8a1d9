"""Draws the pictures that the tests of HEIC and AVIF read, and writes them beside this file.

    pip install pillow==13.0.0 pillow-heif==1.8.1
    python3 make.py

Other versions write other bytes; the tests hold for them as well.
"""

import pathlib

import pillow_heif
from PIL import ExifTags, Image, ImageDraw

pillow_heif.register_heif_opener()
HERE = pathlib.Path(__file__).parent
SIZE = (160, 120)


def drawing():
    width, height = SIZE
    image = Image.new("RGB", SIZE)
    for y in range(height):
        for x in range(width):
            image.putpixel((x, y), (x * 255 // width, y * 255 // height, (x + y) * 255 // (width + height)))
    draw = ImageDraw.Draw(image)
    draw.ellipse((16, 15, 80, 80), fill=(250, 210, 40))
    draw.rectangle((96, 60, 144, 108), fill=(20, 60, 160))
    draw.polygon([(96, 12), (152, 12), (128, 48)], fill=(200, 30, 60))
    return image


image = drawing()
image.save(HERE / "drawing.png", optimize=True)
# Turned for display by a quarter, as phones do.
turned = Image.Exif()
turned[ExifTags.Base.Orientation] = 6
for kind in ["avif", "heic"]:
    image.save(HERE / f"drawing.{kind}", quality=60)
    image.save(HERE / f"turned.{kind}", quality=60, exif=turned.tobytes())
# Mirrored and turned: EXIF's fifth.
turned[ExifTags.Base.Orientation] = 5
image.save(HERE / "mirrored.avif", quality=40, exif=turned.tobytes())
# As phones store them: tiles, of which the last ones reach over the edge.
pillow_heif.options.GRID_TILE_SIZE = 64
image.save(HERE / "grid.heic", quality=60)
# An animation of three frames.
frames = [image.rotate(angle) for angle in (0, 90, 180)]
frames[0].save(HERE / "sequence.avif", save_all=True, append_images=frames[1:], quality=40, duration=100)
