"""Printing may fail, a study may not: ASCII terminals, closed pipes, hang-ups, real signals."""

import io
import os
import pty
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from ray._private import utils

from orchestrator import study
from orchestrator.run import cluster

ROOT = Path(__file__).resolve().parents[2]


def _python(code: str) -> list[str]:
    """A process that runs a command of ours as `python -m` would."""
    return [sys.executable, "-c", textwrap.dedent(code)]


def _environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


def test_letters_that_a_terminal_does_not_know_end_no_command() -> None:
    code = """
        import sys
        from orchestrator.cli import run_command
        def main():
            sys.stdout.write("0.5 \\u00b1 0.1 \\udc80\\n")
            sys.stderr.write("\\u2026\\n")
            return 7
        run_command(main)
    """
    environment = _environment(PYTHONIOENCODING="ascii", LC_ALL="C", PYTHONUTF8="0")
    done = subprocess.run(
        _python(code), env=environment, capture_output=True, check=False, cwd=ROOT
    )
    assert (done.returncode, done.stdout, done.stderr) == (7, b"0.5 ? 0.1 ?\n", b"?\n")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_goes_leaves_a_command_its_own_exit_code(stream: str) -> None:
    code = f"""
        import sys
        from rich.console import Console
        from orchestrator.cli import run_command
        def main():
            console = Console(file=sys.{stream})
            for number in range(2_000):
                console.print(f"line {{number}} {{'-' * 60}}")
            return 5
        run_command(main)
    """
    reading, writing = os.pipe()
    given = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: writing}
    process = subprocess.Popen(_python(code), env=_environment(), cwd=ROOT, **given)
    os.close(writing)
    assert os.read(reading, 6) == b"line 0"
    os.close(reading)
    assert process.wait() == 5


def test_output_that_was_closed_from_the_start_ends_no_command() -> None:
    code = "import orchestrator.cli as c; c.run_command(lambda: print(1) or 3)"
    script = f'exec "$0" -c "{code}" >&- 2>&-'
    done = subprocess.run(
        ["bash", "-c", script, sys.executable], env=_environment(), check=False, cwd=ROOT
    )
    assert done.returncode == 3


