"""``python -m tests.vectors``: write the files again. ``--digest``: print the digest of what the scheduler answers."""

from __future__ import annotations

import argparse
import sys

from parking_lot_core import Scheduler
from tests.vectors.play import FOLDER, digest, digest_of_files

DIGEST = "digest.txt"


def files() -> dict[str, str]:
    """What the files shall hold, by name."""
    from parking_lot_core.testing.model import Model
    from tests.vectors import scenarios, seeded
    from tests.vectors.play import as_text, record

    written: dict[str, str] = {}
    recorded = {}
    for name, (about, told) in {**scenarios.FILES, **seeded.scenarios()}.items():
        vectors = [record(scenario, Scheduler, Model) for scenario in told]
        recorded[name] = vectors
        written[f"{name}.json"] = as_text(about, vectors)
    in_order = (vector for name in sorted(recorded, key="{}.json".format) for vector in recorded[name])
    written[DIGEST] = digest(Scheduler, in_order) + "\n"
    return written


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.vectors", description=__doc__)
    parser.add_argument("--digest", action="store_true", help="print the digest and write nothing")
    if parser.parse_args(arguments).digest:
        print(digest_of_files(Scheduler))
        return 0
    for name, text in files().items():
        (FOLDER / name).write_text(text, encoding="utf-8", newline="\n")
        print(f"{len(text.encode()):>8} bytes  {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
