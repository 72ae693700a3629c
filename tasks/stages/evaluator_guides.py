"""Inputs of a guided model for the evaluation of a shot, as in stylize: plates and guides, filtered in time."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from stylegan_core.data.subjects import Subject
from stylegan_core.frames.pictures.read import read_picture
from stylegan_core.frames.sequences.listing import list_frames
from stylegan_core.inference.planning.shots.shot_motion import ShotMotion, SizedProxy, nearest_keys
from stylegan_core.inference.planning.steps.guides import KEYS_EACH_SIDE
from stylegan_core.inference.planning.steps.shots import FILTERED_WITH_KEYS
from stylegan_core.inference.reading.masks import read_mask
from stylegan_core.metrics.pictures import Floats
from stylegan_core.motion.guide import KeyView, guide_of, shrunk
from stylegan_core.motion.guide_chain import FlowPair, adjacent_flow, chain_proxy
from stylegan_core.motion.guide_map import searched_size
from stylegan_core.motion.optical_flow import LEAST_PX, grey_proxy
from stylegan_core.motion.temporal_filter import (
    FILTER_SEARCHED_PX,
    NeighbourMotion,
    Rows,
    filtered_guide,
    filtered_plate,
    neighbour_motion,
)
from stylegan_core.storage.lru_arrays import LruArrays

_KEPT_GUIDES = 8
"""Of frames whose neighbours are evaluated at the same time."""


class ShotGuides:
    """Adds to frames of a shot the guide by its key frames, and filters both in time. Thread-safe."""

    def __init__(
        self,
        plates: dict[int, Path],
        painted: dict[int, Path],
        read: Callable[[Path, str], Floats],
        display: Callable[[Floats], Floats],
        masks: dict[int, Path] | None = None,
    ) -> None:
        """Reads nothing yet.

        Args:
            plates: all frames of the shot by number, in order.
            painted: key frames by number, in order; each has a plate.
            read: see ``Evaluator.read``.
            display: the model's working space to display encoding.
            masks: of the painted part of key frames, by number.
        """
        self._masks = masks or {}
        self._plates, self._painted, self._read, self._display = plates, painted, read, display
        self._motion = ShotMotion([*plates], self._proxy)
        self._flows: dict[int, dict[int, FlowPair]] = {}
        self._guides: LruArrays[Floats] = LruArrays(_KEPT_GUIDES)
        self._lock = threading.Lock()

    def with_guide(self, number: int, content: Floats) -> Floats:
        """(H, W, 3) a frame in the working space to (H, W, 7) with its guide and the guide's confidence, filtered."""
        size, guide = (content.shape[0], content.shape[1]), self._guide(number, content)
        searched = searched_size(*size, FILTER_SEARCHED_PX)
        plates: list[tuple[NeighbourMotion, Rows]] = []
        guides: list[tuple[NeighbourMotion, Rows]] = []
        for offset in (offset for offset in range(-FILTERED_WITH_KEYS, FILTERED_WITH_KEYS + 1) if offset):
            path = self._plates.get(number + offset)
            other = None if path is None else self._read(path, "content")
            if other is None or other.shape != content.shape or min(searched) < LEAST_PX:
                continue
            motion = self._motion_to(content, other)
            plates.append((motion, _rows(other)))
            guides.append((motion, _rows(self._guide(number + offset, other))))
        plate = filtered_plate(_rows(content), plates, size, 0, size[0])
        if number not in self._painted:
            guide = filtered_guide(_rows(guide), guides, size, 0, size[0])
        return np.dstack([plate, guide])

    def _guide(self, number: int, content: Floats) -> Floats:
        """(H, W, 4) guide of a frame and its confidence."""

        def found() -> Floats:
            keys = nearest_keys(number, [*self._painted], KEYS_EACH_SIDE)
            views = [view for key in keys if (view := self._view(key, number, content.shape)) is not None]
            return np.dstack(guide_of(self._display(content), views))

        return self._guides.get(number, found)

    def _motion_to(self, content: Floats, other: Floats) -> NeighbourMotion:
        size = searched_size(content.shape[0], content.shape[1], FILTER_SEARCHED_PX)
        frame, neighbour = (shrunk(self._display(unit), size) for unit in (content, other))
        return neighbour_motion(frame, neighbour, adjacent_flow(grey_proxy(frame), grey_proxy(neighbour)))

    def _view(self, key: int, number: int, shape: tuple[int, ...]) -> KeyView | None:
        """A key frame as the guide of a frame; None if they differ in size, or there is no motion between them."""
        flow = None if key == number else self._flows_to(key).get(number)
        if flow is None and key != number:
            return None
        plate, painting = self._read(self._plates[key], "content"), self._read(self._painted[key], "style")
        if plate.shape != shape or painting.shape != shape:
            return None
        if key in self._masks:
            painting = np.dstack([painting, _mask_unit(self._masks[key], (shape[0], shape[1]))])
        return KeyView(self._display(plate), painting, flow, abs(number - key))

    def _flows_to(self, key: int) -> dict[int, FlowPair]:
        with self._lock:  # a shot's motion is computed once
            if key not in self._flows:
                self._flows[key] = dict(self._motion.flows(key, {*self._plates} - {key}))
            return self._flows[key]

    def _proxy(self, number: int) -> SizedProxy | None:
        content = self._display(self._read(self._plates[number], "content"))
        grey = chain_proxy(content)
        return None if grey is None else (grey, (content.shape[0], content.shape[1]))


def _rows(picture: Floats) -> Rows:
    return lambda first, last: picture[first:last]


def _mask_unit(path: Path, size: tuple[int, int]) -> Floats:
    """A mask at the size of the frames, which may be evaluated smaller than their files."""
    picture = read_picture(path)
    return shrunk(read_mask(path, picture.height_px, picture.width_px), size)


def guides_of(
    subject: Subject,
    prepared: Path,
    root: Path,
    read: Callable[[Path, str], Floats],
    display: Callable[[Floats], Floats],
) -> ShotGuides | None:
    """The guides of a shot; None for other pictures, and for a shot without key frames.

    Args:
        subject: to evaluate on.
        prepared: what prepare wrote.
        root: what relative paths in prepared data are relative to.
        read: see ``Evaluator.read``.
        display: the model's working space to display encoding.
    """
    if subject.kind != "shot" or not subject.key_frames:
        return None
    shots = prepared / "shots.json"
    if not shots.is_file():  # prepared by hand, with a manifest alone
        return None
    entry = json.loads(shots.read_text(encoding="utf-8"))[subject.name]
    numbered = {
        role: {frame.number: frame.path for frame in list_frames(root / entry[role]) if frame.number is not None}
        for role in ("plates", "painted", "masks")
        if entry.get(role)
    }
    plates = dict(sorted(numbered["plates"].items()))
    painted = {number: path for number, path in sorted(numbered["painted"].items()) if number in plates}
    return ShotGuides(plates, painted, read, display, numbered.get("masks"))
