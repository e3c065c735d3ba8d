"""What commands are told to write: a new or plain file here, outside studies' folders."""

import os
from importlib import import_module
from pathlib import Path

import pytest

from orchestrator.cli import OneLineParser
from orchestrator.results import files

FILES = {
    "compare A B --output": ".md",
    "compare A B --csv": ".csv",
    "report A B --output": ".html",
    "verdict a.csv b.csv --output": ".html",
    "look DATA --contact-sheet": ".html",
    "export A --optuna": ".log",
    "predict A photos --output": ".csv",
    "retrain A --trial cnn-000 --output": ".parquet",
}
LATER = ("export", "retrain")
"""They read the study first, which says what there is to write."""
FOLDERS = ("report A --figures", "export A --output", "export A --csv")


def refusal(line: str, output: str, capsys: pytest.CaptureFixture[str]) -> str:
    command, *arguments = line.split()
    with pytest.raises(SystemExit) as ended:
        import_module(f"orchestrator.{command}.__main__").main([*arguments, output])
    assert ended.value.code == 2
    (said,) = capsys.readouterr().err.splitlines()
    return said


@pytest.mark.parametrize("line", FILES)
def test_pipes_links_and_studies_are_no_place_for_a_file(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    pipe, link, ending = Path(f"pipe{FILES[line]}"), Path(f"link{FILES[line]}"), FILES[line]
    os.mkfifo(pipe)
    link.symlink_to("elsewhere")
    for path in (pipe, link):
        assert f"must be new or a plain file, but {path} is neither" in refusal(
            line, str(path), capsys
        )
    assert pipe.is_fifo()
    assert link.is_symlink()
    (tmp_path / "study" / "winners").mkdir(parents=True)
    (tmp_path / "study" / "study.json").write_text("{}")
    for inside in (f"study/x{ending}", f"study/winners/x{ending}"):
        assert f"must lie outside studies' folders, but {inside}" in refusal(line, inside, capsys)


@pytest.mark.parametrize("line", [line for line in FILES if "--optuna" not in line])
def test_a_file_of_another_kind_is_not_replaced(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"must end in {FILES[line]}" in refusal(line, "trials.sqlite", capsys)


@pytest.mark.parametrize("line", [line for line in FILES if line.split()[0] not in LATER])
def test_a_folder_that_cannot_be_made_is_refused_before_anything_is_read(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command, *arguments = line.split()
    main = import_module(f"orchestrator.{command}.__main__").main
    assert main([*arguments, f"/proc/none/x{FILES[line]}"]) == 2
    assert capsys.readouterr().err == (
        f"{command}: the folder must be writable, but /proc/none is not: No such file or "
        "directory\n"
    )


@pytest.mark.parametrize("line", [*FILES, *FOLDERS])
@pytest.mark.parametrize("output", ["s3://bucket/x.csv", "https:/me:hidden@host/x", " "])
def test_an_address_is_no_path_on_this_machine(
    line: str, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refusal(line, output, capsys)
    assert "must be a path on this machine, but got" in said
    assert "hidden" not in said


def test_what_cannot_be_written_is_named_and_not_its_temporary_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        files.write_text(tmp_path / "none" / "page.html", "")
    assert caught.value.filename == str(tmp_path / "none" / "page.html")
    files.write_output(tmp_path / "none" / "page.html", "")
    assert (tmp_path / "none" / "page.html").is_file()


@pytest.mark.parametrize("given", ["{}", "--output={}", "a={0},b={0}", "--set=prices={}"])
def test_home_is_found_where_no_shell_puts_it_in(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    parser = OneLineParser()
    _, rest = parser.parse_known_args([given.format("~/x"), "/here/~/x", "x~/y", "~z"])
    assert rest == [given.format(tmp_path / "x"), "/here/~/x", "x~/y", "~z"]
