"""What a study will write at most at one time, held against what is free there."""

import os
import shutil
from pathlib import Path
from typing import Final

from orchestrator.cli import counted
from orchestrator.config.input_size import INPUT_SIZE
from orchestrator.config.settings import Settings
from orchestrator.forecast.workload import work_of
from orchestrator.plan.families import FamilyPlan
from orchestrator.plan.memory import FLOAT_BYTES
from orchestrator.plan.preflight import CheckedStudy
from trainables import checkpoints, registry
from trainables.family import Family

# A parameter with the two moments that Adam keeps of it, and its average.
STATE_FLOATS: Final = 4
# Checkpoints of a trial that are there while another is written.
STATES: Final = checkpoints.KEPT + 1
# A row of an epoch in the tables, which are there twice while they are written anew.
ROW_BYTES: Final = 2 * 200


class NoSpaceError(ValueError):
    """A study does not fit onto the disk."""


def check_disk_space(checked: CheckedStudy, *, at_a_time: int) -> None:
    """Rejects a study that would fill the disk with so many trials at a time: a `NoSpaceError`."""
    asked = forecast_bytes(checked, at_a_time=at_a_time)
    existing = next(path for path in (checked.folder, *checked.folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if asked > free:
        raise NoSpaceError(
            "checkpoints and tables must fit onto the disk, but of "
            f"{counted(at_a_time, 'trial')} at a time they take {_size(asked)} and {_size(free)} "
            f"are free in {existing}; make space, give another --results-dir, or fewer trials at a "
            "time (--max-concurrent)"
        )


def forecast_bytes(checked: CheckedStudy, *, at_a_time: int) -> int:
    """The checkpoints of the trials that run at a time, the finals' weights, and the tables.

    The weights of each winner's seeds are there twice where a file cannot have two names.

    A family with a trainer of its own has checkpoints of a size that nobody can know.
    """
    settings, inputs = checked.settings, checked.inputs
    parameters = {plan.name: parameters_of(plan, checked) for plan in checked.plans}
    work = work_of(list(parameters), settings)
    largest = FLOAT_BYTES * max(parameters.values())
    models = work.final_runs // len(parameters) + settings.seeds
    finals = FLOAT_BYTES * sum(parameters.values()) * models
    # Of most data sets the test part is no more than a fifth.
    _, test_images = inputs.dataset.image_counts or (0, len(inputs.training) // 5)
    predictions = 2 * work.final_runs * test_images * len(inputs.dataset.classes) * FLOAT_BYTES
    rows = ROW_BYTES * (work.search_epochs + work.final_epochs)
    return at_a_time * STATES * STATE_FLOATS * largest + finals + predictions + rows


def parameters_of(plan: FamilyPlan, checked: CheckedStudy) -> int:
    """How many parameters a family's baseline has; 0 where its network cannot be built bare."""
    family = registry.load_family(plan.name)
    build = family.standalone[-1] if family.standalone else family.build
    if family.trainer != Family.trainer or (family.pretrained and not family.standalone):
        return 0
    # PyTorch takes seconds, and most commands do not ask.
    from trainables.training import model_size  # noqa: PLC0415 (torch takes seconds)

    size = plan.baseline.get(INPUT_SIZE) or checked.inputs.training.images.shape[1]
    classes = len(checked.inputs.dataset.classes)
    config = {**family.fixed, **plan.baseline, "num_classes": classes, INPUT_SIZE: size}
    try:
        return model_size.parameter_counts(model_size.without_memory(lambda: build(config)))[0]
    except Exception:  # noqa: BLE001 (somebody's own; where it matters, its trials say so)
        return 0


def least_at_a_time(settings: Settings) -> int:
    """Trials at a time before the cluster is known."""
    return min(settings.max_concurrent or 1, os.cpu_count() or 1)


def full_disk(error: BaseException, folder: Path) -> str | None:
    """A line on a disk that became full or read-only; None where the error is another."""
    if not checkpoints.is_full(error):
        return None
    reason, file = getattr(error, "strerror", None) or error, getattr(error, "filename", None)
    where = Path(file).parent if isinstance(file, str) else folder
    named = f"{reason}: {file}" if isinstance(file, str) else reason
    if getattr(error, "errno", None) not in checkpoints.FULL:
        return f"the disk does not take what the study must keep: {named}; mend that and go on"
    return f"the disk is full: {named}; {_left(where)} in {where}; make space and go on"


def _left(folder: Path) -> str:
    """What a folder's file system still takes: bytes, if it takes another file."""
    try:
        found = os.statvfs(folder)
    except OSError as error:
        return f"nothing is known to be free ({error.strerror})"
    if found.f_files and not found.f_favail:
        return "no more files are free (inodes)"
    return f"{_size(found.f_bavail * found.f_frsize)} are free"


def _size(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024:  # noqa: PLR2004 (bytes in a KiB, and so on)
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
