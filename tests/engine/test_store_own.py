"""Views of one's own: a SELECT in a file, there for every client, back after a rebuild, never more than a view."""

from __future__ import annotations

import json

import pytest

from engine import store_own
from engine.cli.main import run
from engine.errors import BadQuery, UsageError
from engine.store import Store
from tests.engine.store_folders import ask, finished


@pytest.fixture
def store(workspace):
    finished(workspace, "toto-0001", 0.5)
    finished(workspace, "toto-0002", 0.7)
    made = Store(workspace)
    made.catch_up().check()
    yield made
    made.close()


def there(workspace) -> dict[str, str]:
    query = "SELECT view_name, comment FROM duckdb_views() WHERE starts_with(comment, 'of views/')"
    return dict(ask(workspace, query))


def test_a_saved_view_is_there_for_every_client_and_after_a_rebuild(workspace, store):
    store_own.save(workspace, "better", "-- beats naive\nSELECT id FROM leaderboard WHERE skill > 0;")
    store.catch_up().check()
    assert there(workspace) == {"better": "of views/better.sql: beats naive"}
    assert ask(workspace, "FROM better") == [("toto-0001",)]
    finished(workspace, "toto-0003", 0.4)
    store.rebuild()
    assert ask(workspace, "FROM better ORDER BY id") == [("toto-0001",), ("toto-0003",)]
    store_own.drop(workspace, "better")
    store.catch_up().check()
    assert there(workspace) == {}
    with pytest.raises(UsageError, match="No view 'better'"):
        store_own.drop(workspace, "better")


def test_files_by_hand_in_any_order_and_a_wrong_one_keeps_none_away(workspace, store):
    workspace.views.mkdir()
    for name, sql in (
        ("a_reads_b", "SELECT id FROM b_reads_runs"),
        ("b_reads_runs", "SELECT id FROM runs -- all of them"),
        ("wrong", "SELECT nothing_like_it FROM runs"),
        ("two", "SELECT 1; DROP TABLE tags"),
        ("leaderboard", "SELECT 1"),
    ):
        (workspace.views / f"{name}.sql").write_text(sql)
    store.catch_up().check()
    assert set(there(workspace)) == {"a_reads_b", "b_reads_runs"}
    assert len(ask(workspace, "FROM a_reads_b")) == 2
    assert ask(workspace, "SELECT count(*) FROM tags")[0][0] == 2
    assert ask(workspace, "SELECT max(place) FROM leaderboard") == [(2,)]
    problems = {view.name: view.problem for view in store_own.views(workspace)}
    assert "nothing_like_it" in problems["wrong"]
    assert "2 statements" in problems["two"]
    assert "the engine's own" in problems["leaderboard"]
    assert problems["a_reads_b"] == ""
    (workspace.views / "b_reads_runs.sql").write_text("SELECT id FROM runs WHERE false")
    store.catch_up().check()
    assert ask(workspace, "FROM a_reads_b") == []


REFUSED = (
    ("runs", "SELECT 1", "the engine's own"),
    ("Better", "SELECT 1", "small letters"),
    ("duckdb_x", "SELECT 1", "DuckDB's"),
    ("x", "DROP TABLE runs", "this is DROP"),
    ("x", "SELECT 1; SELECT 2", "2 statements"),
    ("x", " ;", "empty"),
    ("x", "SELECT foo FROM runs", '"foo" not found'),
    ("x", "FROM '/etc/passwd'", "x: "),
    ("x", "PIVOT runs ON family USING count(*)", "IN ("),
)


def test_what_is_no_view_is_refused_and_leaves_no_file(workspace, store):
    for name, sql, said in REFUSED:
        with pytest.raises(UsageError) as refused:
            store_own.save(workspace, name, sql)
        assert said in str(refused.value), sql
    assert store_own.files(workspace) == []


def test_a_wrong_query_says_where(workspace, store):
    from engine.store_sql import Question, Stopped

    query = "SELECT 'ünï',\n  wrong FROM runs"
    with pytest.raises(BadQuery) as error:
        Question(workspace.database, query).ask()
    assert query[error.value.at :].startswith("wrong")
    cut = Question(workspace.database, "SELECT * FROM range(1000000000)", most=10).ask()
    assert (len(cut.rows), cut.more, cut.types) == (10, True, ("BIGINT",))
    stopped = Question(workspace.database, "SELECT 1")
    stopped.stop()
    with pytest.raises(Stopped):
        stopped.ask()


def test_the_command_line_saves_lists_asks_and_writes(box, workspace, capfd, tmp_path):
    box.ended(box.python("print('hello')", name="one").id)
    assert run(["db", "view", "named", "SELECT id, name, 0.5 AS half FROM runs WHERE name <> ''"]) == 0
    assert run(["db", "view", "named"]) == 2
    assert run(["db", "view", "bad", "DELETE FROM runs"]) == 2
    assert "this is DELETE" in capfd.readouterr().err
    assert run(["db", "views", "--json"]) == 0
    (view,) = json.loads(capfd.readouterr().out)
    assert (view["name"], view["problem"]) == ("named", "")
    for ending in ("csv", "json", "md", "parquet"):
        assert run(["sql", "FROM named", "--out", str(tmp_path / f"rows.{ending}")]) == 0
    assert (tmp_path / "rows.csv").read_text() == "id,name,half\nexec-0001,one,0.5\n"
    assert json.loads((tmp_path / "rows.json").read_text()) == [{"id": "exec-0001", "name": "one", "half": "0.5"}]
    assert (tmp_path / "rows.md").read_text() == "| id | name | half |\n|---|---|---|\n| exec-0001 | one | 0.5 |\n"
    from pyarrow import parquet

    assert parquet.read_table(tmp_path / "rows.parquet").column("name").to_pylist() == ["one"]
    assert run(["sql", "FROM named", "--out", str(tmp_path / "rows.xls")]) == 2
    assert run(["db", "view", "named", "--drop"]) == 0
    assert run(["sql", "FROM named"]) == 2
    assert not (workspace.views / "named.sql").exists()
