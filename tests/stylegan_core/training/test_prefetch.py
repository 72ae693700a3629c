import threading

import torch

from stylegan_core.data.batch import Batch
from stylegan_core.training.prefetch import Prefetcher


class Sampler:
    def __init__(self):
        self.made = []

    def batch(self, step):
        self.made.append((step, threading.current_thread() is threading.main_thread()))
        return Batch(content=torch.full((1, 3, 2, 2), float(step)))


def test_the_same_batches_in_any_order():
    sampler = Sampler()
    prefetcher = Prefetcher(sampler)
    for step in (0, 1, 2, 7, 8, 3):
        assert float(prefetcher.batch(step).content.mean()) == step
    prefetcher.close()
    assert (1, False) in sampler.made
    assert (8, False) in sampler.made
    assert (7, True) in sampler.made  # not foreseen


def test_strides_of_a_distributed_run():
    sampler = Sampler()
    prefetcher = Prefetcher(sampler, stride=3)
    for step in (1, 4, 7):
        assert float(prefetcher.batch(step).content.mean()) == step
    prefetcher.close()
    assert {step for step, _ in sampler.made} <= {1, 4, 7, 10}
