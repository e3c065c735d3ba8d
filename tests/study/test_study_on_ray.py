"""Whole studies on a real local Ray cluster, with a family whose learning curve is a formula."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import ray

from orchestrator import study
from trainables import hardware, registry
from trainables import node_check as node
from trainables.attempt import make_trainer
from trainables.data.dataset import DataSet, LabeledImages, OpenedDataSet
from trainables.shared_data import SharedData
from trainables.trial import References, StudyTrial

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(900),  # a whole study, also on a busy machine
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
    pytest.mark.filterwarnings("ignore::FutureWarning:ray"),
]
CURVE = [
    *("--families", "curve", "--dataset", "digits"),
    *("--epochs", "4", "--grace-period", "1", "--seeds", "2"),
]


@pytest.fixture(scope="module")
def faulty_study(tmp_path_factory: pytest.TempPathFactory, shared_cluster: str) -> Path:
    """A study of 12 trials in which processes are killed, losses are NaN, and errors happen."""
    results = tmp_path_factory.mktemp("étude with spaces")
    command = [
        *(sys.executable, "-m", "orchestrator.study", *CURVE, "--trials", "12"),
        *("--address", shared_cluster, "--grace-period", "2"),  # every trial meets its fault
        *("--set", "space.curve.fault=none,nan,error_once,kill_once"),
        *("--results-dir", str(results), "--name", "faulty"),
    ]
    environment = {**os.environ, "STUDY_FAMILY_PATH": str(ROOT / "tests" / "families")}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return results / "faulty"


def test_every_trial_has_one_honest_state(faulty_study: Path) -> None:
    trials = pd.read_parquet(faulty_study / "trials.parquet").set_index("trial_id")
    assert sorted(trials.index) == [f"curve-{number:03d}" for number in range(12)]
    assert set(trials.param_fault) == {"none", "nan", "error_once", "kill_once"}
    for trial_id, trial in trials.iterrows():
        reached_the_fault = trial.epochs_run >= 2 or trial.status == "diverged"
        lost = reached_the_fault and trial.param_fault in {"error_once", "kill_once"}
        assert trial.attempts == (2 if lost else 1), trial_id
        if trial.status == "diverged":
            assert (trial.param_fault, trial.epochs_run) == ("nan", 1)
        elif trial.status == "stopped":
            assert trial.epochs_run == 2
        else:
            assert (trial.status, trial.epochs_run) == ("completed", 4)
    baseline = trials.loc["curve-000"]
    assert (baseline.role, baseline.status, baseline.param_skill) == ("baseline", "completed", 0.5)


def test_every_row_says_on_what_type_of_device_it_was_made(faulty_study: Path) -> None:
    processor = hardware.here().processor
    for table in ("trials", "epochs", "final", "final_epochs"):
        rows = pd.read_parquet(faulty_study / f"{table}.parquet")
        assert set(rows.device_name) == {processor}, table
    content = json.loads((faulty_study / "study.json").read_text())
    assert content["device_types"] == {processor: {}}


def test_f7_a_trial_that_hangs_is_ended_at_its_limit_and_tried_once_more(
    tmp_path: Path, shared_cluster: str
) -> None:
    command = [
        *(sys.executable, "-m", "orchestrator.study", *CURVE, "--trials", "3", "--seeds", "1"),
        # With this seed one trial has each fault.
        *("--address", shared_cluster, "--set", "epoch_time_limit=12", "--set", "seed=3"),
        *("--set", "space.curve.fault=hang_once,hang", "--grace-period", "2"),
        *("--results-dir", str(tmp_path), "--name", "hanging"),
    ]
    families = {"STUDY_FAMILY_PATH": str(ROOT / "tests" / "families")}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **families},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path / "hanging"
    trials = pd.read_parquet(folder / "trials.parquet").set_index("trial_id")
    events = pd.read_parquet(folder / "events.parquet")
    hung = events[events.kind == "timeout"]
    assert len(set(trials.param_fault)) == 3  # the baseline has none
    for trial_id, trial in trials.iterrows():
        times = {"none": 0, "hang_once": 1, "hang": 2}[trial.param_fault]
        assert (hung.trial_id == trial_id).sum() == times
        assert trial.attempts == (1 if times == 0 else 2)
        assert trial.device_seconds < 2 * (12 + 30)
        if times:
            log = (folder / "logs" / f"{trial_id}.log").read_text()
            assert log.count("Timeout (0:00:12)!") == times
            assert 'curve.py", line' in log
        if trial.param_fault == "hang":
            assert (trial.status, trial.stop_reason, trial.epochs_run) == ("failed", "timeout", 1)
            assert "an epoch took longer than epoch_time_limit, 12 s" in trial.error
        else:
            assert trial.status in {"completed", "stopped"}
    assert not list((folder / "logs").glob(".*"))


def test_a_budget_ends_the_search_in_time_for_the_finals(
    tmp_path: Path, shared_cluster: str
) -> None:
    command = [
        *(sys.executable, "-m", "orchestrator.study", *CURVE, "--trials", "60", "--seeds", "1"),
        *("--address", shared_cluster, "--max-concurrent", "2"),
        *("--time-budget", str(25 / 3600), "--set", "space.curve.fault=none"),
        *("--results-dir", str(tmp_path), "--name", "limited"),
    ]
    families = {"STUDY_FAMILY_PATH": str(ROOT / "tests" / "families")}
    environment = {**os.environ, **families, "STUDY_CURVE_EPOCH_SECONDS": "0.5"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    trials = pd.read_parquet(tmp_path / "limited" / "trials.parquet")
    assert 1 <= len(trials) < 60
    sentence = f"curve ended after {len(trials)} of 60 trials: another would not"
    assert sentence in " ".join(done.stdout.split())


def test_f2_a_killed_process_costs_one_attempt_and_at_most_one_epoch(faulty_study: Path) -> None:
    trials = pd.read_parquet(faulty_study / "trials.parquet").set_index("trial_id")
    epochs = pd.read_parquet(faulty_study / "epochs.parquet")
    killed = trials[(trials.param_fault == "kill_once") & (trials.epochs_run >= 2)]
    assert len(killed) > 0
    for trial_id in killed.index:
        log = (faulty_study / "logs" / f"{trial_id}.log").read_text()
        assert log.count("attempt 2 goes on after epoch 1") == 1
        assert trials.attempts[trial_id] == 2
        own = epochs[epochs.trial_id == trial_id]
        assert own.attempt.tolist() == [1] + [2] * (len(own) - 1)
    assert (trials[trials.param_fault == "none"].attempts == 1).all()


def test_f4_a_diverged_trial_keeps_its_epochs_before_reaches_no_later_rung_and_never_wins(
    faulty_study: Path,
) -> None:
    trials = pd.read_parquet(faulty_study / "trials.parquet")
    epochs = pd.read_parquet(faulty_study / "epochs.parquet")
    rungs = pd.read_parquet(faulty_study / "rungs.parquet")
    diverged = trials[trials.status == "diverged"].trial_id
    assert len(diverged) > 0
    for trial_id in diverged:
        assert epochs[epochs.trial_id == trial_id].epoch.tolist() == [1]
        assert not (rungs.trial_id == trial_id).any()  # the only one is at epoch 2
    choice = json.loads((faulty_study / "study.json").read_text())["choice"]["curve"]
    assert choice["trial_id"] not in set(diverged)


def test_no_epoch_is_missing_or_twice_and_the_sequence_has_no_gap(faulty_study: Path) -> None:
    epochs = pd.read_parquet(faulty_study / "epochs.parquet")
    trials = pd.read_parquet(faulty_study / "trials.parquet").set_index("trial_id")
    for trial_id, rows in epochs.groupby("trial_id"):
        assert rows.epoch.tolist() == list(range(1, trials.epochs_run[trial_id] + 1))
    assert epochs.sequence.tolist() == list(range(1, len(epochs) + 1))


def test_processes_are_kept_from_trial_to_trial_and_to_the_finals_until_anything_goes_wrong_in_one(
    faulty_study: Path,
) -> None:
    trials = pd.read_parquet(faulty_study / "trials.parquet").set_index("trial_id")
    begun, finals = [], set()
    for log in (faulty_study / "logs").glob("curve-*.log"):
        for at, attempt, pid in re.findall(
            r"^(\S+ \S+) INFO attempt (\d+), process (\d+): ", log.read_text(), re.MULTILINE
        ):
            if log.stem in trials.index:
                begun.append((at, pid, log.stem, int(attempt)))
            else:
                finals.add(pid)
    made_in: dict[str, list[tuple[str, int]]] = {}
    for _, pid, trial_id, attempt in sorted(begun):
        made_in.setdefault(pid, []).append((trial_id, attempt))
    lost = int((trials.attempts - 1).sum())
    assert len(begun) == len(trials) + lost
    assert len(made_in) <= 2 + lost
    for attempts in made_in.values():
        ended_well = [trials.attempts[trial_id] == attempt for trial_id, attempt in attempts]
        assert all(ended_well[:-1]), attempts
    idle = {
        pid for pid, [*_, (last, attempt)] in made_in.items() if trials.attempts[last] == attempt
    }
    assert idle
    assert idle <= finals


def test_each_lost_attempt_is_an_event(faulty_study: Path) -> None:
    trials = pd.read_parquet(faulty_study / "trials.parquet")
    events = pd.read_parquet(faulty_study / "events.parquet")
    lost = trials[trials.attempts == 2]
    assert len(lost) > 0
    kinds = events[events.kind != "test_opened"].set_index("trial_id").kind.astype(str)
    expected = {"kill_once": "process_died", "error_once": "error"}
    assert kinds.to_dict() == {t.trial_id: expected[t.param_fault] for t in lost.itertuples()}
    assert (events.kind == "test_opened").sum() == 1


def test_the_tables_of_the_finals_agree_with_each_other(faulty_study: Path) -> None:
    final = pd.read_parquet(faulty_study / "final.parquet")
    predictions = pd.read_parquet(faulty_study / "predictions.parquet")
    assert sorted(zip(final.role, final.seed, strict=True)) == [
        ("baseline", 0),
        ("baseline", 1),
        ("tuned", 0),
        ("tuned", 1),
    ]
    for row in final.itertuples():
        own = predictions[(predictions.role == row.role) & (predictions.seed == row.seed)]
        assert own.image_index.tolist() == list(range(360))
        assert (own.label == own.predicted).mean() == pytest.approx(row.test_accuracy, abs=1e-12)
    assert len(pd.read_parquet(faulty_study / "comparison.parquet")) == 3 * 4
    assert "curve tuned" in (faulty_study / "comparison.md").read_text()
    assert "<h1>" in (faulty_study / "report.html").read_text(encoding="utf-8")
    kept = json.loads((faulty_study / "winners" / "curve" / "config.json").read_text())
    choice = json.loads((faulty_study / "study.json").read_text())["choice"]["curve"]
    assert kept["params"] == choice["params"]
    assert (faulty_study / "winners" / "curve" / "model.safetensors").is_file()


def test_trials_leave_a_log_and_no_checkpoint(faulty_study: Path) -> None:
    logs = {path.stem for path in (faulty_study / "logs").iterdir()}
    assert {f"curve-{number:03d}" for number in range(12)} <= logs
    assert not (faulty_study / "checkpoints").exists()
    hidden = [path.name for path in faulty_study.iterdir() if path.name.startswith(".")]
    assert hidden == [".driver.lock"]


@pytest.mark.usefixtures("curve_family")
def test_the_test_part_is_decoded_only_after_the_choice_is_on_disk_and_in_order_where_it_cannot_be(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    shared_cluster: str,
) -> None:
    digits = registry.load_dataset("digits")
    seen: list[dict[str, Any]] = []

    def open_sealed(data_dir: str | None, image_size: int) -> OpenedDataSet:
        opened = digits.open(data_dir, image_size)

        def read_test() -> LabeledImages:
            seen.append(json.loads((tmp_path / "sealed" / "study.json").read_text()))
            message = "the test part is sealed"
            raise ValueError(message)

        return OpenedDataSet(
            classes=opened.classes,
            files=opened.files,
            read_training=opened.read_training,
            read_test=read_test,
        )

    sealed = DataSet(name="digits", summary="sealed", open=open_sealed)
    monkeypatch.setattr(registry, "load_dataset", lambda _: sealed)
    arguments = [*CURVE, "--trials", "2", "--set", "space.curve.fault=none"]
    arguments += ["--address", shared_cluster]
    assert study.main([*arguments, "--results-dir", str(tmp_path), "--name", "sealed"]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert "but the test part is sealed; all that was found is kept" in line
    assert line.endswith(f"--resume sealed --results-dir {tmp_path}")
    assert json.loads((tmp_path / "sealed" / "study.json").read_text())["outcome"] == "failed"
    assert [set(content["choice"]) for content in seen] == [{"curve"}]
    trials = pd.read_parquet(tmp_path / "sealed" / "trials.parquet")
    assert not trials.status.eq("running").any()


@pytest.mark.usefixtures("curve_family")
def test_a_study_whose_only_family_fails_says_so_and_leaves_the_test_part_closed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], shared_cluster: str
) -> None:
    fault = [*("--set", "space.curve.fault=error"), *("--set", "baseline.curve.fault=error")]
    arguments = [*CURVE, "--trials", "6", *fault, "--max-concurrent", "1"]
    arguments += ["--grace-period", "4"]  # none is stopped before it meets the bug
    arguments += ["--address", shared_cluster]
    assert study.main([*arguments, "--results-dir", str(tmp_path), "--name", "failed"]) == 1
    assert "curve was given up: RuntimeError: a made-up error" in capsys.readouterr().out
    trials = pd.read_parquet(tmp_path / "failed" / "trials.parquet")
    assert trials.status.tolist() == ["failed"] * 3
    assert trials.attempts.tolist() == [2] * 3
    events = pd.read_parquet(tmp_path / "failed" / "events.parquet")
    assert events.kind.tolist() == [*["error"] * 6, "family_halted"]
    assert len(pd.read_parquet(tmp_path / "failed" / "final.parquet")) == 0
    assert "no trial finished (3 failed)" in (tmp_path / "failed" / "comparison.md").read_text()


@pytest.fixture
def connected(shared_cluster: str) -> Iterator[None]:
    """A connection to a cluster whose processes can import this file."""
    paths = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(__file__).parent)])}
    ray.init(shared_cluster, log_to_driver=False, runtime_env={"env_vars": paths})
    yield
    ray.shutdown()


def _private_bytes() -> int:
    """Memory that only this process has, in bytes."""
    text = Path("/proc/self/smaps_rollup").read_text()
    return 1024 * sum(int(n) for n in re.findall(r"Private_(?:Clean|Dirty): +(\d+) kB", text))


def _mapping_of(address: int) -> str:
    """What the memory at an address is mapped from."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        low, high = (int(part, 16) for part in line.split()[0].split("-"))
        if low <= address < high:
            return line.split(maxsplit=5)[-1]
    return "nothing"


