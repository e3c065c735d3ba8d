"""Data sets: found, checked, decoded only when asked, and refused in one line when at fault."""

import functools
import hashlib
import http.server
import io
import os
import pickle
import shutil
import socket
import struct
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import fsspec
import numpy as np
import platformdirs
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from trainables.data import download
from trainables.data.dataset import LabeledImages, OpenedDataSet
from trainables.datasets import cifar10, digits, folder

TRAINING_IMAGES, TEST_IMAGES = 50, 20
DATASETS = (cifar10.DATASET, digits.DATASET, folder.DATASET)


def made_up_images(count: int, classes: int = 10) -> LabeledImages:
    images = np.random.default_rng(count).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    return LabeledImages(images=images, labels=np.arange(count) % classes)


TRAINING, TEST = made_up_images(TRAINING_IMAGES), made_up_images(TEST_IMAGES)


def encoded(image: np.ndarray, form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, form)
    return buffer.getvalue()


def write_parquet(path: Path, data: LabeledImages) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [{"bytes": encoded(image), "path": "x.png"} for image in data.images]
    pq.write_table(pa.table({"img": images, "label": data.labels}), path)


def python2_batch(data: LabeledImages) -> bytes:
    """A batch as Python 2 and the NumPy of 2009 pickled it: protocol 2, bytes as `str`."""
    pixels = data.images.transpose(0, 3, 1, 2).tobytes()
    shape = b"M" + struct.pack("<H", len(data)) + b"M" + struct.pack("<H", 3072) + b"\x86"
    kind = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNN" + b"J\xff\xff\xff\xff" * 2
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01"
        + shape
        + kind
        + b"K\x00tb\x89T"
        + struct.pack("<i", len(pixels))
        + pixels
        + b"tb"
    )
    labels = b"](" + b"".join(b"K" + bytes([label]) for label in data.labels.tolist()) + b"e"
    return b"\x80\x02}(U\x06labels" + labels + b"U\x04data" + array + b"u."


def batches() -> dict[str, bytes]:
    fifths = np.split(np.arange(TRAINING_IMAGES), 5)
    training = {
        name: python2_batch(LabeledImages(images=TRAINING.images[i], labels=TRAINING.labels[i]))
        for name, i in zip(cifar10.TRAINING_MD5, fifths, strict=True)
    }
    return {**training, "test_batch": python2_batch(TEST)}


