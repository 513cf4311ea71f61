"""Kinds of value that are objects with fixed keys: attrs classes, and unions of them that a ``type`` tells apart.

cattrs builds the instances and gathers the faults of their fields; the fields' kinds read the values.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol, cast

import attrs
import cattrs
from cattrs.errors import ClassValidationError
from cattrs.gen import make_dict_structure_fn, override

from parking_lot_core.config import Seconds, Units, UnitsByDevice, WeightByTenant, Whole
from parking_lot_drivers.config.amounts import Amount, Duration
from parking_lot_drivers.config.docs import descriptions, summary
from parking_lot_drivers.config.kinds import ANY_TEXT, KIND, Choice, Entries, Integer, Kind, Schema, Weight
from parking_lot_drivers.config.problems import MISSING, Fault, Unfit, is_placed, placed, unknown_key

TYPE = "type"

_converter = cattrs.Converter(detailed_validation=True)


def kind_of(field: attrs.Attribute[Any], unit: str | None = None) -> Kind | None:
    """How a field is read; ``None`` for one that no configuration sets.

    The core's own fields carry no kind, only the checks that bound them. ``unit``: what amounts are counted in.
    """
    if KIND in field.metadata:
        return cast("Kind", field.metadata[KIND])
    match field.validator:
        case Units() as bound:
            return Amount(bound, unit)
        case UnitsByDevice(units=bound):
            expected = "an object of device names and their units, with at least one device"
            return Entries(expected=expected, value=Amount(bound, unit), at_least=1)
        case WeightByTenant() as bound:
            return Entries(expected="an object of tenant names and their weights", name=ANY_TEXT, value=Weight(bound))
        case Whole() as bound:
            return Integer(bound)
        case Seconds() as bound:
            return Duration(bound)
    return None


class Section(Kind):
    """An object whose keys are the fields of an attrs class."""

    def __init__(
        self,
        cls: type[Any],
        *,
        also: Mapping[str, Schema] | None = None,
        unit: str | None = None,
        relations: Callable[[Mapping[str, object]], list[Exception]] = lambda _: [],
    ) -> None:
        """Describe the section.

        ``also`` names further keys that are allowed here and read elsewhere, with their schemas. ``unit`` is what
        amounts are counted in. ``relations`` finds the faults that concern several keys at once.
        """
        self.cls = cls
        self.also = also or {}
        self.unit = unit
        self.relations = relations

    @functools.cached_property
    def kinds(self) -> dict[str, Kind]:
        """Kinds by key."""
        found = {f.name: kind_of(f, self.unit) for f in attrs.fields(self.cls)}
        return {name: kind for name, kind in found.items() if kind is not None}

    @functools.cached_property
    def required(self) -> list[str]:
        """Keys that must be given."""
        return [f.name for f in attrs.fields(self.cls) if f.name in self.kinds and f.default is attrs.NOTHING]

    @functools.cached_property
    def _make(self) -> Callable[[Mapping[str, Any]], Any]:
        others = {f.name: override(omit=True) for f in attrs.fields(self.cls) if f.name not in self.kinds}
        read = {name: override(struct_hook=kind.structure) for name, kind in self.kinds.items()}
        overrides: dict[str, Any] = others | read
        return make_dict_structure_fn(self.cls, _converter, _cattrs_use_linecache=False, **overrides)

    def structure(self, given: object, _type: object = None) -> Any:
        """An instance of the class. Raises all faults together."""
        if not isinstance(given, Mapping):
            raise Unfit("an object of settings", given)
        allowed = [*self.kinds, *self.also]
        faults: list[Exception] = [unknown_key(key, allowed) for key in given if key not in allowed]
        faults += self.relations(given)
        made = None
        try:
            made = self._make({**dict.fromkeys(self.required, MISSING), **given})
        except ClassValidationError as errors:
            # What the class itself says about its fields together is worth hearing only if each of them is right.
            faults += [e for e in errors.exceptions if isinstance(e, Exception) and (is_placed(e) or not faults)]
        if faults:
            raise ClassValidationError("faults", faults, self.cls)
        return made

    def schema(self) -> Schema:
        """An object with these properties and no others."""
        notes = descriptions(self.cls)
        properties = dict(self.also)
        for field in attrs.fields(self.cls):
            if field.name in self.kinds:
                about = {"description": notes[field.name]} if field.name in notes else {}
                properties[field.name] = about | self.kinds[field.name].schema() | _default(field)
        return {
            "description": summary(self.cls),
            "type": "object",
            "properties": properties,
            "required": self.required,
            "additionalProperties": False,
        }


def _default(field: attrs.Attribute[Any]) -> Schema:
    """The field's default, where it is a plain value of JSON."""
    plain = isinstance(field.default, (str, int, float)) and field.default != math.inf
    return {"default": field.default} if plain else {}


class Tagged(Protocol):
    """A class whose instances a configuration asks for by any of its ``tags``."""

    tags: ClassVar[tuple[str, ...]]


class OneOf(Kind):
    """An object whose ``type``, or another ``key``, says of which class it is."""

    def __init__(self, what: str, *classes: type[Tagged], key: str = TYPE) -> None:
        self.what = what
        self.key = key
        self.sections = [Section(c, also={key: {"enum": list(c.tags)}}) for c in classes]
        self.by_tag = {tag: section for section in self.sections for tag in section.cls.tags}
        self.tag = Choice(tuple(self.by_tag))

    def structure(self, given: object, _type: object = None) -> Any:
        """An instance of the class that the tag names."""
        if not isinstance(given, Mapping):
            example = f'{{"{self.key}": "{next(iter(self.by_tag))}"}}'
            raise Unfit(f"{self.what} as an object, such as {example}", given)
        try:
            tag = self.tag.structure(given.get(self.key, MISSING))
        except Fault as fault:
            raise ClassValidationError("faults", [placed(fault, self.key)], object) from None
        return self.by_tag[tag].structure(given)

    def schema(self) -> Schema:
        """Exactly one of the sections."""
        members = [section.schema() for section in self.sections]
        return {"oneOf": [member | {"required": [self.key, *member["required"]]} for member in members]}
