"""Configuration files that cannot be read, and what is said about each."""

from __future__ import annotations

import builtins
import contextlib
import errno
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parking_lot_drivers.config import load_settings
from parking_lot_drivers.config.files import Unreadable
from parking_lot_drivers.errors import ConfigError, MissingExtra

POOL = b'{"pools": {"a": {"max_units": 1}}}'


def problems(file: Path) -> list[str]:
    """What is wrong with the file, its own path written as FILE."""
    with pytest.raises(ConfigError) as caught:
        load_settings(file)
    if not all(str(file) in problem for problem in caught.value.problems):
        assert caught.value.__notes__ == [f"in {file}"]
    return [problem.replace(str(file), "FILE") for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("name", "contents", "expected"),
    [
        ("empty.json", b"", 'FILE: the file is empty; it needs at least {"pools": {...}}'),
        ("blank.yaml", b" \n\n", 'FILE: the file is empty; it needs at least {"pools": {...}}'),
        ("comment.yaml", b"# pools\n", "top level: expected an object of settings, got null"),
        ("list.json", b"[1]", "top level: expected an object of settings, got a list"),
        ("text.yaml", b"pools", 'top level: expected an object of settings, got "pools"'),
        (
            "utf16.json",
            "{}".encode("utf-16"),
            "FILE: line 1, column 1: expected UTF-8, got the byte 0xff; save it as UTF-8",
        ),
        (
            "l1.yaml",
            "pools:\n  ü: ü".encode("latin-1"),
            "FILE: line 2, column 3: expected UTF-8, got the byte 0xfc; save it as UTF-8",
        ),
        (
            "broken.json",
            b'{\n  "pools": {,}\n}',
            "FILE: line 2, column 13: broken JSON: Expecting property name enclosed in double quotes",
        ),
        ("more.json", POOL + b"\n}", "FILE: line 2, column 1: broken JSON: Extra data"),
        ("open.json", b'{"pools', "FILE: line 1, column 2: broken JSON: Unterminated string"),
        (
            "inf.json",
            b'{"Infinity \\" NaN": 1,\n "timeout": Infinity}',
            'FILE: line 2, column 13: Infinity is not JSON; write "infinity" in quotes',
        ),
        ("nan.json", b"[NaN]", "FILE: line 1, column 2: NaN is not JSON; give a number"),
        ("digits.json", b'{"a": ' + b"1" * 5000 + b"}", "FILE: broken JSON: an integer has thousands of digits"),
        ("deep.json", b"[" * 100_000, "FILE: objects or lists are nested too deeply"),
        ("deep.yaml", b"[" * 5_000, "FILE: objects or lists are nested too deeply"),
        (
            "broken.yaml",
            b"pools:\n  a: {max_units: 1\n  b: 2\n",
            "FILE: line 3, column 4: broken YAML: while parsing a flow mapping, expected ',' or '}', but got ':'",
        ),
        (
            "tab.yaml",
            b"pools:\n\ta: 1\n",
            "FILE: line 2, column 1: broken YAML: while scanning for the next token, "
            "found character '\\t' that cannot start any token",
        ),
        (
            "two.yaml",
            b"a: 1\n---\nb: 2\n",
            "FILE: line 2, column 1: broken YAML: expected a single document in the stream, but found another document",
        ),
        (
            "control.yaml",
            b"pools:\n  a: \x01",
            "FILE: line 2, column 6: broken YAML: special characters are not allowed",
        ),
        (
            "python.yaml",
            b"pools: !!python/object/apply:os.system [true]\n",
            "FILE: line 1, column 8: broken YAML: could not determine a constructor for the tag "
            "'tag:yaml.org,2002:python/object/apply:os.system'",
        ),
        (
            "date.yaml",
            b"pools: 2026-02-31\n",
            'FILE: line 1, column 8: broken YAML: "2026-02-31" cannot be read as timestamp: '
            "day is out of range for month",
        ),
        ("key.yaml", b"? [a]\n: 1\n", "FILE: line 1, column 3: broken YAML: expected text as a key"),
        (
            "twice.yaml",
            b"pools:\n  a: {max_units: 1}\n  a: {max_units: 2}\n",
            "pools.a: given more than once; keep one",
        ),
        ("lot.toml", POOL, "FILE: expected a file name that ends in .json, .yaml or .yml"),
    ],
)
def test_bad_files(tmp_path: Path, name: str, contents: bytes, expected: str) -> None:
    file = tmp_path / name
    file.write_bytes(contents)

    assert problems(file) == [expected]


