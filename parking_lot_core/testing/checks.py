"""The invariants of the design that one run can show, one class each, worked out from events and commands alone."""

from __future__ import annotations

import math

from parking_lot_core import (
    Cancelled,
    Command,
    Deliver,
    Enqueue,
    Event,
    Expire,
    Interrupt,
    Offered,
    Reject,
    RejectReason,
    ScheduledTask,
    Start,
    Submitted,
    TaskState,
)
from parking_lot_core.testing.history import (
    HOLDING,
    Broken,
    Check,
    History,
    Steps,
    ask,
    ends_by,
    limit,
)
from parking_lot_core.testing.wording import say, unlike


class Budget(Check):
    """1. The units of the tasks that run on a device never exceed its capacity when one of them starts."""

    def command(self, command: Command) -> None:
        if isinstance(command, Start):
            capacity = self.history.capacity.get(command.device, 0)
            used = self.history.used(command.device)
            if used + command.task.units > capacity:
                raise Broken(
                    "Budget", f"{say(command)}: it takes {command.task.units}, and {used} of {capacity} units are taken"
                )


class Fencing(Check):
    """2. Every start has the next epoch, and only the end of that epoch releases its units."""

    def command(self, command: Command) -> None:
        if isinstance(command, Start):
            row = self.history.rows.get(command.task.id)
            if row is None or row.state is not TaskState.PARKED or not row.epoch + 1 == command.epoch:
                raise Broken("Fencing", f"{say(command)}, but the task is {standing(row)}")
            run = command.task
            if (run.state, run.epoch, run.device) != (TaskState.RUNNING, command.epoch, command.device):
                raise Broken("Fencing", f"{say(command)} saves another run than it starts: {run}")
        if isinstance(command, Deliver | Enqueue):
            task_id = command.task_id if isinstance(command, Deliver) else command.task.id
            row = self.history.rows.get(task_id)
            if row is not None and row.state in HOLDING and row is not self.history.ended:
                raise Broken("Fencing", f"{say(command)} while epoch {row.epoch} holds its units")
            if row is not None and isinstance(command, Enqueue) and command.task.epoch != row.epoch:
                raise Broken("Fencing", f"{say(command)}, but its latest start was epoch {row.epoch}")

    def after(self, scheduler: Steps) -> None:
        for device in ask(scheduler, "devices") or ():
            if device.used != self.history.used(device.name):
                held = self.history.used(device.name)
                raise Broken("Fencing", f"{device.name} shows {device.used} used units, and {held} are held")


class Conservation(Check):
    """3. A task is parked, running or stopping until exactly one command ends it; no request goes unanswered."""

    def event(self, event: Event) -> None:
        self.owed: list[str] = []
        if self.history.ended is not None:
            self.owed.append(self.history.ended.id)
        if isinstance(event, Submitted):
            self.owed.append(event.task.id)
        row = self.history.before.get(event.task_id) if isinstance(event, Cancelled) else None
        if row is not None and row.state is not TaskState.STOPPING:
            self.owed.append(row.id)

    def command(self, command: Command) -> None:
        task_id = command.task_id if isinstance(command, Deliver | Interrupt) else command.task.id
        row = self.history.rows.get(task_id)
        answers = isinstance(command, Enqueue | Reject | Deliver) or isinstance(self.history.event, Cancelled)
        if answers and task_id in self.owed:
            self.owed.remove(task_id)
        elif isinstance(command, Enqueue | Reject | Deliver):
            raise Broken("Conservation", f"nothing asked for: {say(command)}")
        if isinstance(command, Enqueue) and command.task.state is not TaskState.PARKED:
            raise Broken("Conservation", f"{say(command)} saves a task that is not parked: {command.task}")
        if isinstance(command, Expire | Start) and (row is None or row.state is not TaskState.PARKED):
            raise Broken("Conservation", f"{say(command)}, but the task is {standing(row)}")
        if isinstance(command, Interrupt) and (row is None or row.state is not TaskState.RUNNING):
            raise Broken("Conservation", f"{say(command)}, but the task is {standing(row)}")
        if isinstance(command, Deliver) and row is None:
            raise Broken("Conservation", f"{say(command)}, but the task is gone")

    def after(self, scheduler: Steps) -> None:
        if self.owed:
            raise Broken("Conservation", f"no answer about {', '.join(self.owed)}")
        listed = ask(scheduler, "tasks")
        if listed is None:
            return
        tasks = {task.id: task for task in listed()}
        if tasks != self.history.rows:
            raise Broken("Conservation", different(tasks, self.history.rows))


def standing(row: ScheduledTask | None) -> str:
    """Where a task stands, in words."""
    return "gone" if row is None else f"{row.state.value} with epoch {row.epoch}"


