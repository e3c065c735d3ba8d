"""The main job: plan, search, choose, re-train, test once, compare.

`python -m orchestrator.study --families all`
"""

import argparse
import contextlib
import os
import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from orchestrator.cli import DONE, INCOMPLETE, INFRASTRUCTURE, fail
from orchestrator.config import flags as options
from orchestrator.config.settings import Settings
from orchestrator.results.lock import HeldError
from orchestrator.run.signals import Interruption

if TYPE_CHECKING:
    from orchestrator.plan.preflight import CheckedStudy
    from orchestrator.run.session import Session
    from trainables.data.dataset import LabeledImages


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    flags = options.parse(arguments)
    console = Console(markup=False, emoji=False)  # a path is printed as it is
    with contextlib.ExitStack() as held:
        try:
            checked = _check(flags, held, console)
        except HeldError as error:
            return fail("study", error, INFRASTRUCTURE)
        except ValueError as error:
            if flags.debug:
                raise
            return fail("study", error)
        if flags.dry_run:
            return _dry_run(checked, console)
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
    from orchestrator.plan import preflight as checking

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


def _dry_run(checked: "CheckedStudy", console: Console) -> int:
    """Prints what would run and what it would cost; asks a cluster only if one is named."""
    from orchestrator.forecast.estimate import cost_sentences, missing_prices, time_sentences
    from orchestrator.plan.preflight import forecast_of
    from orchestrator.plan.summary import print_spaces

    print_spaces(console, checked.plans)
    forecast = forecast_of(checked.settings, checked.plans, checked.inputs, name=checked.name)
    address = checked.settings.address or os.environ.get("RAY_ADDRESS")
    if address and address != "local":
        from orchestrator.run.cluster import InfrastructureError, connect, reserve
        from orchestrator.run.opening import cluster_line, reserved_forecast

        try:
            cluster = connect(address, console)
            reservation = reserve(checked.settings, cluster)
        except InfrastructureError as error:
            return fail("study", error, INFRASTRUCTURE)
        console.print(cluster_line(cluster, reservation))
        forecast = reserved_forecast(checked, reservation)
        for sentence in time_sentences(forecast):
            console.print(sentence)
    if forecast.device_hours is not None:
        for sentence in cost_sentences(forecast.prices, forecast.device_hours):
            console.print(sentence)
    for sentence in missing_prices(forecast.prices):
        console.print(sentence)
    return DONE


def run(session: "Session") -> bool:
    """Searches, chooses, re-trains, tests once, compares, verifies and reports.

    Returns:
        Whether every family was compared and the study is sound.
    """
    from orchestrator.run.finals_phase import run_finals
    from orchestrator.run.search_phase import choose, restore_search, run_search

    session.console.print(f"Study {session.name} writes to {session.folder}")
    with session.noting_outcome():
        shared = session.share_data()
        search = restore_search(session)  # a new study's has no rows
        with session.writer.running():
            run_search(session, search, shared)
            choice = choose(session, search)  # on disk before the test set is opened
            complete, test = run_finals(session, search, choice, shared)
        session.remove_checkpoints()
        done = complete and not search.searcher.halted
        compare(session)
        session.manifest.end("completed" if done else "incomplete")
    sound = verify(session)
    report(session, test)
    return done and sound


def _run(checked: "CheckedStudy", held: contextlib.ExitStack, console: Console) -> int:
    """Runs a checked study; an error from here on is no wrong input, and keeps its traceback."""
    from orchestrator.run.cluster import InfrastructureError
    from orchestrator.run.opening import open_study

    with Interruption().listening() as interruption:
        try:
            with open_study(checked, held, interruption, console) as session:
                return DONE if run(session) else INCOMPLETE
        except (InfrastructureError, HeldError) as error:
            return fail("study", error, INFRASTRUCTURE)
        except KeyboardInterrupt:
            _say_how_to_resume(checked, console)
            return interruption.exit_code


def compare(session: "Session") -> None:
    """Compares all models on the test set, from the stored predictions."""
    from orchestrator.compare.within_study import write_comparison

    write_comparison(session.folder, session.console)
    session.console.print(f"Results: {session.folder}")


def verify(session: "Session") -> bool:
    """Whether the study, as stored, is consistent."""
    from orchestrator.verify.runner import verify as check

    verdict = check(session.folder, sources=False)
    for problem in verdict.problems:
        session.console.print(f"WRONG, {problem.check}: {problem.sentence}", style="bold")
    if not verdict.problems:
        session.console.print(f"Verified: {verdict.checks} checks, nothing wrong")
    return not verdict.problems


def report(session: "Session", test: "LabeledImages | None") -> None:
    """Writes the page that people look at; the study is done, whatever becomes of it."""
    from orchestrator.analysis.confusion_examples import write_examples
    from orchestrator.report.write import write_report
    from orchestrator.results.files import read_table
    from orchestrator.stats.predictions import split_runs

    try:
        if test is not None:  # images of the worst confusions, if the test part was decoded
            runs = split_runs(read_table(session.folder, "predictions"))
            write_examples(session.folder, runs, test.images)
        (path,) = write_report(session.folder)
    except (ValueError, OSError) as error:
        reason = " ".join(str(error).split())
        session.console.print(f"The report could not be written: {reason}", style="bold")
        return
    session.console.print(f"Report: {path}", soft_wrap=True)


def _say_how_to_resume(checked: "CheckedStudy", console: Console) -> None:
    if not (checked.folder / "study.json").exists():
        console.print("Interrupted before the study began; nothing was written.")
        return
    command = ["python", "-m", "orchestrator.study", "--resume", checked.name]
    if checked.settings.results_dir != Settings.results_dir:
        command += ["--results-dir", checked.settings.results_dir]
    console.print("Interrupted; all finished epochs are kept. To go on:")
    console.print(f"  {shlex.join(command)}", soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
