"""What `study.json` says of a study: settings, data, code and the machines it ran on."""

import hashlib
import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from orchestrator import results
from orchestrator.code_version import code_sha256, git_commit
from orchestrator.planning import FamilyPlan
from orchestrator.preparation import Inputs
from orchestrator.settings import DEMO_NOTES, Settings, to_json
from trainables.weights import WeightsFile, own_words

if TYPE_CHECKING:  # what reads a study's environment needs no Ray
    from orchestrator.cluster import Cluster, Reservation

LIBRARIES: Final = ("ray", "optuna", "torch", "torchvision", "numpy", "pandas", "pyarrow")


class Manifest:
    """`study.json`, rewritten whole each time something is added."""

    def __init__(self, folder: Path, content: Mapping[str, Any], check: Callable[[], None]) -> None:
        """Writes the file with its first content.

        Args:
            folder: The study's.
            content: See `describe`.
            check: Called before each write; raises where this process must not write any more.
        """
        self._path, self._check = folder / "study.json", check
        self.content: dict[str, Any] = {}
        self.add(**content)

    def add(self, **content: Any) -> None:
        """Adds or replaces entries and writes the file."""
        self._check()
        self.content.update(content)
        results.write_text(self._path, json.dumps(self.content, indent=2, default=str) + "\n")

    def end(self, outcome: str) -> None:
        """Notes how this run of the study ended: `completed`, `incomplete`, `interrupted`, ..."""
        *earlier, this = self.content["runs"]
        ended = {"outcome": outcome, "ended_at": now()}
        self.add(**ended, runs=[*earlier, {**this, **ended}])


def continued(study: Mapping[str, Any], description: Mapping[str, Any]) -> dict[str, Any]:
    """The content of `study.json` when a study is resumed.

    Args:
        study: Its content so far.
        description: Of the run that begins; see `describe`.
    """
    *earlier, last = study["runs"]
    if last["outcome"] == "running":  # it had no time to say how it ended
        last = {**last, "outcome": "killed"}
    runs = [*earlier, last, *description["runs"]]
    return {**study, **description, "started_at": study["started_at"], "runs": runs}


def describe(
    *,
    name: str,
    settings: Settings,
    plans: Sequence[FamilyPlan],
    inputs: Inputs,
    weights_file: WeightsFile | None,
    cluster: "Cluster",
    reservation: "Reservation",
) -> dict[str, Any]:
    """The content of `study.json` at the start of a run."""
    started_at = now()
    code = {"code_sha256": code_sha256([p.name for p in plans]), "git_commit": git_commit()}
    return {
        "name": name,
        "schema_version": results.SCHEMA_VERSION,
        "outcome": "running",
        "started_at": started_at,
        "ended_at": None,
        "settings": {**to_json(settings), "families": [plan.name for plan in plans]},
        "demo": list(DEMO_NOTES) if settings.preset == "demo" else [],
        "spaces": {plan.name: plan.space_json for plan in plans},
        "baselines": {plan.name: dict(plan.baseline) for plan in plans},
        "baseline_deviations": {
            plan.name: {key: list(pair) for key, pair in plan.deviations.items()}
            for plan in plans
            if plan.deviations
        },
        "dataset": {
            "name": settings.dataset,
            "classes": list(inputs.dataset.classes),
            "files": dict(inputs.dataset.files),
            "train_images": len(inputs.split.train),
            "validation_images": len(inputs.split.validation),
            "train_images_by_fraction": {str(f): len(i) for f, i in inputs.train.items()},
            "image_shape": list(inputs.training.images.shape[1:]),
            "split_sha256": inputs.split.digest,
        },
        "weights": None
        if weights_file is None
        else {
            "name": weights_file.name,
            "sha256": weights_file.sha256,
            "own_words": own_words(weights_file),
        },
        **code,
        "environment": environment(),
        "cluster": {
            "kind": cluster.kind,
            "nodes": cluster.nodes,
            "cpus": cluster.cpus,
            "gpus": cluster.gpus,
            "cpus_per_trial": reservation.cpus,
            "gpus_per_trial": reservation.gpus,
            "max_concurrent": reservation.max_concurrent,
        },
        "runs": [
            {
                "started_at": started_at,
                "ended_at": None,
                "outcome": "running",
                "host": platform.node(),
                "pid": os.getpid(),
                **code,
            }
        ],
    }


def table_metadata(study: Mapping[str, Any]) -> dict[str, str]:
    """What every Parquet file is stamped with: what its rows rest on.

    Args:
        study: The content of `study.json`.
    """
    return {
        "study": study["name"],
        "git_commit": study["git_commit"] or "",
        "environment": json.dumps(study["environment"]),
        **stamp(study),
    }


def stamp(study: Mapping[str, Any]) -> dict[str, str]:
    """The hashes of split, data and weights, by which a table is known to be of a study."""
    files = json.dumps(study["dataset"]["files"], sort_keys=True)
    return {
        "split_sha256": study["dataset"]["split_sha256"],
        "data_sha256": hashlib.sha256(files.encode()).hexdigest(),
        "weights_sha256": (study["weights"] or {}).get("sha256", ""),
    }


def environment() -> dict[str, str]:
    """Versions of Python and the libraries that results depend on, and the processor."""
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processor": _processor(),
        **{library: version(library) for library in LIBRARIES},
    }


def now() -> str:
    """The time as ISO 8601 text in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
