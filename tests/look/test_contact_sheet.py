"""The contact sheet is one whole page outside the data, and no page of somebody's is lost to it."""

import re
import resource
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from odd_images import odd_folder, photographs, picture, saved
from PIL import Image

from orchestrator.look.__main__ import main


@pytest.mark.parametrize("parts", [(), ("train", "test")])
def test_it_shows_classes_and_problems_and_asks_for_nothing(
    parts: tuple[str, ...], tmp_path: Path
) -> None:
    data = odd_folder(tmp_path / "data", *parts)
    hostile = data / "/".join([*parts[:1], "a cat"]) / "<script>&.png"
    hostile.write_bytes(saved(picture(4321), "PNG"))
    page = tmp_path / "new" / "sheet.html"
    assert main([str(data), "--contact-sheet", str(page)]) == 1
    text = page.read_text(encoding="utf-8")
    for title in ("byte for byte", "look alike in a class", "Classes", "a cat: ", "hund é: "):
        assert title in text
    assert "<script" not in text
    assert "http:" not in text
    assert "https:" not in text
    assert "\x1b" not in text
    pictures = re.findall(r'src="data:image/jpeg;base64,[\w+/=]+" alt="([^"]+)"', text)
    assert {"saved again.jpg", "two classes.png", "only one.png"} <= {
        name.rpartition("/")[2] for name in pictures
    }


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A few photographs in the working directory, a table of them, and a page that must stay."""
    monkeypatch.chdir(tmp_path)
    photographs(tmp_path / "photos", edge=32)
    rows = [
        f"{path.relative_to('photos')},{path.parent.name}" for path in Path("photos").rglob("*.jpg")
    ]
    Path("photos/table.csv").write_text("\n".join(["path,label", *rows]))
    Path("there.html").write_text("mine")
    return tmp_path


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("photos --contact-sheet there.html", "must be new, or replaced with --overwrite, but"),
        ("photos --contact-sheet /proc/no/sheet.html", "the folder must be writable, but /proc/no"),
        ("photos --contact-sheet photos/sheet.html", "must lie outside DATA and the folder of a"),
        ("photos/table.csv --contact-sheet photos/x.html", "must lie outside DATA and the folder"),
        ("--dataset digits --contact-sheet x.html", "must go with a folder of images, but got 'd"),
    ],
)
def test_a_place_where_it_cannot_be_is_refused_before_an_image_is_read(
    photos: Path,
    given: str,
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def look_at(*_: object, **__: object) -> None:
        raise AssertionError("images are read")

    monkeypatch.setattr("orchestrator.look.looking.look_at", look_at)
    before = sorted(photos.rglob("*"))
    assert main(given.split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert sorted(photos.rglob("*")) == before
    assert Path("there.html").read_text() == "mine"


@pytest.mark.usefixtures("photos")
def test_a_page_is_replaced_where_that_is_asked_for() -> None:
    assert main(["photos", "--contact-sheet", "there.html", "--overwrite"]) == 0
    assert "<h1>" in Path("there.html").read_text(encoding="utf-8")


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file of more than a thousand bytes can be written, as on a disk that is full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.usefixtures("photos", "small_files")
def test_what_was_found_is_told_also_where_the_page_cannot_be_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["photos", "--contact-sheet", "sheet.html"]) == 2
    printed = capsys.readouterr()
    assert "10 images that can be used of 2 classes" in printed.out
    assert "Contact sheet:" not in printed.out
    assert printed.err == "look: cannot write sheet.html: File too large\n"
    assert not Path("sheet.html").exists()


@pytest.mark.usefixtures("photos")
def test_what_pillow_warns_of_does_not_reach_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # these have 1,664
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        assert main(["photos", "--contact-sheet", "sheet.html"]) == 0
    assert warned == []
