"""Command lines: what is theirs alone."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import pytest

from parking_lot_drivers.errors import ConfigError
from parking_lot_drivers.executors import CommandExecutor, CommandFailed
from parking_lot_drivers.ports import PermanentFailure, WorkerLost
from tests.executors.tools import context, is_gone, open_files, own_children, told, wait_until

pytestmark = pytest.mark.anyio

SHOW_WORDS = [sys.executable, "-c", "import json, sys; print(json.dumps(sys.argv[1:]))"]


def _shell(script: str, *words: str, **options: Any) -> CommandExecutor:
    return CommandExecutor(["/bin/sh", "-c", script, "sh", *words], **options)


async def _run(executor: CommandExecutor, payload: object = None) -> object:
    async with executor:
        return await executor.execute(payload, context())


async def test_placeholders_are_filled_and_no_shell_looks_at_them() -> None:
    nasty = "$(touch x); `id` 'a' \"b\" *\n é"
    payload = {"a": nasty, "n": 3, "x": 1.5, "yes": True, "none": None, "many": ["ü", 1], "raw": b"\x00"}
    words = ["{a}", "pre-{n}-{x}-post", "{yes}{none}", "{many}", "{raw}", "{{literal}}", "", "-"]
    assert await _run(CommandExecutor([*SHOW_WORDS, *words]), payload) == [
        nasty,
        "pre-3-1.5-post",
        "truenull",
        '["ü",1]',
        '{"$bytes":"AA=="}',
        "{literal}",
        "",
        "-",
    ]


async def test_a_placeholder_that_the_payload_lacks() -> None:
    for payload, text in [
        ({"path": 1, "size": 2}, r"argv needs \{name\}.*its keys are 'path', 'size'"),
        ({}, "its keys are none"),
        (["name"], "it is not an object"),
    ]:
        with pytest.raises(PermanentFailure, match=text):
            await _run(CommandExecutor(["echo", "{name}"]), payload)
    assert own_children() == []


async def test_what_a_command_gets(tmp_path: Path) -> None:
    script = 'pwd; read -r line; printf "%s\\n" "$line"; echo $PARKING_LOT_TASK_ID $PARKING_LOT_DEVICE; '
    script += "echo $PARKING_LOT_UNITS $PARKING_LOT_ATTEMPT $EXTRA $HOME"
    result = await _run(_shell(script, env={"EXTRA": "more"}, cwd=tmp_path), {"é": [1, "\n"]})
    assert result == f'{tmp_path}\n{{"é":[1,"\\n"]}}\nt-1 0\n3 2 more {os.environ["HOME"]}'


@pytest.mark.parametrize(
    ("script", "result"),
    [
        ("echo '[1, 2.5, null]'", [1, 2.5, None]),
        ("echo hello", "hello"),
        ("printf 'two\\nlines\\n\\n'", "two\nlines\n"),
        ("printf 'NaN'", "NaN"),
        ("printf '\\377\\000'", b"\xff\x00"),
        ('echo \'{{"$bytes":"/w=="}}\'', b"\xff"),
        ("echo noise >&2; true", ""),
    ],
)
async def test_what_the_output_becomes(script: str, result: object) -> None:
    assert await _run(_shell(script)) == result


async def test_a_failure_tells_code_and_the_end_of_standard_error() -> None:
    with pytest.raises(CommandFailed) as caught:
        await _run(_shell("seq 10000 >&2; echo the reason >&2; exit 3"))
    assert caught.value.code == 3
    assert str(caught.value).startswith("the command ended with exit code 3; the end of its standard error:")
    assert str(caught.value).endswith("10000\nthe reason")
    assert len(str(caught.value)) < 5000


async def test_killed_by_someone_else() -> None:
    with pytest.raises(WorkerLost, match=r"the command was killed by SIGTERM; .*\nlast words"):
        await _run(_shell("echo last words >&2; kill -TERM $$; sleep 10"))


async def test_a_command_that_does_not_read_its_input() -> None:
    assert await _run(CommandExecutor(["echo", "1"]), "x" * 10_000_000) == 1
    assert await _run(_shell("exec 0<&-; sleep 0.1; echo 2"), "x" * 10_000_000) == 2


async def test_too_much_output() -> None:
    assert await _run(_shell("printf 12345", output_max_bytes=5)) == 12345
    with pytest.raises(PermanentFailure, match=r"more than 5 bytes.*output_max_bytes"):
        await _run(_shell("printf 123456", output_max_bytes=5))
    started = time.monotonic()
    with pytest.raises(PermanentFailure, match="more than 1000000 bytes"):
        await _run(CommandExecutor(["yes"], output_max_bytes=1_000_000))
    assert time.monotonic() - started < 5
    assert own_children() == []


async def test_words_that_the_system_refuses() -> None:
    with pytest.raises(PermanentFailure, match=r"null byte"):
        await _run(CommandExecutor(["echo", "{a}"]), {"a": "\x00"})
    with pytest.raises(PermanentFailure, match="too long for this system"):
        await _run(CommandExecutor(["echo", "{a}"]), {"a": "x" * 10_000_000})
    before = open_files()
    with pytest.raises(CommandFailed, match="exit code 127"):
        await _run(CommandExecutor(["{program}"]), {"program": "no-such-program"})
    assert open_files() <= before


async def test_cancelling_kills_the_whole_group(tmp_path: Path) -> None:
    pid_file, child_file = tmp_path / "pid", tmp_path / "child"
    script = 'trap "" TERM INT HUP; sleep 1000 & echo $! > "$2"; echo $$ > "$1.d"; mv "$1.d" "$1"; sleep 1000'
    executor = _shell(script, str(pid_file), str(child_file))
    async with executor, anyio.create_task_group() as group:
        group.start_soon(executor.execute, None, context())
        pid = await told(pid_file)
        started = time.monotonic()
        group.cancel_scope.cancel()
    assert time.monotonic() - started < 2
    assert own_children() == []
    assert is_gone(pid)
    await wait_until(lambda: is_gone(int(child_file.read_text())), 2)


async def test_what_a_command_leaves_behind_is_killed(tmp_path: Path) -> None:
    child_file = tmp_path / "child"
    started = time.monotonic()
    assert await _run(_shell('sleep 1000 & echo $! > "$1"; echo done', str(child_file))) == "done"
    assert time.monotonic() - started < 5
    await wait_until(lambda: is_gone(int(child_file.read_text())), 2)


async def test_a_daemon_that_keeps_the_pipes_open_does_not_hold_up_the_task() -> None:
    started = time.monotonic()
    assert await _run(_shell("setsid sleep 7 & sleep 0.1; echo done")) == "done"
    assert time.monotonic() - started < 5


async def test_a_hundred_cancelled_commands_leave_nothing_behind() -> None:
    executor = CommandExecutor(["sleep", "1000"])
    async with executor:
        with anyio.move_on_after(0.1):
            await executor.execute(None, context())
        before = open_files()
        for round_ in range(25):
            async with anyio.create_task_group() as group:
                for _ in range(4):
                    group.start_soon(executor.execute, None, context())
                await anyio.sleep(0.002 * (round_ % 8))
                group.cancel_scope.cancel()
        assert own_children() == []
        assert open_files() <= before


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], r"argv: expected a list of at least one string, got \[\]"),
        ("echo", "argv: expected a list of at least one string, got 'echo'"),
        (["echo", 1], "argv: expected a list"),
        (["echo", "{a.b}"], r"argv\[1\]: expected placeholders like \{name\}, got '\{a\.b\}'; write \{\{ and \}\}"),
        (["echo", "{0}"], r"argv\[1\]: expected placeholders"),
        (["echo", "{}"], r"argv\[1\]: expected placeholders"),
        (["echo", "{a!r}"], r"argv\[1\]: expected placeholders"),
        (["echo", "{a:>10}"], r"argv\[1\]: expected placeholders"),
        (["awk", "{print $1}"], r"argv\[1\]: expected placeholders"),
        (["echo", "}"], r"argv\[1\]: Single '}'.*write \{\{ and \}\} for braces"),
    ],
)
def test_words_that_cannot_be_used(argv: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CommandExecutor(argv)


async def test_commands_and_folders_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("#!/bin/sh\necho 7\n")
    with pytest.raises(ConfigError, match=r"argv\[0\]: no such command, or not executable: 'no-such-program'"):
        await _run(CommandExecutor(["no-such-program"]))
    with pytest.raises(ConfigError, match=r"not executable: '\./tool'"):
        await _run(CommandExecutor(["./tool"], cwd=tmp_path))
    with pytest.raises(ConfigError, match="cwd: expected an existing folder, got '/no/such/folder'"):
        await _run(CommandExecutor(["echo"], cwd="/no/such/folder"))
    (tmp_path / "tool").chmod(0o755)
    assert await _run(CommandExecutor(["./tool"], cwd=tmp_path)) == 7
    assert await _run(CommandExecutor(["tool"], env={"PATH": f"{tmp_path}:/usr/bin:/bin"})) == 7


@pytest.mark.parametrize("given", [0, -1, 1.5, "1", None])
def test_a_bound_that_cannot_be_used(given: Any) -> None:
    with pytest.raises(ConfigError, match="output_max_bytes: expected an integer ≥ 1"):
        CommandExecutor(["echo"], output_max_bytes=given)
