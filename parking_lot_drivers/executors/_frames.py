"""What the pool's process and a worker process say to each other: frames of one kind byte, a length, and a body.

=========  ==================  =================================================================
kind       from                body
=========  ==================  =================================================================
LOAD       pool                the number of the lifeline's file descriptor: import the target now
READY      worker              empty: the target is imported
UNUSABLE   worker              the problems with the target, a list of strings
TASK       pool                ``[task_id, epoch, attempt, device, units]``, a line feed, the payload
RETURNED   worker              the result
RAISED     worker              ``[text, traceback]`` of an ordinary failure
PERMANENT  worker              ``[text, traceback]`` of a failure that another attempt cannot mend
=========  ==================  =================================================================

Bodies are encoded by ``codec``, whose JSON never contains a line feed. This module is imported in both processes and
must stay light.
"""

from __future__ import annotations

import enum
import struct

from parking_lot_drivers import codec
from parking_lot_drivers.ports import PermanentFailure, TaskContext

HEADER = struct.Struct("!BI")

#: The longest body, in bytes.
BODY_MAX_BYTES = 2**30


class Kind(enum.IntEnum):
    """The first byte of a frame."""

    LOAD = 1
    READY = 2
    UNUSABLE = 3
    TASK = 4
    RETURNED = 5
    RAISED = 6
    PERMANENT = 7


class Garbled(ValueError):
    """What was received is no frame of ours. The message says what it is."""


def read_header(header: bytes | bytearray) -> tuple[Kind, int]:
    """The kind of a frame, and how many bytes its body has. Raises ``Garbled``."""
    number, length = HEADER.unpack_from(header)
    try:
        kind = Kind(number)
    except ValueError:
        raise Garbled(f"a frame of the unknown kind {number}") from None
    if length > BODY_MAX_BYTES:
        raise Garbled(f"a frame of {length} bytes, more than the {BODY_MAX_BYTES} that are allowed")
    return kind, length


def read_answer(kind: Kind, body: bytes) -> tuple[object, str | None]:
    """What a worker answers to a task: its result, or for a failure the text, and then the traceback too.

    Raises ``Garbled`` for what is no answer.
    """
    try:
        answer = codec.decode(body)
    except ValueError as error:
        raise Garbled(f"a body that cannot be decoded ({error})") from None
    if kind is Kind.RETURNED:
        return answer, None
    match answer:
        case [str(text), str(trace)] if kind in (Kind.RAISED, Kind.PERMANENT):
            return text, trace
    raise Garbled(f"a frame of kind {kind.name} that is no answer to a task")


def frame(kind: Kind, body: bytes = b"") -> bytes:
    """One whole frame. Raises ``PermanentFailure`` for a body longer than ``BODY_MAX_BYTES``."""
    if len(body) > BODY_MAX_BYTES:
        raise PermanentFailure(
            f"{len(body)} bytes are too many for a worker process, which takes and gives at most {BODY_MAX_BYTES}; "
            "pass large data as files, and their names in the payload or result"
        )
    return HEADER.pack(kind, len(body)) + body


def task_frame(payload: object, context: TaskContext) -> bytes:
    """The request to run one task. Raises ``PayloadNotEncodable``, or ``PermanentFailure`` if it is too long."""
    about = codec.encode([context.task_id, context.epoch, context.attempt, context.device, context.units])
    return frame(Kind.TASK, about + b"\n" + codec.encode(payload))


def read_task(body: bytes) -> tuple[object, TaskContext]:
    """Payload and context from the body of a TASK frame."""
    about, _, payload = body.partition(b"\n")
    task_id, epoch, attempt, device, units = codec.decode(about)
    return codec.decode(payload), TaskContext(task_id, epoch, attempt, device, units)
