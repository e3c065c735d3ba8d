"""Record of `study.json`, of this version or an earlier one, checked when it is read."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, Field, PrivateAttr, StrictBool, ValidationError

from orchestrator.config import rules
from orchestrator.config.rungs import all_rungs
from orchestrator.config.samplers import MULTIVARIATE_TPE, TPE
from orchestrator.config.searches import Search, searches_of
from orchestrator.config.stored_settings import (
    MOST,
    Entry,
    Family,
    Positive,
    Share,
    StoredSettings,
    Text,
)
from orchestrator.results.rows import Model
from orchestrator.results.states import Outcome
from search_spaces.dimension import read_distribution
from trainables.hardware import PRECISIONS
from trainables.names import check_trial

WORDS: Final = 200


def _time(text: str) -> str:
    datetime.fromisoformat(text).astimezone()
    return text


def _distribution(content: dict[str, Any]) -> dict[str, Any]:
    try:
        read_distribution(content)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no distribution of Optuna's: {error}") from error
    return content


Trial = Annotated[str, AfterValidator(check_trial)]
Time = Annotated[Text, AfterValidator(_time)]
Count = Annotated[int, Field(ge=0, le=MOST)]
Images = Annotated[int, Field(ge=0, le=rules.MOST)]
Plain = StrictBool | int | float | Text | None
Space = dict[str, Annotated[dict[str, Any], AfterValidator(_distribution)]]
TWO: Final = Field(min_length=2, max_length=2)
Ends = Annotated[list[float], TWO]


class SamplerRecord(Entry):
    """Sampler of the search, for a study that is older than the setting `sampler`."""

    name: Text = ""
    multivariate: StrictBool = True


class ProbeRecord(Entry):
    """Accuracies of a family's frozen pre-trained network on the data."""

    family: Family
    linear_accuracy: Annotated[float, Field(ge=0, le=1)]
    knn_accuracy: Annotated[float, Field(ge=0, le=1)]
    seconds: Annotated[float, Field(ge=0)]
    train_images: Images
    validation_images: Images


class DataRecord(Entry):
    """The data of a study; `test_files` and `own_validation` are None where it is older."""

    name: Text = ""
    classes: list[Text] = []
    files: dict[str, Text] = {}
    test_files: list[Text] | None = None
    train_images: Images = 0
    validation_images: Images = 0
    own_validation: StrictBool | None = None
    train_images_by_fraction: dict[str, Images] = {}
    image_shape: Annotated[list[Positive], Field(min_length=3, max_length=3)] = []
    split_sha256: Text = ""
    notes: list[Text] = []

    @property
    def train_images_at(self) -> dict[float, int]:
        """Share of the training images to their number."""
        return {float(share): number for share, number in self.train_images_by_fraction.items()}


class ClusterRecord(Entry):
    """Resources that a trial reserves of the cluster, and how many trials may run at a time."""

    cpus_per_trial: Count = 0
    gpus_per_trial: Annotated[float, Field(ge=0, le=MOST)] = 0
    max_concurrent: Count = 0

    @property
    def device(self) -> str:
        """What trials run on: `cuda` or `cpu`."""
        return "cuda" if self.gpus_per_trial else "cpu"

    @property
    def devices_per_trial(self) -> float:
        """How many devices a trial reserves: GPUs, CPUs where it has none."""
        return float(self.gpus_per_trial or self.cpus_per_trial or 1)


class FamilyWeights(Entry):
    """The file of pre-trained weights that a family began with."""

    name: Text = ""
    sha256: Text = ""
    own_words: dict[str, str] = {}


class WeightsRecord(FamilyWeights):
    """The one file of all pre-trained families, or besides of each its own."""

    families: dict[Family, FamilyWeights] = {}


class Choice(Entry):
    """The winner of a search, by validation alone.

    Attributes:
        trial_id: As in `trials.parquet`.
        params: Its hyperparameters.
        validation_accuracy: Of its best epoch, from 0 to 1.
        baseline_won: It is the baseline.
    """

    trial_id: Trial
    params: dict[str, Plain]
    validation_accuracy: float
    baseline_won: StrictBool


