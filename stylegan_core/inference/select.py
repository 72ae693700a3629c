"""What a call means: which frames of the input, under which names in the output, with which masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stylegan_core.frames.sequence import (
    Frame,
    list_frames,
    list_pictures,
    match_by_name,
    match_by_number,
    parse_frame_range,
)
from stylegan_core.inference.job import JobFrame, PlanError

_NAMED = 8


@dataclass(frozen=True)
class Selection:
    """What a call means.

    Attributes:
        input_folder: what the inputs of the frames are relative to.
        output_folder: what their outputs are relative to.
        frames: to make, in order.
        notes: what a person should hear of the sequence: gaps, names that change.
        movie: of the outputs, which is put together when all frames are made; None makes none.
    """

    input_folder: Path
    output_folder: Path
    frames: tuple[JobFrame, ...]
    notes: tuple[str, ...] = ()
    movie: Path | None = None


def select(
    source: str | Path,
    output: str | Path,
    *,
    frames: str | None = None,
    every: int = 1,
    limit: int | None = None,
    masks: Path | None = None,
    missing: Literal["error", "skip", "hold", "black"] = "error",
) -> Selection:
    """Which frames a call is about, and where they go.

    Args:
        source: a folder (with its tree), a sequence pattern or a movie.
        output: a folder outside of it, a pattern or a movie.
        frames: a range of frame numbers such as "1-100x2".
        every: of what ``frames`` leaves, the first of every so many.
        limit: of what ``every`` leaves, the first so many.
        masks: a folder of masks, see ``select_frames``.
        missing: what becomes of frames that a numbered sequence lacks.

    Raises:
        PlanError: nothing is selected, or a range, a folder or a mask is wrong.
    """
    folder = input_folder(source)
    check_folders(folder, Path(output))
    chosen = select_frames(source, frames=frames, every=every, limit=limit, masks=masks)
    return Selection(folder, Path(output), tuple(chosen))


def check_folders(source: Path, output: Path) -> None:
    """Refuses a call that could read its own output or overwrite its input.

    Args:
        source: folder of the inputs.
        output: folder that is made if it is missing.

    Raises:
        PlanError: the input is missing, or one folder lies inside the other.
    """
    if not source.exists():
        raise PlanError(f"there is no folder {source}")
    if not source.is_dir():
        raise PlanError(f"{source} is a file; stylize takes a folder or a pattern such as shot.####.png")
    if output.exists() and not output.is_dir():
        raise PlanError(f"the output {output} is a file, not a folder")
    real_source, real_output = source.resolve(), output.resolve()
    if real_source == real_output:
        raise PlanError(f"input and output are the same folder, {real_source}: choose another output")
    if real_source in real_output.parents:
        raise PlanError(f"the output {output} lies inside the input {source}: choose a folder outside of it")
    if real_output in real_source.parents:
        raise PlanError(f"the input {source} lies inside the output {output}: choose another output")


def input_folder(source: str | Path) -> Path:
    """The folder of a directory or of a sequence pattern."""
    path = Path(source)
    return path.parent if not path.exists() and _is_pattern(path) else path


def select_frames(
    source: str | Path,
    *,
    frames: str | None = None,
    every: int = 1,
    limit: int | None = None,
    masks: Path | None = None,
) -> list[JobFrame]:
    """The frames to make, in natural order, with the names that they keep.

    Args:
        source: a folder (with its tree) or a sequence pattern.
        frames: a range of frame numbers such as "1-100x2"; each must be there.
        every: of what ``frames`` leaves, the first of every so many.
        limit: of what ``every`` leaves, the first so many.
        masks: a folder of masks, matched by frame number, or by name where a picture has no number; every
            selected frame needs one.

    Raises:
        PlanError: nothing is selected, or a range, a folder or a mask is wrong.
    """
    if every < 1:
        raise PlanError(f"--every is {every}, but takes the first of every 1, 2, ... frames")
    if limit is not None and limit < 1:
        raise PlanError(f"--limit is {limit}, but at least one frame is needed")
    try:
        path = Path(source)
        found = list_frames(source) if not path.exists() and _is_pattern(path) else list_pictures(path)
        chosen = (_numbered(found, frames, source) if frames else found)[::every][:limit]
        masked = _masks(found, chosen, masks) if masks else {}
    except PlanError:
        raise
    except (ValueError, FileNotFoundError, NotADirectoryError) as error:
        raise PlanError(str(error)) from error
    return [
        JobFrame(input=name, output=name, mask=str(masked[name]) if name in masked else None)
        for name in (frame.relative.as_posix() for frame in chosen)
    ]


def _is_pattern(path: Path) -> bool:
    return any(sign in path.name for sign in "#@%")


def _numbered(found: Sequence[Frame], frames: str, source: str | Path) -> list[Frame]:
    """In every folder of the tree the frames of the range; a number that no folder has is an error."""
    wanted = parse_frame_range(frames)
    there = {frame.number for frame in found}
    if missing := [str(number) for number in wanted if number not in there]:
        numbers = sorted(number for number in there if number is not None)
        held = f"its numbers are {numbers[0]} to {numbers[-1]}" if numbers else "its names hold no frame numbers"
        raise PlanError(f"{source} has no frame {_some(missing)}: {held}")
    return [frame for frame in found if frame.number in set(wanted)]


def _masks(found: Sequence[Frame], chosen: Sequence[Frame], folder: Path) -> dict[str, Path]:
    masks = list_pictures(folder)
    if all(frame.number is not None for frame in (*found, *masks)):
        pairs = match_by_number(found, masks)
    else:
        names = {mask.relative.with_suffix("") for mask in masks}
        # Masks may cover more than the selection and the selection less than the folder.
        pairs = match_by_name([frame for frame in found if frame.relative.with_suffix("") in names], masks)
    matched = {frame.relative.as_posix(): mask.path.absolute() for frame, mask in pairs}
    if bare := [name for frame in chosen if (name := frame.relative.as_posix()) not in matched]:
        raise PlanError(f"{folder} has no mask for {_some(bare)}")
    return matched


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
