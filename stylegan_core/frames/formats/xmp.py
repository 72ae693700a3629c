"""Puts texts of our own into an XMP packet (ISO 16684-1), beside what it says already, and reads them."""

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
    """A packet that also holds texts, in place of those that were put there before.

    Args:
        packet: of the file; None if it has none.
        texts: named "stylereel:NAME".
    Returns:
        The packet; as it was if there are no texts, or if it is not one that can be added to.
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
    said = about[1] if about is not None else b'""'
    fields = []
    for name, text in texts.items():
        prefix, _, local = name.partition(":")
        if prefix != _NAMESPACE or not re.fullmatch(r"[A-Za-z_][\w.-]*", local):
            raise ValueError(f"{name!r} is no name of a text here, stylereel:NAME is")
        fields.append(f' stylereel:{local}="{escape(text, _QUOTES)}"')
    head = b"<rdf:Description rdf:about=" + said + f' xmlns:stylereel="{_ADDRESS}"'.encode()
    return whole[: end.start()] + head + "".join(fields).encode() + b"/>" + whole[end.start() :]


def read_texts(packet: bytes | None) -> dict[str, str]:
    """The texts that ``with_texts`` put into a packet."""
    back = {entity: letter for letter, entity in _QUOTES.items()}
    return {
        f"{_NAMESPACE}:{name.decode()}": unescape(text.decode("utf-8", "replace"), back)
        for name, text in _TEXT.findall(packet or b"")
    }
