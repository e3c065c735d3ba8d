"""One image file: what it is, and its pixels as training has them."""

import contextlib
import io
import struct
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from trainables.data.survey import CMYK, DEEP, FRAMES, GREY, TRANSPARENT, TURNED

if TYPE_CHECKING:
    from PIL import Image

PNG_BITS: Final = 24
"""Place of the byte of a PNG that says how many bits a channel has."""
TIFF_BITS: Final = 258
"""Number of the tag of a TIFF that says it."""
# Pillow is imported late; models' cards have the source of what reads an image.


def rgb(image: "Image.Image") -> "Image.Image":
    """8 bits a channel, over white where transparent; Pillow alone would clip and uncover."""
    from PIL import Image

    if image.mode.startswith("I;16"):
        values = np.asarray(image)
        grey = (values >> 8).astype(np.uint8)
        grey[values == image.info.get("transparency", -1)] = 255
        return Image.fromarray(grey).convert("RGB")
    if image.mode in {"I", "F"}:
        raise ValueError(
            f"mode {image.mode} has no fixed range: save it with 8 or 16 bits a channel"
        )
    # Copies of large photographs are hundreds of megabytes each: none is made that is not needed.
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    over = Image.new("RGBA", image.size, "white")
    over.alpha_composite(image if image.mode == "RGBA" else image.convert("RGBA"))
    return over.convert("RGB")


def formats_of(content: bytes) -> tuple[str, ...]:
    """The formats that a file may have: HEIC, as phones write it, by its plug-in alone."""
    brands = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
    if content[4:8] != b"ftyp" or content[8:12] not in brands or b"avif" in content[8:40]:
        return ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")
    try:
        from pillow_heif import register_heif_opener
    except ImportError as error:
        raise ValueError(
            "HEIC is read where the package pillow-heif is installed, which it is not here"
        ) from error
    register_heif_opener()
    return ("HEIF",)


def decode(content: bytes, size: int, name: str) -> npt.NDArray[np.uint8]:
    """The bytes of an image file as upright RGB, its middle square: uint8 [size, size, 3]."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    most_pixels = 100_000_000
    # Each of Pillow's formats has errors of its own, and all mean that the file is at fault.
    try:
        formats = formats_of(content)
        with Image.open(io.BytesIO(content), formats=formats) as image:
            if image.width * image.height > most_pixels:
                raise ValueError(
                    f"{image.width} x {image.height} pixels are more than {most_pixels:,}"
                )
            # The first picture in a DNG, NEF, ARW, CR2 or IIQ is a preview.
            new_subfile_type, dng_version, tags = 254, 50706, getattr(image, "tag_v2", {})
            canon = content[4:11] == b"\x10\0\0\0CR\x02"
            phase_one = content[8:12] in {b"IIII", b"MMMM"}
            if tags.get(new_subfile_type) in {1, 3} or dng_version in tags or canon or phase_one:
                raise ValueError(
                    "it is a camera's raw photograph, of which a preview alone could be read; save "
                    "it as JPEG, PNG or TIFF"
                )
            ImageOps.exif_transpose(image, in_place=True)
            if image.format == "PPM" and image.mode == "I":  # which Pillow scales to 16 bits
                return np.asarray(ImageOps.fit(rgb(image.convert("I;16")), (size, size)))
            return np.asarray(ImageOps.fit(rgb(image), (size, size)))
    except UnidentifiedImageError as error:
        raise ValueError(
            f"cannot decode the image {name}: not one of {', '.join(formats)}"
        ) from error
    except Image.DecompressionBombError as error:
        reason = f"its pixels are more than {most_pixels:,}"
        raise ValueError(f"cannot decode the image {name}: {reason}") from error
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"cannot decode the image {name}: {reason}") from error


def shorter_edge(content: bytes) -> int | None:
    """Of an image file, in pixels; None where it is none, which decoding tells why."""
    from PIL import Image

    with (
        contextlib.suppress(Exception),
        Image.open(io.BytesIO(content), formats=formats_of(content)) as image,
    ):
        return min(image.size)
    return None


def kind_of_fault(content: bytes, sentence: str) -> str:
    """Which of `IMAGE_RULES` an image breaks that cannot be decoded."""
    if not content:
        return "empty"
    if "pillow-heif" in sentence:
        return "HEIC"
    if "not one of" in sentence:
        return "other format"
    if "raw photograph" in sentence:
        return "raw"
    if "pixels are more than" in sentence:
        return "too large"
    return "no range" if "has no fixed range" in sentence else "damaged"


def facts(content: bytes) -> tuple[str, int, int, tuple[str, ...]]:
    """Format, width and height upright, and traits of an image that can be decoded."""
    from PIL import Image, ImageOps

    with Image.open(io.BytesIO(content)) as image:
        orientation = image.getexif().get(0x0112, 1)
        try:
            frames = bool(getattr(image, "is_animated", False))
        except (OSError, EOFError, IndexError, ValueError, SyntaxError, struct.error):
            frames = True  # there are more, and they are damaged: nobody reads them
        deep = _is_deep(image, content)
        has = {
            TURNED: orientation in range(2, 9),
            TRANSPARENT: image.has_transparency_data,
            GREY: image.mode in {"1", "L", "LA", "I"} or image.mode.startswith("I;16"),
            CMYK: image.mode == "CMYK",
            DEEP: deep,
            FRAMES: frames,
        }
        width, height = image.size
        if orientation in range(5, 9):
            width, height = height, width
            if image.format == "TIFF":  # of which some versions of Pillow turn the size themselves
                width, height = ImageOps.exif_transpose(image).size
        return str(image.format), width, height, tuple(t for t, applies in has.items() if applies)


def brightest(content: bytes) -> int | None:
    """The highest of the 8 bits that are kept of a file's 16 a channel; None of any other file.

    Nor of what is no image, of which decoding says why.
    """
    from PIL import Image

    with (
        contextlib.suppress(Exception),
        Image.open(io.BytesIO(content), formats=formats_of(content)) as image,
    ):
        if _is_deep(image, content):
            values = np.asarray(image)
            colours = values[..., :-1] if image.mode in {"LA", "RGBA"} else values
            return int(colours.max()) >> (8 if image.mode.startswith("I") else 0)
    return None


def _is_deep(image: "Image.Image", content: bytes) -> bool:
    """Whether a file has 16 bits a channel, also of colours, of which Pillow has 8."""
    if image.mode == "I" or image.mode.startswith("I;16"):
        return True
    bits: Any = content[PNG_BITS] if image.format == "PNG" else 8
    if image.format == "TIFF":
        bits = image.getexif().get(TIFF_BITS)
    return bool(np.any(np.equal(bits, 16)))
