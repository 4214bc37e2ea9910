# syntax=docker/dockerfile:1

# Both base images are named by tag. A digest would pin them exactly: look it up where the image is built, append it as
# "@sha256:...", and let a bot keep it current.
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=dev
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=${VERSION}" -o /cdcd ./cmd/cdcd

# Holds certificate authorities, time zones and the user 65532, and neither a shell nor a package manager.
FROM gcr.io/distroless/static-debian13:nonroot
ARG VERSION=dev
LABEL org.opencontainers.image.title="cdcd" \
      org.opencontainers.image.description="Keeps Apache Iceberg tables equal to the MySQL tables whose Debezium change events arrive in Kafka" \
      org.opencontainers.image.source="https://github.com/cdcd-project/cdcd" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=build /cdcd /usr/local/bin/cdcd
COPY LICENSE /usr/share/doc/cdcd/LICENSE
USER 65532:65532
EXPOSE 9180
ENTRYPOINT ["/usr/local/bin/cdcd"]
CMD ["run", "-config", "/etc/cdcd/cdcd.toml"]
