"""The planner's steps for time: where a job's sequences cut, and the window that steadies each frame.

Cuts are looked for where something depends on them: windows, and statistics that hold for a shot. What was found is an
artifact of the job, named by a digest of the files' names, sizes and times, so that a rerun decodes nothing.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from bisect import bisect_right
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stylegan_core.frames.base.errors import UnreadablePictureError
from stylegan_core.frames.colour.convert import linear_to_srgb, to_working
from stylegan_core.inference.job.frame_task import FrameTask, Neighbour
from stylegan_core.inference.job.plan import Draft
from stylegan_core.inference.job.spec import Job
from stylegan_core.inference.planning.shots.cut_lists import read_cut_list
from stylegan_core.inference.planning.shots.detect_cuts import (
    PROXY_HEIGHT_PX,
    PROXY_WIDTH_PX,
    REACH,
    Proxy,
    find_cuts,
    proxy_of,
)
from stylegan_core.inference.planning.shots.timeline import Timeline, TimelineFrame, timelines
from stylegan_core.inference.reading.colour import space_of
from stylegan_core.inference.reading.frame_reader import FrameReader
from stylegan_core.stylize_settings import RenderSettings

if TYPE_CHECKING:
    from stylegan_core.recipes.model import Model

log = logging.getLogger(__name__)

_THREADS = 2
_TOLD_EVERY_S = 10.0


def plan_shots(draft: Draft, model: Model, render: RenderSettings) -> Draft:
    """Fills in ``FrameTask.shot`` and ``FrameTask.window``.

    Every sequence of the job, and every cut in one, starts a shot; pictures without numbers are one shot together.

    Args:
        draft: whose colours are settled.
        model: the job's.
        render: with cuts, blend_frames and blend_weight.
    Raises:
        PlanError: the list of cuts is wrong.
    """
    if render.cuts not in ("auto", "none"):  # a list that is wrong is told even where nothing depends on it
        path, fps = _with_rate(render.cuts)
        read_cut_list(path, first=0, fps=fps)
    job = draft.job
    blends = render.blend_frames > 0 and render.blend_weight > 0
    if blends:
        blend = {"blend_frames": render.blend_frames, "blend_weight": render.blend_weight}
        job = job.model_copy(update={"settings": job.settings.model_copy(update=blend)})
    elif not needs_shots(model, render):
        return draft
    frames, shots = list(job.frames), 0
    for line in timelines(job.frames, job.input_folder, reach=render.blend_frames + REACH):
        draft, starts = _cuts(draft, line, render.cuts)
        for at, number in line.frames:
            shot = 0 if number is None else bisect_right(starts, number)
            window = _window(line, number, starts, render.blend_frames) if blends else ()
            window = () if frames[at].missing == "black" else window
            frames[at] = frames[at].model_copy(update={"shot": shots + shot, "window": window})
        shots = max((frames[at].shot for at, _ in line.frames), default=shots) + 1
    return draft.with_job(job.model_copy(update={"frames": tuple(frames)}))


def needs_shots(model: Model, render: RenderSettings) -> bool:
    """Whether something beside windows depends on shots: statistics that are frozen for each."""
    from torch import nn

    if render.statistics not in ("auto", "shot"):
        return False
    return any(isinstance(module, nn.InstanceNorm2d) for module in model.recipe.modules())


def _window(line: Timeline, number: int | None, starts: list[int], reach: int) -> tuple[Neighbour, ...]:
    """The frames of the same shot up to ``reach`` numbers away, as far as they are there."""
    if number is None:
        return ()

    shot = bisect_right(starts, number)
    beside = [(offset, line.moments.get(number + offset)) for offset in range(-reach, reach + 1) if offset]
    return tuple(
        Neighbour(offset=offset, input=moment.input, index=moment.index)
        for offset, moment in beside
        if moment is not None and bisect_right(starts, number + offset) == shot
    )


def _cuts(draft: Draft, line: Timeline, asked: str) -> tuple[Draft, list[int]]:
    """Numbers of the frames that start a shot, of a sequence, and the draft with what was found as an artifact."""
    if asked == "none" or len(line.moments) < 2:
        return draft, []
    if asked != "auto":
        path, fps = _with_rate(asked)
        first = min(line.moments)
        return draft, [start for start in read_cut_list(path, first=first, fps=fps) if start > first]
    numbers, moments = list(line.moments), list(line.moments.values())
    name = f"cuts-{_digest(draft.job, moments)[:16]}.json"
    positions = _earlier_cuts(draft, name)
    if positions is None:
        positions = find_cuts(_told(_proxies(draft.job, moments), len(moments)))
    draft = draft.with_artifact(name, json.dumps({"starts": positions}).encode())
    starts = [numbers[at] for at in positions]
    if starts:
        some = ", ".join(str(number) for number in starts[:8]) + (" ..." if len(starts) > 8 else "")
        cuts = "1 cut, before frame" if len(starts) == 1 else f"{len(starts)} cuts, before frames"
        log.info("%s: %s %s", moments[0].input, cuts, some)
    return draft, starts


def _earlier_cuts(draft: Draft, name: str) -> list[int] | None:
    """What an earlier run found in the same frames; None if there was none."""
    for path in draft.earlier_artifacts(name):
        try:
            return [int(at) for at in json.loads(path.read_bytes())["starts"]]
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def _with_rate(asked: str) -> tuple[Path, float]:
    """A list of cuts and the frames a second of its timecodes: ``reel.edl@25``; 24 where nothing is said."""
    name, at, rate = asked.rpartition("@")
    try:
        return (Path(name), float(rate)) if at else (Path(asked), 24.0)
    except ValueError:
        return Path(asked), 24.0


def _proxies(job: Job, moments: list[TimelineFrame]) -> Iterator[Proxy | None]:
    sources = FrameReader(job)

    def proxy(moment: TimelineFrame) -> Proxy | None:
        frame = FrameTask(input=moment.input, output="", index=moment.index)
        try:
            picture, _ = sources.read(frame)
        except (UnreadablePictureError, OSError):
            return None  # it is named when its turn comes
        size = (PROXY_WIDTH_PX, PROXY_HEIGHT_PX)
        pixels = picture.pixels if picture.pixels.dtype != np.float16 else picture.pixels.astype(np.float32)
        small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(picture.pixels.dtype)
        small = small.reshape(PROXY_HEIGHT_PX, PROXY_WIDTH_PX, picture.pixels.shape[2])
        settings = job.settings
        unit = to_working(
            replace(picture, pixels=small, other_views=()),
            source_space=space_of(picture, settings, sources.path(frame)).name,
            working_space=settings.working_space,
            ocio=settings.colour_config,
        )
        return proxy_of(linear_to_srgb(unit) if settings.working_space.startswith("linear") else unit)

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="cuts") as pool:
        for start in range(0, len(moments), 64):  # a bounded number ahead
            yield from pool.map(proxy, moments[start : start + 64])


def _told(proxies: Iterator[Proxy | None], count: int) -> Iterator[Proxy | None]:
    """Says how far it is, where it takes long."""
    told_s = time.monotonic()
    for done, proxy in enumerate(proxies):
        if time.monotonic() - told_s >= _TOLD_EVERY_S:
            told_s = time.monotonic()
            log.info("looking for cuts: %d of %d frames", done, count)
        yield proxy


def _digest(job: Job, moments: list[TimelineFrame]) -> str:
    parts: list[object] = [job.settings.source_space, job.settings.working_space]
    for moment in moments:
        try:
            status = (job.input_folder / moment.input).stat()
            parts.append([moment.input, moment.index, status.st_size, status.st_mtime_ns])
        except OSError:
            parts.append([moment.input, moment.index])
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
