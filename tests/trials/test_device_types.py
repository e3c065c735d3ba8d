"""Types of devices: noted once each, and what a second on one counts beside another."""

from orchestrator.trials.device_types import DeviceTypes

L4 = {"node": "a", "device_name": "NVIDIA L4", "device_memory_bytes": 24, "device_speed": 1000.0}
H100 = {"node": "b", "device_name": "NVIDIA H100", "driver": "580", "device_speed": 4000.0}


def test_each_type_is_noted_once_with_what_is_known_of_it() -> None:
    noted = []
    types = DeviceTypes({}, lambda known: noted.append(dict(known)))
    assert [types.take(place) for place in (L4, {**L4, "node": "c"}, {}, H100, L4)] == [
        *("", "", "", "NVIDIA L4", ""),
    ]
    assert [list(known) for known in noted] == [["NVIDIA L4"], ["NVIDIA L4", "NVIDIA H100"]]
    assert noted[-1]["NVIDIA H100"] == {"driver": "580", "device_speed": 4000.0}


def test_a_second_on_a_faster_type_counts_as_many_times_as_it_is_faster_than_the_first() -> None:
    types = DeviceTypes({}, lambda _: None)
    for place in (L4, H100):
        types.take(place)
    assert [types.weight(place) for place in (L4, H100, {})] == [1.0, 4.0, 1.0]
    resumed = DeviceTypes({"NVIDIA L4": {"device_speed": 1000.0}}, lambda _: None)
    resumed.take(H100)
    assert resumed.weight(H100) == 4.0


def test_where_no_speed_is_measured_each_second_counts_once() -> None:
    types = DeviceTypes({}, lambda _: None)
    for place in ({"device_name": "NVIDIA L4"}, {"device_name": "NVIDIA H100"}):
        types.take(place)
        assert types.weight(place) == 1.0
