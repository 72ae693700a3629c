"""The form of jobs in files and digests: frozen models, canonical JSON, and fields that are left out when unset."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict


class FrozenModel(BaseModel):
    """A frozen part of a job; an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def without_defaults(model: BaseModel, dumped: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """``dumped`` without those of the fields ``names`` that have their default value.

    A field that was added to the job file later is left out of jobs that do not use it, so that these keep the digest
    that they had before the field existed.
    """
    fields = type(model).model_fields
    unset = {name for name in names if getattr(model, name) == fields[name].default}
    return {name: value for name, value in dumped.items() if name not in unset}


def canonical_json(value: Any) -> bytes:
    """JSON as it is written and hashed: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest_of(value: Any) -> str:
    """SHA-256 of the canonical JSON, in hexadecimal."""
    return hashlib.sha256(canonical_json(value)).hexdigest()
