import torch

from stylegan_core.networks.replay_pool import ReplayPool


def pictures(*values: float) -> torch.Tensor:
    """(N, 3, 4, 4), each of one value, which half precision holds exactly."""
    return torch.tensor(values).view(-1, 1, 1, 1).expand(-1, 3, 4, 4)


def values(given: torch.Tensor) -> list[float]:
    return given[:, 0, 0, 0].tolist()


def test_it_gives_back_what_it_gets_until_it_is_full() -> None:
    pool = ReplayPool(3, 4)
    assert values(pool.exchange(pictures(1.0, 2.0))) == [1.0, 2.0]
    assert values(pool.exchange(pictures(3.0))) == [3.0]
    assert values(pool.kept) == [1.0, 2.0, 3.0]
    assert pool.filled == 3


def test_half_of_a_full_pools_answers_are_earlier_fakes_which_the_new_ones_replace() -> None:
    torch.manual_seed(0)
    pool = ReplayPool(4, 4)
    pool.exchange(pictures(0.0, 1.0, 2.0, 3.0))
    earlier = 0
    held = [0.0, 1.0, 2.0, 3.0]
    for new in range(4, 404):
        (given,) = values(pool.exchange(pictures(float(new))))
        if given != new:
            earlier += 1
            held[held.index(given)] = float(new)  # raises where it gives what it does not hold
        assert values(pool.kept) == held
    assert 150 < earlier < 250  # 200 on average, standard deviation 10


def test_every_place_is_replaced_alike_often() -> None:
    torch.manual_seed(0)
    pool = ReplayPool(4, 1)
    replaced = torch.zeros(4)
    pool.exchange(pictures(0.0, 0.0, 0.0, 0.0)[..., :1, :1])
    for _ in range(800):
        pool.exchange(pictures(1.0)[..., :1, :1])
        replaced += pool.kept[:, 0, 0, 0]
        pool.kept.zero_()
    assert replaced.sum() > 340
    assert (replaced / replaced.sum() - 0.25).abs().max() < 0.08


def test_its_state_is_all_that_decides() -> None:
    first, second = ReplayPool(3, 4), ReplayPool(3, 4)
    first.exchange(pictures(1.0, 2.0, 3.0))
    second.load_state_dict(first.state_dict())
    answers = []
    for pool in (first, second):
        torch.manual_seed(5)
        answers.append([values(pool.exchange(pictures(float(n)))) for n in range(4, 24)])
    assert answers[0] == answers[1]


def test_without_places_it_passes_fakes_on() -> None:
    fakes = pictures(1.0, 2.0)
    assert ReplayPool(0, 4).exchange(fakes) is fakes
