"""Files that are no lot, or none that this version and this user can use. Nothing of them may change."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from parking_lot_drivers.errors import NotALot, StoreError, StoreInUse, StoreTooNew, StoreUnavailable
from parking_lot_drivers.ports import Mailbox, StoredTask, TaskQueue
from parking_lot_drivers.stores.memory import MemoryMailbox
from parking_lot_drivers.stores.sql import sqlite_schema
from parking_lot_drivers.stores.sqlite import SqliteMailbox, SqliteQueue
from parking_lot_drivers.testing.samples import BOX, batch, delivery, parked

pytestmark = pytest.mark.anyio

STORES = {"queue": SqliteQueue, "mailbox": SqliteMailbox}


@pytest.fixture(params=STORES)
def make(request: pytest.FixtureRequest) -> type[SqliteQueue] | type[SqliteMailbox]:
    return STORES[request.param]


async def refused(store: TaskQueue | Mailbox, error: type[StoreError], words: str) -> None:
    """Opening fails with ``error``, and closing after that is harmless."""
    with pytest.raises(error, match=words):
        await store.open()
    await store.aclose()


async def a_lot(file: Path) -> None:
    queue = SqliteQueue(file, "pool")
    await queue.open()
    await queue.save(batch(added=[parked("kept")]))
    await queue.aclose()


def sql(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


@contextmanager
def untouched(folder: Path) -> Iterator[None]:
    """Nothing in ``folder`` is changed, added or removed."""

    def contents() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    before = contents()
    yield
    assert contents() == before


async def test_a_missing_directory_is_made(tmp_path: Path, make: type[SqliteQueue]) -> None:
    file = tmp_path / "a" / "b ?#%20ü" / "pool.sqlite"
    store = make(file, "pool")
    await store.open()
    assert file.exists()
    await store.aclose()


async def test_an_empty_file_becomes_a_lot(tmp_path: Path) -> None:
    file = tmp_path / "pool.sqlite"
    file.touch()
    await a_lot(file)
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (sqlite_schema.APPLICATION_ID,)
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize("content", [b"just a text file\n" * 200, b"x", b"\x00" * 5000, b"SQLite format 2\0" * 300])
async def test_not_sqlite(tmp_path: Path, make: type[SqliteQueue], content: bytes) -> None:
    file = tmp_path / "notes.txt"
    file.write_bytes(content)
    with untouched(tmp_path):
        await refused(make(file, "pool"), NotALot, r"notes\.txt is not an SQLite database, or is damaged")


@pytest.mark.parametrize("application_id", [0, 42])
async def test_the_database_of_another_application(
    tmp_path: Path, make: type[SqliteQueue], application_id: int
) -> None:
    file = tmp_path / "photos.db"
    sql(file, "CREATE TABLE photos (name)", f"PRAGMA application_id = {application_id}")
    with untouched(tmp_path):
        words = rf"photos\.db is an SQLite database of another application \(application_id {application_id}"
        await refused(make(file, "pool"), NotALot, words)


async def test_a_newer_version(tmp_path: Path, make: type[SqliteQueue]) -> None:
    file = tmp_path / "pool.sqlite"
    await a_lot(file)
    sql(file, "PRAGMA user_version = 7")
    with untouched(tmp_path):
        words = r"newer version of this library \(file version 7, this one reads up to 1\): upgrade"
        await refused(make(file, "pool"), StoreTooNew, words)


async def test_a_lot_without_a_table(tmp_path: Path, make: type[SqliteQueue]) -> None:
    file = tmp_path / "pool.sqlite"
    await a_lot(file)
    sql(file, "DROP TABLE outcomes")
    await refused(make(file, "pool"), NotALot, "damaged lot file: it lacks the tables outcomes")


async def test_a_damaged_file(tmp_path: Path, make: type[SqliteQueue]) -> None:
    file = tmp_path / "pool.sqlite"
    await a_lot(file)
    content = bytearray(file.read_bytes())
    content[100:4096] = os.urandom(3996)
    file.write_bytes(content)
    await refused(make(file, "pool"), NotALot, "is not an SQLite database, or is damaged")


async def test_a_directory(tmp_path: Path, make: type[SqliteQueue]) -> None:
    await refused(make(tmp_path, "pool"), StoreUnavailable, "is a directory; name a file")


async def test_a_file_where_a_directory_should_be(tmp_path: Path, make: type[SqliteQueue]) -> None:
    (tmp_path / "data").write_text("")
    await refused(make(tmp_path / "data" / "pool.sqlite", "pool"), StoreUnavailable, "data: (File exists|Not a dir)")


@contextmanager
def plain_user() -> Iterator[Path]:
    """A folder, and a user whom file permissions bind, which they do not for root."""
    folder = Path(tempfile.mkdtemp())
    try:
        if os.geteuid() != 0:
            yield folder
            return
        folder.chmod(0o755)
        os.chown(folder, 65534, -1)
        os.seteuid(65534)
        try:
            yield folder
        finally:
            os.seteuid(0)
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize("what", ["file", "directory", "both"])
async def test_read_only(make: type[SqliteQueue], what: str) -> None:
    with plain_user() as folder:
        file = folder / "pool.sqlite"
        await a_lot(file)
        if what != "directory":
            file.chmod(0o444)
        if what != "file":
            (folder / "pool.sqlite.lock").unlink()
            folder.chmod(0o555)
        await refused(
            make(file, "pool"), StoreUnavailable, "pool.sqlite: it (is read-only|cannot be opened); give this"
        )


async def test_the_message_of_a_full_refusal_says_what_to_do(tmp_path: Path) -> None:
    queue = SqliteQueue(tmp_path / "pool.sqlite", "pool")
    with pytest.raises(StoreUnavailable, match=r"pool\.sqlite is not open: await open\(\) first"):
        await queue.load()


async def test_payloads_leave_the_file_with_their_tasks(tmp_path: Path) -> None:
    file = tmp_path / "pool.sqlite"
    queue = SqliteQueue(file, "pool")
    await queue.open()
    for turn in range(5):
        await queue.save(batch(added=[StoredTask(parked(f"t{turn}", turn + 1), bytes(1_000_000), BOX)]))
        await queue.save(batch(removed=[f"t{turn}"]))
    await queue.save(batch(added=[parked("stays", 9)]))
    await queue.aclose()
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT body FROM payloads").fetchall() == [(b"{}",)]
    assert file.stat().st_size < 2_000_000  # The room of the first was used again.


async def test_adopting_goes_by_file(tmp_path: Path) -> None:
    file = tmp_path / "pool.sqlite"
    (tmp_path / "link").symlink_to(tmp_path)
    queue = SqliteQueue(file, "pool")
    assert queue.adopt(SqliteMailbox(tmp_path / "link" / "pool.sqlite", "pool"))
    assert not queue.adopt(SqliteMailbox(tmp_path / "other.sqlite", "pool"))
    assert not queue.adopt(MemoryMailbox())


async def test_pools_that_share_a_file_do_not_meet(tmp_path: Path) -> None:
    file = tmp_path / "shared.sqlite"
    for pool in ("one", "two"):
        queue, mailbox = SqliteQueue(file, pool), SqliteMailbox(file, pool)
        await queue.open()
        await mailbox.open()
        queue.adopt(mailbox)
        assert list((await queue.load()).tasks) == []
        await queue.save(batch(added=[parked("same id"), parked("gone", 2)], delivered=[delivery("done", error=pool)]))
        await queue.save(batch(removed=["gone"]))
        assert [task.id for task, _ in (await queue.load()).tasks] == ["same id"]
        assert [message.delivery.error for message in await mailbox.fetch(BOX)] == [pool]
        await mailbox.aclose()
        await queue.aclose()


async def test_an_older_version_is_upgraded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "pool.sqlite"
    await a_lot(file)
    version_2(monkeypatch, "ALTER TABLE tasks ADD COLUMN colour TEXT DEFAULT 'blue'")
    queue = SqliteQueue(file, "pool")
    await queue.open()
    assert [task.id for task, _ in (await queue.load()).tasks] == ["kept"]
    await queue.aclose()
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT colour FROM tasks").fetchall() == [("blue",)]
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)


async def test_an_upgrade_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "pool.sqlite"
    await a_lot(file)
    version_2(monkeypatch, "DROP TABLE leases", "ALTER TABLE nowhere ADD COLUMN colour TEXT")
    with pytest.raises(StoreUnavailable, match="no such table"):
        await SqliteQueue(file, "pool").open()
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        assert connection.execute("SELECT count(*) FROM leases").fetchone() == (0,)


async def test_no_upgrade_under_a_live_scheduler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "pool.sqlite"
    older = SqliteQueue(file, "pool")
    await older.open()
    version_2(monkeypatch)
    looking = SqliteQueue(file, "pool")
    with pytest.raises(StoreInUse, match="older version"):
        await looking.open(schedule=False)
    await older.save(batch(added=[parked("goes on")]))
    await older.aclose()
    await looking.open(schedule=False)
    await looking.aclose()


def version_2(monkeypatch: pytest.MonkeyPatch, *statements: str) -> None:
    """From here on, this library writes version 2, and these statements lead there."""
    monkeypatch.setattr(sqlite_schema.LOT, "version", 2)
    steps = {1: lambda cursor: [cursor.execute(statement) for statement in statements]}
    monkeypatch.setattr(sqlite_schema.LOT, "upgrades", steps)
