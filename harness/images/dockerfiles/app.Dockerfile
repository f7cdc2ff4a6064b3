# A node of an application: Python, and the clients of caches and databases that applications use.
ARG BASE=debian:bookworm-slim
FROM ${BASE}
COPY site-packages /usr/local/lib/python3.11/dist-packages
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends python3 \
 && python3 -m compileall -q /usr/local/lib/python3.11/dist-packages \
 && find / -xdev -type f -perm /6000 -exec chmod a-s {} + \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/*
CMD ["python3"]
