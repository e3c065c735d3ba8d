"""Checks that a cluster's nodes can run a study's trials, before anything is written."""

import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import ray

from orchestrator.config.settings import Settings
from orchestrator.run.cluster import alive_nodes, to_be_started
from orchestrator.run.devices import in_words
from orchestrator.run.infrastructure import InfrastructureError
from orchestrator.run.reservation import Reservation, fits, reserve
from orchestrator.search.failures import answer_of, ask
from orchestrator.trials.recorder import Unpickled
from trainables import hardware, node_check
from trainables.hardware import Hardware

# A node that has to start a process first answers within this time, also a busy one.
ANSWER_SECONDS: Final = 120.0


def check_nodes(folder: Path) -> None:
    """Checks each other node that is there now; those that join later are checked by their trials.

    The study's folder, absolute, need not exist.

    Raises:
        InfrastructureError: A node has other versions than the driver, or another folder there.
    """
    here = ray.get_runtime_context().get_node_id()
    others = [node["NodeID"] for node in alive_nodes() if node["NodeID"] != here]
    if not others:
        return
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    with tempfile.NamedTemporaryFile(prefix=".shared-", dir=existing) as file:
        path, expected = Path(file.name), node_check.software()
        asked = [ask(node_id, node_check.node_error, expected, path) for node_id in others]
        wrong = list(filter(None, [answer_of(each, ANSWER_SECONDS) for each in asked]))
    if wrong:
        raise InfrastructureError("; ".join(sorted(wrong)))


def check_here(settings: Settings, *, must_answer: bool = False) -> bool:
    """Checks what trials ask for where a run would start Ray on this machine; nothing is started.

    Returns:
        Whether it would: another cluster has to be asked itself.

    Raises:
        InfrastructureError: This machine has not what a trial asks for, or another cluster does
            not answer and must.
    """
    cluster = to_be_started(settings.address, must_answer=must_answer)
    if cluster is None:
        return False
    reservation = reserve(settings, cluster)
    own = [(cluster.present[0], hardware.here())]
    seen_of(own, settings.precision_on(reservation.device), reservation, mixed=True)
    return True


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Hardware that the present nodes compute with.

    Attributes:
        hosts: By the hosts' names.
        types: Types of devices of the nodes with room for a trial, as the kernel names them.
    """

    hosts: Mapping[str, Hardware]
    types: frozenset[str]


def look_at_nodes(settings: Settings, reservation: Reservation) -> Seen:
    """Asks each present node for its hardware; see `seen_of`."""
    here = ray.get_runtime_context().get_node_id()
    nodes = {node["NodeID"]: node["Resources"] for node in alive_nodes()}
    asked = {node: ask(node, hardware.here) for node in nodes if node != here}
    answers = [
        (has, answer_of(asked[node], ANSWER_SECONDS) if node in asked else hardware.here())
        for node, has in nodes.items()
    ]
    answered = [pair for pair in answers if pair[1]]
    precision = settings.precision_on(reservation.device)
    return seen_of(answered, precision, reservation, mixed=settings.mix_devices)


def seen_of(
    nodes: Iterable[tuple[Mapping[str, float], Hardware]],
    precision: str,
    reservation: Reservation,
    *,
    mixed: bool,
) -> Seen:
    """Summarises the hardware of nodes, from what Ray may place on each and what its kernel tells.

    A node without room for a trial need not compute in its precision. Where types may be `mixed`,
    trials may run on several types of devices.

    Raises:
        InfrastructureError: A node cannot compute in this precision, or those with room for a trial
            have devices of several types.
    """
    found: dict[str, Hardware] = {}
    wrong: set[str] = set()
    types: defaultdict[str, set[str]] = defaultdict(set)
    for resources, seen in nodes:
        found[seen.host] = seen
        if fits(reservation.bundle, resources):
            wrong.add(hardware.precision_error(precision, reservation.device, seen))
            for name in seen.devices(reservation.device):
                types[name].add(seen.host)
    if len(types) > 1 and not mixed:
        listed = [f"{name} ({', '.join(sorted(hosts))})" for name, hosts in sorted(types.items())]
        wrong.add(
            "all nodes with room for a trial must have devices of one type, since a second of one "
            f"is not worth a second of another, but have {'; '.join(listed)}; --mix-devices takes "
            "all, and weighs device-seconds by measured speed"
        )
    if any(wrong):
        raise InfrastructureError("; ".join(sorted(filter(None, wrong))))
    return Seen(hosts=found, types=frozenset(types))


def check_types(known: Mapping[str, Mapping[str, object]], seen: Seen) -> None:
    """Checks that a resumed study goes on on GPUs of the same type.

    A second of one is not worth a second of another. Of the types that its trials have run on,
    which `study.json` knows, CPUs tell no memory and no driver.

    Raises:
        InfrastructureError: One of the GPUs is of a new type.
    """
    before = {name for name, about in known.items() if {"driver", "device_memory_bytes"} & {*about}}
    new = seen.types - before
    if before and new:
        raise InfrastructureError(
            f"the type of device must stay {', '.join(sorted(before))}, since a second of one is "
            f"not worth a second of another, but there is {', '.join(sorted(new))}; resume it with "
            "--mix-devices, or start a new study with --warm-start"
        )


@dataclass
class Waiting(Unpickled):
    """Message and action, once, where no trial runs since none has a node."""

    reservation: Reservation
    settings: Settings
    say: Callable[[str], None]
    _said: str = ""

    def __call__(self, seconds: float) -> None:
        """Called with the seconds for which no trial has run.

        Raises:
            InfrastructureError: No node has come that has room for a trial.
        """
        asked, minutes = self.reservation.bundle, self.settings.wait_for_nodes_minutes
        if any(fits(asked, node["Resources"]) for node in alive_nodes()):
            self._say_once("Waiting for room: the nodes that could run a trial are in use")
            return
        wanted = in_words(asked)
        if seconds >= 60 * minutes:
            raise InfrastructureError(
                f"a node with {wanted} must join within wait_for_nodes_minutes, {minutes:g}, "
                "but none has; all finished epochs are kept"
            )
        self._say_once(f"Waiting up to {minutes:g} minutes for a node with {wanted}")

    def _say_once(self, sentence: str) -> None:
        if sentence != self._said:
            self._said = sentence
            self.say(sentence)
