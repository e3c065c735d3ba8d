"""The deploy files, without a network: what Ray checks, and the mistakes that Ray lets through.

BROKEN changes a file for every rule of it, to show that the rule sees the mistake it is there for.
"""

import copy
import json
from pathlib import Path

import jsonschema
import pytest
from aws_rules import AWS_RULES
from deploy_rules import (
    AWS,
    ON_PREMISES,
    ON_PREMISES_RULES,
    REMOVED,
    ROOT,
    SHARED_RULES,
    TOKEN,
    Config,
    Place,
    broken,
    problems,
    read_config,
    without,
)

RULES = {AWS: AWS_RULES, ON_PREMISES: ON_PREMISES_RULES}


def image_of_all(types: Config, image: object) -> Config:
    changed = copy.deepcopy(types)
    for node_type in changed.values():
        node_type["node_config"]["ImageId"] = image
    return changed


HEAD = ("available_node_types", "head")
SPOT = ("available_node_types", "gpu_spot")
ON_DEMAND = ("available_node_types", "gpu_on_demand")
HEAD_START = ("head_start_ray_commands", 1)
WORKER_START = ("worker_start_ray_commands", 1)
MOUNTS = ("file_mounts",)
NODE = "node_config"
DISK = (NODE, "BlockDeviceMappings", 0, "Ebs")

BROKEN_ANYWHERE: list[tuple[str, Place, object]] = [
    ("there is no global min_workers", ("min_workers",), 2),
    ("token authentication is on", HEAD_START, without("RAY_AUTH_MODE=token ")),
    ("token authentication is on", WORKER_START, without("=token", "=disabled")),
    ("the token is readable", ("setup_commands", 0), "true"),
    ("trials run at normal niceness", WORKER_START, without("RAY_worker_niceness=0")),
    ("a stopped job has time", HEAD_START, without("RAY_JOB_STOP_WAIT_TIME_S=60")),
    ("the dashboard listens", HEAD_START, without("127.0.0.1", "0.0.0.0")),
    ("the dashboard listens", HEAD_START, without("--dashboard-host=127.0.0.1")),
    ("the head is given its autoscaling", HEAD_START, without("--autoscaling-config=", "--x=")),
    ("all that a node needs is mounted", (*MOUNTS, TOKEN), REMOVED),
    ("all that a node needs is mounted", (*MOUNTS, "~/study/trainables"), REMOVED),
    ("every mounted source exists", (*MOUNTS, "~/study/trainables"), "tranables"),
    ("no mount takes the whole folder", (*MOUNTS, "~/study/trainables"), "."),
    ("no mount takes the whole folder", (*MOUNTS, "~/study/trainables"), ".."),
    ("every command is valid bash", HEAD_START, lambda command: f"{command} # the head"),
    ("every command is valid bash", WORKER_START, lambda command: f"{command} '"),
    ("the environment comes from the lock", ("setup_commands", -1), "pip install ray"),
    ("the environment comes from the lock", ("head_setup_commands",), ["pip install boto3"]),
    ("a node whose CUDA does not work", ("worker_setup_commands",), REMOVED),
    ("a node whose CUDA does not work", ("worker_setup_commands", 0), without("cuda", "cpu")),
    ("a node without the shared folder", ("setup_commands", -2), "mkdir -p /mnt/study"),
]
BROKEN_ON_PREMISES: list[tuple[str, Place, object]] = [
    ("the head offers no device", HEAD_START, without("--num-cpus=0 ")),
    ("the head offers no device", HEAD_START, without("--num-gpus=0", "--num-gpus=1")),
    ("workers offer what Ray finds", WORKER_START, lambda command: f"{command} --num-gpus=8"),
    ("workers start nothing that", WORKER_START, without("--include-log-monitor=false")),
    ("agents have fixed ports", WORKER_START, without("--runtime-env-agent-port=8092")),
    ("no key of the provider", ("provider", "worker_ip"), ["10.0.0.1"]),
    ("every command is valid bash", ("setup_commands", 1), without("}")),
]
BROKEN_ON_AWS: list[tuple[str, Place, object]] = [
    ("the head offers no CPU", (*HEAD, "resources"), {}),
    ("the head offers no CPU", (*HEAD, "resources", "CPU"), 4),
    ("the machine of every node type exists", (*SPOT, NODE, "InstanceType"), "g6.xlage"),
    ("the machine of every node type exists", (*HEAD, NODE, "InstanceType"), REMOVED),
    ("every worker has one GPU", (*SPOT, NODE, "InstanceType"), "m6i.xlarge"),
    ("every worker has one GPU", (*SPOT, NODE, "InstanceType"), "g6.48xlarge"),
    ("every worker has one GPU", (*SPOT, "resources"), {"CPU": 4}),
    ("every worker has one GPU", (*ON_DEMAND, "resources", "GPU"), 0),
    ("every worker has one GPU", (*ON_DEMAND, "resources", "CPU"), 8),
    ("workers start from none", (*SPOT, "min_workers"), 1),
    ("the number of workers has a limit", ("max_workers",), REMOVED),
    ("the number of workers has a limit", (*SPOT, "max_workers"), 0),
    ("idle workers are ended", ("idle_timeout_minutes",), REMOVED),
    ("idle workers are ended", ("idle_timeout_minutes",), 600),
    ("spot machines are tried before", (*SPOT, "priority"), 0),
    ("spot machines are tried before", (*ON_DEMAND, "priority"), 20),
    ("stopped nodes are not kept", ("provider", "cache_stopped_nodes"), True),
    ("no disk outlives its node", (*SPOT, *DISK, "DeleteOnTermination"), False),
    ("the metadata service", (*HEAD, NODE, "MetadataOptions"), REMOVED),
    ("the metadata service", (*SPOT, NODE, "MetadataOptions", "HttpTokens"), "optional"),
    ("SSH is opened by a named group", (*SPOT, NODE, "SecurityGroupIds"), REMOVED),
    ("SSH is opened by a named group", (*HEAD, NODE, "SecurityGroupIds"), []),
    ("the head has the role", (*HEAD, NODE, "IamInstanceProfile"), REMOVED),
    ("the head has the role", (*SPOT, NODE, "IamInstanceProfile"), {"Name": "admin"}),
    ("every node names its image", (*SPOT, NODE, "ImageId"), REMOVED),
    ("every node names its image", (*SPOT, NODE, "ImageId"), "ami-00000000"),
    ("every node names its image", ("available_node_types",), lambda t: image_of_all(t, "None")),
    ("every node names its image", ("available_node_types",), lambda t: image_of_all(t, None)),
    ("no key of a node_config", (*SPOT, NODE, "InstanceMarketOption"), {}),
    ("no key of the provider", ("provider", "availability_zones"), "us-west-2a"),
    ("no key of the provider", ("provider", "security_group"), {"IpPermissions": []}),
    ("every command is valid bash", ("setup_commands", 1), without("}")),
    ("every command is valid bash", ("worker_setup_commands", 0), without("'")),
]
BROKEN = [
    *((name, *mistake) for name in RULES for mistake in BROKEN_ANYWHERE),
    *((AWS, *mistake) for mistake in BROKEN_ON_AWS),
    *((ON_PREMISES, *mistake) for mistake in BROKEN_ON_PREMISES),
]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home that holds a made-up token, seen from the project's folder."""
    token = tmp_path / ".ray" / "auth_token"
    token.parent.mkdir()
    token.write_text("made-up", encoding="utf-8")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(ROOT)
    return tmp_path


