"""The cache servers of ``http-caches``: how Varnish and nginx are told to keep what the origin allows, and to forget it.

Everything that is set differently from the servers' own defaults has its reason beside it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from string import Template

from harness.candidates.access import AUTHORITY, CERTIFICATE, KEY, secret_lines
from harness.clients.access import Access
from harness.clients.http import HOST, authorization
from harness.clients.http_answers import Answer
from harness.runtimes.base import Endpoint, File, Server


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """What a cache is told.

    Attributes:
        node: its name.
        own: where it listens.
        origin: where it reaches the origin.
        purger: the address that purges come from.
        secret: a word that only the origin and the caches know.
        grace_ms, timeout_ms: how long a copy may be served past its time while it is fetched anew; how long the origin may take.
        use_stale: whether a copy of any age is served while it is fetched anew, and where the origin fails.
        memory_mb: how much it may keep.
        image: of its container.
        access: how clients are let in, and how it is let in by the origin.
        papers: what it shows to others where there is TLS.
    """

    node: str
    own: Endpoint
    origin: Endpoint
    purger: str
    secret: str
    grace_ms: int
    timeout_ms: int
    use_stale: bool
    memory_mb: int
    image: str
    access: Access
    papers: tuple[File, ...]


@dataclass(frozen=True, slots=True)
class CacheServer:
    """A kind of cache server.

    Attributes:
        server: how it is run.
        purge: the request that makes it forget ``{path}``, but for the empty line at its end; ``{secret}`` stands for the secret
            word.
        product: its name and version, as an answer tells that it passed on.
    """

    server: Callable[[CacheSettings], Server]
    purge: str
    product: Callable[[Answer], str]


def _varnish(told: CacheSettings) -> Server:
    files, guarded = [], bool(told.access.password)
    if guarded:
        # A file apart: what stands in the configuration is compiled into a library, which stays.
        files.append(File(_AUTHORIZATION, authorization(told.access).encode(), secret=True))
    arguments = (
        "-F",
        *("-a", f"{told.own.host}:{told.own.port}"),
        # Its own names for its directories must be absolute; the node's directory is wherever it is started.
        *("-n", "/proc/self/cwd", "-f", "/proc/self/cwd/cache.vcl"),
        *("-j", "none"),  # no second user, who could not enter that directory
        *("-T", "none"),  # nobody administers it
        *("-s", f"malloc,{told.memory_mb}m"),
        *("-p", "timeout_idle=3600"),  # clients keep their connections; the default is five seconds
        *(("-p", "vsl_mask=-ReqHeader,-ReqUnset,-BereqHeader,-BereqUnset") if guarded else ()),  # its log is a file, which stays
    )
    vcl = _VCL.substitute(
        origin_host=told.origin.host,
        origin_port=told.origin.port,
        purger=told.purger,
        grace=f"{told.grace_ms}ms",
        timeout=f"{told.timeout_ms}ms",
        guard=_VARNISH_GUARD if guarded else "",
        introduction=_VARNISH_INTRODUCTION if guarded else "",
    )
    return Server(told.node, "varnishd", arguments, image=told.image, files=(File("cache.vcl", vcl.encode()), *files))


def _varnish_product(answer: Answer) -> str:
    found = re.search(rb"Varnish/([0-9.]+)", answer.header(b"via"))
    return f"Varnish {found[1].decode()}" if found else "Varnish"


def _nginx(told: CacheSettings) -> Server:
    conf = _NGINX.substitute(
        own=f"{told.own.host}:{told.own.port}",
        origin=f"{told.origin.host}:{told.origin.port}",
        secret=told.secret,
        timeout=f"{told.timeout_ms}ms",
        use_stale="proxy_cache_use_stale updating error timeout;" if told.use_stale else "",
        memory=f"{told.memory_mb}m",
        host=HOST,
        listens="ssl" if told.access.tls else "",
        scheme="https" if told.access.tls else "http",
        tls=_NGINX_TLS if told.access.tls else "",
        guard=_NGINX_GUARD.substitute(authorization=authorization(told.access)) if told.access.password else "",
    )
    files = [File("nginx.conf", conf.encode(), secret=True), *told.papers]
    if told.access.password:
        files.append(secret_lines(_USERS, f"{told.access.name}:{_salted(told.access.password)}"))
    return Server(told.node, "nginx", ("-p", ".", "-c", "nginx.conf", "-e", "stderr"), image=told.image, files=tuple(files))


def _salted(password: str) -> str:
    """A password as nginx looks it up, which can be any bytes."""
    salt = secrets.token_bytes(8)
    digest = hashlib.sha1(password.encode() + salt).digest()  # noqa: S324 - none better is understood by nginx on every system
    return f"{{SSHA}}{b64encode(digest + salt).decode()}"


def _nginx_product(answer: Answer) -> str:
    return answer.header(b"server").decode(errors="replace").replace("/", " ")[:40] or "nginx"


CACHE_SERVERS: Mapping[str, CacheServer] = {
    # Only the origin's address may purge.
    "varnish": CacheServer(_varnish, f"PURGE {{path}} HTTP/1.1\r\nHost: {HOST}\r\n", _varnish_product),
    # The free edition has no purge. Who knows the secret passes the copy by, and what is fetched takes its place.
    "nginx": CacheServer(_nginx, f"GET {{path}} HTTP/1.1\r\nHost: {HOST}\r\nX-Refresh: {{secret}}\r\n", _nginx_product),
}

_AUTHORIZATION, _USERS = "authorization", "users"

# Who brings a password is not asked for it by the origin, or nothing would be kept for the next one.
_VARNISH_GUARD = f"""
    if (req.http.Authorization != std.fileread("/proc/self/cwd/{_AUTHORIZATION}")) {{
        return (synth(401));
    }}
    unset req.http.Authorization;
