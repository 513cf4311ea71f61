"""A connection to a Postgres server: its URL, how it is opened, and what its errors mean.

The one place that imports psycopg for the first time, so that its absence is told in one way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from parking_lot_drivers.errors import ConfigError, MissingExtra, StoreUnavailable

try:
    import psycopg as psycopg  # Other modules take it from here.
except ImportError as _error:  # pragma: no cover - the tests run it in an interpreter of its own
    raise MissingExtra("a queue or mailbox in Postgres", "psycopg", "postgres") from _error

from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

PostgresConnection: TypeAlias = "psycopg.Connection[tuple[Any, ...]]"

_FORM = (
    "the database URL cannot be read: expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE; write characters such as "
    "@ : / ? # % in a user or password percent-encoded (@ is %40)"
)

# One attempt to connect, in seconds. Within 20 to 30 seconds a cut network is noticed, waiting or writing (the last in
# milliseconds; Linux only).
_SETTINGS = {
    "connect_timeout": "5",
    "keepalives": "1",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}

_MIGRATE = "its tables are missing or old: run `parking-lot migrate CONFIG`"
_RIGHTS = "this user lacks a right: grant it, or name another user in the URL"
_VALUE = "a value cannot be kept"
_WORDS = {
    "42P01": _MIGRATE,
    "3F000": _MIGRATE,
    "42703": _MIGRATE,
    "42883": _MIGRATE,
    "42501": _RIGHTS,
    "25P03": "this process stood still in the midst of a transaction, which the server gave up; try again",
    "25006": "it is a read-only standby: name the primary in the URL",
    "40001": "other transactions kept getting in the way; try again",
    "40P01": "other transactions kept getting in the way; try again",
    "53100": "the server's disk is full; make room",
    "53300": "the server has no connection left: raise max_connections there, or close others",
    "55P03": "another transaction has kept it locked for too long (lock_timeout); try again",
    "57014": "it took too long, or an administrator stopped it (statement_timeout); try again",
    "57P01": "an administrator ended the connection; try again",
    "57P03": "the server is starting or shutting down; try again",
    # A commit divides by the number of its host's leases.
    "22012": "the lease of this host has lapsed, and others may have its tasks; nothing was saved: try again",
    "22003": _VALUE,
    "22021": _VALUE,
    "22P05": _VALUE,
    "54000": _VALUE,
}

# libpq gives no SQLSTATE for a connection that was refused, only words. Words in other languages fit none of these, and
# count as what may pass.
_PERMANENT = (
    (
        r"authentication failed|no password supplied|pg_hba\.conf|not permitted to log in|role .* does not exist",
        "28P01",
    ),
    (r"database .* does not exist|not currently accepting connections", "3D000"),
    (r"permission denied", "42501"),
    (r"does not support SSL|SSL was required|certificate|invalid .* value|bad value for", "08001"),
)
_AT_THE_DOOR = {
    "28P01": "the server refuses this user or password: correct them in the URL, or allow them in its pg_hba.conf",
    "3D000": "there is no such database: create it (CREATE DATABASE), or name another one in the URL",
    "42501": "this user may not connect to it: GRANT CONNECT, or name another user in the URL",
    "08001": "a connection setting is refused: correct it in the URL",
}
_DOWN = "the server cannot be reached: see that it runs, and that the URL names its host and port; then try again"
_BROKEN = "the connection broke; try again"


def connect(url: str, *, application_name: str, autocommit: bool = True) -> PostgresConnection:
    """Open a connection to the database at ``url``, in UTF-8; one attempt takes 5 seconds at most for each address.

    What the URL says goes before what is set here. Raises ``ConfigError`` for a URL that cannot be read, and psycopg's
    own errors: use it inside ``told``.
    """
    given = _parts(url)
    settings = {**_SETTINGS, "client_encoding": "UTF8", "fallback_application_name": application_name}
    return psycopg.connect(autocommit=autocommit, **{**settings, **given})  # type: ignore[arg-type]


def where(url: str) -> str:
    """The database in words, without secrets: ``database "app" on localhost:5432 as user "bob"``.

    Raises ``ConfigError`` for a URL that cannot be read.
    """
    parts = _defaults() | _parts(url)
    if service := parts.get("service"):
        return f'the database of the service "{service}"'
    user, database = parts.get("user"), parts.get("dbname") or parts.get("user")
    words = f'database "{database}" {_host(parts)}' if database else f"the default database {_host(parts)}"
    return words + (f' as user "{user}"' if user else "")


def database_of(url: str) -> str | None:
    """The name of the database, if the URL gives it. Raises ``ConfigError`` for a URL that cannot be read."""
    return _parts(url).get("dbname")


def may_pass(error: psycopg.Error) -> bool:
    """Whether a refused connection is worth another attempt: the server is down, starting, full, or not in reach."""
    return isinstance(error, psycopg.OperationalError) and _refusal(error) is None


@contextmanager
def told(where: str) -> Iterator[None]:
    """Turn what psycopg, SQLAlchemy and the encoding of values raise inside into ``StoreUnavailable``.

    ``where`` begins the message. The original error is its ``__cause__``.
    """
    try:
        yield
    except (psycopg.Error, SQLAlchemyError) as error:
        cause = original(error)
        raise StoreUnavailable(f"{where}: {_advice(cause)} ({_line(cause)})") from cause
    except (OverflowError, UnicodeError) as error:
        raise StoreUnavailable(f"{where}: {_VALUE}: {_line(error)}") from error
    except OSError as error:
        raise StoreUnavailable(f"{where}: {_DOWN} ({_line(error)})") from error


def original(error: BaseException) -> BaseException:
    """psycopg's error, where SQLAlchemy has wrapped it; else the error itself."""
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error


