"""What each training said of each image, as files have it: one `Said` a model and seed."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from orchestrator.results.schema import FIXED_SCHEMAS
from orchestrator.results.study_results import StudyResults
from orchestrator.stats.bootstrap import Floats
from orchestrator.stats.predictions import PredictedRun, split_runs
from orchestrator.verdict.faults import FaultsError, some
from orchestrator.verdict.roles import MATRIX, Roles, roles_of
from orchestrator.verdict.tables import Array, Columns, read_columns

Texts = npt.NDArray[np.object_]
"""Texts; None where there is no value."""
MISSING: Final = frozenset({"", "nan", "NaN", "None", "null", "<NA>", "NaT"})
OURS: Final = frozenset(FIXED_SCHEMAS["predictions"].names) - {"study", "file"}
LABEL_ROLES: Final = ("image", "label")
_SEED: Final = re.compile(r"(?P<model>.*?)[-_. ]*(?:seed|s)[-_=]?(?P<seed>\d+)", re.IGNORECASE)


@dataclass(kw_only=True, eq=False)
class Said:
    """One training on the test images, as a file has it.

    Attributes:
        origin: The file, as it is shown.
        family: The model's name, or, in a study of ours, its family's.
        role: In a study of ours; else empty.
        seed: Of the training; None where nothing is said.
        images: Which image each row is of, [images]; None where the order says it.
        labels: The true classes, [images]; None where the file has none.
        predicted: The predicted classes, [images]; None where the outputs tell.
        outputs: One number a class, [images, classes]; None where there are classes alone.
        names: Of the classes of the outputs; empty where they are not named.
        logits: Whether the outputs are logits; None where nothing is said.
        trainer: Whether a Hugging Face Trainer predicted them.
        other: Further columns, [images].
        files: Of the images, in a study of ours; empty elsewhere.
    """

    origin: str
    family: str
    role: str = ""
    seed: int | None = None
    images: Texts | None = None
    labels: Texts | None = None
    predicted: Texts | None = None
    outputs: Floats | None = None
    names: tuple[str, ...] = ()
    logits: bool | None = None
    trainer: bool = False
    other: Mapping[str, Texts] = field(default_factory=dict)
    files: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """How many images it speaks of."""
        given = (self.images, self.labels, self.predicted, self.outputs)
        return next((len(values) for values in given if values is not None), 0)

    @property
    def model(self) -> tuple[str, str]:
        """Family and role."""
        return self.family, self.role

    @property
    def name(self) -> str:
        """The model's, as it is shown."""
        return " ".join(filter(None, self.model))

    def __str__(self) -> str:
        """How a fault names it."""
        seed = "" if self.seed is None else f" seed {self.seed}"
        return f"{self.origin} ({self.name}{seed})"


@dataclass(frozen=True, kw_only=True)
class Source:
    """A file or a study, and the model that it is of where that is known.

    Attributes:
        path: Where it is.
        model: The name that was given.
    """

    path: Path
    model: str | None = None

    @classmethod
    def of(cls, argument: str) -> "Source":
        """A path, or a name, `=` and a path."""
        name, equals, path = argument.partition("=")
        if equals and name and not Path(argument).exists():
            return cls(path=Path(path), model=name)
        return cls(path=Path(argument))


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
    faults: list[str] = []
    notes: list[str] = []
    found: list[Said] = []
    names: set[str] = set()
    faults += _named_twice(sources)
    for source, name in zip(sources, _names(sources), strict=True):
        try:
            if (source.path / "study.json").is_file() or _is_ours(source.path):
                own, more = _read_ours(source, fraction)
                notes += more
            else:
                columns = read_columns(source.path)
                names |= {*columns}
                own = list(
                    _split(source, name, roles_of(columns, columns_given, known), columns, faults)
                )
            found += [_without_label(said) if labelled else said for said in own]
        except (ValueError, OSError) as error:
            faults.append(str(error))
    if not faults:
        faults += [
            f"--columns {role}={name}: no file has the column {name!r}"
            for role, name in columns_given.items()
            if name not in names
        ]
    if faults:
        raise FaultsError(faults)
    _number_seeds(found, notes)
    return found, notes


