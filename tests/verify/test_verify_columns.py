"""Verify notices a changed value in whichever column of whichever table, but for a few named ones.

These are measured and stored once, so that nothing else in a study's folder says what they were.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from in_process import Driver
from made_up_inputs import add_family, image_folder

from orchestrator.results import schema
from orchestrator.verify import runner, tables
from orchestrator.verify.tables import Check, Tables
from trainables import registry

Row = dict[str, Any]
START = datetime(2026, 1, 1, tzinfo=UTC)
MIDDLE = 0.5

OF_A_DEVICE = {"device_memory_peak_bytes", "reported_at", "device_name", "images_per_second"}
OF_AN_EPOCH = {
    *("train_loss", "train_accuracy", "validation_loss", "validation_precision"),
    *("validation_recall", "validation_f1", "learning_rate", *OF_A_DEVICE),
}
OF_A_TRIAL = {
    *("stop_reason", "error", "attempts", "device_seconds", "started_at", "ended_at"),
    *("node", "device", "device_name", "device_memory_bytes", "driver", "cuda", "cudnn"),
    "device_speed",
}
WON = {"a_family": "second", "b_family": "second"}
ROWS: list[tuple[str, str, Row, set[str]]] = [
    ("trials", "a trial", {"trial_id": "curve-001"}, OF_A_TRIAL),
    (
        *("epochs", "one that is not the best"),
        {"trial_id": "curve-000", "epoch": 1},
        {*OF_AN_EPOCH, "epoch_seconds"},
    ),
    ("rungs", "an arrival", {"trial_id": "curve-000"}, set()),
    ("events", "the opening of the test part", {"kind": "test_opened"}, {"at", "family"}),
    (
        *("final", "a run"),
        {"family": "curve", "role": "tuned", "seed": 1},
        {"device_seconds", "device", "device_name"},
    ),
    ("final", "a baseline that won", {"family": "second", "role": "tuned", "seed": 1}, set()),
    (
        *("final_epochs", "one that is not the best"),
        {"trial_id": "curve-tuned-s0-f1", "epoch": 1},
        {*OF_AN_EPOCH, "attempt"},
    ),
    ("predictions", "an image", {"family": "curve", "role": "tuned", "image_index": 5}, {"file"}),
    *(
        ("comparison", f"{metric} of {seed}", {"metric": metric, "seed": seed, **pair}, set[str]())
        for metric in ("accuracy", "precision", "recall", "loss")
        for seed in (0, None)
        for pair in ({"a_family": "curve"}, WON)
    ),
]
"""Table, row in words and by its columns, and in which of its columns a change is not noticed."""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """A sound study of few images, of whose families one has a winner and one its baseline."""
    folder = tmp_path_factory.mktemp("columns")
    settings = {
        "trials": 3,
        "epochs": 4,
        "grace_period": 1,
        "seeds": 2,
        "families": "curve,second",
        "dataset": "folder",
        "data_dir": str(image_folder(folder / "images")),
    }
    with pytest.MonkeyPatch.context() as patch:
        add_family(folder / "families", patch, "second")
        module = registry.load_family("curve").trainer.partition(":")[0]
        patch.setattr(f"{module}.CurveTrainer.forward_flops_per_image", 7)
        driver = Driver(folder / "results", patch, settings)
        driver.assignments = (
            *("space.curve.fault=none", "space.second.fault=none"),
            *("space.curve.skill=0.6..0.9", "baseline.second.skill=1.0"),
        )
        assert driver.start()
        read = tables.read(driver.folder)
        assert read.is_of_this_code  # as long as both families are there
    return read


def other(value: Any, kind: pa.DataType) -> Any:
    """Another value of a column, not far from the one that is there."""
    if isinstance(value, list):
        first, second, *rest = value
        return [second, first, *rest]
    if isinstance(value, bool) or pa.types.is_boolean(kind):
        return not value
    if pa.types.is_integer(kind):
        return (value or 0) + 1
    if pa.types.is_floating(kind):
        value = value or 0.0
        return value + (0.001 if value < MIDDLE else -0.001)
    if pa.types.is_timestamp(kind):
        return (value or START) + timedelta(seconds=1)
    return f"{value}x"


def with_another(study: Tables, name: str, where: Row, column: str) -> Tables:
    """The study, but for one value in the first row that is like that."""
    table = study.table(name)
    rows = table.to_pylist()
    number = next(
        n for n, row in enumerate(rows) if all(row[key] == value for key, value in where.items())
    )
    place, values = table.schema.get_field_index(column), table[column].to_pylist()
    field = table.schema.field(place)
    values[number] = other(values[number], field.type)
    changed = table.set_column(place, field, pa.array(values, field.type))
    other_study = dataclasses.replace(study, usable={**study.usable, name: changed})
    vars(other_study)["is_of_this_code"] = study.is_of_this_code
    if name == "comparison":  # which nothing follows from
        vars(other_study)["compared_again"] = study.compared_again
    return other_study


def checks_by_table(study: Tables) -> dict[str, list[Check]]:
    """The checks that read each table."""
    found: dict[str, list[Check]] = {name: [] for name in schema.TABLES}
    for check in runner.CHECKS:
        read = Read(study.usable)
        list(check(dataclasses.replace(study, usable=read)))
        for name in read.names:
            found[name].append(check)
    return found


class Read(dict[str, pa.Table]):
    """Tables that know which of them were read."""

    def __init__(self, given: Mapping[str, pa.Table]) -> None:
        super().__init__(given)
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> pa.Table:
        self.names.add(name)
        return super().__getitem__(name)

    def items(self) -> Any:
        self.names |= {*self}
        return super().items()


def is_noticed(study: Tables, checks: Sequence[Check]) -> bool:
    """Whether any of the checks finds something; `_make` takes what cannot be checked for that."""
    return any(runner._make(check, study)[0] for check in checks)


@pytest.fixture(scope="module")
def checks(study: Tables) -> dict[str, list[Check]]:
    return checks_by_table(study)


def test_the_study_is_sound(study: Tables) -> None:
    verdict = runner.verify_tables(study, sources=False)
    assert (verdict.problems, verdict.notes) == ([], [])


@pytest.mark.parametrize(
    ("name", "where", "measured"),
    [pytest.param(name, where, kept, id=f"{name}-{what}") for name, what, where, kept in ROWS],
)
def test_another_value_is_noticed_in_each_column_that_follows_from_what_else_is_stored(
    name: str, where: Row, measured: set[str], study: Tables, checks: dict[str, list[Check]]
) -> None:
    passed_over = {
        column
        for column in study.table(name).column_names
        if not is_noticed(with_another(study, name, where, column), checks[name])
    }
    assert passed_over == measured
