"""Opening of a study that has been checked: its cluster, weights, folder, and stored rows."""

import contextlib
import os
import platform
import shlex
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
from rich.console import Console

from orchestrator.called import words_of
from orchestrator.cli import INFRASTRUCTURE, counted, fail
from orchestrator.config.rungs import offered_rungs
from orchestrator.config.samplers import MULTIVARIATE_TPE
from orchestrator.config.settings import to_json
from orchestrator.config.sources import demo_notes
from orchestrator.config.trackers import parse_targets
from orchestrator.forecast.estimate import Forecast, time_notes
from orchestrator.plan import resume, warm_start
from orchestrator.plan.disk_space import check_disk_space
from orchestrator.plan.preflight import CheckedStudy, forecast_of
from orchestrator.plan.summary import few_rounds
from orchestrator.results import files, manifest, registration, schema
from orchestrator.results.code_version import code_sha256, git_commit
from orchestrator.results.going_on import resume_command
from orchestrator.results.lock import Hold, holding
from orchestrator.results.states import ENDED, Outcome
from orchestrator.run import own_ray, replay
from orchestrator.run.cluster import connect, disconnect
from orchestrator.run.cluster_watch import Watch
from orchestrator.run.devices import in_words
from orchestrator.run.infrastructure import InfrastructureError
from orchestrator.run.nodes import Seen, check_nodes, check_types, look_at_nodes
from orchestrator.run.reservation import Cluster, Reservation, fits, reserve
from orchestrator.run.session import RayExecutor, Session
from orchestrator.run.signals import Interruption
from orchestrator.run.study_publisher import publishing
from orchestrator.run.tracking import following
from orchestrator.terminal import show_cursor
from trainables.weights import pretraining
from trainables.weights.chosen import ChosenWeights
from trainables.weights.loading import WeightsFile, file_sha256

LEAVE_SECONDS: Final = 20.0
"""So long the rows may take to reach the disk once the cluster is lost."""


@contextlib.contextmanager
def open_study(
    checked: CheckedStudy, held: contextlib.ExitStack, interruption: Interruption, console: Console
) -> Iterator[Session]:
    """Opens a study that has been checked: its cluster, folder, weights, and what its rows say.

    Inside it is published and sent to trackers, where that was asked for. Its folder is held until
    `held` is closed.

    Raises:
        InfrastructureError: Ray cannot be had, or not what a trial asks for.
        HeldError: Another driver has the study.
        NoSpaceError: It would fill the disk.
    """
    settings, families = checked.settings, ",".join(plan.name for plan in checked.plans)
    # What the cluster's list of jobs says of the study.
    job = {"study": checked.name, "families": families, "results": str(checked.folder)}
    cluster = connect(settings.address, console, job, dashboard=settings.dashboard)
    session: Session | None = None
    try:
        reservation = reserve(settings, cluster)
        _say_what_runs(checked, cluster, reservation, console)
        check_disk_space(checked, at_a_time=reservation.max_concurrent)
        check_nodes(checked.folder)
        seen = look_at_nodes(settings, reservation)
        if checked.resumed and reservation.gpus and not settings.mix_devices:
            check_types(checked.resumed.study.device_types, seen)
        weights = _weights(checked, console)
        content = describe(checked, weights=weights, cluster=cluster, reservation=reservation)
        content["hardware"] = {host: str(node) for host, node in seen.hosts.items()}
        if checked.probed:
            content["probe"] = [dict(each) for each in checked.probed]
        content["forecast"] = reserved_forecast(checked, reservation, seen).to_json()
        hold = checked.resumed.hold if checked.resumed else _begin(checked, held)
        stored = replay.StoredStudy()
        if checked.resumed is not None:
            stored = replay.read(checked.folder, checked.resumed.study, manifest.record_of(content))
            if hold.damage:
                stored = replace(stored, changes=[*stored.changes, ("lease_damaged", hold.damage)])
            content = manifest.continued(checked.resumed.study, content)
        content |= register(checked, content, console)
        session = Session(
            checked,
            executor=RayExecutor(cluster),
            reservation=reservation,
            console=console,
            study_json=manifest.Manifest(checked.folder, content, hold.check),
            stored=stored,
            interruption=interruption,
            hold=hold,
            weights=weights,
        )
        interruption.last_words = (
            "Ended at once; all epochs that were written are kept. To go on:\n"
            f"  {resume_command(checked.folder)}"
        )
        watch = Watch(
            cluster.endpoints,
            lambda why: _leave(session, checked, watch, why),
            cluster.session,
        )
        sending = following(checked.folder, parse_targets(settings.track), session.say)
        with watch.running(), publishing(session), sending:
            yield session
    finally:
        disconnect()
        if cluster.session is not None:
            ended_well = session is not None and session.completed
            if said := own_ray.leave(cluster.session, remove=ended_well):
                console.print(said, soft_wrap=True)


