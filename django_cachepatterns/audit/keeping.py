"""What the last audits have found, kept on the cache server for the dashboard and the next one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace

from .. import conf
from ..stores import RedisInspector, inspector_of
from .report import AuditReport, Finding, finding_from

KEPT_FOR = 30 * 24 * 3600
"""Seconds."""
MOST_KEPT = 100
"""Findings that are kept, of however many audits."""


def last() -> AuditReport | None:
    """The last report; `None` where there is none, or another version of the library wrote it.

    Raises `StoreUnavailable`, and `PolicyError` where the settings name no server.
    """
    return _report("last")


def last_complete() -> AuditReport | None:
    """The report of the last audit that looked at every key. Raises as `last()`."""
    return _report("complete")


def recent() -> list[Finding]:
    """The latest findings of all audits, newest first; at most `MOST_KEPT`. Raises as `last()`."""
    found = []
    for text in inspector_of(conf.config()).newest(_key("findings"), MOST_KEPT):
        try:
            found.append(finding_from(json.loads(text)))
        except (ValueError, TypeError, AttributeError):
            continue  # Of another version of the library.
    return found


def keep(report: AuditReport, inspector: RedisInspector) -> None:
    """Keep a report, with the first of its findings."""
    findings = report.findings[:MOST_KEPT]
    text = json.dumps(replace(report, findings=findings).as_json(), default=str).encode()
    inspector.keep(_key("last"), text, KEPT_FOR)
    if report.is_complete:
        inspector.keep(_key("complete"), text, KEPT_FOR)
    keep_findings(findings, inspector)


def cursor(inspector: RedisInspector) -> bytes:
    """Where the last sample ended, for the next one to go on; `0` where nobody knows."""
    found = inspector.store.get(_key("cursor"))
    return found if found and found.isdigit() else b"0"


def keep_cursor(at: bytes, inspector: RedisInspector) -> None:
    """Keep where a sample ended."""
    inspector.keep(_key("cursor"), at, KEPT_FOR)


def keep_findings(findings: Sequence[Finding], inspector: RedisInspector) -> None:
    """Keep findings for `recent()`."""
    texts = [json.dumps(asdict(each)).encode() for each in findings]
    inspector.prepend(_key("findings"), texts, MOST_KEPT, KEPT_FOR)


def _report(name: str) -> AuditReport | None:
    data = inspector_of(conf.config()).store.get(_key(name))
    if not data:
        return None
    try:
        return AuditReport.from_json(json.loads(data))
    except (ValueError, TypeError, LookupError, AttributeError):
        return None


def _key(name: str) -> bytes:
    """Of no tenant: an audit is of all."""
    return f"{conf.config().values['KEY_PREFIX']}:metrics:audit:{name}".encode()
