"""The command `python -m orchestrator.export RESULTS`: winners, trials and tables for elsewhere."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.called import text_of
from orchestrator.cli import DONE, OneLineParser, answer, run_command, say
from orchestrator.outputs import output_file, output_folder

if TYPE_CHECKING:
    from orchestrator.export.winners import Winner
    from orchestrator.results.study_record import StudyRecord

# PyArrow and Optuna are imported late, so that --help and a wrong flag answer at once.


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; its exit code: 0 exported, 2 nothing is there, or a file is in the way."""
    options = _parser().parse_args(arguments)

    def run() -> int:
        for line in _export(options):
            say(line)
        return DONE

    return answer("export", run)


class _Job(NamedTuple):
    """One thing to export; `run` may return a sentence for each thing that it had to leave out."""

    title: str
    files: Sequence[Path]
    run: Callable[[], Sequence[str] | None]


def _export(options: argparse.Namespace) -> Iterator[str]:
    """Exports what is asked for, a line for each; a `ValueError` where a file is in the way."""
    from orchestrator.export.winners import read_winners
    from orchestrator.results.fetched import local_folder
    from orchestrator.results.files import check_inside, read_study
    from orchestrator.results.kept_weights import WINNERS

    folder = local_folder(options.results, weights=True)
    study = read_study(folder)
    if options.output is None:
        check_inside(folder)
    elif options.output.resolve().is_relative_to((folder / WINNERS).resolve()):
        raise ValueError(f"--output must not be the study's own winners, but got {options.output}")
    if options.track:
        yield from _to_trackers(folder, options.track)
        if not (options.output or options.onnx or options.optuna or options.csv):
            return
    winners, missing = read_winners(folder, study)
    jobs = list(_jobs(options, folder, study, winners))
    if not jobs:
        raise ValueError(
            f"RESULTS must have a winner to export, but in {folder}: {'; '.join(missing)}"
        )
    _check_targets([path for job in jobs for path in job.files], overwrite=options.overwrite)
    for job in jobs:
        left_out = job.run()
        yield from (job.title, *(left_out or ()))
    yield from missing
    if options.onnx:
        others = [winner.family for winner in winners if not winner.family.has_network]
        yield from (f"{each.name}: not as ONNX, {each.trainer} alone runs it" for each in others)


def _jobs(
    options: argparse.Namespace, folder: Path, study: "StudyRecord", winners: "Sequence[Winner]"
) -> Iterator[_Job]:
    output = options.output or folder / "export"
    for winner in winners:
        write = partial(winner.write, output)
        yield _Job(f"winner: {output / winner.family.name}", winner.files(output), write)
    if options.onnx:
        from orchestrator.export.onnx import check_packages, write_onnx

        check_packages()
        for winner in winners:
            if winner.family.has_network:  # else its trainer knows how it is passed on
                path = output / winner.family.name / "model.onnx"
                yield _Job(f"ONNX: {path}", [path], partial(write_onnx, winner, path))
    if options.optuna is not None:
        from orchestrator.track.to_optuna import write_journal

        path = options.optuna
        yield _Job(f"Optuna journal: {path}", [path], partial(write_journal, folder, study, path))
    if options.csv is not None:
        from orchestrator.export.csv import tables_in, write_csv

        for name in tables_in(folder):
            path = options.csv / f"{name}.csv"
            yield _Job(f"table: {path}", [path], partial(write_csv, folder, name, path))


def _to_trackers(folder: Path, texts: Sequence[str]) -> Iterator[str]:
    """Sends the study to trackers, a line for each; a `ValueError` where one does not take it."""
    from orchestrator.config.settings import checked
    from orchestrator.config.trackers import check_targets, parse_targets
    from orchestrator.track.follower import send

    targets = parse_targets(checked("track", list(texts)))
    check_targets(targets)
    for target in targets:
        send(folder, target)
        yield f"tracker: {target}"


def _check_targets(paths: Sequence[Path], *, overwrite: bool) -> None:
    """Makes the folders of what is going to be written, of which none may be there yet.

    Raises:
        ValueError: A file is there and must not be replaced, or a folder cannot be written.
    """
    from orchestrator.results.files import check_writable

    for path in paths:
        if path.is_dir() or (path.exists() and not overwrite):
            raise ValueError(
                f"what is exported must be new, or replaced with --overwrite, but {path} is there"
            )
    folders = sorted({path.parent for path in paths})
    for folder in folders:
        check_writable(folder.absolute())
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog=text_of("export"),
        description="Exports the winner of each family in the Hugging Face layout: weights, "
        "configuration, and a card with code that uses them without this project. With the flags "
        "below also the trials for Optuna, and the tables as CSV.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("results", metavar="RESULTS", help="the folder of a study, or where it is published")
    add(
        "--output",
        metavar="DIR",
        type=output_folder,
        help="where the winners go, a folder for each family (RESULTS/export)",
    )
    add(
        "--onnx",
        action="store_true",
        help="write each winner as model.onnx too, from pixels to probabilities, and compare the "
        "two (needs onnx, onnxscript, onnxruntime)",
    )
    add(
        "--optuna",
        metavar="FILE",
        type=output_file(),
        help="write an Optuna journal there, with one study per family: optuna-dashboard FILE",
    )
    add(
        "--csv",
        metavar="DIR",
        type=output_folder,
        help="write each table there as CSV: UTF-8, a header, nothing for null, the probabilities "
        "in predictions.csv as JSON text in one column",
    )
    add(
        "--track",
        action="append",
        metavar="TRACKER",
        help="send what is not there yet to mlflow, tensorboard, wandb, trackio or "
        "optuna=JOURNAL, e.g. mlflow=URI, and export only what other flags ask for; may be given "
        "more than once",
    )
    add("--overwrite", action="store_true", help="replace files that are there")
    return parser


if __name__ == "__main__":
    run_command(main)
