"""A real Slurm on the test hosts: its controller on the head, which is the login node too."""

import shlex
import shutil
from pathlib import Path

from hosts import ROOT, SHARED_AT, Hosts, wait_for

PROGRAMS = ("slurmctld", "slurmd", "sbatch")
CONFIGURATION = f"""\
ClusterName=hosts
SlurmctldHost=head
SlurmUser=root
AuthType=auth/none
CredType=cred/none
SwitchType=switch/none
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
StateSaveLocation=/tmp/slurmctld
SlurmdSpoolDir=/tmp/slurmd
SlurmctldLogFile={SHARED_AT}/slurm/slurmctld.log
SlurmdLogFile={SHARED_AT}/slurm/slurmd-%n.log
GresTypes=gpu
NodeName=w[1-2] CPUs=2 RealMemory=1000 Gres=gpu:1
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE
"""
# A device that is no GPU.
DEVICES = "NodeName=w[1-2] Name=gpu File=/dev/null\n"


def why_not() -> str:
    """Why there can be no Slurm here; empty if there can."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"{', '.join(missing)} must be installed (slurm-wlm)" if missing else ""


class Slurm:
    """Slurm, as a user of the login node meets it, with the project in a folder that all share."""

    def __init__(self, hosts: Hosts) -> None:
        """Starts it, and waits until both nodes are idle."""
        self._hosts = hosts
        own = hosts.shared / "slurm"
        own.mkdir()
        (own / "slurm.conf").write_text(CONFIGURATION, encoding="utf-8")
        (own / "gres.conf").write_text(DEVICES, encoding="utf-8")
        (own / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n", encoding="utf-8")
        self.project = hosts.shared / "project"
        self.project.mkdir()
        for name in (
            "orchestrator",
            "trainables",
            "search_spaces",
            "transfer_study",
            "deploy",
            ".venv",
        ):
            (self.project / name).symlink_to((ROOT / name).resolve())
        for host, program in (("head", "slurmctld"), ("w1", "slurmd"), ("w2", "slurmd")):
            self.run(program, host=host)
        wait_for("idle nodes", lambda: "idle w[1-2]" in self.run("sinfo --noheader"), 60)

    def run(self, command: str, *, host: str = "head") -> str:
        """Runs a command in the project's folder; what it printed.

        Raises:
            AssertionError: It failed.
        """
        there = f"export SLURM_CONF={SHARED_AT}/slurm/slurm.conf; cd {SHARED_AT}/project; {command}"
        done = self._hosts.run(host, there)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def submit(self, name: str, study: str, options: str = "", **variables: str) -> str:
        """Submits the study's job; its number."""
        given = " ".join(f"{key}={shlex.quote(value)}" for key, value in variables.items())
        command = f"env {given} sbatch --parsable --job-name={name} {options}"
        return self.run(f"{command} deploy/slurm.sbatch {study}").strip()

    def printed(self, name: str, job: str) -> str:
        """What a job has printed so far."""
        path = self.project / f"{name}-{job}.log"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def state(self, job: str) -> dict[str, str]:
        """What the controller knows of a job, by Slurm's own names."""
        found = self.run(f"scontrol --oneliner show job {job}")
        return dict(pair.partition("=")[::2] for pair in found.split() if "=" in pair)

    def wait_for_end(self, job: str, seconds: float) -> tuple[str, str]:
        """Waits for the end of a job; its state and exit code."""

        def ended() -> bool:
            return self.state(job)["JobState"] not in {"PENDING", "RUNNING", "COMPLETING"}

        wait_for(f"the end of job {job}", ended, seconds, every=1)
        state = self.state(job)
        return state["JobState"], state["ExitCode"]

    def keep_logs(self, logs: Path) -> None:
        """Copies what jobs and Slurm itself have written."""
        logs.mkdir(parents=True, exist_ok=True)
        for path in (*self.project.glob("*.log"), *(self._hosts.shared / "slurm").glob("*.log")):
            shutil.copy(path, logs)
