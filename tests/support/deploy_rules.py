"""What must hold of every deploy file, on AWS and on premises, that Ray itself lets through.

A rule is a sentence and a function of the file's content; `test_deploy_files.py` breaks each.
"""

import copy
import functools
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
AWS, ON_PREMISES = "cluster.yaml", "deploy/on-premises.yaml"
SET_UP = ROOT / "deploy" / "set_up_node.sh"
TOKEN = "~/.ray/auth_token"
# What each node needs: where it lies there, and where it comes from.
MOUNTS = {
    TOKEN: TOKEN,
    "~/study/orchestrator": "orchestrator",
    "~/study/trainables": "trainables",
    "~/study/transfer_study": "transfer_study",
    "~/study/search_spaces": "search_spaces",
    "~/study/requirements.lock": "requirements.lock",
    "~/study/set_up_node.sh": "deploy/set_up_node.sh",
}
COMMAND_LISTS = (
    "initialization_commands",
    "setup_commands",
    "head_setup_commands",
    "worker_setup_commands",
    "head_start_ray_commands",
    "worker_start_ray_commands",
)

Config = dict[str, Any]
Rules = Mapping[str, Callable[[Config], bool]]
Place = tuple[str | int, ...]
REMOVED = object()


def read_config(name: str) -> Config:
    config: Config = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    return config


def problems(config: Config, rules: Rules) -> list[str]:
    """The rules that the configuration breaks."""
    return [rule for rule, holds in rules.items() if not holds(config)]


def broken(config: Config, path: Place, value: object) -> Config:
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


def commands(config: Config) -> Iterator[str]:
    for name in COMMAND_LISTS:
        yield from config.get(name, [])


def ray_starts(config: Config) -> list[str]:
    """The command that starts Ray on the head, and that on workers."""
    starts = ("head_start_ray_commands", "worker_start_ray_commands")
    return [" ".join(c for c in config[name] if "ray start" in c) for name in starts]


def set_before(start: str, setting: str) -> bool:
    return re.search(rf"export [^;]*\b{setting}\b", start.partition("ray start")[0]) is not None


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


def installs_nothing_itself(config: Config) -> bool:
    """Whether the environment is left to `set_up_node.sh`, which installs from the lock alone."""
    runs = [command for command in config["setup_commands"] if "set_up_node.sh" in command]
    others = re.findall(r"pip install|uv venv|conda ", "\n".join(commands(config)))
    return runs == ["bash ~/study/set_up_node.sh"] and not others


CUDA_WORKS = """~/study-env/bin/python -c 'import torch; torch.zeros(1, device="cuda")'"""
SHARED_RULES: Rules = {
    "there is no global min_workers, which Ray drops silently": lambda c: "min_workers" not in c,
    "token authentication is on in both start commands": lambda c: all(
        set_before(start, "RAY_AUTH_MODE=token") for start in ray_starts(c)
    ),
    "the token is readable by its owner only": lambda c: (
        "chmod 700 ~/.ray && chmod 600 ~/.ray/auth_token" in c["setup_commands"]
    ),
    "trials run at normal niceness": lambda c: all(
        set_before(start, "RAY_worker_niceness=0") for start in ray_starts(c)
    ),
    "a stopped job has time to write its rows": lambda c: set_before(
        ray_starts(c)[0], "RAY_JOB_STOP_WAIT_TIME_S=60"
    ),
    "the dashboard listens on 127.0.0.1 only": lambda c: (
        re.findall(r"--dashboard-host\S*", " ".join(ray_starts(c)))
        == ["--dashboard-host=127.0.0.1"]
    ),
    "the head is given its autoscaling configuration": lambda c: (
        "--autoscaling-config=~/ray_bootstrap_config.yaml" in ray_starts(c)[0]
    ),
    "all that a node needs is mounted, and nothing else": lambda c: c.get("file_mounts") == MOUNTS,
    "every mounted source exists": lambda c: all(source.exists() for source in sources(c)),
    "no mount takes the whole folder": lambda c: (
        not any(ROOT.is_relative_to(s) for s in sources(c))
    ),
    "every command is valid bash": lambda c: all(map(is_bash, commands(c))),
    "the environment comes from the lock": installs_nothing_itself,
    "a node whose CUDA does not work does not join": lambda c: (
        c.get("worker_setup_commands") == [CUDA_WORKS]
    ),
    "a node without the shared folder does not join": lambda c: any(
        command.startswith("mountpoint -q /mnt/study ||") for command in c["setup_commands"]
    ),
}

ON_PREMISES_RULES: Rules = {
    **SHARED_RULES,
    "the head offers no device, so that no trial lands there": lambda c: (
        re.findall(r"--num-\S+", ray_starts(c)[0]) == ["--num-cpus=0", "--num-gpus=0"]
    ),
    "workers offer what Ray finds": lambda c: "--num-" not in ray_starts(c)[1],
    "workers start nothing that outlives the head": lambda c: (
        "--include-log-monitor=false" in ray_starts(c)[1]
    ),
    "agents have fixed ports, which a slow machine needs": lambda c: all(
        len(re.findall(r"--(?:metrics-export|\S+agent\S*)-port=\d+", start)) == 4
        for start in ray_starts(c)
    ),
    "no key of the provider is misspelt": lambda c: (
        set(c["provider"]) == {"type", "head_ip", "worker_ips"}
    ),
}
