"""The driver: sessions become concurrent operations, timestamped at the socket and journalled before they are sent.

``DriverPool`` is what the conductor uses. Behind it, each worker is one process with one thread and one ``Loop`` over
non-blocking sockets, and has its own sessions and keys, so that no state crosses processes.
"""

from harness.driver.pool import DriverPool
from harness.driver.task import Task

__all__ = ["DriverPool", "Task"]
