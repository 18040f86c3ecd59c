"""Which tables a statement reads, and what it calls."""

from __future__ import annotations

import pytest

from django_cachepatterns.orm.sql import read

TABLES: dict[str, tuple[str, tuple[str, ...]]] = {
    "one": ('SELECT "a"."id" FROM "a" WHERE "a"."b" = %s', ("a",)),
    "joins": (
        'SELECT 1 FROM "a" INNER JOIN "b" ON ("a"."x" = "b"."y") LEFT JOIN "c"',
        tuple("abc"),
    ),
    "the same twice": ('SELECT 1 FROM "a" INNER JOIN "a" T3 ON (1 = 1)', ("a", "a")),
    "commas": ('SELECT 1, "x" FROM "a" U0 , "b" WHERE "c" IN (%s, %s)', ("a", "b")),
    "a comma after a condition": ('SELECT 1 FROM "a" JOIN "b" ON ("x", "y"), "c"', tuple("abc")),
    "a subquery": ('SELECT 1 FROM (SELECT "b" FROM "a" WHERE 1 = 1) "sub", "c"', ("a", "c")),
    "parentheses": ('SELECT 1 FROM ("a" CROSS JOIN "b") WHERE "x" = 1', ("a", "b")),
    "in an expression": ('SELECT (SELECT MAX("x") FROM "a"), "y" FROM "b"', ("a", "b")),
    "a union": ('(SELECT 1 FROM "a" ORDER BY 1, "x") UNION ALL (SELECT 2 FROM "b")', ("a", "b")),
    "a schema": ('SELECT 1 FROM "public"."a" JOIN "other"."b" ON (1 = 1)', ("a", "b")),
    "only": ('SELECT 1 FROM ONLY "a"', ("a",)),
    "lateral": ('SELECT 1 FROM "a", LATERAL (SELECT 1 FROM "b") x', ("a", "b")),
    "a quote in a name": (
        """SELECT 'x' FROM "it's" WHERE "y" = 'it''s' AND "z" = '"'""",
        ("it's",),
    ),
    "a double quote in a name": ('SELECT 1 FROM "a""b"', ('a"b',)),
    "backticks": ("SELECT `a`.`x` FROM `a` JOIN `b` ON (1 = 1)", ("a", "b")),
    "with": (
        'WITH RECURSIVE "t" ("x", "y") AS (SELECT 1 FROM "a"), u AS MATERIALIZED (SELECT 2) '
        'SELECT 1 FROM "t" JOIN u ON (1 = 1) JOIN "b" ON (1 = 1)',
        ("a", "b"),
    ),
    "a literal": (
        """SELECT ' FROM "x" ', E'it\\'s FROM "y"', $q$ FROM "z" $q$ FROM "a\"""",
        ("a",),
    ),
    "a comment": ('SELECT 1 FROM "a" -- FROM "x"\n, "b" /* FROM "y" */', ("a", "b")),
    "extract": ('SELECT EXTRACT(YEAR FROM ("a"."x") AT TIME ZONE %s) FROM "a"', ("a",)),
    "trim": (
        """SELECT TRIM(BOTH ' ' FROM "a"."x"), SUBSTRING("x" FROM 2 FOR 3) FROM "a\"""",
        ("a",),
    ),
    "distinct from": ('SELECT 1 FROM "a" WHERE "x" IS DISTINCT FROM "y"', ("a",)),
    "lines": ('SELECT 1\nFROM\n\t"a"\n,\n"b"', ("a", "b")),
    "too many parentheses": ('SELECT 1)) FROM "a"', ("a",)),
}


@pytest.mark.parametrize("name", TABLES)
def test_the_tables_of_a_statement(name: str) -> None:
    sql, tables = TABLES[name]
    found = read(sql)
    assert found.tables == tables
    assert found.unquoted is None
    assert found.volatile is None


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        ("SELECT 1 FROM shop_product", "shop_product"),
        ('SELECT 1 FROM "a", shop_product p', "shop_product"),
        ('SELECT 1 FROM (shop_product CROSS JOIN "a")', "shop_product"),
        ('SELECT 1 FROM "a" NATURAL JOIN public.shop_product', "shop_product"),
        ("TABLE shop_product", "shop_product"),
        ("SELECT 1 FROM generate_series(1, 2)", "generate_series"),
        ('SELECT 1 FROM "a" WHERE EXISTS (SELECT 1 FROM Käse)', "Käse"),
    ],
)
def test_a_table_whose_name_is_not_quoted(sql: str, name: str) -> None:
    assert read(sql).unquoted == name


@pytest.mark.parametrize(
    ("sql", "call"),
    [
        ("SELECT STATEMENT_TIMESTAMP()", "STATEMENT_TIMESTAMP"),
        ("SELECT now ()", "now"),
        ("SELECT CURRENT_DATE", "CURRENT_DATE"),
        ("SELECT RANDOM()", "RANDOM"),
        ("SELECT random_normal(1, 2)", "random_normal"),
        ("SELECT gen_random_uuid()", "gen_random_uuid"),
        ("SELECT 'now'::timestamptz", "'now'"),
        ("SELECT STRFTIME('%%Y', 'NOW')", "'NOW'"),
        ("SELECT nextval('s')", "nextval"),
        ("SELECT AGE(%s)", "AGE"),
    ],
)
def test_what_gives_something_else_every_time(sql: str, call: str) -> None:
    assert read(sql).volatile == call


@pytest.mark.parametrize(
    "sql",
    [
        'SELECT "now"() FROM "current_date"',
        'SELECT age, uuid, random FROM "a"',
        "SELECT 'now and then', ' now', 'random()'",
        "SELECT image_page(1), nowhere(2)",
    ],
)
def test_what_only_looks_like_it(sql: str) -> None:
    assert read(sql).volatile is None
