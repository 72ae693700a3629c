"""What a call means: which frames of the input, under which names in the output, with which masks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from stylegan_core.frames.movies.probe import MOVIE_SUFFIXES, is_movie
from stylegan_core.frames.sequences.frame_range import parse_frame_range, write_frame_range
from stylegan_core.frames.sequences.listing import (
    PICTURE_SUFFIXES,
    foreign_pictures,
    frame_number,
    list_pictures,
    match_pattern,
    natural_key,
)
from stylegan_core.frames.sequences.pattern import Pattern, is_pattern, parse_pattern
from stylegan_core.inference.job.delivery import MovieTarget
from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.job.movie_paths import frames_folder, reads_movie, writes_movie
from stylegan_core.inference.job.spec import PlanError
from stylegan_core.inference.planning.selection.match_files import abbreviate, match_files
from stylegan_core.inference.planning.selection.missing_frames import (
    FrameSequence,
    Rule,
    describe_gaps_of,
    describe_missing,
    sequences,
)
from stylegan_core.inference.planning.selection.movies import (
    check_movie_of_pictures,
    choose_movie_frames,
    movie_target,
)
from stylegan_core.inference.planning.selection.output_names import OutputNames

MissingMask = Literal["error", "everywhere", "nowhere"]


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
    frames: tuple[FrameTask, ...]
    notes: tuple[str, ...] = ()
    movie: MovieTarget | None = None


@dataclass(frozen=True)
class PlannedFrame:
    """A place in the output: a picture that is there, or a number of a sequence, which may be missing."""

    own: str
    number: int | None
    sequence: FrameSequence | None = None


def select(  # noqa: PLR0913
    source: str | Path,
    output: str | Path,
    *,
    frames: str | None = None,
    every: int = 1,
    limit: int | None = None,
    masks: Path | None = None,
    missing: Rule | None = None,
    missing_mask: MissingMask = "error",
    pick: int | None = None,
    codec: str | None = None,
    quality: int | None = None,
    fps: float = 24.0,
) -> Selection:
    """Which frames a call is about, and where they go.

    Args:
        source: a folder (with its tree), a sequence pattern, a picture or a movie.
        output: a folder outside of it, a pattern, a picture or a movie.
        frames: a range of frame numbers such as "1-100x2".
        every: of what ``frames`` leaves, the first of every so many.
        limit: of what ``every`` leaves, the first so many.
        masks: a folder, a pattern or one file of masks, by name or frame number.
        missing: what becomes of frames that a numbered sequence lacks; None is "error" where numbers are asked for, by
            a pattern or by ``frames``, and "skip" in a folder.
        missing_mask: what a frame without a mask means.
        pick: of all these so many, evenly spread.
        codec: of an output that is a movie; None is the source's where its container takes it.
        quality: constant rate factor of such a movie in H.264 or H.265.
        fps: frames a second of a movie made of pictures.

    Raises:
        PlanError: nothing is selected, or a range, a folder or a mask is wrong.
    """
    movie = movie_target(output, codec, quality, fps) if writes_movie(output) else None
    if movie is not None and movie.path.resolve() == Path(source).resolve():
        raise PlanError(f"{output} would replace its own input: choose another name")
    names = OutputNames.of(output) if movie is None else OutputNames(frames_folder(movie.path))
    folder = input_folder(source)
    check_folders(folder, names.folder, whole=Path(source).is_dir())
    if reads_movie(source):
        chosen, notes = choose_movie_frames(Path(source), names, frames=frames, every=every, limit=limit, movie=movie)
    else:
        if movie is not None:
            check_movie_of_pictures(movie)
        chosen, notes = _choose(source, frames, every, limit, missing, names)
        if Path(source).is_dir() and (foreign := foreign_pictures(Path(source))):
            some_of_each = ", ".join(f"{count} x {suffix}" for suffix, count in foreign.items())
            notes = [*notes, f"{source} holds files that are left alone: {some_of_each}"]
    if own := [frame.output for frame in chosen if (names.folder / frame.output).resolve() == _real(folder, frame)]:
        raise PlanError(f"{abbreviate(own)} would replace its own input: choose another folder or another name")
    if pick is not None:
        chosen = [chosen[at] for at in evenly_spread(len(chosen), pick)]
    if masks is not None:
        chosen = with_masks(chosen, masks, missing_mask)
    return Selection(folder, names.folder, tuple(chosen), tuple(notes), movie)


def select_frames(source: str | Path) -> list[FrameTask]:
    """All frames of a folder or a pattern, in natural order, with the names that they keep.

    Raises:
        PlanError: there are none.
    """
    chosen, _ = _choose(source, None, 1, None, None, OutputNames(Path()))
    return chosen


def with_masks(frames: Sequence[FrameTask], masks: Path, missing_mask: MissingMask) -> list[FrameTask]:
    """Frames with their masks.

    Args:
        frames: that are selected.
        masks: a folder, a pattern or one file.
        missing_mask: what a frame without one means: a wrong call, that all of it is stylized, or nothing.

    Raises:
        PlanError: there is no such place, or a frame has no mask and needs one.
    """
    found = match_files(frames, masks, "--masks")
    bare = [frame.output for frame, mask in zip(frames, found, strict=True) if mask is None]
    if bare and missing_mask == "error":
        raise PlanError(f"{masks} has no mask for {abbreviate(bare)}; --missing-mask everywhere or nowhere goes on")
    without = {"strength": 0.0} if missing_mask == "nowhere" else {}
    return [
        frame.model_copy(update={"mask": str(mask)} if mask is not None else without)
        for frame, mask in zip(frames, found, strict=True)
    ]


def evenly_spread(count: int, most: int) -> list[int]:
    """Indices of ``most`` of ``count`` things, the first and the last among them if there is more than one."""
    if most >= count:
        return list(range(count))
    if most == 1:
        return [count // 2]
    return [round(at * (count - 1) / (most - 1)) for at in range(most)]


def check_folders(source: Path, output: Path, *, whole: bool = True) -> None:
    """Refuses a call that could read its own output or overwrite its input.

    Args:
        source: folder of the inputs.
        output: folder that is made if it is missing.
        whole: whether the folder with its tree is the input, so that another run would read what this one wrote.

    Raises:
        PlanError: the input is missing, or one folder lies inside the other.
    """
    if not source.exists():
        meant = source.name.replace("*", "@")
        hint = f"; frame numbers are written #### or @, as {meant}" if "*" in source.name else ""
        raise PlanError(f"there is no folder {source}{hint}")
    if not source.is_dir():
        raise PlanError(
            f"{source} is no folder, no pattern such as shot.####.exr, and no file that stylize reads: "
            f"{', '.join((*PICTURE_SUFFIXES, *MOVIE_SUFFIXES))}"
        )
    if output.exists() and not output.is_dir():
        raise PlanError(f"the output {output} is a file, not a folder")
    if not whole:
        return
    real_source, real_output = source.resolve(), output.resolve()
    if real_source == real_output:
        raise PlanError(f"input and output are in the same folder, {real_source}: choose another output")
    if real_source in real_output.parents:
        raise PlanError(f"the output {output} lies inside the input {source}: choose a folder outside of it")
    if real_output in real_source.parents:
        raise PlanError(f"the input {source} lies inside the output {output}: choose another output")


def input_folder(source: str | Path) -> Path:
    """The folder of a directory, of a sequence pattern or of a picture.

    Raises:
        PlanError: a pattern that no sequence can have.
    """
    path = Path(source)
    if path.is_file() and (path.suffix.lower() in PICTURE_SUFFIXES or is_movie(path)):
        return path.parent
    return _pattern(source).folder if not path.exists() and is_pattern(source) else path


def _real(folder: Path, frame: FrameTask) -> Path:
    return (folder / frame.input).resolve()


def _pattern(source: str | Path) -> Pattern:
    try:
        return parse_pattern(source)
    except ValueError as error:
        raise PlanError(str(error)) from error


def _choose(
    source: str | Path, frames: str | None, every: int, limit: int | None, missing: Rule | None, names: OutputNames
) -> tuple[list[FrameTask], list[str]]:
    """The frames to make, and what a person should hear of them."""
    if every < 1:
        raise PlanError(f"--every is {every}, but takes the first of every 1, 2, ... frames")
    if limit is not None and limit < 1:
        raise PlanError(f"--limit is {limit}, but at least one frame is needed")
    path = Path(source)
    try:
        asked = parse_frame_range(frames) if frames else None
        if path.is_file():
            slots, rule = [PlannedFrame(path.name, frame_number(path))], None
        elif not path.exists() and is_pattern(source):
            slots, rule = _of_pattern(_pattern(source), asked), missing or "error"
        else:
            slots, rule = _of_folder(path, asked, missing)
    except PlanError:
        raise
    except (ValueError, FileNotFoundError, NotADirectoryError) as error:
        raise PlanError(str(error)) from error
    slots = sorted(slots, key=lambda slot: natural_key(slot.own))[::every][:limit]
    notes = _tell(slots, rule)
    if rule is None and not frames and every == 1 and limit is None:
        notes = describe_gaps_of([slot.own for slot in slots])
    chosen = [
        slot.sequence.job_frame(slot.number, rule or "skip", names.name(slot.own, slot.number))
        if slot.sequence is not None and slot.number is not None
        else FrameTask(input=slot.own, output=names.name(slot.own, slot.number), number=slot.number)
        for slot in slots
        if rule in ("hold", "black") or slot.sequence is None or slot.number in slot.sequence.frames
    ]
    if not chosen:
        raise PlanError(f"{source}: all frames that are asked for are missing")
    twice = [name for name, count in Counter(frame.output for frame in chosen).items() if count > 1]
    if twice:
        raise PlanError(
            f"{len(chosen)} frames would go to {abbreviate(twice)}: name a folder, or a pattern for one sequence"
        )
    return chosen, notes


def _of_pattern(pattern: Pattern, asked: Sequence[int] | None) -> list[PlannedFrame]:
    found = match_pattern(pattern if asked is None else replace(pattern, numbers=None))
    there = {frame.number: frame for frame in found if frame.number is not None}
    sequence = FrameSequence(replace(pattern, folder=Path(), numbers=None), there)
    wanted = asked if asked is not None else pattern.numbers
    _refuse_none(str(pattern), [sequence], wanted)
    return [PlannedFrame(sequence.name(number), number, sequence) for number in sequence.wanted(wanted)]


def _of_folder(
    folder: Path, asked: Sequence[int] | None, missing: Rule | None
) -> tuple[list[PlannedFrame], Rule | None]:
    found = list_pictures(folder)
    if asked is None and missing in (None, "skip"):
        return [PlannedFrame(frame.relative.as_posix(), frame.number) for frame in found], None
    shots = sequences(found)
    _refuse_none(str(folder), shots, asked)
    shots = [shot for shot in shots if asked is None or not shot.frames.keys().isdisjoint(asked)]
    rule = missing or "error"
    if asked is not None and missing is None and len(shots) > 1:  # each has a part of the range
        if lacking := set(asked).difference(*(shot.frames for shot in shots)):
            raise PlanError(f"{folder} has no frame {write_frame_range(lacking)} in any of its {len(shots)} sequences")
        rule = "skip"
    slots = [PlannedFrame(shot.name(number), number, shot) for shot in shots for number in shot.wanted(asked)]
    named = {slot.own for slot in slots}
    alone = [] if asked is not None else [f for f in found if f.number is None and f.relative.as_posix() not in named]
    return [*slots, *(PlannedFrame(frame.relative.as_posix(), None) for frame in alone)], rule


def _refuse_none(place: str, shots: Sequence[FrameSequence], asked: Sequence[int] | None) -> None:
    there = {number for shot in shots for number in shot.frames}
    if not there:
        raise PlanError(f"{place} has no frame with a number in its name")
    if asked is not None and there.isdisjoint(asked):
        raise PlanError(
            f"{place} has no frame {write_frame_range(asked)}: its numbers are {min(there)} to {max(there)}"
        )


def _tell(slots: Sequence[PlannedFrame], rule: Rule | None) -> list[str]:
    """Gaps of each sequence among what is wanted of it."""
    wanted: dict[int, tuple[FrameSequence, list[int]]] = {}
    for slot in slots:
        if slot.sequence is not None and slot.number is not None:
            wanted.setdefault(id(slot.sequence), (slot.sequence, []))[1].append(slot.number)
    told = (describe_missing(sequence, numbers, rule or "skip") for sequence, numbers in wanted.values())
    return [note for note in told if note is not None]