class MeasuredTrial(StudyTrial):
    """The study's own trial process, which measures what loading the data costs it."""

    def setup(self, config: dict[str, Any]) -> None:
        super().setup(config, config["references"])

    def load(self) -> tuple[str, int, int]:
        """Mapping of the images, growth of private memory in bytes, and a check sum."""
        self._make_trainer_of_nothing()
        before = _private_bytes()
        self._attempt = self._make_attempt()
        images = self._attempt._trainer._steps._images
        total = int(images[::50].sum())
        return _mapping_of(images.data_ptr()), _private_bytes() - before, total

    def _make_trainer_of_nothing(self) -> None:
        """What torch takes for a first network and optimizer is not the data's."""
        images = np.zeros((4, 32, 32, 3), np.uint8)
        tiny = SharedData(
            training=LabeledImages(images=images, labels=np.zeros(4, np.int64)),
            train={1.0: np.arange(2)},
            validation=np.arange(2, 4),
            classes=tuple("abcdefghij"),
            weights={},
        )
        make_trainer(registry.load_family("cnn"), self._config, tiny)


@pytest.mark.usefixtures("connected")
def test_trial_processes_share_data_of_cifar10s_size_without_a_copy(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (50_000, 32, 32, 3), dtype=np.uint8)
    shared = SharedData(
        training=LabeledImages(images=images, labels=random.integers(0, 10, 50_000)),
        train={1.0: np.arange(45_000)},
        validation=np.arange(45_000, 50_000),
        classes=tuple("abcdefghij"),
        weights={},
    )
    config = {
        "family": "cnn",
        "role": "baseline",
        "attempt": 1,
        "epochs_known": 0,
        "seed": 1,
        "epochs": 1,
        "train_fraction": 1.0,
        "folder": str(tmp_path),
        "device": "cpu",
        "resources": {"CPU": 1},
        "accumulation": 1,
        "precision": "fp32",
        "reproducible": False,
        "is_final": False,
        "objective": "accuracy",
        "rungs": [],
        "checkpoint_seconds": 0.0,
        "epoch_time_limit": 60.0,
        "threads": 1,
        "params": dict(registry.load_family("cnn").baseline),
        "software": node.software(),
        "mix_devices": False,
        "references": References(shared=ray.put(shared), test=None),
    }
    actors = [
        ray.remote(num_cpus=1)(MeasuredTrial).remote(config=config | {"trial_id": f"cnn-{n:03}"})
        for n in range(2)
    ]
    for mapping, growth, total in ray.get([actor.load.remote() for actor in actors]):
        assert "plasma" in mapping or "/dev/shm" in mapping, mapping
        assert growth < 40e6
        assert total == int(images[::50].sum())
