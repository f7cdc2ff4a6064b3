"""What sessions do, one file each. Another workload is one more file and line here, or ``package.module:Class`` in a plan."""

from harness.registry import Registry
from workloads.base import Several, Shard, Workload, WorkloadFactory

__all__ = ["WORKLOADS", "Several", "Shard", "Workload", "WorkloadFactory"]

WORKLOADS: Registry[WorkloadFactory] = Registry(
    "workload",
    {
        "register": "workloads.register:Register",
        "cold-register": "workloads.cold_register:ColdRegister",
        "session-hop": "workloads.session_hop:SessionHop",
        "multi-key": "workloads.multi_key:MultiKey",
    },
)
