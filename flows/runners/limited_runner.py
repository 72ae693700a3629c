"""A runner whose tasks have time limits; section ``limits`` of params.yaml sets them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from tasks.shared.child_processes.time_limit import TimeLimit, check_time, time_limit
from tasks.shared.runner import Runner, ShowProgress

if TYPE_CHECKING:
    from stylegan_core.limits_settings import LimitsSettings

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

_SETTINGS = {
    "fetch": "transfer_hours",
    "prepare": "prepare_hours",
    "train": "train_hours",
    "evaluate": "evaluate_hours",
    "stylize": "stylize_hours",
    "push": "transfer_hours",
    "publish": "transfer_hours",
}
"""The limit of each task by its name; the others have that of the run alone."""


class LimitedRunner:
    """Calls tasks through another runner, each within its time limit. See ``tasks.shared.runner.Runner``.

    Args:
        runner: calls the tasks.
        limits: of the tasks.
    """

    def __init__(self, runner: Runner, limits: LimitsSettings) -> None:
        self.distributed = runner.distributed
        self._runner = runner
        self._limits = limits

    def run(self, name: str, function: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Result:
        """See ``Runner.run``; attempts of a task that is tried again share the limit.

        Raises:
            TimeLimitError: the task's limit, or one around it, has passed.
        """
        check_time()
        with time_limit(start_limit(self._limits, name, _SETTINGS.get(name))):
            return self._runner.run(name, function, *args, **kwargs)

    def map(self, name: str, function: Callable[[Item], Result], items: Iterable[Item], /) -> list[Result]:
        """See ``Runner.map``."""
        return self._runner.map(name, function, items)

    def progress(self, name: str, unit: str) -> AbstractContextManager[ShowProgress]:
        """See ``Runner.progress``."""
        return self._runner.progress(name, unit)

    def publish(self, name: str, markdown: str) -> None:
        """See ``Runner.publish``."""
        self._runner.publish(name, markdown)


def start_limit(limits: LimitsSettings, what: str, setting: str | None) -> TimeLimit | None:
    """A limit that begins now; None: there is none, or its value is null.

    Args:
        limits: the section of params.yaml.
        what: is limited, for the message.
        setting: name in the section.
    """
    hours: float | None = getattr(limits, setting) if setting else None
    return TimeLimit.start(what, f"limits.{setting}", hours) if hours is not None else None


def read_limits(root: Path) -> LimitsSettings:
    """The limits in the params.yaml of the project whose deployment runs, committed or not.

    They are those of the machine, and hold before anything is fetched. A file that cannot be read does not stop a
    scheduled run, which takes its settings from a commit: the defaults hold then, and no old run is removed.
    """
    from stylegan_core.limits_settings import LimitsSettings
    from stylegan_core.settings import SettingsError, mapping, validated

    try:
        document = YAML(typ="safe").load((root / "params.yaml").read_text(encoding="utf-8"))
        return validated(LimitsSettings, mapping(document, "params.yaml").get("limits"), "limits")
    except (OSError, ValueError, YAMLError, SettingsError) as error:
        log.warning("time limits are the defaults, and old runs stay: %s", " ".join(str(error).split()))
        return LimitsSettings(keep_days=0.0)
