"""The morning summary: once a day, what ran, figures before and after, and the review page."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasks.notify.problems import Problem
from tasks.notify.runs import Outcome, RunNote, write_note
from tasks.notify.sent import report
from tasks.notify.summary import send_summary_if_due
from tasks.shared.errors import UsageError
from tests.tasks.notify.local_receivers import MailReceiver, WebhookReceiver


def at(day: int, hour: float) -> float:
    return datetime(2026, 11, day, tzinfo=UTC).timestamp() + hour * 3600


def due(film: Path, now_s: float, timezone: str = "UTC") -> bool:
    return send_summary_if_due(film, hour=7, timezone=timezone, now_s=now_s)


def note(film: Path, begun_s: float, hours: float, outcome: Outcome, **facts: str) -> None:
    run = RunNote(id=str(begun_s), work="pipeline", begun_s=begun_s, ended_s=begun_s + hours * 3600, outcome=outcome)
    write_note(film, run.model_copy(update=facts))


def figures(film: Path, **values: float) -> None:
    (film / "reports").mkdir(exist_ok=True)
    document = {name.replace("__", "/"): value for name, value in values.items()}
    (film / "reports/metrics.json").write_text(json.dumps(document))


def test_once_a_day_after_seven(film: Path, posting: WebhookReceiver) -> None:
    assert not due(film, at(10, 6.9))
    assert due(film, at(10, 7.1))
    assert not due(film, at(10, 23.9))
    assert not due(film, at(11, 6.9))
    assert not due(film, at(11, 7.1), "America/New_York")
    assert due(film, at(11, 12.1), "America/New_York")
    assert len(posting.texts) == 2
    assert posting.texts[0].startswith("[film] nothing ran\n")


def test_what_it_says(film: Path, posting: WebhookReceiver) -> None:
    figures(film, truth__swd=0.02, truth__swd_unstylized=0.05, style__swd=0.5)
    due(film, at(10, 8))
    figures(film, truth__swd=0.01, truth__swd_unstylized=0.05, style__swd=0.5, shot__a__truth__swd=0.3)
    note(film, at(10, 2), 1, "completed")
    note(film, at(11, 2), 3.5, "completed")
    note(film, at(11, 6), 0.5, "refused", reason="the model is not promoted: ...")
    note(film, at(11, 6.6), 0.1, "failed", stage="train", reason="no pairs")
    note(film, at(11, 6.8), 0.1, "stopped")
    report(
        film, Problem(work="pipeline", kind="failed", stage="train", reason="no pairs", advice="add some"), at(11, 6)
    )
    (film / "reports/review.html").write_text("<html>")
    assert due(film, at(11, 7))
    lines = posting.texts[-1].splitlines()
    assert lines[:9] == [
        "[film] 4 runs, 2 failed",
        "Since Tue 08:00:",
        "pipeline of Wed 02:00: completed, 3.5 h, the model is promoted",
        "pipeline of Wed 06:00: refused by the gate, not promoted, 30 min: the model is not promoted: ...",
        "pipeline of Wed 06:36: failed in train, 6 min: no pairs",
        "pipeline of Wed 06:48: stopped, 6 min",
        "open since Wed 06:00: pipeline failed in train",
        "truth/swd: 0.02 -&gt; 0.01 (untouched input 0.05)",
        "shot/a/truth/swd: 0.3",
    ]
    assert lines[9].startswith("disk of the project: ")
    assert lines[-1].endswith(f": {film / 'reports/review.html'}")


def test_the_mail_has_the_review_page(film: Path, mailbox: MailReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLEREEL_SMTP_URL", mailbox.url)
    monkeypatch.setenv("STYLEREEL_MAIL_TO", "a@b.c")
    figures(film, truth__swd=0.02)
    (film / "reports/review.html").write_text("<html>")
    due(film, at(10, 8))
    (attached,) = mailbox.mails[0].iter_attachments()
    assert attached.get_filename() == "review.html"


def test_many_figures_are_counted(film: Path, posting: WebhookReceiver) -> None:
    figures(film, **{f"m{number}": 1.0 for number in range(10)})
    due(film, at(10, 8))
    assert "and 2 more figures: `stylereel report` shows them" in posting.texts[0]
    due(film, at(11, 8))
    assert "figures: as before" in posting.texts[1]


def test_without_receivers_none_is_due(film: Path) -> None:
    assert not due(film, at(10, 8))


def test_an_unknown_time_zone(film: Path) -> None:
    for zone in ("Mars/Base", "../../etc/passwd", ""):
        with pytest.raises(UsageError, match="unknown time zone"):
            due(film, at(10, 8), zone)
