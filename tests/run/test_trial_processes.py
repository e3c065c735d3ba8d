"""A process that makes one attempt after another: each as if it were the first."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
from made_up_trials import attempt_config

from orchestrator.search.failures import classify
from trainables import registry
from trainables.data.dataset import LabeledImages
from trainables.shared_data import SharedData
from trainables.trial import References, StudyTrial

ROOT = Path(__file__).resolve().parents[2]
FAMILIES = os.pathsep.join(str(ROOT / "tests" / name) for name in ("faults/families", "families"))
pytestmark = pytest.mark.cluster
TIMES = ("epoch_seconds", "images_per_second", "node", "earlier_rows")


class Process(StudyTrial):
    """The study's own process of trials, which says what it found."""

    def setup(self, config: dict[str, Any]) -> None:
        super().setup(config, config["references"])

    def _setup_logdir(self) -> None:
        """Tune's own folder of a trial is not needed."""

    def found(self) -> tuple[list[dict[str, Any]], str]:
        """The rows of this attempt but for their times, and a digest of its weights."""
        rows = []
        while not rows or not rows[-1]["done"]:
            rows.append({n: value for n, value in self.step().items() if n not in TIMES})
        return rows, hashlib.sha256(self._attempt._trainer.weights()).hexdigest()

    def log_files(self) -> list[str]:
        """The trials' logs that are open."""
        studies = Path(self._config.folder).parent
        files = [file.readlink() for file in Path("/proc/self/fd").iterdir() if file.exists()]
        return [file.name for file in files if studies in file.parents]


@pytest.fixture
def cluster(shared_cluster: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The cluster, whose processes can import this file."""
    monkeypatch.setenv(registry.FAMILY_PATH, FAMILIES)
    own = (ROOT, ROOT / "tests/support", Path(__file__).parent)
    paths = os.pathsep.join(map(str, own))
    variables = {"PYTHONPATH": paths, registry.FAMILY_PATH: FAMILIES}
    ray.init(shared_cluster, log_to_driver=False, runtime_env={"env_vars": variables})
    yield
    ray.shutdown()


class Trials:
    """Configurations of attempts, as the study hands them out."""

    def __init__(self, folder: Path, data: LabeledImages) -> None:
        folder.mkdir()
        (folder / "study.json").touch()
        shared = SharedData(
            training=data,
            train={1.0: np.arange(40)},
            validation=np.arange(40, 60),
            classes=("a", "b", "c"),
            weights={},
        )
        self._folder, self._references = folder, References(shared=ray.put(shared), test=None)

    def trial(self, family: str, number: int, **params: Any) -> dict[str, Any]:
        known = {**registry.load_family(family).baseline, "batch_size": 16, **params}
        own = {"epochs": 2, "seed": 7, "params": known, "references": self._references}
        return attempt_config(self._folder, f"{family}-{number:03d}", **own)


@pytest.mark.usefixtures("cluster")
def test_what_a_trial_finds_does_not_depend_on_the_trials_before_it_in_its_process(
    tmp_path: Path, made_up_images: LabeledImages
) -> None:
    cold, warm = (Trials(tmp_path / name, made_up_images) for name in ("cold", "warm"))

    def cnn(trials: Trials) -> dict[str, Any]:
        return trials.trial("cnn", 1, augmentation="flip_crop", dense_units=64)

    def spoiler(trials: Trials) -> dict[str, Any]:
        return trials.trial("spoiler", 2, dropout=0.4)

    one, other = (ray.remote(Process).remote(config=of(cold)) for of in (cnn, spoiler))
    first = ray.get([one.found.remote(), other.found.remote()])
    ray.get(
        [one.reset.remote(warm.trial("spoiler", 1, dropout=0.1)), other.reset.remote(cnn(warm))]
    )
    ray.get(one.found.remote())
    ray.get(one.reset.remote(spoiler(warm)))
    assert ray.get([other.found.remote(), one.found.remote()]) == first
    assert [len(rows) for rows, _ in first] == [2, 2]
    assert ray.get(one.log_files.remote()) == ["spoiler-002.log"]
    logs = tmp_path / "warm" / "logs"
    for trial_id in ("spoiler-001", "spoiler-002"):
        log = (logs / f"{trial_id}.log").read_text()
        assert log.count("UserWarning: a spoiler warns") == 1
        assert log.count("attempt 1, process ") == 1
    assert "a spoiler warns" not in (logs / "cnn-001.log").read_text()


@pytest.mark.usefixtures("cluster")
def test_a_process_that_is_asked_to_end_has_died_and_is_no_error_of_its_trial(
    tmp_path: Path, made_up_images: LabeledImages
) -> None:
    trials = Trials(tmp_path / "study", made_up_images)
    process = ray.remote(Process).remote(config=trials.trial("machine", 1, fault="terminate"))
    with pytest.raises(ray.exceptions.RayError) as caught:
        ray.get(process.found.remote())
    assert classify(caught.value).kind == "process_died"


@pytest.mark.usefixtures("cluster")
def test_a_process_that_cannot_take_up_a_trial_ends(
    tmp_path: Path, made_up_images: LabeledImages
) -> None:
    trials = Trials(tmp_path / "study", made_up_images)
    process = ray.remote(Process).remote(config=trials.trial("cnn", 1))
    with pytest.raises(ray.exceptions.ActorDiedError):
        ray.get(process.reset.remote({"trial_id": "cnn-002"}))
