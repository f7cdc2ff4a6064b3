# Varnish as Debian ships it. It compiles its configuration when it starts, so the compiler stays.
ARG BASE=debian:bookworm-slim
FROM ${BASE}
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends varnish \
 && find / -xdev -type f -perm /6000 -exec chmod a-s {} + \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/*
CMD ["varnishd", "-F", "-f", "/etc/varnish/default.vcl"]
