"""What must be true of a study's finals: rows, curves and kept winners are those of the choice."""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from orchestrator.analysis.section import grouped
from orchestrator.config.final_epochs import final_epochs
from orchestrator.config.searches import search_for
from orchestrator.results import schema
from orchestrator.results.final_runs import Key, final_id, key_of
from orchestrator.results.going_on import advice_for_weights
from orchestrator.results.kept_weights import CONFIG, MODEL, seed_folders, winner_folder
from orchestrator.results.rows import FinalEpochRow, FinalRow, tested
from orchestrator.results.states import Outcome
from orchestrator.trials.trial import FAILURES
from orchestrator.verify.search import parameter_columns, wrong_objective
from orchestrator.verify.tables import Tables, contiguous, differing, repeated, unmatched
from trainables.epoch_rows import best_row, objective
from trainables.trainers import SIZES
from trainables.weights.loading import file_sha256

# A final that is not in `final.parquet` must have one of these events.
EXCUSES: Final = frozenset({*FAILURES, "final_diverged"})
TEST_METRICS: Final = (
    *(f"test_{metric}" for metric in schema.METRICS),
    *("test_precision_micro_at_half", "test_recall_micro_at_half"),
)
OF_BEST: Final = ("epoch", "validation_loss", "validation_accuracy")
CARD: Final = ("family", "trial_id", "seed", "epoch", "train_images")


def check_final_runs(tables: Tables) -> Iterator[str]:
    """Each family's baseline and winner has a row for each seed and fraction, and no other has."""
    expected, found = _expected(tables), [key_of(row) for row in tables.final]
    yield from repeated(map(name_of, found), "be one row of final.parquet")
    excused = {row["trial_id"] for row in tables.events if row["kind"] in EXCUSES}
    if tables.study.outcome == Outcome.COMPLETED:
        excused = set()
    wanted = [k for k, final in expected.items() if k in found or final["trial_id"] not in excused]
    why = ": the choice does not ask for it"
    yield from unmatched(wanted, found, "final.parquet", why, name_of)
    for row in tables.final:
        yield from differing(name_of(key_of(row)), expected.get(key_of(row), {}), row)


def check_final_epochs(tables: Tables) -> Iterator[str]:
    """A final run's epochs are contiguous, and its row names the best of them."""
    yield from contiguous("final_epochs.parquet", tables.final_epochs)
    sequences = (f"sequence {row['sequence']}" for row in tables.final_epochs)
    yield from repeated(sequences, "be in final_epochs.parquet once", " times")
    curves = {trial_id: rows for (trial_id,), rows in grouped(tables.final_epochs, "trial_id")}
    asked = {known["trial_id"] for known in _expected(tables).values()}
    if tables.study.choice is None:  # idle slots of the search re-train baselines
        asked = {name for name, (row, *_) in curves.items() if row["role"] == "baseline"}
    for trial_id in sorted(curves.keys() - asked):
        yield f"{trial_id} has final epochs, but the choice does not ask for it"
    for epoch in tables.final_epochs:
        where = f"epoch {epoch['epoch']} of {epoch['trial_id']} in final_epochs.parquet"
        yield from differing(where, {"trial_id": final_id(*key_of(epoch))}, epoch)
        yield from wrong_objective(where, epoch, tables)
    for row in tables.final:
        yield from _check_curve(name_of(key_of(row)), row, curves.get(row["trial_id"], []), tables)


def check_final_params(tables: Tables) -> Iterator[str]:
    """Finals were trained with the hyperparameters of the baseline or of the choice."""
    for row in tables.final:
        family, name = row["family"], name_of(key_of(row))
        expected = tables.study.baselines.get(family)
        if row["role"] == "tuned":
            search = search_for(tables.study.searches, family, row["train_fraction"])
            expected = tables.choice[search.name].params if search.name in tables.choice else None
        found = json.loads(row["params_json"])
        if found != expected:
            yield f"{name} must be trained with {expected}, but was with {found}"
        yield from parameter_columns(name, row)


def check_model_sizes(tables: Tables) -> Iterator[str]:
    """Networks of the same hyperparameters have the same size, as far as it is known."""
    for (family, _, device), rows in grouped(tables.final, "family", "params_json", "device"):
        for column in SIZES:
            found = Counter(row.get(column) for row in rows)
            del found[None]
            if len(found) > 1:
                named = ", ".join(f"{size} in {count}" for size, count in found.most_common())
                yield f"{column} of {family} on {device} must be one number, but is {named} runs"
    for row in tables.final:
        trained, every = row.get("trained_parameters"), row.get("parameters")
        if trained is not None and every is not None and trained > every:
            yield (
                f"trained_parameters of {name_of(key_of(row))} must be at most {every}, as many as "
                f"it has, but are {trained}"
            )