@pytest.fixture(autouse=True)
def small_cifar10(monkeypatch):
    """CIFAR-10 with 50 and 20 images, and the hashes of the batches made up here."""
    md5 = {name: hashlib.md5(content).hexdigest() for name, content in batches().items()}
    monkeypatch.setattr(cifar10, "TRAINING_IMAGES", TRAINING_IMAGES)
    monkeypatch.setattr(cifar10, "TEST_IMAGES", TEST_IMAGES)
    monkeypatch.setattr(cifar10, "TEST_MD5", {"test_batch": md5.pop("test_batch")})
    monkeypatch.setattr(cifar10, "TRAINING_MD5", md5)


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    """An empty cache, and no network beyond this machine."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(cifar10, "URL", "http://127.0.0.1:9/cifar-10-python.tar.gz")
    return platformdirs.user_cache_path("transfer-study") / "cifar10"


@pytest.fixture
def batches_dir(tmp_path):
    base = tmp_path / "my dätä 数据 [1]"
    (base / cifar10.BATCHES).mkdir(parents=True)
    for name, content in batches().items():
        (base / cifar10.BATCHES / name).write_bytes(content)
    return base


@pytest.fixture
def parquet_dir(tmp_path):
    base = tmp_path / "my dätä 数据 [1]"
    for part, half in enumerate(np.split(np.arange(TRAINING_IMAGES), 2)):
        data = LabeledImages(images=TRAINING.images[half], labels=TRAINING.labels[half])
        write_parquet(base / "plain_text" / f"train-0000{part}-of-00002.parquet", data)
    write_parquet(base / "plain_text" / "test-00000-of-00001.parquet", TEST)
    return base


def in_memory(base: Path, name: str) -> str:
    """Copies a folder to a file system that is not on disk; returns its address."""
    for path in base.rglob("*"):
        if path.is_file():
            target = f"/{name}/{path.relative_to(base)}"
            fsspec.filesystem("memory").pipe_file(target, path.read_bytes())
    return f"memory://{name}"


def write_classes(base: Path, images: dict[str, int]) -> Path:
    for value, (name, count) in enumerate(images.items()):
        (base / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            pixels = np.full((8, 12, 3), 10 * value + i, dtype=np.uint8)
            (base / name / f"bild {i} ü.png").write_bytes(encoded(pixels))
    return base


@pytest.fixture
def classes_dir(tmp_path):
    return write_classes(tmp_path / "my dätä 数据 [1]", {"hund": 10, "a cat": 10, "été": 5})


@pytest.fixture
def halves_dir(tmp_path):
    base = tmp_path / "my dätä 数据 [1]"
    write_classes(base / "train", {"cat": 4, "dog": 3})
    write_classes(base / "test", {"cat": 1, "dog": 2})
    return base


def opened(name: str, request: pytest.FixtureRequest) -> OpenedDataSet:
    if name == "digits":
        return digits.DATASET.open(None, 32)
    dataset = folder.DATASET if name in {"classes_dir", "halves_dir"} else cifar10.DATASET
    return dataset.open(str(request.getfixturevalue(name)), 16)


def error_of(dataset, data_dir) -> str:
    """The one line that opening and decoding everything ends with."""

    def read_everything() -> None:
        data = dataset.open(str(data_dir), 16)
        data.read_training()
        data.read_test()

    return one_line(read_everything)


def one_line(act: Callable[[], object]) -> str:
    with pytest.raises(ValueError, match=r"\A[^\n]+\Z") as caught:
        act()
    return str(caught.value)


every_data_set = pytest.mark.parametrize(
    "name", ["batches_dir", "parquet_dir", "classes_dir", "halves_dir", "digits"]
)


@every_data_set
def test_both_parts_are_rgb_bytes_with_a_label_each(name, request):
    data = opened(name, request)
    for part in (data.read_training(), data.read_test()):
        assert part.images.dtype == np.uint8
        assert part.images.flags.c_contiguous
        assert part.images.shape[0] == len(part) > 0
        assert part.images.shape[3] == 3
        assert part.labels.dtype == np.int64
        assert set(part.labels.tolist()) == set(range(len(data.classes)))


@every_data_set
def test_opening_again_gives_the_same_images_in_the_same_order(name, request):
    one, other = opened(name, request), opened(name, request)
    assert one.files == other.files
    for read in ("read_training", "read_test"):
        first, second = getattr(one, read)(), getattr(other, read)()
        assert np.array_equal(first.images, second.images)
        assert np.array_equal(first.labels, second.labels)


@every_data_set
def test_opening_decodes_nothing_and_training_leaves_the_test_part_alone(
    name, request, monkeypatch
):
    if name != "digits":
        request.getfixturevalue(name)
    decoded = spied(monkeypatch)
    data = opened(name, request)
    assert decoded == []
    data.read_training()
    before = len(decoded)
    assert before > 0
    assert not any("test" in path for path in decoded)
    data.read_test()
    assert len(decoded) > before


def spied(monkeypatch) -> list[str]:
    """Fills with what is decoded, in each data set's own words."""
    decoded: list[str] = []

    def spy(module, name, described) -> None:
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a: decoded.append(described(a)) or real(*a))

    spy(cifar10, "_decode", lambda arguments: arguments[1])
    spy(folder, "_decode", lambda arguments: arguments[2].partition("数据 [1]/")[2])
    spy(digits, "_rgb", lambda _: "a scan")
    return decoded


@every_data_set
def test_files_are_named_with_their_sha256(name, request):
    files = opened(name, request).files
    assert all(len(digest) == 64 for digest in files.values())
    if name != "digits":
        base = request.getfixturevalue(name)
        for file, digest in files.items():
            (path,) = [p for p in base.rglob("*") if str(p).endswith(f"/{file}")]
            assert digest == hashlib.sha256(path.read_bytes()).hexdigest()


