"""Arguments as parts of keys: two calls share a key exactly where their arguments are the same."""

from __future__ import annotations

import enum
import inspect
import math
import subprocess
import sys
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from django_cachepatterns.arguments import (
    Binder,
    KeyTemplate,
    UnstableArgument,
    default_template,
    stable_text,
)
from django_cachepatterns.exceptions import PolicyError


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Size(enum.IntEnum):
    SMALL = 1
    BIG = 2


class Words(enum.StrEnum):
    RED = "red"


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


Point = namedtuple("Point", "x y")
Size2 = namedtuple("Size2", "x y")


class State:
    def __init__(self, adding: bool) -> None:
        self.adding = adding


class Row:
    """As much of a model instance as is looked at."""

    class _meta:
        label_lower = "shop.product"

    def __init__(self, pk: Any, adding: bool = False) -> None:
        self.pk = pk
        self._state = State(adding)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Row) and self.pk == other.pk

    def __hash__(self) -> int:
        return hash(self.pk)


class Own:
    def __init__(self, key: Any) -> None:
        self.cache_key = key


class OwnMethod(Own):
    def __init__(self, key: Any) -> None:
        self.key = key

    def cache_key(self) -> Any:
        return self.key


def same(one: Any, other: Any) -> bool:
    """Whether two values are of the same types and equal, all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return len(one) == len(other) and all(
            any(same(key, k) and same(value, v) for k, v in other.items())
            for key, value in one.items()
        )
    if isinstance(one, set | frozenset):
        return len(one) == len(other) and all(any(same(a, b) for b in other) for a in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, Row):
        return same(one.pk, other.pk)
    if isinstance(one, datetime) and (one.tzinfo is None) != (other.tzinfo is None):
        return False
    return bool(one == other)


ZONES = st.sampled_from([UTC, timezone(timedelta(hours=2)), timezone(timedelta(minutes=-90))])
TEXTS = st.text(max_size=6) | st.text(alphabet="1-TFn.:#=,aeoru", max_size=6)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-3, 3),
    TEXTS,
    st.sampled_from(["1", "-1", "0", "True", "False", "None", "1.0", "red", "", "shop.product=1"]),
    st.floats(allow_nan=False),
    st.decimals(allow_nan=False),
    st.sampled_from([Decimal("1"), Decimal("1.0"), Decimal("10"), Decimal("1e1"), Decimal("-0")]),
    st.datetimes(),
    st.datetimes(timezones=ZONES),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.uuids(),
    st.binary(max_size=4),
    st.sampled_from([*Color, *Size, *Words, *Rights, Rights.READ | Rights.WRITE]),
)
HASHABLE = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(tuple),
        st.frozensets(inner, max_size=3),
        st.tuples(inner, inner).map(lambda pair: Point(*pair)),
    ),
    max_leaves=4,
)
VALUES = st.recursive(
    HASHABLE | st.builds(Row, SCALARS.filter(lambda pk: pk is not None)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.sets(HASHABLE, max_size=3),
        st.dictionaries(HASHABLE, inner, max_size=3),
    ),
    max_leaves=5,
)


@given(VALUES, VALUES)
@example(1, True)
@example(1, "1")
@example("None", None)
@example([], [""])
@example(["a", "b"], ["a,b"])
@example({"a": "b"}, {"a:b"})
@example(Row(1), "shop.product=1")
@example(Row("1"), Row(1))
@example((1, 2), Point(1, 2))
@example(Color.RED, Words.RED)
@settings(max_examples=600, deadline=None)
def test_two_values_share_a_text_exactly_where_they_are_the_same(one: Any, other: Any) -> None:
    assert (stable_text(one) == stable_text(other)) == same(one, other)


@given(VALUES)
def test_a_text_is_plain(value: Any) -> None:
    text = stable_text(value)
    assert text
    assert text.isascii()
    assert not set(text) & set(" \r\n:,{}/")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (42, "42"),
        (-7, "-7"),
        ("shoe", "shoe"),
        ("jane.doe+x@example.org", "jane.doe+x@example.org"),
        (True, "True"),
        (None, "None"),
        (Row(42), "shop.product=42"),
        (Row("abc"), "shop.product=abc"),
    ],
)
def test_what_is_short_and_plain_can_be_read(value: Any, text: str) -> None:
    assert stable_text(value) == text


@pytest.mark.parametrize(
    "value",
    ["", "a b", "a:b", "é", "x" * 81, "42", "True", "None", "-1", "\ud800", 1.5, 10**90, [1], b"a"],
)
def test_all_else_is_hashed_whole(value: Any) -> None:
    text = stable_text(value)
    assert text.startswith("#")
    assert len(text) == 41


def test_texts_are_the_same_in_every_process() -> None:
    program = (
        "from django_cachepatterns.arguments import stable_text as t\n"
        "print(t({'a', 'b', 'c', 'd'}), t({'x': {1, 2}, 'y': frozenset('qwerty')}), t('a b'))"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(printed) == 1


def test_texts_are_frozen() -> None:
    """Entries on servers are found by them: a change is a cold cache for everybody."""
    assert stable_text("a b") == "#6dc86d8ec578642e7bf007282d4bedb00442748d"
    assert stable_text([1, "x", None]) == "#b6d15d7c070fce7638455556f4e5947cca18969b"


def test_a_subclass_of_str_is_its_text() -> None:
    class Safe(str):
        def __str__(self) -> str:
            return "something else"

    assert stable_text(Safe("shoe")) == stable_text("shoe")
    assert stable_text(Safe("a b")) == stable_text("a b")


def test_aware_datetimes_are_their_instant() -> None:
    noon = datetime(2026, 1, 2, 12, tzinfo=UTC)
    assert stable_text(noon) == stable_text(noon.astimezone(timezone(timedelta(hours=5))))
    assert stable_text(noon) != stable_text(noon.replace(tzinfo=None))
    stable_text(datetime.min.replace(tzinfo=timezone(timedelta(hours=5))))
    stable_text(datetime.max.replace(tzinfo=timezone(timedelta(hours=-5))))


def test_an_object_says_its_own_text() -> None:
    assert stable_text(Own("a")) == stable_text(Own("a"))
    assert stable_text(Own("a")) != stable_text(Own("b"))
    assert stable_text(Own("a")) != stable_text("a")
    assert stable_text(OwnMethod("a")) == stable_text(OwnMethod("a"))
    assert stable_text(OwnMethod("a")) != stable_text(Own("a"))


class Unplain(dict):
    """As Django's QueryDict, which holds more than its items say."""


