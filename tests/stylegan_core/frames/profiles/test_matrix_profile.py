"""Matrix profiles: as Little CMS converts them, and only where they are what they are taken for."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest

from stylegan_core.frames.profiles.matrix_profile import measure

RNG = np.random.default_rng(17)
D65 = (0.3127, 0.3290, 1.0)
PRIMARIES = {
    "rec709": (0.64, 0.33, 1.0, 0.30, 0.60, 1.0, 0.15, 0.06, 1.0),
    "p3": (0.680, 0.320, 1.0, 0.265, 0.690, 1.0, 0.150, 0.060, 1.0),
    "adobe": (0.64, 0.33, 1.0, 0.21, 0.71, 1.0, 0.15, 0.06, 1.0),
}
LINEAR = imagecodecs.cms_profile("rgb", whitepoint=D65, primaries=PRIMARIES["rec709"], gamma=1.0)


def exact(unit: np.ndarray, source: bytes, target: bytes) -> np.ndarray:
    flags, intent = imagecodecs.CMS.FLAGS.NOOPTIMIZE, imagecodecs.CMS.INTENT.RELATIVE_COLORIMETRIC
    spaces = {"colorspace": "rgb", "outcolorspace": "rgb", "outdtype": np.float32}
    return imagecodecs.cms_transform(np.ascontiguousarray(unit), source, target, flags=flags, intent=intent, **spaces)


@pytest.mark.parametrize("primaries", PRIMARIES)
@pytest.mark.parametrize("gamma", [1.0, 1.8, 2.2, 2.6])
def test_as_little_cms(primaries: str, gamma: float) -> None:
    profile = imagecodecs.cms_profile("rgb", whitepoint=D65, primaries=PRIMARIES[primaries], gamma=gamma)
    found = measure(lambda unit: exact(unit, profile, LINEAR))
    assert found is not None
    codes = RNG.random((50, 50, 3), dtype=np.float32)
    assert np.abs(found.to_linear(codes) - exact(codes, profile, LINEAR)).max() < 2e-5
    # Rec.709's colours lie inside the others.
    light = RNG.random((50, 50, 3), dtype=np.float32)
    assert np.abs(found.from_linear(light) - exact(light, LINEAR, profile)).max() < 1e-4
    dark = light**6
    assert np.abs(found.to_linear(found.from_linear(dark)) - dark).max() < 2e-5
    assert np.allclose(found.from_linear(np.zeros((1, 1, 3), np.float32)), 0, atol=1e-6)
    assert np.allclose(found.from_linear(np.ones((1, 1, 3), np.float32)), 1, atol=1e-4)


@pytest.mark.parametrize(
    "transform",
    [
        lambda unit: unit[..., ::-1] * unit,  # channels that meet
        lambda unit: 1 - unit,  # falling
        lambda unit: unit + np.float32(0.1),  # black that is not black
        lambda unit: np.floor(unit * 16) / np.float32(16),  # steps
        lambda unit: unit * np.float32(0),
        lambda unit: np.repeat(unit.mean(axis=-1, keepdims=True), 3, axis=-1),  # no inverse
    ],
)
def test_what_is_no_matrix_profile(transform) -> None:  # type: ignore[no-untyped-def]
    assert measure(transform) is None