Choices = Mapping[str, Choice]
"""The winner of each search by its name."""


class ClosedSearch(Entry):
    """A search that ended before all its trials, after how many and by which setting."""

    trials: Count
    setting: Text = ""


class RunRecord(Entry):
    """One driver's run of a study."""

    started_at: Time
    ended_at: Time | None = None
    outcome: Text = Outcome.RUNNING
    host: Text = ""
    pid: int = 0
    code_sha256: Text = ""
    git_commit: Text | None = None


class FamilyForecastRecord(Entry):
    """Stored forecast of a family: the lower and the higher end of each number."""

    trials: Count = 0
    epochs: Annotated[list[int], TWO] = [0, 0]
    device_seconds: Ends | None = None
    epoch_seconds: dict[str, Ends] = {}


class NodePrice(Entry):
    """Price of a node of one type.

    Attributes:
        devices: That its trials can reserve.
        device_name: Their type, as trials have it in `trials.parquet`; empty: not known.
        per_hour: In `currency`; None where nobody has filled it in.
        source: Where the price was read, and when.
    """

    name: Text
    devices: float
    per_hour: float | None
    currency: Text
    source: Text
    device_name: Text = ""

    def may_be_of(self, types: Collection[str]) -> bool:
        """Whether hours on types of devices are hours on its own, as far as these are known."""
        return not self.device_name or not types or {*types} == {self.device_name}


class ForecastRecord(Entry):
    """Stored forecast of a study's time and price, made before it began."""

    families: dict[Family, FamilyForecastRecord] = {}
    pace: dict[str, Plain] | None = None
    prices: list[NodePrice] = []


Asked = tuple[float, frozenset[Model]]
"""What tells a question from others: its train fraction, and its two models in any order."""


class Question(Entry):
    """Registered question: does one model differ from another in test accuracy?

    Attributes:
        margin: A difference that is not larger does not matter; a fraction of the test images.
    """

    a_family: Text
    a_role: Text
    b_family: Text
    b_role: Text
    train_fraction: float = 1.0
    margin: float = 0.0

    @classmethod
    def of(cls, a: Model, b: Model, train_fraction: float, *, margin: float = 0.0) -> Self:
        """The question whether two models differ."""
        names = {"a_family": a[0], "a_role": a[1], "b_family": b[0], "b_role": b[1]}
        return cls(**names, train_fraction=train_fraction, margin=margin)

    @property
    def models(self) -> tuple[Model, Model]:
        """The two."""
        return (self.a_family, self.a_role), (self.b_family, self.b_role)

    @property
    def asked(self) -> Asked:
        """The parts of a question that distinguish it from others."""
        return self.train_fraction, frozenset(self.models)

    def __str__(self) -> str:
        return (
            f"{self.a_family} {self.a_role} against {self.b_family} {self.b_role} at train "
            f"fraction {self.train_fraction:g}"
        )


class Registration(Entry):
    """Questions that are tested together; alpha: how often any may find what is not there."""

    questions: list[Question]
    alpha: Share


class RegistrationRecord(Registration):
    """What a study registered before its first trial: see `registration.json`."""

    sha256: Text
    registered_at: Text


def _rungs(said: dict[str, Any]) -> list[int]:
    return all_rungs(said["settings"]) if "settings" in said else []


def _runs(said: dict[str, Any]) -> list[RunRecord]:
    known = {name: said[name] for name in ("started_at", "ended_at", "outcome") if name in said}
    return [RunRecord(**known)] if known.get("started_at") else []


