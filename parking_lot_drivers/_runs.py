"""Act: the tasks that run in this process."""

from __future__ import annotations

from collections.abc import Callable

import anyio
from anyio.abc import TaskGroup

from parking_lot_core import Outcome, OutcomeStatus, Start
from parking_lot_drivers.codec import decode, encode
from parking_lot_drivers.errors import PayloadNotEncodable
from parking_lot_drivers.ports import PermanentFailure, TaskContext, TaskExecutor, WorkerLost, failure_text

#: The outcome of a run that was stopped, or never began, through no fault of its own.
RETURNED = Outcome(OutcomeStatus.RETURNED)


class Run:
    """One start of one task, from the spawn of its executor call until that has returned."""

    __slots__ = ("context", "handed_back", "scope")

    def __init__(self, start: Start) -> None:
        task = start.task
        self.context = TaskContext(
            task_id=task.metadata.id,
            epoch=start.epoch,
            attempt=task.attempts,
            device=start.device,
            units=task.metadata.cost.units,
        )
        # The pool decides when a run stops, not whoever cancels the scope that the pool was entered in.
        self.scope = anyio.CancelScope(shield=True)
        self.handed_back = False


class Runs:
    """Starts and stops executor calls.

    ``report`` hears of every end, exactly once for each start. Before it hears of one that is about to end the pool,
    ``broken`` is called.
    """

    def __init__(
        self, executor: TaskExecutor, report: Callable[[str, int, Outcome], None], broken: Callable[[], None]
    ) -> None:
        self._executor = executor
        self._report = report
        self._broken = broken
        self._runs: dict[tuple[str, int], Run] = {}
        self._handed_back = False

    def __len__(self) -> int:
        return len(self._runs)

    def alive(self, task_id: str, epoch: int) -> bool:
        """Whether this start still runs here."""
        return (task_id, epoch) in self._runs

    def starts(self) -> set[tuple[str, int]]:
        """The starts that still run here: task ids and epochs."""
        return set(self._runs)

    def start(self, group: TaskGroup, start: Start, payload: bytes) -> None:
        """Spawn the executor call of one start; once ``hand_back`` was called, report it as handed back instead."""
        if self._handed_back:
            self._report(start.task.metadata.id, start.epoch, RETURNED)
            return
        run = Run(start)
        self._runs[start.task.metadata.id, start.epoch] = run
        group.start_soon(self._execute, run, payload)

    def interrupt(self, task_id: str, epoch: int) -> None:
        """Ask a run to stop; it counts as running until it has."""
        run = self._runs.get((task_id, epoch))
        if run is not None:
            run.context.interrupted.set()
            if self._executor.cancellable:
                run.scope.cancel()

    def hand_back(self) -> None:
        """Stop everything that runs or starts from now on, to be done again later.

        Threads that do not listen are abandoned.
        """
        self._handed_back = True
        for run in self._runs.values():
            run.handed_back = True
            run.context.interrupted.set()
            run.scope.cancel()

    async def _execute(self, run: Run, payload: bytes) -> None:
        outcome = RETURNED
        try:
            outcome = await self._attempt(run, payload)
        except BaseException:  # no outcome is made of it: Ctrl-C in the task's code
            self._broken()
            raise
        finally:
            context = run.context
            del self._runs[context.task_id, context.epoch]
            self._report(context.task_id, context.epoch, outcome)

    async def _attempt(self, run: Run, payload: bytes) -> Outcome:
        try:
            value = decode(payload)
        except ValueError as error:
            return Outcome(OutcomeStatus.FAILED, f"the stored payload cannot be read: {error}", retryable=False)
        ended = False
        result: object = None
        try:
            with run.scope:
                result = await self._executor.execute(value, run.context)
                ended = True
        except WorkerLost as error:
            return self._failure(run, Outcome(OutcomeStatus.LOST, failure_text(error)))
        except PermanentFailure as error:
            return Outcome(OutcomeStatus.FAILED, failure_text(error), retryable=False)
        except Exception as error:
            return self._failure(run, Outcome(OutcomeStatus.FAILED, failure_text(error)))
        return _success(result) if ended else self._failure(run, Outcome(OutcomeStatus.CANCELLED))

    @staticmethod
    def _failure(run: Run, outcome: Outcome) -> Outcome:
        """What an end without result means: a run that was told to hand back may end in any way."""
        return RETURNED if run.handed_back else outcome


def _success(result: object) -> Outcome:
    try:
        return Outcome(OutcomeStatus.SUCCEEDED, value=encode(result, name="result"))
    except Exception as error:  # whatever the methods of a result of the user's own class raise
        words = str(error) if isinstance(error, PayloadNotEncodable) else failure_text(error)
        return Outcome(OutcomeStatus.FAILED, f"the result cannot be stored: {words}", retryable=False)
