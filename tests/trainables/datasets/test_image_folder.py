"""A folder of images: how it is divided and read, and what of it is refused."""

import io
import os
import shutil
from collections import Counter

import numpy as np
import pytest
from made_up_data_sets import TEST, encoded, error_of, in_memory, write_classes
from PIL import Image

from trainables.data import decoding, layout
from trainables.data.junk import LEFT
from trainables.data.survey import FRAMES
from trainables.datasets import folder


def test_a_folder_per_class_is_split_by_a_fifth(classes_dir):
    data = folder.DATASET.open(str(classes_dir), 16)
    assert data.classes == ("a cat", "hund", "été")
    assert np.bincount(data.read_test().labels).tolist() == [2, 2, 1]
    assert np.bincount(data.read_training().labels).tolist() == [8, 8, 4]


def test_folders_for_training_and_test_are_kept_as_they_are(halves_dir):
    data = folder.DATASET.open(str(halves_dir), 16)
    assert data.classes == ("cat", "dog")
    assert data.read_training().labels.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert data.read_test().images[:, 0, 0, 0].tolist() == [0, 10, 11]


def test_classes_may_be_called_train_and_test(tmp_path):
    write_classes(tmp_path, {"train": 5, "test": 5, "bus": 5})
    assert folder.DATASET.open(str(tmp_path), 16).classes == ("bus", "test", "train")


def test_what_file_managers_and_photo_programs_leave_makes_no_part_and_no_image(tmp_path):
    write_classes(tmp_path, {"train": 5, "bus": 5})
    for place in (tmp_path, tmp_path / "train", tmp_path / "bus"):
        (place / "@eaDir").mkdir()
        (place / "@eaDir" / "1.png").touch()
        for name in ("THUMBS.DB", "Desktop.ini", "1.png.xmp", "IMG_1.AAE"):
            (place / name).touch()
    data = folder.DATASET.open(str(tmp_path), 16)
    assert data.classes == ("bus", "train")
    assert len(data.files) == 10
    assert data.glance is not None
    assert len(data.glance.left_out[LEFT]) == 15


def test_a_folder_is_read_by_fsspec_address(classes_dir):
    addresses = (str(classes_dir), in_memory(classes_dir, "images"))
    local, remote = (folder.DATASET.open(address, 16) for address in addresses)
    assert local.files == remote.files
    assert np.array_equal(local.read_training().images, remote.read_training().images)


def test_an_archive_is_read_as_the_folder_that_it_was_made_of(classes_dir, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "images"), "zip", classes_dir)
    local, packed = (folder.DATASET.open(at, 16) for at in (str(classes_dir), f"zip://::{archive}"))
    assert local.files == packed.files
    assert np.array_equal(local.read_training().images, packed.read_training().images)
    assert f"; what is in it is zip://::{archive}" in error_of(folder.DATASET, archive)
    told = f"an archive must be given as zip://::{archive}, or as"
    assert told in error_of(folder.DATASET, f"zip://{archive}")
    above = shutil.make_archive(str(tmp_path / "above"), "zip", tmp_path, classes_dir.name)
    message = error_of(folder.DATASET, f"zip://::{above}")
    assert f"must be in the archive: only {classes_dir.name!r}; the classes may be" in message
    within = folder.DATASET.open(f"zip://{classes_dir.name}::{above}", 16)
    assert within.files == local.files


def test_classes_that_differ_in_capital_letters_alone_are_said_to_be_two(tmp_path):
    write_classes(tmp_path, {"Cat": 5, "cat": 5, "dog": 5})
    said = "letters alone are classes of their own: 'Cat' and 'cat'."
    assert folder.DATASET.open(str(tmp_path), 16).notes[0].endswith(said)


def test_hidden_files_and_folders_are_ignored_and_links_followed(classes_dir, tmp_path):
    (classes_dir / "hund" / ".DS_Store").write_bytes(b"not an image")
    (classes_dir / ".ipynb_checkpoints").mkdir()
    (classes_dir / "README.txt").write_text("of no class")
    (tmp_path / "away.png").write_bytes(encoded(np.full((8, 8, 3), 99, dtype=np.uint8)))
    (classes_dir / "hund" / "zz link.png").symlink_to(tmp_path / "away.png")
    data = folder.DATASET.open(str(classes_dir), 16)
    assert len(data.files) == 26
    assert len(data.classes) == 3


@pytest.mark.parametrize("content", [b"", b"not an image", encoded(TEST.images[0])[:600]])
def test_an_image_that_cannot_be_decoded_is_named(classes_dir, content):
    path = classes_dir / "hund" / "bad one.png"
    path.write_bytes(content)
    message = error_of(folder.DATASET, classes_dir)
    assert message.startswith(f"cannot decode the image {path}: ")
    assert "object at 0x" not in message


def test_any_format_is_read_and_cropped_to_the_middle(tmp_path):
    pixels = np.full((8, 24, 3), 255, dtype=np.uint8)
    pixels[:, 8:16] = 100
    for form in ("PNG", "BMP", "TIFF", "WEBP", "JPEG", "GIF"):
        for name in ("a", "b"):
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / f"x.{form}").write_bytes(encoded(pixels, form))
    images = folder.DATASET.open(str(tmp_path), 4).read_training().images
    assert images.shape[1:] == (4, 4, 3)
    assert np.abs(images[:, 1:3, 1:3].astype(int) - 100).max() < 8


