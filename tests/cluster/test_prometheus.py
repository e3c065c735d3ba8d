"""Prometheus reads a real study and answers what is asked of it: what the tables have.

Once its own Ray serves its metrics as docs/MONITORING.md says, once a Ray that outlives it does;
Prometheus has our scrape file.
"""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from orchestrator.results.states import State
from orchestrator.run.metrics import METRICS

ROOT = Path(__file__).resolve().parents[2]
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "transfer_study.json").read_text())
PROGRAMS = ("prometheus", "promtool")
MISSING = [name for name in PROGRAMS if shutil.which(name) is None]
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(bool(MISSING), reason="needs Prometheus (apt-get install prometheus)"),
]
STUDY = [
    *("--families", "cnn", "--dataset", "digits", "--set", "train_images=400"),
    *("--trials", "4", "--epochs", "20", "--grace-period", "10", "--seeds", "6"),
]
SILENCE_SECONDS = 25.0

Series = dict[tuple[str, ...], list[float]]


@dataclass(frozen=True, kw_only=True)
class Watched:
    """A study that has ended, and a Prometheus that has watched it.

    Attributes:
        folder: The study's.
        address: Prometheus's.
        began: When, in seconds since the epoch.
        config: What Prometheus was told.
        outlived: By its Ray.
    """

    folder: Path
    address: str
    began: float
    config: Path
    outlived: bool

    def ask(self, path: str, **parameters: str) -> Any:
        asked = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self.address}/api/v1/{path}?{asked}", timeout=30) as answer:
            content = json.load(answer)
        assert content["status"] == "success"
        return content["data"]

    def series(self, query: str, *labels: str) -> Series:
        """All values of each series, told apart by these labels alone."""
        span = {"start": str(self.began), "end": str(time.time()), "step": "5"}
        found = self.ask("query_range", query=query, **span)["result"]
        named = {tuple(one["metric"].get(label, "") for label in labels): one for one in found}
        assert len(named) == len(found), "a series is there twice"
        return {key: [float(value) for _, value in one["values"]] for key, one in named.items()}

    def table(self, name: str) -> pd.DataFrame:
        return pd.read_parquet(self.folder / f"{name}.parquet")


@pytest.fixture(scope="module", params=[False, True], ids=["own Ray", "Ray that outlives it"])
def watched(request: pytest.FixtureRequest) -> Iterator[Watched]:
    # Ray's sockets lie in it, whose paths are short.
    with tempfile.TemporaryDirectory(prefix="watched-", dir="/tmp") as name:
        place = Path(name)
        config = place / "prometheus.yaml"
        text = (ROOT / "deploy" / "prometheus.yaml").read_text()
        session = place / "ray" if request.param else place / f"ray-{os.getuid()}" / "ray"
        config.write_text(text.replace("[/tmp/ray/", f"[{session}/"))
        listen = f"127.0.0.1:{free_port()}"
        began = time.time()
        with (place / "prometheus.log").open("w") as log:
            prometheus = subprocess.Popen(
                [
                    *("prometheus", f"--config.file={config}", f"--web.listen-address={listen}"),
                    f"--storage.tsdb.path={place / 'data'}",
                ],
                stdout=log,
                stderr=log,
            )
        try:
            with started_ray(session) if request.param else contextlib.nullcontext([]) as where:
                run_study(place, *where)
                time.sleep(SILENCE_SECONDS)  # until Prometheus has seen that there is no more
            yield Watched(
                folder=place / "results" / "watched",
                address=f"http://{listen}",
                began=began,
                config=config,
                outlived=request.param,
            )
        finally:
            prometheus.terminate()
            prometheus.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@contextlib.contextmanager
def started_ray(session: Path) -> Iterator[list[str]]:
    """A Ray as `ray start --head` makes it, whose dashboard lists its end points."""
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    cluster.add_node(num_cpus=2, temp_dir=str(session), dashboard_port=free_port())
    yield ["--address", cluster.address]
    cluster.shutdown()


