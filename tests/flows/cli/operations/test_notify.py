"""``stylereel notify``: receivers are added, listed without secrets, tested and removed; cron can watch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli.main import app
from tasks.project.init_project import init_project
from tests.tasks.notify.local_receivers import webhook_receiver

SLACK = "https://hooks.slack.com/services/T000/B000/s3cr3t"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("STYLEREEL_WEBHOOK_URL", "STYLEREEL_SMTP_URL", "STYLEREEL_MAIL_TO", "PREFECT_API_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "empty-home"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("STYLEREEL_CACHE_DIR", str(tmp_path / "cache"))
    root = init_project(tmp_path / "film")
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def notify(project: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Exit code, and both outputs, which never show a secret."""

    def called(*arguments: str, typed: str = "") -> tuple[int, str]:
        result = CliRunner().invoke(app, ["notify", *arguments], input=typed)
        text = result.output + capfd.readouterr().err
        assert "s3cr3t" not in text
        assert "Traceback" not in text
        return result.exit_code, text

    return called


def test_the_life_of_receivers(notify: Callable[..., tuple[int, str]]) -> None:
    assert "no receivers" in notify("list")[1]
    assert notify("add", "--webhook", SLACK) == (
        0, "added https://hooks.slack.com/***; `stylereel notify test` sends a message to it\n",
    )  # fmt: skip
    assert notify("add", "--mail-to", "a@b.c", "--smtp", "-", typed="smtps://me:s3cr3t@mail.host\n")[0] == 0
    assert notify("list")[1] == "1  https://hooks.slack.com/***\n2  a@b.c by smtps://***@mail.host\n"
    assert notify("remove", "1")[1] == "removed https://hooks.slack.com/***\n"
    assert notify("remove", "2")[0] == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name one receiver"),
        (["--webhook", SLACK, "--mail-to", "a@b.c"], "name one receiver"),
        (["--mail-to", "a@b.c"], "name one receiver"),
        (["--webhook", "hooks.slack.com/s3cr3t"], "--webhook: expected a URL that begins with https://"),
        (["--mail-to", "ab", "--smtp", "smtps://me:s3cr3t@host"], "--mail-to: expected an e-mail address"),
    ],
)
def test_receivers_that_cannot_be_added(
    arguments: list[str], words: str, notify: Callable[..., tuple[int, str]]
) -> None:
    code, text = notify("add", *arguments)
    assert code == 2
    assert words in " ".join(text.split())


def test_a_test_message(notify: Callable[..., tuple[int, str]]) -> None:
    assert notify("test")[0] == 2
    with webhook_receiver() as receiver:
        notify("add", "--webhook", receiver.url)
        assert notify("test") == (0, f"ok      http://127.0.0.1:{receiver.port}/***\n")
        assert receiver.texts[0].startswith("[film] test of notifications\n")
        receiver.status = 404
        code, text = notify("test")
    assert code == 1
    assert "answered 404" in text


def test_watch_from_cron_sends_the_summary_and_what_it_finds(notify: Callable[..., tuple[int, str]]) -> None:
    with webhook_receiver() as receiver:
        notify("add", "--webhook", receiver.url)
        for _ in range(2):
            code, text = notify("watch", "--once", "--summary-hour", "0", "--low-disk-gb", "1e9")
            assert code == 0
            assert "is nearly full" in text
        assert [text.splitlines()[0] for text in receiver.texts] == [
            "[film] the disk of the project is nearly full",
            "[film] nothing ran",
        ]


def test_automations_require_a_server(notify: Callable[..., tuple[int, str]]) -> None:
    code, text = notify("automations")
    assert code == 2
    assert "start one with `stylereel up`, or set PREFECT_API_URL" in text
