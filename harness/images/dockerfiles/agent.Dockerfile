# What the harness works with beside the nodes: rules for their packets, and the shim that bends their clocks.
ARG BASE=debian:bookworm-slim
FROM ${BASE}
COPY clock_shim.c /tmp/
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends conntrack nftables iproute2 iputils-ping python3-minimal \
 && apt-get install -y -qq --no-install-recommends gcc libc6-dev \
 && mkdir -p /usr/local/lib/anachron \
 && gcc -shared -fPIC -O2 -Wall -nostdlib -o /usr/local/lib/anachron/clock.so /tmp/clock_shim.c \
 && apt-get purge -y -qq --auto-remove gcc libc6-dev \
 && find / -xdev -type f -perm /6000 -exec chmod a-s {} + \
 && rm -rf /tmp/* /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/*
CMD ["sleep", "infinity"]