def test_importing_the_data_sets_imports_no_heavy_library():
    code = (
        "import sys; from trainables.datasets import cifar10, digits, folder; assert not "
        "{'torch', 'torchvision', 'sklearn', 'pandas', 'pyarrow', 'PIL', 'fsspec', 'pooch'} "
        "& set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda d: d.name)
def test_a_data_set_is_named_after_its_file(dataset):
    assert dataset is sys.modules[f"trainables.datasets.{dataset.name}"].DATASET


@pytest.mark.parametrize("dataset", [cifar10.DATASET, folder.DATASET], ids=lambda d: d.name)
@pytest.mark.parametrize("address", ["/no/such/folder", "nosuch://bucket/data"])
def test_a_folder_that_is_not_there_is_named(dataset, address):
    assert address in error_of(dataset, address)


# CIFAR-10


@pytest.mark.parametrize("layout", ["batches_dir", "parquet_dir"])
@pytest.mark.parametrize("inside", [False, True], ids=["above", "inside"])
def test_both_layouts_of_cifar10_hold_the_same_images(layout, inside, request):
    base = request.getfixturevalue(layout)
    data = cifar10.DATASET.open(str(next(base.iterdir()) if inside else base), 32)
    assert data.classes[0] == "airplane"
    assert data.classes[9] == "truck"
    for found, expected in ((data.read_training(), TRAINING), (data.read_test(), TEST)):
        assert np.array_equal(found.images, expected.images)
        assert np.array_equal(found.labels, expected.labels)


def test_cifar10_is_read_by_fsspec_address(parquet_dir):
    data = cifar10.DATASET.open(in_memory(parquet_dir, "bucket/cifar 10"), 32)
    assert np.array_equal(data.read_training().images, TRAINING.images)


def test_a_folder_without_cifar10_says_what_was_looked_for(tmp_path):
    message = error_of(cifar10.DATASET, tmp_path)
    assert str(tmp_path) in message
    assert "neither cifar-10-batches-py/ nor plain_text/train-*.parquet" in message


@pytest.mark.parametrize("name", ["data_batch_3", "test_batch"])
def test_a_missing_batch_is_named_before_anything_is_decoded(batches_dir, name):
    (batches_dir / cifar10.BATCHES / name).unlink()
    with pytest.raises(ValueError, match=f"incomplete: {name} missing in "):
        cifar10.DATASET.open(str(batches_dir), 32)


@pytest.mark.parametrize("name", ["data_batch_3", "test_batch"])
def test_a_batch_with_another_hash_is_refused_before_it_is_unpickled(batches_dir, name):
    path = batches_dir / cifar10.BATCHES / name
    path.write_bytes(path.read_bytes()[:-1])
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(ValueError, match=rf"{name} is corrupt: expected MD5 .* {found}"):
        cifar10.DATASET.open(str(batches_dir), 32)


class Payload:
    def __reduce__(self):
        return os.mkdir, ("harm was done",)


def test_code_in_a_batch_does_not_run_even_if_the_hash_is_right(batches_dir, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    hostile = pickle.dumps({"data": Payload(), "labels": []})
    (batches_dir / cifar10.BATCHES / "data_batch_1").write_bytes(hostile)
    md5 = hashlib.md5(hostile).hexdigest()
    monkeypatch.setitem(cifar10.TRAINING_MD5, "data_batch_1", md5)
    assert "posix.mkdir is not allowed" in error_of(cifar10.DATASET, batches_dir)
    assert not Path("harm was done").exists()


@pytest.mark.parametrize("name", ["train-00001-of-00002.parquet", "test-00000-of-00001.parquet"])
def test_a_missing_parquet_file_is_noticed_before_anything_is_decoded(parquet_dir, name):
    (parquet_dir / "plain_text" / name).unlink()
    with pytest.raises(ValueError, match=r"CIFAR-10 is incomplete: all t.*\.parquet must be in"):
        cifar10.DATASET.open(str(parquet_dir), 32)


@pytest.mark.parametrize("name", ["train-00001-of-00002.parquet", "test-00000-of-00001.parquet"])
def test_a_truncated_parquet_file_is_noticed_before_anything_is_decoded(parquet_dir, name):
    path = parquet_dir / "plain_text" / name
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=rf"{name} is not a whole Parquet file \(\d+ bytes"):
        cifar10.DATASET.open(str(parquet_dir), 32)


def test_a_parquet_file_damaged_inside_is_named(parquet_dir):
    path = parquet_dir / "plain_text" / "train-00000-of-00002.parquet"
    content = path.read_bytes()
    path.write_bytes(content[:1000] + bytes(len(content) - 1004) + content[-4:])
    assert "cannot decode" in error_of(cifar10.DATASET, parquet_dir)
    assert str(path) in error_of(cifar10.DATASET, parquet_dir)


@pytest.mark.parametrize("part", ["train-00001-of-00002", "test-00000-of-00001"])
def test_wrong_counts_are_refused_with_expected_and_found(parquet_dir, part):
    write_parquet(parquet_dir / "plain_text" / f"{part}.parquet", made_up_images(12, classes=3))
    message = error_of(cifar10.DATASET, parquet_dir)
    assert "of each label from 0 to 9, but found" in message
    assert str(parquet_dir) in message


def test_images_of_another_size_are_refused(parquet_dir):
    large = LabeledImages(images=np.zeros((25, 33, 32, 3), np.uint8), labels=np.arange(25) % 10)
    write_parquet(parquet_dir / "plain_text" / "train-00001-of-00002.parquet", large)
    assert "expected RGB images of 32x32, found RGB of (32, 33)" in error_of(
        cifar10.DATASET, parquet_dir
    )


@pytest.mark.parametrize("name", ["parquet_dir", "batches_dir", "classes_dir"])
def test_a_file_that_changes_after_it_was_opened_is_refused(name, request):
    base = request.getfixturevalue(name)
    data = opened(name, request)
    for path in [path for path in base.rglob("*") if path.is_file()]:
        path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ValueError, match=r"has changed: expected SHA-256 \w+, found \w+"):
        data.read_test()


