# syntax=docker/dockerfile:1
# `keymend serve` in a container: Container Apps, Kubernetes, a VM. The function app needs none; see docs/packaging.md.
#
#   docker build -t keymend .
#   docker run -p 8080:8080 -v keymend:/data -e KEYMEND_SUBSCRIPTIONS=… -e KEYMEND_WEBHOOK_SECRET=… keymend

# Alpine's Rust builds for musl: the binary is static.
FROM rust:1.88-alpine AS build
# The C compiler is that of the image's own Alpine release, whatever its patch level. With cargo-auditable the binary carries
# the list of its crates, which scanners of images read.
# hadolint ignore=DL3018
RUN apk add --no-cache build-base && cargo install --locked cargo-auditable@0.7.7
WORKDIR /keymend
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
# Cargo asks for every target that its manifest names.
COPY benches benches
COPY infra/roles infra/roles
COPY src src
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/keymend/target \
    cargo auditable build --locked --release --no-default-features --bin keymend \
    && install -D -m 0755 target/release/keymend /image/usr/local/bin/keymend \
    && install -d -m 0755 /image/data

# Nothing but certificates, time zones and a user: no shell, and nothing to patch.
FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build --chown=root:root /image/usr /usr
# The store, if it is a file, and keymend.toml.
COPY --from=build --chown=65532:65532 /image/data /data
WORKDIR /data
ENV KEYMEND_LISTEN=0.0.0.0:8080
EXPOSE 8080
# The image's user nonroot, by number, so that Kubernetes can tell that it is not root.
USER 65532:65532
# Ready and alive when GET /api/health answers 200. SIGTERM ends it in seconds; SIGKILL at any moment loses nothing.
ENTRYPOINT ["/usr/local/bin/keymend"]
CMD ["serve", "--log", "json"]
