"""The finals: what is re-trained, and with which seeds."""

from made_up_trials import row_of, spec_of

from orchestrator.config.searches import Search, list_searches
from orchestrator.config.settings import Settings
from orchestrator.config.sources import resolve
from orchestrator.plan.families import plan_families
from orchestrator.results.study_record import Choice
from orchestrator.run import finals
from orchestrator.trials.recorder import Recorder
from orchestrator.trials.trial import TrialSpec


def settings_of(*assignments: str) -> Settings:
    return resolve({"families": "cnn"}, config=None, assignments=list(assignments))


def searches_of(settings: Settings) -> list[Search]:
    return list_searches(["cnn"], settings.train_fractions, per_fraction=settings.tune_per_fraction)


def specs_of(choice: dict[str, Choice], settings: Settings) -> list[TrialSpec]:
    plans = plan_families(settings)
    return finals.final_specs(choice, plans, searches_of(settings), settings)


def choice_of(*, baseline_won: bool) -> dict[str, Choice]:
    (plan,) = plan_families(settings_of())
    params = {**plan.baseline, "learning_rate": 1e-3}
    won = {"params": params, "validation_accuracy": 0.5, "baseline_won": baseline_won}
    return {"cnn": Choice(trial_id="cnn-001", **won)}


def test_each_winner_and_baseline_is_trained_per_seed_and_fraction_with_shared_seeds() -> None:
    settings = settings_of("seeds=2", "train_fractions=0.5,1.0")
    specs = specs_of(choice_of(baseline_won=False), settings)
    assert [spec.trial_id for spec in specs] == [
        f"cnn-{role}-s{seed}-f{fraction}"
        for fraction in ("0.5", "1")
        for seed in (0, 1)
        for role in ("baseline", "tuned")
    ]
    seeds = {(spec.role, spec.seed_index): spec.seed for spec in specs}
    assert seeds["baseline", 0] == seeds["tuned", 0] != seeds["baseline", 1]
    assert {s.params["learning_rate"] for s in specs if s.role == "baseline"} == {1e-4}
    assert {s.params["learning_rate"] for s in specs if s.role == "tuned"} == {1e-3}


def test_a_winner_that_is_the_baseline_is_trained_once() -> None:
    settings = settings_of("seeds=1")
    specs = specs_of(choice_of(baseline_won=True), settings)
    assert [spec.trial_id for spec in specs] == ["cnn-baseline-s0-f1"]


def test_a_family_without_a_winner_has_no_finals() -> None:
    settings = settings_of()
    assert specs_of({}, settings) == []


def test_the_choice_is_made_by_validation_and_says_whether_the_baseline_won(
    recorder: Recorder,
) -> None:
    for trial_id, role, accuracy in (
        ("cnn-000", "baseline", 0.6),
        ("cnn-001", "search", 0.5),
    ):
        recorder.propose(spec_of(trial_id, role))
        recorder.epoch(trial_id, row_of(1, accuracy))
        recorder.end(trial_id, "completed")
    chosen = finals.choose(recorder, searches_of(settings_of()))["cnn"]
    assert (chosen.trial_id, chosen.baseline_won) == ("cnn-000", True)


def test_another_choice_or_setting_is_another_opening() -> None:
    def digest(*, baseline_won: bool, seed: int = 1) -> str:
        choice = choice_of(baseline_won=baseline_won)
        return finals.digest({"cnn": choice["cnn"].model_dump()}, {"seed": seed})

    one = digest(baseline_won=False)
    assert one == digest(baseline_won=False)
    assert one != digest(baseline_won=True)
    assert one != digest(baseline_won=False, seed=2)
