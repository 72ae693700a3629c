"""What each output file says of its making: in its metadata, and signed where the user gave a certificate."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from stylegan_core.frames.movies.frame_file import SUFFIX as MOVIE_FRAME
from stylegan_core.frames.movies.frame_file import write_movie_frame
from stylegan_core.frames.movies.planes import changed_planes
from stylegan_core.frames.pictures.encode import write_picture
from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.frames.provenance.c2pa import C2paSigner, SigningError, embeds, sidecar
from stylegan_core.frames.provenance.stamp import provenance_tags
from stylegan_core.inference.job.delivery import Signing
from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.job.spec import Job, PlanError
from stylegan_core.inference.job.summary import summarize, summarize_conditioning
from stylegan_core.storage.atomic import write_atomically, write_bytes_atomically
from stylegan_core.storage.file_state import FileState


class Provenance:
    """Writes a job's pictures with their provenance; several threads may share it."""

    def __init__(self, job: Job, temporary_folder: Path) -> None:
        """Reads the certificate, if the job signs.

        Args:
            job: from the planner.
            temporary_folder: on the file system of its outputs.

        Raises:
            PlanError: the certificate or the key cannot be used here.
        """
        self._job, self._settings_of, self._temporaries = job, job.settings_digest(), temporary_folder
        # Of a movie the whole is signed, not each frame.
        self._signer = load_signer(job.signing) if job.signing is not None and job.movie is None else None

    def facts(self, frame: FrameTask, source: FileState) -> dict[str, str]:
        """What a frame's file says; nothing if the job has no provenance.

        Equal work gives equal facts: neither times nor ids of flow runs are among them, nor the job's digest, which
        changes with the frames beside.

        Args:
            frame: of the job.
            source: its input as it was read.
        """
        job = self._job
        if not job.provenance:
            return {}
        strength = job.settings.strength if frame.strength is None else frame.strength
        asked = {"strength": f"{strength:g}"} | summarize_conditioning(job.settings.directions, frame.style_weights)
        return {
            **job.provenance,
            "settings": self._settings_of(frame),
            "asked": "; ".join(f"{what} {words}" for what, words in asked.items()),
            "source": _named(frame),
            "source_sha256": source.sha256,
        }

    def write(self, path: Path, picture: Picture, frame: FrameTask, source: FileState) -> None:
        """Writes a picture whole or not at all, with all that is said of it.

        Args:
            path: where; its suffix is the format.
            picture: the result.
            frame: of the job, that it was made of.
            source: its input as it was read.

        Raises:
            SigningError: it cannot be signed.
            OSError: it cannot be written.
        """
        if path.suffix == MOVIE_FRAME and picture.movie is not None:  # the movie itself says what these would
            planes = changed_planes(picture.movie, picture.pixels)
            write_movie_frame(path, picture.movie.pix_fmt, planes, temporary_folder=self._temporaries)
            return
        facts = self.facts(frame, source)
        stamped = provenance_tags(picture, facts)

        def make(file: Path) -> None:
            write_picture(file, stamped, temporary_folder=self._temporaries)

        write_signed(path, make, self._signer, facts, self._job.input_path(frame), self._temporaries)


def write_signed(
    path: Path,
    make: Callable[[Path], None],
    signer: C2paSigner | None,
    facts: Mapping[str, str],
    source: Path | None,
    temporary_folder: Path,
) -> None:
    """Writes a file, signed if there is a signer, whole or not at all.

    Args:
        path: the final name.
        make: writes the file of a name that it is given, whole or not at all.
        signer: who signs it; None is nobody.
        facts: what the manifest says.
        source: what the file was made from.
        temporary_folder: on the file system of ``path``.

    Raises:
        SigningError: it cannot be signed.
        OSError: it cannot be written.
    """
    if signer is None or not embeds(path):
        make(path)
        if signer is not None:
            write_bytes_atomically(sidecar(path), signer.detached(path, facts, source))
        return
    unsigned = temporary_folder / f"{path.stem}.{os.getpid()}.{os.urandom(4).hex()}.unsigned{path.suffix}"
    try:
        make(unsigned)
        write_atomically(path, lambda signed: signer.embed(unsigned, signed, facts, source), temporary_folder)
    finally:
        unsigned.unlink(missing_ok=True)


def movie_provenance(job: Job) -> dict[str, str]:
    """What a job's movie says of its making; nothing if the job has no provenance."""
    if not job.provenance:
        return {}
    first = job.frames[0]
    source = Path(first.input).name if first.index is not None else job.input_folder.name
    asked = "; ".join(f"{what} {words}" for what, words in summarize(job).items())
    return {**job.provenance, "settings": job.settings.digest(), "asked": asked, "source": source}


def _named(frame: FrameTask) -> str:
    """The source of a frame."""
    name = Path(frame.input).name + (f", frame {frame.number}" if frame.index is not None else "")
    return name + {"hold": ", held", "black": ", made black"}.get(frame.missing or "", "")


def load_signer(signing: Signing) -> C2paSigner:
    """The signer of a job.

    Raises:
        PlanError: the certificate or the key cannot be used, or is not the one that was planned with.
    """
    try:
        signer = C2paSigner.load(signing.certificate, signing.key)
    except SigningError as error:
        raise PlanError(str(error)) from error
    if signing.sha256 and signer.digest != signing.sha256:
        raise PlanError(f"{signing.certificate} was changed since the job was planned: plan again")
    return signer