def test_json_that_a_full_disk_does_not_take_is_an_error_and_a_reader_that_goes_is_none() -> None:
    code = """
        from orchestrator.cli import answer, run_command, say_json
        run_command(lambda: answer("status", lambda: say_json({"state": "running"}) or 0))
    """
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            _python(code), env=_environment(), stdout=full, stderr=subprocess.PIPE, check=False
        )
    reading, writing = os.pipe()
    os.close(reading)
    gone = subprocess.run(
        _python(code), env=_environment(), stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    full_disk = b"status: [Errno 28] No space left on device\n"
    assert (done.returncode, done.stderr) == (2, full_disk)
    assert (gone.returncode, gone.stderr) == (0, b"")


def test_a_password_is_shown_nowhere_not_even_in_a_traceback() -> None:
    code = """
        from orchestrator.cli import run_command
        def main():
            raise RuntimeError("cannot open s3://key:PASSW0RD@bucket")
        run_command(main)
    """
    done = subprocess.run(
        _python(code), env=_environment(), capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 1
    assert "s3://key:***@bucket" in done.stderr
    assert "PASSW0RD" not in done.stderr.replace('raise RuntimeError("', "")


def test_memory_that_does_not_do_is_a_line_in_every_command() -> None:
    code = """
        from orchestrator.cli import run_command
        run_command(lambda: len(bytearray(1 << 62)))
    """
    done = subprocess.run(
        _python(code), env=_environment(), capture_output=True, text=True, check=False, cwd=ROOT
    )
    said = "transfer-study: there is not enough free memory here\n"
    assert (done.returncode, done.stderr) == (1, said)


LISTENER = """
    import select, signal, sys
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    from orchestrator.run.signals import Interruption
    with Interruption().listening() as interruption:
        try:
            print("listening", flush=True)
            while True:  # a pause may begin right after the signal, and last for ever
                select.select([], [], [], 0.05)
        except KeyboardInterrupt:
            print("ended in order", flush=True)
            sys.stdin.readline()
        sys.exit(interruption.exit_code)
"""


BEFORE = "import signal; signal.signal(signal.SIGHUP, signal.{})\n"


def _listener(hang_ups: str = "SIG_DFL", stdout: int = subprocess.PIPE) -> subprocess.Popen[str]:
    """One that handles SIGHUP, whatever these tests run under, unless it is told to ignore it."""
    prefix = BEFORE.format(hang_ups)
    process = subprocess.Popen(
        _python(prefix + textwrap.dedent(LISTENER)),
        env=_environment(),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )
    if process.stdout is not None:
        assert process.stdout.readline() == "listening\n"
    return process


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGHUP, 129), (signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_the_first_signal_ends_a_study_in_order(number: int, code: int) -> None:
    process = _listener()
    process.send_signal(number)
    assert process.stdout.readline() == "ended in order\n"
    process.communicate("go on\n")
    assert process.returncode == code


def test_a_second_hang_up_does_not_cut_short_what_the_first_began() -> None:
    process = _listener()
    process.send_signal(signal.SIGHUP)
    assert process.stdout.readline() == "ended in order\n"
    process.send_signal(signal.SIGHUP)
    process.communicate("go on\n")
    assert process.returncode == 129


def test_a_second_ctrl_c_ends_it_at_once_and_says_so() -> None:
    process = _listener()
    process.send_signal(signal.SIGHUP)
    assert process.stdout.readline() == "ended in order\n"
    process.send_signal(signal.SIGINT)
    process.wait()  # though nobody told it to go on
    assert process.communicate()[1] == "Ended at once, before the study began.\n"
    assert process.returncode == 129


def test_a_second_ctrl_c_shows_the_cursor_that_a_table_in_motion_has_hidden() -> None:
    ours, of_process = pty.openpty()
    process = _listener(stdout=of_process)
    with open(ours, "rb", buffering=0) as shown, os.fdopen(of_process):  # noqa: PTH123 (no path)
        lines = io.BufferedReader(shown)
        assert lines.readline() == b"listening\r\n"
        process.send_signal(signal.SIGINT)
        assert lines.readline() == b"ended in order\r\n"
        process.send_signal(signal.SIGINT)
        process.communicate()
        assert lines.readline() == b"\x1b[?25h\r\n"


def test_ctrl_c_while_a_command_imports_shows_no_traceback() -> None:
    code = "import sys; sys.argv[0] = '-m'; import orchestrator; raise {}"
    quiet, loud = (
        subprocess.run(_python(code.format(error)), env=_environment(), stderr=-1, check=False)
        for error in ("KeyboardInterrupt", "RuntimeError")
    )
    assert (quiet.returncode, quiet.stderr) == (-signal.SIGINT, b"")
    assert (loud.returncode, loud.stderr[-13:]) == (1, b"RuntimeError\n")


def test_ctrl_c_while_ray_is_imported_is_one_line_and_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(study, "plan", lambda *_: None)
    monkeypatch.delattr("orchestrator.run.opening", raising=False)
    monkeypatch.delitem(sys.modules, "orchestrator.run.opening", raising=False)
    monkeypatch.setattr(sys, "meta_path", [SimpleNamespace(find_spec=interrupt)])
    assert study.main(["--families", "cnn"]) == 130
    assert capsys.readouterr().err.endswith("went on; nothing was written\n")


def test_a_hang_up_that_nohup_ignores_stays_ignored() -> None:
    process = _listener("SIG_IGN")
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "ended in order\n"
    process.communicate("go on\n")
    assert process.returncode == 143


def test_ctrl_c_while_images_are_read_is_one_line_and_130(tmp_path: Path) -> None:
    from PIL import Image

    for name in ("a", "b"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (8, 8)).save(tmp_path / "images" / name / f"{number}.png")
    code = """
        import os, signal, sys
        from PIL import Image
        from orchestrator import cli, study
        opened = Image.open
        def open_and_interrupt(*given, **more):
            Image.open = opened
            os.kill(os.getpid(), signal.SIGINT)
            return opened(*given, **more)
        Image.open = open_and_interrupt
        cli.run_command(study.main)
    """
    flags = ["--families", "cnn", "--dataset", "folder", "--data-dir", str(tmp_path / "images")]
    flags += ["--results-dir", str(tmp_path / "results")]
    done = subprocess.run(
        [*_python(code), *flags],
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 130, done.stderr
    assert done.stderr == (
        "study: interrupted before the study began or went on; nothing was written\n"
    )
    assert not (tmp_path / "results").exists()


def test_what_comes_while_ray_starts_is_handled_by_the_study_and_not_lost() -> None:
    heard: list[int] = []
    earlier = signal.signal(signal.SIGHUP, lambda number, _: heard.append(number))
    terminated = signal.getsignal(signal.SIGTERM)
    try:
        with cluster._own_signals():
            utils.set_sigterm_handler(sys.exit)  # as `ray.init` does
            signal.pthread_kill(threading.get_ident(), signal.SIGHUP)
            assert heard == []
        assert heard == [signal.SIGHUP]
        assert signal.getsignal(signal.SIGTERM) == terminated
    finally:
        signal.signal(signal.SIGHUP, earlier)


def test_f14_a_signal_that_a_batch_system_sends_is_noted_before_tune_handles_it() -> None:
    from orchestrator.run.signals import Interruption

    heard: list[int] = []
    with Interruption().listening() as interruption, interruption.tuning():
        signal.signal(signal.SIGUSR1, lambda *_: heard.append(1))  # as Tune's, which says no more
        for _ in range(2):
            interruption.listen_to_tunes()
        os.kill(os.getpid(), signal.SIGUSR1)
    assert (heard, bool(interruption), interruption.exit_code) == ([1], True, 138)
