"""cluster.yaml, without a network: what Ray checks, and the mistakes that Ray lets through.

Each rule stands in RULES under a sentence; BROKEN changes the file for every rule, to show that the
rule sees the mistake it is there for.
"""

import copy
import functools
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
TOKEN = "~/.ray/auth_token"
REMOVED = object()
COMMAND_LISTS = (
    "setup_commands",
    "head_setup_commands",
    "worker_setup_commands",
    "head_start_ray_commands",
    "worker_start_ray_commands",
)
NODE_CONFIG_KEYS = {
    "InstanceType",
    "ImageId",
    "SecurityGroupIds",
    "SubnetIds",
    "MetadataOptions",
    "BlockDeviceMappings",
    "InstanceMarketOptions",
    "IamInstanceProfile",
    "KeyName",
    "TagSpecifications",
}

Config = dict[str, Any]


def read_config() -> Config:
    return yaml.safe_load((ROOT / "cluster.yaml").read_text(encoding="utf-8"))


def worker_types(config: Config) -> list[Config]:
    types = config["available_node_types"]
    return [types[name] for name in types if name != config["head_node_type"]]


def node_configs(config: Config) -> list[Config]:
    return [node_type["node_config"] for node_type in config["available_node_types"].values()]


def commands(config: Config, *lists: str) -> Iterator[str]:
    for name in lists:
        yield from config.get(name, [])


def ray_starts(config: Config) -> list[str]:
    starts = ("head_start_ray_commands", "worker_start_ray_commands")
    return [" ".join(c for c in commands(config, name) if "ray start" in c) for name in starts]


def set_before_ray_start(config: Config, setting: str) -> bool:
    return all(
        re.search(rf"export [^;]*\b{setting}\b", start.split("ray start")[0])
        for start in ray_starts(config)
    )


def spot_priorities(config: Config, *, spot: bool) -> list[int]:
    return [
        node_type.get("priority", 0)
        for node_type in worker_types(config)
        if ("InstanceMarketOptions" in node_type["node_config"]) is spot
    ]


def spot_goes_first(config: Config) -> bool:
    spot, on_demand = spot_priorities(config, spot=True), spot_priorities(config, spot=False)
    return bool(spot) and bool(on_demand) and min(spot) > max(on_demand)


def is_id(kind: str, *ids: object) -> bool:
    """Whether these are AWS ids of the kind, or the place left for the user to fill in."""
    return all(re.fullmatch(f"{kind}-(FILL_IN|[0-9a-f]{{8,17}})", str(an_id)) for an_id in ids)


def one_named_image(config: Config) -> bool:
    images = {node.get("ImageId") for node in node_configs(config)}
    return len(images) == 1 and is_id("ami", *images)


def sources(config: Config) -> list[Path]:
    """Where the mounts come from, as full paths; the token is left out, each user makes it."""
    mounts = config.get("file_mounts", {})
    return [(ROOT / source).resolve() for source in mounts.values() if source != TOKEN]


@functools.cache
def is_bash(command: str) -> bool:
    """Whether bash can read the command, alone and in the brackets that the launcher adds."""
    script = f"{command}\n({command})\n"
    check = subprocess.run(
        ["bash", "-n"], input=script, text=True, capture_output=True, check=False
    )
    return check.returncode == 0


def installs_are_pinned(config: Config) -> bool:
    """Whether each `pip install` checks hashes or installs only us, and one reads the lock."""
    setup = list(commands(config, *COMMAND_LISTS[:3]))
    installs = [step for c in setup for step in re.split(r"&&|;|\|\|", c) if "pip install" in step]
    pinned = ("--require-hashes -r ", "--no-build-isolation --no-deps -e ~/study")
    from_lock = any(re.search(r"--require-hashes -r \S*requirements\.lock", s) for s in installs)
    return from_lock and all(any(text in step for text in pinned) for step in installs)


