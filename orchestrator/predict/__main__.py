"""The command `python -m orchestrator.predict RESULTS IMAGE ...`: a winner on new images."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from orchestrator.called import text_of
from orchestrator.cli import DONE, INCOMPLETE, OneLineParser, answer, run_command, say, say_json
from orchestrator.outputs import output_file
from trainables.data.junk import LEFT

if TYPE_CHECKING:
    import pandas as pd

    from orchestrator.predict.predictor import Predictor

FORMATS: Final = (".csv", ".parquet", ".json")
SHOWN: Final = 3
"""Paths that are named of many in a line."""
FACTS: Final = (
    *("study", "family", "trial_id", "ensemble", "device", "validation_accuracy"),
    *("test_accuracy", "classes"),
)
"""What `--json` has of the model."""

# pandas and torch are imported late, so that --help and a wrong flag answer at once.


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; its exit code: 0 all predicted, 1 some are no images, 2 wrong input."""
    options = _parser().parse_args(arguments)

    def run() -> int:
        from orchestrator.predict.predictor import left_out, list_files, load
        from orchestrator.results.fetched import local_folder
        from orchestrator.results.files import check_output
        from orchestrator.terminal import shown

        if options.output is not None:
            check_output("--output", options.output, overwrite=options.overwrite)
        list_files(options.images, but=options.output)  # before anything that takes a while
        out = [shown(str(path)) for path in left_out(options.images, but=options.output)]
        folder = local_folder(options.results, weights=True)
        predictor = load(folder, options.family, ensemble=options.ensemble)
        found, dark = predictor.files_and_dark(options.images, but=options.output)
        if options.output is not None:
            _write(found, options.output)
        bad = found["error"].notna()
        if options.json:
            more = {"dark": dark, "left_out": out}
            say_json({**_as_json(predictor, found[~bad], found[bad]), **more})
        else:
            say(*_lines(predictor, found[~bad], found[bad], options.output))
            say(*_dark(dark), *_out(out))
        return INCOMPLETE if bad.any() else DONE

    return answer("predict", run)


def _lines(
    predictor: "Predictor", good: "pd.DataFrame", bad: "pd.DataFrame", output: Path | None
) -> Sequence[str]:
    """What is printed: the model, a line for each file or where they are, and what is no image."""
    lines = [_model(predictor)]
    if output is None:
        cells = zip(good["file"], good["class"], good["probability"], strict=True)
        lines += [f"{file}: {name} {probability:.1%}" for file, name, probability in cells]
    else:
        counts = good["class"].value_counts()
        each = ", ".join(f"{name} {count:,}" for name, count in counts.items())
        lines.append(f"{len(good):,} images in {output}: {each or 'none'}")
    lines += [f"no image: {why}" for why in bad["error"]]
    return [line.replace("\n", "?") for line in lines]  # which names may have


def _out(left_out: Sequence[str]) -> Sequence[str]:
    """What no prediction was made of, in a line, of which the first are named."""
    if not left_out:
        return []
    what = f"{len(left_out):,} hidden, {LEFT}, or the output itself"
    return [f"left out: {what}: {_named(left_out)}"]


def _dark(files: Sequence[str]) -> Sequence[str]:
    """What is predicted though little is to be seen on it, in a line."""
    if not files:
        return []
    what = "of 16 bits a channel the upper 8 are kept, but their data have 14 bits or fewer"
    return [f"dark: {len(files):,} images, {what}: {_named(files)}"]


def _named(files: Sequence[str]) -> str:
    more = ", ..." if len(files) > SHOWN else ""
    return ", ".join(files[:SHOWN]).replace("\n", "?") + more


def _model(one: "Predictor") -> str:
    model, trainings = one.family, one.trial_id
    if one.ensemble:
        model = f"the ensemble of {len(one.ensemble)} seeds of {one.family}"
        trainings = ", ".join(one.ensemble)
    known = {"validation": one.validation_accuracy, "test": one.test_accuracy}
    accuracy = ", ".join(
        f"{value:.2%} on {part} images" for part, value in known.items() if value is not None
    )
    where = f"of study {one.study}, {trainings}, on {one.device}"
    return f"Model: {model} {where}; its accuracy: {accuracy}"


def _as_json(predictor: "Predictor", good: "pd.DataFrame", bad: "pd.DataFrame") -> dict[str, Any]:
    return {
        **{name: getattr(predictor, name) for name in FACTS},
        "predictions": [
            {
                "file": file,
                "class": name,
                "probability": probability,
                "probabilities": list(map(float, each)),
            }
            for file, name, probability, *each, _ in good.itertuples(index=False, name=None)
        ],
        "unreadable": bad[["file", "error"]].to_dict("records"),
    }


def _write(found: "pd.DataFrame", path: Path) -> None:
    """Writes all columns, whole: a temporary name first, then a rename."""
    from orchestrator.results import files
    from orchestrator.results.foreign_text import safe_cell

    texts = ["file", "class", "error"]
    safe = found.rename(columns=safe_cell).assign(
        **{name: found[name].map(safe_cell, na_action="ignore") for name in texts}
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.whole(path) as temporary:
        if path.suffix.lower() == ".csv":
            safe.to_csv(temporary, index=False)
        elif path.suffix.lower() == ".parquet":
            found.to_parquet(temporary, index=False)
        else:
            found.to_json(temporary, orient="records", force_ascii=False, double_precision=15)


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog=text_of("predict"),
        description="Has a study's winner say what is on new images, read and prepared as in its "
        "training: a line for each, with its class and the probability of that.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("results", metavar="RESULTS", help="the folder of a study, or where it is published")
    add(
        "images",
        metavar="IMAGE",
        nargs="+",
        help="image files, or folders, of which all files are taken, but hidden ones and what file "
        "managers leave, as in training",
    )
    add("--family", metavar="NAME", help="whose winner (the one that is best on validation)")
    add(
        "--ensemble",
        action="store_true",
        help="average the probabilities of all seeds of the winner (its best one on validation "
        "alone)",
    )
    add(
        "--output",
        metavar="FILE",
        type=output_file(*FORMATS),
        help="write all probabilities there, in place of lines: .csv, .parquet or .json",
    )
    add("--overwrite", action="store_true", help="replace a file that is there")
    add("--json", action="store_true", help="print one JSON object in a line")
    return parser


if __name__ == "__main__":
    run_command(main)
