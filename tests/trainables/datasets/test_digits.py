"""The digits: scikit-learn's, enlarged, without a folder."""

import subprocess
import sys
from pathlib import Path

import numpy as np
from made_up_data_sets import error_of
from sklearn.datasets import load_digits

from trainables.datasets import digits


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
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])
    grey, labels = digits._scans()
    theirs = load_digits()
    assert np.array_equal(grey, np.rint(theirs.images * 255 / 16))
    assert np.array_equal(labels, theirs.target)


def test_digits_take_no_folder(tmp_path):
    assert "takes no --data-dir" in error_of(digits.DATASET, tmp_path)
