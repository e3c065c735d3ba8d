"""What `study.json` and the tables must look like before anything is read from them.

A results folder may be somebody else's, or damaged: what passes here can be read without surprise.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import pyarrow as pa
import pyarrow.compute as pc
from optuna.distributions import json_to_distribution
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, ValidationError

from orchestrator.results import schema
from orchestrator.results.states import Outcome
from trainables.names import check_family, check_trial

MOST: Final = 1_000_000
LONGEST: Final = 10_000
_WORDS: Final = 200


def _time(text: str) -> str:
    datetime.fromisoformat(text).astimezone()
    return text


def _distribution(content: dict[str, Any]) -> dict[str, Any]:
    try:
        json_to_distribution(json.dumps(content))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no distribution of Optuna's: {error}") from error
    return content


Family = Annotated[str, AfterValidator(check_family)]
Trial = Annotated[str, AfterValidator(check_trial)]
Text = Annotated[str, Field(max_length=LONGEST)]
Time = Annotated[Text, AfterValidator(_time)]
Count = Annotated[int, Field(ge=0, le=MOST)]
Positive = Annotated[int, Field(ge=1, le=MOST)]
Share = Annotated[float, Field(gt=0, le=1)]
Plain = StrictBool | int | float | Text | None


class _Part(BaseModel):
    """An entry of `study.json`; entries that are new here are let through."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)


class _Settings(_Part):
    families: Annotated[list[Family], Field(min_length=1, max_length=100)]
    dataset: Text
    trials: Positive
    epochs: Positive
    seeds: Annotated[int, Field(ge=1, le=1000)]
    train_fractions: Annotated[list[Share], Field(min_length=1, max_length=100)]
    preset: Text = ""
    tune_per_fraction: StrictBool = False
    equal_steps: StrictBool = False
    objective: Literal["accuracy", "balanced_accuracy", "macro_f1"] = "accuracy"
    grace_period: Positive = 1
    reduction_factor: Annotated[int, Field(ge=2, le=MOST)] = 2
    budget_gpu_hours: float | None = None
    time_budget: float | None = None
    max_concurrent: Positive | None = None
    space: dict[str, dict[str, Text]] = {}
    baseline: dict[str, dict[str, Text]] = {}


class _Sampler(_Part):
    name: Text = ""
    multivariate: StrictBool


class _Probed(_Part):
    family: Family
    linear_accuracy: Annotated[float, Field(ge=0, le=1)]
    knn_accuracy: Annotated[float, Field(ge=0, le=1)]
    seconds: Annotated[float, Field(ge=0)]
    train_images: Positive
    validation_images: Positive


class _Data(_Part):
    name: Text = ""
    classes: list[Text] = []
    files: dict[str, Text] = {}
    test_files: list[Text] = []
    train_images: Count = 0
    validation_images: Count = 0
    train_images_by_fraction: dict[str, Count] = {}
    image_shape: Annotated[list[Positive], Field(min_length=3, max_length=3)] | None = None
    split_sha256: Text = ""


class _Cluster(_Part):
    cpus_per_trial: Count = 0
    gpus_per_trial: Annotated[float, Field(ge=0, le=MOST)] = 0
    max_concurrent: Count = 0


class _Weights(_Part):
    name: Text = ""
    sha256: Text = ""


class _Choice(_Part):
    trial_id: Trial
    params: dict[str, Plain]
    validation_accuracy: float
    baseline_won: StrictBool


class _Closed(_Part):
    trials: Count
    setting: Text = ""


class _Run(_Part):
    started_at: Time
    ended_at: Time | None = None
    outcome: Text = Outcome.RUNNING
    host: Text = ""


class _FamilyForecast(_Part):
    trials: Count = 0
    epochs: Annotated[list[int], Field(min_length=2, max_length=2)] = [0, 0]
    device_seconds: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    epoch_seconds: dict[str, Annotated[list[float], Field(min_length=2, max_length=2)]] = {}


class _Forecast(_Part):
    families: dict[Family, _FamilyForecast] = {}
    pace: dict[str, Plain] | None = None
    prices: list[dict[str, Plain]] = []


