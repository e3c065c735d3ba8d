"""deploy/slurm.sbatch without Slurm: its options, its rules, and what it does, step by step.

In the tests that run it, stand-ins take the places of srun, scontrol, ray and the study. The real
ones are met in `tests/cluster/test_slurm.py`.
"""

import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from slurm_rules import FILE, RULES

TEXT = FILE.read_text(encoding="utf-8")
BROKEN = [
    ("it is valid bash", "set -euo pipefail", "set -euo pipefail '"),
    ("one process of Ray", "--ntasks-per-node=1\n", "--ntasks-per-node=2\n"),
    ("one process of Ray", "#SBATCH --exclusive\n", ""),
    ("one process of Ray", "#SBATCH --mem=0\n", ""),
    ("the batch shell alone", "B:USR1@120", "USR1@120"),
    ("the batch shell alone", "B:USR1@120", "B:USR1@10"),
    ("it can be queued again", "#SBATCH --requeue\n", ""),
    ("it can be queued again", "#SBATCH --open-mode=append\n", ""),
    ("a lost node", "#SBATCH --no-kill\n", ""),
    ("a lost node", "--kill-on-bad-exit=0", ""),
    ("a task has all CPUs", ' --cpus-per-task="$SLURM_CPUS_PER_TASK"', ""),
    ("a task has all CPUs", '--num-cpus="$SLURM_CPUS_PER_TASK"', "--num-cpus=8"),
    ("GPUs are those", "${SLURM_GPUS_ON_NODE:-0}", "1"),
    ("ray takes", "--dashboard-host", "--dashbord-host"),
    ("ray takes", "--dashboard-host", "--include-dashboard=false --dashboard-host"),
    ("ray takes", "--dashboard-host", "--head --dashboard-host"),
    ("ray takes", '--min-nodes "$SLURM_JOB_NUM_NODES"', ""),
    ("the dashboard listens", "127.0.0.1", "0.0.0.0"),
    ("token authentication", "RAY_AUTH_MODE=token", "RAY_AUTH_MODE=disabled"),
    ("token authentication", "umask 077 && ", ""),
    ("token authentication", 'mkdir -m 700 "$job"', 'mkdir "$job"'),
    ("Ray's folder", "/tmp/study-$SLURM_JOB_ID", "/tmp/study"),
    ("Ray's folder", 'mkdir -m 700 "$RAY_TMPDIR"', 'mkdir -p "$RAY_TMPDIR"'),
    ("trials run at normal niceness", "RAY_worker_niceness=0 ", ""),
]
needs_slurm = pytest.mark.skipif(
    shutil.which("sbatch") is None, reason="sbatch must be installed (slurm-client)"
)


def problems(text: str) -> list[str]:
    return [rule for rule, holds in RULES.items() if not holds(text)]


def test_the_file_breaks_no_rule() -> None:
    assert problems(TEXT) == []


@pytest.mark.parametrize(("rule", "old", "new"), BROKEN)
def test_a_mistake_is_seen(rule: str, old: str, new: str) -> None:
    assert old in TEXT
    assert [found for found in problems(TEXT.replace(old, new)) if found.startswith(rule)]


def test_every_rule_is_shown_to_see_its_mistake() -> None:
    starts = [rule for rule, _, _ in BROKEN]
    assert [rule for rule in RULES if not any(map(rule.startswith, starts))] == []


@needs_slurm
@pytest.mark.parametrize(
    ("old", "new", "answer"),
    [
        ("", "", "Invalid generic resource"),  # read to its end: there is no cluster with GPUs here
        ("--mem=0", "--memory=0", "unrecognized option '--memory=0'"),
        ("24:00:00", "24h", "Invalid --time specification"),
        ("B:USR1@120", "B:USR3@120", "Invalid --signal specification"),
    ],
)
def test_slurms_own_parser_takes_the_options_and_refuses_a_wrong_one(
    old: str, new: str, answer: str, tmp_path: Path
) -> None:
    nowhere = tmp_path / "slurm.conf"
    nowhere.write_text(
        "ClusterName=none\nSlurmctldHost=localhost\nAuthType=auth/none\nCredType=cred/none\n"
        "NodeName=localhost\nPartitionName=main Nodes=localhost\n"
    )
    done = subprocess.run(
        ["sbatch", "--test-only"],
        input=TEXT.replace(old, new),
        env={**os.environ, "SLURM_CONF": str(nowhere)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer in done.stderr


STAND_INS = {
    # The first node alone: what srun gives a task, and the command behind the options.
    "srun": """while [ "$1" != bash ]; do shift; done
export SLURM_NODEID=0 SLURM_STEP_ID=0 SLURM_LAUNCH_NODE_IPADDR=127.0.0.1
exec "$@" > "${SLURM_STDOUTMODE:-/dev/stdout}" """,
    "scontrol": 'echo "$*" > asked',
    "scancel": "true",
    # As `ray symmetric-run` on the head: it runs what follows `--`; where Ray does not start, 0.
    "ray": """[ -e no-ray ] && exit 0
env > environment; stat -c '%a %n' "$RAY_TMPDIR" "$RAY_AUTH_TOKEN_PATH" > modes
while [ "$1" != -- ]; do shift; done; shift; "$@" """,
    "python": """case "$*" in
  *orchestrator.study*) shift 2; echo the study; printf '%s\\n' "$@" > arguments
    trap 'exit 143' TERM; echo $$ > begun
    [ -e wait ] && while :; do sleep 0.01; done; exit "$(cat code)" ;;
  -c*import\\ os*) [ ! -e no-cuda ] ;;
  *) exec python3 -S "$@" ;;
esac""",
}


@dataclass(frozen=True)
class Job:
    """A job that runs in a made-up project's folder."""

    place: Path

    def start(self, *arguments: str, **variables: str) -> "subprocess.Popen[str]":
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.place),
            "SLURM_JOB_ID": f"1{os.getpid()}",
            "SLURM_JOB_NAME": "first",
            "SLURM_JOB_NUM_NODES": "1",
            "SLURM_CPUS_PER_TASK": "2",
            **variables,
        }
        return subprocess.Popen(
            ["bash", str(FILE), *arguments],
            cwd=self.place,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str, **variables: str) -> tuple[int, str]:
        """Its exit code, and what it printed."""
        job = self.start(*arguments, **variables)
        printed, _ = job.communicate()
        return job.returncode, printed

    def write(self, name: str, text: str = "") -> None:
        path = self.place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def lines(self, name: str) -> list[str]:
        return (self.place / name).read_text(encoding="utf-8").splitlines()


