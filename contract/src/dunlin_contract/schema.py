"""Closed schemas: a frozen dataclass whose fields say their CBOR key and what values are allowed.

``class Lease(Record): seconds: int = at(0, uint(2**32 - 1))`` makes a record of one integer key. Unknown keys, missing
keys, wrong types and values out of range are refused, each by its own rule. ``contract/dunlin.cddl`` says the same in
RFC 8610 terms; a test validates every vector against both.
"""

import dataclasses
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self, dataclass_transform

import cbor2

from dunlin_contract import cbor
from dunlin_contract.rules import Rule, refuse, require


@dataclass(frozen=True, slots=True)
class Spec:
    """How one value is read from decoded CBOR (``load``, refusing what is not allowed) and put back (``dump``)."""

    load: Callable[[Any, str], Any]
    dump: Callable[[Any], Any] = lambda value: value


_KEY = "dunlin.key"
_SPEC = "dunlin.spec"
_WRITTEN = "dunlin.written"
_MISSING = dataclasses.MISSING


def at(key: int, spec: Spec, *, default: Any = _MISSING) -> Any:
    """Field at integer map key ``key``. With a ``default`` the key is optional and absent when equal to it."""
    return dataclasses.field(default=default, metadata={_KEY: key, _SPEC: spec, _WRITTEN: default is _MISSING})


def uint(most: int, least: int = 0) -> Spec:
    """Integer in ``least..most``."""

    def load(value: Any, path: str) -> int:
        require(Rule.TYPE, type(value) is int, f"{path}: an integer is expected")
        require(Rule.RANGE, least <= value <= most, f"{path}: {str(value)[:24]} is outside {least}..{most}")
        return int(value)

    return Spec(load)


def real(least: float = -math.inf, most: float = math.inf) -> Spec:
    """Finite floating-point number in ``least..most``."""

    def load(value: Any, path: str) -> float:
        require(Rule.TYPE, type(value) is float, f"{path}: a floating-point number is expected")
        inside = math.isfinite(value) and least <= value <= most
        require(Rule.RANGE, inside, f"{path}: {value} is outside {least}..{most}, or not finite")
        return float(value)

    return Spec(load, float)


def _load_boolean(value: Any, path: str) -> bool:
    require(Rule.TYPE, type(value) is bool, f"{path}: true or false is expected")
    return bool(value)


boolean = Spec(_load_boolean)


def octets(most: int, least: int | None = None) -> Spec:
    """Byte string of exactly ``most`` bytes, or of ``least..most`` when ``least`` is given."""

    def load(value: Any, path: str) -> bytes:
        require(Rule.TYPE, type(value) is bytes, f"{path}: a byte string is expected")
        low = most if least is None else least
        require(Rule.RANGE, low <= len(value) <= most, f"{path}: {len(value)} bytes; {low}..{most} are expected")
        return bytes(value)

    return Spec(load)


