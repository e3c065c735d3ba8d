"""A folder of images as people have them: every format, mode and oddity, and all that is wrong."""

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, features

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(range(200))
ORIENTATION = 0x0112


def picture(seed: int, width: int = 64, height: int = 48) -> Image.Image:
    """Made-up content that resembles no other: soft blobs of colour, with some grain."""
    random = np.random.default_rng(seed)
    blobs = Image.fromarray(random.integers(0, 256, (6, 7, 3), dtype=np.uint8))
    soft = np.asarray(blobs.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    return Image.fromarray((soft + random.integers(-6, 7, soft.shape)).clip(0, 255).astype("uint8"))


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    """An image file's bytes."""
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def _turned(seed: int) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    return saved(picture(seed), "JPEG", exif=exif)


def _frames(seed: int) -> bytes:
    frames = [picture(seed + n).convert("P") for n in range(3)]
    return saved(frames[0], "GIF", save_all=True, append_images=frames[1:])


def _deep(seed: int) -> bytes:
    grey = np.asarray(picture(seed).convert("L")).astype(np.uint16) * 257
    return saved(Image.fromarray(grey), "PNG")


def _through(seed: int) -> bytes:
    image = picture(seed).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return saved(image, "PNG")


GOOD: dict[str, Callable[[int], bytes]] = {
    "jpeg.jpg": lambda seed: saved(picture(seed), "JPEG"),
    "png.png": lambda seed: saved(picture(seed), "PNG"),
    "webp.webp": lambda seed: saved(picture(seed), "WEBP"),
    "bmp.bmp": lambda seed: saved(picture(seed), "BMP"),
    "tiff.tif": lambda seed: saved(picture(seed), "TIFF"),
    "frames.gif": _frames,
    "avif.avif": lambda seed: saved(picture(seed), "AVIF"),
    "grey.png": lambda seed: saved(picture(seed).convert("L"), "PNG"),
    "palette.png": lambda seed: saved(picture(seed).convert("P"), "PNG"),
    "alpha.png": _through,
    "cmyk.jpg": lambda seed: saved(picture(seed).convert("CMYK"), "JPEG"),
    "16 bit.png": _deep,
    "turned.jpg": _turned,
    "one pixel.png": lambda seed: saved(picture(seed, 1, 1), "PNG"),
    "large.jpg": lambda seed: saved(picture(seed, 4000, 3000), "JPEG", quality=30),
    "name with blanks é 数据.jpg": lambda seed: saved(picture(seed), "JPEG"),
    "\x1b[31mred\x1b[0m.png": lambda seed: saved(picture(seed), "PNG"),
}
"""Files that can be used, by name."""
HAS_AVIF = features.check("avif")
if not HAS_AVIF:  # some builds of Pillow have not
    del GOOD["avif.avif"]
TRUNCATED = saved(picture(999, 300, 200), "JPEG")[:2000]
BAD: dict[str, bytes] = {
    "truncated.jpg": TRUNCATED,
    "empty.png": b"",
    "phone.heic": HEIC,
    "notes.txt": b"no image at all",
    "float.tif": saved(Image.new("F", (4, 4), 0.5), "TIFF"),
    os.fsdecode(b"caf\xe9.png"): saved(picture(998), "PNG"),
}
"""Files that cannot be used, by name."""


def odd_folder(base: Path, *parts: str, each: int = 12) -> Path:
    """Two classes with all of it, one with a single image; with parts, in each of these.

    Args:
        base: The folder.
        parts: `train` and `test`, or `val` too; none for a folder per class.
        each: Plain images of each class and part besides.
    """
    for number, part in enumerate(parts or ("",)):
        _odd_part(base / part, 10_000 * number, each)
    for part in parts[1:]:
        content = (base / parts[0] / "hund é" / "03.png").read_bytes()
        (base / part / "hund é" / "from the other part.png").write_bytes(content)
    (base / ".DS_Store").write_bytes(b"left by a file manager")
    return base


def _odd_part(base: Path, first: int, each: int) -> None:
    for seed, name in ((first, "a cat"), (first + 1000, "hund é")):
        folder = base / name
        folder.mkdir(parents=True)
        for number in range(each):
            (folder / f"{number:02d}.png").write_bytes(saved(picture(seed + 500 + number), "PNG"))
        for number, (file, make) in enumerate(GOOD.items()):
            if file != "large.jpg" or first == seed == 0:
                (folder / file).write_bytes(make(seed + 10 * number))
    cat, dog = base / "a cat", base / "hund é"
    for file, content in BAD.items():
        (cat / file).write_bytes(content)
    (cat / ".hidden.png").write_bytes(b"hidden")
    (cat / "Thumbs.db").write_bytes(b"left by a file manager")
    (cat / "more" / "deep").mkdir(parents=True)
    (cat / "more" / "deep" / "nested.png").write_bytes(saved(picture(first + 997), "PNG"))
    (cat / "again.png").write_bytes((cat / "00.png").read_bytes())
    (cat / "two classes.png").write_bytes((dog / "01.png").read_bytes())
    small = picture(first + 502, 64, 48).resize((56, 42))
    (cat / "saved again.jpg").write_bytes(saved(small, "JPEG", quality=60))
    (base / "alone").mkdir()
    (base / "alone" / "only one.png").write_bytes(saved(picture(first + 996), "PNG"))


def photographs(folder: Path, edge: int, *, classes: int = 2, each: int = 5) -> Path:
    """Class folders of made-up photographs whose shorter edges are so long, in pixels."""
    for label in range(classes):
        (folder / f"class {label}").mkdir(parents=True)
        for number in range(each):
            content = saved(picture(100 * label + number, edge + 20, edge), "JPEG")
            (folder / f"class {label}" / f"{number}.jpg").write_bytes(content)
    return folder
