"""Damaged results folders and wrong command lines, seeded: each is answered, in a line, in time.

`make fuzz` tries 500 folders with every command that reads one, and 500 command lines and YAML
files. It counts tracebacks, answers that took over 10 s, and whatever was written outside.
"""

import argparse
import contextlib
import hashlib
import io
import platform
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest
from damages import DAMAGES

LIMIT_SECONDS = 10.0


@dataclass
class Counts:
    """What was seen.

    Attributes:
        tried: Answers asked for.
        codes: How often each exit code was given.
        wrong: What must not be, with what led to it.
    """

    tried: int = 0
    codes: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def ask(self, what: str, run: Callable[[], int], allowed: tuple[int, ...]) -> None:
        """Asks for one answer: an exit code, one line where it is an error, in time."""
        self.tried += 1
        started, printed = time.monotonic(), io.StringIO()
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(printed):
                code = run()
        except SystemExit as error:
            code = int(error.code or 0)
        except BaseException as error:  # noqa: BLE001 (what is looked for)
            last = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(last.filename).name}:{last.lineno}"
            reason = " ".join(str(error).split())[:200]
            self.wrong.append(f"traceback: {what}: {type(error).__name__} at {place}: {reason}")
            return
        seconds, lines = time.monotonic() - started, printed.getvalue().strip().splitlines()
        self.codes[code] += 1
        if code not in allowed:
            self.wrong.append(f"exit code {code}: {what}: {lines[-1:]}")
        if code == 2 and len(lines) != 1:
            self.wrong.append(f"{len(lines)} lines: {what}: {lines[:3]}")
        if seconds > LIMIT_SECONDS:
            self.wrong.append(f"{seconds:.0f} s: {what}")


def fuzz_folders(study: Path, at: Path, number: int, seed: int, counts: Counts) -> None:
    """Damages copies of a finished study and asks every command that reads one."""
    draw = random.Random(seed)
    for each in range(number):
        place = at / f"{each}"
        folder, victim = place / "results" / study.name, place / "victim"
        shutil.copytree(study, folder)
        victim.mkdir()
        (victim / "keep").write_text("kept")
        done = [draw.choice(DAMAGES)(folder, draw) for _ in range(draw.choice((1, 1, 1, 2, 3)))]
        before = _listing(place, folder)
        for what, run in _commands(folder, place / "out"):
            counts.ask(f"{what} after {', '.join(done)}", run, (0, 1, 2))
            after = _listing(place, folder)
            if after != before:
                counts.wrong.append(f"written outside: {what} after {done}: {after ^ before}")
                before = after
        shutil.rmtree(place)


def _commands(folder: Path, out: Path) -> Iterator[tuple[str, Callable[[], int]]]:
    """All commands that read a study, each given what it needs to write."""
    lines = {
        "status": [str(folder)],
        "status --json": [str(folder), "--json"],
        "verify": [str(folder)],
        "compare": [str(folder)],
        "report": [str(folder)],
        "export": [str(folder), "--output", f"{out}/w", "--csv", f"{out}/c", "--overwrite"],
        "export --optuna": [str(folder), "--optuna", f"{out}/j", "--output", f"{out}/w"],
        "clean": [str(folder), "--dry-run"],
        "retrain": [str(folder), "--trial", "curve-000"],
        "predict": [str(folder), __file__],
    }
    for name, arguments in lines.items():
        module = import_module(f"orchestrator.{name.partition(' ')[0]}.__main__")
        yield name, lambda main=module.main, given=arguments: main(given)
        shutil.rmtree(out, ignore_errors=True)
    yield "study --resume", lambda: _plan_to_resume(folder)


def _plan_to_resume(folder: Path) -> int:
    """All that `study --resume` checks before it asks for a cluster, and reading the remains."""
    from rich.console import Console

    from orchestrator import study
    from orchestrator.cli import INFRASTRUCTURE, fail
    from orchestrator.results.lock import HeldError
    from orchestrator.run import replay

    line = ["--resume", folder.name, "--results-dir", str(folder.parent), "--accept-code-change"]
    options = study.flags.parse(line)
    try:
        with contextlib.ExitStack() as held:
            checked = study.plan(options, held, Console(quiet=True))
            assert checked.resumed is not None
            replay.read(checked.folder, checked.resumed.study, checked.resumed.study)
    except ValueError as error:
        return fail("study", error)
    except HeldError as error:
        return fail("study", error, INFRASTRUCTURE)
    return 0


