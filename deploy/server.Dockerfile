# The fleet server and its broker: one image, `serve` or `broker run`.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY requirements/build.txt requirements/build.txt
RUN pip install --no-cache-dir --require-hashes -r requirements/build.txt
COPY contract contract
COPY fleet_server fleet_server
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels ./contract ./fleet_server

FROM python:3.11-slim-bookworm
RUN apt-get update && apt-get install -y --no-install-recommends mosquitto && rm -rf /var/lib/apt/lists/*
COPY requirements/server.txt /tmp/server.txt
RUN pip install --no-cache-dir --require-hashes -r /tmp/server.txt
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir --no-deps /wheels/*.whl && rm -r /wheels /tmp/server.txt
RUN useradd --uid 10001 --home-dir /data --create-home --shell /usr/sbin/nologin dunlin
COPY deploy/server-start /usr/local/bin/server-start
USER dunlin
WORKDIR /data
VOLUME /data
EXPOSE 8080 8443 8883
ENTRYPOINT ["server-start"]
CMD ["serve"]
