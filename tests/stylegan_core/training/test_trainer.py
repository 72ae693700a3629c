import os
import signal
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from stylegan_core.config import Training, TrainSettings
from stylegan_core.data.batch import Batch
from stylegan_core.training.curves import NotFiniteError
from stylegan_core.training.interruption import TrainingInterrupted
from stylegan_core.training.observer import Observers
from stylegan_core.training.trainer import Inputs, train


class KilledError(Exception):
    """Stands for a kill: nothing after it runs."""


def same(left, right):
    assert left.keys() == right.keys()
    for key in left:
        assert torch.equal(left[key], right[key]), key


def assert_same_result(left, right):
    for name in ("last", "best", "networks"):
        same(getattr(left, name), getattr(right, name))
    assert left.history == right.history
    assert left.validation == right.validation
    assert (left.steps, left.images_seen, left.best_step) == (right.steps, right.images_seen, right.best_step)


def killed_at(run, position, folder, **settings):
    """A run that dies when it asks for batch ``position``."""

    def die(step):
        if step == position:
            raise KilledError

    with pytest.raises(KilledError):
        run(folder, sampler=run.Sampler(die), checkpoint_every_s=1e-9, **settings)


def test_a_run_killed_anywhere_ends_with_the_same_bytes_and_curves(run):
    whole = run("whole", checkpoint_every_s=60)
    curves = (run.folder / "whole" / "curves.csv").read_bytes()
    for position in range(1, 16, 3):
        folder = f"killed{position}"
        killed_at(run, position, folder)
        recorder = run.Recorder()
        resumed = run(folder, observer=recorder, checkpoint_every_s=60)
        assert 0 <= recorder.of("start")[0][1] < 10
        assert_same_result(whole, resumed)
        assert (run.folder / folder / "curves.csv").read_bytes() == curves


def test_a_run_killed_between_accumulated_batches_ends_with_the_same_bytes(run):
    config = {"accumulate_batches": 3}
    whole = run("whole", config=config, checkpoint_every_s=60)
    assert whole.steps == 10
    for position in (4, 20, 31):
        folder = f"killed{position}"
        killed_at(run, position, folder, config=config)
        assert_same_result(whole, run(folder, config=config, checkpoint_every_s=60))


def test_killed_several_times_and_between_checkpoints(run):
    whole = run("whole")
    killed_at(run, 5, "often")
    killed_at(run, 9, "often")
    killed_at(run, 13, "often")
    assert_same_result(whole, run("often"))


def test_a_larger_budget_continues_as_if_it_had_been_asked_for_at_once(run):
    run("extended", config={"budget_steps": 6})  # ends off the validation's schedule
    recorder = run.Recorder()
    extended = run("extended", config={"budget_steps": 10}, observer=recorder)
    assert recorder.of("start") == [(10, 6)]
    assert_same_result(run("at once", config={"budget_steps": 10}), extended)


def test_a_budget_in_images_is_that_many_crops(run):
    recorder = run.Recorder()
    result = run("images", config={"budget_steps": 3, "budget_images": 19}, observer=recorder)  # crops of 2
    assert recorder.of("start") == [(10, 0)]
    assert_same_result(run("steps", config={"budget_steps": 10}), result)


def test_a_schedule_that_ends_before_the_budget_is_warned_of(run, caplog):
    decay = {"lr_schedule": "linear", "budget_steps": 4}
    run("whole", config=decay | {"lr_decay_end_step": 4})
    assert "learning rates reach 0" not in caplog.text
    run("idle", config=decay | {"lr_decay_end_step": 2})
    assert "learning rates reach 0 at step 2 of 4" in caplog.text


def test_a_finished_run_is_taken_from_its_checkpoint(run):
    first = run("run")
    sampler = run.Sampler()
    again = run("run", sampler=sampler)
    assert sampler.asked == []
    assert_same_result(first, again)


def test_what_the_observer_receives(run):
    recorder = run.Recorder()
    grid = np.zeros((4, 4, 3), np.uint8)
    result = run(observer=recorder, sample=lambda recipe: grid, sample_every_steps=5)
    assert recorder.of("start") == [(10, 0)]
    assert [step for step, _ in recorder.of("pictures")] == [5, 10]
    assert recorder.of("finish") == [(result,)]
    assert [step for (step,) in recorder.of("checkpoint")] == [10]  # a validation saves nothing
    metrics = {}
    for step, values in recorder.of("metrics"):
        metrics.setdefault(step, {}).update(values)
    assert sorted(metrics) == [3, 4, 6, 8, 9, 10]
    assert set(metrics[9]) >= {
        "loss/generator/l1",
        "loss/generator/adversarial",
        "loss/generator/head",
        "loss/discriminator/discriminator",
        "loss/discriminator/r1",
        "learning_rate/generator",
        "learning_rate/generator/head",
        "learning_rate/discriminator",
        "rate/steps_per_s",
        "rate/images_per_s",
        "time_left_s",
    }
    assert "validation/score" in metrics[4]
    assert "validation/score" in metrics[10]
    assert result.steps == 10
    assert result.stopped_by == "budget"
    assert result.precision == "fp32"
    # 3 steps of one batch, 4 of two (two discriminator steps), 3 of one, two crops each.
    assert result.images_seen == (3 + 4 * 2 + 3) * 2


def test_an_observer_that_fails_changes_nothing(run):
    class Broken:
        def __getattr__(self, name):
            def fail(*args):
                raise OSError("the tracker is away")

            return fail

    assert_same_result(run("watched"), run("broken", observer=Broken()))


def test_validation_changes_nothing_but_the_curves(run):
    same(run("often", validate_every_steps=1).networks, run("never", check=None).networks)


