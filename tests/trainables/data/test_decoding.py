"""One image file: what is said of it is what reading does to it, and nothing is copied for it."""

import io
import pickle
import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from made_up_data_sets import encoded
from odd_images import ORIENTATION, photographs, picture, saved
from PIL import Image

from orchestrator import study
from orchestrator.look.looking import look_at
from trainables.data.dataset import FaultyFilesError
from trainables.data.decoding import brightest, decode, facts, kind_of_fault, rgb
from trainables.data.survey import DEEP, GREY, TRANSPARENT


def deep_values(seed: int, bits: int) -> npt.NDArray[np.uint16]:
    """Made-up content with so many bits of data, shape [48, 64, 3]."""
    values = np.asarray(picture(seed)).astype(np.uint16) << 8
    return values >> (16 - bits)


def deep_png(values: npt.NDArray[np.uint16]) -> bytes:
    """Colours of 16 bits a channel, as Pillow reads them but does not write."""
    height, width, _ = values.shape
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in values)
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0),
        b"IDAT": zlib.compress(lines),
        b"IEND": b"",
    }
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks.items()
    )


def deep_file(form: str, bits: int, seed: int = 1) -> bytes:
    values = deep_values(seed, bits)
    grey = values[..., 0]
    if form == "colours":
        return deep_png(values)
    if form == "PGM":
        return b"P5\n64 48\n%d\n" % (2**bits - 1) + grey.astype(">u2").tobytes()
    if form == "TIFF of a microscope":  # the high byte of a value first
        return saved(Image.fromarray(grey.astype(">u2")), "TIFF")
    return saved(Image.fromarray(grey), form)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "TIFF of a microscope", "colours"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_the_brightest_value_of_a_file_of_16_bits_is_what_its_data_leave_of_it(
    form: str, bits: int
) -> None:
    content = deep_file(form, bits)
    highest = brightest(content)
    assert DEEP in facts(content)[-1]
    assert highest == deep_values(1, bits)[..., : 3 if form == "colours" else 1].max() >> 8
    assert highest >= decode(content, 48, "x").max()


@pytest.mark.parametrize("form", ["PNG", "TIFF", "JPEG"])
def test_a_file_of_8_bits_has_no_bits_to_lose(form: str) -> None:
    content = saved(picture(1), form)
    assert brightest(content) is None
    assert DEEP not in facts(content)[-1]


def test_a_pgm_of_16_bits_is_read_by_its_own_range() -> None:
    content = deep_file("PGM", 12)
    found = decode(content, 48, "x")
    expected = np.asarray(picture(1))[:, 8:-8, 0].astype(int)
    assert np.abs(found[..., 0].astype(int) - expected).max() <= 1
    assert {GREY, DEEP} <= {*facts(content)[-1]}
    assert brightest(content) > 200


def dark_photographs(folder: Path) -> Path:
    photographs(folder, edge=48)
    for path in folder.rglob("*.jpg"):
        seed = 100 * int(path.parent.name[-1]) + int(path.stem)
        if path.stem != "0":
            path.with_suffix(".png").write_bytes(deep_file("PNG", 12, seed))
            path.unlink()
    return folder


def test_a_look_names_the_images_that_become_dark_and_says_what_to_do(tmp_path: Path) -> None:
    (problem,) = look_at("folder", str(dark_photographs(tmp_path))).problems
    assert (problem.kind, problem.must, len(problem.groups)) == ("dark", False, 8)
    assert problem.detail.endswith("highest value is 15 then.")
    assert "save them scaled to all of 16 bits, or with 8" in problem.advice


