from __future__ import annotations

from typing import Any

import pytest
from django.test import override_settings

from django_cachepatterns import conf
from django_cachepatterns.exceptions import PolicyError
from tests.testapp.models import Item, Shelf


def test_settings_are_read_live() -> None:
    assert conf.config().enabled
    with override_settings(CACHEPATTERNS={"ENABLED": False, "MARK_TTL": 2}):
        assert not conf.config().enabled
        assert conf.config().mark_ttl == 2000
    assert conf.config().enabled


def test_a_dict_changed_in_place_is_noticed(settings: Any) -> None:
    settings.CACHEPATTERNS = {"KEY_PREFIX": "a"}
    assert conf.config().key_space().root == "a"
    settings.CACHEPATTERNS["KEY_PREFIX"] = "b"
    assert conf.config().key_space().root == "b"


def test_without_the_setting_the_defaults_hold(settings: Any) -> None:
    del settings.CACHEPATTERNS
    assert conf.config().values == conf.DEFAULTS


def test_the_most_specific_policy_wins() -> None:
    policies = {
        "testapp.Item": {"ttl": 1},
        "testapp.*": {"ttl": 2, "jitter": 0.5},
        "*": {"ttl": 3, "negative_ttl": None},
    }
    with override_settings(CACHEPATTERNS={"POLICIES": policies}):
        item, shelf = conf.policy_of(Item), conf.policy_of(Shelf)
    assert (item.ttl, item.jitter, item.negative_ttl) == (1, 0.5, None)
    assert item.lookups == (("slug",), ("shelf", "place")), "the class's own stay"
    assert (shelf.ttl, shelf.jitter) == (2, 0.5)


def test_a_wrong_policy_is_refused_when_it_is_used() -> None:
    with (
        override_settings(CACHEPATTERNS={"POLICIES": {"testapp.Item": {"ttl": 0}}}),
        pytest.raises(PolicyError, match=r"testapp\.Item: ttl is 0.*Set ttl"),
    ):
        conf.policy_of(Item)
