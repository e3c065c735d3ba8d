"""Phase of the search: restored from its rows, run, and its winners chosen."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.config.searches import search_for
from orchestrator.config.settings import ENDS
from orchestrator.forecast.remaining import TimeLeft, earlier_seconds, forecast_end
from orchestrator.forecast.workload import Images, Trained
from orchestrator.results.schema import TEST_OPENED
from orchestrator.results.study_record import Choice, ClosedSearch
from orchestrator.run import finals, replay
from orchestrator.run.session import Session
from orchestrator.search.budget import Budget
from orchestrator.search.early_finals import EarlyFinals, SearchAndFinals, SearchAndFinalsScheduler
from orchestrator.search.family_searcher import FamilySearch
from orchestrator.search.ray_asha import RayRungs
from orchestrator.search.samplers import MAKE
from orchestrator.search.scheduler import FamilyASHA, RecordingScheduler
from orchestrator.search.settled import SETTING, Settled
from orchestrator.trials.recorder import Recorder
from orchestrator.trials.trial import TrialSpec, winner
from trainables.trial import References


@dataclass(frozen=True, kw_only=True)
class Search:
    """The parts of the search, restored from its rows.

    Attributes:
        early: The finals that may begin before it is over; None where those of a choice have begun.
        budget: What the study may spend, and has.
    """

    recorder: Recorder
    scheduler: FamilyASHA
    searcher: FamilySearch
    early: EarlyFinals | None
    budget: Budget


def restore_search(session: Session) -> Search:
    """Restores the search from its rows; a new study's has none."""
    settings, recorder = session.settings, session.recorder("epochs")
    train = {fraction: len(images) for fraction, images in session.inputs.train.items()}
    validation = len(session.inputs.split.validation)
    reported = [row["reported_at"] for row in session.stored.epochs]
    reported += [row["reported_at"] for row in session.stored.final_epochs]
    rungs = RayRungs(
        [search.name for search in session.searches],
        rungs=session.manifest.study.rungs,
        epochs=settings.epochs,
        reduction_factor=settings.reduction_factor,
    )
    scheduler = FamilyASHA(recorder, rungs)
    budget = Budget(
        settings,
        recorder,
        session.searches,
        images=Images(train=train, validation=validation),
        at_a_time=session.reservation.max_concurrent,
        spent_seconds=earlier_seconds(session.manifest.study.runs, reported),
        ended_early={name: why.setting for name, why in ended_early_before(session).items()},
    )
    settled = Settled(
        recorder,
        session.searches,
        trials=settings.trials,
        below=settings.stop_when_settled,
        images=validation,
    )
    searcher = FamilySearch(
        recorder,
        session.plans,
        session.searches,
        trials=settings.trials,
        seed=settings.seed,
        first_cut=scheduler.first_cut,
        by_device_time=session.reservation.max_concurrent > 1,
        sampler=MAKE[settings.sampler],
        blocked_by=lambda each: budget.blocked_by(each) or settled.blocked_by(each),
        **session.queue_options(),
    )
    replay.replay_warm_start(session.folder, rungs, searcher)
    replay.replay_search(session.stored, recorder, scheduler, searcher)
    for kind, detail in session.stored.changes:
        recorder.event(kind, detail)
        session.say(f"{kind.replace('_', ' ').capitalize()}: {detail}")
    recorder.publish(search=True)
    early = _early_finals(session, recorder)
    return Search(
        recorder=recorder, scheduler=scheduler, searcher=searcher, early=early, budget=budget
    )


def _early_finals(session: Session, search: Recorder) -> EarlyFinals | None:
    """The baselines' finals, brought to where the rows of an earlier run say they were."""
    if session.resumed and session.resumed.study.choice is not None:
        return None
    searches, settings = session.searches, session.settings
    every = dict.fromkeys(each.name for each in searches)
    specs = finals.final_specs(every, session.plans, searches, settings)
    recorder, left = restore_finals(session, specs)

    def certain(spec: TrialSpec) -> bool:
        """A search that has a winner will have one, if perhaps another."""
        decided_by = search_for(searches, spec.family, spec.train_fraction).name
        return winner(search.of_search(decided_by)) is not None

    return EarlyFinals(recorder, left, certain=certain, **session.queue_options())


