"""Files that belong to frames: masks, label maps and pictures, by name or by frame number."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stylegan_core.frames.sequences.listing import frame_number, list_pictures, match_pattern
from stylegan_core.frames.sequences.pattern import is_pattern, parse_pattern
from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.job.spec import PlanError

_NAMED = 8


def match_files(frames: Sequence[FrameTask], place: Path, what: str) -> list[Path | None]:
    """The file that belongs to each frame: of its name, else of its frame number; None where there is none.

    Args:
        frames: of the job.
        place: a folder, a sequence pattern, or one file for all frames.
        what: the files are, for messages.
    Raises:
        PlanError: there is no such place, it holds no pictures, or a number is there twice.
    """
    if place.is_file():
        return [place.absolute()] * len(frames)
    try:
        found = list_pictures(place) if place.is_dir() or not is_pattern(place) else match_pattern(parse_pattern(place))
    except (ValueError, FileNotFoundError, NotADirectoryError) as error:
        raise PlanError(f"{what}: {error}") from error
    by_name: dict[str, Path] = {}
    by_number: dict[int, list[Path]] = {}
    for file in found:
        path = file.path.absolute()
        key = file.relative.with_suffix("").as_posix()
        if key in by_name:
            raise PlanError(f"{what}: {by_name[key].name} and {path.name} have the same name")
        by_name[key] = path
        if file.number is not None:
            by_number.setdefault(file.number, []).append(path)
    return [_match(frame, by_name, by_number, what) for frame in frames]


def abbreviate(names: Sequence[str]) -> str:
    """The first few of many names, for a message."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _match(frame: FrameTask, by_name: dict[str, Path], by_number: dict[int, list[Path]], what: str) -> Path | None:
    path = Path(frame.input)
    if frame.index is None and (named := by_name.get(path.with_suffix("").as_posix())) is not None:
        return named
    number = frame.number if frame.number is not None else frame_number(path)
    numbered = by_number.get(number, []) if number is not None else []
    if len(numbered) > 1:
        raise PlanError(
            f"{what}: frame {number} is there {len(numbered)} times: {abbreviate([p.name for p in numbered])}"
        )
    return numbered[0] if numbered else None
