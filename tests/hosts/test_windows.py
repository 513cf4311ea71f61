"""What two hosts are shown of the tasks that wait. Both live in this process."""

from __future__ import annotations

from contextlib import AsyncExitStack

import anyio
import pytest

from tests.hosts.cluster import Cluster
from tests.hosts.stores import policy_of
from tests.hosts.tools import submit

pytestmark = pytest.mark.anyio


async def test_each_task_is_one_hosts_to_start_first_and_the_other_sees_it_as_well(cluster: Cluster) -> None:
    async with cluster.gateway() as pool:
        ids = set(await submit(pool, 10, work=0.0))
    async with AsyncExitStack() as stack:
        queues = [cluster.store.queue(cluster.url, policy=policy_of(None), lease=30.0, poll=0.05) for _ in range(2)]
        for queue in queues:
            await queue.open()
            stack.push_async_callback(queue.aclose)
        await anyio.sleep(0.1)  # what each knows of the other may be a period old
        windows = [await queue.window(100) for queue in queues]
    first, second = ({task.id for task, _ in window.tasks} for window in windows)
    assert (first | second, first & second) == (ids, set())
    assert [{task.id for task, _ in window.others} for window in windows] == [second, first]
