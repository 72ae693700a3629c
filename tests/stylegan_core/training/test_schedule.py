import math

import pytest
import torch

from stylegan_core.recipes.base import Phase
from stylegan_core.training.schedule import lr_factor, phase_at


def test_constant_is_one():
    assert lr_factor("constant", 10**9, 0, 1) == 1.0


def test_linear_and_cosine_agree_with_torch():
    for name, make in (
        ("linear", lambda o: torch.optim.lr_scheduler.LinearLR(o, 1.0, 1e-12, total_iters=20)),
        ("cosine", lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=20)),
    ):
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        schedule = make(optimizer)
        for step in range(20):
            assert lr_factor(name, 5 + step, 5, 25) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-9)
            optimizer.step()
            schedule.step()


def test_before_and_after_the_decay():
    assert lr_factor("cosine", 3, 5, 25) == 1.0
    assert lr_factor("linear", 400, 5, 25) == 0.0
    assert lr_factor("cosine", 15, 5, 25) == pytest.approx(0.5)
    assert math.isclose(lr_factor("linear", 10, 5, 25), 0.75)


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="constant, linear, cosine"):
        lr_factor("step", 0, 0, 1)
    with pytest.raises(ValueError, match="must lie after"):
        lr_factor("linear", 0, 5, 5)


def test_phases_by_absolute_step():
    phases = [Phase("a", 3, ()), Phase("b", 7, ()), Phase("c", None, ())]
    assert [phase_at(phases, s) for s in (0, 2, 3, 6, 7, 10**6)] == [0, 0, 1, 1, 2, 2]
    with pytest.raises(ValueError, match="end_step None"):
        phase_at(phases[:2], 7)
