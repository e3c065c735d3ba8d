"""A study whose head and disk are lost goes on from what was published, wherever that was."""

import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from in_process import Driver, Moments
from published_copies import publish
from s3_server import s3_bucket

from orchestrator import study
from orchestrator.results import fetched, files
from orchestrator.results.published import place_of, runs_of
from orchestrator.run.session import Session
from orchestrator.run.study_publisher import StudyPublisher
from orchestrator.verify.runner import verify

pytestmark = pytest.mark.usefixtures("curve_family")

SMALL = {"trials": 5, "epochs": 4, "grace_period": 1, "seeds": 2}
EVERY = 7
"""Moments from one publication to the next, at each of which an epoch is begun at most."""


class PublishedMoments(Moments):
    """The study is published now and then, until the driver is killed."""

    publish: Callable[[], None] = staticmethod(lambda: None)

    def pass_one(self, what: str) -> None:
        super().pass_one(what)
        if self.passed % EVERY == 0 and not what.startswith("write"):
            self.publish()


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    monkeypatch.setenv("STUDY_CURVE_LEDGER", str(tmp_path / "ledger"))
    return Driver(tmp_path / "results-0", monkeypatch, SMALL)


def published(driver: Driver, address: str, moments: PublishedMoments, begin: Callable) -> object:
    """Begins a study, or goes on with it, that is published whole at its end."""
    run = study.run

    def publishing(session: Session) -> bool:
        publisher = StudyPublisher(
            session.folder,
            place_of(f"{address}/{session.name}", flag="--publish"),
            runs=runs_of(session.manifest.study),
            still=session.writer.still,
            check=session.hold.check,
            note=session.note,
            say=session.console.print,
        )
        moments.publish = publisher.publish
        publisher.publish()
        done = run(session)
        publisher.publish(last=True)
        return done

    with driver.monkeypatch.context() as patch:
        patch.setattr(study, "run", publishing)
        return begin(moments)


@pytest.fixture(params=["file", "s3"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "file":
        yield f"file://{tmp_path}/copies"
        return
    with s3_bucket("bucket"):
        yield "s3://bucket/copies"


@pytest.mark.parametrize("starts", [False, True])
def test_a_study_is_brought_back_to_be_started_and_not_to_be_planned_alone(
    driver: Driver, tmp_path: Path, starts: bool
) -> None:
    driver.settings = {**SMALL, "trials": 1, "epochs": 1, "seeds": 1}
    assert driver.start()
    place, back = publish(driver.folder, f"file://{tmp_path}/copies"), tmp_path / "back"
    driver.monkeypatch.setattr(study, "_start", lambda checked, *_, **__: len(checked.plans))
    more = [] if starts else ["--dry-run"]
    code = study.main(["--resume", place.address, "--results-dir", str(back), *more])
    assert code == int(starts)
    assert [path.name for path in back.iterdir()] == (["mine"] if starts else [])


def test_a_lost_disk_loses_no_more_than_was_done_since_the_last_publication(
    driver: Driver, tmp_path: Path, address: str
) -> None:
    draw, deaths = random.Random(0), 0
    driver.settings = {**SMALL, "publish": address}
    begin: Callable = driver.start
    done = published(driver, address, PublishedMoments(kill_at=draw.randint(20, 70)), begin)
    while done is None:
        deaths += 1
        shutil.rmtree(driver.folder)
        driver.results_dir = tmp_path / f"results-{deaths}"
        fetched.bring_back(f"{address}/{driver.name}", driver.folder)
        kill_at = draw.randint(20, 70) if deaths < 4 else None
        done = published(driver, address, PublishedMoments(kill_at=kill_at), driver.resume)
    assert done
    assert deaths > 0
    assert verify(driver.folder, sources=False).problems == []
    for name in ("epochs", "final_epochs"):
        rows = pd.read_parquet(driver.folder / f"{name}.parquet")
        assert not rows.duplicated(["trial_id", "epoch"]).any()
    begun = Counter((tmp_path / "ledger").read_text().splitlines())
    again = sum(times - 1 for times in begun.values())
    assert again <= deaths * (EVERY + driver.slots)
    copy = tmp_path / "copy"
    fetched.bring_back(f"{address}/{driver.name}", copy)
    assert verify(copy, sources=False).problems == []
    assert files.read_study(copy).raw == files.read_study(driver.folder).raw
