"""The export of a finished study of the real network, made once, and a study to be changed."""

from pathlib import Path

import pytest
from in_process import Driver
from made_up_inputs import FAMILIES
from read_export import SMALL

from orchestrator.export import __main__ as export


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
