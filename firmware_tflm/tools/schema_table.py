"""From contract/dunlin.cddl to the bytes that src/contract/schema.c interprets: what may stand in each record.

A type is a letter and its operands; numbers are CBOR integers. Records and what several places share are referred to by
their place in the table, which is also how C names them.

    U min max        integer                   F bound         floating point: BOUNDS below
    V min max        integer of a closed list  B               boolean
    X version        format version            Y min max       byte string of so many bytes
    T form min max   text of so many bytes, of one of FORMS    C n text...     one of n texts
    A flags min max item     array; flags 1: strictly ascending
    M max key value          map of at most so many entries; 0: none may stand there, and no types follow
    @ place(2 bytes)         the type at that place
    R fields ff              record; a field is its key (| 20: optional, | 40: with a default, which follows),
                             the bytes of its type, and its type
"""  # noqa: INP001 - a script's module

import json
import re

from derive_cddl import ARRAY, NOT_DEFAULT, TABLE, Field, Schema

FORMS = ("plain", "model-name", "device-id", "semver", "https-url")
_NAMED_TEXT = {
    "model-name": (1, 0, 32),
    "variant-kind": (1, 0, 24),
    "device-id": (2, 0, 36),
    "semver": (3, 0, 64),
    "https-url": (4, 1, 256),
}
"""Form, least and most bytes of text that CDDL gives by regular expressions."""
BOUNDS = ("finite", "not-negative", "deviation")
NONE = {("directive", 11)}
"""Tables, by record and key, of which a microcontroller takes no entry (MCU_LIMITS)."""
_OPTIONAL, _DEFAULT = 0x20, 0x40


def number(value: int) -> bytes:
    """A CBOR integer, in its one encoding."""
    major, value = (0x20, -1 - value) if value < 0 else (0, value)
    if value < 24:
        return bytes([major | value])
    size = next(size for size in (1, 2, 4, 8) if value < 1 << 8 * size)
    return bytes([major | 23 + size.bit_length()]) + value.to_bytes(size, "big")


