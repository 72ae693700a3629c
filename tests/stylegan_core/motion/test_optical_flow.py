import numpy as np
import pytest

from stylegan_core.motion.optical_flow import consistent, estimate_flow, grey_proxy, warp_by_flow


def texture(x, y):
    """A smooth picture over the whole plane, in unit range."""
    waves = np.sin(x / 3.1) * np.cos(y / 4.3) + np.sin((x + 2 * y) / 7.7) + np.cos((3 * x - y) / 11.3)
    return np.repeat((0.5 + 0.16 * waves)[..., None], 3, axis=2).astype(np.float32)


def camera(right=0.0, down=0.0, height=96, width=128):
    y, x = np.mgrid[:height, :width].astype(np.float64)
    return texture(x + right, y + down)


def test_a_known_shift_is_found_below_the_pixel():
    frame, other = camera(), camera(2.3, -1.6)
    flow = estimate_flow(grey_proxy(frame), grey_proxy(other))
    inner = (slice(16, -16), slice(16, -16))
    # The other camera looks further right and up: what it shows lies further left and down.
    assert np.abs(flow.offset_px[inner] - [-2.3, 1.6]).mean() < 0.1
    assert flow.visible[inner].mean() > 0.98
    assert not flow.visible[:, 0].any()
    assert not flow.visible[-1].any()


def test_what_is_uncovered_is_not_visible():
    rng = np.random.default_rng(0)
    import cv2

    def smooth(height, width):
        noise = cv2.GaussianBlur(rng.random((height, width)).astype(np.float32), (0, 0), 1.5)
        return (255 * (noise - noise.min()) / np.ptp(noise)).astype(np.uint8)

    background, thing = smooth(96, 160), smooth(40, 40)
    earlier, later = background.copy(), background.copy()
    earlier[28:68, 40:80] = thing
    later[28:68, 48:88] = thing  # 8 px to the right
    flow = estimate_flow(later, earlier)
    assert flow.visible[32:64, 42:46].mean() < 0.3, "the earlier frame shows the thing there, not the background"
    assert flow.visible[34:62, 60:84].mean() > 0.9
    assert np.abs(flow.offset_px[34:62, 60:84] - [-8, 0]).mean() < 0.5
    assert flow.visible[:20].mean() > 0.9


def ruder(there, back):
    """The rule as the paper states it, a pixel at a time; flows are whole numbers where they are sampled."""
    height, width = there.shape[:2]
    mask = np.zeros((height, width), bool)
    for y in range(height):
        for x in range(width):
            u, v = there[y, x]
            to_x, to_y = int(x + u), int(y + v)
            if not (0 <= to_x < width and 0 <= to_y < height):
                continue
            w = np.array([u, v], float)
            w_back = back[to_y, to_x].astype(float)
            leads_back = ((w + w_back) ** 2).sum() <= 0.01 * ((w**2).sum() + (w_back**2).sum()) + 0.5
            right = there[y, min(x + 1, width - 1)] - there[y, x]
            down = there[min(y + 1, height - 1), x] - there[y, x]
            border = (right**2).sum() + (down**2).sum() > 0.01 * (w**2).sum() + 0.002
            mask[y, x] = leads_back and not border
    return mask


def test_the_rule_is_ruders():
    rng = np.random.default_rng(3)
    there = np.zeros((40, 48, 2), np.float32)
    for _ in range(6):  # patches that move by whole pixels
        y, x = rng.integers(0, 30), rng.integers(0, 36)
        there[y : y + 12, x : x + 14] = rng.integers(-6, 7, 2)
    back = np.zeros_like(there)
    for y in range(40):
        for x in range(48):
            to_x, to_y = int(x + there[y, x, 0]), int(y + there[y, x, 1])
            if 0 <= to_x < 48 and 0 <= to_y < 40:
                back[to_y, to_x] = -there[y, x] + rng.normal(0, 0.6, 2)
    expected = ruder(there, back)
    assert 0.2 < expected.mean() < 0.9
    np.testing.assert_array_equal(consistent(there, back), expected)


def test_a_warp_by_whole_pixels_moves_and_changes_nothing():
    picture = np.random.default_rng(1).random((40, 50, 3)).astype(np.float32)
    offset = np.zeros((40, 50, 2), np.float32)
    np.testing.assert_array_equal(warp_by_flow(picture, offset), picture)
    offset += np.float32([3, -2])
    np.testing.assert_array_equal(warp_by_flow(picture, offset)[2:, :-3], picture[:-2, 3:])


def test_a_warp_below_the_pixel_does_not_blur():
    offset = np.zeros((96, 128, 2), np.float32) + np.float32([0.5, 0.25])
    moved, expected = warp_by_flow(camera(), offset), camera(0.5, 0.25)
    inner = (slice(8, -8), slice(8, -8))
    assert np.abs(moved[inner] - expected[inner]).max() < 2e-3


def test_frames_without_a_flow_are_refused():
    small, large = np.zeros((16, 64), np.uint8), np.zeros((64, 64), np.uint8)
    for frame, other in ((small, small), (large, large[:48])):
        with pytest.raises(ValueError, match="two frames of one size"):
            estimate_flow(frame, other)
