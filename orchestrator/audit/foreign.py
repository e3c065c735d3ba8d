"""Somebody's study as it was read: its trials, and which of their entries means what."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from orchestrator.audit import names
from search_spaces.baseline import Params

COMPLETED, STOPPED, FAILED, RUNNING = "completed", "stopped", "failed", "running"
USABLE: Final = frozenset({COMPLETED, STOPPED})


class ForeignStudyError(ValueError):
    """Somebody's study is not as it must be: a line that names what was read."""


@contextmanager
def reading(path: Path, must: str) -> Iterator[None]:
    """Whatever goes wrong inside is told in one line: somebody's files may hold anything.

    Args:
        path: What is read.
        must: What it must be, as `PATH must be a CSV file`.

    Raises:
        ForeignStudyError: Something went wrong.
    """
    try:
        yield
    except ForeignStudyError:
        raise
    except Exception as error:
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        reason = " ".join(f"{kind}{error}".split())
        raise ForeignStudyError(f"{must}, but {path} cannot be read: {reason}") from error


@dataclass(frozen=True, kw_only=True)
class RawTrial:
    """A trial as its file has it.

    Attributes:
        fields: Everything that is recorded of it as one value, hyperparameters too.
        params: Its hyperparameters; None where the file does not tell them from other columns.
        curves: What is recorded epoch by epoch, each by its name.
        state: `completed`, `stopped` (early), `failed` or `running`.
        given: Somebody gave its hyperparameters; no sampler proposed them.
    """

    name: str
    fields: Mapping[str, Any]
    params: Params | None = None
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    state: str = COMPLETED
    given: bool = False


@dataclass(frozen=True, kw_only=True)
class RawStudy:
    """A file of trials.

    Attributes:
        form: What it is, in words.
        objective: The field that the search maximised or minimised, where the file says it.
        direction: `maximize` or `minimize`, where the file says it.
        group: The field by which trials belong together, where the file says it.
        independent: Trials were drawn without regard to earlier ones, where the file says it.
    """

    form: str
    path: Path
    trials: Sequence[RawTrial]
    objective: str | None = None
    direction: str | None = None
    group: str | None = None
    independent: bool = False


@dataclass(frozen=True, kw_only=True)
class Said:
    """What the caller says of a study, as the command's flags explain it; None is left to names."""

    metric: str | None = None
    test_metric: str | None = None
    group: str | None = None
    seed_column: str | None = None
    baseline: str | None = None
    direction: str | None = None
    validation_images: int | None = None
    test_images: int | None = None
    independent: bool = False


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A trial whose entries have been interpreted.

    Attributes:
        group: The model, family or method that it is of; empty where there is but one.
        state: See `RawTrial`.
        value: What trials were, or could be, chosen by; None where it has none.
        test: The same measure on the test part; None where it was not tested, or not recorded.
        config: What tells it from others that are no repetition of it: all but seed and results.
        params: Its hyperparameters as text, without the seed; of a CSV those with usual names.
        seed: As text; None where none is recorded.
        epochs: It was trained for.
        splits: Its value in each part of a cross-validation.
        curve: Its value epoch by epoch; `test_curve` that on the test part.
        best_test: A maximum of that over epochs, as it was recorded; None where it was not.
        chosen: The file marks it as the one that was chosen.
        given: See `RawTrial`.
    """

    name: str
    group: str
    state: str
    value: float | None
    test: float | None
    config: tuple[tuple[str, str], ...] | str
    params: Mapping[str, str]
    seed: str | None
    epochs: float | None
    seconds: float | None
    splits: tuple[float, ...]
    curve: tuple[float, ...]
    test_curve: tuple[float, ...]
    best_test: float | None
    baseline: bool
    chosen: bool
    given: bool

    @property
    def usable(self) -> bool:
        """It was trained, and has something to be chosen by."""
        return self.state in USABLE and (self.value is not None or self.test is not None)


@dataclass(frozen=True, kw_only=True)
class ForeignStudy:
    """A study of which it is known what its entries mean.

    Attributes:
        metric: Name of what trials were, or could be, chosen by; None where only test is recorded.
        metric_of_test: It is measured on the test part, by its name.
        test_metric: Name of the measure on the test part; None where there is none.
        best_test_metric: Name of a maximum over epochs on the test part; None where there is none.
        sign: 1 where more is better, -1 where less is.
        group_name: Of the field that makes groups; None where there is one group.
        seed_name: Of the field of seeds; None where there is none.
    """

    raw: RawStudy
    said: Said
    trials: tuple[Trial, ...]
    metric: str | None
    metric_of_test: bool
    test_metric: str | None
    best_test_metric: str | None
    sign: int
    group_name: str | None
    seed_name: str | None
    knows_params: bool

    @property
    def usable(self) -> tuple[Trial, ...]:
        """The trials that have something to be chosen by."""
        return tuple(trial for trial in self.trials if trial.usable)

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups, in the order in which they appear."""
        return tuple(dict.fromkeys(trial.group for trial in self.trials))

    def of(self, group: str) -> tuple[Trial, ...]:
        """The usable trials of a group."""
        return tuple(trial for trial in self.usable if trial.group == group)

    @property
    def test_sign(self) -> int:
        """The same of the test metric: by its name, where that is of another measure."""
        name = self.test_metric
        if self.metric is None or name is None or names.measure(name) == names.measure(self.metric):
            return self.sign
        if names.measure(name) in names.EITHER_WAY:
            return self.sign
        return 1 if names.is_higher_better(name) else -1

    def better(self, value: float | None, other: float | None, *, on_test: bool = False) -> bool:
        """Whether a value is better than another; one that is missing is neither."""
        sign = self.test_sign if on_test else self.sign
        return value is not None and other is not None and sign * value > sign * other

    def best(self, trials: Sequence[Trial]) -> Trial | None:
        """The first of the best, by what they were or could be chosen by."""
        known = [trial for trial in trials if self.score(trial) is not None]
        return max(known, key=lambda trial: self.sign * (self.score(trial) or 0.0), default=None)

    def score(self, trial: Trial) -> float | None:
        """What a trial was, or could be, chosen by: where only test is recorded, that."""
        return trial.test if self.metric is None else trial.value


def tuned(trials: Iterable[Trial]) -> list[Trial]:
    """Those that are no baseline."""
    return [trial for trial in trials if not trial.baseline]
