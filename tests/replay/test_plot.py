"""Plots hold what was replayed, in both formats."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import matplotlib.image
import pytest

from parking_lot_core import PoolConfig
from parking_lot_drivers.errors import MissingExtra
from parking_lot_drivers.replay import Arrival, Report, replay
from parking_lot_drivers.replay.plot import COLOURS, save_plot
from parking_lot_drivers.replay.summary import sections

TITLE = "16 & 24 <units>"


@pytest.fixture(scope="module")
def reports(arrivals: list[Arrival]) -> list[Report]:
    return [replay(PoolConfig(max_units=units), arrivals[:1500]) for units in (24, 16)]


def page(path: Path) -> ET.Element:
    """The page as a tree: what we write is well-formed, but for the doctype and one void element."""
    text = path.read_text(encoding="utf-8").replace("<!doctype html>", "").replace('<meta charset="utf-8">', "")
    return ET.fromstring(text)


def points(line: ET.Element) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (point.split(",") for point in line.attrib["points"].split())]


def test_the_page_shows_every_replay_and_every_figure(tmp_path: Path, reports: list[Report]) -> None:
    save_plot(tmp_path / "plot.html", reports, title=TITLE, note="Assumed: <nothing>.")
    tree = page(tmp_path / "plot.html")
    text = "".join(tree.itertext())
    assert tree.findtext(".//h1") == TITLE
    assert "Assumed: <nothing>." in text
    cells = [[cell.text or "" for cell in row] for row in tree.iter("tr")]
    assert cells[0] == ["", "24 units", "16 units"]
    assert cells[1:] == [[name, *figures] for section in sections(reports) for name, figures in section]
    assert not any("http" in value for element in tree.iter() for value in element.attrib.values())


def test_the_lines_of_the_page_follow_the_replays(tmp_path: Path, reports: list[Report]) -> None:
    save_plot(tmp_path / "plot.html", reports, title=TITLE)
    used, parked = page(tmp_path / "plot.html").iter("svg")
    by_colour = {line.attrib["stroke"]: points(line) for line in parked.iter("polyline")}
    assert list(by_colour) == list(COLOURS[:2])  # the smallest budget first
    # Down is up: the highest point of each line is its largest value, on one scale.
    heights = [min(y for _, y in line) for line in by_colour.values()]
    floor = max(y for line in by_colour.values() for _, y in line)
    most = {report.capacity: report.parked_max for report in reports}
    assert (floor - heights[1]) / (floor - heights[0]) == pytest.approx(most[24] / most[16], abs=0.01)
    for line in [*used.iter("polyline"), *parked.iter("polyline")]:
        xs = [x for x, _ in points(line)]
        assert xs == sorted(xs)
        assert len(xs) > 200


def test_the_png_is_a_picture_with_the_colours_of_its_lines(tmp_path: Path, reports: list[Report]) -> None:
    save_plot(tmp_path / "plot.PNG", reports, title=TITLE)
    pixels = matplotlib.image.imread(tmp_path / "plot.PNG")
    assert pixels.shape[0] > 700
    assert pixels.shape[1] > 1200
    for colour in COLOURS[:2]:
        wanted = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        assert (abs(pixels[:, :, :3] - wanted).max(axis=2) < 0.02).sum() > 200
    assert not (abs(pixels[:, :, :3] - [0, 158 / 255, 115 / 255]).max(axis=2) < 0.02).any()


@pytest.mark.parametrize("suffix", [".png", ".html"])
def test_a_single_request_can_be_drawn(tmp_path: Path, arrivals: list[Arrival], suffix: str) -> None:
    none_long = [Arrival(1, 0.0, 0, 0)]
    for some in (arrivals[:1], none_long):
        file = tmp_path / f"plot{suffix}"
        save_plot(file, [replay(PoolConfig(max_units=16), some)], title=TITLE)
        assert file.stat().st_size > 1000


@pytest.mark.parametrize("name", ["plot.pdf", "plot"])
def test_another_suffix_is_refused(tmp_path: Path, reports: list[Report], name: str) -> None:
    with pytest.raises(ValueError, match=r"plot: expected a file name that ends in \.png or \.html, got"):
        save_plot(tmp_path / name, reports, title=TITLE)


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path, reports: list[Report]) -> None:
    with pytest.raises(ValueError, match="plot: expected a file in a folder that exists"):
        save_plot(tmp_path / "none" / "plot.html", reports, title=TITLE)


def test_a_png_without_matplotlib_names_the_extra(
    tmp_path: Path, reports: list[Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtra, match=r"matplotlib.*prometheus-parking-lot\[plot\]"):
        save_plot(tmp_path / "plot.png", reports, title=TITLE)
    save_plot(tmp_path / "plot.html", reports, title=TITLE)
