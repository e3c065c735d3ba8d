"""The command `python -m orchestrator.verdict A B ...`: is one model really better?"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from orchestrator import cli
from orchestrator.called import text_of
from orchestrator.outputs import output_file
from orchestrator.verdict.faults import FaultsError

if TYPE_CHECKING:
    from orchestrator.compare.document import Report
    from orchestrator.report.page import Page
    from orchestrator.verdict.matching import Matched
    from orchestrator.verdict.said import Texts

PAGE: Final = "verdict.html"
NONE: Final = "none"
CLAIMS: Final = {"better": "better", "not-worse": "not worse"}
COLUMN_ROLES: Final = ("image", "label", "predicted", "probabilities", "logits", "model", "seed")
MOST_MARGIN: Final = 100

# NumPy, SciPy, PyArrow and Plotly are imported late, so that --help answers at once.


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Its exit code: 0 answered, and what was claimed holds; 1 something that was claimed does not;
    2 wrong input; 130 on Ctrl-C.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    _check(parser, options)

    def run() -> int:
        try:
            return _run(options)
        except FaultsError as error:
            for line in error.lines:
                cli.fail("verdict", ValueError(line))
            return cli.WRONG_INPUT

    return cli.answer("verdict", run)


def _run(options: argparse.Namespace) -> int:
    from orchestrator.results.files import check_writable
    from orchestrator.verdict import document
    from orchestrator.verdict.asked import question
    from orchestrator.verdict.judging import judge
    from orchestrator.verdict.page import compose
    from orchestrator.verdict.sealed import decide
    from orchestrator.verdict.slices import find_slices

    check_writable(options.output.absolute().parent)
    matched, notes = _matched(options)
    kind: Any = CLAIMS.get(options.claim)
    asked = question(matched, baseline=options.baseline, margin=options.margin, kind=kind)
    groups, columns, files = _known(options, matched, notes)
    verdict = judge(matched, asked, groups=groups)
    if options.log is not None:
        decisions, log = decide(options.log, matched, asked, verdict.claims, opened=options.open)
        verdict = verdict.decided([decision.held for decision in decisions])
        if not options.open:
            report = document.sealed_report(verdict, decisions, log, notes=notes)
            plain = document.to_json(verdict, report, decisions)
            _tell(options, compose(None, report, (), {}), report, plain)
            return cli.DONE if verdict.held else cli.INCOMPLETE
        notes += [*document.log_notes(log), document.levels(decisions)]
    slices = [
        (claim, find_slices(matched, claim, columns, verdict.tested.groups))
        for claim in verdict.claims
        if options.slices != [NONE]
    ]
    report = document.compose(verdict, slices, notes=notes)
    page = compose(verdict, report, slices, files)
    _tell(options, page, report, document.to_json(verdict, report))
    return cli.DONE if verdict.held else cli.INCOMPLETE


def _tell(
    options: argparse.Namespace, page: "Page", report: "Report", plain: dict[str, Any]
) -> None:
    from orchestrator.compare.render import print_answer, print_report
    from orchestrator.report.page import render
    from orchestrator.results.files import write_output
    from orchestrator.terminal import Terminal

    write_output(options.output, render(page))
    if options.format == "json":
        cli.say_json(plain)
    else:
        console = Terminal()
        print_report(console, report, more=str(options.output))
        cli.say("", f"Page: {options.output}")
        print_answer(console, report)


def _matched(options: argparse.Namespace) -> "tuple[Matched, list[str]]":
    """Reads all predictions and puts their images in one order, with notes on the way."""
    from orchestrator.verdict.matching import match
    from orchestrator.verdict.said import read_all, read_labels

    columns_given = dict(options.columns)
    labels = None if options.labels is None else read_labels(options.labels, columns_given)
    found, notes = read_all(
        options.predictions,
        columns_given=columns_given,
        known=options.classes or sorted(set(labels.values()) if labels else ()),
        labelled=labels is not None,
        fraction=options.train_fraction,
    )
    return match(found, labels=labels, classes=options.classes, logits=options.logits), notes


def _known(
    options: argparse.Namespace, matched: "Matched", notes: list[str]
) -> "tuple[Texts | None, dict[str, Texts], dict[str, Path]]":
    """Reads the table of attributes and the files of images.

    Returns:
        What images that belong together share, what slices are made of, and image to its file.
    """
    from orchestrator.verdict import attributes

    columns = dict(matched.attributes)
    if options.attributes is not None:
        columns |= attributes.read_attributes(options.attributes, matched, notes)
    groups = None
    if options.groups is not None:
        groups = attributes.column_of(options.groups, columns, "--groups")
    files: dict[str, Path] = {}
    if options.images is not None:
        files = attributes.find_files(matched, options.images)
        columns |= attributes.measure(matched, files, notes)
    sliced = attributes.chosen(options.slices, columns, apart_from=options.groups, notes=notes)
    return groups, sliced, files


def _check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Rejects what cannot be asked, before anything is read."""
    margin: float | None = options.margin
    if margin is not None and not 0 < margin < MOST_MARGIN:  # also NaN
        parser.error(f"--margin must be percentage points between 0 and 100, but is {margin:g}")
    if options.claim == "not-worse" and margin is None:
        parser.error("--claim not-worse must go with --margin")
    if options.claim == "better" and margin is not None:
        parser.error("--margin must go with --claim not-worse, not with better")
    decides = options.claim is not None or margin is not None
    if decides and options.baseline is None:
        parser.error("--claim and --margin must go with --baseline")
    if options.log is not None and not decides:
        parser.error("--log must go with --claim better, or with --margin")
    if options.open and options.log is None:
        parser.error("--open must go with --log")


