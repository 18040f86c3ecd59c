"""Which tables a statement reads, and what it calls, told from its text.

Django quotes every table's name, so an unquoted one where a table must stand is somebody's raw SQL.
This is no parser of SQL: it knows literals, quoted names, words and parentheses, and after which
words a table comes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_TOKEN = re.compile(
    r"""
      (?P<literal>\b[eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    | (?P<quoted>"(?:[^"]|"")*" | `(?:[^`]|``)*`)
    | (?P<word>[^\W\d][\w$]*)
    | (?P<mark>[(),.])
    | --[^\n]* | /\*.*?\*/ | %. | \d[\w.]* | .
    """,
    re.VERBOSE | re.DOTALL,
)
_VOLATILE = re.compile(
    r"""(?:
        (?:RANDOM\w*|RAND|NOW|CLOCK_TIMESTAMP|STATEMENT_TIMESTAMP|TRANSACTION_TIMESTAMP|TIMEOFDAY
          |SYSDATE|SYSTIMESTAMP|UTC_DATE|UTC_TIME|UTC_TIMESTAMP|UNIX_TIMESTAMP|CURDATE|CURTIME
          |GEN_RANDOM_UUID|UUID_GENERATE_V[0-9]\w*|UUIDV[47]|UUID|NEXTVAL|CURRVAL|LASTVAL
          |CURRENT_SETTING|PG_BACKEND_PID|AGE|SETSEED)(?P<called>)
        |CURRENT_TIMESTAMP|CURRENT_DATE|CURRENT_TIME|LOCALTIMESTAMP|LOCALTIME
        |CURRENT_USER|SESSION_USER|CURRENT_ROLE
    )\Z""",
    re.VERBOSE,
)
_MOMENTS = frozenset({"now", "today", "tomorrow", "yesterday"})
_BEFORE_A_TABLE = frozenset({"FROM", "JOIN", "STRAIGHT_JOIN", "TABLE"})
_STILL_BEFORE_IT = frozenset({"ONLY", "LATERAL"})
_QUERY = frozenset({"SELECT", "VALUES", "WITH"})
_AFTER_THE_TABLES = _QUERY | {
    *("WHERE", "GROUP", "HAVING", "WINDOW", "ORDER", "LIMIT", "OFFSET", "FETCH", "FOR"),
    *("UNION", "INTERSECT", "EXCEPT", "RETURNING", "SET"),
}
_WITH_A_FROM_OF_THEIR_OWN = frozenset({"EXTRACT", "TRIM", "SUBSTRING", "OVERLAY"})


class Reading(NamedTuple):
    """What a statement reads.

    Args:
        tables: names of tables, quotes taken off, as often as they are read.
        names: every quoted name, wherever it stands.
        unquoted: the first table whose name is not quoted; `None`: all are.
        volatile: the first thing that gives something else every time; `None`: none does.
    """

    tables: tuple[str, ...]
    names: frozenset[str]
    unquoted: str | None
    volatile: str | None


class _Token(NamedTuple):
    kind: str
    text: str

    @property
    def name(self) -> str:
        """A quoted name without its quotes, or a word."""
        mark = self.text[0]
        return self.text[1:-1].replace(mark * 2, mark) if self.kind == "quoted" else self.text


def read(sql: str) -> Reading:
    """What a statement reads, as Django compiled it: with placeholders for its parameters."""
    tokens = [
        _Token(found.lastgroup, found[found.lastgroup])
        for found in _TOKEN.finditer(sql)
        if found.lastgroup in ("literal", "quoted", "word", "mark")
    ]
    tables = list(_tables(tokens))
    own = _names_of_with(tokens)
    return Reading(
        tuple(each.name for each in tables if each.name not in own),
        frozenset(each.name for each in tokens if each.kind == "quoted"),
        next((each.text for each in tables if each.kind == "word" and each.text not in own), None),
        next(_volatile(tokens), None),
    )


def _tables(tokens: list[_Token]) -> Iterator[_Token]:
    """What stands where a table must; of a name with its schema, the last part."""
    inside = [""]  # The function whose parentheses this is in, or nothing.
    listing = [False]  # Whether these are a FROM's tables, so that a comma is followed by one.
    expected = False
    for at, token in enumerate(tokens):
        word = token.text.upper() if token.kind == "word" else ""
        before = tokens[at - 1].text.upper() if at else ""
        if token.text == "(":
            inside.append(before)
            listing.append(expected)
        elif token.text == ")":
            expected = False
            if len(inside) > 1:
                inside.pop()
                listing.pop()
        elif token.text == ",":
            expected = listing[-1]
        elif word in _BEFORE_A_TABLE:
            expected = before != "DISTINCT" and inside[-1] not in _WITH_A_FROM_OF_THEIR_OWN
            listing[-1] = listing[-1] or expected
        elif word in _AFTER_THE_TABLES:
            listing[-1] = expected = False
        elif expected and _is_name(token) and _text_at(tokens, at + 1) != ".":
            expected = False
            yield token


def _is_name(token: _Token) -> bool:
    word = token.kind == "word" and token.text.upper() not in _STILL_BEFORE_IT
    return word or token.kind == "quoted"


def _names_of_with(tokens: list[_Token]) -> set[str]:
    """The names that `WITH name (columns) AS (` gives to queries."""
    if not any(token.text.upper() == "WITH" for token in tokens):
        return set()
    found = set()
    for at, token in enumerate(tokens):
        if token.kind == "word" and token.text.upper() == "AS":
            after = at + 1
            while _text_at(tokens, after) in ("NOT", "MATERIALIZED"):
                after += 1
            if _text_at(tokens, after) == "(":
                found.add(tokens[_before_columns(tokens, at - 1)].name)
    return found


def _before_columns(tokens: list[_Token], at: int) -> int:
    """The index of the name in front of a list of columns, if there is one."""
    if tokens[at].text == ")":
        while at and tokens[at].text != "(":
            at -= 1
        at -= 1
    return at


def _volatile(tokens: list[_Token]) -> Iterator[str]:
    for at, token in enumerate(tokens):
        if token.kind == "literal" and token.text.strip("eE'").lower() in _MOMENTS:
            yield token.text
        found = _VOLATILE.match(token.text.upper()) if token.kind == "word" else None
        if found and (found["called"] is None or _text_at(tokens, at + 1) == "("):
            yield token.text


def _text_at(tokens: list[_Token], at: int) -> str:
    return tokens[at].text.upper() if at < len(tokens) else ""
