"""The main job: plan, search, choose, re-train, test once, compare, verify, report.

`python -m orchestrator.study --families all`

What its steps are made of: `plan` checks what will run, `run` has Ray train trials, `search` says
which comes next and which goes on, `trials` keeps their rows, `results` is the study on disk;
`compare`, `verify` and `report` read it there. None of them imports this file.
"""

import argparse
import contextlib
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from orchestrator import cli
from orchestrator.config import flags, sources
from orchestrator.extras import check_installed
from orchestrator.results.lock import HeldError
from orchestrator.run.infrastructure import InfrastructureError
from orchestrator.terminal import Terminal
from trainables.data.offline import not_fetched, offline

OF_A_PLACE: Final = (
    *("precision", "device_type", "cpus_per_trial", "gpus_per_trial", "memory_per_trial"),
)
"""Settings that not every machine can give a trial."""

if TYPE_CHECKING:
    from rich.console import Console

    from orchestrator.config.settings import Settings
    from orchestrator.plan.preflight import CheckedStudy
    from orchestrator.run.session import Session
    from trainables.data.dataset import LabeledImages


def run(session: "Session") -> bool:
    """The study, from wherever its rows say it is.

    Returns:
        Whether every family was compared and the stored study is valid.
    """
    from orchestrator.compare.render import print_answer
    from orchestrator.compare.within_study import write_comparison
    from orchestrator.run import finals_phase, search_phase

    session.console.print(f"Study {session.name} writes to {session.folder}")
    with session.noting_outcome():
        shared = session.share_data()  # data and weights, one copy a node
        search = search_phase.restore_search(session)  # a new study has no rows yet
        with session.writer.running():  # rows reach the disk, whatever happens
            # Optuna proposes, Ray trains, ASHA stops the weak.
            search_phase.run_search(session, search, shared)
            # By validation alone, and on disk from here on.
            choice = search_phase.choose(session, search)
            # Opens the test set, once.
            complete, test = finals_phase.retrain_and_test(session, search, choice, shared)
        session.remove_checkpoints()
        found = write_comparison(session.folder, session.console)  # on the test set, as stored
        session.end(complete=complete and not search.searcher.failed_families)
    valid = verify(session)
    report(session, test)
    print_answer(session.console, found)
    return session.completed and valid


def verify(session: "Session") -> bool:
    """Whether the study, as stored, is what it must be."""
    from orchestrator.verify import runner

    verdict = runner.verify(session.folder, sources=False)
    for problem in verdict.problems:
        session.console.print(f"WRONG, {problem.check}: {problem.sentence}", style="bold")
    if not verdict.problems:
        session.console.print(f"Verified: {verdict.checks} checks, nothing wrong")
    return not verdict.problems


def report(session: "Session", test_part: "LabeledImages | None") -> None:
    """Writes the page that people look at; the study is done, whatever becomes of it."""
    from orchestrator.analysis.confusion_examples import write_examples
    from orchestrator.report.study_page import write_report
    from orchestrator.results.files import read_table
    from orchestrator.stats.predictions import split_runs

    try:
        if test_part is not None:  # else it was not decoded in this run
            runs = split_runs(read_table(session.folder, "predictions"))
            write_examples(session.folder, runs, test_part.images)
        (path,) = write_report(session.folder)
    except (ValueError, OSError) as error:
        reason = " ".join(str(error).split())
        session.console.print(f"The report could not be written: {reason}", style="bold")
        return
    session.console.print(f"Report: {path}", soft_wrap=True)


def plan(
    options: argparse.Namespace, held: contextlib.ExitStack, console: "Console"
) -> "CheckedStudy":
    """Checks everything that can be wrong before anything is written or started.

    Raises:
        HeldError: The study to resume has a driver.
        InfrastructureError: This machine has not what a trial asks for.
        ValueError: An input is wrong.
    """
    from orchestrator.plan import ray_variables

    flags.check_together(options)
    check_installed("run")
    ray_variables.check_variables()
    if options.resume is not None and "://" in options.resume:
        _bring_back(options, held, console)
    folder, settings = _folder_and_settings(options)
    from orchestrator.plan import preflight

    if options.dry_run:
        held.enter_context(offline())
    if folder is None:
        _check_place(settings, console, dry_run=options.dry_run)
        return preflight.check_new(settings, console, register=options.register)
    return preflight.check_resumed(
        settings,
        folder,
        held,
        console,
        accept_code_change=options.accept_code_change,
        register=options.register,
    )


def _check_place(settings: "Settings", console: "Console", *, dry_run: bool) -> None:
    """Checks what the settings ask of each trial's place, as far as that is this machine.

    Raises:
        InfrastructureError: This machine has it not, or the cluster that is named to one who only
            plans does not answer.
    """
    named = settings.address or os.environ.get("RAY_ADDRESS")
    must_answer = dry_run and named not in {None, "local"}
    if not must_answer and all(getattr(settings, name) is None for name in OF_A_PLACE):
        return
    from orchestrator.run import nodes

    here = nodes.check_here(settings, must_answer=must_answer)
    if not here and dry_run and named is None:
        console.print(
            "Not checked: whether the Ray cluster that runs here, which a run would join, has what "
            "each trial asks for; --address auto has it asked."
        )


def _bring_back(
    options: argparse.Namespace, held: contextlib.ExitStack, console: "Console"
) -> None:
    """Makes the folder of the study at the address to resume; the flags say then what is here.

    It goes again with `held` where the study is not started: it may be wrong, or only planned.
    """
    from orchestrator.plan import preflight
    from orchestrator.results import fetched, lock

    above, _, name = options.resume.rstrip("/").rpartition("/")
    results_dir = flags.results_dir_of(options)
    folder = preflight.folder_of(results_dir, name)
    snapshot = fetched.bring_back(options.resume, folder)
    options.started = False
    held.callback(_remove_unless_started, folder, options)
    console.print(f"Brought from {options.resume}: published by {snapshot.who}", soft_wrap=True)
    if lock.is_fresh(snapshot.published_at):
        console.print("That may still run; it publishes no more once this study has begun.")
    options.resume, options.results_dir = name, results_dir
    options.publish = options.publish or above