def _pairs(text: str) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for part in text.split(","):
        role, _, name = part.partition("=")
        if role not in COLUMN_ROLES or not name:
            raise argparse.ArgumentTypeError(
                f"{part!r} must be ROLE=NAME, with a role of {', '.join(COLUMN_ROLES)}"
            )
        if role in dict(pairs):
            raise argparse.ArgumentTypeError(f"each role must stand once, but {role} does not")
        pairs.append((role, name))
    return pairs


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if "" in names or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(
            f"names between commas must be there, and each once, but got {text!r}"
        )
    return names


def _parser() -> argparse.ArgumentParser:
    parser = cli.OneLineParser(
        prog=text_of("verdict"),
        description="Says whether one model is really better than another, from predictions on the "
        "same test images that anything has made: an answer, tables, a page, and an exit code (0 "
        "answered, and held where something was claimed; 1 not held; 2 wrong input).",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "predictions",
        metavar="[NAME=]FILE",
        nargs="+",
        help="predictions as CSV, Parquet, Arrow, JSON, .npy or .npz, or the results of a study; "
        "several files of one NAME are its trainings with different seeds",
    )
    add("--baseline", metavar="NAME", help="compare all other models with this one")
    add(
        "--margin",
        metavar="POINTS",
        type=float,
        help="claim that no other model is worse than the baseline by more than so many percentage "
        "points of accuracy",
    )
    add("--claim", choices=CLAIMS, help="what is claimed of the others (not-worse with --margin)")
    add("--labels", metavar="FILE", type=Path, help="true classes, for files that have none")
    add("--attributes", metavar="FILE", type=Path, help="a table with further columns by image")
    add(
        "--groups",
        metavar="COLUMN",
        help="images with the same value belong together (a patient, a video, a site)",
    )
    add(
        "--slices",
        metavar="COLUMN,...",
        type=_names,
        default=["all"],
        help="columns by which parts of the test set are looked at beside classes and confusions: "
        "all or none (all)",
    )
    add("--images", metavar="DIR", type=Path, help="where the files of the images are")
    add(
        "--log",
        metavar="FILE",
        type=Path,
        help="keep each look at this test set there, and decide so that all looks together are "
        "wrong in at most 5%%; says decisions alone",
    )
    add("--open", action="store_true", help="with --log: show the numbers too, and log it")
    add(
        "--columns",
        metavar="ROLE=NAME,...",
        type=_pairs,
        default=[],
        help=f"which column says what, of {', '.join(COLUMN_ROLES)}",
    )
    add(
        "--classes",
        metavar="A,B,...",
        type=_names,
        default=[],
        help="names of the classes, in the order of outputs that are not named",
    )
    add("--logits", action="store_true", help="outputs that are no probabilities are logits")
    add("--train-fraction", metavar="SHARE", type=float, help="of a study (the largest)")
    add(
        "--output",
        metavar="FILE.html",
        type=output_file(".html"),
        default=Path(PAGE),
        help=f"the page to write ({PAGE})",
    )
    add("--format", choices=("text", "json"), default="text", help="what is printed (text)")
    return parser


if __name__ == "__main__":
    cli.run_command(main)