def texts(values: Array) -> Texts:
    """Values as texts, whole numbers without a point; None where there is none."""
    return np.array([_text(value) for value in values.tolist()] + [None], dtype=object)[:-1]


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
    longer = [
        [
            *(path.stem, path.name),
            *("/".join((*path.parts[-n:-1], path.stem)) for n in range(2, len(path.parts))),
        ]
        for path in paths
    ]
    names = [own[0] for own in longer]
    for length in range(1, max(map(len, longer), default=0)):
        twice = {name for name in names if names.count(name) > 1}
        names = [
            own[min(length, len(own) - 1)] if name in twice else name
            for name, own in zip(names, longer, strict=True)
        ]
    of_file = iter(names)
    return [source.model or next(of_file) for source in sources]


def _named_twice(sources: Sequence[Source]) -> list[str]:
    """A line for each file that stands twice under one name."""
    keys = [(source.model, source.path.resolve()) for source in sources]
    twice = [key for key in dict.fromkeys(keys) if keys.count(key) > 1]
    return [f"each file must be named once, but {path} stands twice" for _, path in twice]


def _is_ours(path: Path) -> bool:
    """Whether it is the table `predictions.parquet` of a study."""
    if path.suffix.lower() != ".parquet" or not path.is_file():
        return False
    import pyarrow.parquet as pq  # noqa: PLC0415 (other files need it later or never)

    try:
        return set(pq.ParquetFile(path).schema_arrow.names) >= OURS
    except (ValueError, OSError):
        return False  # whoever reads it says what is wrong


def _read_ours(source: Source, fraction: float | None) -> tuple[list[Said], list[str]]:
    """A study's final runs.

    Raises:
        ValueError: It has none, or none at that fraction.
    """
    folder = source.path if source.path.is_dir() else source.path.parent
    classes: Sequence[Any] | None = None
    if source.path.is_dir():
        results = StudyResults(folder)
        classes = results.study.dataset.classes
        table = results.table("predictions")
        order = list(dict.fromkeys(results.table_or_empty("final")["family"].to_pylist()))
    else:
        import pyarrow.parquet as pq  # noqa: PLC0415

        table, order = pq.ParquetFile(source.path).read(), []
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
    notes = []
    if len(fractions) > 1:
        others = ", ".join(f"{each:g}" for each in fractions if each != chosen)
        notes.append(
            f"{source.path}: of train fraction {chosen:g}; --train-fraction takes another "
            f"({others})."
        )
    own = [run for run in runs if run.fraction == chosen]
    own.sort(key=lambda run: order.index(run.family) if run.family in order else len(order))
    return [_of_run(source, run, classes) for run in own], notes


def _of_run(source: Source, run: PredictedRun, classes: Sequence[Any] | None) -> Said:
    names = tuple(map(str, classes or range(run.probabilities.shape[1])))
    named = np.array(names, dtype=object)
    prefix = "" if source.model is None else f"{source.model} "
    return Said(
        origin=str(source.path),
        family=f"{prefix}{run.family}",
        role=run.role,
        seed=run.seed,
        images=texts(run.images),
        labels=named[run.labels],
        predicted=named[run.predicted],
        outputs=run.probabilities,
        names=names,
        logits=False,
        files=tuple(run.files),
    )


def _split(
    source: Source, name: str, roles: Roles, columns: Columns, faults: list[str]
) -> Iterator[Said]:
    """One file's models and seeds; what is wrong with it goes among the faults."""
    path = str(source.path)
    as_texts = {role: texts(_flat(values)) for role, values in roles.columns.items()}
    wrong = list(_wrong(path, roles, as_texts))
    faults += wrong
    if wrong:
        return
    stem = None if source.model else _SEED.fullmatch(Path(name).stem)
    of_name = int(stem["seed"]) if stem else None
    if stem and stem["model"]:
        name = stem["model"]
    count = len(next(iter(columns.values())))
    models = as_texts.get("model", np.full(count, name, dtype=object))
    seeds = as_texts.get("seed", np.full(count, of_name, dtype=object))
    of_key: dict[tuple[str, int | None], list[int]] = {}
    for row, (model, seed) in enumerate(zip(models, seeds, strict=True)):
        of_key.setdefault((model, None if seed is None else int(seed)), []).append(row)
    other = {column: texts(values) for column, values in roles.other.items()}
    for (model, seed), own in of_key.items():
        yield Said(
            origin=path,
            family=model,
            seed=seed,
            images=_rows(as_texts.get("image"), own),
            labels=_rows(as_texts.get("label"), own),
            predicted=_rows(as_texts.get("predicted"), own),
            outputs=None if roles.outputs is None else _floats(roles.outputs[own]),
            names=roles.names,
            logits=roles.logits,
            trainer=roles.trainer,
            other={column: values[own] for column, values in other.items()},
        )


