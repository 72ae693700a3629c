import itertools

import cv2
import numpy as np
import pytest

from stylegan_core.motion.guide_chain import (
    PROXY_PX,
    FlowPair,
    adjacent_flow,
    chain_flows,
    chain_proxy,
    proxy_size,
    sample,
)
from stylegan_core.motion.optical_flow import LEAST_PX, Grey


def texture(height: int, width: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).random((height, width, 3), np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), 3.0)
    return (blurred - blurred.min()) / (blurred.max() - blurred.min())


def pan(step_px: int, frames: int = 8) -> list[Grey]:
    """Frames that move by ``step_px`` to the right over one picture."""
    wide = texture(96, 128 + step_px * frames)
    proxies = [chain_proxy(np.ascontiguousarray(wide[:, at * step_px :][:, :128])) for at in range(frames)]
    return [proxy for proxy in proxies if proxy is not None]


def chained(proxies: list[Grey]) -> list[FlowPair]:
    steps = [adjacent_flow(a, b) for a, b in itertools.pairwise(proxies)]
    return list(chain_flows(proxies, steps))


def test_composed_flow_follows_a_pan_that_is_too_large_for_one_search() -> None:
    found = chained(pan(10))
    assert len(found) == 7
    for distance, flow in enumerate(found, start=1):
        seen = flow.there[20:-20, : 128 - 10 * distance - 4]  # what the key frame shows too
        assert abs(np.median(seen[..., 0]) - 10 * distance) < 0.2
        assert abs(np.median(flow.back[20:-20, 10 * distance + 4 :, 0]) + 10 * distance) < 0.2


def test_the_flow_does_not_depend_on_threads() -> None:
    proxies, threads = pan(4, 4), cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        one = chained(proxies)
        cv2.setNumThreads(4)
        four = chained(proxies)
    finally:
        cv2.setNumThreads(threads)
    for a, b in zip(one, four, strict=True):
        assert np.array_equal(a.there, b.there)
        assert np.array_equal(a.back, b.back)


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [(1080, 1920, (PROXY_PX * 9 // 16, PROXY_PX)), (64, 48, (64, 48)), (LEAST_PX - 1, 200, None), (100, 4000, None)],
)
def test_proxies_are_small_and_refused_where_flow_is_impossible(
    height: int, width: int, expected: tuple[int, int] | None
) -> None:
    assert proxy_size(height, width) == expected


def test_resized_flow_is_the_same_motion_in_other_pixels() -> None:
    flow = np.full((8, 16, 2), (1.0, -2.0), np.float32)
    larger = FlowPair(flow, -flow).resized(24, 32)
    assert larger.there.shape == (24, 32, 2)
    np.testing.assert_allclose(larger.there, np.broadcast_to((2.0, -6.0), (24, 32, 2)), rtol=1e-6)
    np.testing.assert_allclose(larger.reversed.there, -larger.there)


def test_sampling_repeats_the_border() -> None:
    ramp = np.broadcast_to(np.arange(8, dtype=np.float32), (4, 8)).copy()
    offset = np.zeros((4, 8, 2), np.float32)
    offset[..., 0] = 2.5
    np.testing.assert_allclose(sample(ramp, offset)[0], np.minimum(np.arange(8) + 2.5, 7), atol=1e-5)
