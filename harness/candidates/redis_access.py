"""How Redis-like nodes of our own let others in: a password, an ACL user, TLS; replicas and the cluster's bus use it, too."""

from __future__ import annotations

import hashlib

from harness.candidates.access import AUTHORITY, CERTIFICATE, KEY, Entrance, secret_lines
from harness.runtimes.base import Endpoint, File

_USERS, _WORDS = "users.acl", "access.conf"
_PRINTABLE = range(0x20, 0x7F)


class Guard(Entrance):
    """What our own nodes are told about who may come in."""

    def arguments(self, own: Endpoint) -> tuple[str, ...]:
        """Where a node listens, and for whom. None of it is secret."""
        arguments = ["--bind", own.host]
        if self.access.tls is None:
            arguments += ["--port", str(own.port)]
        else:
            arguments += ["--port", "0", "--tls-port", str(own.port), "--tls-auth-clients", "no"]
            arguments += ["--tls-ca-cert-file", AUTHORITY, "--tls-cert-file", CERTIFICATE, "--tls-key-file", KEY]
            arguments += ["--tls-replication", "yes", "--tls-cluster", "yes"]
        if self.access.password:
            # Users in the configuration itself could not be read again once a sentinel has had the server write it.
            arguments += ["--aclfile", _USERS, "--include", _WORDS]
        return tuple(arguments)

    def files(self, node: str) -> tuple[File, ...]:
        """What a node reads when it starts."""
        files = [*self.papers(node)]
        if self.access.password:
            files.append(secret_lines(_USERS, *self._users()))
            files.append(secret_lines(_WORDS, *self._words("masteruser", "masterauth")))
        return tuple(files)

    def sentinel(self, name: str) -> list[str]:
        """What a sentinel's file says on how to come in to the nodes that it watches as ``name``, and to other sentinels."""
        if not self.access.password:
            return []
        nodes = self._words(f"sentinel auth-user {name}", f"sentinel auth-pass {name}")
        return [*nodes, *self._words("sentinel sentinel-user", "sentinel sentinel-pass")]

    def _words(self, user: str, password: str) -> list[str]:
        """What a node says to be let in by another: the only lines that need the password itself."""
        lines = [f"{password} {_quoted(self.access.password)}"]
        return [f"{user} {self.access.username}", *lines] if self.access.username else lines

    def _users(self) -> list[str]:
        """One user who may do everything."""
        digest = hashlib.sha256(self.access.password.encode()).hexdigest()
        allowed = f"on #{digest} ~* &* +@all"
        return (
            ["user default off", f"user {self.access.username} {allowed}"]
            if self.access.username
            else [f"user default {allowed}"]
        )


def _quoted(text: str) -> str:
    """``text`` as one word of a configuration file, whatever is in it."""
    return '"' + "".join(chr(b) if b in _PRINTABLE and chr(b) not in '"\\' else f"\\x{b:02x}" for b in text.encode()) + '"'
