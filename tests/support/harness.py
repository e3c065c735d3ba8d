"""Real studies in processes of their own, killed at chosen moments, with every row counted."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
TABLES = ("trials", "epochs", "rungs", "final", "final_epochs", "predictions")
# Twelve trials; with finals about 250 epochs.
SOAK = (
    *("--families", "curve", "--dataset", "digits", "--set", "space.curve.fault=none"),
    *("--trials", "12", "--epochs", "27", "--grace-period", "3", "--seeds", "2"),
)
POLL_SECONDS = 0.02
DEATH = "death"


@dataclass
class StudyFolder:
    """A study in a folder of its own, run by one process after another.

    Attributes:
        results: The results folder; the ledger of begun epochs lies beside the study.
        flags: Of the first run.
        epoch_seconds: How long an epoch takes.
        fault_rates: Shares of trials that have a fault; see the family `curve`.
        address: Of the Ray cluster.
        name: The study's.
        deaths: Times its driver was killed.
    """

    results: Path
    flags: Sequence[str]
    address: str
    epoch_seconds: float = 0.0
    fault_rates: str = ""
    name: str = "mine"
    deaths: int = 0
    rows: dict[str, int] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.results / self.name

    @property
    def ledger(self) -> Path:
        return self.results / "ledger"

    def start(self, *more: str) -> subprocess.Popen[str]:
        """Starts a driver: a first run, or one that resumes the study if it has begun."""
        self.results.mkdir(parents=True, exist_ok=True)
        begun = (self.folder / "study.json").exists()
        what = ["--resume", self.name] if begun else ["--name", self.name, *self.flags]
        where = ["--results-dir", str(self.results), "--address", self.address]
        return subprocess.Popen(
            [sys.executable, "-m", "orchestrator.study", *what, *where, *more],
            cwd=ROOT,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "STUDY_FAMILY_PATH": str(ROOT / "tests" / "families"),
            "STUDY_CURVE_LEDGER": str(self.ledger),
            "STUDY_CURVE_EPOCH_SECONDS": str(self.epoch_seconds),
            **({"STUDY_CURVE_FAULT_RATES": self.fault_rates} if self.fault_rates else {}),
        }

    def kill(self, driver: subprocess.Popen[str]) -> None:
        """SIGKILL to the driver alone, as the kernel or an operator does it."""
        driver.send_signal(signal.SIGKILL)
        driver.communicate()
        self.deaths += 1
        with self.ledger.open("a") as ledger:
            ledger.write(f"{DEATH} {self.deaths}\n")

    def finish(self, *more: str) -> str:
        """Runs a driver to its end; what it printed."""
        driver = self.start(*more)
        printed, _ = driver.communicate()
        assert driver.returncode == 0, printed
        return printed

    def wait_for_epoch(self, driver: subprocess.Popen[str], number: int) -> bool:
        """Waits until so many epochs have begun in all; False if the driver ended before."""
        return self.wait(driver, lambda: self.epochs_begun() >= number)

    def wait(self, driver: subprocess.Popen[str], condition: Callable[[], bool]) -> bool:
        """Waits for a condition; False if the driver ended before it held."""
        while not condition():
            if driver.poll() is not None:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def epochs_begun(self) -> int:
        lines = self.ledger.read_text().splitlines() if self.ledger.exists() else []
        return sum(not line.startswith(DEATH) for line in lines)

    def table(self, name: str) -> pd.DataFrame:
        with (self.folder / f"{name}.parquet").open("rb") as opened:  # it may be replaced meanwhile
            return pd.read_parquet(opened)

    def study(self) -> dict:
        return json.loads((self.folder / "study.json").read_text())

    def check_that_no_row_is_lost(self) -> None:
        """Each table that is there can be read, and has all the rows it ever had."""
        for name in TABLES:
            if (self.folder / f"{name}.parquet").exists():
                rows = len(self.table(name))
                assert rows >= self.rows.get(name, 0), f"{name} lost rows"
                self.rows[name] = rows

    def verify(self) -> str:
        """Runs the command; what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "orchestrator.verify", str(self.folder)],
            cwd=ROOT,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()


@dataclass(frozen=True)
class Counts:
    """What a study that was killed again and again has, and has not."""

    deaths: int
    trials: int
    trials_lost: int
    epochs: int
    epochs_twice: int
    epochs_missing: int
    epochs_begun: int
    computed_again: int
    retried: int
    begun_further_back: int


def count(study: StudyFolder, *, trials: int) -> Counts:
    """Counts exactly, from the tables and from the ledger of begun epochs.

    An epoch is computed again where a trial begins with the one its last attempt had begun, after a
    death of the driver; it is retried where its own process had a fault. Further back it may begin
    after a damaged checkpoint alone.
    """
    table, rows = study.table("trials"), study.table("epochs")
    finals = study.table("final_epochs")
    pairs = pd.concat([rows[["trial_id", "epoch"]], finals[["trial_id", "epoch"]]])
    expected = [f"curve-{number:03d}" for number in range(trials)]
    missing = sum(
        len(set(range(1, max(own) + 1)) - set(own))
        for own in pairs.groupby("trial_id").epoch.agg(list)
    )
    lives: dict[str, list[tuple[int, int]]] = {}
    life = 0
    for what, number in (line.split() for line in study.ledger.read_text().splitlines()):
        if what == DEATH:
            life = int(number)
        else:
            lives.setdefault(what, []).append((life, int(number)))
    again, further, retried = 0, 0, 0
    for trial, begun in lives.items():
        assert begun[0][1] == 1, (trial, begun)
        for (life, last), (next_life, following) in itertools.pairwise(begun):
            if following == last and next_life == life and study.fault_rates:
                retried += 1
            elif following != last + 1:
                assert next_life > life, f"{trial} went back without a death: {begun}"
                again += following == last
                further += following != last
    return Counts(
        deaths=study.deaths,
        trials=len(table),
        trials_lost=len(set(expected) ^ set(table.trial_id)),
        epochs=len(pairs),
        epochs_twice=int(pairs.duplicated().sum()),
        epochs_missing=missing,
        epochs_begun=sum(map(len, lives.values())),
        computed_again=again,
        retried=retried,
        begun_further_back=further,
    )
