# docker build --build-arg VERSION=$(git describe --tags --always) \
#     --build-arg COMMIT=$(git rev-parse --short=12 HEAD) -t broadcastd .
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev COMMIT TARGETOS TARGETARCH
RUN GOOS=$TARGETOS GOARCH=$TARGETARCH make bin/broadcastd VERSION="$VERSION" COMMIT="$COMMIT"

FROM scratch
ARG VERSION=dev COMMIT
LABEL org.opencontainers.image.title="broadcastd" \
      org.opencontainers.image.description="Delivers an API's events to Laravel Echo and pusher-js clients" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$COMMIT"
# The API that is asked who may listen, and Redis, may be behind TLS.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /src/bin/broadcastd /broadcastd
USER 65532:65532
# Clients and the HTTP API; metrics and health. The latter listens on loopback
# until BROADCASTD_ADMIN_LISTEN=0.0.0.0:9601 and, for who may read it,
# BROADCASTD_ADMIN_TOKEN. Health is on 8080, too, and needs none.
EXPOSE 8080 9601
# Clients are told to reconnect; give it longer than shutdown_timeout (docker stop -t 15).
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["/broadcastd", "health"]
ENTRYPOINT ["/broadcastd"]
CMD ["start"]
