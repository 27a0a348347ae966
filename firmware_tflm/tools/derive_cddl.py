"""contract/dunlin.cddl, read: its rules as text, its records as fields with names.

Also its subset that zcbor reads, for the oracle of the vector tests: regular expressions, ``.ne`` and ranges of floats
go, and an optional field's lower bound becomes zero. Labels come from the Python codec's fields, so that a thing has
one name everywhere.
"""  # noqa: INP001 - a script's module

import ast
import re
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SCHEMA = REPOSITORY / "contract" / "dunlin.cddl"
CODEC = REPOSITORY / "contract" / "src" / "dunlin_contract"

RECORD, KIND = "dnb-", "dn-"
"""Of the names of records and of other rules, hence of zcbor's structures: apart from each other, and from labels,
which it would take for rules of that name."""

_RULE = re.compile(r"^([a-z][a-z0-9-]*) = ", re.MULTILINE)
_FIELD = re.compile(r"(\? )?(-?\d+): (.+)")
ARRAY = re.compile(r"\[(\d+)\*(\d+) (.+)\]")
TABLE = re.compile(r"\{ *(\d+)\*(\d+) (.+) => (.+) *\}")
_NAME = re.compile(r"(?<![\w\"'.-])[a-z][a-z0-9-]*(?![\w\"'-])")

_DROPPED = (
    (r' \.regexp "(?:[^"\\]|\\.)*"', ""),
    (r" \.and \(tstr\)", ""),
    (r' \.and \(tstr \.ne "[^"]*"\)', ""),
    (r"\(?[a-z-]+ \.and \((tstr \.size \([^)]*\))\)\)?", r"\1"),
    (r"\(int \.ge (-?\d+)\) \.and \(int \.le (\d+)\)", r"\1..\2"),
    (r"\(float \.ge [^)]*\) \.and \(float \.le [^)]*\)", "float"),
    (r"\bbytes\b", "bstr"),
)
NOT_DEFAULT = re.compile(r"\(([^()]*)\) \.and \(uint \.ne \d+\)")


@dataclass(frozen=True)
class Field:
    """One field of a record. ``ascends``: its items must, which CDDL says in a comment."""

    key: int
    kind: str
    optional: bool
    ascends: bool


class Schema:
    """Rules of the CDDL file, rewritten; ``records`` are the maps with integer keys."""

    def __init__(self, text: str) -> None:
        self.rules: dict[str, str] = {}
        self.records: dict[str, list[Field]] = {}
        starts = list(_RULE.finditer(text))
        for rule, following in zip(starts, [*starts[1:], None], strict=True):
            body = text[rule.end() : following.start() if following else len(text)]
            plain = re.sub(r"[ \t]*;[^\n]*", "", body).strip()
            if plain.startswith("{") and "\n" in plain:
                self.records[rule[1]] = _fields(body)
            else:
                self.rules[rule[1]] = _rewritten(" ".join(plain.split()))
        self.labels = _labels()

    def for_zcbor(self, entries: list[str]) -> tuple[str, list[str]]:
        """CDDL of ``entries`` and all that they need, and their names in it."""
        self._out: dict[str, str] = {}
        for entry in entries:
            self._rule(entry)
        text = "".join(f"{self._prefixed(name)} = {body}\n" for name, body in self._out.items())
        return text, [RECORD + name for name in entries]

    def _prefixed(self, name: str) -> str:
        return (KIND if name in self.rules else RECORD) + name

    def _rule(self, name: str) -> None:
        if name in self._out or name not in self.records | self.rules:
            return
        self._out[name] = ""  # its place, before those that it needs
        if name in self.records:
            fields = [self._field(name, field) for field in self.records[name]]
            self._out[name] = "{\n" + "".join(f"  {field},\n" for field in fields) + "}"
        else:
            self._out[name] = self._with_rules(self.rules[name])

    def _field(self, record: str, field: Field) -> str:
        kind = self._from_zero(field.kind) if field.optional else NOT_DEFAULT.sub(r"\1", field.kind)
        kind = self._with_rules(kind)
        label = self.labels[record][field.key]
        # Items get a label, too: else zcbor names them after their type, and two tables of one type clash.
        kind = re.sub(r"^\[(\d+\*\d+) ", rf"[\1 {label}: ", kind)
        kind = re.sub(r"^(\{.* =>) ", rf"\1 {record.replace('-', '_')}_{label}: ", kind)
        return f"{'? ' if field.optional else ''}{field.key} => {label}: {kind}"

    def _with_rules(self, kind: str) -> str:
        return _NAME.sub(lambda name: self._used(name[0]), kind)

    def _used(self, name: str) -> str:
        self._rule(name)
        return self._prefixed(name) if name in self.records | self.rules else name

    def _from_zero(self, kind: str) -> str:
        if NOT_DEFAULT.fullmatch(kind):
            return NOT_DEFAULT.sub(r"\1", kind)
        body = self._plain(kind)
        widened = re.sub(
            r"^1\.\.|(?<=^tstr \.size \()1(?=\.\.)|(?<=^\[)1(?=\*)", lambda m: m[0].replace("1", "0"), body
        )
        return kind if widened == body else widened

    def _plain(self, kind: str) -> str:
        """A type with its name looked up, as far as it is a mere name."""
        while kind in self.rules:
            kind = self.rules[kind]
        return kind


def _fields(body: str) -> list[Field]:
    lines = body[: body.index("\n}")].split("\n")[1:]  # the first is the record's own
    return [_field_of(line.strip()) for line in lines]


def _field_of(line: str) -> Field:
    stated, _, comment = line.partition(";")
    match = _FIELD.fullmatch(stated.strip().rstrip(","))
    if match is None:
        raise ValueError(f"not a field with an integer key on a line of its own: {line}")
    return Field(int(match[2]), _rewritten(match[3]), bool(match[1]), "ascending" in comment)


def _rewritten(kind: str) -> str:
    for pattern, replacement in _DROPPED:
        kind = re.sub(pattern, replacement, kind)
    return kind


def _labels() -> dict[str, dict[int, str]]:
    """For each record its keys' names: the codec's dataclasses, read as source."""
    labels: dict[str, dict[int, str]] = {}
    for path in sorted(CODEC.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                kebab = re.sub(r"(?<!^)(?=[A-Z])", "-", node.name).lower()
                labels[kebab] = dict(filter(None, map(_label, node.body)))
    return labels


def _label(statement: ast.stmt) -> tuple[int, str] | None:
    if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.value, ast.Call):
        return None
    name, call = statement.target, statement.value
    if not isinstance(name, ast.Name) or not isinstance(call.func, ast.Name):
        return None
    if call.func.id == "format_version":
        return 0, name.id
    return (ast.literal_eval(call.args[0]), name.id) if call.func.id == "at" else None