def _advice(error: BaseException) -> str:
    state = getattr(error, "sqlstate", None)
    if state is not None:
        return _WORDS.get(state) or (_BROKEN if state[:3] in ("08", "57P") else "Postgres failed")
    if isinstance(error, psycopg.DataError):
        return _VALUE
    if isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)):
        refusal = _refusal(error)
        if refusal is not None:
            return _AT_THE_DOOR[refusal]
        return _DOWN if _connecting(error) else _BROKEN
    return "Postgres failed"


def _refusal(error: psycopg.Error) -> str | None:
    """Which of the faults that do not pass has refused a connection."""
    if not _connecting(error):
        return None
    text = str(error)
    return next((state for pattern, state in _PERMANENT if re.search(pattern, text)), None)


def _connecting(error: psycopg.Error) -> bool:
    return error.sqlstate is None and bool(re.match("connection (failed|is bad|timeout)|failed to resolve", str(error)))


def _line(error: BaseException) -> str:
    """What the error says, in one line of sensible length."""
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        return error.diag.message_primary
    return " ".join(str(error).split())[:500] or type(error).__name__


def _parts(url: str) -> dict[str, str]:
    """The connection settings in the URL. Never shows any of it: a slip may have put the password anywhere."""
    scheme, mark, rest = url.partition("://")
    name = scheme.partition("+")[0]
    authority, _, path = rest.partition("/")
    stray = authority.count("@") > 1 or "@" in path.partition("?")[0]
    if not mark or name not in ("postgresql", "postgres") or stray:
        raise ConfigError(_FORM)
    try:
        parts = {
            key: str(value) for key, value in conninfo_to_dict(f"postgresql://{rest}").items() if value is not None
        }
    except psycopg.Error:
        raise ConfigError(_FORM) from None
    if not all(port.isdigit() or not port for port in parts.get("port", "").split(",")):
        raise ConfigError(_FORM)
    return parts


def _defaults() -> dict[str, str]:
    """What libpq takes where the URL is silent: from the environment, or built in."""
    found = {}
    for option in pq.Conninfo.get_defaults():
        if option.keyword in (b"host", b"port", b"user", b"dbname", b"service") and option.val:
            found[option.keyword.decode()] = option.val.decode(errors="replace")
    return found


def _host(parts: dict[str, str]) -> str:
    hosts = (parts.get("host") or parts.get("hostaddr") or "").split(",")
    ports = (parts.get("port") or "5432").split(",")
    ports = ports if len(ports) == len(hosts) else ports[:1] * len(hosts)
    return "on " + " or ".join(_one_host(host, port or "5432") for host, port in zip(hosts, ports, strict=True))


def _one_host(host: str, port: str) -> str:
    if host.startswith(("/", "@")):
        return f"the socket {host}" + ("" if port == "5432" else f", port {port}")
    if not host:
        return "this machine's socket" + ("" if port == "5432" else f", port {port}")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
