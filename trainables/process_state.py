"""What a trial may change of the process that it runs in, put back before the next trial does."""

import contextlib
import ctypes
import functools
import gc
import operator
import os
import random
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any, Final

import numpy as np

CONTAINERS: Final = (dict, list, set)
# PyTorch's switches: where each stands, and its name there.
SWITCHES: Final = (
    *(("backends.cudnn", name) for name in ("enabled", "benchmark", "deterministic")),
    ("backends", "fp32_precision"),
    *((f"backends.{name}", "fp32_precision") for name in ("cudnn", "cuda.matmul", "mkldnn")),
    *((f"backends.cudnn.{name}", "fp32_precision") for name in ("conv", "rnn")),
    *((f"backends.mkldnn.{name}", "fp32_precision") for name in ("matmul", "conv", "rnn")),
)
# The same that are read and set by functions.
SETTERS: Final = (
    ("get_default_dtype", "set_default_dtype"),
    ("get_deterministic_debug_mode", "set_deterministic_debug_mode"),
    ("get_num_threads", "set_num_threads"),
    ("is_grad_enabled", "set_grad_enabled"),
)


@contextlib.contextmanager
def put_back(modules: Iterable[ModuleType]) -> Iterator[None]:
    """Afterwards the process is as it was before, as far as can be seen.

    Put back are environment variables, the filters of warnings and which were shown, PyTorch's
    switches, the names of the modules and what their dictionaries, lists and sets hold; caches of
    their functions are emptied. Random numbers begin as in a new process, and memory is given back.

    Args:
        modules: Of the trial's family: what else it imports is taken to keep nothing of a trial.
    """
    with contextlib.ExitStack() as held:
        held.callback(_give_memory_back)
        held.callback(_begin_random_numbers)
        held.callback(_environment_as_now())
        for module in modules:
            held.callback(_names_as_now(module))
        if "torch" in sys.modules:
            held.callback(_switches_as_now(sys.modules["torch"]))
        held.enter_context(warnings.catch_warnings())
        _leave_out_what_is_imported()
        yield


@functools.cache
def _leave_out_what_is_imported() -> None:
    """Modules stay for ever: looking through them for circles of references takes 0.2 s a time."""
    gc.freeze()


def _environment_as_now() -> Callable[[], None]:
    before = dict(os.environ)

    def back() -> None:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)

    return back


def _names_as_now(module: ModuleType) -> Callable[[], None]:
    names = {name: value for name, value in vars(module).items() if not name.startswith("__")}
    contents = {n: value.copy() for n, value in names.items() if type(value) in CONTAINERS}

    def back() -> None:
        for name in [n for n in vars(module) if not n.startswith("__") and n not in names]:
            del vars(module)[name]
        vars(module).update(names)
        for name, before in contents.items():
            names[name].clear()
            (names[name].extend if type(before) is list else names[name].update)(before)
        for value in names.values():
            if getattr(value, "__module__", "") == module.__name__ and hasattr(
                value, "cache_clear"
            ):
                value.cache_clear()

    return back


def _switches_as_now(torch: Any) -> Callable[[], None]:
    places = [(operator.attrgetter(path)(torch), name) for path, name in SWITCHES]
    before = [getattr(place, name) for place, name in places]
    values = [getattr(torch, get)() for get, _ in SETTERS]

    def back() -> None:
        torch.set_float32_matmul_precision("highest")  # older names of the same, kept apart
        torch.backends.cudnn.allow_tf32 = True
        for (place, name), value in zip(places, before, strict=True):
            setattr(place, name, value)
        for (_, setter), value in zip(SETTERS, values, strict=True):
            getattr(torch, setter)(value)

    return back


def _begin_random_numbers() -> None:
    """Each library's own generator begins as it does in a new process."""
    random.seed()
    np.random.seed()  # noqa: NPY002 (a family may draw from it)
    torch: Any = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(torch.Generator().initial_seed())  # of all devices


def _give_memory_back() -> None:
    """Frees what only circles of references keep, and what PyTorch and the C library keep back."""
    gc.collect()
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if "torch._dynamo" in sys.modules:
        torch.compiler.reset()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # the GNU library has it
    if trim is not None:
        trim(0)