class Table:
    """The bytes of some records and of all that they need; ``records`` and ``choices``: their places."""

    def __init__(self, schema: Schema, records: tuple[str, ...]) -> None:
        self._schema = schema
        self._shared: dict[str, int] = {}
        self.records: dict[str, int] = {}
        self.choices: dict[str, tuple[int, list[str]]] = {}
        self.data = b""
        for name in records:
            self._record(name)

    def _record(self, name: str) -> int:
        if name not in self.records:
            parts = [self._field(name, field) for field in self._schema.records[name]]
            self.records[name] = len(self.data)
            for code, choice in parts:
                if choice:
                    at, options = choice
                    self.choices[f"{name}-{at[0]}"] = (len(self.data) + at[1] + 1, options)
                self.data += code
            self.data = self.data[: self.records[name]] + b"R" + self.data[self.records[name] :] + b"\xff"
        return self.records[name]

    def _field(self, record: str, field: Field) -> tuple[bytes, tuple[tuple[str, int], list[str]] | None]:
        kind, default = field.kind, self._default(field)
        kind = NOT_DEFAULT.sub(r"\1", kind)
        if field.key == 0 and kind == "1" and self._schema.labels[record][0] == "format":
            code = b"X" + number(1)
        elif (record, field.key) in NONE:
            code = b"M" + number(0)
        else:
            code = self._type(kind, ascends=field.ascends)
        head = bytes([field.key | (_OPTIONAL if field.optional else 0) | (_DEFAULT if default is not None else 0)])
        head += (number(default) if default is not None else b"") + bytes([len(code)])
        choice = None
        if code[:1] == b"C":
            choice = ((self._schema.labels[record][field.key], len(head)), _texts(kind))
        return head + code, choice

    def _default(self, field: Field) -> int | None:
        """What an absent field means, if it can be written: a number, or the length of a text, an array, a table."""
        if not field.optional:
            return None
        written = re.search(r"\.ne (\d+)\)$", field.kind)
        if written:
            return int(written[1])
        plain = self._plain(field.kind)
        return 0 if re.match(r"1\.\.|tstr \.size \(1\.\.|\[1\*|\{ *1\*", plain) else None

    def _plain(self, kind: str) -> str:
        while kind in self._schema.rules and kind not in _NAMED_TEXT:
            kind = self._schema.rules[kind]
        return kind

    def _type(self, kind: str, *, ascends: bool = False) -> bytes:
        if kind in self._schema.records:
            return b"@" + self._record(kind).to_bytes(2, "big")
        if kind in _NAMED_TEXT:
            form, least, most = _NAMED_TEXT[kind]
            return self._once(kind, b"T" + number(form) + number(least) + number(most))
        if kind in BOUNDS:
            return b"F" + number(BOUNDS.index(kind))
        if kind in self._schema.rules:
            return self._once(kind, self._type(self._schema.rules[kind]))
        return self._plain_type(kind, ascends)

    def _once(self, name: str, code: bytes) -> bytes:
        """A type with a name: shared if that is shorter, or if C asks for its place."""
        if len(code) <= 3:  # also where the type is a reference itself: none leads to another
            return code
        if name not in self._shared:
            self._shared[name] = len(self.data)
            if code[:1] == b"C":
                self.choices[name] = (len(self.data), _texts(self._schema.rules[name]))
            self.data += code
        return b"@" + self._shared[name].to_bytes(2, "big")

    def _plain_type(self, kind: str, ascends: bool) -> bytes:
        kind = kind[1:-1] if re.fullmatch(r"\([^()]*\)|\(tstr \.size \([^()]*\)\)", kind) else kind
        if kind == "bool":
            return b"B"
        if match := re.fullmatch(r"(-?\d+)\.\.(\d+)", kind):
            return b"U" + number(int(match[1])) + number(int(match[2]))
        if match := re.fullmatch(r"(\d+)(?: / (\d+))?", kind):
            return b"V" + number(int(match[1])) + number(int(match[2] or match[1]))
        if match := re.fullmatch(r"([bt]str) \.size \(?(\d+)(?:\.\.(\d+)\))?", kind):
            letter = b"Y" if match[1] == "bstr" else b"T" + number(0)
            return letter + number(int(match[2])) + number(int(match[3] or match[2]))
        if kind.startswith('"'):
            texts = [one.encode() for one in _texts(kind)]
            return b"C" + number(len(texts)) + b"".join(bytes([len(one)]) + one for one in texts)
        if match := ARRAY.fullmatch(kind):
            flags = number(1 if ascends else 0)
            return b"A" + flags + number(int(match[1])) + number(int(match[2])) + self._type(match[3])
        if match := TABLE.fullmatch(kind):
            return b"M" + number(int(match[2])) + self._type(match[3].strip()) + self._type(match[4].strip())
        raise ValueError(f"no type for {kind}")


def _texts(kind: str) -> list[str]:
    return [str(json.loads(one)) for one in re.findall(r'"[^"]*"', kind)]


def source(table: Table, header: str) -> tuple[str, str]:
    """C file and header of a table."""
    rows = [table.data[at : at + 16] for at in range(0, len(table.data), 16)]
    body = "".join("    " + " ".join(f"0x{byte:02x}," for byte in row) + "\n" for row in rows)
    code = f'/* {header} */\n#include "dunlin_schema.h"\n\nconst uint8_t dl_schema[] = {{\n{body}}};\n'
    lines = [f"/* {header} */", "#ifndef DUNLIN_SCHEMA_H", "#define DUNLIN_SCHEMA_H", "", "#include <stdint.h>", ""]
    lines += [
        "/* What may stand in each record; tools/schema_table.py says how. */",
        "extern const uint8_t dl_schema[];",
        "",
    ]
    lines += ["/* Places in it: of records, */"]
    lines += [f"#define DL_RECORD_{_upper(name)} {place}" for name, place in table.records.items()]
    lines += ["/* and of closed lists, with what stands at which place of them. */"]
    for name, (place, options) in table.choices.items():
        lines.append(f"#define DL_CHOICE_{_upper(name)} {place}")
        lines.append("enum {" + ", ".join(f"DL_{_upper(name)}_{_upper(option)}" for option in options) + "};")
    return code, "\n".join([*lines, "", "#endif", ""])


def _upper(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "_", name).upper()
