"""The main job: plan, search, choose, re-train, test once, compare.

`python -m orchestrator.study --families all`
"""

import argparse
import contextlib
import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from orchestrator import options
from orchestrator.interruption import Interruption
from orchestrator.locking import HeldError
from orchestrator.settings import Settings

if TYPE_CHECKING:
    from orchestrator.checking import CheckedStudy

DONE, INCOMPLETE, WRONG_INPUT, INFRASTRUCTURE = 0, 1, 2, 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    flags = options.parse(arguments)
    console = Console(markup=False, emoji=False)  # a path is printed as it is
    with contextlib.ExitStack() as held:
        try:
            checked = _check(flags, held, console)
        except HeldError as error:
            return _complain(error, INFRASTRUCTURE)
        except ValueError as error:
            if flags.debug:
                raise
            return _complain(error, WRONG_INPUT)
        if flags.dry_run:
            from orchestrator.planning import print_spaces

            print_spaces(console, checked.plans)
            return DONE
        return _run(checked, held, console)


def _check(
    flags: argparse.Namespace, held: contextlib.ExitStack, console: Console
) -> "CheckedStudy":
    """Checks everything that can be wrong before anything is written or started.

    Raises:
        HeldError: The study to resume has a driver.
        ValueError: An input is wrong.
    """
    options.check_resume(flags)
    settings = options.settings_of(flags) if flags.resume is None else None
    from orchestrator import checking

    if settings is not None:
        return checking.check_new(settings, console)
    folder = checking.folder_of(options.results_dir_of(flags), flags.resume)
    stored = checking.study_to_resume(folder)["settings"]
    return checking.check_resumed(
        options.settings_of(flags, stored),
        folder,
        held,
        console,
        accept_code_change=flags.accept_code_change,
    )


def _run(checked: "CheckedStudy", held: contextlib.ExitStack, console: Console) -> int:
    """Runs a checked study; an error from here on is no wrong input, and keeps its traceback."""
    from orchestrator.cluster import InfrastructureError
    from orchestrator.running import run_study

    with Interruption().listening() as interruption:
        try:
            done = run_study(checked, held, interruption, console)
        except (InfrastructureError, HeldError) as error:
            return _complain(error, INFRASTRUCTURE)
        except KeyboardInterrupt:
            done = None
        if done is None:
            _say_how_to_resume(checked, console)
            return interruption.exit_code
    return DONE if done else INCOMPLETE


def _say_how_to_resume(checked: "CheckedStudy", console: Console) -> None:
    if not (checked.folder / "study.json").exists():
        console.print("Interrupted before the study began; nothing was written.")
        return
    command = ["python", "-m", "orchestrator.study", "--resume", checked.name]
    if checked.settings.results_dir != Settings.results_dir:
        command += ["--results-dir", checked.settings.results_dir]
    console.print("Interrupted; all finished epochs are kept. To go on:")
    console.print(f"  {shlex.join(command)}", soft_wrap=True)


def _complain(error: Exception, code: int) -> int:
    """Says what is wrong in one line, which Rich would wrap."""
    sys.stderr.write(f"study: {' '.join(str(error).split())}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
