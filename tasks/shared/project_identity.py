"""Name and id of a project, in project.yaml: what tells two projects on one server apart.

The folder's name does not: clones of a project have different folders, and different projects have folders of the
same name.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from stylegan_core.storage.atomic import write_bytes_atomically
from tasks.shared.errors import UsageError
from tasks.shared.project_home import project_home
from tasks.shared.versioning import first_commit

PROJECT_FILE = "project.yaml"

_TEXT = """\
# What Prefect, MLflow and DVC's results call this project. Commit this file: clones of the project share it.
# On a server with another project of this name, change the name. Never change the id, or copy it to another project.
name: {name}
id: {id}
"""
_ID_CHARACTERS = 12
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_-]+")


class ProjectIdentity(BaseModel):
    """What a project is called on servers.

    Attributes:
        name: for people: part of the names of deployments, queues, experiments and registered models.
        id: tells projects of the same name apart; the same in all clones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=60)
    id: str = Field(pattern=r"^[0-9a-f]{8,40}$")

    @property
    def tags(self) -> list[str]:
        """Tags of the project's runs and deployments on a Prefect server."""
        return ["stylereel", f"project:{self.name}", f"project-id:{self.id}"]

    def text(self) -> str:
        """Content of project.yaml."""
        return _TEXT.format(name=self.name, id=self.id)


def new_identity(folder: Path) -> ProjectIdentity:
    """The identity of a new project: called like its folder, with a random id."""
    return ProjectIdentity(name=_name_of(folder), id=secrets.token_hex(_ID_CHARACTERS // 2))


def derived_identity(root: Path) -> ProjectIdentity:
    """The identity of a project from before project.yaml: called like its folder, with the same id in all clones."""
    seed = "/".join(first_commit(root) or (str(root.resolve()), ""))
    return ProjectIdentity(name=_name_of(root), id=hashlib.sha256(seed.encode()).hexdigest()[:_ID_CHARACTERS])


def read_identity(root: Path) -> ProjectIdentity:
    """The identity of a project, also from a checkout of its runs; ``derived_identity`` without project.yaml.

    Raises:
        UsageError: project.yaml cannot be read, or a value is not allowed.
    """
    home = project_home(root)
    path = home / PROJECT_FILE
    if not path.is_file():
        return derived_identity(home)
    try:
        # Quoted or not, an id such as 012345678912 or 1e1234567890 must stay text.
        values = YAML(typ="base").load(path.read_text(encoding="utf-8"))
        return ProjectIdentity.model_validate(values)
    except (OSError, ValueError, YAMLError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else " ".join(str(error).split())
        raise UsageError(
            f"{path}: {reason}; it has a name (letters, digits, - and _) and an id (8 to 40 hexadecimal digits)"
        ) from error


def start_identity(root: Path) -> list[str]:
    """Writes project.yaml if there is none yet; returns the files that it wrote, relative to ``root``."""
    if (root / PROJECT_FILE).exists():
        return []
    write_bytes_atomically(root / PROJECT_FILE, derived_identity(root).text().encode())
    return [PROJECT_FILE]


def refuse_clash(identity: ProjectIdentity, other_id: str | None, what: str) -> None:
    """Refuses to use what another project of the same name has on a server.

    Args:
        identity: of this project.
        other_id: of the project that owns ``what``; None if it says nothing.
        what: such as "the MLflow experiment stylereel.film".

    Raises:
        UsageError: another project owns it.
    """
    if other_id and other_id != identity.id:
        raise UsageError(
            f"{what} belongs to another project that is called {identity.name}, too (id {other_id}, this one is "
            f"{identity.id}): change the name in {PROJECT_FILE}, commit it, and run this again"
        )


def _name_of(folder: Path) -> str:
    return _NOT_IN_A_NAME.sub("-", folder.name).strip("-_")[:60] or "project"
