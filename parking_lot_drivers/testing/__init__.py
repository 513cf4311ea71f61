"""The contracts of stores and executors, as pytest suites: subclass one, and your own store or executor is checked.

``StoreContract`` and ``ExecutorContract`` need pytest, from the extra ``testing``. README.md beside this file shows how
they are used. Public names are listed here once; each is loaded when it is used, since worker processes of the tests
import this package too.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parking_lot_drivers.testing.adoption import AdoptionContract
    from parking_lot_drivers.testing.executor_contract import ExecutorContract
    from parking_lot_drivers.testing.lots import Lot
    from parking_lot_drivers.testing.mailbox import MailboxContract
    from parking_lot_drivers.testing.store_contract import QueueContract, StoreContract

__all__ = ["AdoptionContract", "ExecutorContract", "Lot", "MailboxContract", "QueueContract", "StoreContract"]

_HOMES = {
    "AdoptionContract": "adoption",
    "ExecutorContract": "executor_contract",
    "Lot": "lots",
    "MailboxContract": "mailbox",
    "QueueContract": "store_contract",
    "StoreContract": "store_contract",
}

_WITH_ASSERTIONS = (
    "_executors", "_fixtures", "adoption", "executor_failures", "executor_results", "executor_stopping", "mailbox",
    "requests", "rollback", "saving",
)  # fmt: skip

# Without this, a failed assertion in these modules would show none of the values that it compared: pytest rewrites the
# assertions of the author's own test files, and of no others. Where pytest is not running, there is nothing to rewrite.
if "pytest" in sys.modules:
    sys.modules["pytest"].register_assert_rewrite(
        *(name for name in (f"{__name__}.{module}" for module in _WITH_ASSERTIONS) if name not in sys.modules)
    )


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name not in ("anyio", "pytest"):
            raise
        from parking_lot_drivers.errors import MissingExtra

        raise MissingExtra(name, error.name, "testing") from None
