"""A node that cannot run a study's trials says so, when the study starts or when a trial does."""

import socket
from pathlib import Path
from typing import Any

import pytest
from made_up_trials import attempt_config

from trainables import node_check as node
from trainables.trial import References, StudyTrial

HERE = socket.gethostname()


@pytest.fixture
def study_json(tmp_path: Path) -> Path:
    path = tmp_path / "study.json"
    path.write_text("{}", encoding="utf-8")
    return path


def test_a_node_with_the_drivers_versions_and_folder_has_no_error(study_json: Path) -> None:
    assert node.node_error(node.software(), study_json) == ""


def test_another_version_is_named_with_both_numbers(study_json: Path) -> None:
    expected = {**node.software(), "torch": "0.1", "python": "2.7.18"}
    found = node.software()
    assert node.node_error(expected, study_json) == (
        f"{HERE} must have the driver's versions, but has python {found['python']} instead of "
        f"2.7.18, torch {found['torch']} instead of 0.1"
    )


def test_a_folder_that_is_not_shared_is_named(tmp_path: Path) -> None:
    sentence = node.node_error(node.software(), tmp_path / "study.json")
    assert sentence.startswith(f"{HERE} must see the same results folder as the driver")
    assert f"finds no {tmp_path / 'study.json'}" in sentence


class LateTrial(StudyTrial):
    """A trial that begins in this process, without Ray."""

    def setup(self, config: dict[str, Any]) -> None:
        super().setup(config, References(shared=None, test=None))


@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")
@pytest.mark.filterwarnings("ignore::FutureWarning:ray")
def test_a_trial_on_a_node_that_joined_late_asks_it_first_and_leaves_nothing(
    study_json: Path,
) -> None:
    software = {"software": {**node.software(), "ray": "1.0"}}
    trial = LateTrial(config=attempt_config(study_json.parent, "cnn-000", **software))
    with pytest.raises(RuntimeError, match=r"must have the driver's versions, but has ray"):
        trial.step()
    assert list(study_json.parent.iterdir()) == [study_json]
