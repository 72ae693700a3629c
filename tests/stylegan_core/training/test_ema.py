import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from stylegan_core.training.ema import MovingAverage, prefixed_state


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 2, 1))
    )


def walk(model):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter))
        model(torch.randn(2, 3, 8, 8))  # moves the batch norm's statistics


def test_agrees_with_torch_once_warmed_up():
    model = network()
    ours = MovingAverage({"generator": model}, decay=0.9)
    reference = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    reference.update_parameters(model)  # torch's first call copies
    for step in range(1000, 1020):
        walk(model)
        ours.update(step)
        reference.update_parameters(model)
    averaged = dict(reference.module.named_parameters())
    for name, value in averaged.items():
        torch.testing.assert_close(ours.state[f"generator.{name}"], value.detach(), rtol=1e-5, atol=1e-6)


def test_first_steps_have_a_short_memory():
    layer = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        layer.weight.fill_(0.0)
    average = MovingAverage({"g": layer}, decay=0.999)
    with torch.no_grad():
        layer.weight.fill_(1.0)
    average.update(0)
    torch.testing.assert_close(average.state["g.weight"], torch.tensor([[0.9]]))
    average.update(1)  # keeps 2/11 of the rest
    torch.testing.assert_close(average.state["g.weight"], torch.tensor([[1 - 0.1 * 2 / 11]]))


def test_buffers_are_copied():
    model = network()
    average = MovingAverage({"g": model}, decay=0.9)
    walk(model)
    average.update(0)
    assert torch.equal(average.state["g.1.running_mean"], model[1].running_mean)
    assert int(average.state["g.1.num_batches_tracked"]) == 1


def test_applied_and_back_bit_for_bit():
    model = network()
    average = MovingAverage({"g": model}, decay=0.9)
    walk(model)
    own = {k: v.clone() for k, v in prefixed_state({"g": model}).items()}
    start = {k: v.clone() for k, v in average.state.items()}
    try:
        with average.applied():
            inside = {k: v.clone() for k, v in prefixed_state({"g": model}).items()}
            raise KeyError
    except KeyError:
        pass
    for key, value in own.items():
        assert torch.equal(inside[key], start[key])
        assert torch.equal(prefixed_state({"g": model})[key], value)


def test_load_restores():
    model = network()
    average = MovingAverage({"g": model}, decay=0.9)
    walk(model)
    average.update(0)
    saved = {k: v.clone() for k, v in average.state.items()}
    other = MovingAverage({"g": network()}, decay=0.9)
    other.load(saved)
    assert all(torch.equal(other.state[k], v) for k, v in saved.items())