def different(tasks: dict[str, ScheduledTask], rows: dict[str, ScheduledTask]) -> str:
    """One task that the scheduler shows otherwise than its commands said."""
    first = next(task_id for task_id in (*tasks, *rows) if tasks.get(task_id) != rows.get(task_id))
    return unlike(tasks.get(first), rows.get(first), f"task {first}")


class Depth(Check):
    """4. Submitted tasks, parked and running, are at most ``max_queue_depth``; none is refused while there is room."""

    def __init__(self, history: History) -> None:
        super().__init__(history)
        self.offered: set[int] = set()

    def places(self) -> list[ScheduledTask]:
        return [row for row in self.history.rows.values() if row.state is not TaskState.STOPPING]

    def event(self, event: Event) -> None:
        if isinstance(event, Offered):
            self.offered.add(event.task.sequence)

    def command(self, command: Command) -> None:
        full = isinstance(command, Reject) and command.reason is RejectReason.QUEUE_FULL
        most = self.history.config.max_queue_depth
        if full and len(self.places()) < most:
            raise Broken("Depth", f"{say(command)} with {len(self.places())} of {most} places taken")

    def after(self, scheduler: Steps) -> None:
        own = [row for row in self.places() if row.sequence not in self.offered]
        most = self.history.config.max_queue_depth
        if len(own) > most:
            raise Broken("Depth", f"{len(own)} places taken, and there are {most}")


class Expiry(Check):
    """9. No start at or past ``start_by``; what has reached it expires, and nothing else does."""

    def due(self, task: ScheduledTask) -> bool:
        return task.metadata.start_by is not None and task.metadata.start_by <= self.history.now

    def command(self, command: Command) -> None:
        if isinstance(command, Start) and self.due(command.task):
            raise Broken("Expiry", f"{say(command)} at {self.history.now}")
        if isinstance(command, Expire) and not self.due(command.task):
            raise Broken("Expiry", f"{say(command)} at {self.history.now}")

    def after(self, scheduler: Steps) -> None:
        late = [row.id for row in self.history.parked() if self.due(row)]
        if late:
            raise Broken("Expiry", f"still parked at {self.history.now}: {late}")


def place(task: ScheduledTask) -> tuple[int, int, float]:
    """What fixes the rank of a task beside its class, for good."""
    return task.tag, task.sequence, task.admitted_at


class Policy(Check):
    """What the checks of order share: reservations, and who has been passed over since when."""

    def __init__(self, history: History) -> None:
        super().__init__(history)
        self.passed: dict[str, float] = {}
        self.window = history.config.backfill_window
        self.bounded = 0 < self.window < math.inf

    def shadow(self, head: ScheduledTask, device: str) -> tuple[float, int] | None:
        """(end, spare) of the reservation of ``head`` on ``device``, from the run limits there."""
        runs = sorted((ends_by(run), run.sequence, run.units) for run in self.history.holding(device))
        free = self.history.free(device)
        for end, _, units in runs:
            free += units
            if free >= head.units and end < math.inf:
                return end, free - head.units
        return None

    def best(self, head: ScheduledTask) -> str:
        """The device that waits for ``head``, nobody being before it."""
        able = [name for name, capacity in self.history.capacity.items() if capacity >= head.units]
        ends = {name: self.shadow(head, name) if self.bounded else None for name in able}
        return min(able, key=lambda name: ((ends[name] or (math.inf,))[0], -self.history.free(name)))

    def may_pass(self, head: ScheduledTask, task: ScheduledTask, device: str) -> bool:
        shadow = self.shadow(head, device) if self.bounded else None
        if shadow is not None:
            end, spare = shadow
            return task.units <= spare or self.history.now + limit(task) <= end
        return self.window > 0 and not self.exhausted(head)

    def exhausted(self, task: ScheduledTask) -> bool:
        return self.bounded and self.history.now - self.passed.get(task.id, math.inf) >= self.window

    def passes(self, start: Start) -> ScheduledTask | None:
        """The head, if ``start`` takes units on the device that waits for it."""
        head, task = self.history.head(), self.history.rows.get(start.task.id)
        if (
            head is None
            or task is None
            or self.history.rank(head) >= self.history.rank(task)
            or self.best(head) != start.device
        ):
            return None
        return head

    def command(self, command: Command) -> None:
        if isinstance(command, Start):
            head = self.passes(command)
            if head is not None and not (self.bounded and self.shadow(head, command.device)):
                self.passed.setdefault(head.id, self.history.now)

    def after(self, scheduler: Steps) -> None:
        parked = {row.id for row in self.history.parked()}
        self.passed = {task_id: since for task_id, since in self.passed.items() if task_id in parked}


