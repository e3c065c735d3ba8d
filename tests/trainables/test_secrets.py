"""What is secret is taken out of text: by how it is written, and by what this process knows."""

import io
import logging
import time

import pytest

from trainables.secrets import RedactingFormatter, redacted
from trainables.trial_error import LONGEST, described

KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nabc=\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("password=hunter2 host=db", "password=*** host=db"),
        ("AccountName=me;AccountKey=ab/c==;Suffix=x", "AccountName=me;AccountKey=***;Suffix=x"),
        ("{'AWS_SECRET_ACCESS_KEY': 'a b', 'region': 'x'}", None),
        ('{"api_key": "abc", "region": "x"}', '{"api_key": "***", "region": "x"}'),
        ("aws_session_token: FwoGZX", "aws_session_token: ***"),
        ("x-api-key: abc", "x-api-key: ***"),
        ("Authorization: Bearer eyJhbGciOi.x", "Authorization: Bearer ***"),
        ("sent bearer eyJhbGciOi.x", "sent bearer ***"),
        ("no rights for hf_abcdefghijklmnopqrst", "no rights for hf_***"),
        (f"cannot read {KEY}.", None),
        (repr({"private": KEY}), None),
        ("no file 'x/https:/me:d0@host/w.pth'", "no file 'x/https:/me:***@host/w.pth'"),
        ("no file https:/t0k@host/w.pth", "no file https:/***@host/w.pth"),
        ('Invalid bucket name "KEY:d0@bucket"', 'Invalid bucket name "KEY:***@bucket"'),
        ("postgres://me:d0@db/x and redis://:e1@r", "postgres://me:***@db/x and redis://:***@r"),
    ],
)
def test_what_is_written_as_a_secret_is_taken_out(text: str, shown: str | None) -> None:
    found = redacted(text)
    assert "***" in found
    assert not {part for part in ("hunter2", "a b", "FwoG", "MIIE", "abc=", "eyJ") if part in found}
    assert shown is None or found == shown


@pytest.mark.parametrize(
    "text",
    [
        "unexpected token: END",
        "a basic convolution, invalid key 'width'",
        "learning_rate=0.1 token_count=3 keypoints=17 monkey=2",
        "http://127.0.0.1:8265 and me@host",
        "epoch 3: secret sauce",
        "",
    ],
)
def test_other_words_stay(text: str) -> None:
    assert redacted(text) == text


@pytest.mark.parametrize(
    ("name", "hidden"),
    [
        ("AWS_SECRET_ACCESS_KEY", True),
        ("AZURE_STORAGE_KEY", True),
        ("AZURE_STORAGE_SAS", True),
        ("AZURE_STORAGE_CONNECTION_STRING", True),
        ("WANDB_API_KEY", True),
        ("STUDY_DB_PASSWORD", True),
        ("STUDY_SECRET", True),
        ("MYSQL_PWD", True),
        ("KEYBOARD_LAYOUT", False),
        ("STUDY_CURVE_EPOCH_SECONDS", False),
        ("PYTHONPATH", False),
    ],
)
def test_the_value_of_a_variable_is_hidden_where_its_name_says_so(
    name: str, *, hidden: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "wJa/lr+EX0123")
    for text in ("refused with wJa/lr+EX0123!", "GET /x?y=wJa%2Flr%2BEX0123!"):
        assert (redacted(text) != text) == hidden


def test_a_longer_secret_is_not_left_in_half_by_a_shorter_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STUDY_KEY", "abcdefgh")
    monkeypatch.setenv("STUDY_SECRET", "abcdefgh-and-more")
    assert redacted("got abcdefgh-and-more") == "got ***"


def test_where_a_secret_lies_and_short_words_may_be_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "/home/me/.ray/auth_token")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/etc/hosts")
    monkeypatch.setenv("RAY_AUTH", "token")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    for text in ("/home/me/.ray/auth_token is missing", "/etc/hosts", "no token", "disabled"):
        assert redacted(text) == text


def test_a_trials_error_has_no_password_not_even_where_it_is_cut() -> None:
    address = f"ftp://me:{'p' * LONGEST}@host/x"
    assert described(ValueError(f"cannot read {address}")).message == (
        "ValueError: cannot read ftp://me:***@host/x"
    )


def test_a_log_has_neither_in_its_words_nor_in_a_traceback() -> None:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(RedactingFormatter("%(message)s"))
    log = logging.Logger("made up")
    log.addHandler(handler)
    try:
        message = "password=hunter2"
        raise ValueError(message)
    except ValueError:
        log.exception("at %s", "ftp://me:hunter2@host")
    assert "at ftp://me:***@host" in written.getvalue()
    assert "ValueError: password=***" in written.getvalue()
    assert "hunter2" not in written.getvalue().replace('"password=hunter2"', "")


@pytest.mark.parametrize("part", [".", "a_", "?a", "x://a:", "token='", "-----BEGIN PRIVATE KEY-"])
def test_hostile_text_takes_no_time(part: str) -> None:
    started = time.process_time()
    redacted(part * 5_000)
    assert time.process_time() - started < 5
