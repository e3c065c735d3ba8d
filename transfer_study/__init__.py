"""The project under its own name: where it is installed, all of it lies in here.

A wheel holds `orchestrator`, `trainables` and `search_spaces` inside this package, made so by
`hatch_build.py`. In a checkout they lie beside it, and `transfer_study.trainables.family` is
`trainables.family` itself, so that one file of a user's works with both.
"""

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Final

__version__ = "0.1.0"

PACKAGES: Final = ("orchestrator", "trainables", "search_spaces")


class _Beside(MetaPathFinder, Loader):
    """Finds a module in here among the packages that lie beside this one in a checkout."""

    def __init__(self) -> None:
        self._specs: dict[str, ModuleSpec | None] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """That of a module in here, if there is one beside."""
        del path, target
        inside, _, name = fullname.partition(".")
        if inside != __name__ or name.partition(".")[0] not in PACKAGES or find_spec(name) is None:
            return None
        return spec_from_loader(fullname, self)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module beside, which has one name more from then on."""
        module = importlib.import_module(spec.name.partition(".")[2])
        self._specs[spec.name] = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Gives the module its own specification back; it was executed when it was imported."""
        assert module.__spec__ is not None
        module.__spec__ = self._specs[module.__spec__.name]


if not (Path(__file__).parent / PACKAGES[0]).exists():
    sys.meta_path.insert(0, _Beside())  # before what would find a second copy in the path of one