def test_every_key_that_is_given_twice_is_told(tmp_path: Path) -> None:
    file = tmp_path / "lot.json"
    file.write_text('{"pools": {"a": {"max_units": 1, "queue": {"type": "x", "type": "y"}, "max_units": 2}}}')

    assert problems(file) == [
        "pools.a.max_units: given more than once; keep one",
        "pools.a.queue.type: given more than once; keep one",
    ]


def test_a_missing_file(tmp_path: Path) -> None:
    assert problems(tmp_path / "lot.json") == ["FILE: no such file"]


def test_a_directory(tmp_path: Path) -> None:
    assert problems(tmp_path) == ["FILE: is a directory; name the configuration file in it"]


def test_a_path_through_a_file(tmp_path: Path) -> None:
    (tmp_path / "lot").write_bytes(POOL)

    assert problems(tmp_path / "lot" / "lot.json") == ["FILE: cannot be read: Not a directory"]


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> bytes:  # the superuser, who runs some tests, may read every file
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "read_bytes", refuse)

    assert problems(tmp_path / "lot.json") == ["FILE: cannot be read: Permission denied"]


@pytest.mark.parametrize("name", ["lot.json", "LOT.JSON", "lot.yaml", "lot.yml"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_json_is_read_under_either_suffix_and_with_a_byte_order_mark(tmp_path: Path, name: str, mark: bytes) -> None:
    file = tmp_path / name
    file.write_bytes(mark + POOL)

    assert load_settings(str(file)).pools["a"].max_units == 1


def test_yaml_takes_keys_as_they_are_written(tmp_path: Path) -> None:
    file = tmp_path / "lot.yaml"
    file.write_text("pools: {on: {devices: {0: 16, 010: 24, no: 1, 2026-01-01: 3}}}\n")

    assert load_settings(file).pools["on"].devices == {"0": 16, "010": 24, "no": 1, "2026-01-01": 3}


def test_yaml_anchors_and_merges(tmp_path: Path) -> None:
    file = tmp_path / "lot.yaml"
    file.write_text(
        "pools:\n"
        "  a: &a\n    max_units: 1\n    queue: &q {type: yaque, path: data}\n"
        "  b:\n    <<: *a\n    max_units: 2\n    mailbox: *q\n"
    )

    pools = load_settings(file).pools

    assert (pools["a"].max_units, pools["b"].max_units) == (1, 2)
    assert pools["a"].queue == pools["b"].queue


def test_yaml_that_holds_itself_is_refused_in_a_moment(tmp_path: Path) -> None:
    file = tmp_path / "lot.yaml"
    file.write_text("pools: &a\n  x: *a\n")

    assert problems(file)[-1] == "pools.x: expected either max_units or devices, got neither"


def test_yaml_that_would_unfold_without_end_is_refused_in_a_moment(tmp_path: Path) -> None:
    layers = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 30)]
    file = tmp_path / "lot.yaml"
    file.write_text("\n".join(["l0: &l0 x", *layers]))

    assert problems(file)[0].startswith("l0: unknown key")


def test_yaml_without_pyyaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_yaml(name: str, *rest: Any) -> Any:
        if name in ("yaml", "parking_lot_drivers.config._yaml"):
            raise ModuleNotFoundError(f"No module named {name!r}", name="yaml")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_yaml)
    file = tmp_path / "lot.yaml"
    file.write_bytes(POOL)

    with pytest.raises(MissingExtra, match=r"YAML needs the package pyyaml.*prometheus-parking-lot\[yaml\]"):
        load_settings(file)


@given(st.text(alphabet=st.characters(codec="utf-8") | st.sampled_from("{}[]:,-&*!|>\"'\n #%@?"), max_size=60))
def test_any_text_is_yaml_or_is_refused(text: str) -> None:
    from parking_lot_drivers.config._yaml import parse

    with contextlib.suppress(Unreadable):
        parse(text)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_configuration_or_are_refused(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any.json"
    file.write_bytes(raw)

    with pytest.raises(ConfigError):
        load_settings(file)
