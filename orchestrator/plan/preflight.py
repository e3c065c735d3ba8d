"""Finds what is wrong with a study before anything is written or started, new or resumed."""

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from orchestrator.cli import counted
from orchestrator.config.settings import Settings
from orchestrator.config.sources import demo_notes
from orchestrator.config.trackers import check_targets, parse_targets
from orchestrator.forecast.estimate import Forecast, forecast_study, time_notes
from orchestrator.forecast.prices import read_prices
from orchestrator.forecast.throughput import Work
from orchestrator.plan import registration, remains, resume, warm_start
from orchestrator.plan.data_summary import data_summary
from orchestrator.plan.families import FamilyPlan, plan_families
from orchestrator.plan.inputs import Inputs, prepare
from orchestrator.plan.memory import fed_to_gpu
from orchestrator.plan.probe import probe_families
from orchestrator.plan.registration import notes_of, plan_registration
from orchestrator.plan.resolution import resolution
from orchestrator.plan.summary import print_plan, print_spaces
from orchestrator.plan.warm_start import WarmStart
from orchestrator.results import files
from orchestrator.results.fetched import local_folder
from orchestrator.results.files import check_writable
from orchestrator.results.lock import Hold, holding
from orchestrator.results.published import check_place
from orchestrator.results.study_record import Registration, StudyRecord
from trainables.data.offline import is_offline, not_fetched
from trainables.secrets import check_complete, redacted

# The studies named to choose from, the latest first.
MOST_CHOICES: Final = 10


@dataclass(frozen=True, kw_only=True)
class ResumedStudy:
    """A study that goes on, as its last driver left it, and what it has used of its inputs."""

    study: StudyRecord
    hold: Hold
    used: remains.Used


@dataclass(frozen=True, kw_only=True)
class CheckedStudy:
    """A study in which nothing the user gave is wrong.

    Attributes:
        folder: Where it is kept, absolute.
        resumed: What it goes on from; None for a new study.
        warm_start: What a new study learns from first; None for nothing.
        probed: What its frozen networks know; empty where that was not asked.
        registration: What a new study registers before its search; None for nothing.
    """

    name: str
    folder: Path
    settings: Settings
    plans: Sequence[FamilyPlan]
    inputs: Inputs
    resumed: ResumedStudy | None = None
    warm_start: WarmStart | None = None
    probed: Sequence[Mapping[str, object]] = ()
    registration: Registration | None = None


def check_new(settings: Settings, console: Console, *, register: str | None = None) -> CheckedStudy:
    """Checks a new study, and prints what it will do; a wrong input is a `ValueError`."""
    plans = plan_families(settings)
    name = settings.name or f"{settings.preset}-{settings.dataset}-{time.strftime('%Y%m%d-%H%M%S')}"
    folder = folder_of(settings.results_dir, name)
    if settings.data_dir is not None and "://" not in settings.data_dir:
        data = Path(settings.data_dir).expanduser().resolve()
        if folder.is_relative_to(data):  # the next study would take results for a class
            raise ValueError(
                f"--results-dir must lie outside --data-dir, but {folder} is in {data}"
            )
    check_writable(folder)
    if (folder / "study.json").exists():
        go_on = f"to go on with it: --resume {name}"
        raise ValueError(f"--name must be new, but {folder} holds a study already; {go_on}")
    if taken := files.written_over(folder):
        raise ValueError(
            f"--name must be new, but {folder} holds {', '.join(taken)}, which a study would write "
            "over; choose another --name"
        )
    _check_publish(settings, folder, None, console)
    registered = plan_registration(register, settings, [plan.name for plan in plans])
    _check_track(settings)
    source = _read_named(settings)
    inputs, proposed = _prepare(settings, plans, console), settings.image_size is None
    settings, plans = inputs.settings, plan_families(inputs.settings)
    warm = None if source is None else warm_start.check(source, plans, settings, inputs)
    _print(inputs, plans, console, proposed=proposed)
    if warm is not None:
        left_out = f"; {warm.left_out} others do not count here" if warm.left_out else ""
        console.print(f"Warm start: {counted(len(warm.trials), 'trial')} of {warm.study}{left_out}")
    for sentence in notes_of(registered) if registered else ():
        console.print(sentence)
    return CheckedStudy(
        name=name,
        registration=registered,
        folder=folder,
        settings=settings,
        plans=plans,
        inputs=inputs,
        warm_start=warm,
        probed=probe_families(inputs, plans, console.print) if settings.probe else (),
    )


