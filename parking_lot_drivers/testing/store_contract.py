"""The contract of stores: what every ``TaskQueue`` and every ``Mailbox`` does."""

from __future__ import annotations

from parking_lot_drivers.testing.adoption import AdoptionContract
from parking_lot_drivers.testing.mailbox import MailboxContract
from parking_lot_drivers.testing.requests import RequestsContract
from parking_lot_drivers.testing.rollback import RollbackContract
from parking_lot_drivers.testing.saving import SavingContract


class QueueContract(SavingContract, RequestsContract, RollbackContract):
    """What every queue does. For a store that is a queue and no mailbox; see ``StoreContract``."""


class StoreContract(QueueContract, MailboxContract, AdoptionContract):
    """What every queue and every mailbox does, each for itself and together.

    Subclass it in a test file, under a name that begins with ``Test``, and set ``lot_type``::

        class TestMyStore(StoreContract):
            lot_type = MyLot

    pytest then runs every test on an empty lot, on asyncio and, where it is installed, on trio. A fixture
    ``anyio_backend`` in the subclass or in ``conftest.py`` chooses otherwise, and a fixture ``lot`` makes lots in
    another way. ``MailboxContract`` alone is for a store that is a mailbox and no queue.
    """
