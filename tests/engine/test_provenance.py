"""Where a run comes from: real repositories, real files."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import DataError
from engine.fingerprint import DataPrint, fingerprint
from engine.provenance import FILE_LIMIT, collect, git_state, package_versions


def git(folder: Path, *command: str) -> str:
    who = ["-c", "user.name=ann", "-c", "user.email=ann@example.org", "-c", "protocol.file.allow=always"]
    return subprocess.run(
        ["git", *who, *command], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "train.py").write_text("print(1)\nprint(2)\n")
    (folder / ".gitignore").write_text("ignored\n")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    return folder


def test_a_clean_repository(repo: Path) -> None:
    (repo / "ignored").write_text("x")
    state, patch = git_state(repo)
    assert (state.commit, state.branch) == (git(repo, "rev-parse", "HEAD"), "main")
    assert (state.dirty, state.patch_sha, state.left_out, state.why, patch) == (False, "", (), "", "")


def test_a_subfolder_and_a_detached_head(repo: Path) -> None:
    git(repo, "checkout", "-q", "--detach")
    (repo / "sub").mkdir()
    (repo / "sub" / "new.py").write_text("new\n")
    state, patch = git_state(repo / "sub")
    assert state.branch == ""
    assert state.commit
    assert "+++ b/sub/new.py" in patch


NAMES = [
    "new.py",
    "with blank.txt",
    "tab\there.txt",
    'quo"te.txt',
    "back\\slash.txt",
    "ümlaut.txt",
    "line\nfeed.txt",
    "d/e.txt",
]


def test_the_patch_makes_the_same_files_again(repo: Path, tmp_path: Path) -> None:
    for number, name in enumerate(NAMES):
        (repo / name).parent.mkdir(exist_ok=True)
        (repo / name).write_text(f"file {number}\r\nno end" if number % 2 else f"file {number}\n\n")
    (repo / "empty").touch()
    (repo / "run.sh").write_text("#!/bin/sh\n")
    (repo / "run.sh").chmod(0o755)
    (repo / "train.py").write_text("print(1)\nprint(3)")
    state, patch = git_state(repo)
    assert state.dirty
    assert state.left_out == ()
    assert state.patch_sha == hashlib.sha256(patch.encode()).hexdigest()
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(repo), str(clone))
    file = tmp_path / "code.patch"
    file.write_bytes(patch.encode())
    git(clone, "apply", str(file))
    for name in [*NAMES, "empty", "run.sh", "train.py"]:
        assert (clone / name).read_bytes() == (repo / name).read_bytes(), name
    assert os.access(clone / "run.sh", os.X_OK)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=60))
def test_any_text_survives_the_patch(repo: Path, tmp_path: Path, text: str) -> None:
    (repo / "new.txt").write_bytes(text.encode())
    file = tmp_path / "code.patch"
    file.write_bytes(git_state(repo)[1].encode())
    target = tmp_path / "target"
    target.mkdir(exist_ok=True)
    (target / "new.txt").unlink(missing_ok=True)
    subprocess.run(["git", "apply", "--unsafe-paths", str(file)], cwd=target, check=True, capture_output=True)
    assert (target / "new.txt").read_bytes() == text.encode()


def test_what_the_patch_leaves_out_is_named(repo: Path) -> None:
    (repo / "picture.bin").write_bytes(b"\0\1\2")
    (repo / "big.txt").write_text("x" * (FILE_LIMIT + 1))
    (repo / "latin.txt").write_bytes(b"caf\xe9\n")
    (repo / "link").symlink_to("train.py")
    (repo / ".env").write_text("API=hunter2\n")
    (repo / "server.pem").write_text("hunter2\n")
    state, patch = git_state(repo)
    assert patch == ""
    assert state.dirty
    said = dict(line.rstrip(")").split(" (", 1) for line in state.left_out)
    assert said.keys() == {"picture.bin", "big.txt", "latin.txt", "link", ".env", "server.pem"}
    assert said["picture.bin"] == "binary"
    assert "secret" in said[".env"]


def test_a_changed_binary_file_is_named(repo: Path) -> None:
    (repo / "weights.bin").write_bytes(b"\0\1\2")
    git(repo, "add", "weights.bin")
    git(repo, "commit", "-q", "-m", "binary")
    (repo / "weights.bin").write_bytes(b"\0\1\3")
    state, _ = git_state(repo)
    assert state.left_out == ("Binary files a/weights.bin and b/weights.bin differ (binary)",)


def test_a_person_s_git_settings_do_not_bend_the_patch(repo: Path) -> None:
    for key, value in {"color.ui": "always", "diff.noprefix": "true", "diff.external": "false"}.items():
        git(repo, "config", key, value)
    (repo / "train.py").write_text("print(5)\n")
    assert git_state(repo)[1].startswith("diff --git a/train.py b/train.py\n")


def test_before_the_first_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "added.py").write_text("a\n")
    git(tmp_path, "add", "added.py")
    (tmp_path / "new.py").write_text("b\n")
    state, patch = git_state(tmp_path)
    assert (state.commit, state.branch, state.dirty, state.why) == ("", "main", True, "")
    assert "+++ b/added.py" in patch
    assert "+++ b/new.py" in patch


def test_a_submodule(repo: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    git(tmp_path, "clone", "-q", str(repo), str(other))
    git(repo, "submodule", "add", "-q", str(other), "part")
    git(repo, "commit", "-q", "-m", "part")
    assert not git_state(repo)[0].dirty
    (repo / "part" / "train.py").write_text("changed\n")
    state, patch = git_state(repo)
    assert state.dirty
    assert "Subproject commit" in patch


def test_no_repository_and_a_bare_one(tmp_path: Path) -> None:
    assert git_state(tmp_path)[0].why == "not in a git repository"
    assert "does not exist" in git_state(tmp_path / "nowhere")[0].why
    git(tmp_path, "init", "-q", "--bare", "bare.git")
    assert git_state(tmp_path / "bare.git")[0].why == "a bare git repository"
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / ".git").write_text("nonsense")
    assert git_state(broken)[0].why


def test_no_git_binary(repo: Path) -> None:
    program = "from engine.provenance import git_state; from pathlib import Path; print(git_state(Path('.'))[0].why)"
    env = {"PATH": "/nonexistent", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=repo, env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "git is not installed"


def test_packages_are_told_without_importing_them() -> None:
    program = (
        "import sys; from engine.provenance import package_versions as p; v = p(['torch', 'msgspec', 'no-such-thing']);"
        "print(sorted(v), 'torch' in sys.modules)"
    )
    env = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['msgspec', 'torch'] False"
    assert package_versions(["no-such-thing"]) == {}


# -- the data's fingerprint ---------------------------------------------------------------------------------------


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


FILES = {"a.csv": b"1", "b.csv": b"2", "sub/c.csv": b"333"}


def test_the_fingerprint_tells_names_and_bytes_not_places(tmp_path: Path) -> None:
    one = fingerprint([write(tmp_path / "one", FILES)])
    assert (one.files, one.bytes, one.synthetic) == (3, 5, False)
    assert len(one.fingerprint) == 32
    two = write(tmp_path / "two", FILES | {".hidden": b"x"})
    assert fingerprint([two]).fingerprint == one.fingerprint
    for change in ({"a.csv": b"2"}, {"d.csv": b""}, {"a.csv": b"12", "b.csv": b""}):
        other = write(tmp_path / repr(change), FILES | change)
        assert fingerprint([other]).fingerprint != one.fingerprint
    (two / "a.csv").rename(two / "z.csv")
    assert fingerprint([two]).fingerprint != one.fingerprint


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from("abc"), st.binary(max_size=3)), min_size=1), st.data())
def test_the_remembered_digests_never_hide_a_change(
    tmp_path: Path, edits: list[tuple[str, bytes]], data: st.DataObject
) -> None:
    folder, cache = tmp_path / "data", tmp_path / "cache.json"
    folder.mkdir(exist_ok=True)
    for name, content in edits:
        (folder / name).write_bytes(content)
        if data.draw(st.booleans()):  # old enough to be remembered, though its clock was turned back
            os.utime(folder / name, (1e9, 1e9))
        assert fingerprint([folder], cache) == fingerprint([folder])


def test_digests_are_remembered_and_a_torn_memory_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.fingerprint.SETTLED_S", -1.0)
    folder, cache = write(tmp_path / "data", FILES), tmp_path / "cache.json"
    first = fingerprint([folder], cache)
    assert len(cache.read_bytes()) > 100
    assert fingerprint([folder], cache) == first
    cache.write_bytes(cache.read_bytes()[:50])
    assert fingerprint([folder], cache) == first


def test_links_do_not_lead_out(tmp_path: Path) -> None:
    outside = write(tmp_path / "outside", {"x.csv": b"secret", "deep/y.csv": b"1"})
    folder = write(tmp_path / "data", {"a.csv": b"1"})
    (folder / "inside.csv").symlink_to("a.csv")
    (folder / "out.csv").symlink_to(outside / "x.csv")
    (folder / "deep").symlink_to(outside / "deep")
    (folder / "gone").symlink_to("nowhere")
    (folder / "loop").symlink_to(".")
    before = fingerprint([folder])
    assert before.files == 6
    (outside / "deep" / "y.csv").write_bytes(b"2")
    assert fingerprint([folder]) == before
    (folder / "gone").unlink()
    (folder / "gone").symlink_to("elsewhere")
    assert fingerprint([folder]).fingerprint != before.fingerprint
    alias = tmp_path / "alias"
    alias.symlink_to(folder)
    assert fingerprint([alias]).fingerprint == fingerprint([folder]).fingerprint


def test_single_files_several_paths_and_a_pipe(tmp_path: Path) -> None:
    folder = write(tmp_path / "data", {"a.csv": b"1", "b.csv": b"22"})
    os.mkfifo(folder / "pipe")
    both = fingerprint([folder / "a.csv", folder])
    assert (both.files, both.bytes) == (4, 4)
    assert both.path == f"{folder / 'a.csv'}:{folder}"


@pytest.mark.parametrize(
    ("marker", "says"), [(b'{"synthetic": true}', True), (b"", True), (b"[[", True), (b'{"synthetic": false}', False)]
)
def test_synthetic_data_are_known_by_their_marker(tmp_path: Path, marker: bytes, says: bool) -> None:
    plain = fingerprint([write(tmp_path, FILES)])
    marked = fingerprint([write(tmp_path, {"SYNTHETIC.json": marker})])
    assert marked.synthetic is says
    assert marked.fingerprint == plain.fingerprint
    assert fingerprint([tmp_path / "a.csv"]).synthetic is says


def test_data_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere can't be read: No such file or directory\. `engine data import`"):
        fingerprint([tmp_path / "nowhere"])


# -- all of it ----------------------------------------------------------------------------------------------------


def test_collect(repo: Path) -> None:
    data = write(repo / "trainingdata", FILES)
    write(repo / "runs", {"toto-0001/log.txt": b"words"})
    (repo / "new.py").write_text("new\n")
    found = collect(
        repo, [data], environ={"PATH": "/bin", "HF_TOKEN": "hf_x", "CUDA_VISIBLE_DEVICES": "sk-" + "a1" * 20}
    )
    assert found.git.commit
    assert "new.py" in found.patch
    assert "trainingdata" not in found.patch
    assert "log.txt" not in found.patch
    assert found.data == fingerprint([data])
    assert found.env == {"PATH": "/bin"}
    assert found.env_withheld == ("CUDA_VISIBLE_DEVICES",)
    assert found.packages["msgspec"]
    assert found.python.startswith("3.")
    assert found.user
    assert found.host
    assert collect(repo, environ={}).data is None
    assert isinstance(found.data, DataPrint)


def test_exports_are_no_part_of_the_code(repo: Path) -> None:
    for end in ("", ".json", ".prod", ".previous.json"):
        (repo / f".best_model_path{end}").write_text("/w/runs/toto-0001/checkpoints/step-000100\n")
    assert not collect(repo).git.dirty
