"""The planner's step for guides: which painted key frames guide which frame, and the motion between them.

A frame is guided by the nearest key frames of its shot, counted on the whole sequence: a preview, a chunk and the whole
shot have the same ones. Flows are an artifact of the job; those of an earlier run are used again where the files
between frame and key frame are the same.
"""

from __future__ import annotations

import logging
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.pictures.read import read_picture
from stylegan_core.frames.sequences.listing import list_frames
from stylegan_core.inference.job.frame_task import FrameTask, GuideKey, Neighbour
from stylegan_core.inference.job.plan import Draft
from stylegan_core.inference.job.spec import Job, PlanError
from stylegan_core.inference.planning.shots.shot_motion import (
    ShotMotion,
    SizedProxy,
    chain_sources,
    nearest_keys,
)
from stylegan_core.inference.planning.shots.timeline import Timeline, TimelineFrame, number_of, timelines
from stylegan_core.inference.planning.steps.shots import cut_starts
from stylegan_core.inference.reading.frame_reader import FrameReader
from stylegan_core.inference.reading.guide_flows import KeptFlows, encode_flows, flow_name, kept_values, read_flows
from stylegan_core.inference.reading.key_frames import refuse_other_size
from stylegan_core.inference.reading.motion_picture import display_unit
from stylegan_core.motion.guide_chain import chain_proxy, proxy_size
from stylegan_core.stylize_settings import RenderSettings

if TYPE_CHECKING:
    from stylegan_core.recipes.model import Model

log = logging.getLogger(__name__)

KEYS_EACH_SIDE = 2
"""Key frames before and after a frame that guide it."""
_WHOLE = 1 << 40
"""Reach of a timeline that includes the whole sequence."""
_LOG_EVERY_S = 10.0

Assigned = dict[int, tuple[GuideKey, ...]]
"""Guides by the number of the frame on its timeline."""


def plan_guides(draft: Draft, model: Model, render: RenderSettings) -> Draft:
    """Fills in ``FrameTask.guides``, and those of the neighbours in its window.

    Args:
        draft: with its colour spaces, strengths, shots and windows.
        model: the job's; without ``guide``, key frames are ignored with a warning.
        render: with key_frames and cuts.
    Raises:
        PlanError: there are no such key frames, none has the number of a frame, or one has another size.
    """
    if render.key_frames is None:
        return draft
    if not model.recipe.guided:
        log.warning("%s takes no key frames: --key-frames is ignored; train with guide: true to use them", model.folder)
        return draft
    settings = draft.job.settings.model_copy(update={"key_frames_space": render.key_frames_space})
    draft = draft.with_job(draft.job.model_copy(update={"settings": settings}))
    line = _only_sequence(draft.job)
    painted = _numbered(render.key_frames, line, "--key-frames")
    masks = {} if render.key_masks is None else _numbered(render.key_masks, line, "--key-masks")
    draft, starts = cut_starts(draft, line, render.cuts)
    wanted = sorted({number for frame in draft.job.frames for number in _numbers(frame) if number in line.existing})
    planner = _GuidePlanner(draft, line, painted, masks)
    assigned: Assigned = {}
    for shot in _shots(line, starts):
        assigned |= planner.of_shot(shot, [number for number in wanted if number in shot])
    name, content = encode_flows(planner.kept)
    if planner.kept.values:
        draft = draft.with_artifact(name, content)
    frames = [_with_guides(frame, assigned, name, draft.job) for frame in draft.job.frames]
    return draft.with_job(draft.job.model_copy(update={"frames": tuple(frames)}))


def _only_sequence(job: Job) -> Timeline:
    found = [line for line in timelines(job.frames, job.input_folder, reach=_WHOLE) if line.existing]
    if len(found) != 1:
        sequences = f"{len(found)} numbered sequences" if found else "no frame with a number"
        raise PlanError(f"--key-frames guide one numbered sequence or movie, and the input has {sequences}")
    return found[0]


def _numbered(where: Path, line: Timeline, option: str) -> dict[int, Path]:
    """Paintings or their masks by the number of their frame on the timeline, in order."""
    try:
        listed = list_frames(where)
    except (ValueError, OSError) as error:
        raise PlanError(f"{option}: {error}") from error
    first = _first_number(line)
    found: dict[int, Path] = {}
    for frame in listed:
        if frame.number is None:
            continue
        if (number := frame.number - first) in found:
            raise PlanError(f"{option}: two files have the number {frame.number}: {found[number]} and {frame.path}")
        found[number] = frame.path.absolute()
    unknown = [number + first for number in found if number not in line.existing]
    if len(unknown) == len(found):
        raise PlanError(f"{option} {where}: none of its pictures has the number of a frame of the input")
    if unknown:
        numbers = ", ".join(map(str, unknown))
        log.warning("%s: pictures without a frame of their number are not used: %s", option, numbers)
    return {number: path for number, path in sorted(found.items()) if number in line.existing}


def _first_number(line: Timeline) -> int:
    """What is added to numbers on a timeline: those of a movie count from 0, its first frame is number 1."""
    return 1 if next(iter(line.existing.values())).index is not None else 0


def _shots(line: Timeline, starts: Sequence[int]) -> Iterator[dict[int, TimelineFrame]]:
    """The existing frames of each shot by number, in order."""
    shots: dict[int, dict[int, TimelineFrame]] = {}
    for number, frame in sorted(line.existing.items()):
        shots.setdefault(bisect_right(starts, number), {})[number] = frame
    yield from shots.values()


def _numbers(frame: FrameTask) -> Iterator[int]:
    """Numbers on the timeline of a frame and of its window."""
    if (number := number_of(frame)) is not None:
        yield number
        yield from (number + other.offset for other in frame.window)


