"""deploy/set_up_node.sh, in a made-up home without a network: what it installs, and when not."""

import re
import subprocess
from pathlib import Path

import pytest
from deploy_rules import MOUNTS, ROOT, SET_UP

TEXT = SET_UP.read_text(encoding="utf-8")
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A node's home as the mounts leave it."""
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "requirements.lock").write_text(LOCK, encoding="utf-8")
    (tmp_path / ".bashrc").write_text("# the user's own line\n", encoding="utf-8")
    return tmp_path


def run(home: Path, command: str) -> None:
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    subprocess.run(["bash", "-c", command], env=environment, cwd=home, check=True)


def made(home: Path) -> Path:
    """Notes what the environment was made from, as the script does at its end."""
    path = home / "study-env.made"
    path.write_text(TEXT + LOCK, encoding="utf-8")
    return path


def test_every_install_checks_the_hashes_of_the_lock() -> None:
    commands = TEXT.replace("\\\n", " ").splitlines()
    installs = [c for c in commands if "pip install" in c and not c.startswith("#")]
    assert len(installs) == 2
    assert all(re.search(r"--require-hashes -r \S+", c) for c in installs)
    assert installs[1].endswith("-r ~/study-packages.txt")


def test_all_nodes_get_one_exact_python_outside_the_mounts() -> None:
    (version,) = re.findall(r"^python=(\S+)$", TEXT, re.MULTILINE)
    major, minor, patch = map(int, version.split("."))
    assert (major, minor) >= (3, 11)
    assert patch > 0
    assert "environment=~/study-env " in TEXT
    assert not any("~/study-env/".startswith(f"{mount}/") for mount in MOUNTS)


def test_the_installer_is_cut_out_of_the_lock_and_the_environment_gets_the_rest(home: Path) -> None:
    (cut,) = re.findall(r"^awk .*?requirements.lock\"$", TEXT, re.MULTILINE | re.DOTALL)
    run(home, f"study=~/study; {cut}")
    uv, rest = (
        (home / f"study-{name}.txt").read_text(encoding="utf-8") for name in ("uv", "packages")
    )
    assert uv in LOCK
    assert LOCK.replace(uv, "") == rest
    assert uv.startswith("uv==")
    assert uv.count("==") == 1
    assert uv.count("--hash=sha256:") > 1


def test_with_the_same_lock_it_installs_nothing_and_writes_the_profile_once(home: Path) -> None:
    made(home)
    run(home, f"bash '{SET_UP}'")
    run(home, f"bash '{SET_UP}'")
    own, added = (home / ".bashrc").read_text(encoding="utf-8").splitlines()
    assert own == "# the user's own line"
    assert added == (
        'export PATH="$HOME/study-env/bin:$PATH" PYTHONPATH="$HOME/study" RAY_AUTH_MODE=token'
    )
    assert not (home / "study-uv.txt").exists()


def test_with_another_lock_it_installs_again_and_a_failure_leaves_nothing_done(home: Path) -> None:
    """There is no pip in this made-up system, so that nothing is installed for real."""
    note = made(home)
    note.write_text(TEXT + LOCK + "another==1.0\n", encoding="utf-8")
    script = TEXT.replace("/usr/bin/python3 -m pip", "false")
    (home / "set_up_node.sh").write_text(script, encoding="utf-8")
    with pytest.raises(subprocess.CalledProcessError):
        run(home, "bash set_up_node.sh")
    assert (home / "study-uv.txt").exists()
    assert note.read_text(encoding="utf-8").endswith("another==1.0\n")


def test_the_lock_has_what_the_head_needs_to_talk_to_aws() -> None:
    assert re.search(r"^boto3==", LOCK, re.MULTILINE), "run `make lock`"
