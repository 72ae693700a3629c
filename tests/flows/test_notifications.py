"""A run reports its end, once, and neither a receiver nor a full disk changes how it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flows.notifications import reported
from tasks.notify.runs import read_notes
from tasks.shared.child_processes.time_limit import TimeLimit
from tasks.shared.errors import TimeLimitError, UsageError
from tasks.shared.gate import GateError
from tests.tasks.notify.local_receivers import WebhookReceiver, webhook_receiver


@pytest.fixture
def film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STYLEREEL_FLOW_RUN_ID", "")
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    (tmp_path / "project.yaml").write_text("name: film\nid: 0123456789ab\n")
    return tmp_path


@pytest.fixture
def posting(film: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebhookReceiver]:
    with webhook_receiver() as receiver:
        monkeypatch.setenv("STYLEREEL_WEBHOOK_URL", receiver.url)
        yield receiver


@pytest.fixture
def run(film: Path) -> Callable[[BaseException | None], None]:
    """``run(error)``: a run that ends with ``error``, or completes."""

    def called(error: BaseException | None = None) -> None:
        with reported(film, "pipeline"):
            if error is not None:
                raise error

    return called


def outcomes(film: Path) -> list[str]:
    return [note.outcome for note in read_notes(film)]


def test_a_week_of_nights(film: Path, posting: WebhookReceiver, run: Callable[..., None]) -> None:
    run()
    for _ in range(2):
        with pytest.raises(UsageError):
            run(UsageError("prepare: no pairs"))
    with pytest.raises(GateError):
        run(GateError("the model is not promoted: truth/swd is 0.2"))
    run()
    run()
    assert outcomes(film) == ["completed", "failed", "failed", "refused", "completed", "completed"]
    assert [text.splitlines()[0] for text in posting.texts] == [
        "[film] pipeline failed in prepare",
        "[film] pipeline: the gate refused the model",
        "[film] pipeline works again",
    ]


def test_a_stop_on_purpose_is_not_reported(film: Path, posting: WebhookReceiver, run: Callable[..., None]) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(KeyboardInterrupt())
    assert outcomes(film) == ["stopped"]
    assert posting.texts == []


def test_a_run_is_noted_while_it_works(film: Path) -> None:
    with reported(film, "pipeline"):
        (note,) = read_notes(film)
        assert note.is_alive()
    assert not read_notes(film)[0].is_alive()


def test_a_receiver_that_is_down_changes_nothing(
    film: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[..., None]
) -> None:
    monkeypatch.setenv("STYLEREEL_WEBHOOK_URL", "http://127.0.0.1:9/s3cr3t")
    begun_s = time.monotonic()
    with pytest.raises(RuntimeError, match="the run's own"):
        run(RuntimeError("the run's own"))
    assert time.monotonic() - begun_s < 5
    monkeypatch.setenv("STYLEREEL_WEBHOOK_URL", "no URL: s3cr3t")
    run()


def test_a_folder_that_cannot_be_written_changes_nothing(
    film: Path, posting: WebhookReceiver, caplog: pytest.LogCaptureFixture, run: Callable[..., None]
) -> None:
    (film / ".stylereel").write_text("a file")
    run()
    with pytest.raises(UsageError, match="no pairs"):
        run(UsageError("no pairs"))
    assert "cannot report this run" in caplog.text


def test_a_time_limit_names_its_setting_and_stage(
    film: Path, posting: WebhookReceiver, run: Callable[..., None]
) -> None:
    with pytest.raises(TimeLimitError):
        run(TimeLimit.start("train", "limits.train_hours", 5.0).error())
    (text,) = posting.texts
    assert text.splitlines()[0] == "[film] pipeline failed in train"
    assert "raise limits.train_hours" in text
    assert "a network share" in text
    assert outcomes(film) == ["failed"]


def test_a_run_whose_process_is_about_to_be_killed_is_reported(film: Path, posting: WebhookReceiver) -> None:
    with reported(film, "pipeline") as ending:
        ending.fail(TimeLimit.start("pipeline", "limits.run_hours", 5.0).error())
        assert outcomes(film) == ["failed"]
        assert len(posting.texts) == 1
