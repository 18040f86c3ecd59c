"""What keys say of themselves is what they were made from."""

from __future__ import annotations

import pytest

from django_cachepatterns import keys
from django_cachepatterns.inspection import UnknownKey, name_of, names
from django_cachepatterns.keys import KeySpace

PLAIN, TENANT = KeySpace("cp"), KeySpace("cp", "acme")
FAMILY = PLAIN.family("shop.product")


@pytest.mark.parametrize(
    ("key", "kind", "label", "rest"),
    [
        (keys.row(FAMILY, 42), names.ROW, "shop.product", "42"),
        (keys.row(FAMILY, "a-b.c"), names.ROW, "shop.product", "a-b.c"),
        (keys.row(FAMILY, "~rows"), names.ROW, "shop.product", None),
        (keys.row(FAMILY, "slug=x"), names.ROW, "shop.product", None),
        (keys.row(FAMILY, "x~waiting"), names.ROW, "shop.product", None),
        (keys.lookup(FAMILY, ["slug"], ["x"]), names.LOOKUP, "shop.product", "slug=x"),
        (keys.lookup(FAMILY, ["a", "b"], ["~q:", 1]), names.LOOKUP, "shop.product", None),
        (keys.absences(FAMILY), names.ABSENCES, "shop.product", "~absences"),
        (keys.table(FAMILY), names.TABLE, "shop.product", "~rows"),
        (keys.index(FAMILY, "category_id", 7), names.INDEX, "shop.product", "~category_id=7"),
        (keys.every_index(FAMILY, "rank"), names.EVERY_INDEX, "shop.product", "~rank"),
        (keys.query(FAMILY, "f00"), names.QUERY, "shop.product", "~q:f00"),
        (PLAIN.tag("catalog"), names.TAG, "catalog", "catalog"),
        (b"cp:fn:search:shoe:1", names.FUNCTION, "search:shoe:1", "search:shoe:1"),
        (b"cp:value:config:acme", names.VALUE, "config", "config:acme"),
        (b"cp:value:config:~absences", names.ABSENCES, "config", "config:~absences"),
        (b"cp:fragment:side:f00:en:UTC:7", names.FRAGMENT, "side", "side:f00:en:UTC:7"),
        (b"cp:fragment:side:7~all", names.FRAGMENT_TAG, "side", "side:7~all"),
        (PLAIN.buffer("a.b.views").claim, names.BUFFER, "a.b.views", "{a.b.views}:claim"),
        (b"cp:buffer:tenants", names.BUFFER, "tenants", "tenants"),
        (b"cp:metrics:m:1", names.METRICS, "m:1", "m:1"),
        (keys.row(FAMILY, 42) + b"~waiting", names.WAITING, "shop.product", "42"),
        (keys.row(FAMILY, 42) + b"~wake", names.WAKE, "shop.product", "42"),
        (b"cp:something", names.OTHER, "something", ""),
    ],
)
def test_a_key_is_read_back(key: bytes, kind: str, label: str, rest: str | None) -> None:
    name = name_of(key, "cp")
    assert (name.kind, name.label) == (kind, label)
    assert rest is None or name.rest == rest
    assert (name.root, name.tenant, name.raw) == ("cp", None, key)
    assert name.kind in names.KINDS
    there = name_of(TENANT.root.encode() + key.removeprefix(b"cp"), "cp")
    assert (there.root, there.tenant) == ("tenant:acme:cp", "acme")
    assert (there.kind, there.label, there.rest) == (name.kind, name.label, name.rest)


def test_a_model_of_another_database_and_a_tenant_whose_name_is_not_plain() -> None:
    space = KeySpace("cp", "a: b")
    name = name_of(keys.row(space.family("shop.product", "other"), 1), "cp")
    assert (name.alias, name.database, name.kind) == ("other", "other", names.ROW)
    assert name.tenant is not None
    assert name.tenant.startswith("#")
    assert name.root == space.root
    gone = name_of("cp:shop.product@gone:1", "cp")
    assert (gone.alias, gone.database) == ("gone", None)


def test_a_prefix_may_have_colons_in_it() -> None:
    space = KeySpace("my:shop", "acme")
    name = name_of(keys.row(space.family("shop.product"), 1), "my:shop")
    assert (name.root, name.tenant, name.rest) == ("tenant:acme:my:shop", "acme", "1")


@pytest.mark.parametrize("key", ["", "cp", "cq:shop.product:1", "x:cp:shop.product:1", "tenant:a"])
def test_foreign_keys_are_refused(key: str) -> None:
    with pytest.raises(UnknownKey, match="KEY_PREFIX"):
        name_of(key, "cp")


def test_bytes_that_are_no_text_come_back_the_same() -> None:
    name = name_of(b"cp:fn:\xff\xfe", "cp")
    assert name.raw == b"cp:fn:\xff\xfe"
    assert name.kind == names.FUNCTION