@pytest.fixture
def job(awkward_path: Path) -> Job:
    job = Job(awkward_path)
    for name, text in STAND_INS.items():
        job.write(f".venv/bin/{name}", f"#!/usr/bin/env bash\n{text}\n")
        (awkward_path / ".venv" / "bin" / name).chmod(0o755)
    job.write("code", "0")
    return job


def test_the_study_gets_the_jobs_name_and_its_arguments_word_by_word(job: Job) -> None:
    assert job.run("--families", "all", "--set", "a=b c")[0] == 0
    address, *rest = job.lines("arguments")[1:]
    assert address.startswith("127.0.0.1:")
    results = str(job.place / "results")
    assert rest[:4] == ["--name", "first", "--results-dir", results]
    assert rest[4:] == ["--families", "all", "--set", "a=b c"]


def test_folder_and_token_are_closed_to_others_and_gone_at_the_end(job: Job) -> None:
    job.run()
    temporary, token = (line.partition(" ") for line in job.lines("modes"))
    assert (temporary[0], token[0]) == ("700", "600")
    assert not Path(temporary[2]).exists()
    assert not Path(token[2]).parent.exists()
    assert "RAY_AUTH_MODE=token" in job.lines("environment")


def test_a_cluster_that_the_user_has_elsewhere_is_not_taken(job: Job) -> None:
    job.run(RAY_ADDRESS="10.0.0.9:6379")
    assert not any(line.startswith("RAY_ADDRESS=") for line in job.lines("environment"))


@pytest.mark.parametrize("code", [0, 1, 2, 3])
def test_the_studys_exit_code_is_the_jobs(job: Job, code: int) -> None:
    job.write("code", str(code))
    assert job.run()[0] == code


def test_a_ray_that_did_not_start_is_no_success(job: Job) -> None:
    job.write("no-ray")  # where `ray symmetric-run` ends with 0
    code, printed = job.run()
    assert code == 3
    assert printed.startswith("slurm.sbatch: Ray did not start on all nodes, see first-")


def test_what_the_study_prints_is_the_jobs(job: Job) -> None:
    assert job.run() == (0, "the study\n")


def test_a_gpu_that_does_not_compute_ends_the_job_in_a_line(job: Job) -> None:
    job.write("no-cuda")
    code, printed = job.run()
    assert code == 3
    assert printed.startswith("slurm.sbatch: torch must compute on every GPU of every node")
    assert not (job.place / "begun").exists()


def test_elsewhere_than_in_the_project_it_says_so(job: Job) -> None:
    shutil.rmtree(job.place / ".venv")
    code, printed = job.run()
    assert (code, printed.count("\n")) == (3, 1)
    assert "must be submitted where .venv/bin/ray is" in printed


@pytest.mark.parametrize(
    ("restarts", "begun", "arguments", "resumes"),
    [
        ("0", True, (), False),  # the study refuses the name itself
        ("1", False, (), False),
        ("1", True, ("--warm-start", "results/earlier"), True),
        ("1", True, ("--resume", "first", "--trials", "64"), False),  # as it was asked
    ],
)
def test_queued_again_it_goes_on_with_what_it_has_begun(
    job: Job, restarts: str, begun: bool, arguments: tuple[str, ...], resumes: bool
) -> None:
    if begun:
        job.write("results/first/study.json")
    job.run(*arguments, SLURM_RESTART_COUNT=restarts)
    given = job.lines("arguments")[2:]
    where = ["--results-dir", str(job.place / "results")]
    asked = ["--name", "first", *where, *arguments]
    assert given == (["--resume", "first", *where] if resumes else asked)


@pytest.mark.parametrize(
    ("number", "queued"), [(signal.SIGUSR1, True), (signal.SIGINT, False)], ids=["time", "user"]
)
def test_a_signal_ends_the_study_in_order_and_the_end_of_the_time_queues_it_again(
    job: Job, number: signal.Signals, queued: bool
) -> None:
    job.write("wait")
    running = job.start()
    while not (job.place / "begun").exists() or not job.lines("begun"):
        assert running.poll() is None, running.communicate()
        time.sleep(0.01)
    running.send_signal(number)
    running.communicate()
    assert running.returncode == 143
    assert (job.place / "asked").exists() is queued
    if queued:
        assert job.lines("asked") == [f"requeue 1{os.getpid()}"]
