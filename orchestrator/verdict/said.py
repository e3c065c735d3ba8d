"""What each training said of each image, as files have it: one `Said` a model and seed."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from orchestrator.results.rows import Model
from orchestrator.results.schema import FIXED_SCHEMAS
from orchestrator.results.study_results import StudyResults
from orchestrator.stats.predictions import PredictedRun, split_runs
from orchestrator.verdict.faults import FaultsError, some
from orchestrator.verdict.roles import MATRIX, Outputs, Roles, roles_of
from orchestrator.verdict.tables import Array, Columns, read_columns

Texts = npt.NDArray[np.object_]
"""Texts; None where there is no value."""
MISSING: Final = frozenset({"", "nan", "NaN", "None", "null", "<NA>", "NaT"})
OURS: Final = frozenset(FIXED_SCHEMAS["predictions"].names) - {"study", "file"}
_SEED: Final = re.compile(r"(?P<model>.*?)[-_. ]*(?:seed|s)[-_=]?(?P<seed>\d+)", re.IGNORECASE)


@dataclass(kw_only=True, eq=False)
class Said(Outputs):
    """One training on the test images, as a file has it.

    Attributes:
        origin: The file, as it is shown.
        model: Its name; in a study of ours its family's and its role, which else is empty.
        seed: Of the training; None where nothing is said.
        images: Which image each row is of, [images]; None where the order says it.
        labels: The true classes, [images]; None where the file has none.
        predicted: The predicted classes, [images]; None where the outputs tell.
        other: Further columns, [images].
        files: Of the images, in a study of ours; empty elsewhere.
    """

    origin: str
    model: Model
    seed: int | None = None
    images: Texts | None = None
    labels: Texts | None = None
    predicted: Texts | None = None
    other: Mapping[str, Texts] = field(default_factory=dict)
    files: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """How many images it speaks of."""
        given = (self.images, self.labels, self.predicted, self.outputs)
        return next((len(values) for values in given if values is not None), 0)

    @property
    def image_names(self) -> Texts:
        """What each image is called, [images]: its row where nothing else is said."""
        counted = np.arange(self.rows).astype(str).astype(object)
        return counted if self.images is None else self.images

    def __str__(self) -> str:
        """How a fault names it."""
        seed = "" if self.seed is None else f" seed {self.seed}"
        return f"{self.origin} ({name_of(self.model)}{seed})"


def name_of(model: Model) -> str:
    """A model as it is shown."""
    return " ".join(filter(None, model))


class Source(NamedTuple):
    """A file or a study, and the name that was given to its model, if one was."""

    path: Path
    model: str | None = None

    @classmethod
    def of(cls, argument: str) -> "Source":
        """A path, or a name, `=` and a path."""
        name, equals, path = argument.partition("=")
        if equals and name and not Path(argument).exists():
            return cls(Path(path), name)
        return cls(Path(argument))


def read_all(
    arguments: Sequence[str],
    *,
    columns_given: Mapping[str, str],
    known: Iterable[str],
    labelled: bool,
    fraction: float | None,
) -> tuple[list[Said], list[str]]:
    """Reads every file, and the models' names and seeds where its columns or its name say them.

    Args:
        arguments: Paths, or names with paths.
        columns_given: Role to the column that has it.
        known: Names of classes, where they are known.
        labelled: Whether the true classes are in a file of their own.
        fraction: The train fraction of studies; the largest where none is named.

    Returns:
        What was said, and notes.

    Raises:
        FaultsError: A file is none, or a column lacks a value.
    """
    sources = [Source.of(argument) for argument in arguments]
    keys = [(source.model, source.path.resolve()) for source in sources]
    faults = [
        f"each file must be named once, but {key[1]} stands twice"
        for key in dict.fromkeys(keys)
        if keys.count(key) > 1
    ]
    notes: list[str] = []
    found: list[Said] = []
    names: set[str] = set()
    for source, name in zip(sources, _names(sources), strict=True):
        try:
            if _is_ours(source.path):
                own, more = _read_ours(source, fraction)
                notes += more
            else:
                columns = read_columns(source.path)
                if columns.keys() >= OURS:
                    raise ValueError(
                        f"{source.path} has a study's predictions as `export` writes them: name "
                        "the study's folder, or its predictions.parquet, in its place"
                    )
                names |= {*columns}
                own = [*_split(source, name, roles_of(columns, columns_given, known), columns)]
            for said in own:
                if labelled and said.predicted is None and said.outputs is None:
                    # Beside a file of labels a file's own can only be what was predicted.
                    said.predicted, said.labels = said.labels, None
            found += own
        except FaultsError as error:
            faults += error.lines
        except (ValueError, OSError) as error:
            faults.append(str(error))
    if not faults:
        faults += [
            f"--columns {role}={name}: no file has the column {name!r}"
            for role, name in columns_given.items()
            if name not in names
        ]
    if fraction is not None and not any(_is_ours(source.path) for source in sources):
        faults.append("--train-fraction must go with the results of a study, but none is given")
    FaultsError.check(faults)
    _number_seeds(found, notes)
    return found, notes


def texts(values: Array) -> Texts:
    """Values as texts, whole numbers without a point; None where there is none."""
    return np.array([*map(_text, values.tolist())], dtype=object)


def _text(value: Any) -> str | None:
    if isinstance(value, float):
        if not np.isfinite(value):
            return None
        value = int(value) if value.is_integer() else value
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    text = str(value).strip()
    if re.fullmatch(r"[-+]?\d+\.0*", text):  # as a CSV has whole numbers of a column with gaps
        text = text.partition(".")[0]
    return None if text in MISSING else text


def _names(sources: Sequence[Source]) -> list[str]:
    """The models' names: those that are given, else the files' without endings.

    Where several files have one, theirs have their endings or their folders too.
    """
    paths = [source.path.absolute() for source in sources if source.model is None]
    longer = [[path.stem, path.name] for path in paths]
    for own, path in zip(longer, paths, strict=True):
        own += ["/".join((*path.parts[-n:-1], path.stem)) for n in range(2, len(path.parts))]
    names = [own[0] for own in longer]
    for length in range(1, max(map(len, longer), default=0)):
        twice = {name for name in names if names.count(name) > 1}
        names = [
            own[min(length, len(own) - 1)] if name in twice else name
            for name, own in zip(names, longer, strict=True)
        ]
    of_file = iter(names)
    return [source.model or next(of_file) for source in sources]


def _is_ours(path: Path) -> bool:
    """Whether it is a study's folder, or the table `predictions.parquet` of one."""
    if path.suffix.lower() != ".parquet" or not path.is_file():
        return (path / "study.json").is_file()
    try:
        return set(pq.ParquetFile(path).schema_arrow.names) >= OURS
    except (ValueError, OSError):
        return False  # whoever reads it says what is wrong