def environment_outside_mounts(config: Config) -> bool:
    created = re.findall(r"uv venv .*?(\S+)$", "\n".join(config["setup_commands"]), re.MULTILINE)
    inside = [e for e in created for m in config["file_mounts"] if f"{e}/".startswith(f"{m}/")]
    return bool(created) and not inside


def pinned_python(config: Config) -> bool:
    versions = re.findall(r"--python 3\.(\d+)\.\d+\b", "\n".join(config["setup_commands"]))
    return len(versions) == 1 and int(versions[0]) >= 11


RULES: dict[str, Callable[[Config], bool]] = {
    "there is no global min_workers, which Ray drops silently": lambda c: "min_workers" not in c,
    "the head offers no CPU, so that no trial lands there": lambda c: (
        c["available_node_types"][c["head_node_type"]]["resources"] == {"CPU": 0}
    ),
    "every worker has a GPU": lambda c: all(
        t["resources"].get("GPU", 0) >= 1 for t in worker_types(c)
    ),
    "workers start from none": lambda c: all(t.get("min_workers") == 0 for t in worker_types(c)),
    "the number of workers has a limit": lambda c: (
        c.get("max_workers", 0) >= 1 and all(t.get("max_workers", 0) >= 1 for t in worker_types(c))
    ),
    "idle workers are ended within half an hour": lambda c: (
        0 < c.get("idle_timeout_minutes", 0) <= 30
    ),
    "spot machines are tried before those on demand": spot_goes_first,
    "stopped nodes are not kept": lambda c: c["provider"].get("cache_stopped_nodes") is False,
    "the metadata service asks for a token": lambda c: all(
        n.get("MetadataOptions", {}).get("HttpTokens") == "required" for n in node_configs(c)
    ),
    "SSH is opened by a named group, not to the world by Ray": lambda c: all(
        is_id("sg", *(n.get("SecurityGroupIds") or [None])) for n in node_configs(c)
    ),
    "every node names its image, and all the same": one_named_image,
    "no key of a node_config is misspelt": lambda c: all(
        NODE_CONFIG_KEYS.issuperset(n) for n in node_configs(c)
    ),
    "token authentication is on in both start commands": lambda c: set_before_ray_start(
        c, "RAY_AUTH_MODE=token"
    ),
    "the token is mounted where Ray looks for it": lambda c: (
        c.get("file_mounts", {}).get(TOKEN) == TOKEN
    ),
    "trials run at normal niceness": lambda c: set_before_ray_start(c, "RAY_worker_niceness=0"),
    "the dashboard listens on 127.0.0.1 only": lambda c: (
        re.findall(r"--dashboard-host\S*", " ".join(ray_starts(c)))
        == ["--dashboard-host=127.0.0.1"]
    ),
    "the head is given its autoscaling configuration": lambda c: (
        "--autoscaling-config=~/ray_bootstrap_config.yaml" in ray_starts(c)[0]
    ),
    "every mounted source exists": lambda c: all(source.exists() for source in sources(c)),
    "no mount takes the whole folder": lambda c: (
        not any(ROOT.is_relative_to(s) for s in sources(c))
    ),
    "every command is valid bash": lambda c: all(map(is_bash, commands(c, *COMMAND_LISTS))),
    "set-up installs from the lock, with hashes": installs_are_pinned,
    "the environment is outside the mounts": environment_outside_mounts,
    "all nodes get one exact Python, 3.11 or newer": pinned_python,
    "a node without the shared folder does not join": lambda c: any(
        command.startswith("mountpoint -q /mnt/study ||") for command in c["setup_commands"]
    ),
}


def problems(config: Config) -> list[str]:
    """The rules that the configuration breaks."""
    return [rule for rule, holds in RULES.items() if not holds(config)]


def broken(config: Config, path: tuple[str | int, ...], value: object) -> Config:
    """A copy with another value at the path, or none; a function changes the old value."""
    changed = copy.deepcopy(config)
    parent: Any = changed
    for key in path[:-1]:
        parent = parent[key]
    if value is REMOVED:
        del parent[path[-1]]
    else:
        parent[path[-1]] = value(parent[path[-1]]) if callable(value) else value
    return changed


