"""A results folder of somebody else: its names are no paths, no mark-up and no formulas."""

import csv
import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from in_process import Driver
from tampering import rewrite

from orchestrator.compare import __main__ as compare
from orchestrator.config.settings import Settings, to_json
from orchestrator.export import __main__ as export
from orchestrator.report import __main__ as report
from orchestrator.results.foreign_text import escaped_markdown, plain_markdown, safe_cell
from trainables.attempt import checkpoint_folder
from trainables.data.files import open_folder
from trainables.names import check_family, check_trial
from trainables.secrets import redacted

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


def test_hostile_names_are_text_in_markdown_in_the_page_and_in_csv(
    copied: Driver, tmp_path: Path
) -> None:
    path = copied.folder / "study.json"
    study = json.loads(path.read_text())
    count = len(study["dataset"]["classes"])
    study["dataset"]["classes"] = [HOSTILE[i % len(HOSTILE)] + str(i) for i in range(count)]
    study["name"] = "=1+1<script>alert(1)</script>"
    path.write_text(json.dumps(study))
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


def test_a_number_stays_a_number_and_a_formula_becomes_text() -> None:
    assert [safe_cell(text) for text in ("-0.5", "+1e-3", "-inf", "cnn")] == [
        *("-0.5", "+1e-3", "-inf", "cnn")
    ]
    assert [safe_cell(text) for text in ("=1+1", "@SUM(1)", "+cmd", "-x", "\tx")] == [
        *("'=1+1", "'@SUM(1)", "'+cmd", "'-x", "'\tx")
    ]


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
