"""Output folder of an inbox: recognizes an unmounted share by the sign that the first look left in it."""

from __future__ import annotations

from pathlib import Path

from stylegan_core.storage.atomic import write_bytes_atomically
from stylegan_core.storage.state_folder import STATE_FOLDER
from tasks.shared.errors import StoppedError

_SIGN = Path(STATE_FOLDER) / "results-of-an-inbox"


def check_output(output: Path, known: Path) -> None:
    """Refuses an output folder that was there before and is not now; call it before anything is written.

    Without the check, results would fill the local disk below the mount point, where nobody looks for them.

    Args:
        output: created if it is new.
        known: file of the inbox that names the output folder of earlier looks; written if it is another one.

    Raises:
        StoppedError: the folder was unmounted or removed.
    """
    sign = output / _SIGN
    if sign.is_file():
        return
    if known.is_file() and known.read_text(encoding="utf-8") == str(output):
        raise StoppedError(f"{output} was unmounted or removed: mount it, or delete {known} to begin a new one")
    write_bytes_atomically(sign, b"Looks at an inbox write results here.\n")
    write_bytes_atomically(known, str(output).encode())