@pytest.mark.parametrize(
    "value",
    [
        object(),
        Color,
        len,
        math,
        lambda: 1,
        iter([1]),
        range(3),
        float("nan"),
        Decimal("nan"),
        Decimal("snan"),
        [1, [object()]],
        {"a": object()},
        {"a": 1}.values(),
        OrderedDict(a=1),
        Unplain(a=1),
        Row(None),
        Row(1, adding=True),
        [Row(None)],
        Own(7),
        OwnMethod(None),
        1 + 2j,
        bytearray(b"a"),
    ],
)
def test_what_has_no_stable_text_is_refused_with_the_remedy(value: Any) -> None:
    with pytest.raises(UnstableArgument, match=r"cache_key|primary key") as caught:
        stable_text(value, "Argument 'x'")
    assert isinstance(caught.value, TypeError)
    assert str(caught.value).startswith("Argument 'x' is ")


def test_what_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(UnstableArgument, match="contains itself"):
        stable_text(loop)


# Templates


def search(query: Any, page: Any = 1) -> None: ...


def lax(*args: Any, **kwargs: Any) -> None: ...


def mixed(a: Any, /, b: Any = 2, *more: Any, c: Any, d: Any = 4, **rest: Any) -> None: ...


def key(function: Callable[..., Any], template: str, *args: Any, **kwargs: Any) -> str:
    signature = inspect.signature(function)
    return KeyTemplate(template, signature).render(Binder(signature).bind(args, kwargs))


def test_a_key_can_be_read() -> None:
    assert key(search, "search:{query}:{page}", "shoe") == "search:shoe:1"
    assert key(search, "search/{query}-{page}", "shoe", page=2) == "search/shoe-2"
    assert key(search, "nothing", "shoe") == "nothing"
    assert key(search, "{{{query}}}", "shoe") == "{shoe}"


def test_defaults_and_keywords_share_a_key() -> None:
    template = "search:{query}:{page}"
    one = key(search, template, "shoe")
    assert key(search, template, "shoe", 1) == one
    assert key(search, template, query="shoe", page=1) == one
    assert key(search, template, page=1, query="shoe") == one
    assert key(search, template, "shoe", 2) != one


def test_variable_parameters_are_placeholders() -> None:
    template = "lax:{args}:{kwargs}"
    assert key(lax, template, 1, 2, a=3, b=4) == key(lax, template, 1, 2, b=4, a=3)
    assert key(lax, template, 1, 2) != key(lax, template, (1, 2))
    assert key(lax, template, a=1) != key(lax, template, ("a", 1))
    every = "m:{a}:{b}:{more}:{c}:{d}:{rest}"
    assert key(mixed, every, 1, c=3) == key(mixed, every, 1, 2, c=3, d=4)
    assert key(mixed, every, 1, 2, 5, c=3) != key(mixed, every, 1, 2, c=3)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((), {}), ((1, 2, 3), {}), ((1,), {"query": 2}), ((1,), {"other": 2}), ((), {"page": 1})],
)
def test_a_wrong_call_raises_what_the_call_would(args: Any, kwargs: Any) -> None:
    with pytest.raises(TypeError):
        search(*args, **kwargs)
    with pytest.raises(TypeError):
        Binder(inspect.signature(search)).bind(args, kwargs)


