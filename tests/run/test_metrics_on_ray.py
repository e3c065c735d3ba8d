"""A small study's numbers at the metrics end point of its node, as Prometheus would read them.

Ray sends a counter several times over from a process that has connected to clusters before (seen:
40 for 10 after four of them). Tests that connect this process so often come after this one, as
those do whose files are named after it.
"""

import contextlib
import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import ray
from prometheus_client.parser import text_string_to_metric_families

from orchestrator import study
from orchestrator.results.states import State
from orchestrator.run import metrics as publishing
from orchestrator.run.metrics import METRICS

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(900),  # a whole study, also on a busy machine
]
CURVE = [
    *("--families", "curve", "--dataset", "digits", "--set", "space.curve.fault=none"),
    *("--trials", "4", "--epochs", "4", "--grace-period", "1", "--seeds", "2"),
]

Scrape = dict[tuple[str, ...], float]


@contextlib.contextmanager
def scraping() -> Iterator[tuple[list[Scrape], dict[str, str]]]:
    """What each reading of the end point has of ours, and each job's study with its families."""
    seen: list[Scrape] = []
    studies: dict[str, str] = {}
    over = threading.Event()

    def read_on() -> None:
        while not over.wait(0.5):
            with contextlib.suppress(Exception):  # Ray is starting, or shutting down
                found = read()
                seen.extend([found] if found else [])
                jobs = ray._private.worker.global_worker.gcs_client.get_all_job_info()
                said = [job.config.metadata for job in jobs.values()]
                studies.update({one["study"]: one["families"] for one in said if "study" in one})

    thread = threading.Thread(target=read_on, daemon=True)
    thread.start()
    yield seen, studies
    over.set()
    thread.join()


def read() -> Scrape:
    (node,) = (node for node in ray.nodes() if node["Alive"])
    address = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    with urllib.request.urlopen(address, timeout=5) as answer:
        text = answer.read().decode()
    names = {metric.exported_name for metric in METRICS}
    return {
        (sample.name, *(sample.labels.get(key, "") for key in ("phase", "family", "state"))): value
        for found in text_string_to_metric_families(text)
        for sample in found.samples
        for value in [sample.value]
        if sample.name in names and sample.labels["study"] == "watched"
    }


@pytest.mark.usefixtures("curve_family")
def test_a_studys_metrics_are_at_its_nodes_end_point_with_the_values_of_its_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared_cluster: str
) -> None:
    monkeypatch.setattr(publishing, "LEAST_SECONDS", 0.5)
    monkeypatch.setenv("STUDY_CURVE_EPOCH_SECONDS", "0.5")
    arguments = [*CURVE, "--results-dir", str(tmp_path), "--name", "watched"]
    started = time.monotonic()
    with scraping() as (seen, studies):
        assert study.main([*arguments, "--address", shared_cluster]) == 0
    wall = time.monotonic() - started
    assert studies["watched"] == "curve"
    assert {key[0] for scrape in seen for key in scrape} == {m.exported_name for m in METRICS}
    trials = pd.read_parquet(tmp_path / "watched" / "trials.parquet")
    epochs = pd.read_parquet(tmp_path / "watched" / "epochs.parquet")
    finals = pd.read_parquet(tmp_path / "watched" / "final_epochs.parquet")
    # What a phase has published at its end is forgotten soon after it, one value after the other.
    running = ("ray_study_trials", "search", "curve", "running")
    best = ("ray_study_best_validation_accuracy", "search", "curve", "")
    ended = [scrape for scrape in seen if scrape.get(running) == 0 and best in scrape][-1]
    last = {name: value for (name, phase, *_), value in ended.items() if phase == "search"}
    assert last["ray_study_best_validation_accuracy"] == epochs.validation_accuracy.max()
    assert last["ray_study_epochs_total"] == len(epochs)
    assert last["ray_study_device_seconds"] == pytest.approx(trials.device_seconds.sum(), abs=0.1)
    assert last["ray_study_images_per_second"] == last["ray_study_device_memory_peak_bytes"] == 0
    for state in State:
        key = ("ray_study_trials", "search", "curve", state)
        assert ended[key] == (trials.status == state).sum()
        assert all(scrape[key] <= 4 for scrape in seen if key in scrape)
    retrained = [s.get(("ray_study_epochs_total", "finals", "curve", ""), 0.0) for s in seen]
    assert retrained == sorted(retrained)
    assert 0 < retrained[-1] <= len(finals)
    left = [value for s in seen for key, value in s.items() if key[0] == "ray_study_seconds_left"]
    assert all(0 <= value < 10 * wall for value in left)
    study_json = json.loads((tmp_path / "watched" / "study.json").read_text())
    # The baseline to the end, three trials to the grace period, and two seeds of one final.
    assert study_json["forecast"]["families"]["curve"]["epochs"] == [4 + 3 + 8, 16 + 16]