def _read_ours(source: Source, fraction: float | None) -> tuple[list[Said], list[str]]:
    classes: Sequence[Any] | None = None
    order: list[str] = []
    if source.path.is_dir():
        results = StudyResults(source.path)
        classes = results.study.dataset.classes
        table = results.table("predictions")
        order = list(dict.fromkeys(results.table_or_empty("final")["family"].to_pylist()))
    else:
        table = pq.ParquetFile(source.path).read()
    runs = split_runs(table)
    fractions = sorted({run.fraction for run in runs})
    if not fractions:
        raise ValueError(f"a study must have final runs, but {source.path} has no predictions")
    chosen = fractions[-1] if fraction is None else fraction
    if chosen not in fractions:
        raise ValueError(
            f"--train-fraction must be one of {', '.join(f'{each:g}' for each in fractions)} in "
            f"{source.path}, but is {chosen:g}"
        )
    others = ", ".join(f"{each:g}" for each in fractions if each != chosen)
    notes = [
        f"{source.path}: of train fraction {chosen:g}; --train-fraction takes another ({others})."
    ]
    own = [run for run in runs if run.fraction == chosen]
    own.sort(key=lambda run: order.index(run.family) if run.family in order else len(order))
    return [_of_run(source, run, classes) for run in own], notes if others else []


def _of_run(source: Source, run: PredictedRun, classes: Sequence[Any] | None) -> Said:
    names = tuple(map(str, classes or range(run.probabilities.shape[1])))
    named = np.array(names, dtype=object)
    return Said(
        origin=str(source.path),
        model=(" ".join(filter(None, (source.model, run.family))), run.role),
        seed=run.seed,
        images=texts(run.images),
        labels=named[run.labels],
        predicted=named[run.predicted],
        outputs=run.probabilities,
        names=names,
        files=tuple(run.files),
    )


