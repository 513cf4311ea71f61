"""``python -m parking_lot_drivers``: the same as the command ``parking-lot``."""

import sys

from parking_lot_drivers.cli import main

if __name__ == "__main__":
    sys.exit(main())
