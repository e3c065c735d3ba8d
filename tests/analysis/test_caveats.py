"""What a reader must know first."""

from typing import Any

import pytest
from made_up_record import record

from orchestrator.analysis.caveats import caveats

STUDY = {"settings": {"families": [], "train_fractions": [1.0], "seeds": 1}}


@pytest.mark.parametrize(
    ("types", "said"),
    [
        (None, []),
        ({"NVIDIA L4": {"driver": "580"}}, []),
        (
            {"NVIDIA L4": {}, "NVIDIA H100": {}},
            [
                "Trials ran on devices of several types, NVIDIA L4, NVIDIA H100: device-seconds "
                "count alike on each."
            ],
        ),
        (
            {"NVIDIA L4": {"device_speed": 1.0}, "NVIDIA H100": {"device_speed": 4.0}},
            [
                "Trials ran on devices of several types, NVIDIA L4, NVIDIA H100: device-seconds "
                "are weighed by speeds measured at their starts."
            ],
        ),
    ],
)
def test_several_types_of_devices_are_said_and_what_a_second_counts(
    types: dict[str, Any] | None, said: list[str]
) -> None:
    study = STUDY if types is None else {**STUDY, "device_types": types}
    assert [*caveats(record(study), [], [])] == said
