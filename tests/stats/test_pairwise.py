"""Pairs of models compared on made-up predictions, and a made-up study's folder compared again."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from made_up_study import CLASSES, IMAGES, ComparedStudy
from scipy.stats import binomtest
from sklearn import metrics

from orchestrator.analysis.pairwise import other_metrics
from orchestrator.compare import __main__ as compare
from orchestrator.compare import within_study
from orchestrator.results import files
from orchestrator.results import schema as results
from orchestrator.stats import significance
from orchestrator.stats.pairwise import compare as compare_models


def test_all_pairs_stand_in_a_fixed_order_with_all_metrics():
    rows = ComparedStudy().compared()
    means = [row for row in rows if row["seed"] is None and row["metric"] == "accuracy"]
    names = [
        f"{row['a_family']} {row['a_role']} - {row['b_family']} {row['b_role']}" for row in means
    ]
    assert len(names) == 15
    assert names[:2] == ["cnn baseline - cnn tuned", "cnn baseline - resnet50_scratch baseline"]
    assert names[-1] == "resnet50_transfer baseline - resnet50_transfer tuned"
    assert len(rows) == 15 * 4 * (1 + 2)
    assert {row["n_seeds"] for row in means} == {2}
    assert {row["n_images"] for row in rows} == {IMAGES}


def test_differences_are_a_minus_b_of_scikit_learns_metrics():
    study = ComparedStudy(families=("cnn", "resnet50_transfer"))
    macro = {"labels": range(CLASSES), "average": "macro", "zero_division": 0}
    functions = {
        "accuracy": metrics.accuracy_score,
        "precision": lambda true, guess: metrics.precision_score(true, guess, **macro),
        "recall": lambda true, guess: metrics.recall_score(true, guess, **macro),
    }
    for row in study.compared():
        if row["seed"] is None:
            continue
        a = study.run(row["a_family"], row["a_role"], row["seed"])
        b = study.run(row["b_family"], row["b_role"], row["seed"])
        if row["metric"] == "loss":
            a_loss, b_loss = (
                metrics.log_loss(study.labels, run, labels=range(CLASSES)) for run in (a, b)
            )
            assert row["difference"] == pytest.approx(a_loss - b_loss, abs=1e-6)
        else:
            function = functions[row["metric"]]
            expected = function(study.labels, a.argmax(1)) - function(study.labels, b.argmax(1))
            assert row["difference"] == pytest.approx(expected)


def test_p_values_are_mcnemars_and_holms_and_only_on_accuracy_of_a_seed():
    study = ComparedStudy()
    rows = study.compared()
    tested = [row for row in rows if row["p_value"] is not None]
    assert {row["metric"] for row in tested} == {"accuracy"}
    assert len(tested) == 15 * 2
    assert all(row["seed"] is not None for row in tested)
    row = tested[1]
    a = study.run(row["a_family"], row["a_role"], row["seed"]).argmax(1) == study.labels
    b = study.run(row["b_family"], row["b_role"], row["seed"]).argmax(1) == study.labels
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    assert row["p_value"] == binomtest(only_a, only_a + only_b).pvalue
    of_seed = [row for row in tested if row["seed"] == 0]
    adjusted = significance.holm([row["p_value"] for row in of_seed])
    assert [row["p_value_holm"] for row in of_seed] == pytest.approx(adjusted)


def test_the_interval_of_the_means_has_the_spread_of_the_seeds_in_it():
    study = ComparedStudy(families=("cnn", "resnet50_transfer"), seed_effect=0.1, seeds=3)
    widths = {
        row["seed"]: row["ci_high"] - row["ci_low"]
        for row in study.compared()
        if row["metric"] == "accuracy"
        and (row["a_family"], row["b_family"]) == study.families
        and row["a_role"] == row["b_role"] == "tuned"
    }
    assert widths.pop(None) > max(widths.values())


def test_with_one_seed_the_row_of_the_means_is_the_row_of_the_seed():
    rows = ComparedStudy(seeds=1).compared()
    shown = (
        "a_family",
        "a_role",
        "b_family",
        "b_role",
        "metric",
        "difference",
        "ci_low",
        "ci_high",
    )
    of_seed = [[row[name] for name in shown] for row in rows if row["seed"] == 0]
    of_means = [[row[name] for name in shown] for row in rows if row["seed"] is None]
    assert of_seed == of_means


def test_a_winner_that_is_its_baseline_differs_by_exactly_zero():
    rows = ComparedStudy(identical=("cnn",), seeds=3).compared()
    own = [row for row in rows if row["a_family"] == row["b_family"] == "cnn"]
    assert len(own) == 4 * 4
    assert {(row["difference"], row["ci_low"], row["ci_high"]) for row in own} == {(0, 0, 0)}
    assert {row["p_value"] for row in own} == {1.0, None}


def test_a_missing_family_has_no_rows_and_a_missing_seed_no_row_of_its_own():
    study = ComparedStudy(families=("cnn", "resnet50_transfer"))
    study.drop("cnn", "tuned", seed=1)
    rows = [row for row in study.compared() if row["metric"] == "accuracy"]
    assert {row["a_family"] for row in rows} | {row["b_family"] for row in rows} == set(
        study.families
    )
    pair = [row for row in rows if row["b_role"] == "tuned" and row["b_family"] == "cnn"]
    assert [(row["seed"], row["n_seeds"]) for row in pair] == [(0, 1), (None, 1)]


def test_fractions_are_compared_each_for_itself():
    rows = ComparedStudy(fractions=(1.0, 0.1)).compared()
    assert [row["train_fraction"] for row in rows] == sorted(row["train_fraction"] for row in rows)
    assert len(rows) == 2 * 15 * 4 * 3


def test_a_probability_of_zero_gives_a_finite_loss():
    study = ComparedStudy(families=("cnn",))
    run = study.run("cnn", "tuned", 0)
    run[:] = np.eye(CLASSES, dtype=np.float32)[(study.labels + 1) % CLASSES]
    losses = [row["difference"] for row in study.compared() if row["metric"] == "loss"]
    assert max(map(abs, losses)) > 90


def test_probabilities_that_are_no_numbers_leave_null_and_no_nan():
    study = ComparedStudy(families=("cnn",))
    study.run("cnn", "tuned", 0)[:] = np.nan
    rows = [row for row in study.compared() if row["metric"] == "loss" and row["seed"] != 1]
    assert {(row["difference"], row["ci_low"]) for row in rows} == {(None, None)}


def test_runs_on_other_images_are_refused():
    study = ComparedStudy(families=("cnn",))
    other = study.predictions().to_pandas()
    other.loc[other.index[:IMAGES], "image_index"] += 1
    table = pa.Table.from_pandas(other, schema=results.FIXED_SCHEMAS["predictions"])
    with pytest.raises(ValueError, match="same images"):
        compare_models(study.final(), table, draws=10)


def test_markdown_and_terminal_show_the_same_cells_and_no_nan():
    study = ComparedStudy(
        fractions=(0.1, 1.0), never_predicted=("cnn",), identical=("resnet50_scratch",)
    )
    markdown, terminal = study.markdown(), study.terminal()
    for cell in ("resnet50_transfer", "4,500", "reference", "0.87", "±", "11,173,962"):
        assert cell in markdown
        assert cell in terminal
    for text in (markdown, terminal):
        assert "nan" not in text.lower()
        assert "None" not in text
        assert "inf" not in text.lower().split()


@pytest.mark.parametrize("width", [80, 120])
def test_tables_fit_the_terminal_and_break_no_number(width):
    terminal = ComparedStudy().terminal(width)
    assert max(len(line.rstrip()) for line in terminal.splitlines()) <= width
    assert terminal.count("11,173,962") == 12  # in the table of results and in that of sizes


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
    assert f"| cnn tuned | {loss} | {expected} |" in study.markdown()


def test_one_seed_has_no_spread_and_says_so():
    markdown = ComparedStudy(seeds=1).markdown()
    assert "±" not in markdown.replace("there is no ±", "")
    assert "One seed shows no training noise" in markdown
    assert "test-sampling noise only" in markdown


def test_demo_sentences_come_first():
    demo = ["This is the demo.", "Digits stand in for CIFAR-10."]
    markdown = ComparedStudy(entries={"demo": demo}).markdown()
    lines = markdown.splitlines()
    assert lines[0] == "# Comparison of made up"
    assert lines[2:5] == ["> **This is the demo.**", ">", "> **Digits stand in for CIFAR-10.**"]


def test_the_reference_is_shown_for_cifar10_only():
    assert "| cnn | reference | 50 | 1.58 | 70% | 0.71 | 0.69 |" in ComparedStudy().markdown()
    markdown = ComparedStudy(dataset="digits").markdown()
    assert "| reference |" not in markdown
    assert "the reference results are for cifar10, this is digits" in markdown


def test_every_pair_of_tuned_families_has_a_sentence():
    markdown = ComparedStudy().markdown()
    start = "At train fraction 1, resnet50_transfer tuned is "
    sentences = [line for line in markdown.splitlines() if "Holm-adjusted p: " in line]
    assert len(sentences) == 3
    assert any(
        start in line and "percentage points more accurate than cnn tuned" in line
        for line in sentences
    )
    assert all("which excludes 0" in line or "which includes 0" in line for line in sentences)


def test_every_pair_has_a_row_with_the_better_model_first():
    study = ComparedStudy(fractions=(0.1, 1.0))
    parts = study.markdown().split("## ")
    (shown,) = [part for part in parts if part.startswith("Every pair at train fraction 1")]
    lines = [line.split(" | ") for line in shown.splitlines() if line.startswith("| ")][2:]
    assert len(lines) == 15
    for row in study.compared():
        if (row["seed"], row["metric"], row["train_fraction"]) != (None, "accuracy", 1.0):
            continue
        names = [f"{row['a_family']} {row['a_role']}", f"{row['b_family']} {row['b_role']}"]
        better, worse = names if row["difference"] >= 0 else names[::-1]
        (line,) = [line for line in lines if (line[0][2:], line[1]) == (better, worse)]
        assert line[2].startswith(f"{abs(100 * row['difference']):+.2f} [")
        certain = row["ci_low"] > 0 or row["ci_high"] < 0
        assert line[3] == f"{'yes' if certain else 'no'} |"


def pair(metric, difference, low, high):
    names = {"a_family": "a", "a_role": "tuned", "b_family": "b", "b_role": "tuned"}
    return {**names, "metric": metric, "difference": difference, "ci_low": low, "ci_high": high}


@pytest.mark.parametrize(
    ("accuracy", "precision", "loss", "said"),
    [
        (
            (0.1, 0.05, 0.15),
            (0.1, 0.05, 0.15),
            (-1, -2, -0.5),
            "macro precision and loss say the same",
        ),
        (
            (-0.1, -0.15, -0.05),
            (-0.1, -0.2, -0.1),
            (1, 0.5, 2),
            "macro precision and loss say the same",
        ),
        ((0.1, -0.1, 0.3), (0.1, -0.1, 0.3), (1, -1, 2), "macro precision and loss say the same"),
        (
            (0.1, 0.05, 0.15),
            (0.1, -0.05, 0.25),
            (1, 0.5, 2),
            "macro precision says no difference that is certain: +0.100 [-0.050, +0.250]; "
            "loss says the opposite: +1.000 [+0.500, +2.000]",
        ),
        (
            (-0.1, -0.2, 0.1),
            (-0.1, -0.2, 0.1),
            (1, 0.5, 2),
            "loss says that this is certain: -1.000 [-2.000, -0.500]",
        ),
        ((0.1, 0.05, 0.15), (None, None, None), (1, 0.5, 2), ""),
    ],
)
def test_where_the_other_metrics_say_something_else_it_is_said(accuracy, precision, loss, said):
    rows = {"accuracy": accuracy, "precision": precision, "loss": loss}
    assert other_metrics({name: pair(name, *row) for name, row in rows.items()}) == said


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
    assert "resnet50_scratch: the search found nothing better than the baseline" in markdown
    assert "cnn: the search found nothing better" not in markdown
    assert "test set was opened 2 times" in markdown
    assert "epochs 2 instead of 50, input_size 32 instead of 48" in markdown


def test_a_winner_that_is_the_baseline_is_not_compared_with_itself_or_shown_again():
    markdown = ComparedStudy(identical=("resnet50_scratch",)).markdown()
    results, _, rest = markdown.partition("## Tuned minus baseline")
    assert "| resnet50_scratch tuned |" in results
    for title in ("## Every pair at train fraction 1", "## Calibration on the test images"):
        assert "| resnet50_scratch tuned |" not in rest.partition(title)[2].partition("## ")[0]
    assert "nothing better than the baseline of resnet50_scratch: tuned and baseline" in rest
    assert "| 1 | resnet50_scratch | +0.000" not in rest
    assert "Tuned models that are their family's baseline are not shown again" in rest


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
    assert "| resnet50_scratch | ours, macro | — | — | — | — | — |" in markdown


def test_a_study_whose_families_all_failed_still_has_a_report():
    study = ComparedStudy(families=(), failed=("cnn",))
    assert "cnn: no trial finished" in study.markdown()
    assert "nothing was measured on the test set" in study.terminal()


def test_missing_numbers_are_dashes():
    study = ComparedStudy(
        families=("cnn",), missing=("test_loss", "parameters", "test_recall_last_epoch")
    )
    assert "| cnn baseline | — |" in study.markdown()
    assert "nan" not in study.terminal().lower()


def test_the_command_writes_both_files_and_prints_the_tables(tmp_path, capsys):
    folder = ComparedStudy(families=("cnn", "resnet50_transfer")).write(tmp_path / "a study é")
    assert compare.main([str(folder)]) == 0
    assert "Comparison of made up" in capsys.readouterr().out
    table = files.read_table(folder, "comparison")
    assert table.schema.equals(results.FIXED_SCHEMAS["comparison"])
    assert table.schema.metadata[b"git_commit"] == b"abc"
    assert "# Comparison of made up" in (folder / "comparison.md").read_text(encoding="utf-8")
    assert not list(folder.glob(".*"))


def test_comparing_again_gives_the_same_files(tmp_path):
    folder = ComparedStudy(families=("cnn",)).write(tmp_path)
    within_study.write_comparison(folder, None)
    first = [(folder / name).read_bytes() for name in ("comparison.parquet", "comparison.md")]
    within_study.write_comparison(folder, None)
    assert first == [
        (folder / name).read_bytes() for name in ("comparison.parquet", "comparison.md")
    ]


def test_a_study_in_which_every_family_failed_is_reported_without_numbers(tmp_path):
    folder = ComparedStudy(families=(), failed=("cnn",)).write(tmp_path)
    within_study.write_comparison(folder, None)
    assert files.read_table(folder, "comparison").num_rows == 0
    text = (folder / "comparison.md").read_text(encoding="utf-8")
    assert "nothing was measured on the test set" in text


@pytest.mark.parametrize(
    ("lacking", "message"),
    [
        ("study.json", "no study.json"),
        ("final.parquet", "final.parquet must exist"),
        ("name", "of name is said: Field required"),
    ],
)
def test_a_folder_that_cannot_be_compared_is_one_line_and_exit_2(
    tmp_path, capsys, lacking, message
):
    folder = ComparedStudy(families=("cnn",)).write(tmp_path)
    if lacking == "name":
        (folder / "study.json").write_text("{}")
    else:
        (folder / lacking).unlink()
    assert compare.main([str(folder)]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert not captured.out
    assert not (folder / "comparison.md").exists()


def test_help_answers_without_the_heavy_imports():
    code = (
        "import sys; from orchestrator.compare.__main__ import _parser; _parser().format_help(); "
        "print(sorted({'numpy', 'pandas', 'scipy', 'pyarrow', 'torch', 'ray'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_comparing_imports_neither_torch_nor_ray():
    code = (
        "import sys; import orchestrator.stats.pairwise, orchestrator.compare.render; "
        "print(sorted({'torch', 'ray'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
