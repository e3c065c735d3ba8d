"""A process after a trial: as it was before, as far as can be seen, with its memory given back."""

import functools
import os
import random
import warnings
import weakref
from types import ModuleType

import numpy as np
import pytest
import torch

from trainables import process_state

SOURCE = """
import functools
count, seen, by_name, names = 0, [1], {"a": 1}, {"x"}

@functools.cache
def doubled(number):
    seen.append(number)
    return 2 * number
"""


@pytest.fixture
def family() -> ModuleType:
    """A family's file, as it was imported."""
    module = ModuleType("a_family")
    exec(SOURCE, vars(module))
    return module


def test_names_and_containers_of_a_familys_file_are_put_back(family: ModuleType) -> None:
    before = {name: id(value) for name, value in vars(family).items()}
    with process_state.put_back([family]):
        family.count += 1
        family.added = True
        family.by_name["b"] = 2
        family.names.clear()
        family.seen.append(2)
        del family.doubled
    assert {name: id(value) for name, value in vars(family).items()} == before
    assert (family.count, family.seen, family.by_name, family.names) == (0, [1], {"a": 1}, {"x"})


def test_caches_of_a_familys_functions_are_emptied_and_those_of_others_are_not(
    family: ModuleType,
) -> None:
    family.others = functools.cache(abs)
    family.others(-1)
    with process_state.put_back([family]):
        family.doubled(3)
    assert family.doubled.cache_info().currsize == 0
    assert family.others.cache_info().currsize == 1


def test_environment_and_warnings_are_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEPT", "before")
    filters = list(warnings.filters)
    with process_state.put_back([]):
        os.environ.update(KEPT="after", ADDED="1")
        del os.environ["HOME"]
        warnings.simplefilter("ignore")
    assert (os.environ["KEPT"], "ADDED" in os.environ, "HOME" in os.environ) == (
        "before",
        False,
        True,
    )
    assert warnings.filters == filters


def test_a_warning_that_one_trial_had_the_next_one_has_too() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(2):
            with process_state.put_back([]):
                for _ in range(3):
                    warnings.warn("once", stacklevel=1)
            caught.append("the next one")
    assert [getattr(each, "lineno", each) for each in caught][1::2] == ["the next one"] * 2
    assert len(caught) == 4


def test_switches_of_pytorch_are_put_back() -> None:
    backends = torch.backends

    def now() -> list[object]:
        return [
            *(backends.cudnn.benchmark, backends.cudnn.deterministic),
            *(backends.cudnn.conv.fp32_precision, backends.cudnn.rnn.fp32_precision),
            *(backends.cudnn.allow_tf32, backends.cuda.matmul.allow_tf32),
            *(torch.get_float32_matmul_precision(), torch.get_default_dtype()),
            *(torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()),
            torch.is_grad_enabled(),
        ]

    for part in (backends.cudnn.conv, backends.cudnn.rnn):
        part.fp32_precision = "tf32"  # as PyTorch begins, whatever another test has set
    before = now()
    for precision in ("legacy", "new"):
        with process_state.put_back([]):
            backends.cudnn.benchmark = backends.cudnn.deterministic = True
            if precision == "new":
                backends.cuda.matmul.fp32_precision = backends.cudnn.conv.fp32_precision = "tf32"
            else:
                torch.set_float32_matmul_precision("medium")
                backends.cudnn.allow_tf32 = False
            torch.set_default_dtype(torch.float64)
            torch.use_deterministic_algorithms(mode=True)
            torch.set_num_threads(3)
            torch.set_grad_enabled(mode=False)
        assert now() == before, precision


def test_random_numbers_begin_as_in_a_new_process() -> None:
    def draw() -> tuple[float, float]:
        return random.random(), np.random.random()  # noqa: NPY002 (a family may)

    drawn = []
    for _ in range(2):
        with process_state.put_back([]):
            random.seed(1)
            np.random.seed(1)  # noqa: NPY002 (a family may)
            drawn.append(draw())
            torch.manual_seed(1)
        drawn.append(draw())
        assert torch.equal(torch.rand(3), torch.rand(3, generator=torch.Generator()))
    assert drawn[0] == drawn[2]
    assert len(set(drawn)) == 3  # nobody's seed goes on


def test_memory_of_a_trial_is_given_back_though_its_parts_name_each_other() -> None:
    model = torch.nn.Linear(1000, 1000)
    optimizer = torch.optim.Adam(model.parameters())
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)
    schedule.itself = schedule
    weight = weakref.ref(model.weight)
    with process_state.put_back([]):
        del model, optimizer, schedule
        assert weight() is not None
    assert weight() is None
