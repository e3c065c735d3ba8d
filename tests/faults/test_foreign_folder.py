"""A results folder of somebody else: its names are no paths, no mark-up and no formulas."""

import csv
import functools
import itertools
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from in_process import Driver
from markdown_it import MarkdownIt
from tampering import rewrite

from orchestrator.clean import __main__ as clean
from orchestrator.compare import __main__ as compare
from orchestrator.config.settings import Settings, to_json
from orchestrator.export import __main__ as export
from orchestrator.report import __main__ as report
from orchestrator.results.foreign_text import escaped_markdown, plain_markdown, safe_cell
from orchestrator.results.study_record import StudyRecord
from orchestrator.status import __main__ as status
from orchestrator.verify import __main__ as verify
from trainables.data.files import open_folder
from trainables.names import check_family, check_trial
from trainables.secrets import redacted
from trainables.trial_files import checkpoint_folder

# Sets a title, clears a screen, turns letters round; tags, links and pictures; a formula.
UGLY = (
    "\x1b]0;t\x07\x9b2J\u202e<img src=x>[x](javascript:alert(1))![p](http://e/p.png)"
    "<javascript:alert(1)> [r]: javascript:alert(1) `q` | x;=1+1;"
)
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]")
HOSTILE = ("<img src=x onerror=alert(1)>", "=1+1", "[x](javascript:alert(1))", "a|b`c\nd")


@pytest.fixture
def copied(finished_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """A finished study that may be changed."""
    monkeypatch.setenv("STUDY_FAMILY_PATH", str(Path(__file__).parents[1] / "families"))
    driver = Driver(tmp_path / "results", monkeypatch, name=finished_study.name)
    shutil.copytree(finished_study, driver.folder)
    return driver


@pytest.mark.parametrize(
    "name",
    ["cnn-000", "cnn-1234", "resnet50_transfer-f0.01-003", "cnn-tuned-s0-f1", "cnn-f1e-05-001"],
)
def test_what_a_study_calls_its_trials_is_taken(name: str) -> None:
    assert check_trial(name) == name
    assert checkpoint_folder(Path("s"), name) == Path("s", "checkpoints", name)


@pytest.mark.parametrize(
    "name",
    ["", "..", "../x", "cnn-../x", "/etc/x-1", "cnn-000/..", "cnn-000\n", ".cnn-000", None, 7],
)
def test_a_path_is_no_trial_and_no_family(name: object) -> None:
    for check in (check_trial, check_family):
        with pytest.raises(ValueError, match="must have a name like"):
            check(name)


@pytest.mark.parametrize("trial_id", ["chaos-../../../victim", "../victim", "/tmp/victim-000"])
def test_a_trial_id_that_is_a_path_is_refused_by_whatever_reads_it(
    trial_id: str, copied: Driver, capsys: pytest.CaptureFixture[str]
) -> None:
    rewrite(
        copied.folder,
        "trials",
        lambda rows: [*rows[:-1], {**rows[-1], "trial_id": trial_id, "epochs_run": 0}],
    )
    for command in (compare, report):
        assert command.main([str(copied.folder)]) == 2
        assert "wrong trial_id" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"trial_id|must have every trial"):
        copied.resume()


