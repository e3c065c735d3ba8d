"""What several tests share: made-up images, a family without torch, and a recorder."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_inputs import FAMILIES
from made_up_trials import make_recorder
from xdist.scheduler import LoadScopeScheduling

from orchestrator.trials.recorder import Recorder
from trainables.data.dataset import LabeledImages


def pytest_addoption(parser: pytest.Parser) -> None:
    """Lets the golden studies be written anew; see `tests/golden`."""
    parser.addoption("--renew-golden", action="store_true", help="store the digests as they are")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests that start Ray come first: while they wait, others compute.

    What Ray itself leaves open, or uses though it is to go, fails none of them.
    """
    items.sort(key=lambda item: item.get_closest_marker("cluster") is None)
    for item in (each for each in items if each.get_closest_marker("cluster")):
        for ignored in ("ResourceWarning", "DeprecationWarning:ray", "FutureWarning:ray"):
            item.add_marker(pytest.mark.filterwarnings(f"ignore::{ignored}"))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Hands the tests out file by file, and all that start Ray to one process."""
    return FileByFile(config, log)


class FileByFile(LoadScopeScheduling):
    """A file is the unit that a process gets; the files of tests that start Ray are one unit."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        starts_ray = "pytest.mark.cluster" in (self.config.rootpath / file).read_text("utf-8")
        return "cluster" if starts_ray else file


@pytest.fixture
def made_up_images() -> LabeledImages:
    """60 images of 3 classes that differ in colour: uint8 [60, 16, 16, 3]."""
    random = np.random.default_rng(0)
    labels = np.arange(60, dtype=np.int64) % 3
    images = random.integers(0, 80, (60, 16, 16, 3), dtype=np.uint8)
    images[np.arange(60), :, :, labels] += 120
    return LabeledImages(images=images, labels=labels)


@pytest.fixture
def awkward_path(tmp_path: Path) -> Path:
    """A folder whose name has spaces, quotes and letters beyond ASCII."""
    folder = tmp_path / "étude d'images (1)"
    folder.mkdir()
    return folder


@pytest.fixture
def curve_family(monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts the family `curve` on the registry's path."""
    monkeypatch.setenv("STUDY_FAMILY_PATH", str(FAMILIES))


@pytest.fixture
def small_cgroup() -> Iterator[Path]:
    """A control group of half a gigabyte, by whichever of Linux's two ways this machine has."""
    name = f"study-test-{os.getpid()}"
    one, two = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
    group, limit = (
        (one / name, "memory.limit_in_bytes") if one.is_dir() else (two / name, "memory.max")
    )
    try:
        group.mkdir(exist_ok=True)
        (group / limit).write_text(str(2**29))
    except OSError as error:
        pytest.skip(f"no control group of memory can be made here: {error}")
    yield group
    group.rmdir()


@pytest.fixture(scope="session")
def finished_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with stopped, diverged and retried trials; copy it before anything is changed."""
    from in_process import Driver  # Ray takes seconds to import

    settings = {"trials": 9, "epochs": 4, "grace_period": 1, "seeds": 2, "seed": 6}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STUDY_FAMILY_PATH", str(FAMILIES))
        driver = Driver(tmp_path_factory.mktemp("finished"), patch, settings)
        driver.assignments = ("space.curve.fault=none,nan,error_once",)
        assert driver.start(order=6)
    return driver.folder


@pytest.fixture(scope="session")
def cnn_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study of the real network on 400 digits, of two seeds.

    They are enough for the winner to have learned something: a constant classifier proves little.
    """
    from in_process import Driver

    from orchestrator.compare.within_study import write_comparison

    sizes = {"trials": 2, "epochs": 2, "grace_period": 2, "seeds": 2}
    images = {"train_images": 400, "validation_images": 40}
    with pytest.MonkeyPatch.context() as patch:
        place = tmp_path_factory.mktemp("results")
        driver = Driver(place, patch, {**sizes, **images, "families": "cnn"})
        driver.assignments = (
            *("space.cnn.width=16", "space.cnn.batch_size=32", "space.cnn.optimizer=adam"),
            *("space.cnn.learning_rate=1e-3..2e-3", "baseline.cnn.width=16"),
        )
        assert driver.start()
    write_comparison(driver.folder, None)
    return driver.folder


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    """A recorder of a search of the shipped families; nothing is written until asked."""
    recorder = make_recorder(tmp_path)
    recorder.publish(search=True)
    return recorder


@pytest.fixture(scope="session")
def shared_cluster() -> Iterator[str]:
    """The address of a Ray cluster of two CPUs that outlives the drivers it is given to."""
    from ray.cluster_utils import Cluster

    # Metrics are sent on every 2 s, not every 10, so that a test need not wait for them.
    head = {
        "num_cpus": 2,
        "include_dashboard": False,
        "_system_config": {"metrics_report_interval_ms": 2000},
    }
    cluster = Cluster()
    for tries_left in (2, 1, 0):  # a busy machine can be too slow for Ray's 30 seconds
        try:
            cluster.add_node(**head)
            break
        except Exception:
            cluster.shutdown()
            cluster = Cluster()
            if not tries_left:
                raise
    yield cluster.address
    cluster.shutdown()
