"""Processes that die with this one, even when it is killed with SIGKILL.

A lifeline is a pipe on which nothing is ever written. This process holds the writing end; when it dies, however it
dies, the kernel closes that end. On Linux the pipe is set up so that the kernel then sends SIGKILL to the whole
process group of the child: no thread has to run for it, so it works while the child is in a long C call that holds the
interpreter's lock, and for commands that are not Python. Elsewhere our own workers wait for it in a thread, and other
commands outlive a parent that was killed.

``PR_SET_PDEATHSIG`` is no use here: it fires when the *thread* that started the child ends, and event loops start
children from short-lived threads.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading

if sys.platform == "win32":
    raise ImportError("worker processes and commands need a POSIX system (Linux or macOS)")

import fcntl

#: Whether the kernel itself kills the child's group.
BY_KERNEL = hasattr(fcntl, "F_SETSIG")


class Lifeline:
    """One child's pipe. The child must inherit file descriptor ``number`` (``pass_fds``), and keeps it open."""

    def __init__(self) -> None:
        self.number, self._own_end = os.pipe()
        self._child_end = self.number

    def tie(self, group: int) -> None:
        """From now on process group ``group``, of the child that was started, dies with this process."""
        if BY_KERNEL:
            fcntl.fcntl(self._child_end, fcntl.F_SETSIG, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):  # the child is gone already
                fcntl.fcntl(self._child_end, fcntl.F_SETOWN, -group)
            flags = fcntl.fcntl(self._child_end, fcntl.F_GETFL)
            fcntl.fcntl(self._child_end, fcntl.F_SETFL, flags | os.O_ASYNC)
        os.close(self._child_end)  # the child's own copy keeps the settings
        self._child_end = -1

    def close(self) -> None:
        """Give the pipe back, and kill what is left of the group, if anything. Safe to call twice."""
        for end in (self._child_end, self._own_end):
            if end >= 0:
                os.close(end)
        self._child_end = self._own_end = -1


def watch_in_thread(child_end: int) -> None:
    """In the child, where the kernel does not do it: kill this process's group when the parent is gone."""

    def wait() -> None:
        os.read(child_end, 1)
        os.killpg(os.getpgrp(), signal.SIGKILL)

    threading.Thread(target=wait, name="parking-lot lifeline", daemon=True).start()
