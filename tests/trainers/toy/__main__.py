"""The trainers' commands with the toy family among them, in a process of its own."""

from __future__ import annotations

import sys

from tests.trainers.toy import register

if __name__ == "__main__":
    register()
    from trainers.__main__ import leave, main

    leave(main(sys.argv[1:]))
