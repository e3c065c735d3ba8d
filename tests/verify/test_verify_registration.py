"""A registration is written before the search, kept to, told apart, and proven from the files."""

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from in_process import Driver
from made_up_inputs import FAMILIES, add_family
from rich.console import Console
from tampering import Damage, Names, alter, entry, gone, noted, stamped

from orchestrator.compare.within_study import write_comparison
from orchestrator.config.flags import parse
from orchestrator.results import files, registration
from orchestrator.results.registration import FILE
from orchestrator.results.study_record import Question
from orchestrator.verify.runner import verify

SIZES = {"trials": 5, "epochs": 2, "grace_period": 1, "seeds": 2, "families": "curve,second"}
NO_FAULT = (
    *("space.curve.fault=none", "space.second.fault=none"),
    *("baseline.curve.skill=0.3", "baseline.second.skill=0.4"),
)
TUNED = "second tuned against second baseline at train fraction 1"
ASKED = """
alpha: 0.04
questions:
  - {a: second tuned, b: second baseline}
  - {a: curve tuned, b: second tuned, margin: 0.5}
"""


def make_driver(place: Path, patch: pytest.MonkeyPatch) -> Driver:
    add_family(place / "families", patch, "second")
    (place / "asked.yaml").write_text(ASKED)
    driver = Driver(place / "results", patch, SIZES, NO_FAULT)
    driver.register = str(place / "asked.yaml")
    return driver


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """A finished study of two families that registered two questions; copy it before a change."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STUDY_FAMILY_PATH", str(FAMILIES))
        driver = make_driver(tmp_path_factory.mktemp("registered"), patch)
        assert driver.start()
        yield driver


@pytest.fixture
def folder(registered: Driver, tmp_path: Path) -> Path:
    copy = tmp_path / registered.name
    shutil.copytree(registered.folder, copy)
    return copy


def test_what_was_registered_is_on_disk_with_its_hash_and_sound(registered: Driver) -> None:
    written = registration.read(registered.folder)
    study = files.read_study(registered.folder).raw
    assert written is not None
    assert written["sha256"] == registration.sha256_of(written["content"])
    assert study["registration"]["sha256"] == written["sha256"]
    assert [q["margin"] for q in written["content"]["questions"]] == [0.0, 0.5]
    assert written["content"]["settings"]["seeds"] == 2
    assert "results_dir" not in written["content"]["settings"]
    assert verify(registered.folder, sources=False).problems == []


def test_registered_questions_are_corrected_together_and_all_others_apart(
    registered: Driver,
) -> None:
    rows = files.read_table(registered.folder, "comparison").to_pylist()
    means = [row for row in rows if row["seed"] is None and row["metric"] == "accuracy"]
    own, others = ([r for r in means if r["registered"] is asked] for asked in (True, False))
    assert (len(own), len(others)) == (2, 4)
    assert {row["registered"] for row in rows if row["seed"] is not None} == {None}
    least = min(own, key=lambda row: row["p_value"])
    assert least["p_value_holm"] == pytest.approx(min(1.0, 2 * least["p_value"]))
    least = min(others, key=lambda row: row["p_value"])
    assert least["p_value_holm"] == pytest.approx(min(1.0, 4 * least["p_value"]))


def test_terminal_markdown_and_json_tell_registered_from_explored(folder: Path) -> None:
    console = Console(file=io.StringIO(), width=80)
    report = write_comparison(folder, console)
    titles = {section.key: section.title for section in report.sections}
    assert titles["differences/registered"] == "What was registered before the search"
    assert titles["results/1"].endswith("(explored)")
    pairs = next(s for s in report.sections if s.key == "differences/1")
    assert sorted(pairs.table["asked"]) == ["explored"] * 4 + ["registered"] * 2
    markdown = (folder / "comparison.md").read_text()
    assert "| explored |" in markdown
    assert TUNED in markdown
    printed = console.file.getvalue()
    assert "What was registered before the search" in printed
    lines = [line for line in printed.splitlines() if not line.startswith("Comparison: ")]
    assert max(map(len, lines)) <= 80


def test_a_registered_question_whose_model_was_not_tested_is_said_so(folder: Path) -> None:
    for table in ("final", "predictions"):
        whole = files.read_any_table(folder, table)
        kept = [row["role"] == "baseline" or row["family"] == "curve" for row in whole.to_pylist()]
        meta = {k.decode(): v.decode() for k, v in whole.schema.metadata.items()}
        files.write_table(folder, table, whole.filter(kept), meta)
    report = write_comparison(folder, None)
    section = next(s for s in report.sections if s.key == "differences/registered")
    assert list(section.table["answer"]) == ["could not be asked", "could not be asked"]
    assert f"A registered question could not be asked: {TUNED}." in section.warnings


def _content(**changes: Any) -> Damage:
    """Changes the registration, with a hash that fits, as a forger would."""

    def damage(folder: Path, _: Names) -> None:
        written = json.loads((folder / FILE).read_text())
        written["content"].update(changes)
        written["sha256"] = registration.sha256_of(written["content"])
        (folder / FILE).write_text(json.dumps(written))

    return damage


def _forged(**changes: Any) -> Damage:
    """The same with `study.json` and the stamp of each table, as a thorough forger would."""

    def damage(folder: Path, names: Names) -> None:
        _content(**changes)(folder, names)
        written = json.loads((folder / FILE).read_text())
        study = json.loads((folder / "study.json").read_text())
        kept = ("registered_at", "questions", "alpha")
        study["registration"] = {"sha256": written["sha256"]} | {
            name: written["content"][name] for name in kept
        }
        (folder / "study.json").write_text(json.dumps(study))
        for path in folder.glob("*.parquet"):
            stamped(path.stem, registration_sha256=written["sha256"])(folder, names)

    return damage


def _without_entry(content: dict[str, Any], _: Names) -> None:
    del content["registration"]


ONE = [
    {
        "a_family": "curve",
        "a_role": "tuned",
        "b_family": "curve",
        "b_role": "baseline",
        "train_fraction": 1.0,
        "margin": 0.0,
    }
]
MEANS = {"seed": None, "metric": "accuracy"}
OF_SECOND = {**MEANS, "a_family": "second", "a_role": "baseline", "b_role": "tuned"}
OF_CURVE = {**MEANS, "a_family": "curve", "a_role": "baseline", "b_family": "curve"}


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (gone(FILE), f"{FILE} must have what study.json says was registered, but is missing"),
        (entry("content", "alpha", value=0.2, file=FILE), "the registration must have SHA-256 "),
        (_content(questions=ONE), "the registration must have SHA-256 "),
        (entry("sha256", value="ab" * 32, file=FILE), "the registration must have SHA-256 abab"),
        (
            entry("registration", "questions", value=ONE),
            "questions of the registration in study.json must be [{",
        ),
        (noted(_without_entry), f"{FILE} is there, but study.json does not say that"),
        (noted(_without_entry), "trials.parquet is stamped with a registration, but study.json"),
        (
            _forged(registered_at="2199-01-01T00:00:00+00:00"),
            "the registration must be older than the first trial, but was made at 2199",
        ),
        (_forged(registered_at="today"), "registered_at must be a time, but is today"),
        (_forged(code_sha256="ab" * 32), "code_sha256 of the first run must be abab"),
        (_forged(study="another"), "the registration must be of mine, but is of another"),
        (
            entry("settings", "objective", value="macro_f1"),
            "settings.objective must be accuracy as registered, but is macro_f1",
        ),
        (
            entry("dataset", "split_sha256", value="ab" * 32),
            "split_sha256 must be ",
        ),
        (
            entry("spaces", "second", value={}),
            "spaces.second must be {",
        ),
        (
            _forged(questions=ONE),
            "curve tuned against curve baseline at train fraction 1 was registered, but compar",
        ),
        (
            _forged(questions=ONE),
            "second baseline against second tuned at train fraction 1 must not be called regist",
        ),
        (
            alter("comparison", OF_SECOND, registered=False),
            f"{TUNED} was registered, but comparison.parquet does not say so",
        ),
        (
            alter("comparison", OF_CURVE, registered=True),
            "curve baseline against curve tuned at train fraction 1 must not be called registered",
        ),
        (
            alter("comparison", OF_SECOND, p_value_holm=lambda p: p / 2 if p == 1 else p * 0.9),
            "p_value_holm of second baseline against second tuned at train fraction 1 must be ",
        ),
    ],
)
def test_each_tampering_with_a_registration_is_named(
    damage: Damage, sentence: str, folder: Path
) -> None:
    damage(folder, {})
    problems = verify(folder, sources=False).problems
    own = [problem.sentence for problem in problems if problem.check.startswith("regist")]
    assert any(found.startswith(sentence) for found in own), own


@pytest.mark.usefixtures("curve_family")
def test_a_study_goes_on_with_its_own_registration_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = make_driver(tmp_path, monkeypatch)
    assert driver.start()
    before = (driver.folder / FILE).read_bytes()
    assert driver.resume()
    assert driver.resume(register=driver.register)
    assert (driver.folder / FILE).read_bytes() == before
    assert verify(driver.folder, sources=False).problems == []
    with pytest.raises(ValueError, match="the registration must stay when a study is resumed"):
        driver.resume(register="")
    with pytest.raises(ValueError, match=r"seeds must stay as registered .* was 2 and is 3; start"):
        driver.resume(seeds=3)


@pytest.mark.usefixtures("curve_family")
def test_a_study_that_began_without_a_registration_gets_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = Driver(tmp_path / "results", monkeypatch, {**SIZES, "families": "curve"})
    assert driver.start()
    with pytest.raises(ValueError, match="--register must go with a new study, since") as refused:
        driver.resume(register="")
    assert "\n" not in str(refused.value)
    rows = files.read_table(driver.folder, "comparison").to_pylist()
    assert {row["registered"] for row in rows} == {None}


@pytest.mark.usefixtures("curve_family")
def test_without_a_file_it_is_what_the_answer_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = make_driver(tmp_path, monkeypatch)
    driver.register = ""
    driver.console = Console(file=io.StringIO(), width=200)
    assert driver.start()
    written = registration.read(driver.folder)
    assert written is not None
    asked = [str(Question(**q)) for q in written["content"]["questions"]]
    assert asked == [
        "curve tuned against second tuned at train fraction 1",
        "curve tuned against curve baseline at train fraction 1",
        TUNED,
    ]
    printed = driver.console.file.getvalue()
    assert "Registered before the search: 3 questions, alpha 0.05 over all of them" in printed
    assert f"Registered: {FILE}, SHA-256 {written['sha256']}; keep it elsewhere too" in printed


@pytest.mark.usefixtures("curve_family")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("questions: []", "questions: List should have at least 1 item"),
        ("- 3", "the file: must be names with values"),
        ("alpha: 0.5\nquestions: [{a: x, b: y}]", "alpha: Input should be less than or equal"),
        ("questions: [{a: vgg tuned, b: curve tuned}]", "'vgg tuned' is none of curve baseline, "),
        ("questions: [{a: curve tuned, b: curve tuned}]", "'curve tuned' is asked against itself"),
        (
            "questions: [{a: curve tuned, b: curve baseline, train_fraction: 0.5}]",
            "train_fraction 0.5 is none of 1",
        ),
        (
            "questions: [{a: curve tuned, b: curve baseline}, {b: curve tuned, a: curve baseline}]",
            "a question is asked twice",
        ),
        ("questions: [", "must be a readable YAML file"),
    ],
)
def test_a_wrong_file_is_one_line(
    text: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    driver = make_driver(tmp_path, monkeypatch)
    (tmp_path / "asked.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"^--register must (be|ask)") as refused:
        driver.start()
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not driver.folder.exists()


def test_the_flag_takes_a_file_or_none() -> None:
    assert [parse(words).register for words in ([], ["--register"], ["--register", "f.yaml"])] == [
        None,
        "",
        "f.yaml",
    ]
