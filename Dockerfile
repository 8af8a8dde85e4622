# Two stages: one builds the page and the program, the other holds nothing but the program.
# Build: make image (CONTAINER=podman or buildah instead of docker)
# Run: docker run -p 127.0.0.1:8080:8080 -p 8883:8883 -p 127.0.0.1:1883:1883 -v springhouse:/data springhouse
FROM rust:1.95-trixie AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends nodejs npm \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY web/package.json web/package-lock.json web/
RUN cd web && npm ci --no-audit --no-fund
COPY . .
RUN cd web && npm run build
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/target \
    CARGO_TARGET_DIR=/target cargo build --release --locked --bin springhouse \
 && install -D /target/release/springhouse /out/springhouse \
 && strip --strip-debug /out/springhouse

FROM debian:trixie-slim
RUN useradd --system --uid 10001 --no-create-home springhouse && install -d -o springhouse -m 700 /data
COPY --from=build /out/springhouse /usr/local/bin/springhouse
COPY LICENSE /usr/share/doc/springhouse/LICENSE
USER springhouse
VOLUME /data
EXPOSE 8080 1883 8883
# Inside a container the loopback interface is out of reach: the hub listens on all of the container's own addresses,
# and -p decides what the outside sees. Publish 1883 and 8080 to 127.0.0.1 only; 8883 is for the network.
ENV SPRINGHOUSE_DATA=/data \
    SPRINGHOUSE_HTTP=0.0.0.0:8080 \
    SPRINGHOUSE_MQTT=0.0.0.0:1883 \
    SPRINGHOUSE_MQTTS=0.0.0.0:8883 \
    SPRINGHOUSE_PLAIN_OK=true
HEALTHCHECK --interval=10s --timeout=3s CMD ["springhouse", "status", "--quiet"]
ENTRYPOINT ["springhouse"]
CMD ["hub"]
