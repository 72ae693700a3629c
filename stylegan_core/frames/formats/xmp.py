"""Texts in XMP packets (ISO 16684-1): added to the existing content, and read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.sax.saxutils import escape, unescape

_NAMESPACE = "stylereel"
_ADDRESS = "https://stylereel.invalid/ns/1.0/"
_END = re.compile(rb"</\s*rdf:RDF\s*>")
_ABOUT = re.compile(rb"""rdf:about\s*=\s*("[^"]*"|'[^']*')""")
_OURS = re.compile(rb"\s*<rdf:Description[^<>]*\sxmlns:stylereel=[^<>]*/>")
_TEXT = re.compile(rb"""\sstylereel:([A-Za-z_][\w.-]*)\s*=\s*"([^"]*)\"""")
_QUOTES = {'"': "&quot;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}
_EMPTY = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)


def with_texts(packet: bytes | None, texts: Mapping[str, str]) -> bytes | None:
    """Adds texts to a packet; they replace earlier ones.

    Args:
        packet: of the file, or None.
        texts: named "stylereel:NAME".
    Returns:
        The new packet; unchanged without texts, or if its RDF has no end.
    Raises:
        ValueError: a name that does not start with "stylereel:".
    """
    if not texts:
        return packet
    whole = _OURS.sub(b"", packet if packet else _EMPTY)
    end = _END.search(whole)
    if end is None:
        return packet
    about = _ABOUT.search(whole)
    subject = about[1] if about is not None else b'""'
    fields = []
    for name, text in texts.items():
        prefix, _, local = name.partition(":")
        if prefix != _NAMESPACE or not re.fullmatch(r"[A-Za-z_][\w.-]*", local):
            raise ValueError(f"{name!r} is not a name of a text: expected stylereel:NAME")
        fields.append(f' stylereel:{local}="{escape(text, _QUOTES)}"')
    head = b"<rdf:Description rdf:about=" + subject + f' xmlns:stylereel="{_ADDRESS}"'.encode()
    return whole[: end.start()] + head + "".join(fields).encode() + b"/>" + whole[end.start() :]


def read_texts(packet: bytes | None) -> dict[str, str]:
    """The texts that ``with_texts`` added to a packet."""
    back = {entity: letter for letter, entity in _QUOTES.items()}
    return {
        f"{_NAMESPACE}:{name.decode()}": unescape(text.decode("utf-8", "replace"), back)
        for name, text in _TEXT.findall(packet or b"")
    }
