"""The weights that each pre-trained family of a study starts from: one file for all, or its own."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainables.weights import loading
from trainables.weights.loading import Weights, WeightsFile, own_words


@dataclass(frozen=True, kw_only=True)
class ChosenWeights:
    """The files of a study's pre-trained families.

    Attributes:
        files: By family.
    """

    files: Mapping[str, WeightsFile]

    @property
    def sha256(self) -> str:
        """Of the file, where there is one; else of the families' names and their files' hashes."""
        different = {file.sha256 for file in self.files.values()}
        if len(different) == 1:
            return different.pop()
        lines = [f"{family} {file.sha256}\n" for family, file in sorted(self.files.items())]
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def read(self) -> dict[str, Weights]:
        """The weights of each family; families with one file share its arrays.

        Raises:
            ValueError: A file holds no weights, or is not the one that was hashed any more.
        """
        read = {}
        for file in {*self.files.values()}:
            if (now := loading.file_sha256(file.path)) != file.sha256:
                raise ValueError(
                    f"{file.path} must stay while it is read, but its SHA-256 was {file.sha256} "
                    f"and is {now}"
                )
            read[file.path] = loading.read(file)
        return {family: read[file.path] for family, file in self.files.items()}

    def to_json(self) -> dict[str, Any]:
        """What `study.json` says of them: of one file, or besides of each family's."""
        described = {family: _described(file) for family, file in self.files.items()}
        first, *others = self.files.values()
        if not first.words and all(other == first for other in others):
            return _described(first)
        names = dict.fromkeys(each["name"] for each in described.values())
        return {
            "name": ", ".join(names),
            "sha256": self.sha256,
            "own_words": {},
            "families": described,
        }


def _described(file: WeightsFile) -> dict[str, Any]:
    return {"name": file.name, "sha256": file.sha256, "own_words": own_words(file)}
