"""Matches files to frames by name or by frame number: masks, label maps, pictures of regions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stylegan_core.frames.sequences.listing import frame_number, list_pictures, match_pattern
from stylegan_core.frames.sequences.pattern import is_pattern, parse_pattern
from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.job.spec import PlanError

_NAMED = 8


def match_files(frames: Sequence[FrameTask], source: Path, what: str) -> list[Path | None]:
    """The file that belongs to each frame: of its name, else of its frame number; None where there is none.

    Args:
        frames: of the job.
        source: a folder, a sequence pattern, or one file for all frames.
        what: the kind of the files, for messages.
    Raises:
        PlanError: there is no such folder, it contains no pictures, or several files match one frame.
    """
    if source.is_file():
        return [source.absolute()] * len(frames)
    try:
        is_folder = source.is_dir() or not is_pattern(source)
        found = list_pictures(source) if is_folder else match_pattern(parse_pattern(source))
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
    """The first few of many names and the number of the others, for a message."""
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
            f"{what}: frame {number} exists {len(numbered)} times: {abbreviate([p.name for p in numbered])}"
        )
    return numbered[0] if numbered else None
