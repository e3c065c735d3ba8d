"""CIFAR-10: 60,000 real photographs, 32x32 RGB, in 10 classes; 50,000 train, 10,000 test.

Source: Krizhevsky, Learning Multiple Layers of Features from Tiny Images (2009). Read from the
batches of its published archive (as torchvision keeps them) or from the Parquet files that
Hugging Face serves, of which a row is `img: {bytes: <PNG>, path: bird_s_000005.png}, label: 2`.
"""

from trainables.data.cifar import Cifar, open_cifar
from trainables.data.dataset import DataSet, OpenedDataSet

CIFAR10 = Cifar(
    name="cifar10",
    title="CIFAR-10",
    classes=(
        *("airplane", "automobile", "bird", "cat", "deer"),
        *("dog", "frog", "horse", "ship", "truck"),
    ),
    url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    archive_sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    batches="cifar-10-batches-py",
    training_md5={
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    },
    test_md5={"test_batch": "40351d587109b95175f43aff81a1287e"},
    batch_labels="labels",
    parquet="plain_text",
    parquet_label="label",
)


def open_cifar10(data_dir: str | None, _image_size: int) -> OpenedDataSet:
    """Finds, or downloads, the files; hashes them; images are always 32x32.

    Args:
        data_dir: A folder (path or fsspec address) that holds, or is, `cifar-10-batches-py`
            or `plain_text` with its Parquet files; None for the user's cache.

    Raises:
        ValueError: If files are missing, not whole, or cannot be downloaded.
    """
    return open_cifar(CIFAR10, data_dir)


DATASET = DataSet(
    name="cifar10",
    summary="60,000 photographs, 32x32 RGB, in 10 classes, from the CIFAR-10 archive or Parquet",
    open=open_cifar10,
    # Its page as mirrored, and Hugging Face's card of uoft-cs/cifar10 (`license: unknown`).
    licence=(
        "not stated by its source (https://www.cs.toronto.edu/~kriz/cifar.html), which asks to "
        "cite Krizhevsky (2009); Hugging Face's card of it says `unknown`"
    ),
)
