"""URLs as logs, errors, messages and servers may show them: without users, passwords, queries and secret paths."""

from __future__ import annotations

import re

_URL = re.compile(
    r"""(?P<scheme>\b[a-z][a-z0-9+.-]*://)
        (?P<user>[^/?\#\s]*@)?  # up to the last @: a password may have one
        (?P<host>[^/?\#\s'"]*)
        (?P<path>/[^?\#\s'"]*)?
        (?P<query>[?\#][^\s'"]*)?""",
    re.IGNORECASE | re.VERBOSE,
)


def shown_url(text: str, *, secret_path: bool = False) -> str:
    """A text with what is secret in its URLs replaced by ``***``.

    Args:
        text: a URL, or any text with some.
        secret_path: the path is a secret too, as that of a webhook.
    """

    def masked(found: re.Match[str]) -> str:
        user = "***@" if found["user"] else ""
        path, query = found["path"] or "", found["query"] or ""
        if secret_path:
            rest = "/***" if path.strip("/") or query else ""
        else:
            rest = path + ("?***" if query else "")
        return f"{found['scheme']}{user}{found['host']}{rest}"

    return _URL.sub(masked, text)
