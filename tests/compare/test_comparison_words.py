"""What a comparison says: its tables, sentences and flags, in Markdown and on a terminal."""

import re
from itertools import product

import numpy as np
import pandas as pd
import pytest
from made_up_study import ComparedStudy, shown
from sklearn import metrics

from orchestrator.analysis.pairwise import difference_sections, probability_of_improvement
from orchestrator.results import schema as results


def test_markdown_and_terminal_show_the_same_cells_and_no_nan():
    study = ComparedStudy(
        fractions=(0.1, 1.0), never_predicted=("cnn",), identical=("resnet50_scratch",)
    )
    markdown, terminal = study.markdown(), study.terminal()
    for cell in ("resnet50_transfer", "4,500", "±", "the search found nothing better"):
        assert cell in markdown
        assert cell in terminal
    for cell in ("reference", "0.87", "11,173,962"):
        assert cell in markdown
        assert cell not in terminal
    for text in (markdown, terminal):
        assert "nan" not in text.lower()
        assert "None" not in text
        assert "inf" not in text.lower().split()


@pytest.fixture(scope="module")
def three_fractions():
    study = ComparedStudy(fractions=(0.01, 0.1, 1.0), seeds=3)
    return study, study.report()


@pytest.mark.parametrize("width", [80, 120])
def test_tables_fit_the_terminal_and_break_no_number(three_fractions, width):
    study, report = three_fractions
    terminal = shown(report, width)
    assert max(len(line.rstrip()) for line in terminal.splitlines()) <= width
    final = pd.DataFrame(study.final().to_pylist())
    for (fraction, role, family), own in final.groupby(["train_fraction", "role", "family"]):
        cell = f"{100 * own.test_accuracy.mean():.2f} ±{100 * own.test_accuracy.std():.2f}%"
        if role == "tuned" or fraction == 1:
            name = f"{family} {role}" if fraction == 1 else family
            assert [x for x in terminal.splitlines() if x.startswith(f"{name} ") and cell in x]


def test_names_from_outside_do_not_break_the_tables():
    study = ComparedStudy(families=("cnn",))
    study.runs = {("[red]a|b", *key[1:]): run for key, run in study.runs.items()}
    study.families = ("[red]a|b",)
    assert "| [red]a\\|b baseline |" in study.markdown()
    assert "[red]a|b baseline" in study.terminal()


def test_the_main_table_has_mean_and_spread_over_seeds_at_the_best_epoch():
    study = ComparedStudy(families=("cnn",))
    runs = [study.run("cnn", "tuned", seed) for seed in (0, 1)]
    losses = [metrics.log_loss(study.labels, run) for run in runs]
    accuracies = [100 * metrics.accuracy_score(study.labels, run.argmax(1)) for run in runs]
    loss = f"{np.mean(losses):.3f} ± {np.std(losses, ddof=1):.3f}"
    expected = f"{np.mean(accuracies):.2f} ± {np.std(accuracies, ddof=1):.2f}%"
    (line,) = [
        x for x in study.markdown().splitlines() if x.startswith(f"| cnn tuned | {expected} ")
    ]
    assert f"| {loss} | 2 |" in line


def test_one_seed_has_no_spread_and_says_so():
    markdown = ComparedStudy(seeds=1).markdown()
    assert "±" not in markdown
    assert "macro; one seed." in markdown
    assert "the noise of test images alone (one seed)" in markdown


def test_demo_sentences_come_first():
    demo = ["This is the demo.", "Digits stand in for CIFAR-10."]
    markdown = ComparedStudy(entries={"demo": demo}).markdown()
    lines = markdown.splitlines()
    assert lines[0] == "# Comparison of made up"
    assert lines[2:5] == ["> **This is the demo.**", ">", "> **Digits stand in for CIFAR-10.**"]


@pytest.mark.parametrize(
    ("seeds", "start"),
    [
        (1, "Of these 3 trained networks, compared by one training each, that of resnet50_tr"),
        (2, "resnet50_transfer is the most accurate of 3: "),
    ],
)
def test_the_answer_opens_the_markdown_and_ends_the_terminal(seeds, start):
    study = ComparedStudy(seeds=seeds, fractions=(0.1, 1.0))
    _, headline, details = study.markdown().split("\n\n")[:3]
    assert headline.startswith(f"**{start}")
    assert headline.endswith("which excludes 0).**")
    assert details.startswith("- Measured on 300 test images after training on 45,000; ")
    *_, last = study.terminal().split("\n\n")
    assert " ".join(last.split()) == headline.strip("*")


@pytest.mark.parametrize("alone", [1, 2])
def test_a_family_with_one_training_left_is_named_beside_means_of_the_others(alone):
    study = ComparedStudy(seeds=3, draws=40)
    once = study.families[alone]
    for seed in (1, 2):
        study.drop(once, "tuned", seed)
    text = study.markdown()
    start = f"Of these trainings, one alone of {once}, resnet50_transfer is the most accurate of 3:"
    assert (start in text) == (alone == 2)
    assert "means over 1 to 3 trainings each, and of one alone training noise is in no" in text
    assert "of training where both models have two seeds or more" in text