def without(text: str, instead: str = "") -> Callable[[str], str]:
    def change(command: str) -> str:
        assert text in command, f"{text!r} is not in {command!r}: the mutation changes nothing"
        return command.replace(text, instead)

    return change


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

BROKEN: list[tuple[str, tuple[str | int, ...], object]] = [
    ("there is no global min_workers", ("min_workers",), 2),
    ("the head offers no CPU", (*HEAD, "resources"), {}),
    ("the head offers no CPU", (*HEAD, "resources", "CPU"), 4),
    ("every worker has a GPU", (*SPOT, "resources"), {"CPU": 4}),
    ("every worker has a GPU", (*ON_DEMAND, "resources", "GPU"), 0),
    ("workers start from none", (*SPOT, "min_workers"), 1),
    ("the number of workers has a limit", ("max_workers",), REMOVED),
    ("the number of workers has a limit", (*SPOT, "max_workers"), 0),
    ("idle workers are ended", ("idle_timeout_minutes",), REMOVED),
    ("idle workers are ended", ("idle_timeout_minutes",), 600),
    ("spot machines are tried before", (*SPOT, "priority"), 0),
    ("spot machines are tried before", (*ON_DEMAND, "priority"), 20),
    ("stopped nodes are not kept", ("provider", "cache_stopped_nodes"), True),
    ("stopped nodes are not kept", ("provider", "cache_stopped_nodes"), REMOVED),
    ("the metadata service", (*HEAD, "node_config", "MetadataOptions"), REMOVED),
    ("the metadata service", (*SPOT, "node_config", "MetadataOptions", "HttpTokens"), "optional"),
    ("SSH is opened by a named group", (*SPOT, "node_config", "SecurityGroupIds"), REMOVED),
    ("SSH is opened by a named group", (*HEAD, "node_config", "SecurityGroupIds"), []),
    ("every node names its image", (*SPOT, "node_config", "ImageId"), REMOVED),
    ("every node names its image", (*SPOT, "node_config", "ImageId"), "ami-00000000"),
    ("every node names its image", ("available_node_types",), lambda t: image_of_all(t, "None")),
    ("every node names its image", ("available_node_types",), lambda t: image_of_all(t, None)),
    ("no key of a node_config", (*SPOT, "node_config", "InstanceMarketOption"), {}),
    ("token authentication is on", HEAD_START, without("RAY_AUTH_MODE=token ")),
    ("token authentication is on", WORKER_START, without("=token", "=disabled")),
    ("the token is mounted", (*MOUNTS, TOKEN), REMOVED),
    ("trials run at normal niceness", WORKER_START, without("RAY_worker_niceness=0")),
    ("the dashboard listens", HEAD_START, without("127.0.0.1", "0.0.0.0")),
    ("the dashboard listens", HEAD_START, without("--dashboard-host=127.0.0.1")),
    ("the head is given its autoscaling", HEAD_START, without("--autoscaling-config=", "--x=")),
    ("every mounted source exists", (*MOUNTS, "~/study/tranables"), "tranables"),
    ("no mount takes the whole folder", (*MOUNTS, "~/study"), "."),
    ("no mount takes the whole folder", (*MOUNTS, "~/all"), ".."),
    ("every command is valid bash", ("setup_commands", 1), without("}")),
    ("every command is valid bash", ("worker_setup_commands", 0), without("'")),
    ("every command is valid bash", HEAD_START, lambda command: f"{command} # the head"),
    ("set-up installs from the lock", ("setup_commands", 6), without("--require-hashes ")),
    ("set-up installs from the lock", ("setup_commands", 6), without(".lock", ".txt")),
    ("set-up installs from the lock", ("setup_commands", 7), without("--no-deps ")),
    ("set-up installs from the lock", ("head_setup_commands", 1), "pip install boto3"),
    (
        "the environment is outside",
        ("setup_commands", 5),
        without("~/study-env", "~/study/trainables/env"),
    ),
    ("all nodes get one exact Python", ("setup_commands", 5), without("3.11.18", "3.11")),
    ("all nodes get one exact Python", ("setup_commands", 5), without("3.11.18", "3.10.12")),
    ("a node without the shared folder", ("setup_commands", 2), "mkdir -p /mnt/study"),
]


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """The file as Ray prepares it, in a home that holds a made-up token."""
    from ray.autoscaler._private.util import prepare_config

    token = tmp_path / ".ray" / "auth_token"
    token.parent.mkdir()
    token.write_text("made-up", encoding="utf-8")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(ROOT)
    return prepare_config(read_config())