class StudyRecord(Entry):
    """`study.json`; the default of an entry is what a study stands for that is older than it.

    Before the search is over there is no choice, and `halted` and `closed` are empty.

    Attributes:
        halted: Families that failed again and again and got no more trials, and why.
        closed: Searches that ended before all their trials.
        wall_seconds: Of all runs to the end of the finals; None without a budget of wall time.
    """

    name: Text
    settings: StoredSettings
    outcome: Text = Outcome.RUNNING
    started_at: Time | None = None
    ended_at: Time | None = None
    runs: Annotated[list[RunRecord], Field(min_length=1)] = Field(default_factory=_runs)
    rungs: list[Positive] = Field(default_factory=_rungs)
    sampler: SamplerRecord = SamplerRecord()
    demo: list[Text] = []
    spaces: dict[Family, Space] = {}
    baselines: dict[Family, dict[str, Plain]] = {}
    baseline_deviations: dict[Family, dict[str, Annotated[list[Plain], TWO]]] = {}
    dataset: DataRecord = DataRecord()
    weights: WeightsRecord | None = None
    probe: list[ProbeRecord] = []
    choice: dict[str, Choice] | None = None
    choice_sha256: Text = ""
    halted: dict[Family, Text] = {}
    closed: dict[str, ClosedSearch] = {}
    test_openings: Count = 0
    wall_seconds: Annotated[float, Field(ge=0)] | None = None
    code_sha256: Text = ""
    git_commit: Text | None = None
    environment: dict[str, Text] = {}
    cluster: ClusterRecord = ClusterRecord()
    hardware: dict[str, Text] = {}
    device_types: dict[str, dict[str, Plain]] = {}
    forecast: ForecastRecord = ForecastRecord()
    registration: RegistrationRecord | None = None

    _raw: dict[str, Any] = PrivateAttr(default_factory=dict)
    _folder: Path | None = PrivateAttr(default=None)

    @classmethod
    def of(cls, path: Path, content: Any) -> Self:
        """Reads the content of `study.json`; a `ValueError` where it is not what a study writes."""
        try:
            record = cls.model_validate(content)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "an object"
            got = f" and got {str(first['input'])[:WORDS]!r}" * (first["type"] != "missing")
            raise ValueError(
                f"study.json must be as a study writes it, but in {path} of {where} is said: "
                f"{first['msg']}{got}"
            ) from error
        record._raw = content
        return record

    def in_folder(self, folder: Path) -> Self:
        """The same, which knows where it was read."""
        self._folder = folder.resolve()
        return self

    @property
    def folder(self) -> Path:
        """Where it was read, and otherwise where it was begun; absolute."""
        return self._folder or Path(self.settings.results_dir).resolve() / self.name

    @property
    def raw(self) -> Mapping[str, Any]:
        """All that was read, in its order, with what is new to this version."""
        return self._raw

    @property
    def searches(self) -> list[Search]:
        """One per family, or one per family and share of the training images."""
        return searches_of(self.settings.families, self.settings)

    @property
    def precision(self) -> str:
        """Precision that it computed in; an older study had its device's default."""
        return self.settings.precision or PRECISIONS[self.cluster.device][0]

    @property
    def sampler_name(self) -> str:
        """Sampler that proposes its trials; before there was a setting it was TPE."""
        return self.settings.sampler or (MULTIVARIATE_TPE if self.sampler.multivariate else TPE)

    @property
    def weights_sha256(self) -> str | None:
        """Hash of its pre-trained weights; None where no family begins with any."""
        return self.weights.sha256 if self.weights else None

    @property
    def registered(self) -> list[Question] | None:
        """Its registered questions; None where it registered none."""
        return self.registration.questions if self.registration else None

    def weights_of(self, family: str) -> FamilyWeights:
        """The file of weights of a family; one without a hash where none is recorded."""
        weights = self.weights or WeightsRecord()
        return weights.families.get(family, weights)

    def check_said(self, path: Path, names: Sequence[str | tuple[str, ...]]) -> None:
        """Checks that needed entries, such as `dataset.files`, are there; raises a `ValueError`.

        Of a name whose parts have dots of their own the parts are given.
        """
        for name in names:
            inner: Any = self._raw
            parts = name.split(".") if isinstance(name, str) else name
            for part in parts:
                if not isinstance(inner, Mapping) or part not in inner:
                    raise ValueError(f"study.json must say {'.'.join(parts)}, but {path} does not")
                inner = inner[part]