@pytest.mark.parametrize(
    ("made", "says"),
    [
        ({"entries": {"outcome": "interrupted"}}, "No final run was tested yet: unless the study "),
        ({"entries": {"outcome": "incomplete"}}, "No final run was tested yet: unless the study "),
        (
            {"families": (), "failed": ("cnn",), "entries": {"outcome": "incomplete"}},
            "No trial finished: `python -m orchestrator.status",
        ),
    ],
)
def test_where_nothing_was_tested_it_is_said_what_to_do(made, says):
    given = {"final": (), "predictions": ()}
    text = ComparedStudy(given=given, **made).markdown()
    assert "**No answer: no family has a tuned model that was tested.**" in text
    assert says in text.partition("Warnings")[0]


def test_the_largest_fraction_comes_first_everywhere():
    markdown = ComparedStudy(fractions=(0.1, 1.0), never_predicted=("cnn",)).markdown()
    for title in (
        "Test results at train fraction ",
        "Differences in test accuracy at train fraction ",
    ):
        assert [
            line.removeprefix(f"## {title}").partition(":")[0]
            for line in markdown.splitlines()
            if line.startswith(f"## {title}")
        ] == ["1", "0.1"]
    flags = markdown.partition("Warnings")[2].splitlines()[2:6]
    assert [re.search(r"at train fraction ([\d.]+)", line)[1] for line in flags] == [
        *("1", "1", "0.1", "0.1")
    ]


def test_a_terminal_gets_five_warnings_and_how_many_more_there_are():
    study = ComparedStudy(fractions=(0.01, 0.1, 1.0), never_predicted=("cnn",))
    study.entries["baseline_deviations"] = {"cnn": {"epochs": [2, 50]}}
    study.entries["test_openings"] = 2
    _, _, warnings = study.terminal(300).partition("Warnings\n")
    lines = warnings.partition("\n\n")[0].splitlines()
    assert lines[0].startswith("- The test set was opened 2 times")
    assert len(lines) == 6
    assert lines[5] == "- 3 more in comparison.md."


def test_the_reference_is_shown_for_cifar10_only():
    assert "| cnn | reference | 50 | 70% | 0.71 | 0.69 | 1.58 |" in ComparedStudy().markdown()
    assert "reference" not in ComparedStudy(dataset="digits").markdown()


def lines_of(markdown, title):
    """Cells of the table under a heading that starts so."""
    (shown,) = [part for part in markdown.split("## ") if part.startswith(title)]
    lines = [line.strip("| ").split(" | ") for line in shown.splitlines() if line.startswith("| ")]
    return lines[2:]


def test_every_pair_has_a_row_with_the_better_model_first_and_tuned_families_on_top():
    study = ComparedStudy(fractions=(0.1, 1.0))
    lines = lines_of(study.markdown(), "Differences in test accuracy at train fraction 1")
    assert len(lines) == 15
    assert [[name.partition(" ")[2] for name in line[:2]] for line in lines[:3]] == [
        ["tuned"] * 2
    ] * 3
    for row in study.compared():
        if (row["seed"], row["metric"], row["train_fraction"]) != (None, "accuracy", 1.0):
            continue
        names = [f"{row['a_family']} {row['a_role']}", f"{row['b_family']} {row['b_role']}"]
        better, worse = names if row["difference"] >= 0 else names[::-1]
        (line,) = [line for line in lines if (line[0], line[1]) == (better, worse)]
        assert line[2].startswith(f"{abs(100 * row['difference']):+.2f} [")


RUNS = [
    {"train_fraction": 1.0, "family": family, "role": "tuned", "test_accuracy": 0.5}
    for family in "ab"
]


def pair(accuracy, p=None, **other):
    """The rows of one pair of means: accuracy and loss."""
    names = {"train_fraction": 1.0, "a_family": "a", "a_role": "tuned", "b_family": "b"}
    shared = {**names, "b_role": "tuned", "seed": None, "n_seeds": 3, "p_value_holm": p, **other}
    found = {"accuracy": accuracy, "precision": accuracy, "recall": accuracy, "loss": (-1, -2, 0.5)}
    return [
        {**shared, "metric": name, "difference": value, "ci_low": low, "ci_high": high}
        for name, (value, low, high) in found.items()
    ]


@pytest.mark.parametrize(
    ("difference", "p", "certain"),
    [
        ((0.1, 0.05, 0.15), 0.01, "yes"),
        ((0.1, 0.05, 0.15), 0.06, "no"),  # does not survive the correction
        ((0.1, -0.05, 0.25), 0.3, "no"),
        ((0.1, 0.05, 0.15), None, "yes"),  # of a study that was compared before there was one
    ],
)
def test_certain_is_what_survives_the_correction(difference, p, certain):
    (section,) = difference_sections(pair(difference, p), RUNS)
    assert section.table["certain"].to_list() == [certain]


