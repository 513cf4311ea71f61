"""Messages that other PGMQ clients may send: they become tasks, or are set aside with a reason; the rest runs."""

from __future__ import annotations

import json
from typing import Any

import anyio
import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from parking_lot_drivers.stores.postgres import PostgresMailbox
from parking_lot_drivers.stores.sql.columns import Undecodable
from parking_lot_drivers.stores.sql.pgmq_payloads import as_message, as_payload
from parking_lot_drivers.stores.sql.pgmq_queue import task_row
from parking_lot_drivers.stores.sql.rows import TaskDecoder
from tests.fuzz.damage import JSON, as_json, damaged
from tests.stores.pgmq_tools import NAME, pool_at

MANY = settings(max_examples=200)

#: A header as this library writes it.
HEADER: dict[str, Any] = {
    "parking_lot": {
        "pool": "pool",
        "task_id": "t1",
        "state": "parked",
        "priority": 1,
        "tag": "0",
        "sequence": 3,
        "units": 1,
        "tenant": "ann",
        "epoch": 0,
        "attempts": 0,
        "admitted_at": 1795447128.5,
        "max_attempts": 0,
        "reads": 0,
        "box_tenant": "",
        "box_user": "",
        "box_session": "",
        "rank": "2." + "0" * 40 + "." + "3".zfill(19),
    }
}
HEADERS = damaged(HEADER) | JSON | st.just(None)
BODIES = JSON | st.sampled_from(["$json", "$base64"]).flatmap(lambda key: JSON.map(lambda value: {key: value}))


@MANY
@given(HEADERS)
@example({"parking_lot": {}})
@example({"parking_lot": 7})
@example({"parking_lot": None})
def test_any_header_is_a_task_or_a_row_to_be_set_aside(headers: Any) -> None:
    lot = headers.get("parking_lot") if isinstance(headers, dict) else None
    decode = TaskDecoder()
    try:
        row = task_row((5, json.loads(as_json(lot))))
        task, _ = decode(row)
    except Undecodable as error:
        complaint = str(error)
    else:
        complaint = "none"
        assert task.units >= 1
        assert task.sequence >= 1
    assert complaint


@MANY
@given(BODIES)
@example({"$base64": "é"})
@example({"$base64": "AA"})
@example({"$json": {"$json": 1}})
def test_any_message_is_a_payload(body: Any) -> None:
    payload = as_payload(as_json(body))
    assert isinstance(payload, bytes)
    assert as_payload(as_message(payload)) == payload


def storable(value: Any) -> bool:
    """What ``jsonb`` takes: no zero characters, no half surrogate pairs, numbers within its range."""
    text = as_json(value)
    return "\\u0000" not in text and "\\ud8" not in text and len(text) < 5000


MESSAGES = st.tuples(BODIES, HEADERS).filter(storable)


@pytest.mark.slow
def test_a_queue_full_of_what_others_sent(database_url: str) -> None:
    """Every message ends as an outcome or lies set aside, or waits as its header asks for; those that are fine run."""

    @settings(
        max_examples=15,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(st.lists(MESSAGES, min_size=5, max_size=25))
    def check(messages: list[tuple[Any, Any]]) -> None:
        anyio.run(serve, database_url, messages)

    check()


async def echo(payload: object) -> object:
    return payload


async def serve(url: str, messages: list[tuple[Any, Any]]) -> None:
    mailbox = PostgresMailbox(url, "pool")
    await mailbox.open()
    async with pool_at(url, echo) as pool:
        with psycopg.connect(url, autocommit=True) as server:
            insert = (
                f"INSERT INTO pgmq.q_{NAME} (vt, message, headers) VALUES (now(), %s, %s) "
                "ON CONFLICT DO NOTHING RETURNING msg_id"
            )
            numbers, fine = [], []
            for body, headers in messages:
                for values in (
                    (as_json(body), None if headers is None else as_json(headers)),
                    ('{"fine": true}', None),
                ):
                    row = server.execute(insert, values).fetchone()
                    numbers += row or ()  # the index refuses a second task of one name
                fine.append(f"pgmq-{numbers[-1]}")
            with anyio.fail_after(30):
                while len(await mailbox.ended(fine)) < len(fine):  # noqa: ASYNC110
                    await anyio.sleep(0.02)
                handle = await pool.submit({"last": 1})
                assert await handle.result() == {"last": 1}
            await anyio.sleep(0.2)
            left = {number for (number,) in server.execute(f"SELECT msg_id FROM pgmq.q_{NAME}").fetchall()}
            aside = server.execute("SELECT body, task_id, reason FROM parking_lot_set_aside").fetchall()
            assert all(reason for _, _, reason in aside)
            kept = {number for (number,) in server.execute(f"SELECT msg_id FROM pgmq.a_{NAME}").fetchall()}
            ended = server.execute("SELECT count(*) FROM parking_lot_results").fetchone()
            assert ended is not None
            gone = [number for number in numbers if number not in left and number not in kept]
            assert len(gone) <= ended[0], "some are nowhere"
            server.execute(f"DELETE FROM pgmq.q_{NAME}")
            server.execute(f"DELETE FROM pgmq.a_{NAME}")
            server.execute("DELETE FROM parking_lot_results")
    await mailbox.aclose()
