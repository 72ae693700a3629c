import numpy as np
import pytest


@pytest.fixture
def tiny_model(tiny_model_folder):
    from stylegan_core.recipes.model import load_model

    return load_model(tiny_model_folder)


@pytest.fixture(scope="session")
def noise_picture():
    """(H, W, channels) uint8: smooth waves under noise."""

    def make(seed, height=40, width=56, channels=3):
        rng = np.random.default_rng(seed)
        wave = 128 + 90 * np.sin(np.mgrid[0:height, 0:width, 0:channels].sum(0) / 9 + seed)
        return np.clip(wave + rng.normal(0, 12, wave.shape), 0, 255).astype(np.uint8)

    return make
