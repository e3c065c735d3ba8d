"""A search as `orchestrator.run` puts it together, and the epochs that its trials report."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.config.rungs import offered_rungs
from orchestrator.config.searches import list_searches
from orchestrator.config.settings import Settings
from orchestrator.plan.families import FamilyPlan
from orchestrator.results import schema
from orchestrator.search.family_searcher import FamilySearch
from orchestrator.search.ray_asha import RayRungs
from orchestrator.search.samplers import MAKE, MakeSampler
from orchestrator.search.scheduler import FamilyASHA
from orchestrator.trials.recorder import Recorder
from orchestrator.trials.table_writer import TableWriter


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts of a search."""

    recorder: Recorder
    scheduler: FamilyASHA
    searcher: FamilySearch
    writer: TableWriter

    def take(self, tune: Any, result: dict[str, Any]) -> bool:
        """What follows from a report, in the order in which Tune has it.

        Args:
            tune: Tune's trial, or what stands for it.
            result: What it reports.

        Returns:
            Whether the trial goes on.
        """
        if not result["done"] and self.scheduler.on_trial_result(None, tune, result) != "STOP":
            return True
        self.scheduler.on_trial_complete(None, tune, result)
        self.searcher.on_trial_complete(tune.trial_id, result)
        return False


def make_parts(
    folder: Path,
    plans: Sequence[FamilyPlan],
    settings: Settings,
    *,
    sampler: MakeSampler | None = None,
) -> Parts:
    """A search without any trial.

    Args:
        folder: Where its tables go, if they are written.
        plans: The families.
        settings: The study's.
        sampler: See `FamilySearch`; None: the settings'.
    """
    names = [plan.name for plan in plans]
    writer = TableWriter(folder, schema.schemas(plan.full_space for plan in plans), {})
    recorder = Recorder(
        study="benchmark",
        folder=folder,
        writer=writer,
        devices_per_trial=1.0,
        device="cuda",
        epochs_table="epochs",
        events=[],
    )
    rungs = RayRungs(
        names,
        rungs=offered_rungs(settings),
        epochs=settings.epochs,
        reduction_factor=settings.reduction_factor,
    )
    scheduler = FamilyASHA(recorder, rungs)
    searcher = FamilySearch(
        recorder,
        plans,
        list_searches(names, settings.train_fractions, per_fraction=False),
        trials=settings.trials,
        seed=settings.seed,
        epochs=settings.epochs,
        max_attempts=settings.max_attempts,
        first_cut=scheduler.first_cut,
        by_device_time=True,
        sampler=sampler or MAKE[settings.sampler],
    )
    return Parts(recorder=recorder, scheduler=scheduler, searcher=searcher, writer=writer)


def report(epoch: int, accuracy: float, *, epochs: int) -> dict[str, Any]:
    """What a trial's process reports of an epoch.

    Args:
        epoch: Counted from 1.
        accuracy: On both splits, from 0 to 1.
        epochs: Of a whole trial.
    """
    metrics = dict.fromkeys(("accuracy", "precision", "recall"), accuracy)
    return {
        "epoch": epoch,
        "train_loss": 1 - accuracy,
        "train_accuracy": accuracy,
        "validation_loss": 1 - accuracy,
        **{f"validation_{name}": value for name, value in metrics.items()},
        "learning_rate": 1e-4,
        "epoch_seconds": 10.0,
        "images_per_second": 4500.0,
        "device_memory_peak_bytes": 2**31,
        "node": "node-1",
        "done": epoch == epochs,
    }