class _Study(_Part):
    name: Text
    settings: _Settings
    outcome: Text = Outcome.RUNNING
    started_at: Time | None = None
    ended_at: Time | None = None
    runs: Annotated[list[_Run], Field(min_length=1)] | None = None
    rungs: list[Positive] = []
    sampler: _Sampler | None = None
    demo: list[Text] = []
    spaces: dict[Family, dict[str, Annotated[dict[str, Any], AfterValidator(_distribution)]]] = {}
    baselines: dict[Family, dict[str, Plain]] = {}
    baseline_deviations: dict[
        Family, dict[str, Annotated[list[Plain], Field(min_length=2, max_length=2)]]
    ] = {}
    dataset: _Data = _Data()
    weights: _Weights | None = None
    probe: list[_Probed] = []
    choice: dict[str, _Choice] | None = None
    choice_sha256: Text = ""
    halted: dict[Family, Text] | None = None
    closed: dict[str, _Closed] | None = None
    test_openings: Count = 0
    code_sha256: Text = ""
    git_commit: Text | None = None
    environment: dict[str, Text] = {}
    cluster: _Cluster = _Cluster()
    hardware: dict[str, Text] = {}
    forecast: _Forecast | None = None


def check_study(path: Path, content: Any) -> None:
    """Checks the content of `study.json`; what it lacks is for whoever needs it.

    Raises:
        ValueError: It is not what a study writes.
    """
    try:
        _Study.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "an object"
        found = "" if first["type"] == "missing" else f" and got {str(first['input'])[:_WORDS]!r}"
        raise ValueError(
            f"study.json must be as a study writes it, but in {path} of {where} is said: "
            f"{first['msg']}{found}"
        ) from error


def check_entries(
    path: Path, study: Mapping[str, Any], names: Sequence[str | tuple[str, ...]]
) -> None:
    """Checks that `study.json` has what is needed, such as `dataset.files`.

    Args:
        path: Its own.
        study: Its content.
        names: With dots between their parts, or the parts, where one has dots of its own.

    Raises:
        ValueError: It lacks something.
    """
    for name in names:
        inner: Any = study
        parts = name.split(".") if isinstance(name, str) else name
        for part in parts:
            if not isinstance(inner, Mapping) or part not in inner:
                raise ValueError(f"study.json must say {'.'.join(parts)}, but {path} does not")
            inner = inner[part]


def check_table(path: Path, name: str, table: pa.Table) -> None:
    """Checks a table of a study: its columns, their types, and what is in them.

    Raises:
        ValueError: It is not what a study writes.
    """
    flaw = next(_flaws(name, table), None)
    if flaw is not None:
        raise ValueError(f"{name}.parquet must be as a study writes it, but {path} {flaw}")


def _flaws(name: str, table: pa.Table) -> Iterator[str]:
    for expected in schema.columns_of_all()[name]:
        found = table.column_names.count(expected.name)
        if found != 1:
            if found or expected.name not in schema.LATER:
                yield f"has {found} columns {expected.name}"
            continue
        values = table[expected.name]
        if values.type != expected.type:
            yield f"has {expected.name} as {values.type}, not as {expected.type}"
        elif values.null_count and not expected.nullable and expected.name not in schema.LATER:
            yield f"lacks {expected.name} in {values.null_count} rows"
        else:
            yield from _flaws_of_values(expected.name, values)


def _flaws_of_values(column: str, values: pa.ChunkedArray) -> Iterator[str]:
    check = _CHECKS.get(column)
    if check is not None:
        yield from _refused(column, values, check)
    elif pa.types.is_floating(values.type):
        if pc.all(pc.is_finite(values)).as_py() is False:
            yield f"has a number that is not finite as {column}"
    elif pa.types.is_integer(values.type) and pc.any(pc.less(values, 0)).as_py():
        yield f"has a negative number as {column}"


def _refused(column: str, values: pa.ChunkedArray, check: Callable[[Any], object]) -> Iterator[str]:
    for value in pc.unique(values).to_pylist():
        try:
            if value is not None:
                check(value)
        except (ValueError, RecursionError) as error:
            yield f"has a wrong {column}: {error}"


def _check_params(text: str) -> None:
    params = json.loads(text)
    if not isinstance(params, dict) or not all(
        value is None or isinstance(value, bool | int | float | str) for value in params.values()
    ):
        raise ValueError(f"it must be names with plain values, but is {text[:_WORDS]!r}")


def _check_role(text: str) -> None:
    roles = (*schema.ROLES, "search")
    if text not in roles:
        raise ValueError(f"it must be one of {', '.join(roles)}, but is {text[:_WORDS]!r}")


_CHECKS: Final[Mapping[str, Callable[[Any], object]]] = {
    "trial_id": check_trial,
    **dict.fromkeys(("family", "a_family", "b_family"), check_family),
    "params_json": _check_params,
    **dict.fromkeys(("role", "a_role", "b_role"), _check_role),
    "seed": int,  # one of a trial may be any number
}
