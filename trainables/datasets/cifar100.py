"""CIFAR-100: 60,000 real photographs, 32x32 RGB, in 100 classes; 50,000 train, 10,000 test.

Source: Krizhevsky, Learning Multiple Layers of Features from Tiny Images (2009). Read as CIFAR-10
is; a row of Hugging Face's Parquet files is `img: {bytes: <PNG>, path: null}, fine_label: 19,
coarse_label: 11`. The classes are the 100 fine ones; each has a tenth of the images that one of
CIFAR-10 has.
"""

from trainables.data.cifar import Cifar, open_cifar
from trainables.data.dataset import DataSet, OpenedDataSet

CIFAR100 = Cifar(
    name="cifar100",
    title="CIFAR-100",
    classes=(
        *("apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle"),
        *("bottle", "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle"),
        *("caterpillar", "cattle", "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch"),
        *("crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish", "forest"),
        *("fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower"),
        *("leopard", "lion", "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain"),
        *("mouse", "mushroom", "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear"),
        *("pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine", "possum"),
        *("rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew"),
        *("skunk", "skyscraper", "snail", "snake", "spider", "squirrel", "streetcar"),
        *("sunflower", "sweet_pepper", "table", "tank", "telephone", "television", "tiger"),
        *("tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree"),
        *("wolf", "woman", "worm"),
    ),
    url="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
    # As Keras has it (keras/src/datasets/cifar100.py); the MD5 below as torchvision has them.
    archive_sha256="85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
    batches="cifar-100-python",
    training_md5={"train": "16019d7e3df5f24257cddd939b257f8d"},
    test_md5={"test": "f0ef6b0ae62326f3e7ffdfab6717acfc"},
    batch_labels="fine_labels",
    parquet="cifar100",
    parquet_label="fine_label",
)


def open_cifar100(data_dir: str | None, _image_size: int) -> OpenedDataSet:
    """Finds, or downloads, the files; hashes them; images are always 32x32.

    Args:
        data_dir: A folder (path or fsspec address) that holds, or is, `cifar-100-python` or
            `cifar100` with its Parquet files; None for the user's cache.

    Raises:
        ValueError: If files are missing, not whole, or cannot be downloaded.
    """
    return open_cifar(CIFAR100, data_dir)


DATASET = DataSet(
    name="cifar100",
    summary="60,000 photographs, 32x32 RGB, in 100 classes, from the CIFAR-100 archive or Parquet",
    open=open_cifar100,
    # Its page as mirrored, and Hugging Face's card of uoft-cs/cifar100 (`license: unknown`).
    licence=(
        "not stated by its source (https://www.cs.toronto.edu/~kriz/cifar.html), which asks to "
        "cite Krizhevsky (2009); Hugging Face's card of it says `unknown`"
    ),
)
