"""Looks at an inbox: what is processed, marked and reported, and what a kill, a stop or a change in between does."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from filelock import FileLock

from stylegan_core.inference.job.report import Failure
from tasks.inbox import inbox as module
from tasks.inbox.inbox import Inbox, InboxBusyError
from tasks.shared.errors import OutputHeldError, StoppedError, UsageError

SETTLE_S = 60.0


class Site:
    """An inbox with a clock that the test sets, and a network that only notes its calls."""

    def __init__(self, tmp_path: Path) -> None:
        self.folder, self.output = tmp_path / "inbox", tmp_path / "done"
        self.folder.mkdir()
        self.time_s = 1_000_000.0
        self.calls: list[tuple[str, str, str]] = []
        self.during: Callable[[Path], None] = lambda source: None
        self.failed: tuple[Failure, ...] = ()
        self.models = {"oil", "last"}

    def drop(self, name: str, content: bytes = b"frame", frames: int = 2) -> Path:
        shot = self.folder / name
        if shot.suffix == ".mov":
            shot.parent.mkdir(parents=True, exist_ok=True)
            shot.write_bytes(content)
            return shot
        shot.mkdir(parents=True, exist_ok=True)
        for number in range(frames):
            (shot / f"a.{number:04d}.png").write_bytes(content)
        return shot

    def choose(self, name: str) -> Path:
        if name not in self.models:
            raise UsageError("names no model: rename it to one of oil, last")
        return Path("/models") / name

    def stylize(self, source: Path, output: Path, model: Path) -> Any:
        self.calls.append(
            (*(str(p.relative_to(r)) for p, r in ((source, self.folder), (output, self.output))), model.name)
        )
        self.during(source)
        job = SimpleNamespace(model_digest="d" * 64, model_folder=str(model), frames=[1, 2], movie=None)
        job.output_folder = output
        return SimpleNamespace(
            job=job,
            made=2,
            skipped=0,
            failed=self.failed,
            warnings=(),
            failures=lambda: "\n".join(map(str, self.failed)),
        )

    def inbox(self, output: Path | None = None) -> Inbox:
        return Inbox(
            self.folder,
            output,
            settle_s=SETTLE_S,
            choose_model=self.choose,
            stylize=self.stylize,
            clock=lambda: self.time_s,
        )

    def look(self, after_s: float = 0.0) -> Any:
        """A look of a new process."""
        self.time_s += after_s
        return self.inbox().look()

    def markers(self) -> list[str]:
        return sorted(path.relative_to(self.output).as_posix() for path in self.output.rglob("*.txt"))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_shot_is_processed_once_by_the_model_of_its_folder(site: Site) -> None:
    site.drop("oil/sh010")
    site.drop("last/sh020.mov")
    assert site.look().waiting == 2
    assert site.calls == []
    assert site.look(SETTLE_S).finished == ["last/sh020.mov", "oil/sh010"]
    assert site.calls == [("last/sh020.mov", "last/sh020.mov", "last"), ("oil/sh010", "oil/sh010", "oil")]
    assert site.markers() == ["last/sh020.mov.done.txt", "oil/sh010.done.txt"]
    text = (site.output / "oil/sh010.done.txt").read_text()
    assert "frames:    2\nmade:      2\n" in text
    assert f"model:     oil ({'d' * 16})" in text
    for _ in range(3):
        look = site.look(SETTLE_S)
        assert (look.finished, look.waiting) == ([], 0)
    assert len(site.calls) == 2


def test_a_growing_shot_waits(site: Site) -> None:
    for number in range(1, 5):
        site.drop("oil/sh010", frames=number)
        assert site.look(SETTLE_S).waiting == 1
    assert site.calls == []
    assert site.look(SETTLE_S).finished == ["oil/sh010"]


def test_a_slow_listing_is_not_two_looks(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = module.fingerprint

    def slow(shot: Path) -> Any:
        site.time_s += 2 * SETTLE_S
        return listed(shot)

    monkeypatch.setattr(module, "fingerprint", slow)
    site.drop("oil/sh010")
    assert site.look().waiting == 1
    site.time_s += SETTLE_S
    assert site.look().finished == ["oil/sh010"]


def test_new_frames_of_a_finished_shot_are_processed(site: Site) -> None:
    site.drop("oil/sh010")
    site.look()
    site.look(SETTLE_S)
    site.drop("oil/sh010", frames=3)
    assert site.look(SETTLE_S).waiting == 1
    site.during = lambda source: pytest.fail("not now") if site.markers() else None
    assert site.look(SETTLE_S).finished == ["oil/sh010"]
    assert site.markers() == ["oil/sh010.done.txt"]


def test_a_failed_shot_says_why_and_waits_for_a_change(site: Site) -> None:
    shot = site.drop("oil/sh010")
    site.failed = (Failure(shot / "a.0001.png", "is empty"),)
    site.look()
    assert list(site.look(SETTLE_S).failed) == ["oil/sh010"]
    text = (site.output / "oil/sh010.failed.txt").read_text()
    assert "1 of 2 inputs failed, all others are done" in text
    assert "is empty" in text
    site.look(SETTLE_S)
    assert len(site.calls) == 1
    site.failed = ()
    site.drop("oil/sh010", b"better")
    site.look()
    assert site.look(SETTLE_S).finished == ["oil/sh010"]
    assert site.markers() == ["oil/sh010.done.txt"]


def test_deleting_the_marker_of_a_failed_shot_tries_it_again(site: Site) -> None:
    shot = site.drop("oil/sh010")
    site.failed = (Failure(shot / "a.0001.png", "is empty"),)
    site.look()
    site.look(SETTLE_S)
    (site.output / "oil/sh010.failed.txt").unlink()
    site.failed = ()
    assert site.look().finished == ["oil/sh010"]
    (site.output / "oil/sh010.done.txt").unlink()
    site.look(SETTLE_S)
    assert len(site.calls) == 2, "a finished one stays finished"


def test_an_error_fails_its_shot_alone(site: Site) -> None:
    site.drop("oil/sh010")
    site.drop("oil/sh020")

    def during(source: Path) -> None:
        if source.name == "sh010":
            raise UsageError("sh010 holds no picture")

    site.during = during
    site.look()
    look = site.look(SETTLE_S)
    assert look.failed == {"oil/sh010": "sh010 holds no picture"}
    assert look.finished == ["oil/sh020"]


@pytest.mark.parametrize("stop", [StoppedError("SIGTERM"), OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_a_stop_or_a_kill_leaves_the_shot_due(site: Site, stop: BaseException) -> None:
    site.drop("oil/sh010")
    site.drop("oil/sh020")

    def during(source: Path) -> None:
        raise stop

    site.during = during
    site.look()
    for _ in range(3):
        with pytest.raises((StoppedError, KeyboardInterrupt)):
            site.look(SETTLE_S)
        assert site.markers() == []
    assert [source for source, _, _ in site.calls] == ["oil/sh010"] * 3
    site.during = lambda source: None
    assert site.look().finished == ["oil/sh020", "oil/sh010"], "what ended its process three times comes last"


def test_a_shot_that_changes_meanwhile_is_not_called_done(site: Site) -> None:
    site.drop("oil/sh010")
    site.during = lambda source: site.drop("oil/sh010", frames=3) and None
    site.look()
    look = site.look(SETTLE_S)
    assert (look.finished, look.waiting, site.markers()) == ([], 1, [])
    site.during = lambda source: None
    assert site.look(SETTLE_S).finished == ["oil/sh010"]


def test_a_shot_that_changed_before_its_turn_waits(site: Site) -> None:
    site.drop("oil/sh010")
    site.drop("oil/sh020")
    site.during = lambda source: site.drop("oil/sh020", frames=3) and None
    site.look()
    look = site.look(SETTLE_S)
    assert (look.finished, look.waiting) == (["oil/sh010"], 1)


def test_a_shot_that_is_removed_meanwhile_stops_nothing(site: Site) -> None:
    shot = site.drop("oil/sh010.mov")
    site.drop("oil/sh020.mov")

    def during(source: Path) -> None:
        if source == shot:
            shot.unlink()
            raise StoppedError(f"{shot} was unmounted or removed")

    site.during = during
    site.look()
    assert site.look(SETTLE_S).finished == ["oil/sh020.mov"]
    assert site.markers() == ["oil/sh020.mov.done.txt"]


def test_an_output_in_which_another_run_works_is_waited_for(site: Site) -> None:
    site.drop("oil/sh010")

    def during(source: Path) -> None:
        raise OutputHeldError("another run works on it: wait for it")

    site.during = during
    site.look()
    assert site.look(SETTLE_S).waiting == 1
    site.during = lambda source: None
    assert site.look().finished == ["oil/sh010"]


def test_a_shot_whose_model_is_emptied_by_a_training_waits_for_its_end(site: Site) -> None:
    """A night may begin to train between two shots of a look, and begins by removing the model."""
    site.drop("oil/sh010")

    def trains(_: Path) -> None:
        site.models.remove("oil")
        raise UsageError("oil is not a model folder")

    site.during = trains
    site.look()
    assert site.look(SETTLE_S).waiting == 1
    assert site.markers() == []
    site.models.add("oil")
    site.during = lambda _: None
    assert site.look(SETTLE_S).finished == ["oil/sh010"]


def test_problems_are_reported_once_marked_and_do_not_stop_others(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.drop("oil/sh010")
    site.drop("pastel/sh010")
    os.mkfifo(site.drop("oil/sh020") / "pipe.png")
    (site.folder / "loose.png").write_bytes(b"")
    site.look()
    assert site.look(SETTLE_S).finished == ["oil/sh010"]
    assert site.look(SETTLE_S).waiting == 1, "the shot without a model"
    assert site.markers() == ["loose.png.failed.txt", "oil/sh010.done.txt", "oil/sh020.failed.txt", "pastel.failed.txt"]
    assert "rename it to one of oil, last" in (site.output / "pastel.failed.txt").read_text()
    caplog.set_level(logging.WARNING)
    caplog.clear()
    for _ in range(3):
        site.look(SETTLE_S)
    assert caplog.messages == []
    site.models.add("pastel")
    (site.folder / "loose.png").unlink()
    (site.folder / "oil/sh020/pipe.png").unlink()
    site.look(SETTLE_S)
    assert site.look(SETTLE_S).finished == ["oil/sh020"]
    assert site.markers() == ["oil/sh010.done.txt", "oil/sh020.done.txt", "pastel/sh010.done.txt"]


def test_a_second_watcher_does_nothing(site: Site) -> None:
    site.drop("oil/sh010")
    site.look()
    with FileLock(site.folder / ".stylereel/lock"), pytest.raises(InboxBusyError, match="another process"):
        site.look(SETTLE_S)
    assert site.calls == []
    assert site.look().finished == ["oil/sh010"]


def test_a_look_during_the_work_of_another_is_refused(site: Site) -> None:
    site.drop("oil/sh010")

    def during(source: Path) -> None:
        with pytest.raises(InboxBusyError):
            site.inbox().look()

    site.during = during
    site.look()
    assert site.look(SETTLE_S).finished == ["oil/sh010"]


def test_an_output_that_was_unmounted_gets_nothing(site: Site, tmp_path: Path) -> None:
    site.drop("oil/sh010")
    site.look()
    site.look(SETTLE_S)
    site.output.rename(tmp_path / "elsewhere")
    site.output.mkdir()  # the mount point
    site.drop("oil/sh020")
    site.look()
    with pytest.raises(StoppedError, match=r"was unmounted or removed: mount it, or delete .*\.stylereel/output"):
        site.look(SETTLE_S)
    assert list(site.output.iterdir()) == []
    site.output.rmdir()
    (tmp_path / "elsewhere").rename(site.output)
    assert site.look().finished == ["oil/sh020"]


def test_folders_that_contain_each_other_are_refused(site: Site, tmp_path: Path) -> None:
    for output in (site.folder, site.folder / "done", tmp_path):
        with pytest.raises(UsageError, match="must not contain each other"):
            site.inbox(output)
    site.folder.rmdir()
    with pytest.raises(UsageError, match="there is no folder"):
        site.inbox()


def test_an_inbox_that_vanishes_is_a_stop(site: Site) -> None:
    inbox = site.inbox()
    site.folder.rmdir()
    with pytest.raises(StoppedError, match="inbox"):
        inbox.look()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_inbox_that_cannot_be_written(site: Site) -> None:
    site.folder.chmod(0o500)
    with pytest.raises(UsageError, match="cannot be read or written"):
        site.look()
