"""Signed provenance: a C2PA manifest in a picture or movie, or in a sidecar (C2PA 2.2, Content Credentials).

The user provides certificate and key; the library is an optional extra. Signatures contain times and random numbers, so
signed files differ from run to run.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

_EMBEDDED = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".mp4": "video/mp4",
    ".mov": "video/quicktime",
}
_OTHER = "application/octet-stream"
_MADE_BY_A_MODEL = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
_ASSERTION = "org.stylereel.provenance"
_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}


class SigningError(ValueError):
    """Signing is impossible: the library, the certificate or the key is missing or unsuitable."""


def can_embed(path: Path) -> bool:
    """Whether a file of this name can embed a manifest; other files get a sidecar with the suffix .c2pa."""
    return path.suffix.lower() in _EMBEDDED


def sidecar_path(path: Path) -> Path:
    """The path of the manifest of a file that cannot embed one."""
    return path.with_suffix(".c2pa")


@dataclass(frozen=True)
class C2paSigner:
    """Signs with the user's certificate. Thread-safe.

    Attributes:
        certificates: PEM, the signer's first, then its issuers.
        key: PEM, of the signer.
        algorithm: C2PA's name of the signature algorithm.
    """

    certificates: bytes
    key: bytes
    algorithm: str

    @classmethod
    def load(cls, certificate: Path, key: Path) -> C2paSigner:
        """Reads certificate and key and tests them by a trial signature.

        Raises:
            SigningError: one of them is missing, unreadable or unsuitable.
        """
        load_library()
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization

        read: dict[Path, bytes] = {}
        for path in (certificate, key):
            try:
                read[path] = path.read_bytes()
            except OSError as error:
                raise SigningError(f"{path} cannot be read: {error.strerror or error}") from error
        try:
            public = x509.load_pem_x509_certificate(read[certificate]).public_key()
        except ValueError as error:
            raise SigningError(f"{certificate} does not hold a PEM certificate: {error}") from error
        try:
            private = serialization.load_pem_private_key(read[key], password=None)
        except (ValueError, TypeError) as error:
            raise SigningError(f"{key} does not hold a PEM key without a password: {error}") from error
        form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        if private.public_key().public_bytes(*form) != public.public_bytes(*form):
            raise SigningError(f"{key} is not the key of {certificate}")
        pkcs8 = private.private_bytes(  # the library does not accept "EC PRIVATE KEY", which openssl writes
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        signer = cls(read[certificate], pkcs8, _algorithm(public, certificate))
        try:  # C2PA checks certificates (issuer, uses, dates) when signing: fail now, not frame by frame
            signer._sign({}, None, "a trial", _OTHER, io.BytesIO(b"a trial"), None)
        except SigningError as error:
            raise SigningError(f"C2PA does not accept {certificate}: {error.__cause__}") from error
        return signer

    @property
    def digest(self) -> str:
        """SHA-256 of the certificates."""
        return hashlib.sha256(self.certificates).hexdigest()

    def embed(self, unsigned: Path, signed: Path, facts: Mapping[str, str], source: Path | None = None) -> None:
        """Writes a signed copy of a file.

        Args:
            unsigned: a file that can embed a manifest, see ``can_embed``.
            signed: path of the copy, with the same suffix; overwritten.
            facts: provenance for the manifest.
            source: the file that it was made from, whose own manifest is kept.
        Raises:
            SigningError: C2PA refuses the certificate or the file.
            OSError: a file cannot be read or written.
        """
        with unsigned.open("rb") as read, signed.open("w+b") as written:
            self._sign(facts, source, unsigned.name, _EMBEDDED[unsigned.suffix.lower()], read, written)

    def detached(self, file: Path, facts: Mapping[str, str], source: Path | None = None) -> bytes:
        """The manifest of a file that cannot embed one; the other arguments are those of ``embed``."""
        with file.open("rb") as read:
            return self._sign(facts, source, file.name, _OTHER, read, None)

    def _sign(
        self,
        facts: Mapping[str, str],
        source: Path | None,
        title: str,
        kind: str,
        read: BinaryIO,
        written: BinaryIO | None,
    ) -> bytes:
        c2pa = load_library()
        try:
            builder = c2pa.Builder(_manifest(facts, title, opened=source is not None), context=_context(c2pa))
            if source is not None:
                builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
                _add_source(c2pa, builder, source)
            if written is None:
                builder.set_no_embed()
                return bytes(builder.sign(self._native(), kind, read))
            return bytes(builder.sign(self._native(), kind, read, written))
        except c2pa.C2paError as error:
            raise SigningError(f"{title} cannot be signed: {error}") from error

    def _native(self) -> Any:
        c2pa = load_library()
        info = c2pa.C2paSignerInfo(alg=self.algorithm, sign_cert=self.certificates, private_key=self.key, ta_url=None)
        return c2pa.Signer.from_info(info)


def read_manifest(path: Path) -> tuple[dict[str, str], str]:
    """The provenance in the manifest of a signed file, and whether its signature is valid.

    Args:
        path: a file with an embedded manifest or a sidecar.
    Returns:
        The provenance, and "Valid", "Trusted" or "Invalid"; both empty without a manifest.
    Raises:
        SigningError: the library is missing.
    """
    import json

    c2pa = load_library()
    try:
        if can_embed(path):
            reader = c2pa.Reader(path)
        elif sidecar_path(path).is_file():
            with path.open("rb") as file:
                reader = c2pa.Reader(_OTHER, file, manifest_data=sidecar_path(path).read_bytes())
        else:
            return {}, ""
        found = json.loads(reader.json())
        state = str(reader.get_validation_state())
    except c2pa.C2paError:
        return {}, ""
    active = found["manifests"][found["active_manifest"]]
    ours = [entry["data"] for entry in active.get("assertions", ()) if entry["label"] == _ASSERTION]
    return ({str(name): str(text) for name, text in ours[0].items()}, state) if ours else ({}, state)


def load_library() -> Any:
    """The module c2pa, if it is installed.

    Raises:
        SigningError: it is not installed.
    """
    try:
        import c2pa
    except ImportError as error:
        raise SigningError("signing requires the library c2pa: pip install 'stylereel[c2pa]'") from error
    return c2pa


def _context(c2pa: Any) -> Any:
    """Settings without thumbnails, which can be larger than the picture."""
    return c2pa.Context(c2pa.Settings.from_dict({"builder": {"thumbnail": {"enabled": False}}}))


def _manifest(facts: Mapping[str, str], title: str, *, opened: bool) -> dict[str, object]:
    # Without a source the file counts as created.
    action = {"action": "c2pa.edited" if opened else "c2pa.created", "digitalSourceType": _MADE_BY_A_MODEL}
    return {
        "claim_generator_info": [{"name": "stylereel", "version": facts.get("version", "0")}],
        "title": title,
        "assertions": [
            {"label": "c2pa.actions", "data": {"actions": [action]}},
            {"label": _ASSERTION, "data": dict(facts)},
        ],
    }


def _add_source(c2pa: Any, builder: Any, source: Path) -> None:
    described = {"title": source.name, "relationship": "parentOf"}
    kinds = [_EMBEDDED[source.suffix.lower()]] if can_embed(source) else []
    for kind in (*kinds, _OTHER):
        try:
            with source.open("rb") as file:
                builder.add_ingredient(described, kind, file)
            return
        except c2pa.C2paError:  # the content does not match the suffix
            if kind == _OTHER:
                raise


def _algorithm(public: Any, certificate: Path) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(public, ec.EllipticCurvePublicKey) and public.curve.name in _CURVES:
        return _CURVES[public.curve.name]
    if isinstance(public, ed25519.Ed25519PublicKey):
        return "ed25519"
    if isinstance(public, rsa.RSAPublicKey):
        return "ps256"
    raise SigningError(f"{certificate} has a key type that C2PA does not support: use EC P-256, Ed25519 or RSA")
