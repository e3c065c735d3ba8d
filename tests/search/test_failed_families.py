"""Families whose trials fail again and again are given up, and others are not."""

from ended_trials import fail_for_good, fail_one, one_family, run_one
from family_search import make_search

from orchestrator.trials.recorder import Recorder


def test_f8_three_trials_in_a_row_with_one_bug_stop_their_family_and_the_others_go_on(
    recorder: Recorder,
) -> None:
    search = make_search(recorder)
    for _ in range(2):
        assert fail_for_good(search, recorder) == "cnn"
        run_one(search, recorder)
    assert not search.failed_families
    fail_for_good(search, recorder)
    assert search.failed_families == {"cnn": "ValueError: 1 (model.py:7)"}
    rest = [run_one(search, recorder)["family"] for _ in range(2)]
    assert set(rest) == {"resnet50_scratch"}
    assert search.suggest("tune") == "FINISHED"


def test_f8_healed_errors_and_other_bugs_do_not_stop_a_family(recorder: Recorder) -> None:
    search = one_family(recorder)
    for _ in range(6):
        fail_one(search, recorder, "error", "the network is gone")
        run_one(search, recorder)
    for bug in ("model.py:7", "model.py:7", "data.py:3", "model.py:7"):
        fail_for_good(search, recorder, bug)
    run_one(search, recorder)  # gets further than any of them
    for _ in range(2):
        fail_for_good(search, recorder)
    assert not search.failed_families


def test_f8_trials_that_are_stopped_before_they_meet_the_bug_do_not_hide_it(
    recorder: Recorder,
) -> None:
    search = one_family(recorder)
    fail_for_good(search, recorder)
    fail_for_good(search, recorder)
    for number in range(3):
        assert not search.failed_families, number
        run_one(search, recorder, epochs=0)
    assert list(search.failed_families) == ["cnn"]


def test_f8_five_failures_in_a_row_stop_a_family_whatever_they_are(recorder: Recorder) -> None:
    search = one_family(recorder)
    for number in range(5):
        assert not search.failed_families
        fail_for_good(search, recorder, f"model.py:{number}")
    assert search.failed_families["cnn"].startswith(
        "5 trials in a row failed, the last by ValueError"
    )
