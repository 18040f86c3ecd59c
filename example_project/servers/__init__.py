"""PostgreSQL and Valkey out of wheels: the same servers for the tests, the benchmarks and the demo.

    with running_servers() as servers:
        servers.database_url, servers.redis_url

``DATABASE_URL`` and ``REDIS_URL`` in the environment name servers that are running already; for
those nothing is started. ``python -m example_project.servers -- CMD`` runs a command with both set.
"""

from .running import Servers, running_servers
from .valkey import Valkey, running_valkey

__all__ = ["Servers", "Valkey", "running_servers", "running_valkey"]
