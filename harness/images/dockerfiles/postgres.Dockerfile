# PostgreSQL as Debian ships it, started as the official image starts it. Its just-in-time compiler, half of its size, is left
# out: it is for long queries, and the server does without it when it is not there.
ARG BASE=debian:bookworm-slim
FROM ${BASE}
COPY docker-entrypoint.sh /usr/local/bin/
RUN mkdir -p /etc/postgresql-common \
 && echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf \
 && apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends postgresql-15 \
 && rm -rf /usr/lib/*-linux-gnu/libLLVM* /usr/lib/postgresql/15/lib/llvmjit.so /usr/lib/postgresql/15/lib/bitcode \
 && find / -xdev -type f -perm /6000 -exec chmod a-s {} + \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/* \
 && chmod 755 /usr/local/bin/docker-entrypoint.sh
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/lib/postgresql/15/bin:/usr/sbin:/usr/bin:/sbin:/bin PGDATA=/var/lib/postgresql/data
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