class Order(Policy):
    """5. Nothing starts while a task of higher rank is eligible, fits the same device and asks for no more.

    What starts is eligible itself: no delay that was saved with it holds it back.
    """

    def command(self, command: Command) -> None:
        if isinstance(command, Enqueue):
            row = self.history.rows.get(command.task.id, command.task)
            if place(row) != place(command.task):
                raise Broken("Order", f"{say(command)}: it loses its place {place(row)} and gets {place(command.task)}")
        if isinstance(command, Start) and (task := self.history.rows.get(command.task.id)) is not None:
            if task.ready_at is not None and task.ready_at > self.history.now:
                raise Broken("Order", f"{say(command)} at {self.history.now}, but it waits until {task.ready_at}")
            free = self.history.free(command.device)
            for other in self.history.eligible():
                if self.history.rank(other) >= self.history.rank(task):
                    break
                asks_more = other.units > task.units or limit(other) > limit(task)
                if other.units <= free and not (self.bounded and asks_more):
                    raise Broken(
                        "Order", f"{task.id} starts on {command.device} before {other.id}, which ranks higher and fits"
                    )
            head = self.history.head()
            if head is None or self.history.rank(head) >= self.history.rank(task):
                return
            if any(self.history.free(name) >= head.units for name in self.history.capacity):
                raise Broken("Order", f"{task.id} starts before {head.id}, which ranks highest and fits")


class WorkConservation(Policy):
    """6. Nothing that fits, and that no claim and no closed device can stand against, stays parked."""

    def after(self, scheduler: Steps) -> None:
        super().after(scheduler)
        eligible = self.history.eligible()
        for above, task in enumerate(eligible):
            for device, capacity in self.history.capacity.items():
                rivals = [other for other in eligible[:above] if other.units <= capacity]
                if self.history.free(device) >= task.units and self.permitted(task, device, rivals):
                    raise Broken("WorkConservation", f"{task.id} fits {device} and stays parked")

    def permitted(self, task: ScheduledTask, device: str, rivals: list[ScheduledTask]) -> bool:
        """Whether the policy surely lets ``task`` use the device, given all tasks of higher rank that could use it."""
        if not rivals or self.window == math.inf:
            return True
        if len(self.history.capacity) > 1:
            return False  # who waits for which device is for the model to know
        return self.may_pass(rivals[0], task, device) and not any(map(self.exhausted, rivals[1:]))


class BoundedBypass(Policy):
    """8. Without a reservation, the head is passed over for at most ``backfill_window``; with 0, never."""

    def command(self, command: Command) -> None:
        if isinstance(command, Start) and self.window < math.inf:
            head = self.passes(command)
            if head is not None and not self.may_pass(head, self.history.rows[command.task.id], command.device):
                raise Broken("BoundedBypass", f"{command.task.id} passes {head.id} at {self.history.now}")
        super().command(command)


class NoDelay(Policy):
    """7. On one device, the end of the head's reservation never moves away while it stays the head."""

    def __init__(self, history: History) -> None:
        super().__init__(history)
        self.promise: tuple[int, int, float] | None = None

    def command(self, command: Command) -> None:
        """A task of higher rank that came in between may take what the head was waiting for."""
        head = self.history.head()
        if isinstance(command, Start) and head is not None and head.id == command.task.id:
            self.promise = None
        super().command(command)

    def after(self, scheduler: Steps) -> None:
        head = self.history.head()
        if head is None or not self.bounded or len(self.history.capacity) > 1:
            self.promise = None
            return
        ((device, capacity),) = self.history.capacity.items()
        shadow = self.shadow(head, device)
        end = math.inf if shadow is None else shadow[0]
        if self.promise is not None and self.promise[:2] == (head.sequence, capacity) and end > self.promise[2]:
            raise Broken("NoDelay", f"{head.id} was to start by {self.promise[2]}, and now by {end}")
        self.promise = (head.sequence, capacity, end)


class StartsInTime(NoDelay):
    """7, as long as no run has exceeded its limit: the head has started by the end of its first reservation."""

    def __init__(self, history: History) -> None:
        super().__init__(history)
        self.excused = False

    def event(self, event: Event) -> None:
        """A run that goes on past its limit holds units that were promised to the head."""
        runs = [row for row in self.history.before.values() if row.state in HOLDING]
        self.excused = self.excused or any(ends_by(run) < self.history.now for run in runs)

    def command(self, command: Command) -> None:
        if isinstance(command, Start) and command.task.sequence == self.waits_for():
            self.in_time()
        super().command(command)

    def after(self, scheduler: Steps) -> None:
        super().after(scheduler)
        self.in_time()

    def waits_for(self) -> int | None:
        return None if self.promise is None else self.promise[0]

    def in_time(self) -> None:
        if self.promise is not None and not self.excused and self.history.now > self.promise[2]:
            raise Broken("NoDelay", f"task {self.promise[0]} was to start by {self.promise[2]}")


ALL = (Budget, Fencing, Conservation, Depth, Order, WorkConservation, NoDelay, BoundedBypass, Expiry)
