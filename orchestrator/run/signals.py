"""Signals: the first Ctrl-C, SIGTERM, SIGHUP or SIGUSR1 ends in order, a second may at once."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Final

from orchestrator.cli import INTERRUPTED
from orchestrator.terminal import show_cursor

SHELL: Final = 128
STDERR: Final = 2


class Interruption:
    """Notes the signals that ask a study to end, and passes the first on to where it is handled.

    Attributes:
        last_words: What is said where a second one ends the study at once.
    """

    def __init__(self) -> None:
        """Nothing was received yet."""
        self.last_words = "Ended at once, before the study began."
        self._received: list[int] = []
        self._tuning = False
        self._tunes: Callable[[int, FrameType | None], Any] = self._interrupt

    def __reduce__(self) -> tuple[type[object], tuple[()]]:
        return object, ()  # Tune pickles its callbacks, and nothing reads that back

    def __bool__(self) -> bool:
        return bool(self._received)

    @property
    def exit_code(self) -> int:
        """As shells have it: 128 and the number of the signal that came first."""
        return SHELL + self._received[0] if self._received else INTERRUPTED

    @contextlib.contextmanager
    def listening(self) -> Iterator["Interruption"]:
        """Handles the signals inside; what the shell or nohup has ignored stays ignored."""
        # Batch systems send SIGUSR1 before their time limit.
        asked = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
        numbers = [n for n in asked if signal.getsignal(n) is not signal.SIG_IGN]
        earlier = {number: signal.signal(number, self._handle) for number in numbers}
        try:
            yield self
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def tuning(self) -> Iterator[None]:
        """Inside, Tune runs trials: SIGUSR1 asks it to end, which it handles between steps."""
        os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"
        # Until Tune has set its own handler.
        earlier = signal.signal(signal.SIGUSR1, self._interrupt)
        self._tuning = True
        try:
            yield
        finally:
            self._tuning = False
            signal.signal(signal.SIGUSR1, earlier)

    def listen_to_tunes(self) -> None:
        """Has SIGUSR1 from elsewhere noted before Tune handles it, whose handler is set by now."""
        handler = signal.getsignal(signal.SIGUSR1)
        if callable(handler) and handler != self._pass_on:
            self._tunes = handler
            signal.signal(signal.SIGUSR1, self._pass_on)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        if not self._received:
            self._received.append(number)
        self._tunes(number, frame)

    def _interrupt(self, number: int, _frame: FrameType | None) -> None:
        if not self._received:
            self._received.append(number)
        raise KeyboardInterrupt

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self._received.append(number)
        if len(self._received) > 1:
            # A closed terminal and its shell both send one; batch systems may to each process.
            if number in {signal.SIGHUP, signal.SIGUSR1}:
                return
            show_cursor()
            with contextlib.suppress(OSError):
                # Without a buffer: printing may be what was interrupted.
                os.write(STDERR, f"{self.last_words}\n".encode())
            os._exit(self.exit_code)
        if self._tuning:
            os.kill(os.getpid(), signal.SIGUSR1)
        else:
            raise KeyboardInterrupt
