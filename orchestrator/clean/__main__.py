"""The command `python -m orchestrator.clean RESULTS`: removes what a study needs no more."""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator import cli
from orchestrator.called import text_of

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
    from orchestrator.results.lock import HeldError

    try:
        return cli.answer("clean", lambda: _clean(options))
    except HeldError as error:
        return cli.fail("clean", error, cli.INFRASTRUCTURE)


def _clean(options: argparse.Namespace) -> int:
    from orchestrator.clean.disposable import find
    from orchestrator.results.lock import check_free, holding

    folder = options.results
    if options.dry_run:
        check_free(folder)
        _say(options, find(folder, ensembles=options.ensemble))
        return cli.DONE
    find(folder)  # before a lock is written: it may be no study
    with holding(folder) as hold:
        found = find(folder, ensembles=options.ensemble)
        _say(options, found)
        for each in found:
            hold.check()
            each.remove()
    return cli.DONE


def _say(options: argparse.Namespace, found: Sequence["Disposable"]) -> None:
    if options.json:
        items = [{"path": str(e.path), "what": e.what, "bytes": e.bytes} for e in found]
        total = sum(each.bytes for each in found)
        whole = {"dry_run": options.dry_run, "bytes": total, "items": items}
        cli.say_json({"folder": str(options.results.resolve()), **whole})
        return
    bytes_of = Counter[str]()
    for each in found:
        bytes_of[each.what] += each.bytes
    verb = "would be removed; nothing was" if options.dry_run else "removed"
    lines = [f"{what}: {size:,} bytes" for what, size in bytes_of.items()]
    cli.say(*lines, f"{sum(bytes_of.values()):,} bytes {verb}")


def _folder(text: str) -> Path:
    if "://" in text:
        raise argparse.ArgumentTypeError(
            f"must be a folder here, but is {text!r}; what is published of a study is what its "
            "folder has, and follows that by itself"
        )
    return Path(text)


def _parser() -> argparse.ArgumentParser:
    parser = cli.OneLineParser(
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
    cli.run_command(main)
