"""Events are written as stories, and stories are read as the same events."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from parking_lot_core import (
    CapacityChanged,
    Event,
    Finished,
    Offered,
    Outcome,
    OutcomeStatus,
    PoolConfig,
    Priority,
    ResourceCost,
    ScheduledTask,
    Scheduler,
    Submitted,
    TaskMetadata,
    TaskState,
    Tick,
)
from parking_lot_core.testing.model import Model
from parking_lot_core.testing.strategies import worlds
from parking_lot_core.testing.trace import Story, as_story, read_story
from parking_lot_core.testing.worlds import World
from tests.core.depth import examples

POOL = PoolConfig(max_units=8)


@examples(60)
@given(worlds())
def test_what_is_written_is_read_again(world: World) -> None:
    answers = [Scheduler(world.config).step(event) for event in world.events[:1]]
    assert read_story(as_story(world.config, world.events)) == world
    assert read_story(as_story(world.config, world.events, answers, comment="once\n\nupon a time")) == world


@examples(30)
@given(worlds())
def test_the_answers_are_those_that_the_story_gives_when_it_is_told_again(world: World) -> None:
    scheduler = Scheduler(world.config)
    answers = [scheduler.step(event) for event in world.events]
    with_answers = as_story(world.config, world.events, answers)
    assert Story(with_answers).retell() == with_answers
    assert Story(as_story(world.config, world.events)).retell() == with_answers
    assert Story(with_answers, make=Model).retell() == with_answers


NAMES = st.text(min_size=1)
ANY_FLOAT = st.floats(0, 1e300)


@given(NAMES, st.text(), ANY_FLOAT, st.sampled_from(Priority))
@example(
    'two words, a:colon, "quotes", an=equals, a \\ and a\nline', "#\t\u2028\ud800 ----", 1_700_000_000.1, Priority.LOW
)
def test_any_text_and_any_number(name: str, text: str, at: float, priority: Priority) -> None:
    events: list[Event] = [
        Submitted(TaskMetadata(name, ResourceCost(3), priority, text, at, at + 1, at, max_attempts=2), at),
        Finished(name, 1, Outcome(OutcomeStatus.FAILED, error=text, retryable=False), at),
        CapacityChanged(name, 3, at),
        Offered(
            ScheduledTask(
                TaskMetadata(name, ResourceCost(3)), 7, 9, at, TaskState.RUNNING, 3, 2, at, name, at, OutcomeStatus.LOST
            ),
            at,
        ),
    ]
    config = PoolConfig(devices={name: 8, "0": 3}, tenants={text: 0.5, "": 3}, backfill_window=math.inf)
    story = as_story(config, events)
    assert read_story(story) == World(config, tuple(events))
    assert len(story.split("\n\n")) == 1 + len(events)
    scheduler = Scheduler(config)
    told = as_story(config, events, [scheduler.step(event) for event in events])
    assert read_story(told) == World(config, tuple(events))
    assert Story(told).retell() == told


def test_an_outcomes_value_is_written_as_json() -> None:
    def told(value: object) -> object:
        event = Finished("a", 1, Outcome(OutcomeStatus.SUCCEEDED, value=value), 0)
        (read,) = read_story(as_story(POOL, [event])).events
        assert isinstance(read, Finished)
        return read.outcome.value

    value = {"a b": [1, None, "two words"], "\n": 'a "quote"'}
    assert told(value) == json.loads(json.dumps(value))
    assert told(("a", object)) == "('a', <class 'object'>)"  # JSON has no classes, and the story goes on all the same


def test_a_story_reads_like_this() -> None:
    events = [
        Submitted(TaskMetadata("big one", ResourceCost(4), Priority.HIGH), 3.0),
        Finished("big one", 1, Outcome(OutcomeStatus.SUCCEEDED), 4.25),
        Tick(5),
    ]
    scheduler = Scheduler(POOL)
    told = as_story(POOL, events, [scheduler.step(event) for event in events], comment="budget: too much")
    assert told == (
        "# budget: too much\n"
        "config max_units=8\n\n"
        'submit id="big one" cost=4 priority=high at=3\n----\nenqueue "big one"\nstart "big one" device=0 epoch=1\n\n'
        'finish id="big one" epoch=1 at=4.25\n----\ndeliver "big one" succeeded\n\n'
        "tick at=5\n----\nnothing\n"
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "a story begins with a line such as 'config max_units=8'"),
        ("tick at=3", "a story begins with a line such as"),
        ("config max_units=8 size=3", "'size=3': expected one of devices"),
        ("config devices=big", "'devices=big': expected name:number,name:number"),
        ("config max_units=0", "max_units: expected an integer ≥ 1, got 0"),
        ("config max_units=8\n\npark id=a at=0", "expected one of submit"),
        ("config max_units=8\n\nsubmit cost=3 at=0", "'submit cost=3 at=0': id is missing"),
        ("config max_units=8\n\ntick", "'tick': at is missing"),
        ('config max_units=8\n\ncancel id="a at=0', "at is missing|id="),
    ],
)
def test_a_story_that_cannot_be_read_is_complained_about(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        read_story(text)


def test_crashes_and_questions_are_no_events() -> None:
    assert read_story("config max_units=8\n\ncrash\ntick at=3\nshow\nexplain id=a\n").events == (Tick(3),)
