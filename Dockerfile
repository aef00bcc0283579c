# Pardon as one static binary in an empty image: no shell, no libraries, nobody's root.
#
#   docker build -t pardon .
#   docker run --rm -p 8080:8080 -e PARDON_UPSTREAM=http://app:3000 pardon
#
# It reads /etc/pardon/pardon.toml where that is mounted; the environment alone is enough for one app.

FROM rust:1.95-bookworm AS build
WORKDIR /src
# glibc linked in. Names still resolve in an empty root: from the hosts file and by DNS.
ENV RUSTFLAGS="-C target-feature=+crt-static"

# The dependencies, in a layer that lasts until Cargo.toml or Cargo.lock changes.
COPY Cargo.toml Cargo.lock ./
RUN mkdir -p benches/growth benches/instructions benches/peers src tests \
 && touch benches/growth/main.rs benches/instructions/main.rs benches/peers/main.rs \
 && touch benches/page.rs benches/redact.rs benches/summary.rs src/lib.rs tests/all.rs \
 && echo 'fn main() {}' > src/main.rs \
 && cargo build --release --locked --bin pardon --target "$(uname -m)-unknown-linux-gnu"

# Pardon itself. The touch makes cargo see that the stand-ins above have been replaced, whatever the files' dates.
COPY . .
RUN touch src/lib.rs src/main.rs \
 && cargo build --release --locked --bin pardon --target "$(uname -m)-unknown-linux-gnu" \
 && mkdir -p /image/root/licenses /image/root/var/lib /image/store/pardon \
 && cp LICENSE-MIT LICENSE-APACHE /image/root/licenses/ \
 && cp "target/$(uname -m)-unknown-linux-gnu/release/pardon" /image/root/

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=
LABEL org.opencontainers.image.title="Pardon" \
      org.opencontainers.image.description="A reverse proxy that keeps an app's failures and shows visitors a calm page with a reference" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

COPY --from=build /image/root/ /
# The one folder that Pardon writes to: a folder within a folder, so that it alone gets the owner.
COPY --from=build --chown=65532:65532 /image/store/ /var/lib/

USER 65532:65532
# Where the store is, unless the configuration says otherwise.
WORKDIR /var/lib/pardon
# So that `docker exec CONTAINER pardon show ID` finds it.
ENV PATH=/
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=2s CMD ["/pardon", "health"]
ENTRYPOINT ["/pardon"]
CMD ["run"]
