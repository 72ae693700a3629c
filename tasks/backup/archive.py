"""Backup file: an uncompressed tar archive whose last member, manifest.json, has a digest of each other member."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from pydantic import BaseModel, ConfigDict, Field

MANIFEST = "manifest.json"
FORMAT = 1
_BLOCK_BYTES = 1 << 20
_NO_OPTION = r"^($|[^-])"
"""These are arguments of git."""


class BackupError(RuntimeError):
    """A backup cannot be made, is damaged, or is no backup."""


class BackedUpFile(BaseModel):
    """A member of the archive.

    Attributes:
        path: its name in the archive, with forward slashes.
        size: in bytes.
        sha256: of its content.
    """

    model_config = ConfigDict(frozen=True)

    path: str
    size: int
    sha256: str


class Manifest(BaseModel):
    """Content of manifest.json.

    Attributes:
        format: version of the layout; a newer one is refused.
        project: name of the project.
        id: of the project, see ``project_identity``.
        root: folder of the project; absolute paths in MLflow's store begin with it.
        time: when the backup began, UTC, ISO 8601.
        stylereel: version of the program.
        commit: that was checked out; empty if there was none.
        branch: that was checked out; empty if there was none.
        origin: URL of the git remote; empty if there was none.
        left_out: what the backup does not have, and how to keep it, a line each.
        files: all other members.
    """

    model_config = ConfigDict(frozen=True)

    format: int = FORMAT
    project: str
    id: str
    root: str
    time: str
    stylereel: str
    commit: str = Field(default="", pattern=_NO_OPTION)
    branch: str = Field(default="", pattern=_NO_OPTION)
    origin: str = Field(default="", pattern=_NO_OPTION)
    left_out: tuple[str, ...] = ()
    files: tuple[BackedUpFile, ...] = ()


class ArchiveWriter:
    """Adds files to a backup and notes their digests.

    Args:
        tar: open for writing.
    """

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self.files: list[BackedUpFile] = []

    def add(self, source: Path, name: str) -> bool:
        """Adds a file as it is now; returns False if it has gone meanwhile.

        Raises:
            OSError: it cannot be read, or became shorter while it was read.
        """
        try:
            file = source.open("rb")
        except FileNotFoundError:  # a run's file that was removed, or renamed, while the folder was listed
            return False
        with file:
            status = os.fstat(file.fileno())
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = status.st_size, int(status.st_mtime), status.st_mode & 0o777
            content = _Hashed(file)
            self._tar.addfile(info, content)
        self.files.append(BackedUpFile(path=name, size=status.st_size, sha256=content.digest.hexdigest()))
        return True

    def add_folder(self, folder: Path, name: str, *, skip: tuple[str, ...] = ()) -> None:
        """Adds all files below a folder; links to folders are not followed.

        Args:
            folder: may be missing.
            name: of the folder in the archive.
            skip: names in ``folder`` itself that are left out.
        """
        for place, folders, names in os.walk(folder):
            left_out = skip if Path(place) == folder else ()
            folders[:] = sorted(each for each in folders if each not in left_out)
            for each in sorted(names):
                unfinished = each.startswith(".") and ".tmp" in each  # of ``write_atomically``
                if each not in left_out and not unfinished:
                    source = Path(place, each)
                    self.add(source, f"{name}/{source.relative_to(folder).as_posix()}")

    def finish(self, manifest: Manifest) -> None:
        """Adds the manifest with the list of all files."""
        content = manifest.model_copy(update={"files": tuple(self.files)}).model_dump_json(indent=1).encode()
        info = tarfile.TarInfo(MANIFEST)
        info.size, info.mode = len(content), 0o600
        self._tar.addfile(info, io.BytesIO(content))


@contextmanager
def written_archive(path: Path) -> Iterator[ArchiveWriter]:
    """A new archive, readable by its owner only: settings of receivers and of DVC may hold passwords."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file, tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        yield ArchiveWriter(tar)


def read_manifest(path: Path) -> Manifest:
    """The manifest of a backup.

    Raises:
        BackupError: the file is no complete backup, or of a newer version.
        OSError: it cannot be read.
    """
    try:
        with tarfile.open(path, "r:") as tar:
            member = tar.getmember(MANIFEST)
            _check(path, member)
            content = tar.extractfile(member)
            manifest = Manifest.model_validate_json(content.read() if content else b"")
    except (tarfile.TarError, KeyError, ValueError) as error:
        raise BackupError(f"{path} is no complete backup of stylereel: it has no readable {MANIFEST}") from error
    if manifest.format > FORMAT:
        raise BackupError(f"{path} was made by stylereel {manifest.stylereel}: install that version to restore it")
    return manifest


def extract(path: Path, folder: Path) -> Manifest:
    """Writes all files of a backup below a folder, and compares each with its digest.

    Args:
        path: of the backup.
        folder: a new one, for this alone; after an error it holds a part of the files.

    Raises:
        BackupError: a file is damaged, missing, there twice or not in the manifest, or a name leads out of ``folder``.
        OSError: the backup cannot be read, or ``folder`` cannot be written.
    """
    manifest = read_manifest(path)
    expected = {file.path: file for file in manifest.files}
    found = set[str]()
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                _check(path, member)
                if member.name != MANIFEST:
                    known = None if member.name in found else expected.get(member.name)
                    # Its size is that in the file, since _check refuses others: no small file fills the disk.
                    if known is None or _extract(tar, member, folder) != (known.size, known.sha256):
                        raise BackupError(
                            f"{path} is damaged: {member.name} is not what was backed up; use another one"
                        )
                    found.add(member.name)
    except (tarfile.TarError, ValueError, FileExistsError, IsADirectoryError, NotADirectoryError) as error:
        raise BackupError(f"{path} is damaged ({error}): use another backup") from error
    if missing := sorted(expected.keys() - found):
        raise BackupError(f"{path} is damaged: {len(missing)} files are missing, such as {missing[0]}; use another one")
    return manifest


def _check(path: Path, member: tarfile.TarInfo) -> None:
    """Refuses what ``ArchiveWriter`` does not write: links, devices, sparse files, names that lead out."""
    name = PurePosixPath(member.name)
    is_plain = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.issparse()
    if not is_plain or name.is_absolute() or ".." in name.parts:
        raise BackupError(f"{path} is no backup of stylereel: it has the member {member.name}")


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> tuple[int, str]:
    """Writes a member; returns its size and digest."""
    source = tar.extractfile(member)
    if source is None:
        return 0, ""
    target = folder / member.name
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with target.open("xb") as file:
        while block := source.read(_BLOCK_BYTES):
            digest.update(block)
            file.write(block)
            size += len(block)
        file.flush()
        os.fsync(file.fileno())
    target.chmod(member.mode & 0o777 | 0o600)  # settings with passwords stay readable by their owner only
    return size, digest.hexdigest()


class _Hashed:
    """A file whose bytes are hashed as they are read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """See ``io.RawIOBase.read``."""
        block = self._file.read(size)
        self.digest.update(block)
        return block
