"""Live progress: one row per family on a terminal, nothing elsewhere."""

import io

from made_up_trials import row_of, spec_of
from rich.console import Console

from orchestrator.run.progress import ProgressTable, shown
from orchestrator.trials.recorder import Recorder


def drawn(table: ProgressTable) -> str:
    console = Console(record=True, width=140, file=io.StringIO())
    console.print(table)
    return " ".join(console.export_text().split())


def test_a_row_counts_states_and_epochs_and_shows_the_best(recorder: Recorder) -> None:
    table = ProgressTable("Search", recorder, ["cnn"], trials=5, epochs=4)
    assert "unknown before the first epoch" in drawn(table)
    for number, (accuracy, status) in enumerate(
        [(0.5, "completed"), (0.75, "stopped"), (0.2, "diverged"), (0.3, None)]
    ):
        recorder.propose(spec_of(f"cnn-{number:03d}"))
        recorder.epoch(f"cnn-{number:03d}", row_of(1, accuracy))
        if status:
            recorder.end(f"cnn-{number:03d}", status)
    text = drawn(table)
    assert "│ cnn │ 75.0% │ 1 │ 1 │ 1 │ 1 │ 5 │ 4 │ 0 │" in text
    assert "time left: about" in text


def test_nothing_is_drawn_where_there_is_no_terminal(recorder: Recorder) -> None:
    file = io.StringIO()
    table = ProgressTable("Search", recorder, ["cnn"], trials=5, epochs=4)
    with shown(Console(file=file), table):
        pass
    assert file.getvalue() == ""
