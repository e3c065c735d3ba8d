"""Which files the paths in tables are: from the folder of the table, or by their names alone."""

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import PurePosixPath
from typing import Final

from trainables.data.files import Folder
from trainables.data.junk import is_junk
from trainables.data.layout import PART_WORDS
from trainables.data.other_layouts import IMAGE_ENDINGS, folders_in, part_named, words

SAMPLE: Final = 50
"""Values of a column that are looked at to see whether they are paths."""


class ImagePaths:
    """Finds the files that a column of paths means.

    Where its values lead to no files they may be names, with or without their endings, of images
    in the folders beside the table, as contests publish them: `0f12` is `train_images/0f12.jpg`.
    """

    def __init__(self, folder: Folder) -> None:
        """Nothing is read yet; paths are those below this folder."""
        self._folder = folder

    @property
    def place(self) -> str:
        """The folder, for messages."""
        return self._folder.place

    def at(self, path: str, table: str) -> str | None:
        """The file that a path leads to; its letters may be of the other Unicode form on disk."""
        home = table.rpartition("/")[0]
        forms = [path]
        if not path.isascii():
            forms += [unicodedata.normalize(form, path) for form in ("NFC", "NFD")]
        places = [f"{home}/{form}" for form in forms if home and not path.startswith("/")]
        return next((each for each in (*places, *forms) if self._folder.is_file(each)), None)

    def named(self, name: str, table: str) -> str | None:
        """The only image of a name; of several the one in the folder of the table's part."""
        return self._only(self._files.get(name, []), table)

    def named_without_ending(self, name: str, table: str) -> str | None:
        """Likewise by the name without its ending."""
        return self._only(self._stems.get(name, []), table)

    def _only(self, found: Sequence[str], table: str) -> str | None:
        if len(found) > 1:
            said = [PART_WORDS[w] for w in words(PurePosixPath(table).stem) if w in PART_WORDS]
            found = [each for each in found if part_named(each.partition("/")[0]) in said[:1]]
        return found[0] if len(found) == 1 else None

    @property
    def ways(self) -> Sequence[Callable[[str, str], str | None]]:
        """How a column is read: by the first of these by which it has files."""
        return (self.at, self.named, self.named_without_ending)

    def of_column(self, values: Sequence[str], table: str) -> dict[str, str]:
        """Each path, or name, to the file that it is, or would be."""
        once = dict.fromkeys(values)
        some = [*once][:SAMPLE]
        ways = [way for way in self.ways if any(way(each, table) for each in some)]
        if ways and ways[0] != self.at:
            return {name: ways[0](name, table) or name for name in once}
        home = PurePosixPath(table).parent
        if home == PurePosixPath():  # where nobody looks twice whether a file is there
            return {path: path if path.isascii() else self.at(path, table) or path for path in once}
        return {path: self.at(path, table) or str(home / path) for path in once}

    @cached_property
    def _files(self) -> Mapping[str, Sequence[str]]:
        """The images in the folder and in those in it, by name."""
        found: dict[str, list[str]] = defaultdict(list)
        for place in ("", *folders_in(self._folder)):
            _, files = self._folder.child(place).list() if place else self._folder.list()
            for file in files:
                if file.lower().endswith(IMAGE_ENDINGS) and not is_junk(file):
                    found[file].append(f"{place}/{file}" if place else file)
        return found

    @cached_property
    def _stems(self) -> Mapping[str, Sequence[str]]:
        """The same by name without its ending."""
        found: dict[str, list[str]] = defaultdict(list)
        for name, files in self._files.items():
            found[PurePosixPath(name).stem] += files
        return found
