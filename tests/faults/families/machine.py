"""What does the orchestrator do where machines fail? A curve by formula, and real faults."""

import contextlib
import mmap
import os
import signal
import time
import warnings
from pathlib import Path
from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution
from trainables.families.curve import CurveTrainer, build

from search_spaces.dimension import Dimension
from trainables.family import Family

FAULTS = ("none", "fill", "kernel", "freeze", "terminate", "odd", "tell", "disk")
CGROUP = "STUDY_MACHINE_CGROUP"
DISK = "STUDY_MACHINE_DISK"
"""The variable that names the folder of the file that fills a disk."""
TOLD = "STUDY_TOLD"
"""Names of the variables of the environment that an error tells, with blanks between."""


class OddError(Exception):
    """Cannot be read back from a pickle."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")


class MachineTrainer(CurveTrainer):
    """A curve whose second epoch meets a real fault; `fill` and `kernel` in each attempt."""

    def __init__(self, family: Family, params: Any, data: Any, **rest: Any) -> None:
        super().__init__(family, {**params, "fault": "none"}, data, **rest)
        self.fault = params["fault"]

    def train_epoch(self) -> dict[str, Any]:
        if self.epoch == 1 and not (self.resumed and self.fault == "freeze"):
            _meet(self.fault)
        return super().train_epoch()


def _meet(fault: str) -> None:
    if fault == "kernel":
        Path(os.environ[CGROUP], "cgroup.procs").write_text(str(os.getpid()))
    if fault in {"fill", "kernel"}:
        held = []
        for _ in range(64):
            held.append(mmap.mmap(-1, 2**27))
            held[-1].write(b"1" * 2**27)
            time.sleep(0.02)
        time.sleep(60)
    if fault == "disk" and DISK in os.environ:
        with Path(os.environ[DISK], "others").open("ab", 0) as file, contextlib.suppress(OSError):
            while file.write(b"x" * 4096):
                pass  # until there is no space
    if fault == "freeze":
        os.kill(os.getpid(), signal.SIGSTOP)
    if fault == "terminate":
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
    if fault == "odd":
        raise OddError(os.getpid(), "boom")
    if fault == "tell":
        found = {name: os.environ[name] for name in os.environ[TOLD].split()}
        warnings.warn(f"refused with {found}", stacklevel=1)
        message = f"refused with {sorted(found.values())} as {found}"
        raise RuntimeError(message)


FAMILY = Family(
    name="machine",
    build=build,
    search_space={
        "skill": Dimension(values=FloatDistribution(0.1, 1.0), meaning="accuracy in the end"),
        "fault": Dimension(values=CategoricalDistribution(FAULTS), meaning="what goes wrong"),
    },
    baseline={"skill": 0.5, "fault": "none"},
    trainer="trainables.families.machine:MachineTrainer",
)
