# Tributary as an image: the binary, the C library that it needs, CA certificates, and nothing else.
#
#   docker build -t tributary .
#   docker run --rm tributary demo --for 20s
#
# The stage `sbom` names all that is in it, as CycloneDX:
#
#   DOCKER_BUILDKIT=1 docker build --target sbom --output . .      # writes tributary.cdx.json
#
# The variable is for Docker before 23, whose old builder writes no file and does not say so. That builder makes the stages of the
# SBOM for each image, too, which takes minutes; set the variable there for the image as well.
#
# docker-compose.yml runs it beside Kafka and the mock service. The test suite has an image of its own: tests/Dockerfile.

FROM rust:1.95-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends cmake perl \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
# The dependencies in a layer of their own (OpenSSL and librdkafka take minutes): they are built again only when the
# manifests change.
COPY Cargo.toml Cargo.lock ./
COPY mock/Cargo.toml mock/
COPY proof/model/Cargo.toml proof/model/
RUN mkdir -p src mock/src proof/model/src tests/it benches/webhook benches/whole_path \
    && touch src/lib.rs mock/src/lib.rs proof/model/src/lib.rs README.md \
    && for file in src/main.rs tests/it/main.rs tests/allocations.rs benches/stages.rs benches/webhook/main.rs benches/whole_path/main.rs; do \
           echo 'fn main() {}' >"$file"; \
       done
RUN cargo build --release --locked --bin tributary
COPY src src
COPY mock mock
# Cargo goes by modification times, and those of the stubs are later.
RUN find src mock -name '*.rs' -exec touch {} + \
    && cargo build --release --locked --bin tributary \
    # The root of the final image: the binary with every library that it is linked to, at the same paths.
    && mkdir -p /root-of-image/bin /root-of-image/etc/ssl/certs /root-of-image/etc/tributary \
    && cp target/release/tributary /root-of-image/bin/ \
    && ldd target/release/tributary | grep -o '/[^ ]*' | xargs -I{} cp --parents -L {} /root-of-image \
    && cp -L /etc/ssl/certs/ca-certificates.crt /root-of-image/etc/ssl/certs/ \
    && echo 'tributary:x:65532:65532::/:/bin/tributary' >/root-of-image/etc/passwd \
    && echo 'tributary:x:65532:' >/root-of-image/etc/group

FROM build AS sbom-build
RUN apt-get update \
    && apt-get install -y --no-install-recommends jq \
    && rm -rf /var/lib/apt/lists/* \
    && cargo install cargo-cyclonedx --locked --version 0.5.9 --root /usr/local
COPY packaging/sbom packaging/
RUN packaging/sbom /tributary.cdx.json

FROM scratch AS sbom
COPY --from=sbom-build /tributary.cdx.json /

FROM scratch
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="tributary" \
      org.opencontainers.image.description="Carries HTTP event streams into Apache Kafka, exactly once" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /root-of-image /
# Both TLS users, the HTTP client and librdkafka, look here.
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    TRIBUTARY_CONFIG=/etc/tributary/config.toml \
    TRIBUTARY_ADMIN__LISTEN=0.0.0.0:9464
USER 65532:65532
# Probes and metrics; what is pushed to the connector, where `webhook.listen` says so.
EXPOSE 9464 8443
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s CMD ["/bin/tributary", "probe", "--if-configured"]
ENTRYPOINT ["/bin/tributary"]
CMD ["run"]
