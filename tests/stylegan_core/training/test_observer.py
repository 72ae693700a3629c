import logging

from stylegan_core.training.observer import Observers


class Heard:
    def __init__(self, broken=False):
        self.steps, self.broken = [], broken

    def checkpoint(self, step):
        if self.broken:
            raise OSError("away")
        self.steps.append(step)


def test_an_observer_that_fails_is_disabled_and_the_others_continue(caplog):
    good, bad = Heard(), Heard(broken=True)
    observers = Observers([bad, good])
    with caplog.at_level(logging.WARNING):
        for step in (1, 2):
            observers.checkpoint(step)
    assert good.steps == [1, 2]
    assert caplog.text.count("is disabled") == 1


def test_metrics_are_copies():
    class Greedy:
        def metrics(self, step, values):
            values.clear()

    values = {"a": 1.0}
    Observers([Greedy()]).metrics(1, values)
    assert values == {"a": 1.0}
