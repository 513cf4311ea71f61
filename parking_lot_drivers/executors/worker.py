"""A worker process: imports one target, then runs one task after another with it, until its standard input closes.

It is started by ``ProcessExecutor`` only. Tasks arrive on standard input and answers leave on standard output, as
frames (see ``_frames``). Both are moved out of the way first, so that whatever the target prints goes to standard
error, and whatever it reads from standard input is empty.
"""

from __future__ import annotations

import contextvars
import faulthandler
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any, BinaryIO

from parking_lot_drivers import codec
from parking_lot_drivers.context import running
from parking_lot_drivers.errors import ConfigError, PayloadNotEncodable
from parking_lot_drivers.executors import _lifeline
from parking_lot_drivers.executors._frames import HEADER, Kind, frame, read_task
from parking_lot_drivers.executors.target import is_async, load_target
from parking_lot_drivers.ports import FAILURE_TEXT_MAX, PermanentFailure, failure_text


def main(target: str) -> None:
    """Serve until standard input closes."""
    requests, answers = _take_standard_streams()
    faulthandler.enable()  # a crash in native code says where, on standard error
    # Not before the parent has tied the lifeline: importing a target may take long, and the parent may die meanwhile.
    load = _receive(requests)
    if load is None:
        return
    if not _lifeline.BY_KERNEL:
        _lifeline.watch_in_thread(codec.decode(load))
    try:
        function = load_target(target)
    except ConfigError as error:
        _send(answers, frame(Kind.UNUSABLE, codec.encode(list(error.problems))))
        return
    _send(answers, frame(Kind.READY))
    if not is_async(function):
        _serve(function, requests, answers)
        return
    import asyncio  # plain functions start faster without it

    with asyncio.Runner() as runner:  # one loop for the worker's life, so that clients kept between tasks stay usable
        # A runner keeps the context variables of its first call unless it is given some.
        _serve(lambda payload: runner.run(function(payload), context=contextvars.copy_context()), requests, answers)


def _serve(function: Callable[[Any], object], requests: BinaryIO, answers: BinaryIO) -> None:
    while (body := _receive(requests)) is not None:
        _send(answers, _run(function, body))


def _take_standard_streams() -> tuple[BinaryIO, BinaryIO]:
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    return requests, answers


def _receive(requests: BinaryIO) -> bytes | None:
    """The body of the next frame; ``None`` when the parent closed the pipe."""
    header = requests.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    _, length = HEADER.unpack(header)
    body = requests.read(length)
    return body if len(body) == length else None


def _send(answers: BinaryIO, whole_frame: bytes) -> None:
    answers.write(whole_frame)
    answers.flush()


def _run(function: Callable[[Any], object], body: bytes) -> bytes:
    """Run one task; the frame that answers it."""
    payload, context = read_task(body)
    try:
        with running(context):
            result = function(payload)
        return frame(Kind.RETURNED, _encoded(result))
    except PermanentFailure as error:
        return frame(Kind.PERMANENT, _failure(error))
    except BaseException as error:  # also SystemExit: it ends the task, not the worker
        return frame(Kind.RAISED, _failure(error))


def _encoded(result: object) -> bytes:
    try:
        return codec.encode(result, name="result")
    except PayloadNotEncodable as error:
        raise PermanentFailure(f"the result cannot be stored: {error}") from None


def _failure(error: BaseException) -> bytes:
    try:
        trace = "".join(traceback.format_exception(error))
    except Exception:  # the exception is the user's own class
        trace = ""
    return codec.encode([failure_text(error), trace[-FAILURE_TEXT_MAX:]])
