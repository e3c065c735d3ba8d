"""Types of GPUs that a cluster has or may have, and the one that a study's trials reserve."""

from collections.abc import Iterable, Mapping
from typing import Final

from orchestrator.config.settings import Settings

PREFIX: Final = "accelerator_type:"
"""Of the resource by which Ray marks a node whose GPUs it knows; each such node has 1."""
SHARE: Final = 0.001
"""Of that mark, for a trial: all that fit on a node have their share of it."""
UNNAMED: Final = "a type that Ray does not know"
GB: Final = 1e9

Resources = Mapping[str, float]


def type_of(node: Resources) -> str:
    """The type of a node's GPUs by Ray's name: `L4`; empty if it has or names none."""
    if not node.get("GPU"):
        return ""
    marks = sorted(name for name in node if name.startswith(PREFIX))
    return marks[0].removeprefix(PREFIX) if marks else ""


def choose(settings: Settings, present: Iterable[Resources], grown: Iterable[Resources]) -> str:
    """Chooses the type of GPU that trials reserve; empty: any type.

    Device-seconds of one type are not worth those of another, so a study has one type alone unless
    its user says otherwise. All nodes have room for a trial; of those that are `grown`, not there
    yet, some do not say what GPUs they have.

    Raises:
        ValueError: The type that is asked for is not there, or there are several and none is asked
            for.
    """
    there, coming = (
        {type_of(node) for node in nodes if node.get("GPU")} for nodes in (present, grown)
    )
    types = sorted(there | (coming - {""} if there else coming))
    known = ", ".join(each or UNNAMED for each in types) or "no GPU"
    if settings.device_type is not None:
        if settings.device_type not in types:
            raise ValueError(
                f"device_type must be one of the cluster's, but got {settings.device_type!r}; "
                f"choose from {known}"
            )
        return settings.device_type
    if len(types) > 1 and not settings.mix_devices:
        raise ValueError(
            f"a study's GPUs must be of one type, since a second of one is not worth a second of "
            f"another, but the nodes with room for a trial have {known}; choose one with "
            "--device-type, or take all with --mix-devices, which weighs device-seconds by "
            "measured speed"
        )
    return ""


def in_words(bundle: Resources) -> str:
    """What a trial reserves as text: `1 CPU, 0.25 GPU (L4) and 8 GB of memory`."""
    names = {name.removeprefix(PREFIX) for name in bundle if name.startswith(PREFIX)}
    kind = f" ({', '.join(sorted(names))})" if names else ""
    words = [
        f"{amount / GB:.3g} GB of memory" if name == "memory" else f"{amount:g} {name}"
        for name, amount in bundle.items()
        if not name.startswith(PREFIX)
    ]
    words = [f"{each}{kind}" if each.endswith(" GPU") else each for each in words]
    return " and ".join([*([", ".join(words[:-1])] if words[:-1] else []), words[-1]])
