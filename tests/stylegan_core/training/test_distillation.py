"""A student beside a teacher whose answers are a formula."""

import numpy as np
import pytest
import torch

from stylegan_core.training.distillation import MARGIN_PX, _crops, _distance, distill, student_config


def pictures(count, height=48, width=56):
    generator = torch.Generator().manual_seed(1)
    return [torch.rand(1, 3, height, width, generator=generator) * 2 - 1 for _ in range(count)]


def brighter(picture):
    return picture * 0.5 + 0.4


def test_a_student_comes_nearer_than_the_untouched_picture():
    config = student_config(4, 1, crop_px=32)
    heard = []
    made = distill(brighter, pictures(3), pictures(5)[3:], config, minutes=10, most_steps=60, progress=heard.append)
    untouched = -10 * np.log10(np.mean([np.square((brighter(p) - p).numpy() / 2).mean() for p in pictures(5)[3:]]))
    assert made.psnr_db > untouched + 4
    assert made.steps == 60 == len(heard)
    assert heard[-1] == 1.0
    assert heard == sorted(heard)
    assert 0 < made.swd < made.swd_unstylized


def test_equal_seeds_give_equal_students():
    runs = [
        distill(brighter, pictures(2), pictures(1), student_config(4, 1, crop_px=32), minutes=10, most_steps=4, seed=s)
        for s in (0, 0, 1)
    ]
    first, again, other = (torch.cat([p.flatten() for p in run.recipe.parameters()]) for run in runs)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_crops_are_aligned_and_small_pictures_extended():
    generator = np.random.default_rng(0)
    shown = pictures(2, 32, 40)
    content, answer = _crops(shown, [brighter(p) for p in shown], 48, 6, generator)
    assert content.shape == answer.shape == (6, 3, 48, 48)
    assert torch.allclose(answer, brighter(content), atol=1e-6)


def test_the_border_of_a_crop_is_not_compared():
    first = torch.zeros(1, 3, 40, 40)
    second = first.clone()
    second[..., :MARGIN_PX, :] = 5.0
    assert _distance(first, second, 1.0) == 0
    second[..., 20, 20] = 1.0
    assert _distance(first, second, 0.0) == pytest.approx(1 / 24**2)
    assert _distance(first, second, 1.0) == pytest.approx(1 / 24**2 + 4 / (24 * 23))