def check_one_training(tables: Tables) -> Iterator[str]:
    """Where the winner is the baseline, both rows are of one training and are alike."""
    for _, (first, *others) in grouped(tables.final, "trial_id"):
        for row in others:
            expected = {**first, "role": row["role"]}
            why = f" as {name_of(key_of(first))}, the same training"
            yield from differing(name_of(key_of(row)), expected, row, why)


def check_winners(tables: Tables) -> Iterator[str]:
    """The weights that are kept are of the tuned run that is best on validation, and of its seeds.

    Those of the other seeds may be none: an earlier version kept none, and `clean` removes them.
    """
    tuned = [row for row in tables.final if row["role"] == "tuned"]
    for family in sorted({row["family"] for row in tuned}):
        own = [row for row in tuned if row["family"] == family]
        largest = max(row["train_fraction"] for row in own)
        best, *others = sorted(
            (row for row in own if row["train_fraction"] == largest),
            key=lambda r: (-objective(r), r["validation_loss"], r["seed"]),
        )
        kept = winner_folder(tables.folder, family)
        yield from _check_kept(f"winner of {family}", kept, best, tables)
        for path in sorted(seed_folders(tables.folder, family).glob("[!.]*")):
            row = next((row for row in others if path.name == str(row["seed"])), None)
            if row is None:
                yield f"winners/{family}/seeds/{path.name} must be of a seed beside the best"
            else:
                what = f"winner of {family} with seed {path.name}"
                yield from _check_kept(what, path, row, tables)


def name_of(key: Key) -> str:
    """A final run in words."""
    family, role, seed, fraction = key
    return f"{family} {role} seed {seed} fraction {fraction:g}"


def _expected(tables: Tables) -> dict[Key, dict[str, Any]]:
    """The final runs that the choice asks for, and what is known of each."""
    dataset, searches = tables.study.dataset, tables.study.searches
    return {
        (family, role, seed, fraction): {
            "trial_id": final_id(family, trained, seed, fraction),
            "train_images": dataset.train_images_at[fraction],
            "validation_images": dataset.validation_images,
            "last_epoch": final_epochs(tables.settings, fraction),
        }
        for fraction in tables.settings.train_fractions
        for family in tables.settings.families
        for chosen in [tables.choice.get(search_for(searches, family, fraction).name)]
        if chosen is not None
        for role in schema.ROLES
        for trained in ("baseline" if chosen.baseline_won else role,)
        for seed in range(tables.settings.seeds)
    }


def _check_curve(
    name: str, row: Mapping[str, Any], rows: Sequence[FinalEpochRow], tables: Tables
) -> Iterator[str]:
    epochs = final_epochs(tables.settings, row["train_fraction"])
    if len(rows) != epochs:
        yield f"{name} must have {epochs} epochs, but has {len(rows)}"
        return
    best = best_row(rows)
    expected = {**{column: best[column] for column in OF_BEST}, "objective": objective(best)}
    found = {**row, "objective": objective(row)}
    yield from differing(name, expected, found, " as in its epochs")
    if row["epoch"] == row["last_epoch"]:
        same = {f"{metric}_last_epoch": row[metric] for metric in TEST_METRICS}
        yield from differing(name, same, row, " as at the best epoch, which is the last")
    seconds = sum(epoch["epoch_seconds"] for epoch in rows)
    if not math.isclose(row["train_seconds"], seconds, rel_tol=1e-9, abs_tol=1e-9):
        yield f"train_seconds of {name} must be {seconds}, but is {row['train_seconds']}"


def _check_kept(what: str, folder: Path, run: FinalRow, tables: Tables) -> Iterator[str]:
    for name in (CONFIG, MODEL):
        if not (folder / name).is_file():
            advice = advice_for_weights(tables.folder.resolve())
            yield f"the {what} must be kept with its {name}, but that is missing; {advice}"
            return
    known: Mapping[str, Any] = run
    try:
        card = dict(json.loads((folder / CONFIG).read_text(encoding="utf-8")))
    except (ValueError, TypeError, RecursionError) as error:
        path = (folder / CONFIG).relative_to(tables.folder)
        yield f"{path} must be as a study writes it, but is not: {error}"
        return
    expected = {
        **{name: known[name] for name in CARD},
        **tested(run),
        "params": json.loads(run["params_json"]),
        "classes": tables.study.dataset.classes,
    }
    yield from differing(f"the kept {what}", expected, card)
    sha256, recorded = file_sha256(folder / MODEL), card.get("weights_sha256")
    if recorded != sha256:
        yield f"the kept weights of the {what} must have SHA-256 {recorded}, but have {sha256}"
