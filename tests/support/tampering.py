"""What a test may do to the folder of a finished study, and the sentence that must name it."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from made_up_rows import that_may_be_empty

from orchestrator.results import files
from orchestrator.results import schema as results
from orchestrator.verify.runner import Verdict, verify

Names = Mapping[str, Any]
Damage = Callable[[Path, Names], None]
Row = dict[str, Any]


@dataclass(frozen=True)
class Inconsistency:
    """One thing that is wrong.

    Attributes:
        what: In words.
        damage: Puts it into a folder.
        sentence: What verify must say of it, with `{names}` of the study; see `names_of`.
        alone: It hides others, so that it cannot be tested together with them.
    """

    what: str
    damage: Damage
    sentence: str
    alone: bool = False

    def must_be_found(self, study: Path, at: Path) -> None:
        """Damages a copy of a study and verifies it."""
        folder, names = at / study.name, names_of(study)
        shutil.copytree(study, folder)
        self.damage(folder, names)
        self.must_be_named(verify(folder, sources=False), names)

    def must_be_named(self, verdict: Verdict, names: Names) -> None:
        """Looks for the sentence."""
        sentence = self.sentence.format(**names)
        sentences = [problem.sentence for problem in verdict.problems]
        assert any(found.startswith(sentence) for found in sentences), (sentence, sentences)


def names_of(folder: Path) -> dict[str, Any]:
    """What the sentences speak of in a sound study, and the values that they must give."""
    study = files.read_study(folder).raw
    trials, rungs, final, final_epochs = (
        files.read_any_table(folder, name).to_pylist()
        for name in ("trials", "rungs", "final", "final_epochs")
    )
    of_status = {row["status"]: row["trial_id"] for row in trials}
    stop = next(row for row in rungs if row["decision"] == "stop")
    choice = study["choice"]["curve"]
    return {
        **of_status,
        "stopped_at": stop["trial_id"],
        "cutoff": stop["cutoff"],
        "winner": choice["trial_id"],
        "best": choice["validation_accuracy"],
        "last_final": max(row["sequence"] for row in final_epochs),
        "test_accuracy": final[0]["test_accuracy"],
        "frozen": study["choice_sha256"],
        "study": study["name"],
    }


def rewrite(folder: Path, table: str, change: Callable[[list[Row]], list[Row]]) -> None:
    """Rewrites a table with other rows, and the same metadata; any column may be empty."""
    old = files.read_any_table(folder, table)
    new = results.to_table(change(old.to_pylist()), that_may_be_empty(old.schema))
    pq.write_table(new.replace_schema_metadata(old.schema.metadata), folder / f"{table}.parquet")


def _matches(row: Row, names: Names, where: Names) -> bool:
    filled = {
        column: value.format(**names) if isinstance(value, str) else value
        for column, value in where.items()
    }
    return all(
        row[column] == value or str(row[column]) == value for column, value in filled.items()
    )


def alter(table: str, where: Names, **columns: Any) -> Damage:
    """Changes the rows that match; a function is called with the old value."""

    def damage(folder: Path, names: Names) -> None:
        def change(rows: list[Row]) -> list[Row]:
            matching = [row for row in rows if _matches(row, names, where)]
            assert matching, (table, where)
            for row in matching:
                for column, value in columns.items():
                    row[column] = value(row[column]) if callable(value) else value
            return rows

        rewrite(folder, table, change)

    return damage


def drop(table: str, **where: Any) -> Damage:
    """Removes the rows that match."""

    def damage(folder: Path, names: Names) -> None:
        def change(rows: list[Row]) -> list[Row]:
            left = [row for row in rows if not _matches(row, names, where)]
            assert len(left) < len(rows), (table, where)
            return left

        rewrite(folder, table, change)

    return damage


def again(table: str, where: Names, **columns: Any) -> Damage:
    """Adds the rows that match once more, with other columns where they are given."""

    def damage(folder: Path, names: Names) -> None:
        def change(rows: list[Row]) -> list[Row]:
            more = [{**row, **columns} for row in rows if _matches(row, names, where)]
            assert more, (table, where)
            return [*rows, *more]

        rewrite(folder, table, change)

    return damage


def stamped(table: str, **stamps: str) -> Damage:
    """Gives a table the stamps of another study."""

    def damage(folder: Path, _: Names) -> None:
        old = files.read_any_table(folder, table)
        metadata = {key.decode(): value.decode() for key, value in old.schema.metadata.items()}
        files.write_table(folder, table, old, {**metadata, **stamps})

    return damage


def without(table: str, column: str) -> Damage:
    """Removes a column."""

    def damage(folder: Path, _: Names) -> None:
        old = files.read_any_table(folder, table)
        pq.write_table(old.drop_columns([column]), folder / f"{table}.parquet")

    return damage


def retyped(table: str, column: str) -> Damage:
    """Makes a column text."""

    def damage(folder: Path, _: Names) -> None:
        old = files.read_any_table(folder, table)
        text = old.set_column(old.column_names.index(column), column, old[column].cast("string"))
        pq.write_table(text, folder / f"{table}.parquet")

    return damage


def noted(change: Callable[[dict[str, Any], Names], None], file: str = "study.json") -> Damage:
    """Changes `study.json`, or another JSON file."""

    def damage(folder: Path, names: Names) -> None:
        content = json.loads((folder / file).read_text())
        change(content, names)
        (folder / file).write_text(json.dumps(content))

    return damage


def entry(*path: str, value: Any, file: str = "study.json") -> Damage:
    """Sets an entry of `study.json`, or of another JSON file."""

    def change(content: dict[str, Any], names: Names) -> None:
        for name in path[:-1]:
            content = content[name]
        content[path[-1]] = value.format(**names) if isinstance(value, str) else value

    return noted(change, file)


def file(name: str, content: bytes) -> Damage:
    """Writes a file, or appends to one that is there."""

    def damage(folder: Path, _: Names) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with (folder / name).open("ab") as opened:
            opened.write(content)

    return damage


def truncated(name: str) -> Damage:
    """Leaves half of a file."""

    def damage(folder: Path, _: Names) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])

    return damage


def gone(name: str) -> Damage:
    """Removes a file or a folder."""

    def damage(folder: Path, _: Names) -> None:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return damage