def test_attributes_of_an_argument() -> None:
    assert key(search, "q:{query.pk}", Row(7)) == "q:7"
    assert key(search, "q:{query.pk.real}", Row(7)) == "q:7"
    with pytest.raises(UnstableArgument, match=r"query\.nothing.*has no 'nothing'"):
        key(search, "q:{query.nothing}", Row(7))


def test_the_error_names_the_argument() -> None:
    with pytest.raises(UnstableArgument, match=r"argument 'query' is a builtins\.object"):
        key(search, "q:{query}", object())
    with pytest.raises(UnstableArgument, match=r"argument 'query\.pk' is a builtins\.object"):
        key(search, "q:{query.pk}", Row(object()))


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        ("q:{qeury}", r"\{qeury\} is no parameter.*'query', 'page'"),
        ("q:{}", r"\{\} is no parameter"),
        ("q:{0}", r"\{0\} is no parameter"),
        ("q:{query[0]}", "is no parameter"),
        ("q:{query.}", "is no parameter"),
        ("q:{query.a b}", "is no parameter"),
        ("q:{query:>5}", "format or a conversion"),
        ("q:{query!r}", "format or a conversion"),
        ("q:{query:{page}}", "format or a conversion"),
        ("{query}{page}", "nothing separates"),
        ("q:{query", "Close every brace"),
        ("q:query}", "Close every brace"),
        ("q:{query}}", "Close every brace"),
        (5, "5 is no text"),
    ],
)
def test_a_template_that_does_not_fit_is_refused(template: str, fault: str) -> None:
    with pytest.raises(PolicyError, match=fault):
        KeyTemplate(template, inspect.signature(search))


def test_a_function_without_parameters_says_so() -> None:
    with pytest.raises(PolicyError, match="Its parameters: none"):
        KeyTemplate("q:{x}", inspect.signature(lambda: None))


def test_a_value_with_the_separator_in_it_is_hashed() -> None:
    assert key(search, "{query}-{page}", "a", "b") == "a-b"
    assert key(search, "{query}-{page}", "a-b", "c").startswith("#")
    assert key(search, "{query}-{page}", "a", "b-c") == "a-b-c"
    assert key(search, "{query}-{page}", -1, 1).startswith("#")


SEPARATORS = st.text(alphabet="-:#0a=.1, ", min_size=1, max_size=3)
NASTY = st.one_of(
    st.text(alphabet="-#0a=.1", max_size=5),
    st.integers(-20, 20),
    st.booleans(),
    st.none(),
    st.builds(Row, st.integers(0, 11) | st.text(alphabet="-0a.1", min_size=1, max_size=3)),
    st.lists(st.integers(0, 1), max_size=2),
)


@given(
    st.lists(st.text(alphabet="-:#0a=.1", max_size=2), min_size=2, max_size=2),
    SEPARATORS,
    SEPARATORS,
    st.tuples(NASTY, NASTY, NASTY),
    st.tuples(NASTY, NASTY, NASTY),
)
@settings(max_examples=1500, deadline=None)
def test_different_arguments_give_different_keys(
    ends: list[str], first: str, second: str, one: Any, other: Any
) -> None:
    def function(a: Any, b: Any, c: Any) -> None: ...

    template = f"{ends[0]}{{a}}{first}{{b}}{second}{{c}}{ends[1]}"
    assert (key(function, template, *one) == key(function, template, *other)) == same(one, other)


@given(st.text(alphabet="-#0a", max_size=7), st.sampled_from("-0a#"))
def test_however_a_text_is_cut_in_two_the_keys_differ(text: str, separator: str) -> None:
    keys = [
        key(search, f"{{query}}{separator}{{page}}", text[:at], text[at + 1 :])
        for at, each in enumerate(text)
        if each == separator
    ]
    assume(len(keys) > 1)
    assert len(set(keys)) == len(keys)


def test_the_default_template_has_every_parameter() -> None:
    signature = inspect.signature(mixed)
    template = default_template(mixed, signature)
    assert template == f"{__name__}.mixed:{{a}}:{{b}}:{{more}}:{{c}}:{{d}}:{{rest}}"
    KeyTemplate(template, signature)


class Base:
    def method(self, n: int) -> None: ...


class Derived(Base): ...


def test_the_first_parameter_may_be_a_class() -> None:
    one, other = (key(Base.method, "{self}:{n}", each, 1) for each in (Base, Derived))
    assert one != other
    with pytest.raises(UnstableArgument, match="is the class"):
        key(Base.method, "{self}:{n}", Base, Base)


def test_uuid_and_text_of_it_differ() -> None:
    value = UUID(int=7)
    assert stable_text(value) != stable_text(str(value))
    assert stable_text(date(2026, 1, 2)) != stable_text(datetime(2026, 1, 2))  # noqa: DTZ001
    assert stable_text(time(1)) != stable_text("01:00:00")
