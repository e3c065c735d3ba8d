"""Verifies a study: all checks of its tables, and of data and weights where they are at hand."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from orchestrator.config.settings import Settings, from_json
from orchestrator.plan.inputs import DEMO_WEIGHTS, divide
from orchestrator.verify import finals as verification_finals
from orchestrator.verify import predictions as verification_predictions
from orchestrator.verify import search as verification_search
from orchestrator.verify import tables as verification
from orchestrator.verify.tables import Check, Tables, UnusableError
from trainables import registry
from trainables.data import download
from trainables.data.dataset import OpenedDataSet
from trainables.data.files import open_folder
from trainables.weights import loading as weights
from trainables.weights import pretraining
from trainables.weights.sources import DOWNLOADS

CHECKS: Final[tuple[Check, ...]] = (
    *verification.CHECKS,
    *verification_search.CHECKS,
    *verification_finals.CHECKS,
    *verification_predictions.CHECKS,
)
# More of the same would not help to find what is wrong.
MOST_SENTENCES: Final = 20


class NotAtHandError(Exception):
    """What a study was made from does not lie on this machine."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something that must hold of a study and does not.

    Attributes:
        check: What must hold.
        sentence: Where it does not.
    """

    check: str
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a verification found.

    Attributes:
        problems: Empty if the study is sound.
        notes: What could not be checked, or is sound but worth knowing.
        checks: How many checks were made.
    """

    problems: list[Problem]
    notes: list[str]
    checks: int


def verify(folder: Path, *, sources: bool) -> Verdict:
    """Checks every invariant of a study; nothing is downloaded.

    Args:
        folder: The study's.
        sources: Also hash data and weights again, where they lie on this machine.

    Raises:
        ValueError: It is no study.
    """
    tables = verification.read(folder)
    problems: list[Problem] = []
    notes, made = [], 0
    for check in (*CHECKS, *(SOURCES if sources else ())):
        name = check.__name__.removeprefix("check_").replace("_", " ")
        found, not_made = _make(check, tables)
        problems += [Problem(check=name, sentence=sentence) for sentence in _shortened(found)]
        if not_made is None:
            made += 1
        else:
            notes.append(f"{name} not checked: {not_made}")
    openings = tables.study.get("test_openings", 0)
    if openings > 1:
        notes.append(f"the test part was opened {openings} times, for different choices")
    return Verdict(problems=problems, notes=notes, checks=made)


def check_data(tables: Tables) -> Iterator[str]:
    """Files, classes and split are what `study.json` says."""
    settings, recorded = from_json(tables.settings), tables.study["dataset"]
    try:
        dataset = _opened(settings)
    except ValueError as error:
        yield f"the data must be what they were, but are not: {error}"
        return
    wrong = list(_changed_files(recorded["files"], dataset.files))
    yield from wrong
    if list(dataset.classes) != recorded["classes"]:
        yield f"the classes must be {recorded['classes']}, but are {list(dataset.classes)}"
    if wrong:  # other files are split in another way, and may not even be decoded
        return
    digest = divide(settings, dataset.read_training().labels).digest
    if digest != recorded["split_sha256"]:
        yield f"the split must have SHA-256 {recorded['split_sha256']} as recorded, not {digest}"


def check_weights(tables: Tables) -> Iterator[str]:
    """Pre-trained weights are what `study.json` says."""
    recorded, name = tables.study["weights"], from_json(tables.settings).weights
    if recorded is None:
        return
    found = _weights_sha256(name)
    if found != recorded["sha256"]:
        yield f"weights {name} must have SHA-256 {recorded['sha256']} as recorded, but have {found}"


SOURCES: Final[tuple[Check, ...]] = (check_data, check_weights)


def _make(check: Check, tables: Tables) -> tuple[list[str], str | None]:
    """What a check finds, and why it could not be made; it may have found something before."""
    found: list[str] = []
    try:
        found.extend(check(tables))
    except (UnusableError, NotAtHandError) as error:
        return found, str(error)
    except Exception as error:  # noqa: BLE001 (anything may be in a damaged study)
        text = " ".join(str(error).split())
        found.append(f"what is there cannot be checked: {type(error).__name__}: {text}")
    return found, None


def _opened(settings: Settings) -> OpenedDataSet:
    """The data set, if its files lie on this machine.

    Raises:
        NotAtHandError: They do not.
        ValueError: They do, but are not what they must be.
    """
    if settings.data_dir is not None:
        try:
            empty = not any(open_folder(settings.data_dir).list())
        except ValueError as error:
            raise NotAtHandError(str(error)) from error
        if empty:
            message = f"{settings.data_dir} is empty"
            raise NotAtHandError(message)
    with download.offline() as asked:
        try:
            return registry.load_dataset(settings.dataset).open(
                settings.data_dir, settings.image_size
            )
        except ValueError as error:
            if asked:
                raise NotAtHandError(str(error)) from error
            raise


def _weights_sha256(name: str) -> str:
    """SHA-256 of the weights that a study names; torchvision's are known by their names."""
    if name in DOWNLOADS:
        return DOWNLOADS[name][1]
    if name == DEMO_WEIGHTS:
        name = str(pretraining.cached_weights_path())
    try:
        return weights.locate(name).sha256
    except ValueError as error:
        raise NotAtHandError(str(error)) from error


def _changed_files(recorded: Mapping[str, Any], found: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(recorded.keys() | found.keys()):
        if recorded.get(name) != found.get(name):
            expected, sha256 = recorded.get(name), found.get(name)
            yield f"{name} must have SHA-256 {expected} as recorded, but has {sha256}"


def _shortened(sentences: list[str]) -> list[str]:
    more = len(sentences) - MOST_SENTENCES
    return sentences if more <= 0 else [*sentences[:MOST_SENTENCES], f"... and {more} more"]
