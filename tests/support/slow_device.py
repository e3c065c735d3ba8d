"""Stands in for the streams of a GPU on a CPU: what is asked of one is done later, in its order.

Of two streams one is as far ahead of the other as events allow, so whatever no event holds back
happens too early, and whatever nobody waits for too late.
"""

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class Event:
    """Is over once its stream has come to it; one that was never recorded is."""

    def __init__(self, device: "SlowDevice") -> None:
        self._device, self.stream, self.over = device, None, True

    def record(self, stream: "Stream") -> None:
        self.stream, self.over = stream, False
        stream.ask(self._pass)

    def wait(self) -> None:
        self._device.main.wait_event(self)

    def synchronize(self) -> None:
        with self._device.lock:
            if not self.over:
                self.stream.run(until=self)

    def _pass(self) -> None:
        self.over = True


class Stream:
    """Does what it is asked in order: as soon as it may, or when somebody waits for it."""

    def __init__(self, device: "SlowDevice", *, ahead: bool) -> None:
        self._device, self._ahead = device, ahead
        self._asked = deque[Event | Callable[[], Any]]()

    def wait_event(self, event: Event) -> None:
        self.ask(event)

    def ask(self, what: Event | Callable[[], Any]) -> None:
        with self._device.lock:
            self._asked.append(what)
            if self._ahead:
                self.run()

    def run(self, until: Event | None = None) -> None:
        """As far as it comes by itself; or to an event, and what this waits for runs to there."""
        while self._asked and not (until and until.over):
            first = self._asked[0]
            if isinstance(first, Event):
                if until and not first.over:
                    first.stream.run(until=first)
                if not first.over:
                    return
            else:
                first()
            self._asked.popleft()


class Deferred(TorchDispatchMode):
    """Has a stream do what is asked of the device inside."""

    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self._stream = stream

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        assert func is torch.ops.aten.copy_.default
        self._stream.ask(lambda: func(*args, **(kwargs or {})))
        return args[0]


class SlowDevice:
    """What stands for `torch.cuda`; its main stream computes, the other copies."""

    def __init__(self, *, copies_first: bool) -> None:
        self.lock = threading.RLock()
        self.main = Stream(self, ahead=not copies_first)
        self._other = Stream(self, ahead=copies_first)

    def Event(self) -> Event:  # noqa: N802 (as in torch)
        return Event(self)

    def Stream(self) -> Stream:  # noqa: N802 (as in torch)
        return self._other

    def current_stream(self) -> Stream:
        return self.main

    @contextlib.contextmanager
    def stream(self, stream: Stream) -> Iterator[None]:
        with Deferred(stream):
            yield

    def finish(self) -> None:
        """Does all that was asked."""
        last = self.Event()
        last.record(self.main)
        last.synchronize()
