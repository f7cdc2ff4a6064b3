# Redis as Debian ships it: server, sentinel and cluster in one binary.
ARG BASE=debian:bookworm-slim
FROM ${BASE}
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends redis-server \
 && ln -sf redis-check-rdb /usr/bin/redis-sentinel \
 && find / -xdev -type f -perm /6000 -exec chmod a-s {} + \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/*
WORKDIR /data
CMD ["redis-server"]