def restore_finals(
    session: Session, specs: Sequence[TrialSpec]
) -> tuple[Recorder, list[TrialSpec]]:
    """The recorder of finals, restored from their rows, and those still to be run."""
    recorder = session.recorder("final_epochs")
    left = replay.replay_finals(session.stored, specs, recorder, session.folder)
    recorder.publish(search=False)
    return recorder, left


def run_search(session: Session, search: Search, shared: Any) -> None:
    """Runs all trials of the search."""

    def begun() -> list[Trained]:
        return search.early.begun() if search.early else []

    def forecast() -> TimeLeft | None:
        study, trials = session.manifest.study, search.recorder.trained()
        return forecast_end(study, trials, begun(), None, search.searcher.failed_families)

    if search.searcher.has_work():
        searcher: FamilySearch | SearchAndFinals = search.searcher
        scheduler: RecordingScheduler = search.scheduler
        if search.early is not None:
            searcher = both = SearchAndFinals(search.searcher, search.early)
            recorder, must_end = search.early.recorder, both.finals_must_end
            scheduler = SearchAndFinalsScheduler(scheduler, recorder, must_end)
        session.run_phase(
            "search",
            searcher,
            scheduler,
            search.recorder,
            References(shared=shared, test=None),
            title="Search",
            planned=Counter(each.family for each in session.searches * session.settings.trials),
            forecast=forecast,
            begun=lambda: len(begun()),
        )
    session.must_have_ended(search.recorder)


def choose(session: Session, search: Search) -> dict[str, Choice]:
    """Stores the choice of winners before the test part is decoded."""
    choice = finals.choose(search.recorder, session.searches)
    written = {name: chosen.model_dump() for name, chosen in choice.items()}
    choice_digest = finals.digest(written, session.manifest.study.raw["settings"])
    failed, ended = search.searcher.failed_families, search.searcher.ended_early()
    for name, end in ended.items():
        why = f"another would not have left enough of {end['setting']} for the finals"
        if end["setting"] == SETTING:
            chance = session.settings.stop_when_settled
            why = f"the chance that more change which family wins is below {chance:g}"
        detail = f"{name} ended after {end['trials']} of {session.settings.trials} trials: {why}"
        if name not in ended_early_before(session):
            (family,) = (each.family for each in session.searches if each.name == name)
            search.recorder.event("budget_reached", detail, family=family)
        session.console.print(f"{detail}.")
    session.manifest.add(choice=written, choice_sha256=choice_digest, halted=failed, closed=ended)
    for family, message in failed.items():
        session.console.print(f"{family} was given up: {message}", style="bold")
    return choice


def note_opening(session: Session, search: Search) -> None:
    """Records that the test part is opened, before any network sees it.

    An opening belongs to a choice: the same one, made again after a crash, is the same opening.
    """
    choice_digest = session.manifest.study.choice_sha256
    opened = {row["detail"] for row in session.events if row["kind"] == TEST_OPENED}
    if "events" in session.stored.damaged and session.resumed is not None:
        before = session.resumed.study  # it knows the choice of the last opening
        opened |= {before.choice_sha256} if before.test_openings else set()
    if choice_digest not in opened:
        search.recorder.event(TEST_OPENED, choice_digest)
        session.writer.write()
    openings = max(session.manifest.study.test_openings, len(opened | {choice_digest}))
    session.manifest.add(test_openings=openings)


def ended_early_before(session: Session) -> dict[str, ClosedSearch]:
    """Searches that an earlier run ended early by a setting that has not changed since."""
    if session.resumed is None:
        return {}
    before = session.resumed.study
    same = all(getattr(before.settings, n) == getattr(session.settings, n) for n in ENDS)
    return before.closed if same else {}
