"""`python -m engine` is `engine`."""

from __future__ import annotations

import subprocess
import sys


def test_the_package_itself_is_the_command():
    told = subprocess.run([sys.executable, "-m", "engine", "--help"], capture_output=True, text=True, check=True)
    assert told.stdout.startswith("Usage: engine ")
