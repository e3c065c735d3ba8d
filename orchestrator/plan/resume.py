"""What may change when a study is resumed, and what is refused with the difference."""

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from orchestrator.config.settings import BUDGETS, OPERATIONAL, PATHS, Settings, absolute, to_json
from orchestrator.plan.families import FamilyPlan
from orchestrator.plan.inputs import Inputs
from orchestrator.plan.provenance import changed, changed_weights
from orchestrator.plan.remains import Used
from orchestrator.results.code_version import code_sha256 as hash_code
from orchestrator.results.study_record import DataRecord, StudyRecord
from search_spaces.dimension import describe, read_distribution
from trainables.data import image_size
from trainables.data.dataset import OpenedDataSet
from trainables.weights.chosen import ChosenWeights

# What a study ran with that is older than a setting.
_DEFAULTS: Final[Mapping[str, Any]] = json.loads(json.dumps(to_json(Settings())))
# What of `study.json` a study goes on from.
NEEDED: Final = (
    *("started_at", "outcome", "spaces", "baselines", "weights", "environment", "code_sha256"),
    *("git_commit", "dataset.files", "dataset.classes", "dataset.split_sha256"),
)
# More of these extends a study; less of what it has would lose something.
GROWING: Final = ("trials", "seeds", *BUDGETS)
# With another of these a study's accuracies cannot be compared with what it has already.
OTHER_ACCURACIES: Final = (
    *("dataset", "image_size", "image_column", "label_column", "group_column", "train_images"),
    *("validation_images", "seed", "epochs", "preset", "precision", "objective"),
)
NEW: Final = "start a new study"
NEW_WARM: Final = f"{NEW}; with --warm-start it learns from this one"


def check_whole(folder: Path, study: StudyRecord) -> None:
    """Checks that `study.json` has all that a study goes on from; raises a `ValueError`."""
    if "runs" not in study.raw:
        raise ValueError(
            "a study must be resumed by a version that knows how it was begun; this is older"
        )
    study.check_said(folder / "study.json", NEEDED)


def check_families(study: StudyRecord, plans: Sequence[FamilyPlan]) -> None:
    """Checks that a study goes on with the families, spaces and baselines that it has searched.

    Raises:
        ValueError: A family or dimension is new, gone, or has another distribution or baseline.
    """
    own, names = study.settings.families, [plan.name for plan in plans]
    if own != names:
        _refuse("families must stay", ",".join(own), ",".join(names), NEW_WARM)
    for plan in plans:
        for name, old, new in changed(study.spaces.get(plan.name, {}), plan.space_json):
            rule = f"space.{plan.name}.{name} must stay"
            _refuse(rule, _described(old), _described(new), NEW_WARM)
        for name, before, now in changed(study.baselines.get(plan.name, {}), plan.baseline):
            _refuse(f"baseline.{plan.name}.{name} must stay", before, now, NEW_WARM)


def stored_settings(study: StudyRecord) -> dict[str, Any]:
    """The settings a study goes on with; of an older one also what it did before it was one."""
    return {
        "image_size": image_size.DEFAULT,
        **study.raw["settings"],
        "precision": study.precision,
        "sampler": study.sampler_name,
    }


def check_settings(study: StudyRecord, settings: Settings) -> None:
    """Checks that a study is resumed with its own settings, or with more trials or seeds.

    Families, spaces and baselines are for `check_families`: what counts is what their settings
    come to.

    Raises:
        ValueError: Something else differs; all that does is named.
    """
    found = [*_forbidden(study, settings)]
    if not found:
        return
    (rule, before, now, _), *others = found
    more = [f"; {rule}, but was {before} and is {now}" for rule, before, now, _ in others]
    advice = dict.fromkeys(each for *_, each in found)
    if NEW in advice:
        advice.pop(NEW_WARM, None)
    _refuse(rule, before, f"{now}{''.join(more)}", "; ".join(advice))


