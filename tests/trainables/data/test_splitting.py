"""Splits: stratified, seeded, disjoint, nested, and refused where there are too few images."""

import itertools

import numpy as np
import pytest

from trainables.data.splitting import Indices, Split, fraction_of, split

CIFAR10_LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 5_000))
UNBALANCED_LABELS = np.repeat(np.arange(4), [500, 60, 7, 2])


def counts(labels: Indices) -> list[int]:
    return np.bincount(labels).tolist()


def cifar10_split(*, seed: int = 0, train_images: int | None = None) -> Split:
    return split(CIFAR10_LABELS, validation_images=5_000, train_images=train_images, seed=seed)


def test_every_image_is_in_exactly_one_part():
    parts = cifar10_split()
    assert len(parts.train) == 45_000
    assert np.array_equal(np.sort([*parts.train, *parts.validation]), np.arange(50_000))


def test_indices_are_sorted_and_int64():
    parts = cifar10_split(train_images=1_000)
    tenth = fraction_of(parts.train, CIFAR10_LABELS, 0.1, 0)
    for indices in (parts.train, parts.validation, tenth):
        assert indices.dtype == np.int64
        assert np.all(np.diff(indices) > 0)


def test_balanced_classes_stay_balanced():
    parts = cifar10_split(train_images=1_000)
    assert counts(CIFAR10_LABELS[parts.validation]) == [500] * 10
    assert counts(CIFAR10_LABELS[parts.train]) == [100] * 10


def test_shares_of_unbalanced_classes_follow_their_sizes_and_none_is_left_out():
    parts = split(UNBALANCED_LABELS, validation_images=100, train_images=50, seed=0)
    assert counts(UNBALANCED_LABELS[parts.validation]) == [88, 10, 1, 1]
    assert counts(UNBALANCED_LABELS[parts.train]) == [43, 5, 1, 1]


@pytest.mark.parametrize("validation_images", [4, 565])
def test_the_extremes_leave_each_class_an_image_on_both_sides(validation_images):
    parts = split(UNBALANCED_LABELS, validation_images=validation_images, train_images=None, seed=0)
    assert len(parts.validation) == validation_images
    for indices in (parts.train, parts.validation):
        assert min(counts(UNBALANCED_LABELS[indices])) >= 1


def test_the_same_seed_gives_the_same_split_and_another_seed_another():
    assert cifar10_split(seed=1).digest == cifar10_split(seed=1).digest
    assert cifar10_split(seed=1).digest != cifar10_split(seed=2).digest


def test_a_split_outlives_versions_of_this_code():
    parts = split(UNBALANCED_LABELS, validation_images=10, train_images=20, seed=7)
    assert parts.digest == "f0db7e9b963ffacb29c995a2b9043d1b509e79b56458db2108abc2dd5708e34e"


def test_the_digest_sees_where_train_ends():
    one = Split(train=np.array([0, 1]), validation=np.array([2]))
    other = Split(train=np.array([0]), validation=np.array([1, 2]))
    assert one.digest != other.digest


def test_train_images_do_not_move_validation():
    expected = cifar10_split().validation
    assert np.array_equal(cifar10_split(train_images=100).validation, expected)


def test_fewer_train_images_are_a_subset_of_more():
    few, many = (cifar10_split(train_images=images).train for images in (500, 5_000))
    assert set(few) < set(many) < set(cifar10_split().train)


def test_a_tenth_of_the_training_images_of_cifar10_is_4500():
    tenth = fraction_of(cifar10_split().train, CIFAR10_LABELS, 0.1, 0)
    assert counts(CIFAR10_LABELS[tenth]) == [450] * 10


def test_fractions_are_nested_up_to_everything():
    train = cifar10_split().train
    shares = [fraction_of(train, CIFAR10_LABELS, part, 3) for part in (0.01, 0.1, 0.25, 1.0)]
    for small, large in itertools.pairwise(shares):
        assert set(small) < set(large)
    assert np.array_equal(shares[-1], train)


def test_fractions_of_unbalanced_classes_are_nested_too():
    train = split(UNBALANCED_LABELS, validation_images=50, train_images=None, seed=0).train
    shares = [fraction_of(train, UNBALANCED_LABELS, k / 50, 3) for k in range(1, 51)]
    assert all(set(small) <= set(large) for small, large in itertools.pairwise(shares))


def test_the_smallest_fraction_keeps_an_image_of_each_class():
    assert (
        counts(CIFAR10_LABELS[fraction_of(cifar10_split().train, CIFAR10_LABELS, 1e-9, 0)])
        == [1] * 10
    )


def test_another_seed_draws_another_fraction():
    train = cifar10_split().train
    one, other = (fraction_of(train, CIFAR10_LABELS, 0.1, seed) for seed in (0, 1))
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("fraction", [0, -0.1, 1.01, float("nan")])
def test_a_fraction_out_of_range_is_refused(fraction):
    with pytest.raises(ValueError, match=r"`0 < fraction <= 1` must hold, but got fraction="):
        fraction_of(np.arange(10), np.zeros(10, dtype=np.int64), fraction, 0)


@pytest.mark.parametrize("validation_images", [-1, 0, 9, 49_991])
def test_a_validation_part_of_impossible_size_is_refused(validation_images):
    with pytest.raises(ValueError, match=rf"from 10 .*, but is {validation_images:,}\Z"):
        split(CIFAR10_LABELS, validation_images=validation_images, train_images=None, seed=0)


@pytest.mark.parametrize("train_images", [0, 9, 45_001])
def test_an_impossible_number_of_train_images_is_refused(train_images):
    with pytest.raises(ValueError, match=rf"to 45,000 .*, but is {train_images:,}\Z"):
        cifar10_split(train_images=train_images)


def test_a_class_with_one_image_is_refused():
    with pytest.raises(ValueError, match=r"each class needs at least 2 images.*: class 1 has 1"):
        split(np.array([0, 0, 1, 2, 2]), validation_images=3, train_images=None, seed=0)


def test_no_images_at_all_are_refused():
    with pytest.raises(ValueError, match="there are none"):
        split(np.array([], dtype=np.int64), validation_images=1, train_images=None, seed=0)


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match=r"`seed >= 0` must hold, but got seed=-1"):
        cifar10_split(seed=-1)
