"""Pull step of deployments: a run works in the checkout of the worker that takes it."""

from __future__ import annotations

import os
from pathlib import Path

CHECKOUT_VARIABLE = "STYLEREEL_CHECKOUT"
"""Set by ``stylereel worker`` for its runs."""


def enter_checkout(directory: str) -> dict[str, str]:
    """Changes to the checkout in which the worker was started: that of another machine has another path.

    Args:
        directory: that was deployed from; for a worker that `prefect worker start` has started.
    """
    folder = os.environ.get(CHECKOUT_VARIABLE) or directory
    if not Path(folder).is_dir():
        raise FileNotFoundError(
            f"the run cannot work in {folder}, which is not on this machine: start the worker by `stylereel worker` in "
            "a clone of the project, whose runs then work there"
        )
    os.chdir(folder)
    return {"directory": folder}
