"""The frames of a request: which frames of the input, under which names in the output, with which masks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stylegan_core.choices import MissingMask
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
from stylegan_core.inference.planning.request import MissingRule, Request
from stylegan_core.inference.planning.selection.match_files import abbreviate, match_files
from stylegan_core.inference.planning.selection.missing_frames import (
    FrameSequence,
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


@dataclass(frozen=True)
class Selection:
    """The frames that a job makes, and where they are read and written.

    Attributes:
        input_folder: what the inputs of the frames are relative to.
        output_folder: what their outputs are relative to.
        frames: to make, in order.
        notes: warnings about the sequence: gaps, files that are ignored.
        movie: that the outputs are assembled to when all frames are made; None: they stay pictures.
    """

    input_folder: Path
    output_folder: Path
    frames: tuple[FrameTask, ...]
    notes: tuple[str, ...] = ()
    movie: MovieTarget | None = None


@dataclass(frozen=True)
class PlannedFrame:
    """An existing picture, or a number of a sequence whose picture may be missing.

    Attributes:
        name: path below the input folder.
        number: of the frame; None has none.
        sequence: that the number belongs to; None: the picture exists and is taken alone.
    """

    name: str
    number: int | None
    sequence: FrameSequence | None = None

    @property
    def exists(self) -> bool:
        """Whether there is a picture of this frame."""
        return self.sequence is None or self.number in self.sequence.frames


def select(request: Request) -> Selection:
    """The frames of a request, and where they go.

    Raises:
        PlanError: nothing is selected, or a range, a folder or a mask is wrong.
    """
    source = Path(request.source)
    movie = movie_target(request) if writes_movie(request.output) else None
    if movie is not None and movie.path.resolve() == source.resolve():
        raise PlanError(f"{request.output} would replace its own input: choose another name")
    names = OutputNames.of(request.output) if movie is None else OutputNames(frames_folder(movie.path))
    folder = input_folder(request.source)
    check_folders(folder, names.folder, whole=source.is_dir())
    if reads_movie(source):
        frames, notes = choose_movie_frames(request, names, movie)
    else:
        if movie is not None:
            check_movie_of_pictures(movie)
        frames, notes = _choose_pictures(request, names)
        if source.is_dir() and (foreign := foreign_pictures(source)):
            counts = ", ".join(f"{count} x {suffix}" for suffix, count in foreign.items())
            notes = [*notes, f"{source} contains files that stylize does not read: {counts}"]
    _refuse_overwriting_inputs(folder, names.folder, frames)
    if request.pick is not None:
        frames = [frames[at] for at in evenly_spread(len(frames), request.pick)]
    if request.masks is not None:
        frames = with_masks(frames, request.masks, request.missing_mask)
    return Selection(folder, names.folder, tuple(frames), tuple(notes), movie)


def with_masks(frames: Sequence[FrameTask], masks: Path, missing_mask: MissingMask) -> list[FrameTask]:
    """Frames with their masks.

    Args:
        frames: that are selected.
        masks: a folder, a pattern or one file.
        missing_mask: see ``Request``.

    Raises:
        PlanError: there is no such folder or file, or a frame has no mask and needs one.
    """
    found = match_files(frames, masks, "--masks")
    bare = [frame.output for frame, mask in zip(frames, found, strict=True) if mask is None]
    if bare and missing_mask == "error":
        raise PlanError(
            f"{masks} has no mask for {abbreviate(bare)}: add them, or pass --missing-mask everywhere or nowhere"
        )
    unmasked = {"strength": 0.0} if missing_mask == "nowhere" else {}
    return [
        frame.model_copy(update={"mask": str(mask)} if mask is not None else unmasked)
        for frame, mask in zip(frames, found, strict=True)
    ]


def evenly_spread(count: int, most: int) -> list[int]:
    """Indices of at most ``most`` of ``count`` items; the first and the last are among them if ``most`` is above 1."""
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
        whole: whether the folder with its tree is the input, so that the next run would read what this one wrote.

    Raises:
        PlanError: the input is missing, or one folder lies inside the other.
    """
    if not source.exists():
        pattern = source.name.replace("*", "@")
        hint = f"; write frame numbers as #### or @: {pattern}" if "*" in source.name else ""
        raise PlanError(f"there is no folder {source}{hint}")
    if not source.is_dir():
        raise PlanError(
            f"{source} is neither a folder, nor a pattern such as shot.####.exr, nor a file that stylize reads: "
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


def _pattern(source: str | Path) -> Pattern:
    try:
        return parse_pattern(source)
    except ValueError as error:
        raise PlanError(str(error)) from error


def _refuse_overwriting_inputs(folder: Path, output_folder: Path, frames: Sequence[FrameTask]) -> None:
    same = [f.output for f in frames if (output_folder / f.output).resolve() == (folder / f.input).resolve()]
    if same:
        raise PlanError(f"{abbreviate(same)} would replace its own input: choose another folder or another name")


def _choose_pictures(request: Request, names: OutputNames) -> tuple[list[FrameTask], list[str]]:
    """The frames to make of a folder, a pattern or a picture, and the notes on their gaps."""
    if request.every < 1:
        raise PlanError(f"--every is {request.every}, but must be 1 or more")
    if request.limit is not None and request.limit < 1:
        raise PlanError(f"--limit is {request.limit}, but must be 1 or more")
    try:
        planned, rule = _list(request)
    except PlanError:
        raise
    except (ValueError, FileNotFoundError, NotADirectoryError) as error:
        raise PlanError(str(error)) from error
    planned = sorted(planned, key=lambda frame: natural_key(frame.name))[:: request.every][: request.limit]
    everything = rule is None and not request.frames and request.every == 1 and request.limit is None
    notes = describe_gaps_of([frame.name for frame in planned]) if everything else _gaps(planned, rule)
    tasks = [_task(frame, rule, names) for frame in planned if rule in ("hold", "black") or frame.exists]
    if not tasks:
        raise PlanError(f"{request.source}: all selected frames are missing")
    if twice := [name for name, count in Counter(task.output for task in tasks).items() if count > 1]:
        raise PlanError(
            f"{len(tasks)} frames would be written to {abbreviate(twice)}: name a folder, or a pattern for one sequence"
        )
    return tasks, notes


def _list(request: Request) -> tuple[list[PlannedFrame], MissingRule | None]:
    """All frames of the input in the range, and the rule for missing ones; None: there are no gaps to look for."""
    path = Path(request.source)
    numbers = parse_frame_range(request.frames) if request.frames else None
    if path.is_file():
        return [PlannedFrame(path.name, frame_number(path))], None
    if not path.exists() and is_pattern(request.source):
        return _of_pattern(_pattern(request.source), numbers), request.missing or "error"
    return _of_folder(path, numbers, request.missing)


def _task(frame: PlannedFrame, rule: MissingRule | None, names: OutputNames) -> FrameTask:
    output = names.name(frame.name, frame.number)
    if frame.sequence is not None and frame.number is not None:
        return frame.sequence.task(frame.number, rule or "skip", output)
    return FrameTask(input=frame.name, output=output, number=frame.number)


def _of_pattern(pattern: Pattern, numbers: Sequence[int] | None) -> list[PlannedFrame]:
    found = match_pattern(pattern if numbers is None else replace(pattern, numbers=None))
    by_number = {frame.number: frame for frame in found if frame.number is not None}
    sequence = FrameSequence(replace(pattern, folder=Path(), numbers=None), by_number)
    wanted = numbers if numbers is not None else pattern.numbers
    _refuse_empty(str(pattern), [sequence], wanted)
    return [PlannedFrame(sequence.name(number), number, sequence) for number in sequence.expected(wanted)]


def _of_folder(
    folder: Path, numbers: Sequence[int] | None, missing: MissingRule | None
) -> tuple[list[PlannedFrame], MissingRule | None]:
    found = list_pictures(folder)
    if numbers is None and missing in (None, "skip"):
        return [PlannedFrame(frame.relative.as_posix(), frame.number) for frame in found], None
    shots = sequences(found)
    _refuse_empty(str(folder), shots, numbers)
    shots = [shot for shot in shots if numbers is None or not shot.frames.keys().isdisjoint(numbers)]
    rule = missing or "error"
    if numbers is not None and missing is None and len(shots) > 1:  # each sequence has a part of the range
        if lacking := set(numbers).difference(*(shot.frames for shot in shots)):
            raise PlanError(f"{folder} has no frame {write_frame_range(lacking)} in any of its {len(shots)} sequences")
        rule = "skip"
    planned = [PlannedFrame(shot.name(number), number, shot) for shot in shots for number in shot.expected(numbers)]
    if numbers is None:
        listed = {frame.name for frame in planned}
        single = [f.relative.as_posix() for f in found if f.number is None]
        planned += [PlannedFrame(name, None) for name in single if name not in listed]
    return planned, rule


def _refuse_empty(source: str, shots: Sequence[FrameSequence], numbers: Sequence[int] | None) -> None:
    existing = {number for shot in shots for number in shot.frames}
    if not existing:
        raise PlanError(f"{source} has no frame with a number in its name")
    if numbers is not None and existing.isdisjoint(numbers):
        raise PlanError(
            f"{source} has no frame {write_frame_range(numbers)}: its numbers are {min(existing)} to {max(existing)}"
        )


def _gaps(planned: Sequence[PlannedFrame], rule: MissingRule | None) -> list[str]:
    """The gaps of each sequence among the frames that are planned of it."""
    expected: dict[int, tuple[FrameSequence, list[int]]] = {}
    for frame in planned:
        if frame.sequence is not None and frame.number is not None:
            expected.setdefault(id(frame.sequence), (frame.sequence, []))[1].append(frame.number)
    notes = (describe_missing(sequence, numbers, rule or "skip") for sequence, numbers in expected.values())
    return [note for note in notes if note is not None]
