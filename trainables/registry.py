"""Lists the model families and data sets that lie in their folders, and loads them by name."""

import importlib
import os
import pkgutil
from pathlib import Path
from types import ModuleType

import trainables.datasets
import trainables.families
from trainables.data.dataset import DataSet
from trainables.family import Family

# More folders with family files, separated as in PATH: families kept outside the checkout.
FAMILY_PATH = "STUDY_FAMILY_PATH"


def family_names() -> list[str]:
    """All families, sorted by name."""
    return _modules_in(_families_package())


def load_family(name: str) -> Family:
    """Loads a family by its name.

    Raises:
        ValueError: There is no such family, its file cannot be imported, or does not define it.
    """
    if name not in family_names():
        choices = ", ".join(family_names())
        message = f"unknown family {name!r}; choose from {choices}, or 'all'"
        raise ValueError(message)
    try:
        module = importlib.import_module(f"trainables.families.{name}")
    except (Exception, SystemExit) as error:
        reason = " ".join(str(error).split())
        others = ",".join(each for each in family_names() if each != name)
        message = (
            f"family {name!r} cannot be imported: {type(error).__name__}: {reason} (the others can "
            f"be named: --families {others})"
        )
        raise ValueError(message) from error
    family = getattr(module, "FAMILY", None)
    if not isinstance(family, Family) or family.name != name:
        found = family.name if isinstance(family, Family) else None
        message = f"{module.__file__} must define FAMILY with the name {name!r}, but got {found!r}"
        raise ValueError(message)
    return family


def family_file(name: str) -> Path:
    """The file that defines a family.

    Raises:
        ValueError: There is no such family.
    """
    load_family(name)
    return Path(str(importlib.import_module(f"trainables.families.{name}").__file__)).resolve()


def load_families(selection: str) -> list[Family]:
    """Loads the families that a text names: `all`, or names separated by commas.

    Raises:
        ValueError: A name is unknown, named twice, or none is given.
    """
    names = family_names() if selection == "all" else [n.strip() for n in selection.split(",")]
    if len(set(names)) < len(names):
        message = f"each family must be named once, but got {selection!r}"
        raise ValueError(message)
    return [load_family(name) for name in names]


def dataset_names() -> list[str]:
    """All data sets, sorted by name."""
    return _modules_in(trainables.datasets)


def load_dataset(name: str) -> DataSet:
    """Loads a data set by its name.

    Raises:
        ValueError: There is no such data set.
    """
    if name not in dataset_names():
        message = f"unknown data set {name!r}; choose from {', '.join(dataset_names())}"
        raise ValueError(message)
    dataset = importlib.import_module(f"trainables.datasets.{name}").DATASET
    assert isinstance(dataset, DataSet), name
    return dataset


def summary(name: str) -> str:
    """The sentence that a family's file opens with."""
    document = importlib.import_module(f"trainables.families.{name}").__doc__ or ""
    return document.strip().partition("\n")[0]


def _families_package() -> ModuleType:
    """The package of families; its path is its own folder and those of the user."""
    package = trainables.families
    own = str(Path(str(package.__file__)).parent)
    more = filter(None, os.environ.get(FAMILY_PATH, "").split(os.pathsep))
    package.__path__ = [own, *(str(Path(folder).resolve()) for folder in more)]
    return package


def _modules_in(package: ModuleType) -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__))
