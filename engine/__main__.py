"""`python -m engine`: the same as `engine`, where the PATH does not lead to it, as over ssh."""

from __future__ import annotations

from engine.cli.main import main

if __name__ == "__main__":
    main()
