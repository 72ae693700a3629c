"""Lineage of results that DVC brought from another machine: the commit whose dvc.lock names a file.

Records and links stay on the machine that made them. What travels is dvc.lock, which names every file by its digest,
and the last lines of the commits of scheduled runs, which name the flow run and the commit that ran.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from stylegan_core.storage.model_folder import MODEL_CARD
from tasks.shared.versioning import dvc_cache, git

_MOST_COMMITS = 1000
_TRAILERS = ("Flow-run", "Source-commit")


@dataclass(frozen=True)
class Results:
    """A commit with a dvc.lock.

    Attributes:
        commit: its hash.
        flow_run: of Prefect; empty: a commit by hand, or a run without a server.
        source_commit: that a scheduled run worked on; empty: the commit itself.
        lock: text of its dvc.lock.
    """

    commit: str
    flow_run: str
    source_commit: str
    lock: str

    @property
    def lock_digest(self) -> str:
        """SHA-256 of dvc.lock."""
        return hashlib.sha256(self.lock.encode()).hexdigest()

    def begins(self, start: str) -> bool:
        """Whether one of its ids begins with ``start``."""
        return any(i.startswith(start) for i in (self.commit, self.flow_run, self.source_commit) if i)

    def outs(self) -> dict[str, str]:
        """MD5 of each output by its path; that of a folder ends in ".dir"."""
        stages = (YAML(typ="safe").load(self.lock) or {}).get("stages", {})
        return {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", ()) if "md5" in out}


def results_of(root: Path) -> Iterator[Results]:
    """Commits that changed dvc.lock, of this branch and of the branches of runs, the newest first."""
    fields = "%x00".join(f"%(trailers:key={key},valueonly,separator=%x2C)" for key in _TRAILERS)
    branches = ("HEAD", "--branches=runs/*", "--remotes=*/runs/*")
    listed = git(root, "log", f"-{_MOST_COMMITS}", f"--format=%H%x00{fields}", *branches, "--", "dvc.lock", check=False)
    for line in listed.splitlines():
        commit, flow_run, source = line.split("\0")
        lock = git(root, "show", f"{commit}:./dvc.lock", check=False)
        if lock:
            yield Results(commit, flow_run, source, lock)


def results_with(root: Path, path: Path) -> Results | None:
    """The oldest commit whose dvc.lock names a file with this content: where it came from.

    Args:
        root: the checkout.
        path: of an existing file in it.
    """
    try:
        relative = path.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        return None
    with path.open("rb") as file:
        md5 = hashlib.file_digest(file, "md5").hexdigest()  # DVC's digest
    found = None
    for results in results_of(root):
        if _names(root, results.outs(), relative, md5):
            found = results
    return found


def models_of(root: Path, results: Results) -> dict[str, str]:
    """Digest of each model that a commit's dvc.lock names, by the name of its training; those that DVC has here."""
    folder = results.outs().get("models", "")
    cards = {entry: md5 for entry, md5 in _folder(root, folder).items() if Path(entry).name == MODEL_CARD}
    found = {}
    for entry, md5 in cards.items():
        try:
            found[Path(entry).parent.as_posix()] = str(json.loads(_object(root, md5).read_bytes())["digest"])
        except (OSError, ValueError, KeyError):
            continue
    return found


def _names(root: Path, outs: Mapping[str, str], relative: str, md5: str) -> bool:
    for out, digest in outs.items():
        if out == relative:
            return digest == md5
        if relative.startswith(f"{out}/"):
            return _folder(root, digest).get(relative.removeprefix(f"{out}/")) == md5
    return False


def _folder(root: Path, digest: str) -> dict[str, str]:
    """MD5 of each file of a folder that DVC has in its cache; empty if it does not."""
    try:
        listed: list[dict[str, Any]] = json.loads(_object(root, digest).read_bytes())
    except (OSError, ValueError):
        return {}
    return {str(entry["relpath"]): str(entry["md5"]) for entry in listed}


def _object(root: Path, digest: str) -> Path:
    return dvc_cache(root) / "files" / "md5" / digest[:2] / digest[2:]
