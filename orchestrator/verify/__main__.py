"""The command `python -m orchestrator.verify RESULTS`: is everything in a study as it must be?"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict

from orchestrator.called import text_of
from orchestrator.cli import (
    DONE,
    INCOMPLETE,
    OneLineParser,
    counted,
    fail,
    run_command,
    say,
    say_json,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; its exit code: 0 all checks hold, 1 something is wrong, 2 no study."""
    options = _parser().parse_args(arguments)
    from orchestrator.results.fetched import local_folder
    from orchestrator.verify.runner import verify

    try:
        folder = local_folder(options.results, weights=True)
        verdict = verify(folder, sources=True)
    except (ValueError, OSError) as error:
        return fail("verify", error)
    if options.json:
        found = {"folder": str(folder.resolve()), "sound": not verdict.problems}
        say_json({**found, **asdict(verdict)})
        return INCOMPLETE if verdict.problems else DONE
    lines = [f"{problem.check}: {problem.sentence}" for problem in verdict.problems]
    lines += [f"note: {note}" for note in verdict.notes]
    wrong = len(verdict.problems)
    said = counted(wrong, "problem") if wrong else "nothing wrong"
    say(*lines, f"{options.results}: {verdict.checks} checks, {said}")
    return INCOMPLETE if verdict.problems else DONE


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog=text_of("verify"),
        description="Checks every invariant of a study and names what is wrong: each trial in one "
        "terminal state, epochs contiguous and unique, rungs as a replay of the rows gives them, "
        "finals as their predictions say, hashes as recorded, the test part opened once.",
    )
    parser.add_argument(
        "results", metavar="RESULTS", help="the folder of a study, or where it is published"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object in a line")
    return parser


if __name__ == "__main__":
    run_command(main)
