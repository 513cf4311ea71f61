"""The kinds of text that settings hold."""

from __future__ import annotations

from pathlib import Path

from parking_lot_drivers.config.kinds import ANY_TEXT, Entries, Items, Text
from parking_lot_drivers.config.problems import Unfit


def _path(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise Unfit("a path that starts in a known home directory", text) from None


FOLDER = Text(expected="the path of a directory, as text", convert=_path, examples=("./data",))
TARGET = Text(
    expected='a function as "package.module:function"',
    pattern=r"^\w+(\.\w+)*:\w+(\.\w+)*$",
    examples=("jobs:run",),
)
TABLE = Text(
    expected='a table name of letters, digits and "_", with or without "schema." in front',
    pattern=r"^([A-Za-z_][A-Za-z0-9_]{0,62}\.)?[A-Za-z_][A-Za-z0-9_]{0,47}$",
)
PGMQ_NAME = Text(
    expected='a queue name of at most 47 letters, digits and "_"',
    pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,46}$",
)
POOL_NAME = Text(
    expected='a name of at most 100 letters, digits, "_", "-" and ".", the first a letter or digit',
    pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$",
)
BUDGET_NAME = Text(
    expected="the name by which the processes know the budget that they share: at most 100 letters, digits, "
    '"_", "-" and ".", the first a letter or digit',
    pattern=POOL_NAME.pattern,
    examples=("gpu-box-7",),
)
URL = Text(
    expected='a database URL such as "postgresql://user@host/database"',
    pattern=r"^postgres(ql)?(\+[a-z0-9_]+)?://[^\u0000]+$",
    secret=True,
)
ENVIRONMENT = Entries(
    expected="an object of environment variables and their values",
    name=Text(expected='the name of an environment variable, without "="', pattern=r"^[^=\u0000]+$"),
    value=ANY_TEXT,
)
ARGV = Items(
    expected='a list of texts such as ["python", "job.py"]',
    item=ANY_TEXT,
    at_least=1,
)