def test_last_and_best_are_averaged_weights_and_best_is_where_the_score_was_lowest(run):
    scores = iter([0.5, 0.2, 0.3])
    kept = []

    def check(recipe):
        kept.append({k: v.clone() for k, v in recipe.networks["generator"].state_dict(prefix="generator.").items()})
        return {"score": next(scores), "other": 1.0}

    result = run(check=check)
    assert result.best_step == 8
    assert result.validation["best"] == {"score": 0.2, "other": 1.0}
    assert result.validation["last"]["score"] == 0.3
    same(result.best, kept[1])
    same(result.last, kept[2])
    own = {k: v for k, v in result.networks.items() if k.startswith("generator.")}
    assert not torch.equal(own["generator.0.weight"], result.last["generator.0.weight"])
    assert set(result.networks) > set(own)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_checkpoint(run):
    with pytest.raises(NotFiniteError, match=r"loss/generator/l1 is nan at step 6.*gradient_clip"):
        run(config={"break_at_step": 6}, checkpoint_every_s=1e-9)
    names = sorted(p.name for p in (run.folder / "run").glob("checkpoint-*"))
    assert names == ["checkpoint-000000005.safetensors", "checkpoint-000000006.safetensors"]
    assert_same_result(run("whole"), run("run"))


def test_weights_that_are_not_finite_reach_no_checkpoint(run, tiny, monkeypatch):
    backward = torch.Tensor.backward

    def poisoned(self, *args, **kwargs):
        backward(self, *args, **kwargs)
        poisoned.calls += 1
        if poisoned.calls == 5:  # the generator's in step 3
            poisoned.recipe.networks["generator"][0].weight.grad.fill_(float("inf"))

    poisoned.calls = 0

    class Watched(tiny):
        def __init__(self, config):
            super().__init__(config)
            poisoned.recipe = self

    monkeypatch.setattr("stylegan_core.training.trainer.recipe_class", lambda name: Watched)
    monkeypatch.setattr(torch.Tensor, "backward", poisoned)
    with pytest.raises(NotFiniteError, match="generator"):
        run(checkpoint_every_s=1e-9)
    assert (run.folder / "run" / "checkpoint-000000003.safetensors").exists()
    assert not (run.folder / "run" / "checkpoint-000000004.safetensors").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_a_checkpoint_and_the_run_goes_on_later(run, number):
    before = signal.getsignal(number)

    def interrupt(step):
        if step == 6:
            os.kill(os.getpid(), number)

    with pytest.raises(TrainingInterrupted, match="same command"):
        run("stopped", sampler=run.Sampler(interrupt), checkpoint_every_s=60)
    assert signal.getsignal(number) == before
    recorder = run.Recorder()
    resumed = run("stopped", observer=recorder)
    assert 3 <= recorder.of("start")[0][1] <= 6
    assert_same_result(run("whole"), resumed)


def test_trains_in_another_thread_where_signals_cannot_be_caught(run):
    results = []
    thread = threading.Thread(target=lambda: results.append(run("thread")))
    thread.start()
    thread.join()
    assert_same_result(run("main"), results[0])


def test_a_limit_in_minutes_stops_and_is_recorded(run):
    result = run(limit_minutes=1e-9)
    assert (result.steps, result.stopped_by) == (1, "limit_minutes")
    again = run(limit_minutes=1e-9)
    assert (again.steps, again.stopped_by) == (1, "limit_minutes")
    assert_same_result(run("whole"), run(limit_minutes=10))


def test_starts_from_the_networks_of_another_run(run):
    first = run("first")
    second = run("second", config={"budget_steps": 1}, init=first.networks)
    moved = (second.networks["generator.0.weight"] - first.networks["generator.0.weight"]).abs().max()
    assert 0 < moved <= 1.1e-2  # Adam's first step is the learning rate
    with pytest.raises(ValueError, match="size"):
        run("third", init={**first.networks, "generator.0.weight": torch.zeros(1)})
    with pytest.raises(ValueError, match="another kind"):
        run("fourth", init={"discriminator.weight": torch.zeros(1)})


def test_bf16_resumes_exactly_too(run):
    whole = run("whole", precision="bf16")
    assert whole.precision == "bf16"
    killed_at(run, 7, "killed", precision="bf16")
    assert_same_result(whole, run("killed", precision="auto"))  # goes on as it began


def test_the_settings_of_torch_are_as_before(run):
    before = (torch.are_deterministic_algorithms_enabled(), torch.get_num_threads())
    run()
    assert (torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()) == before


def test_freezing_untrained_layers_is_warned_of(tmp_path, caplog):
    def batch(step):
        content = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(step)) * 2 - 1
        return Batch(content=content, style=-content)

    sizes = {"budget_steps": 1, "crop_px": 32, "batch_size": 1, "channels": 4, "blocks": 1, "discriminator_channels": 4}
    keyframe = {**sizes, "discriminator_layers": 1, "frozen_layers": 1}
    settings = TrainSettings.parse({"recipe": "keyframe", "common": {"accelerator": "cpu"}, "keyframe": keyframe})
    training, sampler = Training(name="all", shots=[], settings=settings), SimpleNamespace(batch=batch)
    first = train(training, Inputs(sampler), tmp_path / "first", Observers([]))
    assert "train.common.init_from" in caplog.text
    caplog.clear()
    init = first.networks
    second = train(training, Inputs(sampler, init=init), tmp_path / "second", Observers([]))
    assert "init_from" not in caplog.text
    frozen = [key for key in init if key.startswith("discriminator.judges.0.body.0.") and "weight.0" not in key]
    assert len(frozen) == 2
    assert all(torch.equal(second.networks[key], init[key]) for key in frozen)
    last = "discriminator.judges.0.body.4.bias"
    assert not torch.equal(second.networks[last], init[last])
