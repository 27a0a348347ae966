"""What a recipe says of microcontrollers: the boards that a variant is for, and where they may keep a model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dunlin_contract.fit import MODEL_STORES
from dunlin_contract.limits import LIMITS
from dunlin_contract.vocabulary import Checks, suggestion
from model_packager.words import VOCABULARY

MICRO_STORE = "plain-flash"
"""Where a microcontroller keeps a model, which it executes in place; every other device keeps it elsewhere."""
_EXAMPLE = '{ hardware = "nucleo-f746zg", arena_kib = 96, slot_kib = 256 }'


@dataclass(frozen=True, slots=True)
class Board:
    """A microcontroller that a variant is for, in its own words: bytes of its arena and of one slot."""

    hardware: str
    arena_bytes: int
    slot_bytes: int


def hardware(check: Checks, words: Sequence[Any]) -> tuple[str, ...]:
    """Hardware classes, ascending. Raises RecipeError."""
    if not all(isinstance(word, str) and 0 < len(word.encode()) <= 64 for word in words):
        check.fail("hardware must be a list of hardware classes, as devices report them", "hardware")
    return tuple(sorted(set(words)))


def kib(check: Checks, table: dict[str, Any], key: str) -> int:
    """Bytes of a value in KiB. Raises RecipeError."""
    return int(check.real(table, key, 1, 2**32) * 1024)


def boards(check: Checks, variant: dict[str, Any]) -> tuple[Board, ...]:
    """The boards that a microcontroller's variant is for. Raises RecipeError."""
    tables, most = variant.get("boards", []), LIMITS.hardware_classes
    if not 1 <= len(tables) <= most or not all(isinstance(table, dict) for table in tables):
        text = f"{variant['kind']} needs boards, 1 to {most} tables such as {_EXAMPLE}"
        check.fail(text, "boards" if "boards" in variant else variant["kind"])
    found = []
    for table in tables:
        check.words("board", table)
        for key in VOCABULARY["board"]:
            if key not in table:
                check.fail(f"a board lacks {key}: write it as {_EXAMPLE}", "boards")
        (name,) = hardware(check, [table["hardware"]])
        found.append(Board(name, kib(check, table, "arena_kib"), kib(check, table, "slot_kib")))
    if len({board.hardware for board in found}) != len(found):
        check.fail("boards: two are of one hardware class; keep the smaller", "boards")
    return tuple(found)


def own_words(check: Checks, variant: dict[str, Any], alone: bool) -> None:
    """What a microcontroller's variant does not share with others; ``alone``: there are none. Raises RecipeError."""
    kind, budget = variant["kind"], variant.get("budget", {})
    if "hardware" in variant:
        check.fail(f"{kind} takes boards instead of hardware, tables such as {_EXAMPLE}", "hardware")
    if "memory_mb" in budget:
        check.fail(
            f"{kind} promises no memory_mb: the memory that it needs is its arena, which is measured", "memory_mb"
        )
    if not alone and "p95_ms" not in budget:
        check.fail(f"{kind} needs a p95_ms of its own in [variant.budget]: a microcontroller is slower", kind)


def stores(check: Checks, words: Sequence[Any], kinds: Sequence[tuple[str, bool]]) -> tuple[str, ...]:
    """The model stores that the release accepts, ascending; ``kinds``: of the variants, and which is for these boards.

    Raises:
        RecipeError: a word is not known, or no device that a variant is for could have the release.
    """
    for word in words:
        if word not in MODEL_STORES:
            check.fail(f"stores: {word!r} is not known{suggestion(str(word), MODEL_STORES)}", str(word))
    for kind, micro in kinds:
        possible = [store for store in MODEL_STORES if (store == MICRO_STORE) == micro]
        if words and not set(possible) & set(words):
            text = f"stores refuses every device that {kind} is for: accept {' or '.join(possible)}"
            check.fail(f"{text}, or leave the variant out", "stores")
    return tuple(sorted(set(words)))
