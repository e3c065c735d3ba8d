"""Lists the model families and data sets that are in their folders, and loads them by name."""

import importlib
import os
import pkgutil
import sys
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import trainables.datasets
import trainables.families
import trainables.libraries
from trainables.data.dataset import DataSet
from trainables.family import Family
from trainables.last_words import of_code_in
from trainables.names import check_family, full_name
from trainables.trial_error import described

# More folders with such files, separated as in PATH: those kept outside the checkout.
FAMILY_PATH = "STUDY_FAMILY_PATH"
DATASET_PATH = "STUDY_DATASET_PATH"
# What such a file imports; a wheel has them inside a package of its own.
PACKAGES = ("search_spaces", "trainables")


def family_names() -> list[str]:
    """All families, sorted by name."""
    return _modules_in(_package(trainables.families, FAMILY_PATH))


def load_family(name: str) -> Family:
    """Loads a family by its name, or makes that of a library's model.

    Raises:
        ValueError: There is no such family, its file cannot be imported, or does not define it.
    """
    library = _library_of(name)
    if library is not None:
        made: Family = library.MODEL(model=full_name(name).partition(".")[2]).family()
        return made
    if name not in family_names():
        choices = ", ".join([*family_names(), *(f"{each}/MODEL" for each in library_names())])
        raise ValueError(
            f"unknown family {name!r}; choose from {choices}, or 'all'{_no_folders(FAMILY_PATH)}"
        )
    others = ",".join(each for each in family_names() if each != name)
    module = _imported(
        trainables.families, name, "family", f"the others can be named: --families {others}"
    )
    family = getattr(module, "FAMILY", None)
    if not isinstance(family, Family) or family.name != name:
        _refuse(module, "FAMILY", name, family.name if isinstance(family, Family) else None)
    return family


def family_file(name: str) -> Path:
    """The file that defines a family.

    Raises:
        ValueError: There is no such family.
    """
    library = _library_of(name)
    if library is not None:
        return Path(str(library.__file__)).resolve()
    load_family(name)
    return _file_of(trainables.families, name)


def is_own(name: str) -> bool:
    """Whether a family is a file of the user's, outside this project."""
    inside = Path(str(trainables.families.__file__)).resolve().parent
    return _library_of(name) is None and family_file(name).parent != inside


def load_families(selection: str) -> list[Family]:
    """Loads the families that a text names: names separated by commas, `all` among them.

    Raises:
        ValueError: A name is unknown, named twice, or none is given.
    """
    if "all" in family_names():
        raise ValueError("a family must not be called all, which means every one; rename all.py")
    names: list[str] = []
    for name in map(full_name, selection.split(",")):
        every = map(load_family, family_names()) if name == "all" else ()
        names += [family.name for family in every if family.in_all] if name == "all" else [name]
    if len(set(names)) < len(names):
        raise ValueError(f"each family must be named once, but got {selection!r}")
    families = [load_family(name) for name in names]
    for name in names:
        _check_file(name)
    return families


def _check_file(name: str) -> None:
    """Rejects a name that no trial can have, or that two files are called by."""
    check_family(full_name(name))
    folders = dict.fromkeys(Path(each).resolve() for each in trainables.families.__path__)
    found = [str(path) for folder in folders if (path := folder / f"{name}.py").is_file()]
    if len(found) > 1:
        raise ValueError(
            f"a family must be one file, but {name} is {' and '.join(found)}; give one another name"
        )


def library_names() -> list[str]:
    """The libraries whose models are families, sorted by name."""
    return _modules_in(trainables.libraries)


def _library_of(name: str) -> ModuleType | None:
    """The library that a family's name begins with; None where it is a file of its own."""
    library, dot, model = full_name(name).partition(".")
    if not dot or not model or library not in library_names():
        return None
    check_family(full_name(name))
    return importlib.import_module(f"{trainables.libraries.__name__}.{library}")


def dataset_names() -> list[str]:
    """All data sets, sorted by name."""
    return _modules_in(_package(trainables.datasets, DATASET_PATH))


def load_dataset(name: str) -> DataSet:
    """Loads a data set by its name.

    Raises:
        ValueError: There is no such data set, its file cannot be imported, or does not define it.
    """
    if name not in dataset_names():
        raise ValueError(
            f"unknown data set {name!r}; choose from {', '.join(dataset_names())}, or name the "
            f"folder of its file in {DATASET_PATH}{_no_folders(DATASET_PATH)}"
        )
    module = _imported(trainables.datasets, name, "data set", "its file must be mended first")
    dataset = getattr(module, "DATASET", None)
    if not isinstance(dataset, DataSet) or dataset.name != name:
        _refuse(module, "DATASET", name, dataset.name if isinstance(dataset, DataSet) else None)
    return dataset


def dataset_file(name: str) -> Path:
    """The file that defines a data set.

    Raises:
        ValueError: There is no such data set.
    """
    load_dataset(name)
    return _file_of(trainables.datasets, name)


def summary(name: str) -> str:
    """The question that a family answers, with which its file opens."""
    if _library_of(name) is not None:
        return load_family(name).question
    document = importlib.import_module(f"trainables.families.{name}").__doc__ or ""
    return document.strip().partition("\n")[0]


def _imported(package: ModuleType, name: str, what: str, advice: str) -> ModuleType:
    """A module of a package.

    Raises:
        ValueError: It cannot be imported.
    """
    full = f"{package.__name__}.{name}"
    if full in sys.modules:
        return sys.modules[full]
    files = [
        path for folder in [*package.__path__][1:] if (path := Path(folder, f"{name}.py")).is_file()
    ]
    last_words = of_code_in(files[0]) if files else nullcontext()
    try:
        with redirect_stdout(sys.stderr), last_words:  # what it prints is no answer of a command's
            return importlib.import_module(full)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        reason = described(error).message
        if isinstance(error, ModuleNotFoundError) and error.name in PACKAGES:
            advice = f"where this project is installed, it is transfer_study.{error.name}"
        raise ValueError(f"{what} {name!r} cannot be imported: {reason} ({advice})") from error


def _refuse(module: ModuleType, variable: str, name: str, found: str | None) -> NoReturn:
    raise ValueError(
        f"{module.__file__} must define {variable} with the name {name!r}, but got {found!r}"
    )


def _file_of(package: ModuleType, name: str) -> Path:
    return Path(str(importlib.import_module(f"{package.__name__}.{name}").__file__)).resolve()


def _package(package: ModuleType, variable: str) -> ModuleType:
    """A package whose path is its own folder and those that a variable of the user names."""
    own = str(Path(str(package.__file__)).parent)
    more = filter(None, os.environ.get(variable, "").split(os.pathsep))
    package.__path__ = [own, *(str(Path(folder).resolve()) for folder in more)]
    return package


def _no_folders(variable: str) -> str:
    """What a variable of the user names that is no folder, as the end of a sentence."""
    named = filter(None, os.environ.get(variable, "").split(os.pathsep))
    missing = [folder for folder in named if not Path(folder).is_dir()]
    return f" ({variable} names {', '.join(missing)}, which is no folder)" if missing else ""


def _modules_in(package: ModuleType) -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__))
