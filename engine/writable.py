"""Whether a file could be put where somebody wants it, found out without writing it: what a dry run has to refuse."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def check(path: Path, *, parents: bool = False) -> None:
    """Raise the OSError that writing, replacing or removing it would: no such folder, or no right to write there.

    parents: missing folders would be made, too. A disk that is full is not found out.
    """
    folder = path.parent
    while parents and not os.path.lexists(folder):
        folder = folder.parent
    if not folder.is_dir():
        code = errno.ENOTDIR if os.path.lexists(folder) else errno.ENOENT
    elif not os.access(folder, os.W_OK | os.X_OK):
        code = errno.EROFS if os.statvfs(folder).f_flag & os.ST_RDONLY else errno.EACCES
    else:
        return
    raise OSError(code, os.strerror(code), str(path))
