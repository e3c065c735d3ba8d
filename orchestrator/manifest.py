"""What `study.json` says of a study: settings, data, code and the machines it ran on."""

import hashlib
import json
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from optuna.distributions import distribution_to_json

from orchestrator import results
from orchestrator.cluster import PACKAGES, Cluster, Reservation
from orchestrator.planning import FamilyPlan
from orchestrator.preparation import Inputs
from orchestrator.settings import DEMO_NOTES, Settings, to_json
from trainables.weights import WeightsFile

LIBRARIES: Final = ("ray", "optuna", "torch", "torchvision", "numpy", "pandas", "pyarrow")


class Manifest:
    """`study.json`, rewritten whole each time something is added."""

    def __init__(self, folder: Path, content: Mapping[str, Any]) -> None:
        """Writes the file with its first content."""
        self._path = folder / "study.json"
        self.content: dict[str, Any] = {}
        self.add(**content)

    def add(self, **content: Any) -> None:
        """Adds or replaces entries and writes the file."""
        self.content.update(content)
        results.write_text(self._path, json.dumps(self.content, indent=2, default=str) + "\n")


def describe(
    *,
    name: str,
    settings: Settings,
    plans: Sequence[FamilyPlan],
    inputs: Inputs,
    weights_file: WeightsFile | None,
    cluster: Cluster,
    reservation: Reservation,
) -> dict[str, Any]:
    """The content of `study.json` at the start of a study."""
    return {
        "name": name,
        "schema_version": results.SCHEMA_VERSION,
        "outcome": "running",
        "started_at": now(),
        "ended_at": None,
        "settings": {**to_json(settings), "families": [plan.name for plan in plans]},
        "demo": list(DEMO_NOTES) if settings.preset == "demo" else [],
        "spaces": {
            plan.name: {
                dimension: json.loads(distribution_to_json(values))
                for dimension, values in plan.space.items()
            }
            for plan in plans
        },
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
        else {"name": weights_file.name, "sha256": weights_file.sha256},
        "code_sha256": code_sha256(),
        "git_commit": git_commit(),
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
    }


def table_metadata(name: str) -> dict[str, str]:
    """What every Parquet file is stamped with."""
    return {
        "study": name,
        "git_commit": git_commit() or "",
        "environment": json.dumps(environment()),
    }


def environment() -> dict[str, str]:
    """Versions of Python and the libraries that results depend on, and the processor."""
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processor": _processor(),
        **{library: version(library) for library in LIBRARIES},
    }


def code_sha256() -> str:
    """SHA-256 over the Python files of the three packages and their names."""
    root = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for path in sorted(path for package in PACKAGES for path in (root / package).rglob("*.py")):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def git_commit() -> str | None:
    """The commit of the checkout, `-dirty` where files differ; None outside a checkout."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude", "*"]
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return None
    return done.stdout.strip() or None


def now() -> str:
    """The time as ISO 8601 text in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
