import math

import pytest
import torch
import torch.nn.functional as F

from stylegan_core.losses.contrastive import patch_nce, sample_positions


def test_agrees_with_cross_entropy_written_out() -> None:
    torch.manual_seed(0)
    query, key = F.normalize(torch.randn(2, 5, 8), dim=-1), F.normalize(torch.randn(2, 5, 8), dim=-1)
    losses = patch_nce(query, key, temperature=0.07)
    assert losses.shape == (2, 5)
    for n in range(2):
        for p in range(5):
            logits = torch.stack([torch.dot(query[n, p], key[n, other]) / 0.07 for other in range(5)])
            written = -math.log(math.exp(logits[p]) / sum(math.exp(v) for v in logits))
            assert losses[n, p].item() == pytest.approx(written, rel=1e-4, abs=1e-5)
            torch.testing.assert_close(losses[n, p], F.cross_entropy(logits[None], torch.tensor([p])))


def test_equal_keys_tell_nothing_apart() -> None:
    query = F.normalize(torch.randn(1, 16, 4), dim=-1)
    losses = patch_nce(query, query[:, :1].expand(1, 16, 4))
    torch.testing.assert_close(losses, torch.full((1, 16), math.log(16)))


def test_no_gradient_flows_into_the_keys() -> None:
    query, key = torch.randn(1, 4, 3, requires_grad=True), torch.randn(1, 4, 3, requires_grad=True)
    patch_nce(query, key).mean().backward()
    assert query.grad is not None
    assert key.grad is None


def test_positions_are_different_below_the_count_and_seeded() -> None:
    torch.manual_seed(3)
    first = sample_positions(100, 32, torch.device("cpu"))
    assert first.shape == (32,)
    assert len(set(first.tolist())) == 32
    assert first.min() >= 0
    assert first.max() < 100
    assert not torch.equal(first, sample_positions(100, 32, torch.device("cpu")))
    torch.manual_seed(3)
    assert torch.equal(first, sample_positions(100, 32, torch.device("cpu")))
    assert sorted(sample_positions(6, 32, torch.device("cpu")).tolist()) == list(range(6))