"""

_VARNISH_INTRODUCTION = f"""
sub vcl_backend_fetch {{
    set bereq.http.Authorization = std.fileread("/proc/self/cwd/{_AUTHORIZATION}");
}}
"""

_NGINX_GUARD = Template(f"""
        auth_basic anachron;
        auth_basic_user_file {_USERS};
        proxy_set_header Authorization "$authorization";
""")

_NGINX_TLS = f"""
        ssl_certificate {CERTIFICATE};
        ssl_certificate_key {KEY};
        proxy_ssl_verify on;
        proxy_ssl_trusted_certificate {AUTHORITY};
        proxy_ssl_name origin;
"""

_VCL = Template("""\
vcl 4.1;

import blob;
import std;

backend origin {
    .host = "$origin_host";
    .port = "$origin_port";
    .connect_timeout = $timeout;
    .first_byte_timeout = $timeout;
    .between_bytes_timeout = $timeout;
}

acl purgers {
    "$purger";
}

sub vcl_init {
    # Made anew whenever the process that serves begins, with an empty cache.
    new run = blob.blob(IDENTITY, std.time2real(now, 0.0) + "-" + std.random(0, 1000000000));
}

sub vcl_recv {$guard
    if (req.url == "/-/identity") {
        return (synth(200, "run " + run.encode(IDENTITY)));
    }
    if (req.url == "/-/through") {
        set req.url = "/-/identity";
        return (pass);
    }
    if (req.method == "PURGE") {
        if (client.ip !~ purgers) {
            return (synth(405));
        }
        return (purge);
    }
}

sub vcl_backend_response {
    set beresp.grace = $grace;
}
$introduction
sub vcl_synth {
    set resp.body = resp.reason;
    return (deliver);
}
""")

_NGINX = Template("""\
daemon off;
master_process off;  # one process: who ends it has ended all of it
pid nginx.pid;
error_log stderr warn;

events {
    worker_connections 4096;
}

http {
    access_log off;
    default_type text/plain;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;

    # Clients keep their connections.
    keepalive_timeout 1h;
    keepalive_requests 1000000000;

    proxy_cache_path cache keys_zone=cache:10m max_size=$memory use_temp_path=off;

    map $$http_x_refresh $$refresh {
        default "";
        "$secret" 1;
    }

    upstream origin {
        server $origin max_fails=0;
        keepalive 32;
    }

    server {
        listen $own $listens;
$tls$guard        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $host;
        proxy_connect_timeout $timeout;
        proxy_send_timeout $timeout;
        proxy_read_timeout $timeout;

        location = /-/identity {
            return 200 "process $$pid";
        }

        location = /-/through {
            proxy_pass $scheme://origin/-/identity;
        }

        location / {
            proxy_pass $scheme://origin;
            proxy_cache cache;
            proxy_cache_key $$request_uri;
            proxy_cache_bypass $$refresh;
            proxy_cache_background_update on;
            $use_stale
        }
    }
}
""")
