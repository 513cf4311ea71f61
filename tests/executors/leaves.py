"""A module that leaves while it is imported, as a script without a guard does."""

import sys

sys.exit(4)
