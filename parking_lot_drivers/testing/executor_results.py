"""What comes back from a task that ends well, and what it knows."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from parking_lot_drivers.context import current_task
from parking_lot_drivers.testing._executors import WithAnExecutor
from parking_lot_drivers.testing.samples import context

PAYLOADS = {
    "ordinary": {"path": "/data/ü/画像.png", "sizes": [1, 2.5, -3], "deep": {"yes": True, "no": None}},
    "unicode": {"emoji": "🅿️ \u2028 \x00", "not unicode": "\udcff"},
    "bytes": {"raw": b"\x00\xff", "$bytes": "not bytes"},
    "empty": [],
    "none": None,
    "text": "text",
}


class ResultsContract(WithAnExecutor):
    """What comes back from a task that ends well, and what it knows."""

    @pytest.mark.parametrize("payload", PAYLOADS.values(), ids=list(PAYLOADS))
    async def test_the_result_comes_back(self, payload: object) -> None:
        async with self.make("echo") as executor:
            assert await executor.execute(payload, context()) == payload

    async def test_ten_mebibytes_pass_both_ways(self) -> None:
        payload = {"text": "é" * (5 * 2**20), "n": 1}
        async with self.make("echo") as executor:
            result = await executor.execute(payload, context())
            assert result == payload, "the result is another"  # pytest would compare the texts for minutes
            assert await executor.execute({"n": 2}, context()) == {"n": 2}

    async def test_a_task_knows_itself(self) -> None:
        async with self.make("who") as executor:
            found = await executor.execute(None, context("ß/1", device="cuda:1"))
        assert found == ["ß/1", 4, 2, "cuda:1", 3, False]
        with pytest.raises(LookupError, match="outside a task"):
            current_task()

    async def test_tasks_side_by_side_each_know_themselves(self) -> None:
        found: dict[str, Any] = {}
        async with self.make("who") as executor:

            async def one(task_id: str) -> None:
                found[task_id] = await executor.execute(None, context(task_id))

            async with anyio.create_task_group() as group:
                for number in range(min(4, self.at_once)):
                    group.start_soon(one, f"t-{number}")
        assert {task_id: about[0] for task_id, about in found.items()} == {task_id: task_id for task_id in found}

    async def test_two_hundred_tasks_each_get_their_own_result(self) -> None:
        results: dict[int, Any] = {}
        at_once = anyio.CapacityLimiter(self.at_once)
        async with self.make("echo_later") as executor:

            async def one(number: int) -> None:
                async with at_once:
                    payload = {"seconds": (number * 7919 % 5) / 1000, "number": number}
                    results[number] = await executor.execute(payload, context(f"t-{number}"))

            async with anyio.create_task_group() as group:
                for number in range(200):
                    group.start_soon(one, number)
        assert {number: result["number"] for number, result in results.items()} == {n: n for n in range(200)}
