"""Mutation testing of the core: thousands of small mistakes, each of which some test must notice.

::

    python -m tests.mutation                         # every mutant; a quarter of an hour or so on one core
    python -m tests.mutation --sample 60 --seed 1    # some of them
    python -m tests.mutation --module band --jobs 2

- **Mutants** (``mutants.py``) are made with the operators of cosmic-ray and with some of our own (``operators.py``):
  operators replaced, numbers off by one, conditions negated or decided in advance, operands and statements left out.
  Not counted: what gives no program or the same one, annotations, ``__slots__``, and texts (what
  messages must say is tested on its own).
- **Killers** (``killers.py``): first the scheduler against the slow model in fixed worlds, which kills most mutants in
  less than a tenth of a second, then the tests of ``tests/core`` that are the same every time, in order of speed. With
  ``--deep`` also those with random worlds; Hypothesis is seeded, so that a run gives the same answer again. A mutant is
  killed by a failure, by using far more processor time than the unchanged core (it loops), or far more memory.
- **Workers** (``worker.py``) fork a child for every mutant from a process that has pytest loaded, but not the core; the
  changed module never touches the disk. They work in a copy of the tree, so that one may go on editing.
- **Survivors** that change nothing that anybody could notice are in ``survivors.toml``, each with the reason. Any other
  survivor is a gap in the tests, and the exit code is 1. So is an entry of the list that is not true any more.
"""
