"""Content of `study.json` at the start of a run."""

import os
import platform
from typing import Any

from orchestrator.config.rungs import offered_rungs
from orchestrator.config.sampler import SAMPLER
from orchestrator.config.settings import to_json
from orchestrator.config.sources import demo_notes
from orchestrator.plan.preflight import CheckedStudy
from orchestrator.results import schema
from orchestrator.results.code_version import code_sha256, git_commit
from orchestrator.results.manifest import environment, now
from orchestrator.results.states import Outcome
from orchestrator.run.cluster import Cluster, Reservation
from trainables.weights.chosen import ChosenWeights


def describe(
    checked: CheckedStudy,
    *,
    weights: ChosenWeights | None,
    cluster: Cluster,
    reservation: Reservation,
) -> dict[str, Any]:
    """The content of `study.json` at the start of a run."""
    settings, plans, inputs = checked.settings, checked.plans, checked.inputs
    started_at = now()
    code = {
        "code_sha256": code_sha256([plan.name for plan in plans], settings.dataset),
        "git_commit": git_commit(),
    }
    return {
        "name": checked.name,
        "schema_version": schema.SCHEMA_VERSION,
        "outcome": Outcome.RUNNING,
        "started_at": started_at,
        "ended_at": None,
        "settings": {
            **to_json(settings),
            "families": [plan.name for plan in plans],
            "precision": settings.precision_on(reservation.device),
        },
        "rungs": offered_rungs(settings),
        "sampler": dict(SAMPLER),
        "demo": demo_notes(
            settings,
            train_images=len(inputs.split.train),
            pretrained=any(plan.pretrained for plan in plans),
        ),
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
            "test_files": sorted(inputs.dataset.test_files),
            "train_images": len(inputs.split.train),
            "validation_images": len(inputs.split.validation),
            "own_validation": inputs.dataset.own_validation > 0,
            "train_images_by_fraction": {str(f): len(i) for f, i in inputs.train.items()},
            "image_shape": list(inputs.training.images.shape[1:]),
            "split_sha256": inputs.split.digest,
            "notes": list(inputs.notes),
        },
        "weights": None if weights is None else weights.to_json(),
        **code,
        "environment": environment(),
        "cluster": {
            "kind": cluster.kind,
            "nodes": len(cluster.present),
            "cpus": cluster.cpus,
            "gpus": cluster.gpus,
            "cpus_per_trial": reservation.cpus,
            "gpus_per_trial": reservation.gpus,
            "max_concurrent": reservation.max_concurrent,
            "device_type": reservation.device_type,
        },
        "runs": [
            {
                "started_at": started_at,
                "ended_at": None,
                "outcome": Outcome.RUNNING,
                "host": platform.node(),
                "pid": os.getpid(),
                **code,
            }
        ],
    }
