# docker build --build-arg VERSION=$(git describe --tags --always) -t broadcastd .
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev TARGETOS TARGETARCH
RUN GOOS=$TARGETOS GOARCH=$TARGETARCH make bin/broadcastd VERSION="$VERSION"

FROM scratch
# The API that is asked who may listen, and Redis, may be behind TLS.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /src/bin/broadcastd /broadcastd
USER 65532:65532
# Clients and the HTTP API; metrics and health. The latter listens on loopback
# until BROADCASTD_ADMIN_LISTEN=0.0.0.0:9601 and, for who may read it,
# BROADCASTD_ADMIN_TOKEN. Health is on 8080, too, and needs none.
EXPOSE 8080 9601
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["/broadcastd", "health"]
ENTRYPOINT ["/broadcastd"]
CMD ["start"]