def describe(
    checked: CheckedStudy,
    *,
    weights: ChosenWeights | None,
    cluster: Cluster,
    reservation: Reservation,
) -> dict[str, Any]:
    """The content of `study.json` at the start of a run."""
    settings, plans, inputs = checked.settings, checked.plans, checked.inputs
    started_at, pretrained = manifest.now(), any(plan.pretrained for plan in plans)
    code = {
        "code_sha256": code_sha256([plan.name for plan in plans], settings.dataset),
        "git_commit": git_commit(),
    }
    return {
        "name": checked.name,
        "schema_version": schema.SCHEMA_VERSION,
        "outcome": Outcome.RUNNING,
        "started_at": started_at,
        "ended_at": None,
        "settings": {
            **to_json(settings),
            "families": [plan.name for plan in plans],
            "precision": settings.precision_on(reservation.device),
        },
        "rungs": offered_rungs(settings),
        "sampler": {
            "name": settings.sampler,
            "multivariate": settings.sampler == MULTIVARIATE_TPE,
        },
        "demo": demo_notes(settings, train_images=len(inputs.split.train), pretrained=pretrained),
        "spaces": {plan.name: plan.space_json for plan in plans},
        "baselines": {plan.name: dict(plan.baseline) for plan in plans},
        "baseline_deviations": {
            plan.name: {key: list(pair) for key, pair in plan.deviations.items()}
            for plan in plans
            if plan.deviations
        },
        "dataset": {
            "name": settings.dataset,
            "classes": list(inputs.dataset.classes),
            "files": dict(inputs.dataset.files),
            "test_files": sorted(inputs.dataset.test_files),
            "train_images": len(inputs.split.train),
            "validation_images": len(inputs.split.validation),
            "own_validation": inputs.dataset.own_validation > 0,
            "train_images_by_fraction": {str(f): len(i) for f, i in inputs.train.items()},
            "image_shape": list(inputs.training.images.shape[1:]),
            "split_sha256": inputs.split.digest,
            "notes": list(inputs.notes),
        },
        "weights": None if weights is None else weights.to_json(),
        **code,
        "environment": manifest.environment(),
        "cluster": {
            "kind": cluster.kind,
            "nodes": len(cluster.present),
            "cpus": cluster.cpus,
            "gpus": cluster.gpus,
            "cpus_per_trial": reservation.cpus,
            "gpus_per_trial": reservation.gpus,
            "max_concurrent": reservation.max_concurrent,
            "device_type": reservation.device_type,
        },
        "runs": [
            {
                "started_at": started_at,
                "ended_at": None,
                "outcome": Outcome.RUNNING,
                "host": platform.node(),
                "pid": os.getpid(),
                **code,
            }
        ],
    }


def register(checked: CheckedStudy, content: Mapping[str, Any], console: Console) -> dict[str, Any]:
    """Registers what a new study will ask, if wanted; returns the entry of `study.json`."""
    if checked.registration is None:
        return {}
    study = manifest.record_of(content)
    entry = registration.register(checked.folder, checked.registration, study)
    line = f"Registered: {registration.FILE}, SHA-256 {entry['sha256']}; keep it elsewhere too"
    console.print(line, soft_wrap=True)
    return {"registration": entry}


def _leave(session: Session, checked: CheckedStudy, watch: Watch, why: str) -> None:
    """Ends this process in order, whatever its main thread waits for: Ray's calls never return."""

    def end() -> None:
        message = (
            f"the Ray cluster was lost, {why}; all finished epochs are kept, to go on: "
            f"{resume_command(checked.folder)}"
        )
        fail("study", InfrastructureError(message))
        sys.stderr.flush()
        show_cursor()
        watch.kill_processes()
        os._exit(INFRASTRUCTURE)

    ending = threading.Timer(LEAVE_SECONDS, end)
    ending.daemon = True
    ending.start()
    try:
        session.note_lost_cluster(why)
    finally:
        end()


