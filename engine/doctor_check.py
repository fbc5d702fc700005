"""What one look of the doctor finds."""

from __future__ import annotations

import msgspec


class Check(msgspec.Struct, frozen=True):
    """ok: True fine, False to be mended (remedy says how), None neither: a thing that may well be so."""

    name: str
    ok: bool | None
    text: str
    remedy: str = ""
