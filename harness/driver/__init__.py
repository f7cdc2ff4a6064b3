"""The driver: sessions become concurrent operations, timestamped at the socket and journalled before they are sent.

``DriverPool`` is what the conductor uses. Behind it, each worker is one process with one thread and one ``Loop`` over
non-blocking sockets, and has its own sessions and keys, so that no state crosses processes.

The loop is our own and not asyncio's because its order within a turn is the point: all answers are received and stamped before
anything is invoked, and a call is stamped and sent at once. Nor is it slower: as bare closed-loop clients of one server on two
cores, plain epoll did 79,000 and 84,000 operations a second on 20 and 50 connections, and a protocol on uvloop 53,000 to 69,000
and 74,000 to 76,000.
"""

from harness.driver.pool import DriverPool
from harness.driver.task import Task

__all__ = ["DriverPool", "Task"]
