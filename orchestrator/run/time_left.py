"""Time that a running study still takes, one estimate for all that show it in the driver."""

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from orchestrator.forecast.remaining import TimeLeft

LEAST_SECONDS: Final = 5.0
REST_FACTOR: Final = 20


class Remaining:
    """Wall seconds to a study's end; forecast anew at most every 5 s, or 20 times what that takes.

    In between they are counted down.
    """

    def __init__(self, forecast: Callable[[], TimeLeft | None]) -> None:
        """Takes what forecasts from the rows as they are."""
        self._forecast = forecast
        self._last: TimeLeft | None = None
        self._ask_at = -math.inf

    def seconds(self) -> float | None:
        """Seconds left now; None where that is not known, or the end is overdue."""
        started = time.monotonic()
        if started >= self._ask_at:
            self._last = self._forecast()
            spent = time.monotonic() - started
            self._ask_at = started + max(LEAST_SECONDS, REST_FACTOR * spent)
        now = datetime.fromtimestamp(time.time(), UTC)
        return None if self._last is None else self._last.on(now)