def run_study(place: Path, *where: str) -> None:
    here = ["--name", "watched", "--results-dir", str(place / "results")]
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator.study", *STUDY, *here, *where],
        cwd=ROOT,
        env={**os.environ, "RAY_TMPDIR": str(place), "RAY_enable_metrics_collection": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_our_scrape_file_is_one_that_prometheus_takes(watched: Watched) -> None:
    for config in (ROOT / "deploy" / "prometheus.yaml", watched.config):
        subprocess.run(["promtool", "check", "config", config], check=True, capture_output=True)


def test_every_metric_answers_and_each_series_comes_from_one_end_point(watched: Watched) -> None:
    for metric in METRICS:
        found = watched.series(metric.exported_name, *metric.labels)
        assert found, metric.exported_name
        phases = {key[1] for key in found}
        assert phases == {"search", "finals"}, metric.exported_name


def test_the_last_values_of_the_search_are_those_of_its_tables(watched: Watched) -> None:
    trials, epochs = watched.table("trials"), watched.table("epochs")
    last = {
        metric.name: {
            key[2:]: values[-1]
            for key, values in watched.series(metric.exported_name, *metric.labels).items()
            if key[1] == "search"
        }
        for metric in METRICS
    }
    assert last["study_best_validation_accuracy"] == {("cnn",): epochs.validation_accuracy.max()}
    assert last["study_epochs"] == {("cnn",): len(epochs)}
    assert last["study_trials"] == {
        ("cnn", state): (trials.status == state).sum() for state in State
    }
    assert last["study_device_seconds"]["cnn",] == pytest.approx(
        trials.device_seconds.sum(), abs=0.1
    )
    for name in ("epochs_per_second", "images_per_second", "device_memory_peak_bytes"):
        assert last[f"study_{name}"] == {("cnn",): 0}, name


def test_values_on_the_way_are_those_of_epochs_in_the_tables(watched: Watched) -> None:
    epochs = watched.table("epochs")
    accuracies, images = (
        watched.series(f"ray_study_{name}", "phase")["search",]
        for name in ("best_validation_accuracy", "images_per_second")
    )
    assert accuracies == sorted(accuracies)
    assert set(accuracies) <= set(epochs.validation_accuracy)
    each = [0.0, *epochs.images_per_second]
    sums = [one + other for one in each for other in each]
    assert max(images) > 0
    assert all(min(abs(value - one) for one in sums) < 1e-6 for value in images)


def test_the_finals_are_seen_to_the_end_where_ray_outlives_the_study(watched: Watched) -> None:
    curves = watched.table("final_epochs")
    # The rows of a baseline that nothing was better than are there twice: as both roles.
    final = watched.table("final").drop_duplicates("trial_id")
    (seen,), (best,), (seconds,) = (
        [values for (phase,), values in watched.series(name, "phase").items() if phase == "finals"]
        for name in (
            "ray_study_epochs_total",
            "ray_study_best_validation_accuracy",
            "ray_study_device_seconds",
        )
    )
    assert seen == sorted(seen)
    assert set(best) <= set(curves.validation_accuracy)
    if watched.outlived:
        states = watched.series('ray_study_trials{phase="finals"}', "state")
        assert states["completed",][-1] == len(final)
        assert seen[-1] == len(curves)
        assert best[-1] == curves.validation_accuracy.max()
        assert seconds[-1] == pytest.approx(final.device_seconds.sum(), abs=0.1)
    else:
        assert 0 < seen[-1] <= len(curves)
        assert 0 < seconds[-1] <= final.device_seconds.sum() + 0.1


def test_the_time_left_is_of_the_studys_order(watched: Watched) -> None:
    wall = time.time() - watched.began
    for values in watched.series("ray_study_seconds_left", "phase").values():
        assert all(0 <= value < 10 * wall for value in values)


def filled(query: str) -> str:
    """A query of the dashboard with `All` for each variable."""
    return re.sub(r"\$\w+", ".+", query)


@pytest.mark.parametrize(
    ("panel", "target"),
    [
        pytest.param(panel, target, id=f"{panel['title']}-{target['refId']}")
        for panel in DASHBOARD["panels"]
        for target in panel["targets"]
    ],
)
def test_each_panel_of_the_dashboard_has_something_to_show(
    watched: Watched, panel: dict[str, Any], target: dict[str, Any]
) -> None:
    labels = re.findall(r"{{(\w+)}}", target["legendFormat"])
    found = watched.series(filled(target["expr"]), *labels)
    assert found
    assert all(all(key) for key in found), "a name in the legend is empty"
    if panel["title"] == "Epochs recorded":
        (values,) = found.values()
        epochs = len(watched.table("epochs"))
        assert epochs < max(values) <= epochs + len(watched.table("final_epochs"))


def test_the_dashboards_lists_have_the_session_and_the_study(watched: Watched) -> None:
    lists = [each for each in DASHBOARD["templating"]["list"] if each["type"] == "query"]
    for variable in lists:
        match, label = re.fullmatch(
            r"label_values\((.*), (\w+)\)", filled(variable["query"]["query"])
        ).groups()
        (value,) = watched.ask(f"label/{label}/values", **{"match[]": match})
        assert value == "watched" or (label == "SessionName" and value.startswith("session_"))