def test_a_plan_says_how_many_images_become_dark(
    tmp_path: Path, curve_family: None, capsys: pytest.CaptureFixture[str]
) -> None:
    del curve_family
    data = dark_photographs(tmp_path / "photos")
    given = ["--families", "curve", "--dataset", "folder", "--data-dir", str(data)]
    assert study.main([*given, "--results-dir", str(tmp_path / "results"), "--dry-run"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Data: 8 of 10 images become dark: of 16 bits a channel the upper 8 are kept" in said
    assert "(nothing is above 15 of 255)" in said


def test_grey_of_16_bits_is_laid_over_white_where_it_is_transparent() -> None:
    values = np.full((4, 4), 0x80FF, dtype=np.uint16)
    values[:2] = 3000
    content = saved(Image.fromarray(values), "PNG", transparency=3000)
    assert TRANSPARENT in facts(content)[-1]
    assert decode(content, 4, "x")[:, 0, 0].tolist() == [255, 255, 128, 128]


@pytest.mark.parametrize("form", ["TIFF", "JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_size_that_is_told_is_the_upright_one(form: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    content = saved(picture(1, 40, 30), form, exif=exif)
    assert facts(content)[1:3] == ((40, 30) if orientation < 5 else (30, 40))


def camera_raw(kind: str) -> bytes:
    """A preview first and the photograph behind it, told by the tags that each kind has."""
    first = {"CR2": b"CR\x02\0\xd2\xba\0\0", "IIQ": b"IIII\x01waR"}
    if kind in first:
        plain = saved(picture(1), "TIFF")
        assert plain[:8] == b"II*\0\x08\0\0\0"
        header = b"II*\0\x10\0\0\0" + first[kind]
        count = struct.unpack("<H", plain[8:10])[0]
        moved = bytearray(plain[8:])
        for entry in range(2, 2 + 12 * count, 12):
            tag, form, number, value = struct.unpack("<HHII", moved[entry : entry + 12])
            size = number * {2: 1, 3: 2, 4: 4, 5: 8}[form]
            if tag == 273 or size > 4:  # where the pixels are, or a value that has no room here
                moved[entry + 8 : entry + 12] = struct.pack("<I", value + 8)
        return header + bytes(moved)
    tags = {
        "DNG": {254: 1, 50706: b"\1\4\0\0"},
        "NEF": {254: 1},
        "phone's DNG": {50706: b"\1\4\0\0"},
    }
    return saved(picture(1), "TIFF", tiffinfo=tags[kind])


@pytest.mark.parametrize("kind", ["DNG", "NEF", "phone's DNG", "CR2", "IIQ"])
def test_the_preview_in_a_cameras_raw_photograph_is_not_taken_for_it(kind: str) -> None:
    content = camera_raw(kind)
    with Image.open(io.BytesIO(content)) as preview:
        assert np.array_equal(np.asarray(preview), np.asarray(picture(1)))  # Pillow reads it
    with pytest.raises(ValueError, match="a camera's raw photograph, of which a preview") as caught:
        decode(content, 8, "x")
    assert kind_of_fault(content, str(caught.value)) == "raw"


def test_an_image_beyond_pillows_limit_is_refused_by_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    content = saved(picture(1), "PNG")  # of 3,072 pixels
    with pytest.raises(ValueError, match="its pixels are more than 100,000,000") as caught:
        decode(content, 8, "x")
    assert kind_of_fault(content, str(caught.value)) == "too large"


def test_the_faults_of_files_stay_apart_until_they_are_told_also_from_another_process() -> None:
    error = FaultyFilesError(*(f"fault {number}" for number in range(7)))
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert str(error).endswith("fault 4; and 2 more")


def test_of_faulty_images_in_both_parts_those_that_are_not_named_are_counted_at_the_end(
    tmp_path: Path, curve_family: None, capsys: pytest.CaptureFixture[str]
) -> None:
    del curve_family
    for part in ("train", "test"):
        for path in photographs(tmp_path / "photos" / part, edge=32).rglob("*.jpg"):
            path.write_bytes(b"no image")
    given = ["--families", "curve", "--dataset", "folder", "--data-dir", str(tmp_path / "photos")]
    given += ["--set", "allow_duplicates=true", "--results-dir", str(tmp_path / "results")]
    assert study.main([*given, "--dry-run"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.count("cannot decode the image") == 5
    assert "; and 15 more; all that is wrong, and what to do about it: python -m" in line


def test_a_photograph_is_not_copied_before_it_is_scaled_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = encoded(np.full((40, 60, 3), 200, dtype=np.uint8))
    copy, copied = Image.Image.copy, []
    monkeypatch.setattr(Image.Image, "copy", lambda self: copied.append(self) or copy(self))
    assert decode(content, 8, "a.png").shape == (8, 8, 3)
    assert not copied
    plain = Image.new("RGB", (60, 40))
    assert rgb(plain) is plain
