"""What a study will write at most at one time, held against what is free there."""

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from orchestrator.cli import counted
from orchestrator.config.input_size import INPUT_SIZE
from orchestrator.config.settings import Settings
from orchestrator.forecast.workload import work_of
from orchestrator.plan.families import FamilyPlan
from orchestrator.plan.memory import FLOAT_BYTES
from orchestrator.plan.preflight import CheckedStudy
from search_spaces.baseline import Params
from search_spaces.dimension import ends_of
from trainables import checkpoints, registry
from trainables.family import Family

# A parameter with the two moments that Adam keeps of it, and its average.
STATE_FLOATS: Final = 4
# Checkpoints of a trial that are there while another is written.
STATES: Final = checkpoints.KEPT + 1
# For the networks of a family's space to be built in, without memory for their weights.
MOST_SECONDS: Final = 5.0
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
            f"{counted(at_a_time, 'trial')} at a time they take {_size(asked)}, as the largest "
            f"networks of the search spaces, and {_size(free)} are free in {existing}; make space, "
            "give another --results-dir, fewer trials at a time (--max-concurrent), or a smaller "
            "space"
        )


def forecast_bytes(checked: CheckedStudy, *, at_a_time: int) -> int:
    """The checkpoints of the trials that run at a time, the finals' weights, and the tables.

    Any of the trials, and each winner, may be the largest network of its space. The weights of each
    winner's seeds are there twice where a file cannot have two names.

    A family with a trainer of its own has checkpoints of a size that nobody can know.
    """
    settings, inputs = checked.settings, checked.inputs
    parameters = [parameters_of(plan, checked) for plan in checked.plans]
    work = work_of([plan.name for plan in checked.plans], settings)
    baselines, largest = sum(few for few, _ in parameters), sum(most for _, most in parameters)
    of_a_role = work.final_runs // (2 * len(parameters))
    finals = FLOAT_BYTES * (of_a_role * baselines + (of_a_role + settings.seeds) * largest)
    # Of most data sets the test part is no more than a fifth.
    _, test_images = inputs.dataset.image_counts or (0, len(inputs.training) // 5)
    predictions = 2 * work.final_runs * test_images * len(inputs.dataset.classes) * FLOAT_BYTES
    rows = ROW_BYTES * (work.search_epochs + work.final_epochs)
    states = STATES * STATE_FLOATS * FLOAT_BYTES * max(most for _, most in parameters)
    return at_a_time * states + finals + predictions + rows


def parameters_of(plan: FamilyPlan, checked: CheckedStudy) -> tuple[int, int]:
    """How many parameters a family's baseline has, and the largest network of its space.

    Of numbers the ends are tried, one dimension after another; of a network that takes its time no
    more than a few seconds. 0 where it cannot be built bare.
    """
    family = registry.load_family(plan.name)
    if family.trainer != Family.trainer or (family.pretrained and not family.standalone):
        return 0, 0
    # PyTorch takes seconds, and most commands do not ask.
    from trainables.training import model_size  # noqa: PLC0415 (torch takes seconds)

    build = family.standalone[-1] if family.standalone else family.build
    edge = checked.inputs.training.images.shape[1]
    given = {**family.fixed, "num_classes": len(checked.inputs.dataset.classes)}

    def count(params: Params) -> tuple[int, set[str]]:
        config = _Read({**given, **params, INPUT_SIZE: params.get(INPUT_SIZE) or edge})
        try:
            network = model_size.without_memory(lambda: build(config))
            return model_size.parameter_counts(network)[0], config.names
        except (Exception, SystemExit):  # noqa: BLE001 (somebody's own; where it matters, trials say so)
            return 0, set()

    until, (baseline, read) = time.monotonic() + MOST_SECONDS, count(plan.baseline)
    most, params = baseline, dict(plan.baseline)
    for name in sorted(read & plan.space.keys()):
        for value in ends_of(plan.space[name]):
            if value != params[name] and time.monotonic() < until:
                found, _ = count({**params, name: value})
                if found > most:
                    most, params = found, {**params, name: value}
    return baseline, most


class _Read(dict[str, Any]):
    """A configuration that notes the `names` that are read of it."""

    def __init__(self, values: Params) -> None:
        super().__init__(values)
        self.names = set[str]()

    def __getitem__(self, name: str) -> Any:
        self.names.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return super().get(name, default)

    def __iter__(self) -> Iterator[str]:  # else `**` would copy it without asking for each
        return super().__iter__()


def least_at_a_time(settings: Settings) -> int:
    """Trials at a time before the cluster is known."""
    return min(settings.max_concurrent or 1, os.cpu_count() or 1)


def machine_fault(error: BaseException, folder: Path) -> str | None:
    """A line on a disk that became full or read-only, or lost a trial's files; None for others."""
    if type(error) is checkpoints.NotKeptError and os.path.lexists(folder / "study.json"):
        return (
            f"a trial's files cannot be had: {error.strerror}; put back what is gone (a trial "
            "without checkpoints is trained anew) and go on"
        )
    if not checkpoints.is_full(error):
        return None
    reason, file = getattr(error, "strerror", None) or error, getattr(error, "filename", None)
    where = Path(file).parent if isinstance(file, str) else _fullest(folder)
    named = f"{reason}: {file}" if isinstance(file, str) else reason
    if getattr(error, "errno", None) not in checkpoints.FULL:
        return f"the disk does not take what the study must keep: {named}; mend that and go on"
    return f"the disk is full: {named}; {_left(where)} in {where}; make space and go on"


def _fullest(folder: Path) -> Path:
    """A study's folder or, where its disk has more room, the one of temporary files, as Ray's."""
    temporary = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp"
    free = {}
    for each in (folder, Path(temporary)):
        with contextlib.suppress(OSError):
            free[each] = shutil.disk_usage(each).free
    return min(free, key=lambda each: free[each], default=folder)


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
