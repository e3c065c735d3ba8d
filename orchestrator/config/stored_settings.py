"""The settings of a study on disk, as its `study.json` has them, of this version or an earlier."""

from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool

from orchestrator.config import rules
from trainables.names import check_family

if TYPE_CHECKING:
    from orchestrator.config.settings import Settings

MOST: Final = rules.MOST_COUNTED
LONGEST: Final = 10_000

Family = Annotated[str, AfterValidator(check_family)]
Text = Annotated[str, Field(max_length=LONGEST)]
Positive = Annotated[int, Field(ge=1, le=MOST)]
Share = Annotated[float, Field(gt=0, le=1)]


class Entry(BaseModel):
    """An entry of `study.json`; what is new to this version in it is let through."""

    model_config = ConfigDict(strict=True, frozen=True, extra="allow", allow_inf_nan=False)


class StoredSettings(Entry):
    """What a study was asked for, as far as something is read from it: see `docs/SETTINGS.md`.

    The default of a setting is what a study did that is older than it.
    """

    families: Annotated[list[Family], Field(min_length=1, max_length=100)]
    dataset: Text
    trials: Positive
    epochs: Positive
    seeds: Annotated[int, Field(ge=1, le=rules.MOST_SEEDS)]
    train_fractions: Annotated[list[Share], Field(min_length=1, max_length=100)]
    preset: Text = "standard"
    weights: Text = ""
    tune_per_fraction: StrictBool = False
    equal_steps: StrictBool = False
    objective: rules.Objective = "accuracy"
    sampler: rules.Sampler | None = None
    grace_period: Positive = 1
    reduction_factor: Annotated[int, Field(ge=2, le=MOST)] = 2
    budget_gpu_hours: float | None = None
    time_budget: float | None = None
    stop_when_settled: float | None = None
    max_concurrent: Positive | None = None
    precision: Text | None = None
    reproducible: StrictBool = False
    results_dir: Text = "results"
    seed: Annotated[int, Field(ge=0)] = 0
    space: dict[str, dict[str, Text]] = {}
    baseline: dict[str, dict[str, Text]] = {}
    warm_start: Text | None = None


AnySettings: TypeAlias = "Settings | StoredSettings"
"""Of a study to be run or of one on disk: what is computed from either in the same way."""
