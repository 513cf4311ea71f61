"""Command lines: one process per task, without a shell's interpretation."""

from __future__ import annotations

import errno
import os
import shutil
import string
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio

from parking_lot_drivers import codec
from parking_lot_drivers.errors import ConfigError
from parking_lot_drivers.executors._child import SETTLE, Child, Tail, drain, exit_text
from parking_lot_drivers.ports import PermanentFailure, TaskContext, TaskExecutor, WorkerLost

# The command must not begin before its lifeline is tied, or it might outlive a parent that is killed in between. So a
# shell waits for a first line on standard input and then becomes the command. It sees the words only as "$@".
_GATE = ("/bin/sh", "-c", 'read -r go && exec "$@"', "sh")


class CommandFailed(Exception):
    """A command ended with another exit code than 0. ``code`` is that code."""

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        super().__init__(message)


class CommandExecutor(TaskExecutor):
    """Runs a command line per task. Its standard output is the result, exit code 0 is success.

    ``{name}`` in a word of ``argv`` stands for ``payload["name"]``: strings as they are, anything else as JSON. Write
    ``{{`` and ``}}`` for braces. No shell sees the words, but a value may begin with ``-``: put ``--`` before values
    that are not to be taken for options. The whole payload arrives on standard input as one line of JSON, and
    ``PARKING_LOT_TASK_ID``, ``PARKING_LOT_DEVICE``, ``PARKING_LOT_UNITS`` and ``PARKING_LOT_ATTEMPT`` are set.

    The result is what standard output means as JSON, if it is JSON; else the text without its last line end; else, if
    it is not UTF-8, the bytes.

    Cancelling a task kills the command with all that it started in its process group. What a command leaves behind in
    its group when it ends is killed too, because the task's units are given back then. Commands die with this process,
    however it dies (on Linux; elsewhere not when it is killed with SIGKILL).

    Args:
        argv: the words, at least one.
        env: variables added to this process's environment.
        cwd: the folder to run in; ``None`` is this process's own.
        output_max_bytes: the most that a command may write to standard output.

    Raises ``ConfigError`` naming the argument and what is wrong with it; for a command or folder that is not there
    when the executor is entered.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        output_max_bytes: int = 16 * 2**20,
    ) -> None:
        if isinstance(argv, str) or not argv or not all(isinstance(word, str) for word in argv):
            raise ConfigError(f"argv: expected a list of at least one string, got {argv!r}")
        if type(output_max_bytes) is not int or output_max_bytes < 1:
            raise ConfigError(f"output_max_bytes: expected an integer ≥ 1, got {output_max_bytes!r}")
        self._words = [_parts(f"argv[{index}]", word) for index, word in enumerate(argv)]
        self._env = dict(env or {})
        self._cwd = cwd
        self._output_max_bytes = output_max_bytes

    async def __aenter__(self) -> CommandExecutor:
        """Raises ``ConfigError`` if the folder or the command is not there."""
        self._check_presence()
        return self

    def _check_presence(self) -> None:
        if self._cwd is not None and not Path(self._cwd).is_dir():
            raise ConfigError(f"cwd: expected an existing folder, got {os.fspath(self._cwd)!r}")
        if all(name is None for _, name in self._words[0]):
            command = _fill(self._words[0], {})
            path = os.path.join(self._cwd or "", command) if "/" in command else command  # noqa: PTH118
            if shutil.which(path, path=self._env.get("PATH")) is None:
                raise ConfigError(f"argv[0]: no such command, or not executable: {command!r}")

    async def execute(self, payload: object, context: TaskContext) -> object:
        """The command's output.

        Raises ``CommandFailed`` for another exit code than 0, ``PermanentFailure`` for a payload that does not fit
        ``argv`` and for too much output, and ``WorkerLost`` if something else killed the command.
        """
        line = b"\n" + codec.encode(payload) + b"\n"
        child = await self._start(payload, context)
        output = _Output(self._output_max_bytes, child)
        tail = Tail()
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(_feed, child, line)
                group.start_soon(drain, child.stdout, output.add)
                group.start_soon(drain, child.stderr, tail.add)
                await child.wait_and_kill_rest()
                # The pipes end now, unless a daemon that left the process group holds them open.
                group.cancel_scope.deadline = anyio.current_time() + SETTLE
        finally:
            code = await child.end()
        return _result(code, output, tail)

    async def _start(self, payload: object, context: TaskContext) -> Child:
        values = payload if isinstance(payload, dict) else None
        argv = [_fill(word, values) for word in self._words]
        env = {
            **self._env,
            "PARKING_LOT_TASK_ID": context.task_id,
            "PARKING_LOT_DEVICE": context.device,
            "PARKING_LOT_UNITS": str(context.units),
            "PARKING_LOT_ATTEMPT": str(context.attempt),
        }
        try:
            return await Child.start([*_GATE, *argv], env=env, cwd=self._cwd)
        except ValueError as error:  # a NUL character
            raise PermanentFailure(f"the command cannot be started: {error} in its words or environment") from error
        except OSError as error:
            if error.errno == errno.E2BIG:
                raise PermanentFailure(
                    "the command cannot be started: its words are too long for this system; "
                    "let it read the payload from its standard input instead"
                ) from error
            raise


class _Output:
    """Standard output, up to a bound. A command that writes more is killed."""

    def __init__(self, limit: int, child: Child) -> None:
        self.limit = limit
        self.kept = bytearray()
        self.too_much = False
        self._child = child

    def add(self, chunk: bytes) -> None:
        """The command wrote ``chunk``."""
        if len(self.kept) + len(chunk) > self.limit:
            self.too_much = True
            self._child.kill()
        else:
            self.kept += chunk


def _result(code: int, output: _Output, tail: Tail) -> object:
    if output.too_much:
        raise PermanentFailure(
            f"the command wrote more than {output.limit} bytes to standard output (output_max_bytes); "
            "let it write to a file and print the file's name"
        )
    if code < 0:
        raise WorkerLost(tail.after(f"the command was killed by {exit_text(code)}"))
    if code > 0:
        raise CommandFailed(code, tail.after(f"the command ended with {exit_text(code)}"))
    try:
        return codec.decode(bytes(output.kept))
    except ValueError:
        pass
    try:
        return output.kept.decode().removesuffix("\n")
    except UnicodeDecodeError:
        return bytes(output.kept)


async def _feed(child: Child, data: bytes) -> None:
    try:
        await child.stdin.send(data)
    except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
        return  # it does not want all of it
    await child.stdin.aclose()


def _parts(where: str, word: str) -> list[tuple[str, str | None]]:
    """Literal text and the placeholder after it, in turn. Raises ``ConfigError``."""
    try:
        parsed = list(string.Formatter().parse(word))
    except ValueError as error:
        raise ConfigError(f"{where}: {error} in {word!r}; write {{{{ and }}}} for braces") from None
    for _, name, form, conversion in parsed:
        if name is not None and (not name.isidentifier() or form or conversion):
            raise ConfigError(
                f"{where}: expected placeholders like {{name}}, got {word!r}; write {{{{ and }}}} for braces"
            )
    return [(literal, name) for literal, name, _, _ in parsed]


def _fill(parts: list[tuple[str, str | None]], values: Mapping[str, object] | None) -> str:
    """One word. Raises ``PermanentFailure`` if ``values`` (``None``: the payload is no object) lacks a placeholder."""
    return "".join(literal + ("" if name is None else _value(name, values)) for literal, name in parts)


def _value(name: str, values: Mapping[str, object] | None) -> str:
    if values is None or name not in values:
        known = "it is not an object" if values is None else f"its keys are {', '.join(map(repr, values)) or 'none'}"
        raise PermanentFailure(f"argv needs {{{name}}}, which the payload does not have: {known}")
    value = values[name]
    return value if isinstance(value, str) else codec.encode(value).decode()
