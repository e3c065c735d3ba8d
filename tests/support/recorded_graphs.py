"""Stands in for CUDA's graphs on a CPU: what is captured is a list of operators on fixed tensors.

As on a GPU, a replay is told nothing: a number that the host gave, a tensor that is made anew
outside, or a generator that is another one by now stays what it was when the work was captured. A
read of a value is refused. What it cannot show is that CUDA captures every operator.
"""

import contextlib
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from trainables.training.generators import Generators


class Recording(TorchDispatchMode):
    """Keeps each operator with its arguments and what it gave."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        if func is torch.ops.aten._local_scalar_dense.default:
            message = "operation not permitted when stream is capturing"
            raise RuntimeError(message)
        given = kwargs or {}
        out = func(*args, **given)
        self.calls.append((func, args, given, out))
        return out


class Graph:
    """One captured piece of work."""

    def __init__(self, generators: Generators, tensors: Callable[[], Sequence[Tensor]]) -> None:
        self._trials, self._tensors = generators, tensors
        self._registered: list[torch.Generator] = []
        self._recording, self._capture = Recording(), contextlib.ExitStack()

    def register_generator_state(self, generator: torch.Generator) -> None:
        self._registered.append(generator)

    def capture_begin(self, *, pool: Any, capture_error_mode: str) -> None:
        assert (pool, capture_error_mode) == ("pool", "thread_local")
        assert self._registered == [self._trials.augmentation, self._trials.layers]
        kept = [(tensor, tensor.detach().clone()) for tensor in self._tensors()]
        drawn = self._registered[0].get_state(), torch.default_generator.get_state()
        self._capture.callback(self._undo, kept, drawn)  # the device does nothing in a capture
        self._capture.enter_context(self._recording)

    def capture_end(self) -> None:
        self._capture.close()

    @torch.no_grad()
    def replay(self) -> None:
        with self._trials.drawing():
            for func, args, given, out in self._recording.calls:
                for new, old in zip(
                    tree_leaves(func(*args, **given)), tree_leaves(out), strict=True
                ):
                    if isinstance(old, Tensor) and not same_memory(new, old):
                        old.detach().copy_(new)

    @torch.no_grad()
    def _undo(self, kept: Any, drawn: Any) -> None:
        for tensor, value in kept:
            tensor.copy_(value)
        self._registered[0].set_state(drawn[0])
        torch.default_generator.set_state(drawn[1])


def same_memory(one: Tensor, other: Tensor) -> bool:
    return one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()


class Event:
    """A moment; a second lies between any two."""

    def __init__(self, *, enable_timing: bool) -> None:
        assert enable_timing

    def record(self, stream: Any) -> None:
        pass

    def synchronize(self) -> None:
        """What was recorded before is over."""

    def elapsed_time(self, other: "Event") -> float:
        del other
        return 1000.0


def cuda_of(generators: Generators, tensors: Callable[[], Sequence[Tensor]]) -> SimpleNamespace:
    """What stands for `torch.cuda` to a trial; `graphs` has those that were captured."""
    stream = SimpleNamespace(wait_stream=lambda _: None, synchronize=lambda: None)
    graphs: list[Graph] = []

    def make() -> Graph:
        graphs.append(Graph(generators, tensors))
        return graphs[-1]

    return SimpleNamespace(
        CUDAGraph=make,
        Event=Event,
        Stream=lambda: stream,
        default_stream=lambda: None,
        empty_cache=lambda: None,
        graph_pool_handle=lambda: "pool",
        graphs=graphs,
        stream=contextlib.nullcontext,
    )
