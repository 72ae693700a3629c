import torch

from stylegan_core.recipes.keyframe import Config

CONTENT = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_without_weights_nothing_is_drawn_and_nothing_translated():
    def never(pictures):
        raise AssertionError("translated")

    state = torch.get_rng_state()
    assert Config().steadiness(never, CONTENT, 0) == {}
    assert torch.equal(torch.get_rng_state(), state)


def test_terms_take_turns_and_are_worth_their_steps():
    asked = {f"{kind}_consistency_weight": 1.0 for kind in ("noise", "shift", "warp")}
    config = Config(**asked, consistency_every_steps=4)
    due = [list(config.steadiness(torch.tanh, CONTENT, step)) for step in range(8)]
    assert due == [["noise_consistency"], ["shift_consistency"], ["warp_consistency"], []] * 2

    def at(every, step):
        torch.manual_seed(0)
        return Config(**asked, consistency_every_steps=every).steadiness(torch.tanh, CONTENT, step)

    assert set(at(1, 5)) == {"noise_consistency", "shift_consistency", "warp_consistency"}
    assert torch.isclose(at(4, 0)["noise_consistency"], 4 * at(1, 0)["noise_consistency"])


def test_what_is_made_already_is_not_made_again():
    calls = []

    def translate(pictures):
        calls.append(len(pictures))
        return pictures.tanh()

    config = Config(noise_consistency_weight=1.0)
    torch.manual_seed(0)
    fresh = config.steadiness(translate, CONTENT, 0)
    torch.manual_seed(0)
    known = config.steadiness(translate, CONTENT, 0, CONTENT.tanh())
    assert calls == [2, 2, 2]
    assert torch.equal(fresh["noise_consistency"], known["noise_consistency"])
