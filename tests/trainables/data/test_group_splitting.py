"""Groups: the same person, patient or burst is on one side only, whatever the layout."""

import numpy as np
import pytest

from trainables.data.splitting import split


def random_layout(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels and groups: groups of one class or of several, from one image to many."""
    random = np.random.default_rng(seed)
    classes, per_class = int(random.integers(2, 8)), int(random.integers(4, 12))
    labels: list[int] = []
    groups: list[int] = []
    for group in range(classes * per_class):
        size = int(random.integers(1, 15))
        own = group % classes
        mixed = random.random() < 0.3
        labels += random.integers(0, classes, size).tolist() if mixed else [own] * size
        groups += [group] * size
    order = random.permutation(len(labels))
    return np.array(labels)[order], np.array(groups)[order]


@pytest.mark.parametrize("seed", range(200))
def test_a_group_is_never_split_and_each_class_is_on_both_sides(seed):
    labels, groups = random_layout(seed)
    classes = set(labels.tolist())
    wanted = max(len(classes), len(labels) // 10)
    try:
        parts = split(labels, validation_images=wanted, train_images=None, seed=seed, groups=groups)
    except ValueError as error:
        assert "groups" in str(error)  # noqa: PT017 (few layouts have no such division)
        return
    assert not set(groups[parts.train]) & set(groups[parts.validation])
    assert set(labels[parts.train].tolist()) == set(labels[parts.validation].tolist()) == classes
    everything = np.concatenate([parts.train, parts.validation])
    assert sorted(everything.tolist()) == list(range(len(labels)))
    largest = np.bincount(groups).max()
    assert abs(len(parts.validation) - wanted) <= largest * len(classes)


def test_the_same_seed_gives_the_same_groups_and_another_seed_others():
    labels, groups = random_layout(3)
    some = [
        split(labels, validation_images=30, train_images=None, seed=seed, groups=groups).digest
        for seed in (1, 1, 2)
    ]
    assert some[0] == some[1] != some[2]


def test_about_as_many_images_of_each_class_are_held_out_as_asked_for():
    labels = np.repeat(np.arange(4), 500)
    groups = np.arange(2000) // 5
    parts = split(labels, validation_images=200, train_images=None, seed=0, groups=groups)
    assert np.bincount(labels[parts.validation]).tolist() == [50] * 4


def test_one_image_a_group_is_as_if_there_were_none():
    labels = np.arange(60) % 3
    parts = split(labels, validation_images=9, train_images=None, seed=0, groups=np.arange(60))
    assert np.bincount(labels[parts.validation]).tolist() == [3, 3, 3]


def test_fewer_training_images_are_a_share_of_those_that_are_left():
    labels, groups = np.arange(400) % 4, np.arange(400) // 8
    parts = split(labels, validation_images=40, train_images=80, seed=0, groups=groups)
    assert len(parts.train) == 80
    assert not set(groups[parts.train]) & set(groups[parts.validation])


@pytest.mark.parametrize(("left", "found"), [(1, 1), (2, 2)])
def test_a_class_in_too_few_groups_is_named(left, found):
    labels = np.repeat([0, 1], 30)
    groups = np.concatenate([np.arange(30) // 3, 100 + np.arange(30) % found])
    with pytest.raises(ValueError, match=rf"at least {left + 1} groups.*class 1 has them in"):
        split(
            labels,
            validation_images=6,
            train_images=None,
            seed=0,
            groups=groups,
            groups_left=left,
        )


def test_classes_that_no_division_has_on_both_sides_are_refused():
    labels, groups = np.array([0, 1, 1, 2, 2, 0] * 3), np.array([0, 0, 1, 1, 2, 2] * 3)
    with pytest.raises(ValueError, match="no such division of 3 groups was found"):
        split(labels, validation_images=4, train_images=None, seed=0, groups=groups)
