"""The main job: plan, search, choose, re-train, test once, compare.

`python -m orchestrator.study --families all`
"""

import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from rich.console import Console

from orchestrator import options
from orchestrator.settings import DEMO_NOTES, Settings

if TYPE_CHECKING:
    from orchestrator.preparation import CheckedStudy

DONE, INCOMPLETE, WRONG_INPUT, INFRASTRUCTURE = 0, 1, 2, 3
INTERRUPTED, TERMINATED = 130, 143


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    flags = options.parse(arguments)
    console = Console()
    try:
        checked = _check(options.settings_of(flags), console)
    except ValueError as error:
        if flags.debug:
            raise
        _complain(error)
        return WRONG_INPUT
    if flags.dry_run:
        from orchestrator.planning import print_spaces

        print_spaces(console, checked.plans)
        return DONE
    return _run(checked, console)


def _check(settings: Settings, console: Console) -> "CheckedStudy":
    """Checks everything that can be wrong before anything is written or started.

    Raises:
        ValueError: An input is wrong.
    """
    from orchestrator.planning import plan_families, print_plan
    from orchestrator.preparation import CheckedStudy, prepare

    plans = plan_families(settings)
    name = settings.name or f"{settings.preset}-{settings.dataset}-{time.strftime('%Y%m%d-%H%M%S')}"
    folder = (Path(settings.results_dir).expanduser() / name).resolve()
    if (folder / "study.json").exists():
        message = f"--name must be new, but {folder} holds a study already"
        raise ValueError(message)
    if settings.preset == "demo":
        for note in DEMO_NOTES:
            console.print(note, style="bold")
    inputs = prepare(settings, plans)
    print_plan(console, plans, settings, train_images=len(inputs.split.train))
    return CheckedStudy(name=name, folder=folder, settings=settings, plans=plans, inputs=inputs)


def _run(checked: "CheckedStudy", console: Console) -> int:
    """Runs a checked study; an error from here on is no wrong input, and keeps its traceback."""
    from orchestrator.cluster import InfrastructureError
    from orchestrator.running import run_study

    received = _listen_for_sigterm()
    try:
        done = run_study(checked, console)
    except InfrastructureError as error:
        _complain(error)
        return INFRASTRUCTURE
    except KeyboardInterrupt:
        done = None
    if done is None:
        console.print(f"Interrupted; what was found so far is in {checked.folder}")
        return TERMINATED if received else INTERRUPTED
    return DONE if done else INCOMPLETE


def _complain(error: Exception) -> None:
    """Says what is wrong in one line, which Rich would wrap."""
    sys.stderr.write(f"study: {' '.join(str(error).split())}\n")


def _listen_for_sigterm() -> list[int]:
    """Turns SIGTERM into the SIGINT that Tune ends a run on; returns where it is noted."""
    received: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        del frame
        received.append(number)
        os.kill(os.getpid(), signal.SIGINT)

    signal.signal(signal.SIGTERM, interrupt)
    return received


if __name__ == "__main__":
    sys.exit(main())
