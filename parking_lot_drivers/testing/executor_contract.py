"""The contract of executors: what every ``TaskExecutor`` does, whatever it runs a task in."""

from __future__ import annotations

from parking_lot_drivers.testing.executor_failures import FailuresContract
from parking_lot_drivers.testing.executor_results import ResultsContract
from parking_lot_drivers.testing.executor_stopping import StoppingContract


class ExecutorContract(ResultsContract, FailuresContract, StoppingContract):
    """What every executor does.

    Subclass it in a test file, under a name that begins with ``Test``, and write ``executor``::

        class TestMyExecutor(ExecutorContract):
            def executor(self, behaviour: str) -> TaskExecutor:
                return MyExecutor(getattr(behaviours, behaviour))

    pytest then runs every test on asyncio and, where it is installed, on trio. What the executor's tasks cannot do is
    named in ``without``.
    """
