"""PSNR, SSIM and MSE beside scikit-image's and torchmetrics', detail beside SciPy's Laplacian."""

import numpy as np
import pytest
import torch
from scipy.ndimage import laplace
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity

from stylegan_core.metrics.detail import detail_ratio, laplacian_variance
from stylegan_core.metrics.mse import mse
from stylegan_core.metrics.pictures import as_pictures, luma
from stylegan_core.metrics.psnr import LARGEST_DB, psnr_db
from stylegan_core.metrics.ssim import ssim


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    from skimage.data import astronaut

    truth = astronaut()[100:164, 180:260].astype(np.float32) / 255
    noise = np.random.default_rng(0).normal(0, 0.08, truth.shape)
    return np.clip(truth + noise, 0, 1).astype(np.float32), truth


def test_scikit_image_agrees(pair: tuple[np.ndarray, np.ndarray]) -> None:
    result, truth = pair
    assert mse(result, truth) == pytest.approx(mean_squared_error(truth, result), rel=1e-5)
    assert psnr_db(result, truth) == pytest.approx(peak_signal_noise_ratio(truth, result, data_range=1), abs=1e-4)
    expected = structural_similarity(
        truth, result, data_range=1, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert ssim(result, truth) == pytest.approx(expected, abs=1e-5)


def test_torchmetrics_agrees(pair: tuple[np.ndarray, np.ndarray]) -> None:
    from torchmetrics.functional.image import peak_signal_noise_ratio as reference_psnr

    result, truth = (torch.from_numpy(p.transpose(2, 0, 1)[None].copy()) for p in pair)
    assert psnr_db(result, truth) == pytest.approx(float(reference_psnr(result, truth, data_range=1.0)), abs=1e-4)


def test_several_pictures_give_the_mean_of_single_figures(pair: tuple[np.ndarray, np.ndarray]) -> None:
    result, truth = pair
    both = [result, truth * 0.9], [truth, truth]
    for metric in (psnr_db, ssim, mse):
        assert metric(*both) == pytest.approx((metric(result, truth) + metric(truth * 0.9, truth)) / 2)


def test_equal_pictures(pair: tuple[np.ndarray, np.ndarray]) -> None:
    truth = pair[1]
    assert (psnr_db(truth, truth), mse(truth, truth), detail_ratio(truth, truth)) == (LARGEST_DB, 0.0, 1.0)
    assert ssim(truth, truth) == pytest.approx(1.0)


def test_detail_is_the_variance_of_scipys_laplacian(pair: tuple[np.ndarray, np.ndarray]) -> None:
    result, truth = pair
    variances = [laplace(luma(p).astype(np.float64))[1:-1, 1:-1].var() for p in pair]
    assert laplacian_variance(result) == pytest.approx(variances[0], rel=1e-4)
    assert detail_ratio(result, truth) == pytest.approx(variances[0] / variances[1], rel=1e-4)
    flat = np.full_like(truth, 0.5)
    assert detail_ratio(flat, truth) == pytest.approx(0.0, abs=1e-6)
    assert detail_ratio(truth, np.zeros_like(truth)) == float("inf")


def test_what_cannot_be_compared_is_said(pair: tuple[np.ndarray, np.ndarray]) -> None:
    result, truth = pair
    with pytest.raises(ValueError, match="80 x 64 px with one of 79 x 64"):
        mse(result, truth[:, :79])
    with pytest.raises(ValueError, match="same number"):
        mse([result, result], [truth])
    with pytest.raises(ValueError, match="unit range"):
        as_pictures((truth * 255).astype(np.uint8))
    with pytest.raises(ValueError, match="at least 11 px"):
        ssim(result[:8], truth[:8])
