"""What of an environment may be written down: variables that bear on a run, and nothing that looks like a secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise

KEPT_PREFIXES = (
    "CUDA_", "CUBLAS_", "CUDNN_", "NVIDIA_", "NCCL_", "GLOO_", "UCX_", "OMP_", "MKL_", "OPENBLAS_", "KMP_", "GOMP_",
    "NUMEXPR_", "MALLOC_", "PYTHON", "TORCH", "PYTORCH_", "TRITON_", "HF_", "TRANSFORMERS_", "XLA_",
    "JAX_", "TF_", "RAY_", "SLURM_", "CONDA_", "UV_", "LC_", "ENGINE_", "PADDOCK_",
)  # fmt: skip
KEPT = frozenset({
    "PATH", "LD_LIBRARY_PATH", "LD_PRELOAD", "VIRTUAL_ENV", "LANG", "LANGUAGE", "TZ", "SHELL", "USER", "LOGNAME",
    "HOSTNAME", "TMPDIR", "CI", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT",
    "XDG_CACHE_HOME", "TOKENIZERS_PARALLELISM",
})  # fmt: skip
HARMLESS = frozenset({"TOKENIZERS_PARALLELISM", "PYTHONPATH", "PATH"})
"""Names that hold a bad word by accident."""

SECRET_NAME = re.compile(
    r"KEY|TOKEN|SECRET|PASSW|PASSPHRASE|PWD|CREDENTIAL|AUTH|COOKIE|SESSION|PRIVATE|SIGNATURE|WEBHOOK|BEARER|CERT|_PAT$|_DSN$"
)
SECRET_FILE = re.compile(
    r"^\.env($|[._-])|^\.(netrc|pgpass|npmrc|pypirc)$|^id_(rsa|dsa|ecdsa|ed25519)|\.(pem|key|p12|pfx|kdbx|jks)$"
    r"|(secret|credential|password|token)s?\.|^kubeconfig$",
    re.IGNORECASE,
)
SECRET_VALUE = re.compile(
    r"""
      -----BEGIN                                              # PEM
    | ://[^/\s@]*:[^/\s@]+@ | ://[^/\s:@]{12,}@               # a URL with a password or a token before its host
    | \beyJ[\w-]{8,}\.[\w-]*                                  # JWT
    | \b(sk|pk|rk)[-_][\w-]{10,} | \b(ghp|gho|ghu|ghs|ghr)_\w{10,} | \bgithub_pat_\w{10,} | \bglpat-[\w-]{10,}
    | \bxox[a-z]-[\w-]{8,} | \b(AKIA|ASIA|AROA|AIDA)[A-Z0-9]{12,} | \bAIza[\w-]{20,} | \bya29\.[\w-]{10,}
    | \b(hf|npm|dop_v1|shpat|figd|lin_api|wandb_v1)_\w{16,} | \bpypi-[\w-]{16,} | \bSG\.[\w-]{10,}
    | (?i:\b(bearer|basic)\s+[\w+/=.~-]{8,})
    | (?i:(passw(or)?d|passphrase|secret|token|api[_-]?key|access[_-]?key)["']?\s*[=:]\s*["']?[^\s"']{4,})
    """,
    re.VERBOSE,
)
# Names that look like chance but are no secrets: UUIDs (devices), the hashes of Nix's store.
_KNOWN_IDS = re.compile(
    r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b|(?<=/nix/store/)[0-9a-z]{32}(?=-)",
    re.IGNORECASE,
)
# The second holds base64 whole; paths, which it finds too, change less between kinds of characters.
_SEGMENTS = (re.compile(r"[A-Za-z0-9+_-]{20,}"), re.compile(r"[A-Za-z0-9+/]{32,}"))
_HEX = re.compile(r"[0-9a-fA-F]{32,}")


def filter_environment(environ: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Give (what may be written, names withheld for their value), both sorted by name.

    Written is only what bears on a run (the lists above). A variable whose name speaks of a secret is not
    mentioned at all; one whose value looks like a secret is mentioned by name.
    """
    kept: dict[str, str] = {}
    withheld: list[str] = []
    for name, value in sorted(environ.items()):
        if not (name in KEPT or name.startswith(KEPT_PREFIXES)) or looks_secret_name(name):
            continue
        if looks_secret(value):
            withheld.append(name)
        else:
            # What is no UTF-8 has no place in JSON.
            kept[name] = value.encode(errors="replace").decode()
    return kept, tuple(withheld)


def looks_secret_name(name: str) -> bool:
    return name not in HARMLESS and SECRET_NAME.search(name.upper()) is not None


def looks_secret_file(name: str) -> bool:
    """Tell whether a file's name is one that secrets are usually kept in."""
    return SECRET_FILE.search(name) is not None


def looks_secret(value: str) -> bool:
    """Tell whether any part of a text looks like a key, token or password.

    Known kinds by their form, unknown ones by looking like chance: long, and changing between capitals, small
    letters and digits far more often than words do. It errs on the side of secrecy, but a password that is
    made of words can't be told from any other text.
    """
    if SECRET_VALUE.search(value):
        return True
    plain = _KNOWN_IDS.sub("", value)
    return any(_by_chance(segment) for pattern in _SEGMENTS for segment in pattern.findall(plain))


def _by_chance(segment: str) -> bool:
    if _HEX.search(segment):
        return True
    if any(_changes(run, "ld", "dl") >= 3 for run in re.findall(r"[A-Za-z0-9]{24,}", segment)):
        return True
    plain = re.sub(r"[^A-Za-z0-9]", "", segment)
    # A capital after a small letter begins a word of a CamelCaseName; names have fewer than one in five.
    return len(plain) >= 20 and _changes(plain, "lu", "ld", "ud", "dl", "du") >= len(plain) / 5


def _changes(text: str, *pairs: str) -> int:
    """Count the neighbours whose kinds are one of the pairs: d a digit, l a small letter, u a capital.

    Where no pair has a capital, capitals are letters like any other.
    """
    capitals = any("u" in pair for pair in pairs)
    kinds = ["d" if c.isdigit() else "u" if capitals and c.isupper() else "l" for c in text]
    return sum(a + b in pairs for a, b in pairwise(kinds))