def schema() -> Config:
    import ray

    path = Path(ray.__file__).parent / "autoscaler" / "ray-schema.json"
    content: Config = json.loads(path.read_text(encoding="utf-8"))
    return content


@pytest.mark.parametrize("name", RULES)
def test_a_file_breaks_no_rule(name: str) -> None:
    assert problems(read_config(name), RULES[name]) == []


@pytest.mark.parametrize(("name", "rule", "path", "value"), BROKEN)
def test_a_mistake_is_seen(name: str, rule: str, path: Place, value: object) -> None:
    found = problems(broken(read_config(name), path, value), RULES[name])
    assert [text for text in found if text.startswith(rule)]


@pytest.mark.parametrize("name", RULES)
def test_every_rule_is_shown_to_see_its_mistake(name: str) -> None:
    starts = [rule for file, rule, _, _ in BROKEN if file == name]
    unseen = [rule for rule in RULES[name] if not any(rule.startswith(s) for s in starts)]
    assert unseen == []
    assert set(SHARED_RULES) <= set(RULES[name])


@pytest.mark.parametrize("name", RULES)
def test_a_file_fits_the_schema_of_ray_and_a_wrong_key_does_not(name: str) -> None:
    config = read_config(name)
    jsonschema.validate(config, schema())
    with pytest.raises(jsonschema.ValidationError, match="'setup_command' was unexpected"):
        jsonschema.validate({**config, "setup_command": []}, schema())


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("name", RULES)
def test_ray_accepts_a_file_and_finds_all_that_it_mounts(name: str) -> None:
    from ray.autoscaler._private.util import hash_runtime_conf, prepare_config, validate_config

    prepared = prepare_config(read_config(name))
    validate_config(prepared)
    runtime_hash, _ = hash_runtime_conf(prepared["file_mounts"], None, prepared)
    assert runtime_hash


@pytest.mark.usefixtures("home")
def test_the_autoscaler_reads_spot_first_from_none_and_a_head_without_cpu() -> None:
    from ray.autoscaler._private.util import prepare_config
    from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig

    prepared = prepare_config(read_config(AWS))
    types = AutoscalingConfig(prepared, skip_content_hash=True).get_node_type_configs()
    assert {name: (t.min_worker_nodes, t.priority) for name, t in types.items()} == {
        "head": (0, 0),
        "gpu_spot": (0, 10),
        "gpu_on_demand": (0, 0),
    }
    assert types["head"].resources == {"CPU": 0}


@pytest.mark.usefixtures("home")
def test_on_premises_all_workers_are_started_at_once() -> None:
    from ray.autoscaler._private.util import prepare_config

    prepared = prepare_config(read_config(ON_PREMISES))
    (worker,) = prepared["available_node_types"].values()
    assert (worker["min_workers"], worker["max_workers"]) == (2, 2)
    assert prepared["max_workers"] == 2


def test_the_page_opens_no_port_to_the_world() -> None:
    page = (ROOT / "docs" / "CLUSTER.md").read_text(encoding="utf-8")
    assert "authorize-security-group-ingress" in page
    assert "0.0.0.0/0" not in page
