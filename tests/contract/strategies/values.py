"""Hypothesis strategies: the values that records are made of."""

from typing import Any

from hypothesis import strategies as st

from dunlin_contract import fit, manifest
from dunlin_contract.limits import LIMITS

HIDDEN = [*range(0x20), *range(0x7F, 0xA0), *range(0x2028, 0x202F), *range(0x2066, 0x206A), *range(0xD800, 0xE000)]


def text(most: int, least: int = 0) -> st.SearchStrategy[str]:
    letters = st.characters(exclude_characters="".join(map(chr, HIDDEN)), exclude_categories=["Cs"])
    return st.text(letters, max_size=most // 4).filter(lambda one: least <= len(one.encode()) <= most)


def uint(most: int, least: int = 0) -> st.SearchStrategy[int]:
    return st.integers(least, most)


digest = st.binary(min_size=32, max_size=32)
id16 = st.binary(min_size=16, max_size=16)
kid = st.binary(min_size=8, max_size=8)
spki = st.binary(min_size=91, max_size=91)
der = st.binary(min_size=1, max_size=64)
name = st.from_regex(r"\A[a-z0-9][a-z0-9-]{0,31}\Z")
kind = st.from_regex(r"\A[a-z0-9][a-z0-9-]{0,23}\Z")
device = st.from_regex(r"\A[a-z0-9-]{1,36}\Z").filter(lambda one: one != "obj")
version = st.from_regex(r"\A[1-9]\d{0,3}\.(0|[1-9]\d{0,3})\.0(-[a-z][a-z0-9]{0,8})?\Z").filter(str.isascii)
word = text(64, 1)
u32 = uint(2**32 - 1)
sequence = uint(LIMITS.sequence)
unix_time = uint(LIMITS.time_s)
real = st.floats(allow_nan=False, allow_infinity=False)
positive = st.floats(min_value=0, allow_nan=False, allow_infinity=False)
runtime = st.sampled_from(fit.RUNTIMES)
version3 = st.tuples(u32, u32, u32)
dtype = st.sampled_from(manifest.DTYPES)


def maybe(one: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | one


def tuples(one: st.SearchStrategy[Any], most: int, least: int = 0) -> st.SearchStrategy[Any]:
    return st.lists(one, min_size=least, max_size=most).map(tuple)


def ascending(one: st.SearchStrategy[Any], most: int, least: int = 0) -> st.SearchStrategy[Any]:
    return st.lists(one, min_size=least, max_size=most, unique=True).map(lambda items: tuple(sorted(items)))


def table(key: st.SearchStrategy[Any], value: st.SearchStrategy[Any], most: int = 3) -> st.SearchStrategy[Any]:
    return st.dictionaries(key, value, max_size=most)