def test_a_pair_turned_round_has_all_its_metrics_turned_round():
    (section,) = difference_sections(pair((-0.1, -0.15, -0.05)), RUNS)
    (row,) = section.cells()
    assert row[:3] == ("b tuned", "a tuned", "+10.00 [+5.00, +15.00]")
    assert dict(zip(section.formats, row, strict=True))["loss"] == "+1.000 [-0.500, +2.000]"


def test_pairs_whose_runs_are_lost_are_still_told():
    (section,) = difference_sections(pair((0.1, 0.05, 0.15)), [])
    assert [row[:2] for row in section.cells()] == [("a tuned", "b tuned")]


@pytest.mark.parametrize("seed", range(5))
def test_the_probability_of_improvement_is_the_share_of_all_pairs(seed):
    generator = np.random.default_rng(seed)
    a, b = generator.integers(5, size=4) / 10, generator.integers(5, size=3) / 10
    pairs = [(x > y) + (x == y) / 2 for x, y in product(a, b)]
    assert probability_of_improvement(a, b) == pytest.approx(np.mean(pairs))


def test_what_a_reader_must_know_is_flagged():
    study = ComparedStudy(
        never_predicted=("cnn",), identical=("resnet50_scratch",), entries={"test_openings": 2}
    )
    deviations = {"resnet50_transfer": {"epochs": [2, 50], "input_size": [32, 48]}}
    study.entries["baseline_deviations"] = deviations
    markdown = study.markdown()
    assert (
        "cnn baseline at train fraction 1 leaves classes that it never predicts, 1 with" in markdown
    )
    many = ComparedStudy(never_predicted=("cnn",), seeds=7).markdown()
    assert "never predicts, 1 with 7 of 7 seeds; their" in many
    assert "resnet50_scratch: the search found nothing better than the baseline" in markdown
    assert "cnn: the search found nothing better" not in markdown
    assert "test set was opened 2 times" in markdown
    assert "epochs 2 instead of 50, input_size 32 instead of 48" in markdown


def test_a_training_that_collapsed_is_named_first():
    study = ComparedStudy(seeds=5)
    run = study.run("cnn", "tuned", 3)
    run[:] = 0.1
    run[:, 0] = 0.7  # one class, whatever the image
    (warnings,) = [part for part in study.markdown().split("## ") if part.startswith("Warnings")]
    first = warnings.splitlines()[2]
    assert first.startswith("- cnn tuned at train fraction 1, seed 3: this training collapsed (")
    study.drop("cnn", "tuned", 3)
    assert "collapsed" not in study.markdown()


def test_a_winner_that_is_the_baseline_is_not_compared_with_itself_or_shown_again():
    study = ComparedStudy(identical=("resnet50_scratch",))
    names = {"resnet50_scratch baseline", "resnet50_scratch tuned"}
    shown = {
        each.key: {cell for row in each.cells() for cell in row} for each in study.report().sections
    }
    assert names <= shown["results/1"]
    assert names & shown["differences/1"] == {"resnet50_scratch tuned"}
    assert names & shown["classes/calibration"] == {"resnet50_scratch baseline"}


def test_runs_without_measurements_are_not_called_the_same():
    names = results.schemas([])["final"].names
    missing = ("params_json", *(name for name in names if name.startswith("test_")))
    assert (
        "found nothing better" not in ComparedStudy(families=("cnn",), missing=missing).markdown()
    )


def test_a_family_without_a_finished_trial_is_named_and_gets_no_winner():
    study = ComparedStudy(families=("cnn", "resnet50_transfer"), failed=("resnet50_scratch",))
    markdown = study.markdown()
    assert "resnet50_scratch: no trial finished (1 failed, 1 diverged)" in markdown
    assert "resnet50_scratch tuned" not in markdown
    assert "| resnet50_scratch | reference |" in markdown
    assert "| resnet50_scratch | ours" not in markdown


def test_a_family_that_was_tested_is_not_said_to_have_no_winner_where_its_trials_are_lost():
    assert "no winner" not in ComparedStudy(families=("cnn",), given={"trials": ()}).markdown()


def test_a_study_of_one_of_each_says_so_in_the_singular():
    study = ComparedStudy(
        families=("cnn",),
        seeds=1,
        test_images=1,
        settings={"budget_gpu_hours": 1.0, "time_budget": 1.0},
    )
    text = study.markdown()
    assert "5,000 validation images, 1 test image." in text
    assert "1 device-hour, an equal share for each family and 1 hour of wall time, fin" in text
    assert "at most 1 trial for" in text


def test_a_study_whose_families_all_failed_still_has_a_report():
    study = ComparedStudy(families=(), failed=("cnn",))
    assert "cnn: no trial finished" in study.markdown()
    assert study.terminal().endswith("\nNo answer: no family has a tuned model that was tested.\n")


def test_missing_numbers_are_dashes():
    study = ComparedStudy(
        families=("cnn",), missing=("test_loss", "parameters", "test_recall_last_epoch")
    )
    (line,) = lines_of(study.markdown(), "Test results")[:1]
    assert (line[4], line[6]) == ("—", "—")
    assert "nan" not in study.terminal().lower()
