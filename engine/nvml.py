"""NVML, whose every failure is a value here, never an exception."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

# pynvml is imported in connect(): 15 ms, and the library behind it exists only where a driver is.

_DEAD = ("UNINITIALIZED", "DRIVER_NOT_LOADED", "LIB_RM_VERSION_MISMATCH", "LIBRARY_NOT_FOUND")
# INVALID_ARGUMENT is what the handle of a slice that was taken away gives.
_LOST = ("GPU_IS_LOST", "RESET_REQUIRED", "GPU_NOT_FOUND", "NOT_FOUND", "INVALID_ARGUMENT")
_OLD = ("FUNCTION_NOT_FOUND", "ARGUMENT_VERSION_MISMATCH")

_TEXTS = {
    "LIBRARY_NOT_FOUND": "no NVIDIA driver here (libnvidia-ml.so.1 was not found)",
    "DRIVER_NOT_LOADED": "the NVIDIA driver is installed but not loaded (nvidia-smi says more)",
    "LIB_RM_VERSION_MISMATCH": (
        "the NVIDIA driver and its library have different versions (after an upgrade, a reboot helps)"
    ),
    "FUNCTION_NOT_FOUND": "the libnvidia-ml.so.1 found here is too old or none of NVIDIA's",
    "NO_PERMISSION": "no permission to ask the NVIDIA driver",
    "GPU_IS_LOST": "GPU is lost (it fell off the bus; a reboot brings it back)",
    "UNINITIALIZED": "the NVIDIA driver's library was shut down",
}


class Nvml:
    """A session with the driver's library.

    why: the reason while there is no session, else None. lost: set by a failure after which the devices are
    to be listed anew; whoever lists them clears it.
    """

    def __init__(self) -> None:
        self.why: str | None = "the devices have not been opened"
        self.lost = False
        self._module: Any = None
        self._names: dict[int, str] = {}
        self._versions: dict[str, list[Callable[..., Any]]] = {}

    @property
    def up(self) -> bool:
        return self._module is not None

    def connect(self) -> None:
        """Load the library and start a session; afterwards `why` tells whether there is one."""
        try:
            import pynvml
        except ImportError:
            self.why = "the package nvidia-ml-py is not installed"
            return
        self._names = {
            value: name.removeprefix("NVML_ERROR_")
            for name, value in vars(pynvml).items()
            if name.startswith("NVML_ERROR_")
        }
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            self.why = self._text(error)
            return
        self._module = pynvml
        self._versions = _versions(pynvml)
        self.why = None

    def close(self, why: str = "the devices were closed") -> None:
        module, self._module = self._module, None
        self.why = why
        if module is not None:
            with suppress(module.NVMLError):  # already gone with its driver
                module.nvmlShutdown()

    def ask(self, function: str, *args: object) -> tuple[Any, str | None]:
        """Give (value, None), or (None, why) when the device or the whole library has stopped to answer.

        (None, None) is a value that this device does not have or does not tell us. function: the name of one
        in pynvml without its `nvml`, or one of `memory`, `temperature`, `compute`, `graphics`: the newest of
        its versions that the installed driver knows.
        """
        module = self._module
        if module is None:
            return None, self.why
        versions = self._versions.get(function)
        if versions is None:
            versions = self._versions[function] = [getattr(module, "nvml" + function)]
        while True:
            try:
                return versions[0](*args), None
            except module.NVMLError as error:
                if len(versions) == 1 or self._names.get(error.value) not in _OLD:
                    return None, self._failed(error)
                versions.pop(0)
            except UnicodeDecodeError:  # a name in no known encoding
                return None, None

    def _failed(self, error: Any) -> str | None:
        name = self._names.get(error.value)
        if name in _DEAD:
            self.lost = True
            self.close(self._text(error))
            return self.why
        if name in _LOST:
            self.lost = True
            return self._text(error)
        return None

    def _text(self, error: Any) -> str:
        return _TEXTS.get(self._names.get(error.value, ""), str(error))


def _versions(module: Any) -> dict[str, list[Callable[..., Any]]]:
    """What comes in several versions, newest first; an old driver lacks the first ones.

    The newer memory call does not count what the driver keeps for itself as used. pynvml's own unversioned
    calls do not step back where the driver is older than pynvml.
    """
    return {
        "memory": [
            lambda handle: module.nvmlDeviceGetMemoryInfo(handle, version=module.nvmlMemory_v2),
            module.nvmlDeviceGetMemoryInfo,
        ],
        "temperature": [
            lambda handle: module.nvmlDeviceGetTemperatureV(handle, module.NVML_TEMPERATURE_GPU),
            lambda handle: module.nvmlDeviceGetTemperature(handle, module.NVML_TEMPERATURE_GPU),
        ],
        "compute": [
            module.nvmlDeviceGetComputeRunningProcesses_v3,
            module.nvmlDeviceGetComputeRunningProcesses_v2,
        ],
        "graphics": [
            module.nvmlDeviceGetGraphicsRunningProcesses_v3,
            module.nvmlDeviceGetGraphicsRunningProcesses_v2,
        ],
    }
