"""How long the earlier runs of a study took, by what `study.json` and its rows tell."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

Row = Mapping[str, Any]


def earlier_seconds(runs: Sequence[Row], seen: Iterable[datetime]) -> float:
    """Wall seconds of the runs of a study before its last.

    Args:
        runs: Of `study.json`, the present one last.
        seen: When epochs were reported; a run that was killed counts up to its last one.
    """
    moments, total = sorted(seen), 0.0
    for run, following in pairwise(runs):
        start, limit = (datetime.fromisoformat(each["started_at"]) for each in (run, following))
        reported = [moment for moment in moments if start <= moment <= limit]
        ended = run.get("ended_at")
        end = datetime.fromisoformat(ended) if ended else max(reported, default=start)
        total += max(0.0, (end - start).total_seconds())
    return total
