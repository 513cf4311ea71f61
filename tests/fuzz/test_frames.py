"""What a worker process says, when it says something else: the task is lost or failed, and the pool goes on."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from parking_lot_drivers import codec
from parking_lot_drivers.errors import PayloadNotEncodable
from parking_lot_drivers.executors._frames import BODY_MAX_BYTES, HEADER, Kind, frame, read_task, task_frame
from parking_lot_drivers.executors._worker_process import WorkerProcess
from parking_lot_drivers.ports import PermanentFailure, TaskContext, TaskRaised, WorkerLost
from tests.fuzz.damage import JSON, scribbled

MANY = settings(max_examples=200)
CONTEXT = TaskContext("t", 1, 1, "gpu-0", 2)


class Stdin:
    async def send(self, data: bytes) -> None: ...

    async def aclose(self) -> None: ...


class Stdout:
    """Gives what the worker said in pieces, then the end of the stream."""

    def __init__(self, said: bytes, sizes: list[int]) -> None:
        self.said, self.sizes = said, sizes

    async def receive(self) -> bytes:
        if not self.said:
            raise anyio.EndOfStream
        size = self.sizes.pop() if self.sizes else len(self.said)
        piece, self.said = self.said[:size], self.said[size:]
        return piece


class Process:
    returncode = None

    async def wait(self) -> int:
        return 0


class Said:
    """In place of a child process: it has said this, and then it dies."""

    def __init__(self, said: bytes, sizes: list[int]) -> None:
        self.stdin, self.stdout, self.process = Stdin(), Stdout(said, sizes), Process()
        self.ended = False

    def kill(self) -> None:
        self.ended = True

    async def end(self) -> int:
        self.ended = True
        return -9


async def answer(said: bytes, sizes: list[int]) -> Any:
    worker = WorkerProcess("jobs:run", Said(said, sizes))  # type: ignore[arg-type]
    worker._attended.set()
    return await worker.run(task_frame({"x": 1}, CONTEXT))


FRAMES = st.sampled_from(
    [
        frame(Kind.RETURNED, codec.encode({"answer": [1, 2.5, b"x"]})),
        frame(Kind.RAISED, codec.encode(["text", "trace"])),
        frame(Kind.PERMANENT, codec.encode(["text", "trace"])),
        frame(Kind.READY),
        frame(Kind.RAISED, codec.encode(["only one"])),
        frame(Kind.RAISED, codec.encode([1, None])),
        frame(Kind.RAISED, codec.encode({"text": "trace"})),
        HEADER.pack(99, 0),
        HEADER.pack(Kind.RETURNED, BODY_MAX_BYTES + 1),
    ]
)


@MANY
@given(FRAMES.flatmap(scribbled) | FRAMES, st.lists(st.integers(1, 9), max_size=4))
@example(b"", [])
@example(frame(Kind.READY), [])
@example(frame(Kind.RETURNED, b"{"), [])
@example(HEADER.pack(99, 0), [])
@example(HEADER.pack(0, 2) + b"{}", [])
@example(frame(Kind.RAISED, codec.encode(["only one"])), [])
@example(frame(Kind.RAISED, codec.encode([1, None])), [])
@example(frame(Kind.RETURNED, b"1") + b"and more", [])
@example(HEADER.pack(Kind.RETURNED, 2**32 - 1) + b"x", [])
def test_any_answer_is_a_result_or_an_end_that_executors_may_have(said: bytes, sizes: list[int]) -> None:
    try:
        result = anyio.run(answer, said, sizes)
    except (TaskRaised, PermanentFailure, WorkerLost) as error:
        result = str(error)
    assert codec.encode(result)


@MANY
@given(JSON, st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_task_comes_out_of_its_frame(payload: Any, task_id: str) -> None:
    context = TaskContext(task_id, 3, 2, "gpu-0", 2)
    try:
        whole = task_frame(payload, context)
    except PayloadNotEncodable:
        return
    kind, length = HEADER.unpack_from(whole)
    assert (kind, length) == (Kind.TASK, len(whole) - HEADER.size)
    came, about = read_task(whole[HEADER.size :])
    assert codec.encode(came) == codec.encode(payload)
    assert (about.task_id, about.epoch, about.attempt, about.device, about.units) == (task_id, 3, 2, "gpu-0", 2)


def test_what_is_too_long_is_refused() -> None:
    class Long(bytes):
        def __len__(self) -> int:
            return BODY_MAX_BYTES + 1

    with pytest.raises(PermanentFailure, match="bytes are too many"):
        frame(Kind.RETURNED, Long(b""))
