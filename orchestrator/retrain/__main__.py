"""The command `python -m orchestrator.retrain RESULTS --trial ID`: is the curve the same again?"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.called import text_of
from orchestrator.cli import DONE, INTERRUPTED, OneLineParser, counted, fail, run_command, say
from orchestrator.outputs import output_file

if TYPE_CHECKING:
    from orchestrator.retrain.reproduce import Epoch, Retraining

# PyArrow, Optuna and torch are imported late, so that --help and a wrong name answer at once.


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; its exit code: 0 whatever the difference, 2 wrong input, 130 on Ctrl-C."""
    options = _parser().parse_args(arguments)
    try:
        try:
            retraining = _prepared(options)
        except (ValueError, OSError) as error:
            return fail("retrain", error)
        epochs = _train(retraining)
        say(*_verdict(retraining, epochs))
        if options.output is not None:
            _write(retraining, epochs, options.output)
    except KeyboardInterrupt:
        return INTERRUPTED
    return DONE


def _prepared(options: argparse.Namespace) -> "Retraining":
    from orchestrator.results.fetched import local_folder
    from orchestrator.retrain.reproduce import prepare

    folder = local_folder(options.results)
    if options.output is not None:
        _check_output(options.output)
    return prepare(
        folder,
        options.trial,
        data_dir=options.data_dir,
        weights_name=options.weights,
        device=options.device,
    )


def _train(retraining: "Retraining") -> list["Epoch"]:
    """Trains and prints each epoch as it ends."""
    stored = retraining.stored
    say(
        f"{stored.spec.trial_id} of {retraining.study.name}: {stored.status} after "
        f"{counted(len(stored.rows), 'epoch')} on {stored.device}; trained again on "
        f"{retraining.device} with {counted(retraining.study.cluster.cpus_per_trial, 'thread')}"
    )
    for flag in retraining.unused:
        say(f"{flag} is not used: {stored.spec.family} starts from random weights")
    epochs = []
    for epoch in retraining.run():
        epochs.append(epoch)
        say(_line(epoch))
    return epochs


def _line(epoch: "Epoch") -> str:
    """What an epoch was and is, e.g. `epoch 1: validation loss 2.30 then, 2.30 now, ...`."""
    stored, now = epoch.stored, epoch.now
    if stored is None or now is None:
        then, today = ("diverged" if row is None else "did not" for row in (stored, now))
        return f"epoch {epoch.number}: {then} then, {today} now"
    parts = [
        f"{name.replace('_', ' ')} {stored[name]:.6f} then, {now[name]:.6f} now"
        for name in ("validation_loss", "validation_accuracy")
    ]
    largest = max(epoch.differences().values())
    return f"epoch {epoch.number}: {'; '.join(parts)}; difference {largest:.3g}"


def _verdict(retraining: "Retraining", epochs: Sequence["Epoch"]) -> list[str]:
    """Whether the curve is the same; if not, how far off, and what may explain it."""
    from orchestrator.retrain.reproduce import explanations

    differences = [
        (difference, name, epoch.number)
        for epoch in epochs
        for name, difference in epoch.differences().items()
    ]
    difference, name, number = max(differences, default=(0.0, "", 0))
    ends = [epoch for epoch in epochs if (epoch.stored is None) != (epoch.now is None)]
    if not difference and not ends:
        return ["same curve, difference 0"]
    lines = [f"the curves end otherwise: see epoch {epoch.number}" for epoch in ends]
    if difference:
        lines.append(
            f"largest difference to the stored curve: {difference:.3g} ({name}, epoch {number})"
        )
    found = explanations(retraining) or [
        "nothing: device, versions and code are as study.json says"
    ]
    return [*lines, "what may explain it:", *(f"  {sentence}" for sentence in found)]


def _check_output(output: Path) -> None:
    """Rejects a file that is there, or cannot be written."""
    from orchestrator.results.files import check_writable

    path = output.expanduser().resolve()
    if path.exists():
        raise ValueError(f"--output must be a new file, but {output} is there")
    check_writable(path.parent)


def _write(retraining: "Retraining", epochs: Sequence["Epoch"], output: Path) -> None:
    from orchestrator.results import files, manifest

    path = output.expanduser().resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {**manifest.table_metadata(retraining.study), "retrained_at": manifest.now()}
    files.write_table(path.parent, path.stem, retraining.table(epochs), metadata)
    say(f"New curve: {output}")


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog=text_of("retrain"),
        description="Trains one trial of a study again with the same settings, seed, split and "
        "data, in this process and without Ray, and compares the curves. What it is trained on "
        "must have the hashes that study.json records. The study's folder is not changed.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("results", metavar="RESULTS", help="the folder of a study, or where it is published")
    add(
        "--trial",
        metavar="ID",
        required=True,
        help="a trial of trials.parquet (cnn-003) or a run of final.parquet (cnn-tuned-s0-f1)",
    )
    add("--data-dir", metavar="FOLDER", help="where the data lie now (default: where they lay)")
    add(
        "--weights",
        metavar="FILE",
        help="where the pre-trained weights lie now (default: where they lay)",
    )
    add("--device", choices=("cpu", "cuda"), help="train on this (default: what the trial ran on)")
    add(
        "--output",
        metavar="FILE.parquet",
        type=output_file(".parquet"),
        help="write the new curve there, with the columns of epochs.parquet",
    )
    return parser


if __name__ == "__main__":
    run_command(main)
