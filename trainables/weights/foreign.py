"""What is named as a file of weights and is none: said in words, with what to do."""

import zipfile
from pathlib import Path
from typing import Final

START: Final = 512
SHOWN: Final = 5
CHUNK: Final = 1 << 20
# How a file begins, and what it then is.
BEGINNINGS: Final = (
    (b"version https://git-lfs", "it is the pointer of Git LFS to a file: run git lfs pull"),
    (b"<", "it is a web page or XML, not what was to be downloaded"),
    (b"{", "it is JSON, not weights: an index of files, or an error in place of a download"),
    (b"\x89HDF", "it is HDF5, as Keras writes it; only PyTorch's and safetensors' files are read"),
    (b"GGUF", "it is GGUF; only PyTorch's and safetensors' files are read"),
    (b"\x93NUMPY", "it is NumPy's; only PyTorch's and safetensors' files are read"),
    (b"\x1f\x8b", "it is compressed by gzip: unpack it first"),
)


def no_file(text: str, path: Path) -> str | None:
    """Why what is named cannot be a file of weights; None where it is a file.

    Args:
        text: As it was given.
        path: The same from the root.
    """
    if path.is_file():
        return None
    if "://" in text:
        return f"{text} is an address: download the file first"
    if not text.strip():
        return "none is named"
    if path.is_dir():
        known = sorted(each.name for each in path.iterdir() if each.suffix in SUFFIXES)
        more = f", which has {', '.join(known[:SHOWN])}" if known else ""
        return f"{path} is a folder{more}"
    return f"{path} {'is no file' if path.exists() else 'does not'}"


SUFFIXES: Final = (".safetensors", ".pth", ".pt", ".bin", ".ckpt")


def foreign_kind(path: Path) -> str | None:
    """What a file is that holds no state dict, where its first bytes say so; else None."""
    with path.open("rb") as file:
        start = file.read(START)
    if not start.strip(b"\0"):
        return "it is empty" if not start else "it begins with zeros, as half a download does"
    for beginning, words in BEGINNINGS:
        if start.lstrip().startswith(beginning):
            return words
    return _kind_of_archive(path) if start.startswith(b"PK") else None


def _kind_of_archive(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError):
        return "it is cut off or damaged"
    if any(name.endswith("constants.pkl") for name in names):
        return "it is a compiled network (TorchScript), which is code: save its state_dict() alone"
    if any(name.endswith("data.pkl") for name in names):
        return None
    shown = ", ".join(names[:SHOWN])[:120]
    return f"it is an archive of other files ({shown}); only PyTorch's and safetensors' are read"


def damaged_record(path: Path) -> str | None:
    """The first record of a file of PyTorch's of which a byte has changed; it does not look itself.

    A checksum of 0 is one that was not written (`torch.serialization.set_crc32_options`).
    """
    with zipfile.ZipFile(path) as archive:
        for record in archive.infolist():
            try:
                with archive.open(record) as opened:
                    while record.CRC and opened.read(CHUNK):
                        pass
            except zipfile.BadZipFile:
                return record.filename
    return None