@pytest.mark.parametrize("name", ["checkpoints", "tune", "logs", "report.html", "winners/curve"])
def test_a_link_that_leads_out_of_the_folder_is_refused_by_whatever_writes(
    name: str, copied: Driver, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    victim, path = tmp_path / "victim", copied.folder / name
    victim.mkdir()
    (victim / "keep").write_bytes(b"kept")
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    path.symlink_to(victim)
    for command in (compare, report, export):
        assert command.main([str(copied.folder)]) == 2
        assert "must have no link that leads out of it" in capsys.readouterr().err
    with pytest.raises(ValueError, match="must have no link that leads out of it"):
        copied.resume()
    assert [path.name for path in victim.iterdir()] == ["keep"]


@pytest.mark.parametrize("name", ["study.json", "trials.parquet", "checkpoints", ".driver.lease"])
def test_a_link_to_itself_and_a_pipe_are_answered_in_a_line(
    name: str, copied: Driver, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, study = copied.folder / name, str(copied.folder)
    path.unlink(missing_ok=True)
    for make in (lambda: path.symlink_to(path.name), lambda: os.mkfifo(path)):
        make()
        for command in (status, export, clean):
            arguments = ["--output", str(tmp_path / "out"), "--overwrite"]
            code = command.main([study, *(arguments if command is export else ())])
            error = capsys.readouterr().err
            assert (code, error.count("\n")) in {(0, 0), (2, 1), (3, 1)}, error
        path.unlink(missing_ok=True)


def name_in_winners(folder: Path) -> None:
    """Has the kept winners name the classes as the study does; they are not taken otherwise."""
    classes = json.loads((folder / "study.json").read_text())["dataset"]["classes"]
    for card in folder.glob("winners/**/config.json"):
        card.write_text(json.dumps({**json.loads(card.read_text()), "classes": classes}))


def test_hostile_names_are_text_in_markdown_in_the_page_and_in_csv(
    copied: Driver, tmp_path: Path
) -> None:
    path = copied.folder / "study.json"
    study = json.loads(path.read_text())
    count = len(study["dataset"]["classes"])
    study["dataset"]["classes"] = [HOSTILE[i % len(HOSTILE)] + str(i) for i in range(count)]
    study["name"] = "=1+1<script>alert(1)</script>"
    path.write_text(json.dumps(study))
    name_in_winners(copied.folder)
    for name in ("trials", "epochs"):
        table = pq.read_table(copied.folder / f"{name}.parquet")
        names = pa.array([study["name"]] * table.num_rows).dictionary_encode()
        table = table.set_column(0, table.schema.field(0), names)
        pq.write_table(table, copied.folder / f"{name}.parquet")
    assert compare.main([str(copied.folder)]) == 0
    assert report.main([str(copied.folder), "--figures", str(tmp_path / "figures")]) == 0
    assert export.main([str(copied.folder), "--csv", str(tmp_path / "csv"), "--overwrite"]) == 0
    written = [copied.folder / "comparison.md", copied.folder / "report.html"]
    written += [*copied.folder.glob("export/*/README.md"), *(tmp_path / "figures").glob("*.svg")]
    for file in written:
        text = file.read_text()
        assert "<img src=x" not in text, file
        assert "<script>alert" not in text, file
        assert file.suffix != ".md" or "](javascript:" not in text.replace("\\](", ""), file
    for file in (tmp_path / "csv").glob("*.csv"):
        cells = {cell for row in csv.reader(file.read_text().splitlines()) for cell in row}
        formulas = {cell for cell in cells if cell.startswith(("=", "+", "@", "\t"))}
        assert formulas == set(), file


def strings_of(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where a piece of JSON has strings."""
    pairs = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in pairs:
        if isinstance(value, dict | list):
            yield from strings_of(value, (*path, key))
        elif isinstance(value, str):
            yield (*path, key)


def say_everywhere(folder: Path, text: str) -> int:
    """Puts a text into each string of a study that may say anything; how many those are."""
    path, changed = folder / "study.json", 0
    study = json.loads(path.read_text())
    study.update(demo=[text], weights={"name": text, "sha256": text, "own_words": {"source": text}})
    for *before, last in strings_of(study):
        if before[:1] == ["choice"] or last == "dataset":  # known by the winner, or to the registry
            continue
        inner = functools.reduce(lambda node, key: node[key], before, study)
        was, inner[last] = inner[last], text
        try:
            StudyRecord.of(path, study)
            changed += 1
        except ValueError:
            inner[last] = was
    path.write_text(json.dumps(study))
    for file in folder.glob("*.parquet"):
        table = pq.read_table(file)
        for index, field in enumerate(table.schema):
            if field.name in {"error", "detail", "device", "node", "stop_reason", "study"}:
                said = pa.array([text] * table.num_rows, pa.string())
                said = said if field.type == pa.string() else said.dictionary_encode()
                table = table.set_column(index, field, said.cast(field.type))
                changed += 1
        pq.write_table(table, file)
    return changed


def test_nothing_that_is_said_anywhere_moves_a_terminal_or_becomes_a_link(
    copied: Driver, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert say_everywhere(copied.folder, UGLY) > 30
    name_in_winners(copied.folder)
    study, out = str(copied.folder), str(tmp_path / "out")
    twin = shutil.copytree(copied.folder, copied.folder.with_name("twin"))
    for command, *arguments in (
        (status, study),
        (compare, study),
        (compare, study, str(twin), "--output", str(tmp_path / "both.md")),
        (report, study, "--figures", out),
        (export, study, "--output", out, "--csv", out),
    ):
        assert command.main(arguments) == 0
        printed = capsys.readouterr()
        assert CONTROL.findall(printed.out + printed.err) == []
    assert verify.main([study]) == 1
    assert CONTROL.findall(capsys.readouterr().out) == []
    for file in (copied.folder / "comparison.md", tmp_path / "both.md", *Path(out).rglob("*.md")):
        text = file.read_text(encoding="utf-8")
        assert CONTROL.findall(text) == []
        shown = MarkdownIt("commonmark").enable("table").render(text)
        assert set(re.findall(r"<(\w+)", shown)) & {"a", "img", "javascript", "script"} == set()
    pictures, tables = (list(Path(out).glob(f"*.{kind}")) for kind in ("svg", "csv"))
    assert pictures
    assert tables
    for file in pictures:
        assert ElementTree.parse(file).getroot().tag.endswith("svg")
    for file, delimiter in itertools.product(tables, ",;\t"):
        lines = file.read_text(encoding="utf-8").splitlines()
        cells = {cell for row in csv.reader(lines, delimiter=delimiter) for cell in row}
        assert {cell for cell in cells if cell.startswith(("=", "+", "@"))} == set(), file
    assert list(Path(out).rglob("README.md"))


def test_a_number_stays_a_number_and_a_formula_becomes_text() -> None:
    assert [safe_cell(text) for text in ("-0.5", "+1e-3", "-inf", "cnn")] == [
        *("-0.5", "+1e-3", "-inf", "cnn")
    ]
    assert [safe_cell(text) for text in ("=1+1", "@SUM(1)", "+cmd", "-x", "\tx", "\uff1d1+1")] == [
        *("'=1+1", "'@SUM(1)", "'+cmd", "'-x", "'\tx", "'\uff1d1+1")
    ]
    assert safe_cell("x; =1+1;-2, -1") == "x; '=1+1;'-2, -1"


def test_our_own_marks_stay_and_foreign_ones_are_shown() -> None:
    assert plain_markdown("p < 0.05 with `--seeds 3` [0.1, 0.2]") == (
        "p < 0.05 with `--seeds 3` [0.1, 0.2]"
    )
    assert plain_markdown("<b>&lt; [x](y) ![z](w)") == "&lt;b>&amp;lt; [x]\\(y) !\\[z]\\(w)"
    assert escaped_markdown("a|b`c*d\ne") == "a\\|b\\`c\\*d e"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("ftp://user:pw@host:21/x", "ftp://user:***@host:21/x"),
        ("s3://key:p@ss/word@bucket/x", "s3://key:***@bucket/x"),
        ("https://t0ken@host/x?a=1&sig=abc", "https://***@host/x?a=1&sig=***"),
        ("simplecache::s3://a:b@c", "simplecache::s3://a:***@c"),
        ("cannot read 'sftp://u:p@h/x': no", "cannot read 'sftp://u:***@h/x': no"),
        ("http://host:8080/a@b", "http://host:8080/a@b"),
        ("sftp://me@host/x", "sftp://me@host/x"),
        ("/data/a=b@c:d", "/data/a=b@c:d"),
    ],
)
def test_passwords_and_tokens_in_addresses_are_taken_out(address: str, shown: str) -> None:
    assert redacted(address) == shown
    assert to_json(Settings(data_dir=address))["data_dir"] == shown


def test_an_address_that_was_kept_without_its_password_is_asked_for_again() -> None:
    with pytest.raises(ValueError, match="was not kept: give the whole address again"):
        open_folder("ftp://user:***@127.0.0.1:1/x")


def test_a_comparison_of_hostile_studies_has_no_formula_in_its_csv() -> None:
    from orchestrator.compare.across_studies import ROW, differences_csv

    row = dict.fromkeys(ROW, -0.5) | {"a_study": "=1+1", "b_study": "cnn"}
    (cells,) = list(csv.DictReader(differences_csv([row]).splitlines()))
    assert (cells["a_study"], cells["b_study"], cells["difference"]) == ("'=1+1", "cnn", "-0.5")
