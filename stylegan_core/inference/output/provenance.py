"""Provenance: the metadata that says how an output file was made, signed if the user provides a certificate."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from stylegan_core.frames.movies.frame_file import SUFFIX as MOVIE_FRAME
from stylegan_core.frames.movies.frame_file import write_movie_frame
from stylegan_core.frames.movies.planes import changed_planes
from stylegan_core.frames.pictures.encode import write_picture
from stylegan_core.frames.pictures.picture import Picture
from stylegan_core.frames.provenance.c2pa import C2paSigner, SigningError, can_embed, sidecar_path
from stylegan_core.frames.provenance.tags import provenance_tags
from stylegan_core.inference.job.delivery import Signing
from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.job.spec import Job, PlanError
from stylegan_core.inference.job.summary import summarize, summarize_conditioning
from stylegan_core.storage.atomic import write_atomically, write_bytes_atomically
from stylegan_core.storage.file_state import FileState


class Provenance:
    """Writes the pictures of a job with their provenance. Thread-safe."""

    def __init__(self, job: Job, temporary_folder: Path) -> None:
        """Reads the certificate, if the job signs.

        Args:
            job: from the planner.
            temporary_folder: on the file system of its outputs.

        Raises:
            PlanError: the certificate or the key cannot be used, or has changed since planning.
        """
        self._job, self._settings_of, self._temporaries = job, job.settings_digest(), temporary_folder
        # A movie is signed as a whole, not frame by frame.
        self._signer = load_signer(job.signing) if job.signing is not None and job.movie is None else None

    def facts(self, frame: FrameTask, source: FileState) -> dict[str, str]:
        """The provenance of a frame by name; empty if the job has none.

        Equal work gives equal facts: they contain neither times nor ids of flow runs, nor the job's digest, which
        depends on the other frames.

        Args:
            frame: of the job.
            source: state of its input when it was read.
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
            "source": _source_name(frame),
            "source_sha256": source.sha256,
        }

    def write(self, path: Path, picture: Picture, frame: FrameTask, source: FileState) -> None:
        """Writes a picture with its provenance, atomically.

        Args:
            path: of the output; its suffix is the format.
            picture: the result.
            frame: of the job.
            source: state of its input when it was read.

        Raises:
            SigningError: it cannot be signed.
            OSError: it cannot be written.
        """
        if (
            path.suffix == MOVIE_FRAME and picture.movie is not None
        ):  # the movie has the provenance of all of its frames
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
    """Writes a file atomically, signed if there is a signer.

    Args:
        path: the final name.
        make: writes the file under the name that it is given, atomically.
        signer: signs the file; None leaves it unsigned.
        facts: content of the manifest.
        source: file that it was made from.
        temporary_folder: on the file system of ``path``.

    Raises:
        SigningError: it cannot be signed.
        OSError: it cannot be written.
    """
    if signer is None or not can_embed(path):
        make(path)
        if signer is not None:
            write_bytes_atomically(sidecar_path(path), signer.detached(path, facts, source))
        return
    unsigned = temporary_folder / f"{path.stem}.{os.getpid()}.{os.urandom(4).hex()}.unsigned{path.suffix}"
    try:
        make(unsigned)
        write_atomically(path, lambda signed: signer.embed(unsigned, signed, facts, source), temporary_folder)
    finally:
        unsigned.unlink(missing_ok=True)


def movie_provenance(job: Job) -> dict[str, str]:
    """The provenance of a job's movie by name; empty if the job has none."""
    if not job.provenance:
        return {}
    first = job.frames[0]
    source = Path(first.input).name if first.index is not None else job.input_folder.name
    asked = "; ".join(f"{what} {words}" for what, words in summarize(job).items())
    return {**job.provenance, "settings": job.settings.digest(), "asked": asked, "source": source}


def _source_name(frame: FrameTask) -> str:
    """The source of a frame, without its folder."""
    name = Path(frame.input).name + (f", frame {frame.number}" if frame.index is not None else "")
    return name + {"hold": ", held", "black": ", made black"}.get(frame.missing or "", "")


def load_signer(signing: Signing) -> C2paSigner:
    """The signer of a job.

    Raises:
        PlanError: the certificate or the key cannot be used, or has changed since planning.
    """
    try:
        signer = C2paSigner.load(signing.certificate, signing.key)
    except SigningError as error:
        raise PlanError(str(error)) from error
    if signing.sha256 and signer.digest != signing.sha256:
        raise PlanError(f"{signing.certificate} was changed since the job was planned: plan again")
    return signer