def decoded(image: Image.Image, **options: object) -> list[int]:
    """The first pixel of an image as the data set reads it."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG" if image.mode != "F" else "TIFF", **options)
    return decoding.decode(buffer.getvalue(), image.height, "x")[0, 0].tolist()


def test_an_image_is_turned_as_its_exif_orientation_says():
    image = Image.new("RGB", (4, 4))
    image.putpixel((0, 3), (255, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = 6  # its top left is what was stored bottom left
    assert decoded(image, exif=exif) == [255, 0, 0]


def test_transparent_pixels_are_white_whatever_colour_they_hide():
    assert decoded(Image.new("RGBA", (2, 2), (9, 9, 9, 0))) == [255, 255, 255]
    assert decoded(Image.new("P", (2, 2), 0), transparency=0) == [255, 255, 255]


def test_grey_images_of_16_bits_are_scaled_not_clipped():
    assert decoded(Image.fromarray(np.full((2, 2), 0x80FF, dtype=np.uint16))) == [128] * 3


def test_pixels_without_a_range_are_refused():
    with pytest.raises(ValueError, match="cannot decode the image x: mode F has no fixed range"):
        decoded(Image.new("F", (2, 2), 0.5))


@pytest.mark.parametrize(
    ("images", "rule"),
    [
        ({}, r"at least 2 classes, a sub-folder each, must be in .*: none"),
        ({"cat": 5}, r"at least 2 classes, a sub-folder each, must be in .*: only 'cat'"),
        ({"cat": 5, "dog": 0}, r"at least 3 images must be in .*/dog, but found 0"),
        ({"cat": 5, "dog": 2}, r"at least 3 images must be in .*/dog, but found 2"),
        ({"cat": 5, "dog/pug": 5}, r"a class must hold images only, but .*/dog/pug is a folder"),
        (
            {"train/cat": 5, "train/dog": 5},
            r"train/ and test/ must both be in .*, but only train is",
        ),
        (
            {"train/cat": 5, "train/dog": 5, "test/cat": 5, "test/cow": 5},
            r"must have the same classes; one lacks cow, dog",
        ),
        (
            {"train/cat": 5, "train/dog": 1, "test/cat": 5, "test/dog": 5},
            r"at least 2 images must be in .*/train/dog, but found 1",
        ),
        (
            {"train/cat": 5, "train/dog": 5, "test/cat": 5, "test/dog": 0},
            r"at least 1 images must be in .*/test/dog, but found 0",
        ),
    ],
)
def test_a_folder_laid_out_otherwise_is_refused_with_the_rule(tmp_path, images, rule):
    write_classes(tmp_path, images)
    with pytest.raises(ValueError, match=rule):
        folder.DATASET.open(str(tmp_path), 16)


def test_all_images_of_a_part_that_cannot_be_decoded_are_told_at_once(halves_dir):
    for name in ("train/cat/bad.png", "train/dog/worse.jpg", "test/cat/worst.png"):
        (halves_dir / name).write_bytes(b"not an image")
    opened = folder.DATASET.open(str(halves_dir), 16)
    with pytest.raises(ValueError, match=r"bad\.png: .*; cannot decode .*worse\.jpg: "):
        opened.read_training()
    with pytest.raises(ValueError, match=r"worst\.png: not one of JPEG, PNG"):
        opened.check_test()


def test_of_many_images_that_cannot_be_decoded_the_first_are_named_and_the_rest_counted(tmp_path):
    write_classes(tmp_path, {"a": 9, "b": 9})
    for path in sorted(tmp_path.glob("*/*"))[:12]:
        path.write_bytes(b"x")
    with pytest.raises(
        ValueError, match=rf"; and {10 - layout.SHOWN} more|; and \d+ more"
    ) as caught:
        folder.DATASET.open(str(tmp_path), 16).read_training()
    assert str(caught.value).count("cannot decode") == layout.SHOWN


def test_what_file_managers_leave_beside_images_is_left_out(classes_dir):
    (classes_dir / "hund" / "Thumbs.db").write_bytes(b"x")
    (classes_dir / "__MACOSX").mkdir()
    opened = folder.DATASET.open(str(classes_dir), 16)
    assert opened.classes == ("a cat", "hund", "été")
    assert not [name for name in opened.files if "Thumbs" in name]


def test_a_pipe_among_the_images_is_refused_and_not_waited_for(classes_dir):
    os.mkfifo(classes_dir / "hund" / "pipe")
    with pytest.raises(ValueError, match=r"an image must be a file, but .*/hund/pipe is none"):
        folder.DATASET.open(str(classes_dir), 16)


def test_every_class_at_fault_is_told_at_once(tmp_path):
    write_classes(tmp_path, {"cat": 1, "dog": 2, "cow": 5})
    with pytest.raises(ValueError, match=r"/cat, but found 1; at least 3 .*/dog, but found 2"):
        folder.DATASET.open(str(tmp_path), 16)


def test_a_gif_that_is_cut_anywhere_is_decoded_and_described_or_refused():
    written = io.BytesIO()
    frames = [Image.fromarray(np.full((9, 9, 3), 60 * n, np.uint8)) for n in range(4)]
    frames[0].save(written, "GIF", save_all=True, append_images=frames[1:])
    described = Counter()
    for end in range(1, len(whole := written.getvalue())):
        try:
            decoding.decode(whole[:end], 9, "x")
        except ValueError:
            continue
        described[decoding.facts(whole[:end])[-1]] += 1
    assert described[(FRAMES,)] > 100


@pytest.mark.parametrize("name", [b"caf\xe9", b"two\nlines"])
def test_a_class_that_no_table_can_hold_is_refused(tmp_path, name):
    write_classes(tmp_path, {"cat": 5, "dog": 5})
    (tmp_path / "dog").rename(tmp_path / os.fsdecode(name))
    with pytest.raises(ValueError, match="a class must be named in printable UTF-8"):
        folder.DATASET.open(str(tmp_path), 16)


@pytest.mark.parametrize("name", ["de\u0301ja\u0300", "déjà ", " déjà"])
def test_classes_whose_names_look_alike_are_not_two(tmp_path, name):
    write_classes(tmp_path, {"déjà": 5, name: 5})
    with pytest.raises(ValueError, match=r"classes must have names that look different, but '.*' "):
        folder.DATASET.open(str(tmp_path), 16)


def test_an_image_whose_name_no_report_can_hold_is_refused(classes_dir):
    image = next((classes_dir / "hund").iterdir())
    image.rename(image.with_name(os.fsdecode(b"caf\xe9.png")))
    with pytest.raises(ValueError, match=r"an image must be named in UTF-8, .*caf.udce9.png"):
        folder.DATASET.open(str(classes_dir), 16)


def test_val_beside_train_and_test_comes_last_in_the_training_part_and_is_said(halves_dir):
    shutil.copytree(halves_dir / "train", halves_dir / "val")
    opened = folder.DATASET.open(str(halves_dir), 16)
    assert opened.notes == ("All 7 images of val/ validate; none is taken out of train/ for that.",)
    assert (opened.own_validation, opened.image_counts) == (7, (14, 3))
    assert [name.partition("/")[0] for name in opened.files] == 7 * ["train"] + 7 * ["val"] + (
        3 * ["test"]
    )
    training = opened.read_training()
    np.testing.assert_array_equal(training.images[:7], training.images[7:])
    np.testing.assert_array_equal(training.labels[:7], training.labels[7:])


def test_val_without_test_is_refused_with_what_to_rename(halves_dir):
    (halves_dir / "test").rename(halves_dir / "val")
    with pytest.raises(ValueError, match="rename it to test/"):
        folder.DATASET.open(str(halves_dir), 16)


def test_an_image_in_training_and_test_or_in_two_classes_is_found_by_its_bytes(halves_dir):
    for number, path in enumerate(sorted(halves_dir.glob("*/*/*"))):
        path.write_bytes(encoded(np.full((8, 8, 3), number, dtype=np.uint8)))
    assert not folder.DATASET.open(str(halves_dir), 16).duplicates
    first, second, *_ = sorted((halves_dir / "train" / "cat").iterdir())
    shutil.copy(first, halves_dir / "test" / "cat" / "again.png")
    shutil.copy(second, halves_dir / "train" / "dog" / "other.png")
    both, labels = folder.DATASET.open(str(halves_dir), 16).duplicates
    assert "1 of 4 test images are also in the training part" in both
    assert f"test/cat/again.png is train/cat/{first.name}" in both
    assert f"train/cat/{second.name} and train/dog/other.png" in labels


def test_an_image_of_val_is_found_in_training_and_test_too(halves_dir):
    for number, path in enumerate(sorted(halves_dir.glob("*/*/*"))):
        path.write_bytes(encoded(np.full((8, 8, 3), number, dtype=np.uint8)))
    shutil.copytree(halves_dir / "test", halves_dir / "val")
    shutil.copy(next((halves_dir / "train" / "cat").iterdir()), halves_dir / "val/cat/again.png")
    of_test, of_validation = folder.DATASET.open(str(halves_dir), 16).duplicates
    assert "3 of 3 test images are also in the validation part" in of_test
    assert "1 of 4 validation images are also in the training part" in of_validation


def test_an_eps_which_would_start_ghostscript_is_not_opened(classes_dir):
    Image.new("RGB", (4, 4)).save(classes_dir / "hund" / "0.eps")
    assert "0.eps: not one of JPEG, PNG" in error_of(folder.DATASET, classes_dir)


def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded(classes_dir):
    Image.new("1", (20_000, 6_000)).save(classes_dir / "hund" / "huge.png")
    message = error_of(folder.DATASET, classes_dir)
    assert "huge.png: 20000 x 6000 pixels are more than 100,000,000" in message


def test_the_folder_data_set_needs_a_folder():
    with pytest.raises(ValueError, match="needs --data-dir"):
        folder.DATASET.open(None, 16)
