"""Distillation from a teacher whose outputs are a formula."""

import numpy as np
import pytest
import torch

from stylegan_core.training.distillation import MARGIN_PX, _crops, _distances, distill, student_config
from stylegan_core.training.schedule import lr_factor


def pictures(count, height=48, width=56):
    generator = torch.Generator().manual_seed(1)
    return [torch.rand(1, 3, height, width, generator=generator) * 2 - 1 for _ in range(count)]


def brighter(picture):
    return picture * 0.5 + 0.4


def test_a_student_comes_nearer_than_the_untouched_picture():
    config = student_config(4, 1, steps=60, crop_px=32)
    heard = []
    made = distill(brighter, pictures(3), pictures(5)[3:], config, progress=heard.append)
    untouched = -10 * np.log10(np.mean([np.square((brighter(p) - p).numpy() / 2).mean() for p in pictures(5)[3:]]))
    assert made.psnr_db > untouched + 4
    assert len(heard) == 60
    assert made.config.budget_steps == 60
    assert heard[-1] == 1.0
    assert heard == sorted(heard)
    assert 0 < made.swd < made.swd_unstylized


def test_equal_seeds_give_equal_students():
    runs = [
        distill(brighter, pictures(2), pictures(1), student_config(4, 1, steps=4, crop_px=32), seed=s)
        for s in (0, 0, 1)
    ]
    first, again, other = (torch.cat([p.flatten() for p in run.recipe.parameters()]) for run in runs)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_crops_are_aligned_and_small_pictures_extended():
    generator = np.random.default_rng(0)
    shown = pictures(2, 32, 40)
    batch = _crops(shown, [brighter(p) for p in shown], 48, 6, generator)
    content, answer = batch.content, batch.style
    assert content.shape == answer.shape == (6, 3, 48, 48)
    assert torch.allclose(answer, brighter(content), atol=1e-6)


def test_the_border_of_a_crop_is_not_compared():
    first = torch.zeros(1, 3, 40, 40)
    second = first.clone()
    second[..., :MARGIN_PX, :] = 5.0
    assert sum(_distances(first, second).values()) == 0
    second[..., 20, 20] = 1.0
    losses = _distances(first, second)
    assert losses["l1"] == pytest.approx(1 / 24**2)
    assert sum(losses.values()) == pytest.approx(1 / 24**2 + 4 / (24 * 23))


def test_the_rate_falls_to_zero_over_the_steps():
    config = student_config(4, 1, steps=10, crop_px=32)
    rates = [lr_factor(config.lr_schedule, s, config.lr_decay_start_step, config.lr_decay_end_step) for s in (0, 5, 10)]
    assert rates == pytest.approx([1.0, 0.5, 0.0])
