"""What a running study publishes is what its rows say, and the dashboard shows nothing else."""

import json
import re
import time
from pathlib import Path

import pytest
import yaml
from made_up_trials import row_of, spec_of

from orchestrator.run import metrics as publishing
from orchestrator.run.metrics import (
    BEST,
    EPOCHS,
    METRICS,
    OF_FAMILY,
    OF_STUDY,
    SECONDS_LEFT,
    Publisher,
    Sample,
    measure,
)
from orchestrator.trials.recorder import Recorder

ROOT = Path(__file__).resolve().parents[2]
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "transfer_study.json").read_text())
LABELS_OF_RAY = {"SessionName", "NodeAddress", "WorkerId", "Component", "Version"}


class Recorded:
    """Stands for one of Ray's metrics: what it was told, by its labels."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, ...], float] = {}

    def set(self, value: float, labels: dict[str, str]) -> None:
        self.values[tuple(labels.values())] = value


class RecordedCounter(Recorded):
    def inc(self, value: float, labels: dict[str, str]) -> None:
        key = tuple(labels.values())
        self.values[key] = self.values.get(key, 0.0) + value


@pytest.fixture
def metrics(monkeypatch: pytest.MonkeyPatch) -> dict[str, Recorded]:
    metrics = {metric: RecordedCounter() if metric.counter else Recorded() for metric in METRICS}
    monkeypatch.setattr(publishing, "_metrics", lambda: metrics)
    monkeypatch.setattr(publishing, "Counter", RecordedCounter)
    return {metric.name: metrics[metric] for metric in METRICS}


@pytest.fixture
def busy(recorder: Recorder) -> Recorder:
    """One trial is stopped, one diverged, two run, one of which has no epoch yet."""
    for number in range(4):
        recorder.propose(spec_of(f"cnn-{number:03d}"))
        recorder.attempt_began(f"cnn-{number:03d}")
    for epoch, accuracy in enumerate((0.4, 0.7), start=1):
        recorder.epoch("cnn-000", row_of(epoch, accuracy))
    recorder.attempt_ended("cnn-000")
    recorder.end("cnn-000", "stopped")
    recorder.end("cnn-001", "diverged")
    row = {**row_of(1, 0.5), "epoch_seconds": 4.0, "device_memory_peak_bytes": 2**30}
    recorder.epoch("cnn-002", row)
    return recorder


def measured(recorder: Recorder, families: tuple[str, ...] = ("cnn",)) -> dict[tuple, float]:
    samples = measure(recorder, families, lambda: None, study="mine", phase="search")
    return {(s.metric.name, *s.labels[2:]): s.value for s in samples}


def test_the_values_are_those_of_the_rows(busy: Recorder) -> None:
    values = measured(busy)
    device_seconds = values.pop(("study_device_seconds", "cnn"))
    assert device_seconds == pytest.approx(
        sum(busy.device_seconds(record) for record in busy.trials.values()), abs=1.0
    )
    states = {"running": 2, "stopped": 1, "diverged": 1, "completed": 0, "failed": 0}
    assert values == {
        ("study_best_validation_accuracy", "cnn"): 0.7,
        ("study_epochs", "cnn"): 3,
        ("study_epochs_per_second", "cnn"): 0.25,
        ("study_images_per_second", "cnn"): 10.0,
        ("study_device_memory_peak_bytes", "cnn"): 2**30,
        **{("study_trials", "cnn", state): number for state, number in states.items()},
    }


def test_a_family_without_an_epoch_has_no_accuracy_and_no_throughput(recorder: Recorder) -> None:
    values = measured(recorder, ("vit",))
    assert ("study_best_validation_accuracy", "vit") not in values
    assert set(values.values()) == {0.0}


def test_what_has_ended_is_slow_no_more(busy: Recorder) -> None:
    for name in ("cnn-002", "cnn-003"):
        busy.attempt_ended(name)
        busy.end(name, "completed")
    values = measured(busy)
    for name in ("study_epochs_per_second", "study_images_per_second"):
        assert values[name, "cnn"] == 0
    assert values["study_trials", "cnn", "running"] == 0
    assert values["study_trials", "cnn", "completed"] == 2


def test_the_totals_are_what_going_through_the_trials_gives(busy: Recorder) -> None:
    totals, records = busy.totals("cnn"), list(busy.trials.values())
    assert totals.records == busy.of_family("cnn") == records
    assert totals.epochs == sum(len(record.rows) for record in records)
    ended = [record for record in records if record.status != "running"]
    assert totals.ended.total() == len(ended)
    assert totals.ended_wall_seconds == pytest.approx(sum(r.wall_seconds() for r in ended), abs=1.0)
    busy.reopen(busy.trials["cnn-000"])
    assert busy.trials["cnn-000"].status == "running"
    assert sorted(totals.running) == ["cnn-000", "cnn-002", "cnn-003"]
    assert totals.ended["stopped"] == 0


def test_a_name_beyond_ascii_is_one_that_ray_takes(recorder: Recorder) -> None:
    samples = list(measure(recorder, ["cnn"], lambda: 5.0, study="étude", phase="search"))
    assert {sample.labels[:2] for sample in samples} == {("\\xe9tude", "search")}
    assert samples[-1] == Sample(SECONDS_LEFT, ("\\xe9tude", "search"), 5.0)


def test_where_the_time_left_is_not_known_none_is_told(recorder: Recorder) -> None:
    samples = list(measure(recorder, ["cnn"], lambda: None, study="mine", phase="search"))
    assert SECONDS_LEFT not in {sample.metric for sample in samples}


def test_a_counter_is_told_only_what_is_new(metrics: dict[str, Recorded]) -> None:
    labels, values = ("mine", "search", "cnn"), iter([3.0, 3.0, 5.0])
    publisher = Publisher(lambda: [Sample(metric=EPOCHS, labels=labels, value=next(values))])
    for expected in (3.0, 3.0, 5.0):
        publisher.publish()
        assert metrics["study_epochs"].values == {labels: expected}


def test_what_stands_at_the_end_is_published_at_the_end(metrics: dict[str, Recorded]) -> None:
    labels, now = ("mine", "search", "cnn"), {"value": 0.1}
    publisher = Publisher(lambda: [Sample(metric=BEST, labels=labels, value=now["value"])])
    with publisher.running():
        deadline = time.monotonic() + 30
        while not metrics[BEST.name].values and time.monotonic() < deadline:
            pass
        assert metrics[BEST.name].values == {labels: 0.1}
        now["value"] = 0.9
    assert metrics[BEST.name].values == {labels: 0.9}


def test_a_study_goes_on_where_it_cannot_be_watched(
    metrics: dict[str, Recorded], caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> list[Sample]:
        message = "no such metric"
        raise LookupError(message)

    with Publisher(broken).running():
        pass
    assert not any(each.values for each in metrics.values())
    assert "published no more" in caplog.text


def test_labels_are_few_and_none_has_a_value_for_each_trial() -> None:
    for metric in METRICS:
        assert metric.labels in {OF_STUDY, OF_FAMILY, (*OF_FAMILY, "state")}
    assert len({metric.name for metric in METRICS}) == len(METRICS)


def expressions() -> list[str]:
    variables = [
        v["query"]["query"] for v in DASHBOARD["templating"]["list"] if v["type"] == "query"
    ]
    return [t["expr"] for panel in DASHBOARD["panels"] for t in panel["targets"]] + variables


def test_the_dashboard_names_all_metrics_and_only_those_that_exist() -> None:
    named = {name for text in expressions() for name in re.findall(r"\bray_\w+", text)}
    assert named == {metric.exported_name for metric in METRICS}


def test_the_dashboard_uses_only_labels_that_its_metrics_have() -> None:
    by_name = {metric.exported_name: {*metric.labels} for metric in METRICS}
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            names = re.findall(r"\bray_\w+", target["expr"])
            known = set.intersection(*(by_name[name] for name in names)) | LABELS_OF_RAY
            grouped = re.findall(r"\bby \(([^)]*)\)", target["expr"])
            used = {label.strip() for labels in grouped for label in labels.split(",")}
            used |= set(re.findall(r"(\w+)=~?\"", target["expr"]))
            shown = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            assert used <= known, panel["title"]
            assert all(shown <= set(labels.split(", ")) for labels in grouped), panel["title"]


def test_rays_metrics_page_can_embed_the_dashboard() -> None:
    names = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    assert {"datasource", "SessionName"} <= names  # what the page puts into the address
    sources = {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]}
    assert sources == {"${datasource}"}
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    document = (ROOT / "docs" / "MONITORING.md").read_text(encoding="utf-8")
    assert f"RAY_GRAFANA_DATA_DASHBOARD_UID={DASHBOARD['uid']}" in document
    assert all(metric.exported_name in document for metric in METRICS)


def test_prometheus_reads_the_file_in_which_ray_lists_its_nodes() -> None:
    from ray._private.ray_constants import PROMETHEUS_SERVICE_DISCOVERY_FILE

    (job,) = yaml.safe_load((ROOT / "deploy" / "prometheus.yaml").read_text())["scrape_configs"]
    (source,) = job["file_sd_configs"]
    assert source["files"] == [f"/tmp/ray/{PROMETHEUS_SERVICE_DISCOVERY_FILE}"]
