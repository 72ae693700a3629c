"""Guides for training: what a frame of the store would be guided by if it were not painted itself."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from stylegan_core.data.crops import pair_rows, stored_rows
from stylegan_core.data.manifest import Manifest, ManifestRow
from stylegan_core.data.store import Samples, SampleStore, to_samples
from stylegan_core.frames.colour.srgb import display_encoded
from stylegan_core.motion.guide import KeyView, guide_of
from stylegan_core.motion.guide_chain import FlowPair, adjacent_flow, chain_flows, chain_proxy
from stylegan_core.motion.warp import Floats

_MOST_UNPAINTED = 16
"""Unpainted frames of a shot that get a guide, evenly spread."""
_BANNED_SHARE = 1 / 16
"""Of the longer side: places of a key frame that are nearer to the pixel itself do not guide it."""


def training_guides(
    store: SampleStore, manifest: Manifest, shots: Sequence[str] = (), *, unpainted: bool = True
) -> dict[int, Samples]:
    """Guides by index in the store, (H, W, 4) of its sample type: guide and confidence in unit range.

    A painted frame is guided by the other key frames, and by other places of itself; an unpainted one by all. Frames
    differ in number by more than in use, so the motion between them is followed over larger steps.

    Args:
        store: the prepared pictures.
        manifest: its rows.
        shots: only these; empty is every shot.
        unpainted: whether unpainted frames get guides too; the motion is followed over them in any case.
    """
    rows = [row for row in stored_rows(manifest, "train", shots) if row.shot and row.frame is not None]
    guides: dict[int, Samples] = {}
    for shot in sorted({row.shot for row in rows}):
        members = [row for row in rows if row.shot == shot]
        for sample, guide in _guides_of_shot(store, members, with_unpainted=unpainted):
            guides[sample] = to_samples(guide, store.sample_type)
    return guides


def _guides_of_shot(
    store: SampleStore, rows: Sequence[ManifestRow], *, with_unpainted: bool
) -> Iterator[tuple[int, Floats]]:
    styles = {content.sample: style.sample for content, style in pair_rows(rows)}
    contents = sorted((row for row in rows if row.domain == "content"), key=lambda row: row.frame or 0)
    painted = [row for row in contents if row.sample in styles]
    unpainted = [row for row in contents if row.sample not in styles]
    step = max(1, -(-len(unpainted) // _MOST_UNPAINTED))
    chosen = {row.sample for row in (*painted, *unpainted[::step])}
    frames = [row for row in contents if row.sample in chosen]
    plates = [_display(store, row.sample) for row in frames]
    if not painted or len({plate.shape for plate in plates}) > 1:
        return
    keys = [index for index, row in enumerate(frames) if row.sample in styles]
    paintings = {index: store.unit(_index(styles[frames[index].sample])) for index in keys}
    flows = _flows_to_keys(plates, keys)
    for index, row in enumerate(frames):
        if index not in keys and not with_unpainted:
            continue
        views = [
            KeyView(
                plates[key],
                paintings[key],
                flows.get((index, key)),
                distance=abs(_index(row.frame) - _index(frames[key].frame)),
                banned_px=_BANNED_SHARE * max(plates[key].shape) if key == index else 0.0,
            )
            for key in keys
        ]
        guide, confidence = guide_of(plates[index], views)
        yield _index(row.sample), np.concatenate([guide, confidence[..., None]], axis=-1)


def _flows_to_keys(plates: Sequence[Floats], keys: Sequence[int]) -> dict[tuple[int, int], FlowPair]:
    """Flow from each frame to each key frame and back, by both indexes; none for frames that are too small."""
    proxies = [proxy for plate in plates if (proxy := chain_proxy(plate)) is not None]
    if len(proxies) != len(plates):
        return {}
    steps = [adjacent_flow(first, second) for first, second in itertools.pairwise(proxies)]
    flows = {}
    for key in keys:
        for index, flow in enumerate(chain_flows(proxies[key:], steps[key:]), start=key + 1):
            flows[index, key] = flow
        backward = [step.reversed for step in reversed(steps[:key])]
        for distance, flow in enumerate(chain_flows(proxies[key::-1], backward), start=1):
            flows[key - distance, key] = flow
    return flows


def _display(store: SampleStore, sample: int | None) -> Floats:
    return display_encoded(store.unit(_index(sample)), store.working_space)


def _index(value: int | None) -> int:
    assert value is not None
    return value
