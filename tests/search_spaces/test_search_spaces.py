"""Search spaces: printable, narrowed by text, and around a baseline that lies inside."""

import re
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from search_spaces import spaces
from search_spaces.baseline import BASELINE
from search_spaces.checking import wrong_dimensions, wrong_for_trainer
from search_spaces.dimension import (
    Dimension,
    contains,
    covers,
    describe,
    distributions,
    outside,
)
from search_spaces.narrowing import narrow
from search_spaces.spaces import fine_tuning, from_scratch

RATE = FloatDistribution(1e-5, 1e-2, log=True)
SIZES = CategoricalDistribution((32, 48, 64))


def test_the_baseline_is_the_reference_studys_to_the_digit() -> None:
    assert BASELINE["optimizer"] == "adam"
    assert BASELINE["learning_rate"] == 1e-4
    assert BASELINE["batch_size"] == 64
    assert (BASELINE["schedule"], BASELINE["augmentation"]) == ("constant", "none")
    assert BASELINE["label_smoothing"] == BASELINE["weight_decay"] == 0


def test_the_baseline_has_one_value_inside_each_shared_dimension() -> None:
    assert set(BASELINE) == set(from_scratch())
    assert outside(distributions(from_scratch()), BASELINE) == []


def test_the_learning_rate_is_searched_on_a_log_scale_around_the_baseline() -> None:
    assert from_scratch()["learning_rate"].values == FloatDistribution(1e-5, 1e-2, log=True)


def test_fine_tuning_adds_only_what_pretrained_networks_have() -> None:
    added = set(fine_tuning()) - set(from_scratch())
    assert added == {
        "input_size",
        "frozen_stages",
        "head_learning_rate_multiplier",
        "normalization",
        "layer_decay",
    }


@pytest.mark.parametrize("space", [from_scratch(), fine_tuning()])
def test_sgd_reaches_the_rates_at_which_it_is_good_and_adamws_decay_is_not_adams(space) -> None:
    assert contains(space["sgd_learning_rate"].values, 0.1)
    assert not contains(space["learning_rate"].values, 0.1)
    assert contains(space["adamw_weight_decay"].values, 0.05)
    assert not contains(space["weight_decay"].values, 0.05)


def test_what_a_dimension_is_without_itself_is_in_every_baseline() -> None:
    known = {**spaces.OPTIONAL, **spaces.OPTIONAL_PRETRAINED}
    for name, (dimension, off) in known.items():
        assert contains(dimension.values, off), name
        assert spaces.ABSENT[name] == off == BASELINE.get(name, off)


@pytest.mark.parametrize(
    ("distribution", "text", "narrowed"),
    [
        (RATE, "1e-4..1e-3", FloatDistribution(1e-4, 1e-3, log=True)),
        (RATE, "1e-4", FloatDistribution(1e-4, 1e-4, log=True)),
        (IntDistribution(0, 4), "1..2", IntDistribution(1, 2)),
        (SIZES, "32,48", CategoricalDistribution((32, 48))),
        (CategoricalDistribution((0.0, 1e-5)), "0", CategoricalDistribution((0.0,))),
        (CategoricalDistribution(("a", "b")), " b ", CategoricalDistribution(("b",))),
        (CategoricalDistribution((True, False)), "true", CategoricalDistribution((True,))),
        (CategoricalDistribution((None, 3)), "none", CategoricalDistribution((None,))),
        (IntDistribution(0, 8, step=4), "4..8", IntDistribution(4, 8, step=4)),
    ],
)
def test_a_dimension_is_narrowed_by_a_text(distribution, text, narrowed) -> None:
    assert narrow("space.x.y", distribution, text) == narrowed