def check_resumed(
    settings: Settings,
    folder: Path,
    held: contextlib.ExitStack,
    console: Console,
    *,
    accept_code_change: bool,
    register: str | None = None,
) -> CheckedStudy:
    """Checks that a study can go on as it was begun, and prints what it will do.

    The settings are its own, with what the user changes; `held` holds its folder until closed. What
    the study has registered must stay.

    Raises:
        HeldError: Another driver has it.
        ValueError: Something differs that must not, or the folder cannot be written.
    """
    files.check_inside(folder)
    try:
        hold = held.enter_context(holding(folder))
    except OSError as error:
        raise ValueError(
            f"a study's folder must be writable, but {folder} is not: {error}"
        ) from error
    study = files.read_study(folder)  # as its last driver left it, whatever was read before
    resume.check_whole(folder, study)
    plans = plan_families(settings, begun=study)
    tables = remains.check_nothing_lost(folder)
    resume.check_families(study, plans)
    registration.check_resumed(study, register, settings, [plan.name for plan in plans])
    resume.check_settings(study, settings)
    _check_publish(settings, folder, study, console)
    _check_track(settings)
    warm_start.check_kept(folder, settings)
    resume.check_code(study, plans, accepted=accept_code_change)
    resume.check_data_there(settings)
    _read_named(settings, warm=False)
    proposed = settings.image_size is None
    inputs = _prepare(settings, plans, console, begun=study)
    used = remains.read_used(folder, study, [plan.name for plan in plans if plan.pretrained])
    resume.check_inputs(study, inputs, used)
    settings, plans = inputs.settings, plan_families(inputs.settings, begun=study)
    _print(inputs, plans, console, proposed=proposed)
    console.print(f"All of this is of the whole study. {remains.so_far(tables)}")
    return CheckedStudy(
        name=study.name,
        folder=folder,
        settings=settings,
        plans=plans,
        inputs=inputs,
        resumed=ResumedStudy(study=study, hold=hold, used=used),
    )


def study_to_resume(folder: Path) -> StudyRecord:
    """A study to go on with; a `ValueError` where there is none in the folder."""
    if (folder / "study.json").is_file():
        return files.read_study(folder)
    if folder.is_dir():
        rule = f"--resume must name a study that has begun, but {folder} has no study.json"
        if kept := files.written_over(folder):
            raise ValueError(
                f"{rule}, though {', '.join(kept)}: its settings, spaces and hashes are nowhere "
                "else, so restore it from a copy (the tables can still be read)"
            )
        raise ValueError(
            f"{rule}: it may have been killed before that; start it with --name {folder.name} "
            "without --resume"
        )
    known = sorted(folder.parent.glob("*/study.json"), key=lambda path: -path.stat().st_mtime)
    choices = ", ".join(path.parent.name for path in known[:MOST_CHOICES])
    raise ValueError(
        f"--resume must name a study in {folder.parent}, but got {folder.name!r}; "
        f"{f'choose from {choices}' if choices else 'there is none; is it another --results-dir?'}"
    )


def _check_publish(
    settings: Settings, folder: Path, study: StudyRecord | None, console: Console
) -> None:
    if settings.publish is None:
        return
    if not is_offline():
        check_place(settings.publish, folder, study)
        return
    place = redacted(settings.publish)
    console.print(f"Not checked: whether a copy can be written to {place}.", soft_wrap=True)


