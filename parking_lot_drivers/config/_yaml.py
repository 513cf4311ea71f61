"""YAML, by PyYAML: the one file that imports it."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import yaml
from yaml.constructor import ConstructorError
from yaml.nodes import MappingNode, Node, ScalarNode

from parking_lot_drivers.config.files import Object, Unreadable, place, twice
from parking_lot_drivers.config.problems import shown

_MERGE = "tag:yaml.org,2002:merge"


def parse(text: str) -> object:
    """The one document in ``text``, as plain values; mappings are ``Object``, and all their keys text.

    Raises ``Unreadable``.
    """
    try:
        return yaml.load(text, _Loader)
    except yaml.reader.ReaderError as error:
        raise Unreadable(f"{place(text[: error.position])}: broken YAML: {error.reason}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        context = f"{error.context}, " if error.context else ""
        raise Unreadable(f"{where}broken YAML: {context}{error.problem}") from None
    except Unreadable:
        raise
    except (ValueError, OverflowError) as error:  # PyYAML takes "\UFFFFFFFF" for a character, %YAML 9…9 for a version
        raise Unreadable(f"broken YAML: an escape or a number is out of range: {error}") from None


class _Loader(yaml.SafeLoader):
    """The safe loader, except that keys are taken as they are written (``0:`` and ``on:`` are text), and counted."""

    def compose_mapping_node(self, anchor: Any) -> MappingNode:
        """Note keys that are given more than once, before merge keys add others that may be overridden."""
        node = super().compose_mapping_node(anchor)
        keys = []
        for key, _ in node.value:
            if not isinstance(key, ScalarNode):
                raise ConstructorError(None, None, "expected text as a key", key.start_mark)
            if key.tag != _MERGE:
                keys.append(key.value)
        node.repeated = twice(keys)  # type: ignore[attr-defined]
        return node

    def construct_object(self, node: Node, deep: bool = False) -> Any:
        """Say where a value is that its tag does not allow, such as the date 2026-02-31."""
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            problem = f"{shown(node.value)} cannot be read as {node.tag.rpartition(':')[2]}: {error}"
            raise ConstructorError(None, None, problem, node.start_mark) from None

    def construct_yaml_map(self, node: MappingNode) -> Generator[Object, None, None]:
        """An ``Object``, filled after it was handed out, so that it may hold itself."""
        made = Object()
        made.repeated = node.repeated  # type: ignore[attr-defined]
        yield made
        self.flatten_mapping(node)
        made.update((key.value, self.construct_object(value)) for key, value in node.value)


_Loader.add_constructor("tag:yaml.org,2002:map", _Loader.construct_yaml_map)