def _begin(checked: CheckedStudy, held: contextlib.ExitStack) -> Hold:
    """Makes a new study's folder, unless another driver was faster."""
    checked.folder.mkdir(parents=True, exist_ok=True)
    hold = held.enter_context(holding(checked.folder))
    if (checked.folder / "study.json").exists():
        raise InfrastructureError(
            f"another driver began a study in {checked.folder}; choose another --name"
        )
    warm_start.keep(checked.folder, checked.warm_start)
    return hold


def reserved_forecast(checked: CheckedStudy, reservation: Reservation, seen: Seen) -> Forecast:
    """What a study will take where each trial reserves this, on such nodes."""
    reserved = reservation.device, reservation.devices, reservation.max_concurrent
    given = checked.settings, checked.plans, checked.inputs
    return forecast_of(*given, name=checked.name, reserved=reserved, device_names=seen.types)


def forecast_on_cluster(checked: CheckedStudy, address: str, console: Console) -> Forecast:
    """What a study will take on a cluster that is asked for it, with its line printed.

    Raises:
        InfrastructureError: Ray cannot be had, or not what a trial asks for.
    """
    cluster = connect(address, console)
    try:
        reservation = reserve(checked.settings, cluster)
        seen = look_at_nodes(checked.settings, reservation)
    finally:
        disconnect()
    _say_what_runs(checked, cluster, reservation, console)
    forecast = reserved_forecast(checked, reservation, seen)
    for sentence in time_notes(forecast):
        console.print(sentence)
    return forecast


def say_how_to_resume(checked: CheckedStudy, console: Console) -> None:
    """Prints the command that resumes a study that was interrupted."""
    if not (checked.folder / "study.json").exists():
        console.print("Interrupted before the study began; nothing was written.")
        return
    study, before = files.read_study(checked.folder), checked.resumed
    if study.outcome in ENDED and (before is None or len(study.runs) > len(before.study.runs)):
        console.print("Interrupted after the study had ended; to write its page:")
        page = shlex.join([*words_of("report"), str(checked.folder)])
        console.print(f"  {page}", soft_wrap=True)
        return
    console.print("Interrupted; all finished epochs are kept. To go on:")
    console.print(f"  {resume_command(checked.folder)}", soft_wrap=True)


def _say_what_runs(
    checked: CheckedStudy, cluster: Cluster, reservation: Reservation, console: Console
) -> None:
    console.print(cluster_line(cluster, reservation))
    if checked.settings.max_concurrent is None:  # else the plan has said it
        trials, families = checked.settings.trials, len(checked.plans)
        for sentence in few_rounds(trials, families, reservation.max_concurrent):
            console.print(sentence)


def cluster_line(cluster: Cluster, reservation: Reservation) -> str:
    """A line that describes a study's share of the cluster."""
    where = f"; dashboard http://{cluster.dashboard}" if cluster.dashboard else ""
    enough = any(fits(reservation.bundle, node) for node in cluster.present)
    waiting = "" if enough else "; trials wait for the first node that the autoscaler starts"
    why = cluster.unknown_growth
    unknown = f"; what it may grow to cannot be read ({why})" if why else ""
    return (
        f"Ray: {cluster.kind}, {counted(len(cluster.present), 'node')}, {cluster.cpus:g} CPUs, "
        f"{cluster.gpus:g} GPUs; {counted(reservation.max_concurrent, 'trial')} at a time, each on "
        f"{in_words(reservation.bundle)}{where}{waiting}{unknown}"
    )


def _weights(checked: CheckedStudy, console: Console) -> ChosenWeights | None:
    """What pre-trained families start from; the demo's stand-in is made once and cached."""
    files = checked.inputs.weights_files
    if not files:
        return None
    weights = ChosenWeights(
        files={family: file or _demo_weights(console) for family, file in files.items()}
    )
    if checked.resumed is not None:
        try:
            resume.check_weights(checked.resumed.study, weights, checked.resumed.used)
        except ValueError as error:
            raise InfrastructureError(str(error)) from error
    return weights


def _demo_weights(console: Console) -> WeightsFile:
    path = pretraining.cached_weights_path()
    if not path.is_file():
        console.print("Pre-training the stand-in for ImageNet weights, about a minute, once ...")
        # On this node, whose cache it is to be in; it may offer no CPU to trials.
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        pretrain: Any = pretraining.pretrain_resnet50
        task = ray.remote(pretrain).options(num_cpus=0, scheduling_strategy=here)
        ray.get(task.remote(path, seed=0, threads=1))
    return WeightsFile(name=path.name, path=path, sha256=file_sha256(path))