def test_the_file_breaks_no_rule() -> None:
    assert problems(read_config()) == []


@pytest.mark.parametrize(("rule", "path", "value"), BROKEN)
def test_a_mistake_is_seen(rule: str, path: tuple[str | int, ...], value: object) -> None:
    (found,) = problems(broken(read_config(), path, value))
    assert found.startswith(rule)


def test_every_rule_is_shown_to_see_its_mistake() -> None:
    shown = [rule for rule in RULES if any(rule.startswith(start) for start, _, _ in BROKEN)]
    assert shown == list(RULES)


def test_the_file_fits_the_schema_of_ray() -> None:
    import ray

    schema = Path(ray.__file__).parent / "autoscaler" / "ray-schema.json"
    jsonschema.validate(read_config(), json.loads(schema.read_text(encoding="utf-8")))


def test_ray_accepts_the_file_and_finds_all_that_it_mounts(prepared: Config) -> None:
    from ray.autoscaler._private.util import hash_runtime_conf, validate_config

    validate_config(prepared)
    runtime_hash, _ = hash_runtime_conf(prepared["file_mounts"], None, prepared)
    assert runtime_hash


def test_the_autoscaler_reads_spot_first_from_none_and_a_head_without_cpu(prepared: Config) -> None:
    from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig

    types = AutoscalingConfig(prepared, skip_content_hash=True).get_node_type_configs()
    assert {name: (t.min_worker_nodes, t.priority) for name, t in types.items()} == {
        "head": (0, 0),
        "gpu_spot": (0, 10),
        "gpu_on_demand": (0, 0),
    }
    assert types["head"].resources == {"CPU": 0}


def run_at_home(command: str, home: Path) -> None:
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    subprocess.run(["bash", "-c", command], env=environment, cwd=home, check=True)


def test_the_installer_is_taken_from_the_lock_with_all_its_hashes(tmp_path: Path) -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "requirements.lock").write_text(lock, encoding="utf-8")
    (cut,) = [c for c in read_config()["setup_commands"] if c.startswith("awk")]
    run_at_home(cut, tmp_path)
    text = (tmp_path / "study-uv.txt").read_text(encoding="utf-8")
    assert text in lock
    assert text.startswith("uv==")
    assert text.count("==") == 1
    assert text.count("--hash=sha256:") == text.count("\n") - 1 > 1


def test_the_shell_profile_is_written_once_though_set_up_runs_twice(tmp_path: Path) -> None:
    (tmp_path / ".bashrc").write_text("# the user's own line\n", encoding="utf-8")
    (write,) = [c for c in read_config()["setup_commands"] if ".bashrc" in c]
    run_at_home(write, tmp_path)
    run_at_home(write, tmp_path)
    own, added = (tmp_path / ".bashrc").read_text(encoding="utf-8").splitlines()
    assert own == "# the user's own line"
    assert added == 'export PATH="$HOME/study-env/bin:$PATH" RAY_AUTH_MODE=token'


def test_the_token_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    token = tmp_path / ".ray" / "auth_token"
    token.parent.mkdir()
    token.write_text("made-up", encoding="utf-8")
    run_at_home(read_config()["setup_commands"][0], tmp_path)
    assert token.stat().st_mode & 0o777 == 0o600
    assert token.parent.stat().st_mode & 0o777 == 0o700
