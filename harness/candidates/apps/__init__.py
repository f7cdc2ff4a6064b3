"""Programs that run as application nodes: they speak RESP to clients and read through caches to a source of truth.

A node gets the whole package as one file, ``anachron-apps.pyz``, and runs ``python3 anachron-apps.pyz PROGRAM SETTINGS``. So the
modules import nothing of Anachron but each other, and beyond the standard library only the client library that is under test or
that a database needs. Whatever the servers behind them do, they answer every command: a refusal (``TRYAGAIN``) where certainly
nothing was done, an error (``ERR``) where nobody knows.
"""
