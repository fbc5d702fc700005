"""What goes wrong in a round of the engine: kept from the rest of the round, told in its status, logged once."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from engine.errors import EngineError

LINGER = 15
"""Rounds for which trouble is told after the last one that had it: not every round looks at everything."""
log = logging.getLogger("engine")


class Troubles:
    """Of one round after the other; what went wrong of late is `text`."""

    def __init__(self) -> None:
        self.text = ""
        self._met: list[str] = []
        self._logged: set[str] = set()
        self._well = 0
        """Rounds without any."""

    @contextlib.contextmanager
    def apart(self, what: str) -> Iterator[None]:
        """Do something whose failure, a full disk or a fault of ours, must not keep the rest from being done."""
        try:
            yield
        except (OSError, EngineError) as error:
            told = f"{what}: {getattr(error, 'strerror', None) or error}"
            if told not in self._logged:
                log.warning("%s", told)
            self._met.append(told)
        except Exception as error:
            told = f"{what}: {type(error).__name__}: {error}; this is a fault of the engine"
            if told not in self._logged:
                log.exception("%s", told)
            self._met.append(told)

    def end_round(self) -> bool:
        """Tell whether there is other trouble now than before this round."""
        before, met = self.text, [*dict.fromkeys(self._met)]
        self._well = 0 if met else self._well + 1
        if met:
            self.text = met[0] + (f" (and {len(met) - 1} more)" if len(met) > 1 else "")
            self._logged.update(met)
        elif self._well > LINGER:
            self.text = ""
            self._logged.clear()
        self._met.clear()
        return self.text != before
