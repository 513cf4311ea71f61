"""The fault simulator: whole pools in virtual time, in worlds drawn from seeds, and everything that may go wrong.

    python -m tests.simulator --seeds 1000                 # run worlds 0 to 999; exit status 1 if one is at fault
    python -m tests.simulator --seed 340 --trace           # what happened in one of them
    python -m tests.simulator --seeds 200 --backend both --store shared --json

**What is real.** ``ResourcePool`` with its loop, ``LotClient``, and the stores: in memory, the embedded file, the file
that hosts share (with up to three hosts), and queues whose mailbox is elsewhere. SQLite runs its real statements on
real files. Not real are time, threads and processes: virtual time passes when nobody can run (``virtual.py``, for
asyncio and for trio); what stores do in threads happens at one moment of it, with delays before and after, and leases
are kept by a heart that makes the decisions of the real one (``process.py``); a process is a set of tasks that can be
stopped, for a while or for ever, between any two of their steps. What dies so runs no ``finally``, and its connections
break.

**What goes wrong** (``plan.py``, ``world.py``): processes die before a call to a store, after it and before its answer,
and after that, at the start of a run, between two beats of the heart, and at any other moment; commits and reads fail,
hang, or are done and report failure, also between the two halves of a commit whose mailbox is elsewhere; hosts stand
still past their leases; the wall clock jumps; hearts skip beats. Runs fail, hang, lose their worker, do not listen, win
the race against their cancellation, and claim a second end later. Capacities change, also below what is in use. Users
submit twice, cancel, wait, fetch, give up and come back, from the host's process and from others.

**What is checked** (``observer.py``), from outside: the budget of each host, and the shared one; that a run starts once
its start is durable, with an epoch that is larger than any before, alone unless the lease of the other has lapsed, and
never after an outcome; that outcomes are true, one for each task, never change, and are there when anybody was shown
one; that what was acknowledged is in the lot or has ended; that nothing raises what nobody expects. Then the faults
end, and within a computed time (``bound.py``) everything has to come to its end, and everybody who waits to be told.

**To replay**, run the seed with ``--trace``: the same seed gives the same trace, byte for byte, whatever the process
and the seed of its hashes; each backend has its own order of things that could happen at once. A line tells the time
(virtual seconds), who, and what: ``begins``, ``is open`` and ``ends`` are of programs; ``commit``, ``save``,
``deliver`` and ``enqueue`` are calls to the store, with what they write; ``...`` is a fault, of the call before it;
``start`` and ``end`` are runs with their epochs, as the executor sees them; ``mailbox`` is an outcome, when the
observer first sees it.

What is not simulated: power cuts and torn pages (SQLite's business; the tests of the stores kill real processes), and
a stop in the midst of a statement.
"""

from tests.simulator.run import Run, Summary, run_seeds, simulate

__all__ = ["Run", "Summary", "run_seeds", "simulate"]
