"""A certificate chain for tests: a root, and a signer whose key is of any kind that C2PA knows."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any


def write_chain(folder: Path, kind: str = "es256", *, alone: bool = False) -> tuple[Path, Path]:
    """Writes the signer's certificate with its root, and its key.

    Args:
        folder: that is there.
        kind: es256, es384, ed25519 or ps256.
        alone: whether the signer vouches for itself, as an authority does.
    Returns:
        The paths of certificate and key.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    now = datetime.datetime.now(datetime.UTC)
    root_key: Any = ec.generate_private_key(ec.SECP256R1())
    key: Any = {
        "es256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "es384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
        "ps256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    }[kind]()

    def named(name: str) -> Any:
        return x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "A studio"),
                x509.NameAttribute(NameOID.COMMON_NAME, name),
            ]
        )

    def begun(name: str, public: Any) -> Any:
        return (
            x509.CertificateBuilder()
            .subject_name(named(name))
            .issuer_name(named("Root"))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        )

    def usage(*, sign: bool) -> Any:
        others = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only",
             "decipher_only"), False,
        )  # fmt: skip
        return x509.KeyUsage(digital_signature=sign, key_cert_sign=not sign, crl_sign=not sign, **others)

    issuer_key = key if alone else root_key
    root = (
        begun("Root", root_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage(sign=False), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    signer = (
        begun("Root" if alone else "Signer", key.public_key())
        .add_extension(x509.BasicConstraints(ca=alone, path_length=None), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .add_extension(usage(sign=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    certificate_file, key_file = folder / f"{kind}.cert.pem", folder / f"{kind}.key.pem"
    certificate_file.write_bytes(signer.public_bytes(pem) + (b"" if alone else root.public_bytes(pem)))
    # As `openssl ecparam -genkey` writes those of curves.
    form = "TraditionalOpenSSL" if isinstance(key, ec.EllipticCurvePrivateKey) else "PKCS8"
    plain = (getattr(serialization.PrivateFormat, form), serialization.NoEncryption())
    key_file.write_bytes(key.private_bytes(pem, *plain))
    return certificate_file, key_file