@pytest.mark.parametrize(
    ("distribution", "text", "message"),
    [
        (RATE, "1e-2..1e-5", r"space.x.y must have low <= high, but got low=0.01, high=1e-05"),
        (RATE, "1e-9..1e-3", r"space.x.y must lie in 1e-05..0.01 \(log\), but got '1e-9'"),
        (RATE, "fast", r"space.x.y must lie in 1e-05..0.01 \(log\), but got 'fast'"),
        (SIZES, "32,40", r"space.x.y must lie in 32, 48, 64, but got '40'"),
        (IntDistribution(0, 4), "1.5", r"space.x.y must lie in 0..4, but got '1.5'"),
        (FloatDistribution(0, 1, step=0.25), "0.3", r"0..1 \(steps of 0.25\), but got '0.3'"),
        (SIZES, "[32, 48]", r"space.x.y must be written without brackets, as 32,48, but got"),
        (RATE, "(1e-4,1e-3)", r"space.x.y must be written without brackets, as 1e-4..1e-3, but"),
        (RATE, "1e-4,1e-3", r"space.x.y must be a number or a range, as 1e-4..1e-3, but got"),
    ],
)
def test_a_wrong_narrowing_names_the_rule_and_the_value(distribution, text, message) -> None:
    with pytest.raises(ValueError, match=message):
        narrow("space.x.y", distribution, text)


def test_a_distribution_is_described_as_it_is_written() -> None:
    assert describe(RATE) == "1e-05..0.01 (log)"
    assert describe(SIZES) == "32, 48, 64"


def test_the_former_name_of_the_module_of_spaces_works_and_says_the_new_one() -> None:
    with pytest.deprecated_call(match=r"STEM must be imported from search_spaces\.spaces"):
        from search_spaces.dimensions import STEM
    assert STEM is spaces.STEM
    with pytest.raises(ImportError):
        from search_spaces.dimensions import __all__  # noqa: F401 (the import is the test)


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        (RATE, FloatDistribution(1e-4, 1e-3)),
        (IntDistribution(0, 4), IntDistribution(1, 2)),
        (SIZES, CategoricalDistribution((48,))),
    ],
)
def test_a_distribution_covers_a_narrower_one_of_its_kind_alone(wide: Any, narrow: Any) -> None:
    assert covers(wide, wide)
    assert covers(wide, narrow)
    assert not covers(narrow, wide)
    for other in (RATE, SIZES):
        assert covers(other, wide) == (type(other) is type(wide))


@pytest.mark.parametrize(
    ("values", "start", "message"),
    [
        (FloatDistribution(0, float("inf")), 1.0, "width must have finite ends, but has 0..inf"),
        (IntDistribution(0, 2**70), 1, "width must have finite ends"),
        (IntDistribution(0, 8, step=4), 5, r"lie in 0..8 \(steps of 4\), but its baseline is 5"),
        (IntDistribution(0, 8), True, "but its baseline is True"),
        (FloatDistribution(0, 1), float("nan"), "but its baseline is nan"),
        (CategoricalDistribution((1, "a")), 1, "choices of one type, which are one column"),
        (CategoricalDistribution((1, True)), 1, "choices of one type, which are one column"),
        (CategoricalDistribution((1, 1.0)), 1, "must have each choice once, but has 1, 1.0"),
        (CategoricalDistribution((float("nan"), 1.0)), 1.0, "texts, numbers, True, False or None"),
    ],
)
def test_what_no_trial_can_be_given_is_named(values, start: object, message: str) -> None:
    space = {"width": Dimension(values=values, meaning="")}
    (sentence,) = wrong_dimensions(space, {"width": start})
    assert re.search(message, sentence)


def test_all_that_is_wrong_with_a_space_is_told_at_once() -> None:
    bare = {"a.b": from_scratch()["dropout"], 3: None, "weights": RATE, "width": (1, 4)}
    found = [*wrong_dimensions(bare, dict.fromkeys(bare))]
    assert sum("name must be a text" in sentence for sentence in found) == 3
    assert "with a distribution of Optuna, but is a tuple" in found[-1]


def test_what_the_trainer_reads_of_a_space_is_there_and_such_as_it_knows() -> None:
    own = {
        "batch_size": Dimension(values=IntDistribution(0, 4), meaning=""),
        "optimizer": Dimension(values=CategoricalDistribution(("lion", "adam")), meaning=""),
        "normalization": Dimension(values=CategoricalDistribution(("own", "z")), meaning=""),
    }
    assert [*wrong_for_trainer(from_scratch())] == [*wrong_for_trainer(fine_tuning())] == []
    missing, chosen, named, number = wrong_for_trainer(own)
    assert missing.startswith("its trainer needs the dimensions learning_rate, weight_decay,")
    assert chosen == "optimizer must lie in adam, adamw, sgd, but is lion, adam"
    assert named == "normalization must lie in zero_one, imagenet, own, but is own, z"
    assert number == "batch_size must be whole numbers of at least 1, but is 0..4"
