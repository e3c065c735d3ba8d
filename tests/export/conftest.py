"""A finished study of the real network and its export, made once, and a study to be changed."""

from pathlib import Path

import pytest
from in_process import Driver
from made_up_inputs import FAMILIES
from read_export import SMALL

from orchestrator.compare.within_study import write_comparison
from orchestrator.export import __main__ as export

# Enough that the winner has learned something: a constant classifier would prove little.
CNN = {**SMALL, "families": "cnn", "train_images": 400, "validation_images": 40}
FAST = (
    *("space.cnn.width=16", "space.cnn.batch_size=32", "space.cnn.learning_rate=1e-3..2e-3"),
    *("space.cnn.optimizer=adam", "baseline.cnn.width=16"),
)


@pytest.fixture(scope="session")
def cnn_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study of the real network on 100 digits, of two seeds."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        driver = Driver(
            tmp_path_factory.mktemp("results"),
            monkeypatch,
            CNN,
            assignments=FAST,
        )
        assert driver.start()
    write_comparison(driver.folder, None)
    return driver.folder


@pytest.fixture(scope="session")
def exported(cnn_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The winner's folder."""
    output = tmp_path_factory.mktemp("exported")
    assert export.main([str(cnn_study), "--output", str(output)]) == 0
    return output / "cnn"


@pytest.fixture
def curve_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    monkeypatch.setenv("STUDY_FAMILY_PATH", str(FAMILIES))
    return Driver(tmp_path / "results", monkeypatch, SMALL)
