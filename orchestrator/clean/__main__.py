"""The command `python -m orchestrator.clean RESULTS`: removes what a study needs no more."""

import argparse
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.called import text_of
from orchestrator.cli import (
    DONE,
    INFRASTRUCTURE,
    OneLineParser,
    answer,
    fail,
    run_command,
    say,
    say_json,
)

if TYPE_CHECKING:
    from orchestrator.clean.disposable import Disposable

# PyArrow is imported late, so that --help answers at once.


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Returns:
        The exit code: 0 done; 2 where the folder is no study, is damaged, or a link leads out of
        it; 3 where a driver holds it.
    """
    options = _parser().parse_args(arguments)

    def run() -> int:
        from orchestrator.results.lock import HeldError

        try:
            return _clean(options)
        except HeldError as error:
            return fail("clean", error, INFRASTRUCTURE)

    return answer("clean", run)


def _clean(options: argparse.Namespace) -> int:
    """Removes, or says what would be removed.

    Raises:
        HeldError: A driver holds the study.
        OSError: Something cannot be removed.
        ValueError: The folder is no study, or is not as it must be.
    """
    from orchestrator.clean.disposable import find
    from orchestrator.results.lock import check_free, holding

    folder = options.results
    if options.dry_run:
        check_free(folder)
        found = find(folder, ensembles=options.ensemble)
        _say(folder, found, dry_run=True, as_json=options.json)
        return DONE
    find(folder)  # before a lock is written: it may be no study
    with holding(folder) as hold:
        found = find(folder, ensembles=options.ensemble)
        _say(folder, found, dry_run=False, as_json=options.json)
        for each in found:
            hold.check()
            each.remove()
    return DONE


def _say(folder: Path, found: Sequence["Disposable"], *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        items = [{"path": str(e.path), "what": e.what, "bytes": e.bytes} for e in found]
        whole = {"bytes": sum(each.bytes for each in found), "items": items}
        say_json({"folder": str(folder.resolve()), "dry_run": dry_run, **whole})
        return
    verb = "would be removed; nothing was" if dry_run else "removed"
    bytes_of: dict[str, int] = defaultdict(int)
    for each in found:
        bytes_of[each.what] += each.bytes
    lines = [f"{what}: {size:,} bytes" for what, size in bytes_of.items()]
    total = f"{sum(bytes_of.values()):,} bytes {verb}"
    say(*lines, total)


def _folder(text: str) -> Path:
    if "://" in text:
        raise argparse.ArgumentTypeError(
            f"must be a folder here, but is {text!r}; what is published of a study is what its "
            "folder has, and follows that by itself"
        )
    return Path(text)


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog=text_of("clean"),
        description="Removes from a study's folder what nothing needs any more: Ray Tune's own "
        "files, half-written files, and checkpoints of trials or of a study that have ended. "
        "Tables, winners, reports and all that --resume goes on from stay.",
        allow_abbrev=False,
    )
    parser.add_argument("results", metavar="RESULTS", type=_folder, help="the folder of a study")
    parser.add_argument(
        "--ensemble",
        action="store_true",
        help="also the weights of the winners' seeds beside the best, without which "
        "`predict --ensemble` is refused",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would go, remove nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON object in a line")
    return parser


if __name__ == "__main__":
    run_command(main)