def _wrong(path: str, roles: Roles, as_texts: Mapping[str, Texts]) -> Iterator[str]:
    """What is wrong with the columns of a file."""
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
                f"{path}: each row must have {_article(role)}, but {lacking:,} of {len(values):,} "
                "have none (empty or NaN)"
            )
    if roles.outputs is not None and roles.outputs.ndim != MATRIX:
        yield f"{path}: outputs must be [images, classes], but are {list(roles.outputs.shape)}"
    seeds = [seed for seed in as_texts.get("seed", ()) if seed is not None]
    bad = [seed for seed in seeds if not re.fullmatch(r"-?\d+", seed)]
    if bad:
        yield f"{path}: seeds must be whole numbers, but got {some(bad)}"


def _flat(values: Array) -> Array:
    return values.reshape(len(values), -1)[:, 0] if values.ndim > 1 else values


def _floats(values: Array) -> Floats:
    return np.asarray(values, dtype=np.float64).reshape(len(values), -1)


def _rows(values: Texts | None, rows: list[int]) -> Texts | None:
    return None if values is None else values[rows]


def _article(role: str) -> str:
    return f"an {role}" if role[0] in "aeiou" else f"a {role}"


def _number_seeds(found: Sequence[Said], notes: list[str]) -> None:
    """Gives trainings without a seed the next number of their model."""
    numbered = set()
    for said in found:
        if said.seed is None:
            own = [each.seed for each in found if each.model == said.model]
            taken = {seed for seed in own if seed is not None}
            said.seed = next(number for number in range(len(own) + 1) if number not in taken)
            if len(own) > 1:
                numbered.add(said.name)
    notes += [
        f"{name}: no seeds are named, so its files are its trainings in their order."
        for name in sorted(numbered)
    ]


def _without_label(said: Said) -> Said:
    """Where labels are in a file of their own, a file's only `label` is what was predicted."""
    if said.predicted is None and said.outputs is None:
        said.predicted, said.labels = said.labels, None
    return said


def read_table(path: Path) -> dict[str, Texts]:
    """Any table as texts.

    Raises:
        ValueError: It is none.
        OSError: It cannot be read.
    """
    return {name: texts(_flat(values)) for name, values in read_columns(path).items()}


def read_labels(path: Path, columns_given: Mapping[str, str]) -> dict[str, str]:
    """Image to its true class; images are numbered where they are not named.

    Args:
        path: A file of labels.
        columns_given: Role to the column that has it.

    Raises:
        ValueError: It has none, lacks one, or has an image twice.
        OSError: It cannot be read.
    """
    columns = read_columns(path)
    own = {
        role: name
        for role, name in columns_given.items()
        if role in LABEL_ROLES and name in columns
    }
    found = roles_of(columns, own, ()).columns
    values = found.get("label", found.get("predicted"))
    if values is None:
        raise ValueError(
            f"--labels must have the true classes (column label), but {path} has {some([*columns])}"
        )
    labels = texts(_flat(values))
    images = (
        texts(_flat(found["image"])) if "image" in found else np.arange(len(labels)).astype(str)
    )
    pairs = dict(zip(images.tolist(), labels.tolist(), strict=True))
    lacking = sum(value is None for value in (*pairs, *pairs.values()))
    if lacking or len(pairs) < len(labels):
        what = f"{lacking:,} have none" if lacking else "some stand twice"
        raise ValueError(f"--labels must have each image once with its class, but in {path} {what}")
    return pairs
