"""Every query in docs/sql.md runs and answers, and the document names every table and view."""

from __future__ import annotations

import re

import duckdb
import pytest

from engine import rundir
from engine.errors import UsageError, WorkspaceError
from engine.recipes import RECIPES
from engine.store import Store
from engine.store_parquet import OWN, READY, export_parquet
from engine.store_schema import TABLES, VIEWS
from engine.workspace import Workspace
from tests.conftest import ROOT
from tests.engine.store_folders import T0, Run, finished

TEXT = (ROOT / "docs" / "sql.md").read_text()
QUERIES = re.findall(r"^```sql\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """Two good runs, a failed one, samples of a device."""
    workspace = Workspace(tmp_path_factory.mktemp("w"))
    finished(workspace, "toto-0001", 0.6)
    finished(workspace, "toto-0002", 0.5, config={"train": {"lr": 1e-3}, "data": {"horizon": 64}})
    failed = Run(workspace, "toto-0003")
    failed.start(("GPU-1",))
    failed.end(1)
    processes = [{"pid": 41, "memory": 7, "run": "toto-0003"}, {"pid": 9, "memory": 5, "name": "game", "user": "bob"}]
    device = {"uuid": "GPU-1", "index": 0, "name": "H", "utilisation": 5, "memory_used": 9, "processes": processes}
    rundir.append(workspace.host / "2025-11-20.jsonl", {"kind": "sample", "t": T0, "devices": [device], "host": {}})
    promoted = finished(workspace, "toto-0004", 0.7)
    promoted.evaluate("test", pct_mae=0.8)
    promoted.order("promote", "checkpoints/step-000100")
    export = {"kind": "export", "t": T0, "run": "toto-0004", "checkpoint": "c", "alias": ""}
    rundir.append(workspace.host / "2025-11-20.jsonl", export)
    Store(workspace).catch_up().check()
    return workspace.database


def test_there_are_queries():
    assert len(QUERIES) >= 20


@pytest.mark.parametrize("query", QUERIES, ids=[" ".join(query.split())[:50] for query in QUERIES])
def test_a_query_of_the_docs_answers(database, query, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # one of them writes a file
    with duckdb.connect(str(database), read_only=True) as con:
        assert con.execute(query).fetchall()


def test_the_recipes_are_the_queries_of_the_docs_that_only_read():
    assert [recipe.sql for recipe in RECIPES] == [query.strip() for query in QUERIES if not query.startswith("COPY")
                                                  and "duckdb_columns" not in query]  # fmt: skip
    assert len({recipe.name for recipe in RECIPES}) == len(RECIPES)


@pytest.mark.parametrize("name", [*TABLES, *VIEWS])
def test_the_docs_name_every_table_and_view(name):
    assert f"`{name}`" in TEXT


def test_every_table_becomes_a_parquet_file(database, tmp_path):
    written = export_parquet(database, tmp_path / "out")
    assert {one.path.stem for one in written} == {*TABLES, *READY} - set(OWN)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(one.path.name for one in written)
    with duckdb.connect(str(database), read_only=True) as con:
        for one in written:
            (rows,) = con.execute(f'SELECT count(*) FROM "{one.path.stem}"').fetchall()[0]
            assert con.execute(f"SELECT count(*) FROM '{one.path}'").fetchall() == [(rows,)]
            assert one.rows == rows
    taken = tmp_path / "file"
    taken.write_text("x")
    with pytest.raises(UsageError, match="is a file"):
        export_parquet(database, taken)
    with pytest.raises(WorkspaceError, match="can't be written"):
        export_parquet(database, taken / "below")