def _listing(place: Path, folder: Path) -> set[str]:
    """Each file outside a study, but what a command was told to write, and its content."""
    return {
        f"{path.relative_to(place)} {hashlib.sha256(path.read_bytes()).hexdigest()[:8]}"
        for path in place.rglob("*")
        if path.is_file()
        and not path.is_relative_to(folder)
        and path.parts[-2] not in {"w", "c"}
        and not path.is_relative_to(place / "out")
    }


WORDS = (
    *("-1", "0", "1e400", "nan", "all", "cnn,cnn", "../x", "é", "", "none", "9" * 400, "true"),
    *("0.5,0.5", "1..0", "[", "{a: b", "digits", "cifar99", "5", "ftp://u:p@h"),
)
FLAGS = (
    *("families", "preset", "dataset", "data-dir", "weights", "trials", "epochs", "grace-period"),
    *("reduction-factor", "train-fractions", "gpus-per-trial", "cpus-per-trial", "max-concurrent"),
    *("seeds", "seed", "budget-gpu-hours", "time-budget", "name", "resume", "warm-start", "config"),
    *("publish", "nonsense"),
)
FIELDS = (
    *("trials", "epochs", "space.cnn.learning_rate", "space.cnn", "space", "baseline.curve.skill"),
    *("validation_images", "image_size", "epoch_time_limit", "prices", "pace_from", "x"),
)


def fuzz_lines(at: Path, number: int, seed: int, counts: Counts) -> None:
    """Command lines and YAML files of the main command, most of them wrong; nothing is started."""
    from orchestrator import study

    draw = random.Random(seed)
    names = [f"--{name}" for name in FLAGS]
    for each in range(number):
        results = at / "results"
        line = ["--dataset", "digits", "--families", "curve", "--dry-run"]
        line += ["--results-dir", str(results)]
        for _ in range(draw.choice((1, 1, 2, 3))):
            how = draw.random()
            if how < 0.5:
                line += [draw.choice(names), draw.choice(WORDS)]
            elif how < 0.75:
                line += ["--set", f"{draw.choice(FIELDS)}={draw.choice(WORDS)}"]
            else:
                config = at / f"{each}.yaml"
                text = f"{draw.choice(FIELDS)}: {draw.choice(WORDS)}\n{draw.choice(WORDS)}"
                wrong = draw.randbytes(30), text.encode("utf-16")
                config.write_bytes(draw.choice((text.encode(), *wrong)))
                line += ["--config", str(config)]
        counts.ask(f"study {line}", lambda given=tuple(line): study.main(given), (0, 1, 2, 3))
        if results.exists():
            counts.wrong.append(f"written: study {line}: {sorted(results.rglob('*'))[:3]}")
            shutil.rmtree(results)


def main() -> int:
    """Makes a study, damages it, and counts; 0 if nothing was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folders", type=int, default=500, help="damaged folders (500)")
    parser.add_argument("--lines", type=int, default=500, help="command lines and files (500)")
    parser.add_argument("--seed", type=int, default=0, help="of the damages (0)")
    arguments = parser.parse_args()
    from conftest import FAMILIES
    from in_process import Driver

    started, folders, lines = time.monotonic(), Counts(), Counts()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as at, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STUDY_FAMILY_PATH", str(FAMILIES))
        settings = {"trials": 9, "epochs": 4, "grace_period": 1, "seeds": 2, "seed": 6}
        driver = Driver(Path(at) / "made", patch, settings)
        driver.assignments = ("space.curve.fault=none,nan,error_once",)
        assert driver.start(order=6)
        place = Path(at) / "tried"
        fuzz_folders(driver.folder, place, arguments.folders, arguments.seed, folders)
        fuzz_lines(place, arguments.lines, arguments.seed, lines)
    for what, counts in (("folders", folders), ("lines", lines)):
        kinds = Counter(text.partition(":")[0] for text in counts.wrong)
        codes = ", ".join(f"{code}: {n}" for code, n in sorted(counts.codes.items()))
        _say(f"{what}: {counts.tried} answers, exit codes {codes}; wrong: {dict(kinds) or 0}")
        for text in counts.wrong:
            _say(f"  {text}")
    _say(
        f"seed {arguments.seed}, {(time.monotonic() - started) / 60:.1f} minutes; "
        f"Python {platform.python_version()}, pyarrow {version('pyarrow')}"
    )
    return 1 if folders.wrong or lines.wrong else 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]
    sys.exit(main())
