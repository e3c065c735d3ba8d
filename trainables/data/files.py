"""A folder of files, on this machine or behind an fsspec address, listed and read as bytes."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec

from trainables.secrets import check_complete


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder that exists.

    Attributes:
        filesystem: The fsspec file system that it is on.
        path: Where it is there, for reading.
    """

    filesystem: Any
    path: str

    @property
    def place(self) -> str:
        """The path for messages: the top of an archive has none."""
        return self.path or "the archive"

    @property
    def name(self) -> str:
        """The last part of the path."""
        return PurePosixPath(self.path).name

    def child(self, *names: str) -> "Folder":
        """The folder below this one that `names` lead to."""
        return Folder(filesystem=self.filesystem, path=self.at("/".join(names)))

    def at(self, name: str) -> str:
        """The path of a file or folder in this folder; one from the root stays what it is."""
        if name.startswith("/"):
            return name
        return f"{self.path}/{name}" if self.path.strip("/") else f"{self.path}{name}"

    def list(self) -> tuple[list[str], list[str]]:
        """Names of its folders and of its files, each sorted; hidden ones are left out.

        Raises:
            ValueError: If it cannot be listed.
        """
        with one_line_errors(self.path):
            entries = self.filesystem.ls(self.path, detail=True)
            paths = sorted(e["name"].rstrip("/") for e in entries)
            names = [PurePosixPath(path).name for path in paths if path != self.path]
            seen = [name for name in names if not name.startswith(".")]
            folders = [name for name in seen if self.filesystem.isdir(self.at(name))]
        return folders, [name for name in seen if name not in set(folders)]

    def hidden(self) -> tuple[str, ...]:
        """Names of its hidden files and folders, sorted.

        Raises:
            ValueError: It cannot be listed.
        """
        with one_line_errors(self.path):
            paths = self.filesystem.ls(self.path, detail=False)
        names = (PurePosixPath(path.rstrip("/")).name for path in paths)
        return tuple(sorted(name for name in names if name.startswith(".")))

    def content(self, name: str) -> bytes:
        """The bytes of one file, or the error of its file system."""
        content: bytes = self.filesystem.cat_file(self.at(name))
        return content

    def is_file(self, name: str) -> bool:
        """Whether a name is that of a file: a pipe or a device would be read for ever."""
        with one_line_errors(self.at(name)):
            return bool(self.filesystem.isfile(self.at(name)))

    def read(self, name: str, *, sha256: str | None = None) -> bytes:
        """The bytes of one file.

        Args:
            name: Path below this folder, parts joined by `/`.
            sha256: What its bytes hashed to when it was opened; None where that is not known.

        Raises:
            ValueError: If it cannot be read, or is no longer what it was.
        """
        with one_line_errors(self.at(name)):
            content = self.content(name)
        found = hashlib.sha256(content).hexdigest()
        if sha256 is not None and found != sha256:
            raise ValueError(
                f"{self.at(name)} has changed: expected SHA-256 {sha256}, found {found}"
            )
        return content


def open_folder(address: str) -> Folder:
    """Finds a folder by path (`~` is the home folder) or by fsspec address (with `://`).

    Raises:
        ValueError: If there is no such folder, or its file system cannot be reached.
    """
    folder, file = open_place(address)
    if file is not None:
        raise ValueError(f"{address!r} must be a folder, but is a file")
    return folder


def open_place(address: str) -> tuple[Folder, str | None]:
    """Finds a folder, or a file: then its folder and its name. Addresses as of `open_folder`.

    Raises:
        ValueError: If there is neither, or its file system cannot be reached.
    """
    check_complete(address)
    if address.startswith("zip://") and "::" not in address:
        raise ValueError(
            f"an archive must be given as zip://::{address.removeprefix('zip://')}, or as "
            f"zip://FOLDER::FILE for a folder in it, but got {address}"
        )
    with one_line_errors(address):
        if "://" in address:
            filesystem, path = fsspec.url_to_fs(address)
        else:
            filesystem, path = fsspec.filesystem("file"), str(Path(address).expanduser().absolute())
        is_folder, is_file = filesystem.isdir(path), filesystem.isfile(path)
    path, root = path.rstrip("/"), filesystem.root_marker
    if is_file and not is_folder:
        above, _, name = path.rpartition("/")
        return Folder(filesystem=filesystem, path=above or root), name
    if not is_folder:
        raise ValueError(f"there is no folder {address!r}")
    return Folder(filesystem=filesystem, path=path or root), None


@contextmanager
def one_line_errors(path: str) -> Iterator[None]:
    """Whatever goes wrong inside with a file is a ValueError of one line that names it."""
    # Each file system behind fsspec has exceptions of its own, with no common base.
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"cannot read {path}: {reason}") from error
