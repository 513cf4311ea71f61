"""The fixtures that the contract of stores works on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from parking_lot_drivers.testing.lots import Lot


class OnALot:
    """Tests of a store, each on an empty lot.

    A subclass names its ``lot_type``; or it has a fixture ``lot`` of its own, which yields a ``Lot``.
    """

    pytestmark = pytest.mark.anyio

    #: The class of the lots.
    lot_type: ClassVar[type[Lot] | None] = None
    #: How long the store may take to notice what another object wrote, in seconds.
    notice_within: ClassVar[float] = 10.0

    @pytest.fixture
    def lot(self, tmp_path: Path) -> Iterator[Lot]:
        """An empty lot."""
        if self.lot_type is None:
            raise pytest.UsageError(
                f"{type(self).__name__}: no store to try; set lot_type to a subclass of parking_lot_drivers.testing.Lot"
            )
        folder = tmp_path / "lot"
        folder.mkdir()
        lot = self.lot_type(folder)
        yield lot
        lot.drop()

    @pytest.fixture
    def shared_lot(self, lot: Lot) -> Lot:
        """The lot, of a store that several objects, and several processes, may open."""
        if not lot.shared:
            pytest.skip(f"not tried: {type(lot).__name__}.shared is False")
        try:
            same = lot.queue() is lot.queue()
        except NotImplementedError:
            return lot  # a store that is only a mailbox
        if same:
            name = type(lot).__name__
            raise pytest.UsageError(
                f"{name}.queue returned the same object twice, and {name}.shared is True; return a new object each "
                "time, or set shared = False"
            )
        return lot
