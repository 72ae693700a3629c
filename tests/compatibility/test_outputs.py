"""Outputs of version 0.1.0 with their records, jobs and models stay usable."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest

from tests.compatibility.made_by_0_1_0 import (
    ANSWERS,
    CASES,
    FIXTURES,
    SETTINGS,
    Call,
    assert_same_answer,
    assert_same_pixels,
    counts,
    frames,
    move_jobs,
    move_movie,
    pixels,
)


@pytest.mark.parametrize("name", CASES)
def test_finished_frames_are_skipped(name: str, film: Path, stylereel: Call) -> None:
    case = CASES[name]
    before = {path: path.read_bytes() for path in frames(film / case.state_of)}
    assert len(before) == case.frames
    code, printed, _ = stylereel(*case.arguments(), "--json")
    assert code == 0
    assert counts(printed) == (0, case.frames, 0)
    assert {path: path.read_bytes() for path in frames(film / case.state_of)} == before


@pytest.mark.parametrize("name", CASES)
def test_a_frame_that_is_gone_is_made_again_the_same(name: str, film: Path, stylereel: Call) -> None:
    case = CASES[name]
    gone = frames(film / case.state_of)[1]
    before = pixels(gone)
    gone.unlink()
    code, printed, _ = stylereel(*case.arguments(), "--json")
    assert code == 0
    assert counts(printed) == (1, case.frames - 1, 0)
    assert_same_pixels(gone, before)


@pytest.mark.parametrize(
    ("name", "changed", "made"),
    [
        ("plain", "plates/shot.1002.png", 1),
        ("rich", "masks/shot.1001.png", 1),
        ("swapped", "plates/shot.1001.png", 1),
        ("swapped", "references/sea.png", 2),
        ("normed", "plates/shot.1005.png", 2),
    ],
)  # fmt: skip
def test_what_depends_on_a_changed_file_is_made(
    name: str, changed: str, made: int, film: Path, stylereel: Call
) -> None:
    picture = cv2.imread(str(film / changed), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    picture[:8] = 255 - picture[:8]
    cv2.imwrite(str(film / changed), picture)
    code, printed, _ = stylereel(*CASES[name].arguments(), "--json")
    assert code == 0
    assert counts(printed) == (made, CASES[name].frames - made, 0)


@pytest.mark.parametrize("name", CASES)
def test_verify_answers(name: str, film: Path, stylereel: Call) -> None:
    case = CASES[name]
    move_movie(film)
    code, printed, _ = stylereel("verify", case.output, "--json")
    verdict = json.loads(printed)
    assert code == 0
    assert verdict["whole"] == case.frames
    assert [verdict[key] for key in ("missing", "changed", "unmade", "foreign", "movie")] == [[], [], [], [], None]
    first, second = frames(film / case.state_of)[:2]
    first.write_bytes(first.read_bytes()[:-1] + b"\0")
    second.unlink()
    code, printed, error = stylereel("verify", case.output, "--json")
    assert code == 1
    verdict = json.loads(printed)
    assert (verdict["changed"], verdict["missing"]) == ([first.name], [second.name])
    assert first.name in error
    assert second.name in error


def test_verify_names_what_an_older_job_did_not_make(film: Path, stylereel: Call) -> None:
    records = film / "out/plain/.stylereel/records-fixture.jsonl"
    records.write_text("".join(records.read_text().splitlines(keepends=True)[:-1]))
    code, printed, _ = stylereel("verify", "out/plain", "--json")
    assert code == 1
    assert json.loads(printed)["unmade"] == ["shot.1005.png"]


@pytest.mark.parametrize("name", CASES)
def test_whence_answers_as_before(name: str, film: Path, stylereel: Call) -> None:
    answer = json.loads((FIXTURES / "whence" / f"{ANSWERS[name]}.json").read_text())
    code, printed, _ = stylereel("whence", answer["asked"], "--json")
    assert code == 0
    assert_same_answer(json.loads(printed), answer)


@pytest.mark.parametrize("name", CASES)
def test_work_reads_a_job(name: str, film: Path, stylereel: Call) -> None:
    case = CASES[name]
    move_jobs(film)
    (job,) = (film / case.state_of / ".stylereel").glob("job-*.json")
    code, printed, _ = stylereel("work", job, "--json")
    assert (code, counts(printed)) == (0, (0, case.frames, 0))
    gone = frames(film / case.state_of)[0]
    before = pixels(gone)
    gone.unlink()
    code, printed, _ = stylereel("work", job, "--json")
    assert (code, counts(printed)) == (0, (1, case.frames - 1, 0))
    assert_same_pixels(gone, before)


def test_a_changed_job_is_refused(film: Path, stylereel: Call) -> None:
    (job,) = (film / "out/plain/.stylereel").glob("job-*.json")
    job.write_text(job.read_text().replace('"strength":1.0', '"strength":0.5'))
    assert stylereel("work", job)[0] == 2


@pytest.mark.parametrize("model", ["plain", "normed", "swap"])
def test_a_model_is_read_and_a_changed_card_refused(model: str, film: Path, stylereel: Call) -> None:
    references = ("--style-image", "references/sea.png") if model == "swap" else ()
    call = ("stylize", "plates", "new", "--model", f"models/{model}", "--limit", 1, *references, *SETTINGS)
    assert stylereel(*call)[0] == 0
    card = film / "models" / model / "model.json"
    card.write_text(card.read_text().replace('"channels": 4', '"channels": 5'))
    assert stylereel(*call)[0] == 2
