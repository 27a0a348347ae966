# One device, on amd64 or arm64 (the base and every locked requirement have both):
# docker buildx build --platform linux/arm64 --file deploy/agent.Dockerfile .
# RUNTIME is litert or onnx: a device carries the runtime that it uses and no other.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY requirements/build.txt requirements/build.txt
RUN pip install --no-cache-dir --require-hashes -r requirements/build.txt
COPY contract contract
COPY agent agent
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels ./contract ./agent

FROM python:3.11-slim-bookworm
ARG RUNTIME=litert
COPY requirements/agent-${RUNTIME}.txt /tmp/agent.txt
RUN pip install --no-cache-dir --require-hashes -r /tmp/agent.txt
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir --no-deps /wheels/*.whl && rm -r /wheels /tmp/agent.txt
# A runtime that does not start on this processor is found now, not on the device.
RUN python -I -c "from fleet_agent.runtimes import installed, protocol; [protocol.prepare(one.name) for one in installed.installed()]"
RUN useradd --uid 10001 --home-dir /data --create-home --shell /usr/sbin/nologin dunlin
COPY deploy/agent-start /usr/local/bin/agent-start
USER dunlin
WORKDIR /data
VOLUME /data
ENTRYPOINT ["agent-start"]