def _check_track(settings: Settings) -> None:
    targets = parse_targets(settings.track)
    check_targets(targets)
    for target in targets:
        check_complete(target.place, "--track")
        if target.path is not None:
            is_file = target.tracker != "tensorboard"
            if target.path.exists() and target.path.is_file() != is_file:
                kind = "file" if is_file else "folder"
                raise ValueError(f"--track {target} must name a {kind}, but that is none")
            check_writable(target.path.parent if is_file else target.path)


def folder_of(results_dir: str, name: str) -> Path:
    """The folder of a study, absolute."""
    return (Path(results_dir).expanduser() / name).resolve()


def _read_named(settings: Settings, *, warm: bool = True) -> warm_start.Source | None:
    """Reads the files that settings name besides data and weights; returns a warm start's.

    Raises:
        ValueError: Some cannot be read, all of which are named.
    """
    found: list[warm_start.Source] = []
    faults: list[str] = []
    checks: list[tuple[str | None, Callable[[str], object]]] = [
        (settings.prices, read_prices),
        (settings.pace_from, _check_measured),
    ]
    if warm:
        checks.append((settings.warm_start, lambda place: found.append(_warm_source(place))))
    for place, check in checks:
        try:
            if place is not None:
                check(place)
        except ValueError as error:
            faults.append(str(error))
    if faults:
        raise ValueError("; ".join(faults))
    return found[0] if found else None


def _check_measured(place: str) -> None:
    folder = Path(place).expanduser()
    if not (folder / "study.json").is_file():
        rule = "pace_from must name the folder of a study"
        raise ValueError(f"{rule}, but {folder} has no study.json")
    files.read_study(folder)


def _warm_source(place: str) -> warm_start.Source:
    return warm_start.read(local_folder(place, flag="--warm-start").expanduser().resolve())


def _prepare(
    settings: Settings,
    plans: Sequence[FamilyPlan],
    console: Console,
    *,
    begun: StudyRecord | None = None,
) -> Inputs:
    """The inputs; where they are in no cache of one who only plans, what can be said without."""
    try:
        return prepare(settings, plans, console.print, begun=begun)
    except ValueError as error:
        if not_fetched(error):
            _print_work(settings, plans, console, train_images=None)
            print_spaces(console, plans)
        raise


def _print(
    inputs: Inputs, plans: Sequence[FamilyPlan], console: Console, *, proposed: bool
) -> None:
    """Prints the plan, in which nothing is wrong any more; its size of images may be proposed."""
    settings = inputs.settings
    forecast = forecast_of(settings, plans, inputs)
    fed = fed_to_gpu(settings, inputs.training.images.nbytes)
    for line in (*data_summary(inputs, proposed=proposed), *filter(None, [fed])):
        console.print(f"Data: {line}")
    _print_work(settings, plans, console, train_images=len(inputs.split.train))
    sees = filter(None, [resolution(settings, inputs.dataset)])
    for sentence in (*sees, *time_notes(forecast)):
        console.print(sentence)


def _print_work(
    settings: Settings,
    plans: Sequence[FamilyPlan],
    console: Console,
    *,
    train_images: int | None,
) -> None:
    pretrained = any(plan.pretrained for plan in plans)
    for note in demo_notes(settings, train_images=train_images, pretrained=pretrained):
        console.print(note, style="bold")
    print_plan(console, plans, settings, train_images=train_images)


def forecast_of(
    settings: Settings,
    plans: Sequence[FamilyPlan],
    inputs: Inputs,
    *,
    name: str = "",
    reserved: tuple[str, float, int] | None = None,
    device_names: Iterable[str] = (),
) -> Forecast:
    """What a study will take; see `estimate.forecast_study`."""
    return forecast_study(
        settings,
        Work(
            dataset=settings.dataset,
            files=inputs.dataset.files,
            image_shape=inputs.training.images.shape[1:],
            spaces={plan.name: plan.space for plan in plans},
            baselines={plan.name: plan.baseline for plan in plans},
            precision=settings.precision,
            reproducible=settings.reproducible,
            device_names=frozenset(device_names),
        ),
        {fraction: len(images) for fraction, images in inputs.train.items()},
        len(inputs.split.validation),
        name=name,
        reserved=reserved,
    )
