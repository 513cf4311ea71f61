"""Who may schedule a lot file: a lock that the operating system gives back when its holder dies, however it dies."""

from __future__ import annotations

import os
import sys
import weakref
from pathlib import Path

from parking_lot_drivers.clock import pause, steady_time

# Whoever asks whether a lease is held takes it for some microseconds; a scheduler that starts just then tries again.
_PATIENCE_S = 0.2
_RETRY_S = 0.01

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    def _unlock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    # Not fcntl.lockf: its locks do not exclude a second user in the same process, and closing any other descriptor of
    # the file would drop them.
    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


class FileLease:
    """The right to schedule ``file``, held through a lock on ``<file>.lock``, which stays behind empty.

    It belongs to this object: a second one for the same file is refused also within one process. Programs started by
    this process do not inherit it, nor do forked children.
    """

    def __init__(self, file: Path) -> None:
        self._file = file.with_name(file.name + ".lock")
        self._descriptor: int | None = None
        _LEASES.add(self)

    @property
    def taken(self) -> bool:
        """Whether this object has the lease."""
        return self._descriptor is not None

    def take(self) -> bool:
        """Take the lease, and say whether that worked; False means that someone alive has it. Raises ``OSError``."""
        if self._descriptor is not None:
            return True
        deadline = steady_time() + _PATIENCE_S
        while not self._try():
            if steady_time() >= deadline:
                return False
            pause(_RETRY_S)
        return True

    def held(self) -> bool:
        """Whether anyone has the lease, this object included. Where that cannot be found out, yes."""
        if self._descriptor is not None:
            return True
        if not self._file.exists():
            return False
        try:
            free = self._try()
        except OSError:
            return True
        self.give_back()
        return not free

    def give_back(self) -> None:
        """Release the lease, if it is held."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            _unlock(descriptor)
            os.close(descriptor)

    def _try(self) -> bool:
        descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(descriptor)
        except (BlockingIOError, PermissionError):
            os.close(descriptor)
            return False
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return True

    def _forget_in_child(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)  # Without unlocking: the lock is shared with the parent.
            self._descriptor = None


_LEASES: weakref.WeakSet[FileLease] = weakref.WeakSet()


def _after_fork() -> None:
    for lease in list(_LEASES):
        lease._forget_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
