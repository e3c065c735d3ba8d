"""What the comparison says: its sections, sentences and flags, the same in every form."""

from collections.abc import Iterator, Sequence

from orchestrator.analysis.section import (
    MISSING,
    Row,
    Section,
    count,
    grouped,
    model_name,
    spread,
    total,
)
from orchestrator.config.searches import deciding, search_of, stored_searches
from orchestrator.results.schema import ROLES

FINISHED = ("completed", "stopped")
METRICS = ("loss", "accuracy", "precision", "recall")
MAIN_COLUMNS = ("test loss", "test accuracy", "macro precision", "macro recall")
REFERENCE_DATASET = "cifar10"
REFERENCE = {
    "cnn": ("50", "1.58", "70%", "0.71", "0.69"),
    "resnet50_scratch": ("50", "1.56", "66%", "0.68", "0.65"),
    "resnet50_transfer": ("50", "0.52", "88%", "0.88", "0.87"),
}
"""Family to epochs and then loss, accuracy, precision and recall on CIFAR-10's test split."""


def main_sections(study: Row, trials: Sequence[Row], finals: Sequence[Row]) -> Iterator[Section]:
    """Every model at its best validation epoch, one table for each train fraction."""
    searches = stored_searches(study["settings"])
    seconds: dict[tuple[str, str], list[float | None]] = {}
    for row in trials:
        # The baseline's own trial belongs to the search behind the tuned model, too.
        for role in ROLES if row["role"] == "baseline" else ("tuned",):
            seconds.setdefault((search_of(row["trial_id"]), role), []).append(row["device_seconds"])
    for (fraction,), of_fraction in grouped(finals, "train_fraction"):
        train, validation, test = (
            count(of_fraction[0][f"{split}_images"]) for split in ("train", "validation", "test")
        )
        yield Section(
            title=f"Test results at train fraction {fraction:g}: {train} training images",
            columns=("model", *MAIN_COLUMNS, "seeds", "parameters", "search device seconds"),
            rows=tuple(
                (
                    *_measured(runs),
                    total(seconds.get((deciding(searches, family, fraction).name, role), ())),
                )
                for (family, role), runs in grouped(of_fraction, "family", "role")
            ),
            sentences=(f"{validation} validation images, {test} test images.",),
        )
    yield Section(title="How to read the test results", sentences=tuple(_main_notes(study, finals)))


def _measured(runs: Sequence[Row]) -> Iterator[str]:
    """The cells of one model at one train fraction."""
    yield model_name(runs[0])
    for metric in METRICS:
        yield spread([run[f"test_{metric}"] for run in runs], metric)
    yield str(len(runs))
    yield count(runs[0]["parameters"])


def _main_notes(study: Row, finals: Sequence[Row]) -> Iterator[str]:
    if not finals:
        yield "There are no final runs: nothing was measured on the test set."
        return
    yield "All at the epoch with the best validation accuracy; precision and recall are macro."
    runs = [len(rows) for _, rows in grouped(finals, "train_fraction", "family", "role")]
    if max(runs) > 1:
        yield "Mean ± standard deviation over the seeds of the final trainings."
    if min(runs) == 1:
        yield "One seed shows no training noise: where there is one, there is no ±."
    fractions = {row["train_fraction"] for row in finals}
    if len(fractions) > 1:
        yield (
            "Each train fraction had a search of its own; baseline and winner are re-trained at it."
            if study["settings"].get("tune_per_fraction")
            else f"The search ran once, at train fraction {max(fractions):g}; smaller fractions "
            "re-train the hyperparameters chosen there."
        )
    yield (
        "Search device seconds are those of the whole search behind a tuned model, baseline "
        "included, and of a baseline those of its own trial in it."
    )


def reference_section(study: Row, finals: Sequence[Row]) -> Section:
    """The reference results beside the last epoch of our baselines, where the data are the same."""
    title = "Beside the reference results"
    dataset = study["settings"]["dataset"]
    if dataset != REFERENCE_DATASET:
        why = f"Not shown: the reference results are for {REFERENCE_DATASET}, this is {dataset}."
        return Section(title=title, sentences=(why,))
    largest = max((row["train_fraction"] for row in finals), default=None)
    runs = [row for row in finals if (row["train_fraction"], row["role"]) == (largest, "baseline")]
    baselines = dict(grouped(runs, "family"))
    rows = []
    for family in study["settings"]["families"]:
        ours = baselines.get((family,), [])
        rows.append((family, "reference", *REFERENCE.get(family, (MISSING,) * 5)))
        rows.append((family, "ours, macro", *_last_epoch(ours, "")))
        rows.append((family, "ours, micro at 0.5", *_last_epoch(ours, "_micro_at_half")))
    sentences = [
        "CIFAR-10, test split; ours are the baselines at their last epoch, as the reference's.",
        "The reference's precision and recall fit Keras' micro average at threshold 0.5.",
    ]
    if runs:
        sentences.append(f"Ours were trained on {count(runs[0]['train_images'])} images.")
    return Section(
        title=title,
        columns=("family", "results", "epoch", "test loss", "test accuracy", "precision", "recall"),
        rows=tuple(rows),
        sentences=tuple(sentences),
    )


def _last_epoch(runs: Sequence[Row], average: str) -> tuple[str, ...]:
    """Epoch, loss, accuracy, precision and recall of one family's baselines at the last epoch."""
    names = ("loss", "accuracy", f"precision{average}", f"recall{average}")
    cells = [
        spread([run[f"test_{name}_last_epoch"] for run in runs], metric)
        for name, metric in zip(names, METRICS, strict=True)
    ]
    return (count(runs[0]["last_epoch"]) if runs else MISSING, *cells)


def in_order(finals: Sequence[Row]) -> list[Row]:
    """Largest fraction first, families as they appear, baseline before tuned, seeds ascending."""
    families = list(dict.fromkeys(row["family"] for row in finals))
    return sorted(
        finals,
        key=lambda row: (
            -row["train_fraction"],
            families.index(row["family"]),
            row["role"],
            row["seed"],
        ),
    )