def _forbidden(study: StudyRecord, settings: Settings) -> Iterator[tuple[str, object, object, str]]:
    """Of each setting that must not change so: the rule, what it was and is, and what to do."""
    stored, given = stored_settings(study), json.loads(json.dumps(to_json(settings)))
    del given["families"]
    for name, value in given.items():
        before = stored.get(name, _DEFAULTS[name])  # a study may be older than a setting
        if name in PATHS and before and value == absolute(name, before):  # or than absolute paths
            continue
        if name == "name" and value not in {before, study.name}:
            yield "name must stay", study.name, value, "leave it out"
        if name in {*OPERATIONAL, "stop_when_settled"} or value == before:
            continue
        if name in GROWING:  # none is the largest
            if (math.inf if value is None else value) < (math.inf if before is None else before):
                limit = "leave it out" if before is None else f"give {before} or more"
                yield f"{name} must not shrink", before, value, limit
        elif name == "train_fractions":
            # Smaller ones may join; the search has run on the largest.
            if not set(before) <= set(value) or max(before) != max(value):
                old, new = (",".join(f"{share:g}" for share in some) for some in (before, value))
                yield "train_fractions must keep all it has and the same largest", old, new, NEW
        else:
            advice = NEW if name in OTHER_ACCURACIES else NEW_WARM
            yield f"{name} must stay", before, value, advice


def check_data_there(settings: Settings) -> None:
    """Checks that a folder or file of data is where it was; raises a `ValueError` that says how."""
    place = settings.data_dir
    if place is not None and "://" not in place and not Path(place).expanduser().exists():
        raise ValueError(
            f"data_dir must be there when a study is resumed, but {place} is not; say where it is "
            "now with --data-dir"
        )


def check_inputs(study: StudyRecord, inputs: Inputs, used: Used) -> None:
    """Checks that data, split and weights are what the study was begun with, or were never used.

    Raises:
        ValueError: A file, its part, the division, or the weights differ.
    """
    before = study.dataset
    _check_files(before, inputs.dataset, used)
    for what, stored, now in (
        ("the classes", before.classes, list(inputs.dataset.classes)),
        ("SHA-256 of the split", before.split_sha256, inputs.split.digest),
    ):
        if stored != now:
            _refuse(f"{what} must stay", stored, now, NEW)
    if inputs.weights is not None:
        check_weights(study, inputs.weights, used)


def _check_files(recorded: DataRecord, dataset: OpenedDataSet, used: Used) -> None:
    """Checks that each file is what it was, in the part in which it was.

    One of the test part may be another, or be gone, as long as nobody has opened that part. Studies
    from before the parts were recorded have the same ones where all names are the same.
    """
    before, now = recorded.files, dataset.files
    known: Collection[str] | None = recorded.test_files
    if known is None:
        known = dataset.test_files if before.keys() == now.keys() else ()
    other = [*changed(before, now)]
    for name, then, today in other:
        of_test = name in known if name in before else name in dataset.test_files
        if used.test or not of_test:
            rule = f"SHA-256 of the data file {name} must stay"
            _refuse(rule, then or "missing", today or "missing", f"restore the file, or {NEW}")
    moved = sorted(before.keys() & now.keys() & (set(known) ^ dataset.test_files)) if known else []
    if moved:
        restore = f"restore {other[0][0]}, or put another image in its place, or " if other else ""
        parts = (known, dataset.test_files)
        then, today = ("test" if moved[0] in part else "training" for part in parts)
        _refuse(f"the part of the data file {moved[0]} must stay", then, today, f"{restore}{NEW}")


def check_weights(study: StudyRecord, weights: ChosenWeights, used: Used) -> None:
    """Checks the hashes of weights that a family was trained from; raises a `ValueError`."""
    for what, before, now in changed_weights(study, weights.files) if used.weights else ():
        _refuse(f"{what} must stay", before, now, f"give the same file to --weights, or {NEW}")


def check_code(study: StudyRecord, plans: Sequence[FamilyPlan], *, accepted: bool) -> None:
    """Checks that the code is what the study has run so far, or that the user accepts another.

    Raises:
        ValueError: It changed and the user has not accepted that.
    """
    code_sha256 = hash_code([plan.name for plan in plans], study.settings.dataset)
    if study.code_sha256 != code_sha256 and not accepted:
        raise ValueError(
            "a study must be resumed with the code that it has run so far, or with "
            f"--accept-code-change, but SHA-256 of the code was {study.code_sha256} "
            f"(commit {study.git_commit or 'not known'}) and is {code_sha256}"
        )


def _described(distribution: Mapping[str, object] | None) -> str | None:
    return None if distribution is None else describe(read_distribution(distribution))


def _refuse(rule: str, before: object, now: object, advice: str) -> NoReturn:
    raise ValueError(f"{rule} when a study is resumed, but was {before} and is {now}; {advice}")
