"""What a program reads from standard output is what the command said."""

from __future__ import annotations

import io
import subprocess
import sys

from flows.own_stdout import own_stdout


def test_libraries_print_on_stderr_meanwhile() -> None:
    code = (
        "import os\nfrom flows.own_stdout import own_stdout\n"
        "print('before')\nwith own_stdout():\n    os.write(1, b'noise\\n')\n    print('said \\u00e4')\nprint('after')\n"
        "os.write(1, b'plain\\n')\n"
    )
    ran = subprocess.run([sys.executable, "-u", "-c", code], capture_output=True, check=True)
    assert ran.stdout.decode() == "before\nsaid ä\nafter\nplain\n" and ran.stderr == b"noise\n"


def test_a_stdout_in_memory_stays(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    memory = io.StringIO()
    monkeypatch.setattr(sys, "stdout", memory)
    with own_stdout():
        print("said")
    assert memory.getvalue() == "said\n"