def _split(source: Source, name: str, roles: Roles, columns: Columns) -> Iterator[Said]:
    path = str(source.path)
    as_texts = {role: texts(_flat(values)) for role, values in roles.columns.items()}
    FaultsError.check([*_wrong(path, roles, as_texts)])
    stem = None if source.model else _SEED.fullmatch(Path(name).stem)
    of_name = int(stem["seed"]) if stem else None
    if stem and stem["model"]:
        name = stem["model"]
    outputs = roles.outputs
    # Of a file's arrays some may be of no image: names of classes, a history of losses.
    sized = [*as_texts.values(), *columns.values()] if outputs is None else [outputs]
    count = len(sized[0])
    models = as_texts.get("model", [name] * count)
    seeds = as_texts.get("seed", [of_name] * count)
    if outputs is not None:
        outputs = np.asarray(outputs, dtype=np.float64).reshape(count, -1)
    of_key: dict[tuple[str, int | None], list[int]] = {}
    for row, (model, seed) in enumerate(zip(models, seeds, strict=True)):
        of_key.setdefault((model, None if seed is None else int(seed)), []).append(row)
    other = {name: texts(values) for name, values in roles.other.items() if len(values) == count}
    for (model, seed), rows in of_key.items():
        own = {role: values[rows] for role, values in as_texts.items()}
        yield Said(
            origin=path,
            model=(model, ""),
            seed=seed,
            images=own.get("image"),
            labels=own.get("label"),
            predicted=own.get("predicted"),
            outputs=None if outputs is None else outputs[rows],
            names=roles.names,
            logits=roles.logits,
            trainer=roles.trainer,
            single=roles.single,
            other={column: values[rows] for column, values in other.items()},
        )


def _wrong(path: str, roles: Roles, as_texts: Mapping[str, Texts]) -> Iterator[str]:
    outputs = {} if roles.outputs is None else {"outputs": roles.outputs}
    lengths = {name: len(values) for name, values in {**roles.columns, **outputs}.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {length:,}" for name, length in lengths.items())
        yield f"{path}: all must have one value an image, but have {listed}"
    for role, values in roles.columns.items():
        if values.ndim > 1 and values.shape[1:] != (1,):
            yield f"{path}: {role} must be one value an image, but is of shape {values.shape}"
        lacking = int(np.sum([value is None for value in as_texts[role]]))
        if lacking:
            yield (
                f"{path}: each row must have {'an' if role == 'image' else 'a'} {role}, but "
                f"{lacking:,} of {len(values):,} have none (empty or NaN)"
            )
    if roles.outputs is not None and roles.outputs.ndim != MATRIX:
        yield f"{path}: outputs must be [images, classes], but are {list(roles.outputs.shape)}"
    if roles.outputs is not None and np.iscomplexobj(roles.outputs):
        yield f"{path}: outputs must be real numbers, but are {roles.outputs.dtype}"
    seeds = [seed for seed in as_texts.get("seed", ()) if seed is not None]
    bad = [seed for seed in seeds if not re.fullmatch(r"-?\d+", seed)]
    if bad:
        yield f"{path}: seeds must be whole numbers, but got {some(bad)}"


def _flat(values: Array) -> Array:
    return values.reshape(len(values), -1)[:, 0] if values.ndim > 1 else values


def _number_seeds(found: Sequence[Said], notes: list[str]) -> None:
    """Gives trainings without a seed the next number of their model."""
    numbered = set()
    for said in found:
        if said.seed is None:
            own = [each.seed for each in found if each.model == said.model]
            said.seed = next(number for number in range(len(own) + 1) if number not in own)
            if len(own) > 1:
                numbered.add(name_of(said.model))
    notes += [
        f"{name}: no seeds are named, so its files are its trainings in their order."
        for name in sorted(numbered)
    ]


def read_table(path: Path) -> dict[str, Texts]:
    """Any table as texts; see `tables.read_columns`.

    Raises:
        ValueError: It is none.
        OSError: It cannot be read.
    """
    return {name: texts(_flat(values)) for name, values in read_columns(path).items()}


def read_labels(path: Path, columns_given: Mapping[str, str]) -> dict[str, str]:
    """Image to its true class from a file; images are numbered where they are not named.

    Raises:
        ValueError: It has none, lacks one, or has an image twice.
        OSError: It cannot be read.
    """
    columns = read_columns(path)
    given = {role: columns_given[role] for role in ("image", "label") if role in columns_given}
    found = roles_of(columns, given, ()).columns
    values = found.get("label", found.get("predicted"))
    if values is None:
        raise ValueError(
            f"--labels must have the true classes (column label), but {path} has {some([*columns])}"
        )
    labels = texts(_flat(values))
    images = texts(_flat(found.get("image", np.arange(len(labels)))))
    pairs = dict(zip(images.tolist(), labels.tolist(), strict=True))
    lacking = sum(value is None for value in (*pairs, *pairs.values()))
    if lacking or len(pairs) < len(labels):
        what = f"{lacking:,} have none" if lacking else "some stand twice"
        raise ValueError(f"--labels must have each image once with its class, but in {path} {what}")
    return pairs
