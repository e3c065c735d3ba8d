"""What must hold of deploy/slurm.sbatch that neither bash nor Slurm checks.

A rule is a sentence and a function of the file's text; `test_slurm.py` breaks each.
"""

import re
import shlex
from collections.abc import Callable, Mapping

import click
from deploy_rules import ROOT, is_bash

FILE = ROOT / "deploy" / "slurm.sbatch"


def options(text: str) -> dict[str, str]:
    """The options in the file: name to value, empty where it takes none."""
    return dict(re.findall(r"^#SBATCH --([\w-]+)=?(\S*)$", text, re.MULTILINE))


def command(text: str, start: str) -> list[str]:
    """The words of the command that begins so, up to the end of its last line."""
    joined = text.replace("\\\n", " ")
    found = re.search(rf"^ +({start} .*?)(?: \|\| code=\$\?)?$", joined, re.MULTILINE)
    return shlex.split(found[1]) if found else []


def arguments_of_ray(text: str) -> list[str]:
    """What `ray symmetric-run` is given before the study's command, variables filled in."""
    words = command(text, "ray symmetric-run")[2:]
    before = words[: words.index("--")] if "--" in words else words
    filled = ("10.0.0.1:1234" if word == "$address" else word for word in before)
    return [re.sub(r"\$\{?SLURM_\w+(:-\d+)?\}?", "2", word) for word in filled]


def ray_takes_its_arguments(text: str) -> bool:
    """Whether `ray symmetric-run` takes them, and `ray start` on head and worker what is left."""
    from ray.scripts import symmetric_run
    from ray.scripts.scripts import start

    try:
        own = symmetric_run.symmetric_run.make_context("run", arguments_of_ray(text))
        left = symmetric_run.curate_and_validate_ray_start_args(arguments_of_ray(text))
        for role in (["--head", "--port=1234"], ["--address=10.0.0.1:1234", "--block"]):
            given = start.make_context("start", [*role, *left]).params
            if "--head" not in role and given["include_dashboard"] is not None:
                return False
    except (click.ClickException, AttributeError):
        return False
    return own.params["address"] is not None and own.params["min_nodes"] == 2


RULES: Mapping[str, Callable[[str], bool]] = {
    "it is valid bash": is_bash,
    "one process of Ray runs on a node, and has it for itself": lambda text: (
        options(text).get("ntasks-per-node") == "1"
        and "exclusive" in options(text)
        and options(text).get("mem") == "0"
    ),
    "the batch shell alone hears a minute or more before the end of the time": lambda text: (
        re.fullmatch(r"B:USR1@([6-9]\d|\d{3,})", options(text).get("signal", "")) is not None
    ),
    "it can be queued again, and its output is kept": lambda text: (
        "requeue" in options(text) and options(text).get("open-mode") == "append"
    ),
    "a lost node ends neither job nor step": lambda text: (
        "no-kill" in options(text)
        and {"--no-kill", "--kill-on-bad-exit=0"} <= set(command(text, "srun"))
    ),
    "a task has all CPUs that Ray is told of": lambda text: (
        "--cpus-per-task=$SLURM_CPUS_PER_TASK" in command(text, "srun")
        and "--num-cpus=$SLURM_CPUS_PER_TASK" in command(text, "ray symmetric-run")
    ),
    "GPUs are those that Slurm gives on the node": lambda text: (
        "--num-gpus=${SLURM_GPUS_ON_NODE:-0}" in command(text, "ray symmetric-run")
    ),
    "ray takes what it is given": ray_takes_its_arguments,
    "the dashboard listens on 127.0.0.1 only": lambda text: (
        "--dashboard-host=127.0.0.1" in command(text, "ray symmetric-run")
    ),
    "token authentication is on, and nobody else can read the token": lambda text: (
        "export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=" in text
        and 'mkdir -m 700 "$job"' in text
        and re.search(r"\(umask 077 && .* > \"\$job/auth_token\"\)", text) is not None
    ),
    "Ray's folder is the job's and closed to others": lambda text: (
        "export RAY_TMPDIR=/tmp/study-$SLURM_JOB_ID " in text
        and 'mkdir -m 700 "$RAY_TMPDIR" || exit' in text
    ),
    "trials run at normal niceness": lambda text: "export RAY_worker_niceness=0 " in text,
}