def _remove_unless_started(folder: Path, options: argparse.Namespace) -> None:
    if not options.started:
        shutil.rmtree(folder)


def _folder_and_settings(options: argparse.Namespace) -> tuple[Path | None, "Settings"]:
    """The settings that the flags name, and the folder of the study that they resume, if one."""
    if options.resume is None:
        return None, flags.settings_of(options)
    from orchestrator.plan import preflight, resume

    folder = preflight.folder_of(flags.results_dir_of(options), options.resume)
    stored = resume.stored_settings(preflight.study_to_resume(folder))
    return folder, flags.settings_of(options, stored)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    options = flags.parse(arguments)
    if options.print_settings:
        return cli.answer("study", lambda: _print_settings(options))
    try:
        return _plan_and_run(options)
    except KeyboardInterrupt:  # also while Ray is imported, which takes seconds
        message = "interrupted before the study began or went on; nothing was written"
        return cli.fail("study", KeyboardInterrupt(message), cli.INTERRUPTED)


def _plan_and_run(options: argparse.Namespace) -> int:
    console = Terminal(quiet=options.json)
    with contextlib.ExitStack() as held:
        try:
            checked = plan(options, held, console)
        except (HeldError, InfrastructureError) as error:
            return cli.fail("study", error, cli.INFRASTRUCTURE)
        except (ValueError, OSError) as error:
            if options.debug:
                raise
            address = not_fetched(error)
            if address is None:
                return cli.fail("study", error)
            return _not_downloaded(options, address, console)
        if options.dry_run:
            return _dry_run(checked, console, as_json=options.json)
        options.started = True
        return _start(checked, held, console, debug=options.debug)


def _print_settings(options: argparse.Namespace) -> int:
    """A YAML file of all settings, as the flags make them."""
    sys.stdout.write(sources.to_yaml(_folder_and_settings(options)[1]))
    return cli.DONE


def _not_downloaded(options: argparse.Namespace, address: str, console: "Console") -> int:
    """Says of a dry run what a run would download first; what it can say else is printed."""
    console.print(
        f"Data: in no cache here; a run will download them from {address}, and the rest "
        "of the plan follows from them"
    )
    if options.json:
        from orchestrator.plan.families import plan_families
        from orchestrator.plan.plan_json import plan_json

        _, settings = _folder_and_settings(options)
        cli.say_json(plan_json(settings, plan_families(settings), download=address))
    return cli.DONE


def _dry_run(checked: "CheckedStudy", console: "Console", *, as_json: bool) -> int:
    """Prints what would run and what it would cost; asks a cluster only if one is named."""
    from orchestrator.plan import preflight, summary
    from orchestrator.plan.plan_json import plan_json

    summary.print_spaces(console, checked.plans)
    forecast = preflight.forecast_of(
        checked.settings, checked.plans, checked.inputs, name=checked.name
    )
    address = checked.settings.address or os.environ.get("RAY_ADDRESS") or "local"
    if address != "local":
        from orchestrator.run import opening

        try:
            forecast = opening.forecast_on_cluster(checked, address, console)
        except InfrastructureError as error:
            return cli.fail("study", error, cli.INFRASTRUCTURE)
    paid = address != "local" or checked.settings.prices is not None
    summary.print_cost(console, forecast, paid=paid)
    if as_json:
        cli.say_json(plan_json(checked.settings, checked.plans, checked=checked, forecast=forecast))
    return cli.DONE


def _start(
    checked: "CheckedStudy", held: contextlib.ExitStack, console: "Console", *, debug: bool
) -> int:
    """Runs a checked study; an error of its own from here on keeps its traceback."""
    from orchestrator.plan import disk_space
    from orchestrator.run import finals_phase, opening, signals
    from orchestrator.trials.table_writer import WritingError

    with signals.Interruption().listening() as interruption:
        try:
            least = disk_space.least_at_a_time(checked.settings)
            disk_space.check_disk_space(checked, at_a_time=least)
            with opening.open_study(checked, held, interruption, console) as session:
                return cli.DONE if run(session) else cli.INCOMPLETE
        except disk_space.NoSpaceError as error:
            return cli.fail("study", error)
        except (InfrastructureError, HeldError, finals_phase.LostInputError) as error:
            return cli.fail("study", error, cli.INFRASTRUCTURE)
        except KeyboardInterrupt:
            opening.say_how_to_resume(checked, console)
            return interruption.exit_code
        except (WritingError, OSError) as error:
            if debug:
                raise
            return _not_kept(error, checked)


def _not_kept(error: Exception, checked: "CheckedStudy") -> int:
    """Says why a study has ended that could not keep what it found, and how it goes on."""
    from orchestrator.plan import disk_space
    from orchestrator.results import going_on

    folder, why = checked.folder, str(error)
    fault = disk_space.machine_fault(error.__cause__ or error, folder)
    if isinstance(error, OSError):
        why = f"a file could not be read or written, so the study has ended: {why}"
    there = os.path.lexists(folder / "study.json")
    mend = "all that was written is kept; mend that" if there else f"put {folder} back as it was"
    message = f"{fault or f'{why}; {mend} and go on'}: {going_on.resume_command(folder)}"
    return cli.fail("study", OSError(message), cli.INFRASTRUCTURE if fault else cli.INCOMPLETE)


if __name__ == "__main__":
    cli.run_command(main)