# The download


def archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in batches().items():
            member = tarfile.TarInfo(f"{cifar10.BATCHES}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def server(monkeypatch, tmp_path):
    """Serves the archive on this machine; what it was asked for is in `asked`."""
    served = tmp_path / "served"
    served.mkdir()
    content = archive()
    (served / "cifar10.tar.gz").write_bytes(content)
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            asked.append(self.requestline.split()[0])

    handler = functools.partial(Handler, directory=str(served))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setattr(
            cifar10, "URL", f"http://127.0.0.1:{running.server_port}/cifar10.tar.gz"
        )
        monkeypatch.setattr(cifar10, "ARCHIVE_SHA256", hashlib.sha256(content).hexdigest())
        yield asked
        running.shutdown()


def test_cifar10_is_downloaded_once(server, cache):
    for _ in range(2):
        data = cifar10.DATASET.open(None, 32)
    assert np.array_equal(data.read_training().images, TRAINING.images)
    assert server.count("GET") == 1
    assert not (cache / ".incoming").exists()


def test_eight_processes_that_race_leave_one_good_copy(server, cache):
    code = (
        "import sys; from pathlib import Path; from trainables.data.download import fetch_folder;"
        "url, sha256, folder, cache = sys.argv[1:];"
        "fetch_folder(url=url, sha256=sha256, folder=folder, cache=Path(cache))"
    )
    arguments = (cifar10.URL, cifar10.ARCHIVE_SHA256, cifar10.BATCHES, str(cache))
    command = [sys.executable, "-c", code, *arguments]
    running = [subprocess.Popen(command, cwd=Path(__file__).parents[2]) for _ in range(8)]
    assert [process.wait() for process in running] == [0] * 8
    assert server.count("GET") == 1
    assert len(cifar10.DATASET.open(None, 32).read_test()) == TEST_IMAGES


def test_what_a_killed_download_left_behind_is_cleared_away(server, cache):
    (cache / ".incoming").mkdir(parents=True)
    (cache / ".incoming" / "archive").write_bytes(b"half of it")
    cifar10.DATASET.open(None, 32)
    assert sorted(path.name for path in cache.iterdir()) == [cifar10.BATCHES, "download.lock"]
    assert server


def download_error() -> str:
    started = time.monotonic()
    message = one_line(lambda: cifar10.DATASET.open(None, 32))
    assert time.monotonic() - started < 10
    return message


def test_without_network_the_answer_says_what_where_and_how_to_get_it(cache):
    message = download_error()
    assert message.startswith(f"no CIFAR-10: cifar-10-batches-py is not in {cache}, and getting")
    assert cifar10.URL in message
    assert cifar10.ARCHIVE_SHA256 in message
    assert "Connection refused; " in message
    assert "--data-dir" in message
    assert not cache.exists()


def test_a_server_that_never_answers_is_given_up(monkeypatch):
    monkeypatch.setattr(download, "ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(cifar10, "URL", f"http://127.0.0.1:{silent.getsockname()[1]}/x.tar.gz")
        assert "no answer within 0.2 s" in download_error()


def test_another_archive_than_expected_is_refused(server, monkeypatch, cache):
    monkeypatch.setattr(cifar10, "ARCHIVE_SHA256", "0" * 64)
    assert "does not match the known hash" in download_error()
    assert server.count("GET") == 1
    assert not (cache / cifar10.BATCHES).exists()


def test_an_archive_that_the_server_does_not_have_is_said(server, monkeypatch):
    monkeypatch.setattr(cifar10, "URL", cifar10.URL + ".gone")
    assert "the server does not have it" in download_error()
    assert "GET" not in server


def test_a_cache_that_cannot_be_written_is_said(server, cache):
    cache.parent.mkdir(parents=True)
    cache.write_text("a file, where a folder should be")
    assert str(cache) in download_error()
    assert server == ["HEAD"]


# Digits


def test_digits_are_32_pixels_wide_and_360_of_them_are_for_the_test():
    data = digits.DATASET.open(None, 48)
    training, test = data.read_training(), data.read_test()
    assert training.images.shape == (1437, 32, 32, 3)
    assert test.images.shape == (360, 32, 32, 3)
    assert np.bincount(test.labels).min() >= 35
    assert training.images.min() == 0
    assert training.images.max() == 255


def test_digits_are_scikit_learns_without_the_seconds_that_importing_it_takes():
    code = (
        "import sys; from trainables.datasets.digits import DATASET; DATASET.open(None, 32)"
        ".read_training(); assert 'sklearn' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
    grey, labels = digits._scans()
    theirs = load_digits()
    assert np.array_equal(grey, np.rint(theirs.images * 255 / 16))
    assert np.array_equal(labels, theirs.target)


def test_digits_take_no_folder(tmp_path):
    assert "takes no --data-dir" in error_of(digits.DATASET, tmp_path)


# A folder of one's own images


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


def test_a_folder_is_read_by_fsspec_address(classes_dir):
    addresses = (str(classes_dir), in_memory(classes_dir, "images"))
    local, remote = (folder.DATASET.open(address, 16) for address in addresses)
    assert local.files == remote.files
    assert np.array_equal(local.read_training().images, remote.read_training().images)


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
    return folder._decode(buffer.getvalue(), image.height, "x")[0, 0].tolist()


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
        ValueError, match=rf"; and {10 - folder.SHOWN} more|; and \d+ more"
    ) as caught:
        folder.DATASET.open(str(tmp_path), 16).read_training()
    assert str(caught.value).count("cannot decode") == folder.SHOWN


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


@pytest.mark.parametrize("name", [b"caf\xe9", b"two\nlines"])
def test_a_class_that_no_table_can_hold_is_refused(tmp_path, name):
    write_classes(tmp_path, {"cat": 5, "dog": 5})
    (tmp_path / "dog").rename(tmp_path / os.fsdecode(name))
    with pytest.raises(ValueError, match="a class must be named in printable UTF-8"):
        folder.DATASET.open(str(tmp_path), 16)


def test_an_image_whose_name_no_report_can_hold_is_refused(classes_dir):
    image = next((classes_dir / "hund").iterdir())
    image.rename(image.with_name(os.fsdecode(b"caf\xe9.png")))
    with pytest.raises(ValueError, match=r"an image must be named in UTF-8, .*caf.udce9.png"):
        folder.DATASET.open(str(classes_dir), 16)


def test_val_beside_train_and_test_is_left_out_and_said(halves_dir):
    shutil.copytree(halves_dir / "train", halves_dir / "val")
    assert "val/ was left out" in folder.DATASET.open(str(halves_dir), 16).notes[0]


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


# The real thing


@pytest.mark.realdata
def test_the_real_cifar10_has_its_published_mean_colour(monkeypatch):
    default = Path(__file__).resolve().parents[3] / "shared/data/cifar10"
    base = Path(os.environ.get("CIFAR10_DIR", default))
    if not base.is_dir():
        pytest.skip(f"no CIFAR-10 in {base}")
    monkeypatch.undo()
    training = cifar10.DATASET.open(str(base), 32).read_training()
    assert len(training) == 50_000
    assert training.images.mean(axis=(0, 1, 2)) / 255 == pytest.approx(
        [0.4914, 0.4822, 0.4465], abs=1e-4
    )
