"""Each family's winner in the Hugging Face layout: its weights, its configuration and its card."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from orchestrator.export.model_card import render
from orchestrator.results import files
from orchestrator.results.going_on import advice_for_weights
from orchestrator.results.kept_weights import CONFIG, MODEL, seed_folder, winner_folder
from orchestrator.results.rows import ComparisonRow, FinalRow, tested
from orchestrator.results.study_record import WORDS, Choice, StudyRecord
from orchestrator.results.study_results import StudyResults
from trainables import registry
from trainables.data.dataset import DataSet
from trainables.family import Family
from trainables.training.normalization import NORMALIZATIONS, PLAIN_INPUT

CARD: Final = "README.md"
# What a kept winner and its row in `final.parquet` both say.
SAID_TWICE: Final = ("family", "trial_id", "seed", "epoch", "train_images")
# Faults of a damaged file that are told.
MOST_SAID: Final = 3
# What of `study.json` a card is written from.
NEEDED: Final = ("demo", "environment", "git_commit", "code_sha256", "weights")


class _Record(BaseModel):
    family: str
    trial_id: str
    seed: int
    epoch: int
    train_images: int
    params: dict[str, bool | int | float | str | None]
    weights_sha256: str
    classes: list[str]


@dataclass(frozen=True, kw_only=True)
class Winner:
    """A winner that a study has kept, trained with one seed.

    Attributes:
        weights: Of `model.safetensors`, as they are.
        stamp: The metadata of `final.parquet`: hashes of data, split and weights.
        config: The content of the exported `config.json`.
        final: Its row in `final.parquet`.
        seeds: The rows of the same model at all seeds.
        comparisons: The rows of `comparison.parquet`, empty where there is none.
    """

    study: StudyRecord
    family: Family
    dataset: DataSet
    weights: bytes
    stamp: Mapping[str, str]
    config: Mapping[str, Any]
    final: FinalRow
    seeds: Sequence[FinalRow]
    comparisons: Sequence[ComparisonRow]

    @property
    def chosen(self) -> Choice:
        """What the search chose."""
        assert self.study.choice is not None
        return self.study.choice[self.family.name]

    def files(self, folder: Path) -> list[Path]:
        """The files of its export below a folder."""
        return [folder / self.family.name / name for name in (MODEL, CONFIG, CARD)]

    def write(self, folder: Path) -> None:
        """Writes its export below a folder, each file whole, the card last."""
        model, config, card = self.files(folder)
        model.parent.mkdir(parents=True, exist_ok=True)
        with files.whole(model) as temporary:
            temporary.write_bytes(self.weights)
        files.write_text(config, json.dumps(self.config, indent=2) + "\n")
        files.write_text(card, render(self))


def read_winners(folder: Path, study: StudyRecord) -> tuple[list[Winner], list[str]]:
    """The winners of a study, and a sentence for each family that has none.

    Raises:
        ValueError: A winner's weights are not those that were kept, or its family is not here.
    """
    study.check_said(folder / "study.json", [*NEEDED, "dataset.image_shape"])
    winners, missing, results = [], [], StudyResults(folder)
    for family in study.settings.families:
        winner = _winner_or_why_none(results, study, family)
        if isinstance(winner, Winner):
            winners.append(winner)
        else:
            missing.append(f"{family}: {winner}")
    return winners, missing


def _winner_or_why_none(results: StudyResults, study: StudyRecord, family: str) -> Winner | str:
    if study.choice is None:
        return "no winner yet, the search has not ended"
    if family not in study.choice:
        return "no winner, for none of its trials came to an end"
    chosen, kept = study.choice[family], winner_folder(results.folder, family)
    record = _record(kept)
    own = [row for row in results.rows("final") if row["family"] == family]
    tuned = [row for row in own if row["role"] == "tuned"]
    if record is None:
        return _why_no_weights(results.folder, kept, chosen, tested=bool(tuned))
    if not tuned:
        return f"no row of its winner {chosen.trial_id} in final.parquet, by which it is known"
    row = next((row for row in tuned if _is_of(record, row)), None)
    if record.params != chosen.params or row is None:
        return f"no weights of its winner {chosen.trial_id}; those kept are of an earlier choice"
    return _read_winner(results, study, kept, record, row)


def _why_no_weights(folder: Path, kept: Path, chosen: Choice, *, tested: bool) -> str:
    what = f"no weights of its winner {chosen.trial_id}"
    if not tested:
        return f"{what}, which was not re-trained to the end"
    gone = " and ".join(name for name in (MODEL, CONFIG) if not (kept / name).is_file())
    return f"{what} any more, since {kept} lacks {gone}; {advice_for_weights(folder.resolve())}"


def read_ensemble(folder: Path, winner: Winner) -> list[Winner]:
    """A winner from `read_winners` as each of its seeds trained it, by seed.

    Raises:
        ValueError: It has one seed, the weights of some of its seeds are not kept, or are not those
            that were.
    """
    family, seeds, missing = winner.family.name, [], []
    if len(winner.seeds) == 1:
        raise ValueError(
            f"an ensemble must be of 2 seeds or more, but {family} was re-trained with 1; the "
            "study goes on with more: --resume NAME --seeds N"
        )
    results = StudyResults(folder)
    for row in sorted(winner.seeds, key=lambda row: row["seed"]):
        kept = seed_folder(folder, family, row["seed"])
        if row["trial_id"] == winner.final["trial_id"]:
            seeds.append(winner)
        elif (record := _record(kept)) and _is_of(record, row):
            seeds.append(_read_winner(results, winner.study, kept, record, row))
        else:
            missing.append(str(row["seed"]))
    if missing:
        raise ValueError(
            f"an ensemble must have the weights of all {len(winner.seeds)} seeds of {family}, but "
            f"{folder} has none of seed {' and '.join(missing)} (a study keeps them at its end; an "
            "earlier version kept the best seed's alone, and clean --ensemble removes the others); "
            "leave it at the best seed, or move predictions.parquet out of the folder and resume "
            "the study: then it trains its finals again"
        )
    return seeds


def _is_of(record: _Record, row: FinalRow) -> bool:
    """Whether what is kept is of a row of `final.parquet`."""
    return record.trial_id == row["trial_id"] and record.params == json.loads(row["params_json"])


def _record(kept: Path) -> _Record | None:
    """What was kept of a winner beside its weights; None without either, an error if damaged."""
    path = kept / CONFIG
    if not (path.is_file() and (kept / MODEL).is_file()):
        return None
    try:
        return _Record.model_validate(json.loads(path.read_text(encoding="utf-8")), strict=True)
    except ValidationError as error:
        wrong = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        first = "; ".join(islice(wrong, MOST_SAID))
        raise ValueError(f"{path} must be as a study writes it, but is not: {first}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} must be as a study writes it, but is not: {error}") from error


def _read_winner(
    results: StudyResults, study: StudyRecord, kept: Path, record: _Record, row: FinalRow
) -> Winner:
    """What is kept in a folder of a winner; a `ValueError` where other weights are there.

    So is what is said of them otherwise than by the study, which of an earlier version may not name
    the classes.
    """
    known: Mapping[str, Any] = row
    said = {name: known[name] for name in SAID_TWICE}
    said["classes"] = study.dataset.classes or record.classes
    for name, value in said.items():
        if (other := getattr(record, name)) != value:
            raise ValueError(
                f"{kept / CONFIG} must have the {name} that the study has, {value!r:.{WORDS}}, "
                f"but has {other!r:.{WORDS}}"
            )
    weights = (kept / MODEL).read_bytes()
    found = hashlib.sha256(weights).hexdigest()
    if found != record.weights_sha256:
        raise ValueError(
            f"{kept / MODEL} must have SHA-256 {record.weights_sha256} as recorded, but has {found}"
        )
    return Winner(
        study=study,
        family=registry.load_family(row["family"]),
        dataset=registry.load_dataset(study.settings.dataset),
        weights=weights,
        stamp=_stamp(results),
        config=configuration(study, record.model_dump(), row),
        final=row,
        seeds=[other for other in results.rows("final") if _model_of(other) == _model_of(row)],
        comparisons=results.rows("comparison"),
    )


def _model_of(row: FinalRow) -> tuple[str, str, float]:
    return row["family"], row["role"], row["train_fraction"]


def _stamp(results: StudyResults) -> dict[str, str]:
    """The hashes that `final.parquet` is stamped with; a `ValueError` where it has none."""
    stamp = {
        key.decode(errors="replace"): value.decode(errors="replace")
        for key, value in (results.table("final").schema.metadata or {}).items()
    }
    missing = {"data_sha256", "split_sha256", "weights_sha256"} - stamp.keys()
    if missing:
        raise ValueError(
            f"{results.folder / 'final.parquet'} must be stamped with {', '.join(sorted(missing))}"
        )
    return stamp


def configuration(study: StudyRecord, record: Mapping[str, Any], row: FinalRow) -> dict[str, Any]:
    """The content of the exported `config.json`: all that the network and its input are made of."""
    shape, classes = study.dataset.image_shape, record["classes"]
    given = {**PLAIN_INPUT, **record["params"]}
    mean, deviation = NORMALIZATIONS[given["normalization"]]
    return {
        "architecture": record["family"],
        "params": record["params"],
        "fixed": dict(registry.load_family(record["family"]).fixed),
        "num_classes": len(classes),
        "classes": classes,
        "image_shape": shape,
        "input_size": given["input_size"] or shape[0],
        "normalization": {
            "name": given["normalization"],
            "mean": mean,
            "standard_deviation": deviation,
        },
        "parameters": row["parameters"],
        "trained_parameters": row.get("trained_parameters"),
        "forward_flops_per_image": row.get("forward_flops_per_image"),
        "study": study.name,
        **{
            name: record[name]
            for name in ("trial_id", "seed", "epoch", "train_images", "weights_sha256")
        },
        **tested(row),
    }
