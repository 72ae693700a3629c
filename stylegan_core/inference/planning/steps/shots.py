"""The planner's step for shots: cuts in a job's sequences, and the window of each frame for temporal filters.

Cuts are detected only if something depends on them: windows, or statistics of a shot. Detected cuts are an artifact of
the job, named by a digest of the files' names, sizes and times, so that a rerun decodes nothing.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from bisect import bisect_right
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from stylegan_core.frames.base.errors import UnreadablePictureError
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
from stylegan_core.inference.reading.frame_reader import FrameReader
from stylegan_core.inference.reading.motion_picture import display_unit
from stylegan_core.stylize_settings import FRAMES_PER_S, RenderSettings

if TYPE_CHECKING:
    from stylegan_core.recipes.model import Model

log = logging.getLogger(__name__)

FILTERED_WITH_KEYS = 1
"""Neighbours to each side: with them, six shots flicker by half of what they do without (docs/results.md)."""
_THREADS = 2
_LOG_EVERY_S = 10.0


def plan_shots(draft: Draft, model: Model, render: RenderSettings) -> Draft:
    """Fills in ``FrameTask.shot`` and ``FrameTask.window``.

    Every sequence of the job and every cut starts a shot; pictures without numbers are one shot.

    Args:
        draft: with its colour spaces.
        model: the job's.
        render: with cuts, blend_frames, blend_weight, filter_frames and key_frames.
    Raises:
        PlanError: the list of cuts is wrong.
    """
    if render.cuts not in ("auto", "none"):  # a wrong list is an error even if nothing depends on it
        path, fps = _with_rate(render.cuts)
        read_cut_list(path, first=0, fps=fps)
    job = draft.job
    own: dict[str, object] = {"filter_frames": filter_frames(model, render)}
    if render.blend_frames > 0 and render.blend_weight > 0:
        own |= {"blend_frames": render.blend_frames, "blend_weight": render.blend_weight}
    settings = job.settings.model_copy(update=own)
    job, reach = job.model_copy(update={"settings": settings}), settings.window_frames
    if not reach and not needs_shots(model, render):
        return draft
    frames, shots = list(job.frames), 0
    for line in timelines(job.frames, job.input_folder, reach=reach + REACH):
        draft, starts = cut_starts(draft, line, render.cuts)
        for at, number in line.frames:
            shot = 0 if number is None else bisect_right(starts, number)
            strength = settings.strength if frames[at].strength is None else frames[at].strength
            alone = frames[at].missing == "black" or strength == 0
            window = () if alone else _window(line, number, starts, reach)
            frames[at] = frames[at].model_copy(update={"shot": shots + shot, "window": window})
        shots = max((frames[at].shot for at, _ in line.frames), default=shots) + 1
    return draft.with_job(job.model_copy(update={"frames": tuple(frames)}))


def filter_frames(model: Model, render: RenderSettings) -> int:
    """Neighbours to each side that frames are averaged with: as set, or one where key frames guide the model."""
    if render.filter_frames is not None:
        return render.filter_frames
    return FILTERED_WITH_KEYS if model.recipe.guided and render.key_frames is not None else 0


def needs_shots(model: Model, render: RenderSettings) -> bool:
    """Whether anything apart from windows depends on shots: norm statistics that are frozen for each."""
    from torch import nn

    if render.statistics not in ("auto", "shot"):
        return False
    return any(isinstance(module, nn.InstanceNorm2d) for module in model.recipe.modules())


def _window(line: Timeline, number: int | None, starts: list[int], reach: int) -> tuple[Neighbour, ...]:
    """The existing frames of the same shot up to ``reach`` numbers away."""
    if number is None or not reach:
        return ()
    shot = bisect_right(starts, number)
    nearby = [(offset, line.existing.get(number + offset)) for offset in range(-reach, reach + 1) if offset]
    return tuple(
        Neighbour(offset=offset, input=frame.input, index=frame.index)
        for offset, frame in nearby
        if frame is not None and bisect_right(starts, number + offset) == shot
    )


def cut_starts(draft: Draft, line: Timeline, cuts: str) -> tuple[Draft, list[int]]:
    """The draft with detected cuts as an artifact, and the numbers of the frames that start a shot of a sequence."""
    if cuts == "none" or len(line.existing) < 2:
        return draft, []
    if cuts != "auto":
        path, fps = _with_rate(cuts)
        first = min(line.existing)
        return draft, [start for start in read_cut_list(path, first=first, fps=fps) if start > first]
    numbers, frames = list(line.existing), list(line.existing.values())
    name = f"cuts-{_digest(draft.job, frames)[:16]}.json"
    positions = _earlier_cuts(draft, name)
    if positions is None:
        positions = find_cuts(_logged(_proxies(draft.job, frames), len(frames)))
    draft = draft.with_artifact(name, json.dumps({"starts": positions}).encode())
    starts = [numbers[at] for at in positions]
    if starts:
        numbers_text = ", ".join(str(number) for number in starts[:8]) + (" ..." if len(starts) > 8 else "")
        count = "1 cut, before frame" if len(starts) == 1 else f"{len(starts)} cuts, before frames"
        log.info("%s: %s %s", frames[0].input, count, numbers_text)
    return draft, starts


def _earlier_cuts(draft: Draft, name: str) -> list[int] | None:
    """Positions of cuts that this plan or an earlier run detected in the same frames; None if there are none."""
    if name in draft.artifacts:
        return [int(at) for at in json.loads(draft.artifacts[name])["starts"]]
    for path in draft.earlier_artifacts(name):
        try:
            return [int(at) for at in json.loads(path.read_bytes())["starts"]]
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def _with_rate(cuts: str) -> tuple[Path, float]:
    """A list of cuts and the frame rate of its timecodes, as in ``reel.edl@25``."""
    name, at, rate = cuts.rpartition("@")
    try:
        return (Path(name), float(rate)) if at else (Path(cuts), FRAMES_PER_S)
    except ValueError:
        return Path(cuts), FRAMES_PER_S


def _proxies(job: Job, frames: list[TimelineFrame]) -> Iterator[Proxy | None]:
    reader = FrameReader(job)

    def proxy(frame: TimelineFrame) -> Proxy | None:
        task = FrameTask(input=frame.input, output="", index=frame.index)
        try:
            picture, _ = reader.read(task)
        except (UnreadablePictureError, OSError):
            return None  # it is reported when it is stylized
        return proxy_of(display_unit(picture, job.settings, reader.path(task), (PROXY_HEIGHT_PX, PROXY_WIDTH_PX)))

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="cuts") as pool:
        for start in range(0, len(frames), 64):  # a bounded number ahead
            yield from pool.map(proxy, frames[start : start + 64])


def _logged(proxies: Iterator[Proxy | None], count: int) -> Iterator[Proxy | None]:
    """Logs the progress every ten seconds."""
    logged_s = time.monotonic()
    for done, proxy in enumerate(proxies):
        if time.monotonic() - logged_s >= _LOG_EVERY_S:
            logged_s = time.monotonic()
            log.info("detecting cuts: %d of %d frames", done, count)
        yield proxy


def _digest(job: Job, frames: list[TimelineFrame]) -> str:
    parts: list[object] = [job.settings.source_space, job.settings.working_space]
    for frame in frames:
        try:
            status = (job.input_folder / frame.input).stat()
            parts.append([frame.input, frame.index, status.st_size, status.st_mtime_ns])
        except OSError:
            parts.append([frame.input, frame.index])
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
