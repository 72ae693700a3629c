"""The same failure is reported once, until it has worked again or a week is over."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.notify.problems import Problem, problem_of
from tasks.notify.sent import AGAIN_AFTER_S, open_problems, report, resolve
from tasks.shared.errors import InputsFailedError, StoppedError, UsageError
from tasks.shared.gate import GateError
from tasks.shared.versioning import VersioningError
from tests.tasks.notify.local_receivers import WebhookReceiver

NIGHT_S = 86400.0


def failure(reason: str = "training is not finite at step 120", **facts: str) -> Problem:
    return Problem(work="pipeline", kind="failed", stage="train", reason=reason, advice="look at it", **facts)


def test_the_same_failure_is_reported_once(film: Path, posting: WebhookReceiver) -> None:
    assert report(film, failure(url="http://127.0.0.1:4200/runs/1"), 0.0)
    assert not report(film, failure("training is not finite at step 4711"), NIGHT_S), "another number"
    assert report(film, failure("the disk is full"), NIGHT_S), "another reason"
    assert not report(film, failure(), 2 * NIGHT_S)
    assert posting.texts[0].splitlines() == [
        "[film] pipeline failed in train",
        "Reason: training is not finite at step 120",
        "What to do: look at it",
        "Run: http://127.0.0.1:4200/runs/1",
    ]
    assert len(posting.texts) == 2
    assert [each.times for each in open_problems(film)] == [3, 1]


def test_a_success_is_reported_once_and_failures_again(film: Path, posting: WebhookReceiver) -> None:
    assert not resolve(film, "pipeline"), "nothing was wrong"
    report(film, failure(), 0.0)
    assert not resolve(film, "stylize-on-demand")
    assert resolve(film, "pipeline")
    assert not resolve(film, "pipeline")
    assert report(film, failure(), NIGHT_S)
    assert [text.splitlines()[0] for text in posting.texts] == [
        "[film] pipeline failed in train", "[film] pipeline works again", "[film] pipeline failed in train",
    ]  # fmt: skip


def test_a_week_later_it_is_reported_again(film: Path, posting: WebhookReceiver) -> None:
    assert report(film, failure(), 0.0)
    assert not report(film, failure(), AGAIN_AFTER_S - 1)
    assert report(film, failure(), AGAIN_AFTER_S)
    assert not report(film, failure(), AGAIN_AFTER_S + NIGHT_S), "a week after the last report"


def test_without_receivers_nothing_counts_as_reported(
    film: Path, webhook: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not report(film, failure(), 0.0)
    monkeypatch.setenv("STYLEREEL_WEBHOOK_URL", webhook.url)
    assert report(film, failure(), NIGHT_S)


def test_a_message_that_waits_in_the_outbox_counts_as_reported(film: Path, posting: WebhookReceiver) -> None:
    posting.status = 503
    assert report(film, failure(), 0.0)
    posting.status = 200
    assert not report(film, failure(), NIGHT_S)
    report(film, failure("the disk is full"), NIGHT_S)
    assert len(posting.texts) == 2


def test_a_damaged_file_reports_again(film: Path, posting: WebhookReceiver) -> None:
    report(film, failure(), 0.0)
    (film / ".stylereel/notified.json").write_text("{")
    assert report(film, failure(), 1.0)


@pytest.mark.parametrize(
    ("error", "kind", "stage", "reason", "advice"),
    [
        (UsageError("train: no pairs"), "failed", "train", "no pairs", "correct"),
        (UsageError("prepare: prepare: no pairs"), "failed", "prepare", "no pairs", "correct"),
        (StoppedError("stylize: disk full"), "failed", "stylize", "disk full", "remove the cause"),
        (InputsFailedError("two\nlines"), "failed", "", "two lines", "read the log"),
        (VersioningError("https://me:secret@host/x: no"), "failed", "", "https://***@host/x: no", "read the log"),
        (
            GateError("the model is not promoted"),
            "refused",
            "",
            "the model is not promoted",
            "change promote in params.yaml",
        ),
        (RuntimeError(), "failed", "", "RuntimeError", "read the log"),
    ],
)
def test_what_an_exception_means(
    error: Exception, kind: str, stage: str, reason: str, advice: str, tmp_path: Path
) -> None:
    problem = problem_of(error, "pipeline", tmp_path)
    assert (problem.kind, problem.stage, problem.reason) == (kind, stage, reason)
    assert advice in problem.advice


def test_a_long_reason_is_cut(tmp_path: Path) -> None:
    assert len(problem_of(RuntimeError("x" * 5000), "pipeline", tmp_path).reason) == 600
