"""The panels of the first page, in their order."""

from __future__ import annotations

from . import Panel, audit, memory, policies, register, server, speed, summary, write_behind

register(Panel("summary", "At a glance", summary.of_all, wide=True, of_figures=True))
register(Panel("hit_rate", "Hit rate", policies.hit_rate, wide=True, of_figures=True))
register(Panel("advice", "What to do", policies.advice, wide=True, of_figures=True))
register(Panel("policies", "Policies", policies.table, wide=True, of_figures=True))
register(Panel("latency", "Latency", speed.latency, wide=True, of_figures=True))
register(Panel("hottest", "Hottest keys", policies.hottest, of_figures=True))
register(Panel("memory", "Memory", memory.of_all, later=True))
register(Panel("write_behind", "Write-behind", write_behind.buffers, wide=True))
register(Panel("server", "Server", server.health))
register(Panel("audit", "Consistency", audit.last))
