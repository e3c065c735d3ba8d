"""How a step is issued: operator by operator, or captured once and replayed as a CUDA graph."""

import contextlib
import functools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol

import torch
from torch import Tensor

from trainables.training.generators import Generators
from trainables.trial_error import described

WARM_UPS: Final = 2
"""Times that work is done before it is captured, and undone: libraries set themselves up in it."""

Work = Callable[[], None]


class Issuer(Protocol):
    """Has the device do a piece of work that reads nothing back and takes nothing."""

    def __call__(self, name: str, work: Work) -> None:
        """Issues work; one name stands for the same work each time."""

    def issuing(self) -> contextlib.AbstractContextManager[None]:
        """Where all that a trial asks of its device is issued, in order."""

    def wait_for_device(self) -> None:
        """Waits for what was issued before the last time this was called, if that is still on."""

    def mark(self) -> Any:
        """A moment in that order, for `seconds`."""

    def seconds(self, first: Any, last: Any) -> float:
        """Between two moments that are over."""

    def take_note(self) -> str:
        """Why the device no longer replays, reported once; empty otherwise."""


class Eager:
    """Issues each operator as Python comes to it."""

    def __init__(self, generators: Generators) -> None:
        """Takes the trial's random numbers."""
        self._generators = generators

    def __call__(self, name: str, work: Work) -> None:
        """See `Issuer`."""
        del name
        with self._generators.drawing():
            work()

    def issuing(self) -> contextlib.AbstractContextManager[None]:
        """See `Issuer`."""
        return contextlib.nullcontext()

    def wait_for_device(self) -> None:
        """See `Issuer`: nothing is on once it is issued."""

    def mark(self) -> float:
        """See `Issuer`."""
        return time.monotonic()

    def seconds(self, first: float, last: float) -> float:
        """See `Issuer`."""
        return last - first

    def take_note(self) -> str:
        """See `Issuer`."""
        return ""


class Graphs:
    """Captures work when it is first issued, and replays it from then on.

    A replay runs the same kernels on the same memory, so it gives the same numbers, for one launch
    in place of hundreds. Work that cannot be captured is issued eagerly, with the same numbers too.
    """

    def __init__(
        self,
        generators: Generators,
        tensors: Callable[[], Sequence[Tensor]],
        *,
        cuda: Any = torch.cuda,
    ) -> None:
        """Takes what a piece of work changes.

        Args:
            generators: The trial's random numbers.
            tensors: All tensors that outlive a step; they keep their place in memory.
            cuda: For tests: what stands for `torch.cuda`.
        """
        self._generators, self._tensors, self._cuda = generators, tensors, cuda
        self._stream = _stream(cuda.Stream)
        self._pool = cuda.graph_pool_handle()  # one, since the graphs of a trial never run at once
        self._graphs: dict[str, Any] = {}
        self._issued = self.mark()
        self._eager, self._falls_back, self._note = Eager(generators), False, ""

    def __call__(self, name: str, work: Work) -> None:
        """See `Issuer`.

        Raises:
            Exception: What the work raises by itself, or for want of memory when it is captured.
        """
        if name not in self._graphs and not self._falls_back:
            self._capture(name, work)
        if self._falls_back:
            self._eager(name, work)
        else:
            self._graphs[name].replay()

    @contextlib.contextmanager
    def issuing(self) -> Iterator[None]:
        """See `Issuer`: a stream of its own, after what was asked of the default one."""
        self._stream.wait_stream(self._cuda.default_stream())
        with self._cuda.stream(self._stream):
            yield

    def wait_for_device(self) -> None:
        """See `Issuer`."""
        before, self._issued = self._issued, self.mark()
        before.synchronize()

    def mark(self) -> Any:
        """See `Issuer`."""
        event = self._cuda.Event(enable_timing=True)
        event.record(self._stream)
        return event

    def seconds(self, first: Any, last: Any) -> float:
        """See `Issuer`."""
        return float(first.elapsed_time(last)) / 1000

    def take_note(self) -> str:
        """See `Issuer`."""
        note, self._note = self._note, ""
        return note

    def _capture(self, name: str, work: Work) -> None:
        """Captures work as it would go on from here, and leaves all as it is here."""
        values = [(tensor, tensor.detach().clone()) for tensor in self._tensors()]
        states = self._generators.states()
        for _ in range(WARM_UPS):
            self._eager(name, work)
            with torch.no_grad():
                for tensor, value in values:
                    tensor.copy_(value)
            self._generators.restore(states)
        del values
        self._stream.synchronize()
        self._cuda.empty_cache()  # or what the warm-ups took would be held beside the graph's own
        try:
            self._graphs[name] = self._captured(work)
        except Exception as error:
            why = described(error)
            if why.kind != "error":  # of memory: another attempt with more of it is the remedy
                raise
            self._falls_back, self._note = True, f"{name}: {why.message}"
            self._graphs.clear()
            self._generators.renew(states)

    def _captured(self, work: Work) -> Any:
        graph = self._cuda.CUDAGraph()
        graph.register_generator_state(self._generators.augmentation)
        graph.register_generator_state(self._generators.layers)
        with self._generators.drawing():
            # Other threads may use the device meanwhile: none of them touches what is captured.
            graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
            try:
                work()
            except BaseException:
                with contextlib.suppress(RuntimeError):  # that it is broken is known
                    graph.capture_end()
                raise
            graph.capture_end()
        return graph


@functools.cache
def _stream(make: Callable[[], Any]) -> Any:
    """The stream on which this process captures and replays.

    One for its life, whatever trials it trains one after the other: cuBLAS keeps a workspace per
    stream, PyTorch hands out 32 streams in turn, and graphs that share one never run at once.
    """
    return make()
