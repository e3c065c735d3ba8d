"""What images and predictions take of this machine's memory, and files for what it cannot hold."""

import atexit
import contextlib
import math
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import platformdirs
from filelock import FileLock, Timeout

from orchestrator.config.settings import Settings
from orchestrator.forecast.workload import work_of
from trainables import device_memory
from trainables.data.dataset import OpenedDataSet

FLOAT_BYTES: Final = 4
# By default Ray's object store takes this share of what is free when it starts, which is once the
# images are decoded; what it has no room for is on the disk.
STORE_SHARE: Final = 0.3
# Comparing predictions takes so many times their size: the table, and each run of it in float64
# (peaks of 4.6 and 4.1 times 96 and 384 MB were measured).
COPIES_COMPARED: Final = 4
SHARE_IN_MEMORY: Final = 0.5
"""Of what is free: images that take more are decoded into a file. Ray's store has them again, and
libraries, networks and other processes need the rest."""
_NO_LIMIT: Final = 1 << 60  # control groups without one name a number beyond any memory
GB: Final = 1e9
MIB: Final = 1 << 20
ASKED_OF_GPUS: Final = ("nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits")
ANSWER_SECONDS: Final = 15.0
# Locked as long as the process lives that maps a folder's images.
IN_USE: Final = ".lock"


def check_memory(settings: Settings, families: Sequence[str], dataset: OpenedDataSet) -> None:
    """Rejects a study whose images and predictions cannot be held, before any is decoded.

    Only what is certain counts: not what libraries, networks and other processes take. Where the
    data set does not say how large it is, or the system not how much is free, nothing is refused.

    Raises:
        ValueError: They take more than is free.
    """
    free = free_bytes()
    if free is None or dataset.image_counts is None or dataset.image_shape is None:
        return
    training, test = dataset.image_counts
    height, width, _ = dataset.image_shape
    mapped = goes_to_file(dataset)
    images = 0 if mapped else image_bytes(dataset)
    stored = min(images, STORE_SHARE * max(0.0, free - images))
    runs = work_of(families, settings).final_runs
    predictions = COPIES_COMPARED * test * len(dataset.classes) * runs * FLOAT_BYTES
    asked = images + stored + predictions
    if asked > free:
        raise ValueError(
            f"images and predictions must fit into the free memory, {free / GB:.1f} GB, but "
            f"take at least {asked / GB:.1f} GB: {training + test:,} images of {height}x{width} "
            f"pixels {images / GB:.1f} GB{' beside a file' if mapped else ''}, "
            f"{stored / GB:.1f} GB of these again in Ray's object store, and comparing {runs:,} "
            f"final runs on {test:,} test images of "
            f"{len(dataset.classes):,} classes {predictions / GB:.1f} GB; take fewer images or "
            "smaller ones (--image-size N, where they are your own), fewer --seeds or "
            "--train-fractions, or a machine with more memory"
        )


def image_bytes(dataset: OpenedDataSet) -> int:
    """What all decoded images of a data set take, once; 0 where it does not say."""
    if dataset.image_counts is None or dataset.image_shape is None:
        return 0
    return sum(dataset.image_counts) * math.prod(dataset.image_shape)


def goes_to_file(dataset: OpenedDataSet) -> bool:
    """Whether its images are to be in a file, not in memory, and can."""
    free, images = free_bytes(), image_bytes(dataset)
    if free is None or dataset.mapped_in is None or images <= SHARE_IN_MEMORY * free:
        return False
    place = platformdirs.user_cache_path()
    existing = next(path for path in (place, *place.parents) if path.exists())
    return images < shutil.disk_usage(existing).free


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


def decoded_cache() -> Path:
    """The folder of such files."""
    return platformdirs.user_cache_path("transfer-study") / "decoded"


def _new_place() -> Path:
    """A folder that is removed when this process ends; what others left is removed now."""
    above = decoded_cache()
    try:
        above.mkdir(parents=True, exist_ok=True)
        with FileLock(above / IN_USE):
            for left in above.glob("*/"):
                lock = FileLock(left / IN_USE, timeout=0)
                with contextlib.suppress(Timeout):  # its process lives
                    lock.acquire()
                    _remove(left, lock)
            place = Path(tempfile.mkdtemp(dir=above))
            lock = FileLock(place / IN_USE)  # held as long as this process lives
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


def fed_to_gpu(settings: Settings, images: int) -> str | None:
    """Why trials on GPUs of this machine will be fed their images, of so many bytes, in parts.

    Each trial decides it by the GPU that it gets; nothing is refused for it.

    Returns:
        A sentence; None where they fit, or there is no GPU here, or none that tells its memory.
    """
    share = 1.0 if settings.gpus_per_trial is None else settings.gpus_per_trial
    if not share or images <= device_memory.PART_BYTES:
        return None
    gpus = gpu_bytes()
    limit = int(device_memory.SHARE_FOR_IMAGES * share * min(gpus, default=0))
    if not limit or images <= limit:
        return None
    return f"{device_memory.why_fed(images, limit, device_memory.part_bytes(limit))}."


def gpu_bytes() -> list[int]:
    """The memory of each GPU of this machine, by NVIDIA's own tool; none where it is not there."""
    with contextlib.suppress(OSError, ValueError, subprocess.SubprocessError):
        answer = subprocess.check_output(
            ASKED_OF_GPUS, stderr=subprocess.DEVNULL, text=True, timeout=ANSWER_SECONDS
        )
        return [int(line) * MIB for line in answer.splitlines()]
    return []


def free_bytes(root: Path = Path("/")) -> int | None:
    """What can be had of this machine's memory without taking it from another process.

    Swap space counts, and the limits of the control groups that this process is in, as `proc` and
    `sys` below the root tell; None where the system does not tell, which only Linux does.
    """
    try:
        sizes = _numbers(root / "proc/meminfo")
        left = [max(0, limit - used) for limit, used in _limits(root)]
        return min([1024 * (sizes["MemAvailable"] + sizes["SwapFree"]), *left])
    except (OSError, ValueError, KeyError):
        return None


def _limits(root: Path) -> Iterator[tuple[int, int]]:
    """Limit and use of each control group above this process, by either of Linux's two ways.

    What holds files there can be given back, so it counts as free, as it does of a whole machine.
    """
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, own = line.split(":", 2)
        mount, limit, used, prefix = root / "sys/fs/cgroup", "memory.max", "memory.current", ""
        if "memory" in controllers.split(","):
            mount, limit = mount / "memory", "memory.limit_in_bytes"
            used, prefix = "memory.usage_in_bytes", "total_"
        elif controllers:
            continue
        group = mount / own.lstrip("/")
        for folder in (group, *group.parents):
            if not folder.is_relative_to(mount) or not (folder / limit).is_file():
                continue  # the root has no limit, and a container does not see those above it
            text = _read(folder / limit).strip()
            if text != "max" and int(text) < _NO_LIMIT:
                kinds = _numbers(folder / "memory.stat")
                files = kinds[f"{prefix}active_file"] + kinds[f"{prefix}inactive_file"]
                yield int(text), int(_read(folder / used)) - files


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _numbers(path: Path) -> dict[str, int]:
    """The first number of each line, by the word before it."""
    lines = map(str.split, _read(path).splitlines())
    return {name.rstrip(":"): int(number) for name, number, *_ in lines}
