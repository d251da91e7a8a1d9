"""Makes pillow.tsv: small images of every mode, each with the RGB that Pillow makes of it.

One line each: name, file in hexadecimal, width, height, RGB in hexadecimal.
Run with `pip install pillow==13.0.0 numpy` as `python3 pillow.py > pillow.tsv`.
"""

import io
import struct
import zlib

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 20, 12


def drawing():
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    red, green, blue = x * 12, y * 20, (x + y) * 7
    pixels = np.stack([red, green, blue], axis=2).astype(np.uint8)
    pixels[3:8, 5:12] = (230, 40, 60)
    return Image.fromarray(pixels)


def saved(image, form, **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(depth, colour, rows, extra=b""):
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, colour, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def without_segment(jpeg, marker):
    at = jpeg.index(marker)
    (length,) = struct.unpack(">H", jpeg[at + 2 : at + 4])
    return jpeg[:at] + jpeg[at + 2 + length :]


def on_larger_canvas(gif):
    gif = bytearray(gif)
    gif[6:10] = struct.pack("<HH", WIDTH + 7, HEIGHT + 5)
    at = gif.index(b"\x2c\0\0\0\0" + struct.pack("<HH", WIDTH, HEIGHT))
    gif[at + 1 : at + 5] = struct.pack("<HH", 4, 3)
    return bytes(gif)


def files():
    rgb = drawing()
    grey = rgb.convert("L")
    alpha = Image.fromarray((np.indices((HEIGHT, WIDTH)).sum(0) * 8).astype(np.uint8))
    rgba, grey_alpha = rgb.copy(), grey.copy()
    rgba.putalpha(alpha)
    grey_alpha.putalpha(alpha)
    palette, few, bits = rgb.quantize(90), rgb.quantize(12), rgb.convert("1")
    turned = rgb.rotate(180)
    cmyk = rgb.convert("CMYK")
    wide = np.asarray(rgb).astype(">u2") * 257 + 200
    wide_alpha = np.dstack([wide, np.asarray(alpha).astype(">u2") * 250])
    exif = Image.Exif()
    exif[0x0112] = 6

    yield "png L", saved(grey, "PNG")
    yield "png LA", saved(grey_alpha, "PNG")
    yield "png RGB", saved(rgb, "PNG")
    yield "png RGBA", saved(rgba, "PNG")
    yield "png P", saved(palette, "PNG")
    yield "png P transparent", saved(palette, "PNG", transparency=3)
    yield "png P 4 bit", saved(few, "PNG", bits=4)
    yield "png 1 bit", saved(bits, "PNG")
    yield "png RGB 16 bit", png(16, 2, [row.tobytes() for row in wide.astype(">u2")])
    yield "png RGBA 16 bit", png(16, 6, [row.tobytes() for row in wide_alpha.astype(">u2")])
    yield "png RGB transparent", png(8, 2, np.asarray(rgb).reshape(HEIGHT, -1), chunk(b"tRNS", b"\0\x0c\0\x14\0\x0e"))
    yield "png animated", saved(rgb, "PNG", save_all=True, append_images=[turned])
    yield "bmp L", saved(grey, "BMP")
    yield "bmp RGB", saved(rgb, "BMP")
    yield "bmp P", saved(palette, "BMP")
    yield "bmp 1 bit", saved(bits, "BMP")
    yield "gif P", saved(palette, "GIF")
    yield "gif transparent", saved(palette, "GIF", transparency=3)
    yield "gif animated", saved(palette, "GIF", save_all=True, append_images=[turned.quantize(50)])
    yield "gif on a larger canvas", on_larger_canvas(saved(palette, "GIF"))
    yield "gif transparent on a larger canvas", on_larger_canvas(saved(palette, "GIF", transparency=5))
    yield "webp lossless", saved(rgb, "WEBP", lossless=True)
    yield "webp lossless alpha", saved(rgba, "WEBP", lossless=True, exact=True)
    yield "webp lossy", saved(rgb, "WEBP", quality=80)
    yield "webp lossy alpha", saved(rgba, "WEBP", quality=80)
    yield "webp animated", saved(rgb, "WEBP", save_all=True, append_images=[turned], quality=80)
    yield "jpeg 4:4:4", saved(rgb, "JPEG", quality=90, subsampling=0)
    yield "jpeg 4:2:2", saved(rgb, "JPEG", quality=90, subsampling=1)
    yield "jpeg 4:2:0", saved(rgb, "JPEG", quality=90, subsampling=2)
    yield "jpeg progressive", saved(rgb, "JPEG", quality=90, progressive=True)
    yield "jpeg with restarts", saved(rgb, "JPEG", quality=90, restart_marker_blocks=1)
    yield "jpeg grey", saved(grey, "JPEG", quality=90)
    yield "jpeg RGB", saved(rgb, "JPEG", quality=90, keep_rgb=True)
    yield "jpeg CMYK", saved(cmyk, "JPEG", quality=90)
    yield "jpeg CMYK without Adobe's segment", without_segment(saved(cmyk, "JPEG", quality=90), b"\xff\xee")
    yield "jpeg turned by EXIF", saved(rgb, "JPEG", quality=90, exif=exif)


for name, file in files():
    decoded = Image.open(io.BytesIO(file)).convert("RGB")
    print(name, file.hex(), decoded.width, decoded.height, decoded.tobytes().hex(), sep="\t")
