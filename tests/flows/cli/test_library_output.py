"""What a program reads from standard output is what the command said."""

from __future__ import annotations

import subprocess
import sys


def test_libraries_print_on_stderr_meanwhile() -> None:
    code = (
        "import ctypes, os\nfrom flows.cli.library_output import libraries_on_stderr\n"
        "print('before')\nwith libraries_on_stderr():\n"
        "    os.write(1, b'system\\n')\n    print('python')\n    ctypes.CDLL(None).puts(b'c')\n"
        "print('after')\nos.write(1, b'plain\\n')\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert sorted(ran.stdout.split()) == ["after", "before", "plain"]
    assert sorted(ran.stderr.split()) == ["c", "python", "system"]
