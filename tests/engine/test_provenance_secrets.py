"""No secret of an environment is written down, and what bears on a run is."""

from __future__ import annotations

import base64
import random
import string
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.withhold import KEPT, KEPT_PREFIXES, filter_environment, looks_secret, looks_secret_file
from tests.conftest import CHARACTERS

ALPHABETS = {
    "base62": string.ascii_letters + string.digits,
    "base36": string.ascii_lowercase + string.digits,
    "base64url": string.ascii_letters + string.digits + "-_",
    "base64": string.ascii_letters + string.digits + "+/",
    "hex": string.hexdigits[:16],
}
BAD_WORDS = ["KEY", "TOKEN", "SECRET", "PASSWORD", "CREDENTIALS", "AUTH", "COOKIE", "PASSPHRASE", "SESSION_ID"]
SURROUND = st.sampled_from(
    ["{}", "x {} y", "/opt/{}/bin", "a={}", "a:{}:b", "{},1", '"{}"', "https://example.org/?q={}"]
)
NAME = st.sampled_from(sorted(KEPT) + [prefix + "X" for prefix in KEPT_PREFIXES])


@pytest.mark.parametrize("alphabet", ALPHABETS)
@settings(derandomize=True)  # chance looks like words once in 100,000 times
@given(st.integers(0), st.integers(64, 96), SURROUND, NAME)
def test_what_looks_like_chance_is_withheld(alphabet: str, seed: int, size: int, around: str, name: str) -> None:
    secret = "".join(random.Random(seed).choices(ALPHABETS[alphabet], k=size))
    kept, withheld = filter_environment({name: around.format(secret)})
    assert kept == {}
    assert withheld == (name,)


@given(NAME, st.sampled_from(BAD_WORDS), st.text("abcdef", max_size=8))
def test_names_that_speak_of_secrets_are_not_even_mentioned(name: str, word: str, value: str) -> None:
    assert filter_environment({f"{name}_{word}": value, f"{name}_{word.lower()}2": value}) == ({}, ())


@given(st.dictionaries(st.text(CHARACTERS), st.text(CHARACTERS), max_size=8))
def test_other_variables_are_left_alone(environ: dict[str, str]) -> None:
    kept, withheld = filter_environment(environ)
    assert all(name in KEPT or name.startswith(KEPT_PREFIXES) for name in [*kept, *withheld])
    assert not set(kept) & set(withheld)


@given(st.text(CHARACTERS))
def test_a_secret_is_found_within_any_text(text: str) -> None:
    for secret in ("sk-proj-abcdefghijkl", "ghp_abcdefghijklmnop", "AKIAABCDEFGHIJKLMNOP"):
        assert looks_secret(f"{text} {secret} {text}")


@pytest.mark.parametrize(
    "value",
    [
        "sk-ant-api03-abcdefghij",
        "sk_live_abcdefghijkl",
        "github_pat_abcdefghijkl",
        "glpat-abcdefghijkl",
        "xoxb-abcdefghij",
        "ASIAABCDEFGHIJKLMNOP",
        "AIzaabcdefghijklmnopqrstuvwx",
        "ya29.abcdefghijkl",
        "hf_abcdefghijklmnopqrst",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
        "https://ann:hunter2@example.org/simple",
        "https://__token__abcdef@example.org/simple",
        "postgres://ann:pw@db/x",
        "redis://:hunter2@cache:6379",
        "Bearer abcdefghijkl",
        "-----BEGIN RSA PRIVATE KEY-----",
        "--password=hunter2",
        "api_key: hunter2",
        '{"token": "hunter2"}',
        base64.b64encode(random.Random(1).randbytes(48)).decode(),
    ],
)
def test_known_kinds_of_secrets(value: str) -> None:
    assert looks_secret(value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "0,1,2,3",
        "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6,GPU-18932f93-d72c-4106-c12f-20bd9faed9f6",
        "MIG-" + str(uuid.UUID(int=2**127 + 12345)),
        "/home/ann/venvs/forecast-3.11/bin:/usr/local/cuda-12.4/bin:/usr/local/sbin:/usr/bin:/snap/bin",
        "/nix/store/0c5b1vl9q7mc4ya2bx9zrf5k8yh3jh6d-python3-3.11.9/bin",
        "/usr/lib/x86_64-linux-gnu:/opt/nvidia/nsight-compute-2024.1.1",
        "en_US.UTF-8",
        "America/Argentina/Buenos_Aires",
        "expandable_segments:True,max_split_size_mb:512",
        "PYTORCH_CUDA_ALLOC_CONF_IS_A_LONG_NAME",
        "ignore::DeprecationWarning:some.module.with_long_names",
        "MyLongClassNameForTimeSeriesForecasting",
        "toto-open-base-forecast-2025-run7",
        "https://pypi.org/simple",
        "tcp://10.0.0.1:29500",
        "/opt/conda/envs/py311/lib/python3",
        "/home/ann/projects/autoregressive_transformer_experiments_2024_q3",
    ],
)
def test_ordinary_values_are_kept(value: str) -> None:
    assert filter_environment({"CUDA_X": value}) == ({"CUDA_X": value}, ())


def test_names_with_a_bad_word_by_accident_and_bytes() -> None:
    environ = {"TOKENIZERS_PARALLELISM": "false", "PYTHONPATH": "/a", "PWD": "/b", "LANG": "caf\udce9"}
    assert filter_environment(environ) == ({"TOKENIZERS_PARALLELISM": "false", "PYTHONPATH": "/a", "LANG": "caf?"}, ())


@pytest.mark.parametrize(
    "name", [".env", ".env.local", "id_rsa", "x.pem", "client_secret.json", ".netrc", "tokens.txt"]
)
def test_files_that_hold_secrets_are_known_by_name(name: str) -> None:
    assert looks_secret_file(name)


@pytest.mark.parametrize("name", ["train.py", "environment.yml", "tokenizer.json", "keys.py", "README.md"])
def test_ordinary_files_are_not(name: str) -> None:
    assert not looks_secret_file(name)
