"""Guides of a shot for the evaluation of a guided model: its painted key frames, along the motion as in stylize."""

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
from stylegan_core.inference.reading.masks import read_mask
from stylegan_core.metrics.pictures import Floats
from stylegan_core.motion.guide import KeyView, guide_of, shrunk
from stylegan_core.motion.guide_chain import FlowPair, chain_proxy


class ShotGuides:
    """Adds to frames of a shot the guide by its key frames. Thread-safe."""

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
        self._lock = threading.Lock()

    def with_guide(self, number: int, content: Floats) -> Floats:
        """(H, W, 3) a frame in the working space to (H, W, 7) with its guide and the guide's confidence."""
        keys = nearest_keys(number, [*self._painted], KEYS_EACH_SIDE)
        views = [view for key in keys if (view := self._view(key, number, content.shape)) is not None]
        guide, confidence = guide_of(self._display(content), views)
        return np.dstack([content, guide, confidence])

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
