"""What each output file says of its making: in its metadata, and signed where the user gave a certificate."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from stylegan_core.frames.movies.frame_file import SUFFIX as MOVIE_FRAME
from stylegan_core.frames.movies.frame_file import write_movie_frame
from stylegan_core.frames.movies.planes import changed_planes
from stylegan_core.frames.pictures.picture import Picture, write_picture
from stylegan_core.frames.provenance.c2pa import C2paSigner, SigningError, embeds, sidecar
from stylegan_core.frames.provenance.stamp import stamp
from stylegan_core.inference.delivery import Signing
from stylegan_core.inference.job import Job, JobFrame, PlanError
from stylegan_core.inference.planned_job import Draft
from stylegan_core.inference.resume import FileState
from stylegan_core.inference.told import tell_asked, tell_directions
from stylegan_core.storage.atomic import write_atomically, write_bytes_atomically
from stylegan_core.stylize_settings import MannerSettings

if TYPE_CHECKING:
    from stylegan_core.inference.frame_work import Decoded
    from stylegan_core.recipes.model import Model


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

    def facts(self, frame: JobFrame, source: FileState) -> dict[str, str]:
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
        asked = {"strength": f"{strength:g}"} | tell_directions(job.settings.directions, frame.style_weights)
        return {
            **job.provenance,
            "settings": self._settings_of(frame),
            "asked": "; ".join(f"{what} {words}" for what, words in asked.items()),
            "source": _named(frame),
            "source_sha256": source.sha256,
        }

    def write(self, path: Path, picture: Picture, decoded: Decoded) -> None:
        """Writes a picture whole or not at all, with all that is said of it.

        Args:
            path: where; its suffix is the format.
            picture: the result.
            decoded: the frame that it was made of.

        Raises:
            SigningError: it cannot be signed.
            OSError: it cannot be written.
        """
        if path.suffix == MOVIE_FRAME and picture.movie is not None:  # the movie itself says what these would
            planes = changed_planes(picture.movie, picture.pixels)
            write_movie_frame(path, picture.movie.pix_fmt, planes, temporary_folder=self._temporaries)
            return
        facts = self.facts(decoded.frame, decoded.source)
        stamped = stamp(picture, facts)

        def make(file: Path) -> None:
            write_picture(file, stamped, temporary_folder=self._temporaries)

        write_signed(path, make, self._signer, facts, self._job.input_path(decoded.frame), self._temporaries)


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


def movie_facts(job: Job) -> dict[str, str]:
    """What a job's movie says of its making; nothing if the job has no provenance."""
    if not job.provenance:
        return {}
    first = job.frames[0]
    source = Path(first.input).name if first.index is not None else job.input_folder.name
    asked = "; ".join(f"{what} {words}" for what, words in tell_asked(job).items())
    return {**job.provenance, "settings": job.settings.digest(), "asked": asked, "source": source}


def _named(frame: JobFrame) -> str:
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


def settle_provenance(draft: Draft, model: Model, manner: MannerSettings) -> Draft:
    """The planner's step: what files say of their making, as far as the model itself tells, and who signs it.

    Args:
        draft: so far.
        model: the job's.
        manner: what is asked for.

    Raises:
        PlanError: a certificate without a key, or they cannot be used.
    """
    told: dict[str, object] = {}
    if manner.provenance:
        told["provenance"] = {"version": tool_version(), "model": model.card.digest, "recipe": model.card.recipe}
    if (manner.c2pa_certificate is None) != (manner.c2pa_key is None):
        raise PlanError("--c2pa-certificate and --c2pa-key belong together")
    if manner.c2pa_certificate is not None and manner.c2pa_key is not None:
        certificate, key = (path.expanduser().absolute() for path in (manner.c2pa_certificate, manner.c2pa_key))
        signing = Signing(certificate=certificate, key=key)
        signed_by = load_signer(signing).digest
        told["signing"] = signing.model_copy(update={"sha256": signed_by})
        told["settings"] = draft.job.settings.model_copy(update={"signed_by": signed_by})
    return draft.with_job(draft.job.model_copy(update=told))


def tool_version() -> str:
    """Of stylereel."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("stylereel")
    except PackageNotFoundError:
        return "unknown"