class _GuidePlanner:
    """Assigns key frames to the frames of shots, and keeps the flows between them."""

    def __init__(self, draft: Draft, line: Timeline, painted: dict[int, Path], masks: dict[int, Path]) -> None:
        self._job, self._line, self._painted, self._masks = draft.job, line, painted, masks
        self._reader = FrameReader(draft.job)
        self._earlier = [
            flows for path in draft.earlier_artifacts("guides-*.safetensors") if (flows := read_flows(path)) is not None
        ]
        self.kept = KeptFlows()
        settings = draft.job.settings
        self._common = [settings.source_space, settings.working_space, settings.ocio]
        self._logged_s, self._frames_read = time.monotonic(), 0

    def of_shot(self, shot: dict[int, TimelineFrame], wanted: Sequence[int]) -> Assigned:
        """Guides of the wanted frames of a shot."""
        keys = [number for number in self._painted if number in shot]
        if not keys or not wanted:
            return {}
        for key in keys:
            self._check_size(key)
        nearest = {number: nearest_keys(number, keys, KEYS_EACH_SIDE) for number in wanted}
        motion = ShotMotion([*shot], self._proxy)
        names: dict[tuple[int, int], str] = {}
        for key in keys:
            guided = {number for number, own in nearest.items() if key in own and number != key}
            names |= {(number, key): name for number, name in self._flows(key, guided, shot, motion)}
        return {number: self._guides(number, own, names) for number, own in nearest.items()}

    def _guides(self, number: int, keys: Sequence[int], names: dict[tuple[int, int], str]) -> tuple[GuideKey, ...]:
        """The guides of a frame; a key frame without a flow to it is not one of them."""
        return tuple(
            GuideKey(
                number=key + _first_number(self._line),
                path=self._painted[key],
                mask_path=self._masks.get(key),
                input=self._line.existing[key].input,
                index=self._line.existing[key].index,
                distance=abs(number - key),
                flow=names.get((number, key)),
            )
            for key in keys
            if key == number or (number, key) in names
        )

    def _flows(
        self, key: int, guided: set[int], shot: dict[int, TimelineFrame], motion: ShotMotion
    ) -> Iterator[tuple[int, str]]:
        """Names of the flows between frames and a key frame, from an earlier run or computed now."""
        sources = chain_sources(key, shot, self._state, self._common)
        unknown = set[int]()
        for number in sorted(guided):
            source = sources[number]
            known = next((flows for flows in self._earlier if source in flows.sources), None)
            if known is None:
                unknown.add(number)
                continue
            name = known.sources[source]
            self.kept.keep(source, name, known.values[name])
            yield number, name
        for number, flow in motion.flows(key, unknown) if unknown else ():
            values = kept_values(flow)
            name = flow_name(values)
            self.kept.keep(sources[number], name, values)
            yield number, name

    def _proxy(self, number: int) -> SizedProxy | None:
        frame = self._line.existing[number]
        self._log_progress()
        task = FrameTask(input=frame.input, output="", index=frame.index)
        try:
            picture, _ = self._reader.read(task)
            size = picture.height_px, picture.width_px
            small = proxy_size(*size)
            if small is None:
                return None
            grey = chain_proxy(display_unit(picture, self._job.settings, self._job.input_path(task), small))
        except (UnreadablePictureError, OSError):
            return None  # it is reported when it is stylized
        return None if grey is None else (grey, size)

    def _check_size(self, key: int) -> None:
        frame, path = self._line.existing[key], self._painted[key]
        task = FrameTask(input=frame.input, output="", index=frame.index)
        try:
            plate, _ = self._reader.read(task)
        except (UnreadablePictureError, OSError):
            return  # a key frame that cannot be read guides nothing
        try:
            painting = read_picture(path, max_megapixels=self._job.max_megapixels)
            refuse_other_size(painting, plate, path, key + _first_number(self._line))
        except (UnreadablePictureError, OSError) as error:
            raise PlanError(f"--key-frames: {path}: {error}") from error

    def _state(self, frame: TimelineFrame) -> object:
        try:
            status = (self._job.input_folder / frame.input).stat()
        except OSError:
            return [frame.input, frame.index]
        return [frame.input, frame.index, status.st_size, status.st_mtime_ns]

    def _log_progress(self) -> None:
        """Logs every ten seconds how many frames are read."""
        self._frames_read += 1
        if time.monotonic() - self._logged_s >= _LOG_EVERY_S:
            self._logged_s = time.monotonic()
            log.info("searching motion: %d of %d frames", self._frames_read, len(self._line.existing))


def _with_guides(frame: FrameTask, assigned: Assigned, flow_file: str, job: Job) -> FrameTask:
    """A frame with its guides and those of its neighbours; without, where nothing of the network's is shown.

    The guide of a key frame is its own painting alone, so its neighbours' are needed only to blend their results.
    """
    number = number_of(frame)
    strength = job.settings.strength if frame.strength is None else frame.strength
    if number is None or frame.missing == "black" or strength == 0:
        return frame

    def guides(at: int) -> tuple[GuideKey, ...]:
        return tuple(
            guide.model_copy(update={"flow_file": flow_file if guide.flow else None}) for guide in assigned.get(at, ())
        )

    frame = frame.model_copy(update={"guides": guides(number)})
    if frame.is_key and not job.settings.blend_frames:
        return frame
    window: tuple[Neighbour, ...] = tuple(
        other.model_copy(update={"guides": guides(number + other.offset)}) for other in frame.window
    )
    return frame.model_copy(update={"window": window})
