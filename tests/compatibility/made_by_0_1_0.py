"""Calls of version 0.1.0 whose outputs are kept, and comparisons with what it wrote."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import av
import cv2
import numpy as np

FIXTURES = Path(__file__).parents[1] / "fixtures" / "before_0_2"
MADE_IN = "/film"
"""The folder that the absolute paths of the fixtures begin with."""

SETTINGS = ("--back-end", "torch", "--precision", "fp32", "--device", "cpu", "--no-preview")


class Case(NamedTuple):
    """A call of 0.1.0 whose output folder is kept."""

    source: str
    output: str
    options: tuple[str, ...]
    frames: int
    state_of: str

    def arguments(self) -> tuple[str, ...]:
        return ("stylize", self.source, self.output, *self.options, *SETTINGS)


def _case(name: str, options: str, frames: int, source: str = "plates", state_of: str | None = None) -> Case:
    return Case(source, f"out/{name}", tuple(options.split()), frames, state_of or f"out/{name}")


CASES = {
    "plain": _case("plain", "--model models/plain", 5),
    "normed": _case("normed", "--model models/normed", 5),
    "rich": _case(
        "rich",
        "--model models/normed --frames 1001-1006 --regions regions.yaml --elsewhere style --curve curve.csv "
        "--blend-frames 1 --missing hold --cuts auto",
        6,
        source="plates/shot.####.png",
    ),
    "swapped": _case(
        "swapped",
        "--model models/swap --style-image references/dusk.png:0.25 --style-image references/sea.png:0.75 --limit 2",
        2,
    ),
    "banked": _case(
        "banked", "--model models/swap --style-bank bank --style-image sea.png --strength 0.5 --limit 2", 2
    ),
    "movie": _case("styled.mkv", "--model models/plain", 4, source="shot.mkv", state_of="out/.styled.mkv.frames"),
}
ANSWERS = {name: "styled.mkv" if name == "movie" else name for name in CASES}

Call = Callable[..., tuple[int, str, str]]


def move_movie(film: Path) -> None:
    """Rewrites the place in the record of the movie, which names it by its absolute path."""
    for path in film.glob("out/*/.stylereel/movie.json"):
        path.write_text(path.read_text().replace(f'"{MADE_IN}/', f'"{film}/'))


def move_jobs(film: Path) -> None:
    """Rewrites the place in job files, as if 0.1.0 had planned them here, and their names in the records."""
    renamed = {}
    for path in list(film.glob("out/*/.stylereel/job-*.json")):
        text = path.read_text().replace(f'"{MADE_IN}/', f'"{film}/').replace(f'"{MADE_IN}"', f'"{film}"')
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        renamed[path.stem.removeprefix("job-")] = digest
        path.unlink()
        (path.parent / f"job-{digest}.json").write_text(text)
    for path in film.glob("out/*/.stylereel/records-*.jsonl"):
        texts = [line.split(" ", 1)[1] for line in path.read_text().splitlines()]
        texts = [re.sub('"job":"(.*?)"', lambda old: f'"job":"{renamed[old[1]]}"', text) for text in texts]
        path.write_text("".join(f"{hashlib.sha256(text.encode()).hexdigest()[:16]} {text}\n" for text in texts))


def pixels(path: Path) -> np.ndarray[Any, Any]:
    if path.suffix == ".mkv":
        with av.open(str(path)) as movie:
            frames: Iterator[Any] = movie.decode(video=0)
            return np.stack([plane for frame in frames for plane in frame.to_ndarray()]).astype(int)
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    return picture.astype(int)


def assert_same_pixels(path: Path, before: np.ndarray[Any, Any]) -> None:
    """Up to one level of 255, or four of a movie's 1,023: other machines round otherwise."""
    assert np.abs(pixels(path) - before).max() <= (4 if path.suffix == ".mkv" else 1)


def frames(output: Path) -> list[Path]:
    return sorted(path for path in output.iterdir() if path.is_file())


def counts(printed: str) -> tuple[int, int, int]:
    report = json.loads(printed)
    return report["made"], report["skipped"], len(report["failed"])


def assert_same_answer(answer: dict[str, Any], before: dict[str, Any]) -> None:
    for key in ("asked", "flow_runs", "commits", "frames", "says", "signature", "note"):
        assert answer[key] == before[key]
    assert list(answer["models"]) == list(before["models"])
    for job, asked in before["jobs"].items():
        assert asked
        assert answer["jobs"][job].keys() == asked.keys()
        assert answer["jobs"][job]["strength"] == asked["strength"]