_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Controls, line separators and direction overrides: what could forge a log line or a name on a page. A fixed list,
since "printable" would change with each edition of Unicode."""


def text(most_bytes: int, allowed: Callable[[str], bool] | None = None, least: int = 0) -> Spec:
    """UTF-8 text of at most ``most_bytes`` without control characters; ``allowed`` narrows it further."""

    def load(value: Any, path: str) -> str:
        require(Rule.TYPE, type(value) is str, f"{path}: text is expected")
        size = len(value.encode())
        require(Rule.RANGE, least <= size <= most_bytes, f"{path}: {size} bytes; {least}..{most_bytes} are expected")
        require(Rule.VALUE, allowed is None or allowed(value), f"{path}: {value[:64]!r} is not allowed")
        require(Rule.VALUE, _HIDDEN.search(value) is None, f"{path}: control characters are not allowed")
        return str(value)

    return Spec(load)


def one_of(*values: str | int) -> Spec:
    """One of a closed list."""

    def load(value: Any, path: str) -> str | int:
        same = [known for known in values if type(known) is type(value) and known == value]
        require(Rule.VALUE, bool(same), f"{path}: {str(value)[:64]!r} is not one of {', '.join(map(str, values))}")
        return same[0] if same else value

    return Spec(load)


def record(cls: "type[Record]") -> Spec:
    """A nested record."""
    return Spec(cls.from_cbor, lambda value: value.to_cbor())


def array(item: Spec, most: int, least: int = 0) -> Spec:
    """Array of ``least..most`` items, kept as a tuple."""

    def load(value: Any, path: str) -> tuple[Any, ...]:
        require(Rule.TYPE, isinstance(value, list | tuple), f"{path}: an array is expected")
        require(Rule.COUNT, least <= len(value) <= most, f"{path}: {len(value)} items; {least}..{most} are allowed")
        return tuple(item.load(entry, f"{path}[{place}]") for place, entry in enumerate(value))

    return Spec(load, lambda value: [item.dump(entry) for entry in value])


def table(key: Spec, value: Spec, most: int) -> Spec:
    """Map with at most ``most`` entries."""

    def load(entries: Any, path: str) -> dict[Any, Any]:
        require(Rule.TYPE, isinstance(entries, Mapping), f"{path}: a map is expected")
        require(Rule.COUNT, len(entries) <= most, f"{path}: {len(entries)} entries; at most {most} are allowed")
        return {key.load(k, f"{path} key"): value.load(v, f"{path}[{str(k)[:40]}]") for k, v in entries.items()}

    return Spec(load, lambda entries: {key.dump(k): value.dump(v) for k, v in entries.items()})


def format_version(*, default: int) -> Any:
    """Field 0 of every message: its own format version, always written; any other is refused."""

    def load(value: Any, path: str) -> int:
        known = type(value) is int and value == default
        require(Rule.VERSION, known, f"{path}: version {str(value)[:16]} is not {default}; update this program")
        return default

    return dataclasses.field(default=default, metadata={_KEY: 0, _SPEC: Spec(load), _WRITTEN: True})


NO_ENTRIES: Mapping[Any, Any] = cbor2.frozendict()
"""Default of a table that is left out when it is empty."""


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(at, format_version))
class Record:
    """Base of every message. Subclasses are frozen, keyword-only dataclasses; ``check`` holds cross-field rules."""

    CAP_BYTES: ClassVar[int] = 65536

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        dataclasses.dataclass(frozen=True, kw_only=True)(cls)

    def check(self) -> None:
        """Cross-field rules, run after each field has passed its own."""

    def to_cbor(self) -> dict[int, Any]:
        """The record as a map of integer keys."""
        table: dict[int, Any] = {}
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if field.metadata[_WRITTEN] or value != field.default:
                table[field.metadata[_KEY]] = field.metadata[_SPEC].dump(value)
        return table

    @classmethod
    def from_cbor(cls, value: Any, path: str = "") -> Self:
        """Read a decoded map, or refuse it.

        Raises:
            SchemaError, LimitError, MismatchError: naming the rule and the field.
        """
        where = path or cls.__name__
        require(Rule.TYPE, isinstance(value, Mapping), f"{where}: a map is expected")
        fields = {field.metadata[_KEY]: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
        for key in value:
            known = type(key) is int and key in fields
            require(Rule.FIELD_UNKNOWN, known, f"{where}: unknown key {str(key)[:32]}")
        arguments: dict[str, Any] = {}
        for key, field in fields.items():
            if key in value:
                arguments[field.name] = field.metadata[_SPEC].load(value[key], f"{where}.{field.name}")
                idle = not field.metadata[_WRITTEN] and arguments[field.name] == field.default
                require(Rule.CANONICAL, not idle, f"{where}.{field.name}: a default is left out, not written")
            elif field.metadata[_WRITTEN]:
                refuse(Rule.FIELD_MISSING, f"{where}: {field.name} (key {key}) is missing")
        record = cls(**arguments)
        record.check()
        return record

    def to_bytes(self) -> bytes:
        """Deterministic CBOR of the record."""
        return cbor.encode(self.to_cbor())

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse at most ``CAP_BYTES`` of canonical CBOR into the record, or refuse it with a ContractError."""
        return cls.from_cbor(cbor.decode(data, cls.CAP_BYTES))
