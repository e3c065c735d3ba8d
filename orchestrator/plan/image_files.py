"""Where images are decoded that take too much of the memory: into files, mapped and removed."""

import atexit
import contextlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout

from orchestrator.plan.memory import GB, goes_to_file, image_bytes
from trainables.data.dataset import OpenedDataSet

LOCK = ".lock"


def with_room(dataset: OpenedDataSet, say: Callable[[str], None] = lambda _: None) -> OpenedDataSet:
    """The data set as it is, or decoded into files where that takes too much of the memory.

    Raises:
        ValueError: The files cannot be written.
    """
    if dataset.mapped_in is None or not goes_to_file(dataset):
        return dataset
    place = _new_place()
    say(
        f"Data: {image_bytes(dataset) / GB:.2g} GB of images would take more than half of the free "
        f"memory: they are decoded into files in {place}, which all trials of this machine map, "
        "and which are removed at the end. Trials on other machines have them from the object "
        "store."
    )
    return dataset.mapped_in(place)


def cache() -> Path:
    """The folder of such files."""
    return platformdirs.user_cache_path("transfer-study") / "decoded"


def _new_place() -> Path:
    """A folder that is removed when this process ends; what others left is removed now."""
    above = cache()
    try:
        above.mkdir(parents=True, exist_ok=True)
        with FileLock(above / LOCK):
            for left in above.glob("*/"):
                lock = FileLock(left / LOCK, timeout=0)
                with contextlib.suppress(Timeout):  # its process lives
                    lock.acquire()
                    _remove(left, lock)
            place = Path(tempfile.mkdtemp(dir=above))
            lock = FileLock(place / LOCK)  # held as long as this process lives
            lock.acquire()
    except OSError as error:
        raise ValueError(
            f"decoded images must have a place in {above}, but it cannot be written: {error}"
        ) from error
    atexit.register(_remove, place, lock)
    return place


def _remove(place: Path, lock: FileLock) -> None:
    lock.release()
    shutil.rmtree(place, ignore_errors=True)
