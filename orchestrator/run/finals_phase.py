"""Phase of the finals: winners and baselines re-trained, the test set opened once."""

from collections import Counter
from collections.abc import Callable
from typing import Any, cast

from orchestrator.config.searches import search_for
from orchestrator.forecast.remaining import TimeLeft, forecast_end
from orchestrator.results.final_runs import final_runs
from orchestrator.results.going_on import resume_command
from orchestrator.results.rows import FinalEpochRow, FinalRow
from orchestrator.results.states import State
from orchestrator.results.study_record import Choices
from orchestrator.run import finals
from orchestrator.run.search_phase import Search, note_opening, restore_finals
from orchestrator.run.session import Session
from orchestrator.run.winners import keep_winners
from orchestrator.search.scheduler import RecordingScheduler
from orchestrator.search.trial_queue import ListedTrials
from orchestrator.trials.recorder import Recorder
from trainables.data.dataset import LabeledImages
from trainables.trial import References


class LostInputError(RuntimeError):
    """An input of the study can no longer be read."""


def retrain_and_test(
    session: Session, search: Search, choice: Choices, shared: Any
) -> tuple[bool, LabeledImages | None]:
    """Re-trains winners and baselines over seeds and fractions; each is tested when it ends.

    Returns:
        Whether every family and role has its rows; and the test part, None where nothing was left
        to test, so that it stayed closed.
    """
    settings, test = session.settings, None
    specs = finals.final_specs(choice, session.plans, session.searches, settings)
    if search.early is None:
        recorder, left = restore_finals(session, specs)
    else:
        recorder = search.early.recorder
        left = sorted(specs, key=lambda spec: spec.trial_id not in recorder.trials)  # begun first

    def rows() -> list[FinalRow]:
        return final_rows(session, recorder, choice)

    def predictions() -> Callable[[], Any]:
        tested_now = rows()  # under the writer's lock; the files are read after it
        names = session.inputs.dataset.test_names
        return lambda: finals.predictions(session.folder, tested_now, names)

    session.writer.add("final", rows)
    session.writer.add("predictions", predictions)
    session.writer.write()
    if left:  # the test part stays closed where nothing is to be tested
        test = _read_test(session)
    if choice:
        note_opening(session, search)
    if test is not None:
        references = References(shared=shared, test=session.executor.put(test))
        failed = [record for record in recorder.trials.values() if record.failures]
        pending = {record.spec.trial_id for record in failed}
        fresh = [spec for spec in left if spec.trial_id not in pending]
        searcher = ListedTrials(recorder, fresh, **session.queue_options())
        for record in failed:
            searcher.add_pending(record)
        trials = search.recorder.trained()

        def forecast() -> TimeLeft | None:
            study = session.manifest.study
            epochs = cast("list[FinalEpochRow]", recorder.epoch_rows())
            runs = final_runs(study, epochs, rows(), session.events)
            retrained = [each for each in recorder.trained() if each.epochs]
            return forecast_end(study, trials, retrained, runs, search.searcher.failed_families)

        session.run_phase(
            "finals",
            searcher,
            RecordingScheduler(recorder),
            recorder,
            references,
            title="Finals: re-training, then the test set",
            planned=Counter(spec.family for spec in specs),
            forecast=forecast,
        )
    session.must_have_ended(recorder)
    if settings.time_budget is not None:
        session.manifest.add(wall_seconds=round(search.budget.wall_seconds()))
    keep_winners(session.folder, rows(), session.inputs.dataset.classes)
    completed = all(record.status == State.COMPLETED for record in recorder.trials.values())
    return completed and len(choice) == len(session.searches), test


def _read_test(session: Session) -> LabeledImages:
    """Decodes the test part, which was whole when this run began."""
    try:
        return session.inputs.dataset.read_test()
    except (ValueError, OSError) as error:
        opened = session.manifest.study.test_openings > 0
        mend = "restore it as it was" if opened else "repair or replace it"
        raise LostInputError(
            f"the test part must be as it was when this run began, but {error}; all that was "
            f"found is kept, so {mend} and go on: {resume_command(session.folder)}"
        ) from error


def final_rows(session: Session, recorder: Recorder, choice: Choices) -> list[FinalRow]:
    """The rows of `final.parquet` of the runs that are completed."""
    rows: list[FinalRow] = []
    for record in list(recorder.trials.values()):
        if record.status == State.COMPLETED:
            spec = record.spec
            search = search_for(session.searches, spec.family, spec.train_fraction)
            both = choice[search.name].baseline_won
            rows += finals.final_rows(
                record,
                study=session.name,
                device=session.reservation.device,
                device_seconds=recorder.device_seconds(record),
                train_images=len(session.inputs.train[record.spec.train_fraction]),
                validation_images=len(session.inputs.split.validation),
                roles=("baseline", "tuned") if both else (record.spec.role,),
            )
    return sorted(rows, key=lambda r: (r["train_fraction"], r["family"], r["role"], r["seed"]))
