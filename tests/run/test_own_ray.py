"""A Ray that a study starts itself: its folder and token, and whose cluster it takes as found."""

import os
import stat
from pathlib import Path

import pytest
from rich.console import Console

from orchestrator.run import cluster, own_ray
from orchestrator.run.infrastructure import InfrastructureError


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Home and temporary folder of this user, and no word of a cluster or a token."""
    for name in [name for name in os.environ if name.startswith("RAY_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(own_ray, "LONGEST_TEMPORARY_FOLDER", 250)  # pytest's own are long
    monkeypatch.setenv("TMPDIR", "t")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def write_address(place: Path, address: str) -> Path:
    file = place / "t" / "ray" / "ray_current_cluster"
    file.parent.mkdir(parents=True)
    file.write_text(f"{address}\n")
    return file


def test_the_session_lies_in_a_folder_of_the_users_own_also_below_ray_tmpdir(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"ray-{os.getuid()}"
    assert own_ray.folder() == place / "t" / name / "ray"
    assert mode(place / "t" / name) == 0o700
    monkeypatch.setenv("RAY_TMPDIR", "r")
    assert own_ray.folder() == place / "r" / name / "ray"
    assert mode(place / "r" / name) == 0o700


def test_a_folder_that_others_may_enter_is_refused_in_a_line(place: Path) -> None:
    open_to_all = place / "t" / f"ray-{os.getuid()}"
    open_to_all.mkdir(parents=True)
    open_to_all.chmod(0o755)
    with pytest.raises(InfrastructureError, match=r"must be this user's alone \(mode 700\)"):
        cluster.connect("local", Console(quiet=True))
    open_to_all.rmdir()
    open_to_all.symlink_to(place)
    with pytest.raises(PermissionError, match="must be this user's alone"):
        own_ray.folder()


def test_a_folder_whose_disk_is_full_is_refused_in_a_line(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_ray, "LEAST_FREE", 2**60)
    with pytest.raises(OSError, match=rf"are free in {place}/t/ray-\d+; make space"):
        own_ray.folder()


def test_a_machine_that_does_not_reach_itself_is_refused_in_a_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(own_ray, "LOOPBACK", "192.0.2.1")  # nobody's
    with pytest.raises(InfrastructureError, match=r"^Ray must reach this machine at 192\.0\.2\.1"):
        cluster.connect("local", Console(quiet=True))


def test_a_long_ray_tmpdir_is_refused_and_a_long_tmpdir_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TMPDIR", "t" * 250)
    assert own_ray.folder() == Path("/tmp", f"ray-{os.getuid()}", "ray")
    monkeypatch.setenv("RAY_TMPDIR", "r" * 250)
    with pytest.raises(OSError, match="RAY_TMPDIR must be short"):
        own_ray.folder()


def test_a_token_is_made_that_its_user_alone_can_read_and_stays(place: Path) -> None:
    before = os.umask(0)
    try:
        assert own_ray.keep_token() == ""
    finally:
        os.umask(before)
    token = place / "home" / ".ray" / "auth_token"
    written = token.read_text()
    assert mode(token) == 0o600
    assert len(written) == 64
    assert own_ray.keep_token() == ""
    assert token.read_text() == written
    assert [path.name for path in token.parent.iterdir()] == ["auth_token"]


def test_a_token_that_others_can_read_is_closed_and_that_is_said(place: Path) -> None:
    token = place / "home" / ".ray" / "auth_token"
    token.parent.mkdir(parents=True)
    token.write_text("0" * 64)
    token.chmod(0o644)
    assert own_ray.keep_token() == f"Other users could read Ray's token, {token}; it is closed now"
    assert (mode(token), token.read_text()) == (0o600, "0" * 64)


@pytest.mark.parametrize(
    ("name", "value"),
    [("RAY_AUTH_MODE", "disabled"), ("RAY_AUTH_TOKEN", "x"), ("RAY_AUTH_TOKEN_PATH", "/x")],
)
def test_a_token_that_the_user_gives_or_does_without_is_their_affair(
    name: str, value: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    assert own_ray.keep_token() == ""
    assert not (place / "home").exists()


def test_a_cluster_that_this_user_has_started_is_found(place: Path) -> None:
    assert own_ray.running_here() is None
    write_address(place, "10.1.2.3:6379")
    assert own_ray.running_here() == "10.1.2.3:6379"


def test_a_cluster_that_another_user_names_gets_neither_the_code_nor_the_token(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_address(place, "10.1.2.3:6379")
    if os.getuid() == 0:
        os.chown(file, 65534, 65534)
    else:
        monkeypatch.setattr(os, "getuid", lambda: 4_000_000)
    assert own_ray.running_here() is None
    with pytest.raises(InfrastructureError, match="auto must find a cluster that you or root"):
        cluster.connect("auto", Console(quiet=True))


def test_a_link_and_a_pipe_name_no_cluster(place: Path) -> None:
    file = write_address(place, "10.1.2.3:6379")
    file.rename(place / "elsewhere")
    file.symlink_to(place / "elsewhere")
    assert own_ray.running_here() is None
    file.unlink()
    os.mkfifo(file)
    assert own_ray.running_here() is None


def test_where_metrics_are_wanted_their_ports_are_open_and_all_is_as_it_was_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = dict(os.environ)
    with own_ray.on_loopback():
        assert os.environ["DASHBOARD_METRIC_PORT"] == os.environ["AUTOSCALER_METRIC_PORT"] == "-1"
    assert dict(os.environ) == before
    assert own_ray.options()["_system_config"]["enable_metrics_collection"] is False
    monkeypatch.setenv("RAY_enable_metrics_collection", "1")
    with own_ray.on_loopback():
        assert "DASHBOARD_METRIC_PORT" not in os.environ
    assert "enable_metrics_collection" not in own_ray.options()["_system_config"]


def test_no_process_is_started_that_no_trial_can_use_and_no_dashboard_that_nobody_wants() -> None:
    options = own_ray.options(dashboard=False)
    assert options["_system_config"]["prestart_worker_first_driver"] is False
    assert options["include_dashboard"] is False
    assert own_ray.options()["include_dashboard"] is None  # Ray's own: if it can be had


def test_it_has_no_more_cpus_than_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_ray, "get_num_cpus", lambda: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5})
    assert own_ray.options()["num_cpus"] == 2
    monkeypatch.setattr(own_ray, "get_num_cpus", lambda: 1)  # of a container with a quota
    assert own_ray.options()["num_cpus"] == 1
