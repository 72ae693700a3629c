"""What names a model or an MLflow run of a project: such runs stay, however old they are."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from stylegan_core.storage.state_folder import STATE_FOLDER
from tasks.promotion.decision import PROMOTIONS_FILE, Decision
from tasks.scheduled.run_checkout import run_checkout_folder
from tasks.shared.lineage import model_digests, read_links
from tasks.shared.project_home import project_home
from tasks.shared.promoted_copy import promoted_trainings

_RESULTS = ("out", "reports")
"""Folders of results whose JSON files may name models and runs: jobs of stylized frames, and reports."""
_DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_RUN_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")


@dataclass(frozen=True)
class InUse:
    """What is named.

    Attributes:
        models: digests, all 64 digits.
        runs: ids of MLflow runs.
    """

    models: frozenset[str]
    runs: frozenset[str]

    def names(self, run_id: str, models: Iterable[str]) -> bool:
        """Whether a run, or one of the models that it made, is named.

        Args:
            run_id: of MLflow.
            models: digests of its models.
        """
        return run_id in self.runs or not self.models.isdisjoint(models)


def find_in_use(root: Path) -> InUse:
    """Models and runs that the project's own files name.

    These are: models/, the promoted copies, promotions, lineage, and the records and reports of results. Output
    folders elsewhere are not known to the project; frames there say themselves what made them.

    Args:
        root: the project, or the checkout of its scheduled runs.

    Raises:
        OSError, ValueError: a file cannot be read; nothing may be removed then.
    """
    home = project_home(root)
    checkouts = [home]
    if project_home(beside := run_checkout_folder(home)).resolve() == home.resolve():
        checkouts.append(beside)
    models, runs = set(_promoted(home)), set[str]()
    models |= {promoted.digest for promoted in promoted_trainings(home).values()}
    for link in read_links(home):
        for delivered in link.models.values():
            models.add(delivered.digest)
            runs.add(delivered.mlflow_run)
    for checkout in checkouts:
        models |= set(model_digests(checkout).values())
        for path in _result_files(checkout):
            text = path.read_text(encoding="utf-8", errors="replace")
            models |= set(_DIGEST.findall(text))
            runs |= set(_RUN_ID.findall(text))
    return InUse(frozenset(models), frozenset(runs - {""}))


def _result_files(checkout: Path) -> Iterator[Path]:
    """Files of results; folders that are links to another disk are followed, each once."""
    seen = set[str]()
    for folder in _RESULTS:
        for place, folders, names in os.walk(checkout / folder, followlinks=True, onerror=_fail):
            if (real := os.path.realpath(place)) in seen:
                folders.clear()
                continue
            seen.add(real)
            if folder == "reports" or Path(place).name == STATE_FOLDER:
                yield from (Path(place, name) for name in names if name.endswith(".json"))


def _fail(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError) or Path(str(error.filename)).is_symlink():  # of a disk that is away
        raise error


def _promoted(home: Path) -> Iterator[str]:
    """Digests of the models that have ever been promoted: work on demand may have used them."""
    path = home / PROMOTIONS_FILE
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines() if path.is_file() else [], 1):
        try:
            decision = Decision.model_validate_json(line)
        except ValidationError as error:
            raise ValueError(f"line {number} of {path} is no decision: correct or remove this line") from error
        if decision.outcome not in ("refused", "held"):
            yield decision.digest
