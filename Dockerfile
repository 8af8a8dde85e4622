# Two stages: one builds the page and the program, the other holds nothing but the program.
# Build: make image      Run: docker run -p 8080:8080 -p 8883:8883 -v springhouse:/var/lib/springhouse springhouse
FROM rust:1.95-bookworm AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates curl gnupg \
 && curl -fsSL https://deb.nodesource.com/setup_20.x | bash - \
 && apt-get install -y --no-install-recommends nodejs \
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

FROM debian:bookworm-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/springhouse --create-home springhouse
COPY --from=build /out/springhouse /usr/local/bin/springhouse
COPY LICENSE /usr/share/doc/springhouse/LICENSE
USER springhouse
VOLUME /var/lib/springhouse
EXPOSE 8080 8883
# Inside a container the loopback interface is out of reach: HTTP listens on all of the container's own addresses,
# and what the outside sees is decided by -p. MQTT comes in over TLS.
ENV SPRINGHOUSE_DATA=/var/lib/springhouse \
    SPRINGHOUSE_HTTP=0.0.0.0:8080 \
    SPRINGHOUSE_MQTTS=0.0.0.0:8883 \
    SPRINGHOUSE_PLAIN_OK=true
HEALTHCHECK --interval=10s --timeout=3s CMD ["springhouse", "status", "--quiet"]
ENTRYPOINT ["springhouse"]
CMD ["hub"]
