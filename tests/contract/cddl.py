"""A reader of RFC 8610 for the part of the language that ``contract/dunlin.cddl`` uses.

pycddl is the reference reader in these tests, but it overlooks unknown keys of maps inside arrays and the types of map
keys, so it cannot show that the file says *exactly* what the codec enforces. This one can: it knows few constructs,
refuses every other, and has no leniency.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import cbor2

Check = Callable[[Any], bool]

_TOKEN = re.compile(
    r"""\s*(?:;[^\n]*\n\s*)*(?P<token>
        "(?:[^"\\]|\\.)*" | '[^']*' | \#6\.\d+ | \.\.(?=[\d-]) | => | \.[a-z]+\b
      | -?\d+\.\d+(?:e-?\d+)?(?!\.) | -?\d+ | [A-Za-z][A-Za-z0-9-]* | [{}\[\](),:/=?*]
    )\s*(?:;[^\n]*(?:\n|$)\s*)*""",
    re.VERBOSE,
)
_PRELUDE: dict[str, Check] = {
    "uint": lambda v: type(v) is int and v >= 0,
    "int": lambda v: type(v) is int,
    "float": lambda v: type(v) is float,
    "tstr": lambda v: type(v) is str,
    "bytes": lambda v: type(v) is bytes,
    "bool": lambda v: type(v) is bool,
    "true": lambda v: v is True,
}


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and bool(a == b)


def _length(value: Any) -> int:
    return len(value.encode()) if isinstance(value, str) else len(value)


class Cddl:
    """Rules of one file. ``matches(rule, value)`` takes decoded CBOR; byte strings stay bytes."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._at = 0
        self._rules: dict[str, Check] = {}
        while self._at < len(self._tokens):
            name = self._take()
            self._expect("=")
            if name in self._rules or name in _PRELUDE:
                raise ValueError(f"{name} is defined twice")
            self._rules[name] = self._type()
        self.names = frozenset(self._rules)

    def matches(self, rule: str, value: Any) -> bool:
        """Whether ``value`` is one that ``rule`` allows."""
        return self._rules[rule](value)

    # ---- tokens

    def _peek(self, ahead: int = 0) -> str:
        place = self._at + ahead
        return self._tokens[place] if place < len(self._tokens) else ""

    def _take(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1]

    def _expect(self, token: str) -> None:
        if self._take() != token:
            raise ValueError(f"{token!r} expected near {' '.join(self._tokens[self._at - 6 : self._at + 3])}")

    # ---- types

    def _type(self) -> Check:
        options = [self._controlled()]
        while self._peek() == "/":
            self._take()
            options.append(self._controlled())
        return lambda v: any(option(v) for option in options)

    def _controlled(self) -> Check:
        left = self._plain()
        if not self._peek().startswith(".") or self._peek() == "..":
            return left
        control = self._take()
        if control in {".and", ".cbor"}:
            right = self._plain()
            if control == ".and":
                return lambda v: left(v) and right(v)
            return lambda v: left(v) and _embedded(v, right)
        if control == ".size":
            low, high = self._bounds()
            return lambda v: left(v) and low <= _length(v) <= high
        limit = _literal(self._take())
        if control == ".regexp":
            pattern = re.compile(limit)
            return lambda v: left(v) and pattern.fullmatch(v) is not None
        holds: dict[str, Check] = {
            ".ge": lambda v: v >= limit,
            ".le": lambda v: v <= limit,
            ".ne": lambda v: v != limit,
        }
        return lambda v: left(v) and holds[control](v)

    def _named(self, name: str) -> Check:
        """A rule by name, looked up when used: it may be defined further down."""

        def later(value: Any) -> bool:
            return self._rules[name](value)

        return later

    def _bounds(self) -> tuple[int, int]:
        if self._peek() != "(":
            exact = int(self._take())
            return exact, exact
        self._take()
        low = int(self._take())
        self._expect("..")
        high = int(self._take())
        self._expect(")")
        return low, high

    def _plain(self) -> Check:
        token = self._take()
        if token == "(":
            inner = self._type()
            self._expect(")")
            return inner
        if token == "{":
            return self._map()
        if token == "[":
            return self._array()
        if token.startswith("#6."):
            self._expect("(")
            inner, number = self._type(), int(token[3:])
            self._expect(")")
            return lambda v: isinstance(v, cbor2.CBORTag) and v.tag == number and inner(v.value)
        if token[0].isalpha():
            return _PRELUDE.get(token) or self._named(token)
        value = _literal(token)
        if self._peek() == "..":
            self._take()
            high = int(self._take())
            return lambda v: type(v) is int and value <= v <= high
        return lambda v: _same(v, value)

    def _occurrence(self) -> tuple[int, int] | None:
        if self._peek() == "?":
            self._take()
            return 0, 1
        if self._peek(1) == "*":
            low, _, high = int(self._take()), self._take(), int(self._take())
            return low, high
        return None

    def _map(self) -> Check:
        known: list[tuple[Any, int, Check]] = []
        table: tuple[int, int, Check, Check] | None = None
        while self._peek() != "}":
            times = self._occurrence()
            if times is None or times == (0, 1):
                key = _literal(self._take())
                self._expect(":")
                known.append((key, 0 if times else 1, self._type()))
            else:
                keys = self._type()
                self._expect("=>")
                table = (*times, keys, self._type())
            if self._peek() == ",":
                self._take()
        self._take()
        if table:
            return lambda v: _table_holds(v, *table)
        return lambda v: _map_holds(v, known)

    def _array(self) -> Check:
        times = self._occurrence()
        items = [self._type()]
        while self._peek() == ",":
            self._take()
            items.append(self._type())
        self._expect("]")
        if times:
            low, high = times
            return lambda v: isinstance(v, list | tuple) and low <= len(v) <= high and all(map(items[0], v))
        return lambda v: (
            isinstance(v, list | tuple)
            and len(v) == len(items)
            and all(item(one) for item, one in zip(items, v, strict=True))
        )


def _embedded(value: bytes, check: Check) -> bool:
    try:
        return check(cbor2.loads(value))
    except cbor2.CBORError:
        return False


def _map_holds(value: Any, known: list[tuple[Any, int, Check]]) -> bool:
    if not isinstance(value, Mapping):
        return False
    left = list(value)
    for key, least, check in known:
        same = [one for one in left if _same(one, key)]
        if len(same) < least or (same and not check(value[same[0]])):
            return False
        left = [one for one in left if not _same(one, key)]
    return not left


def _table_holds(value: Any, low: int, high: int, keys: Check, values: Check) -> bool:
    if not isinstance(value, Mapping) or not low <= len(value) <= high:
        return False
    return all(keys(key) and values(one) for key, one in value.items())


def _tokens(text: str) -> list[str]:
    return list(_split(text))


def _split(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"not understood: {text[at : at + 60]!r}")
        yield match["token"]
        at = match.end()


def _literal(token: str) -> Any:
    if token[0] == '"':
        return json.loads(token)
    if token[0] == "'":
        return token[1:-1].encode()
    return float(token) if "." in token or "e" in token else int(token)
