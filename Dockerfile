# The image holds the program, the roots of public authorities, and one directory
# that its user may write to. `make image` builds it with whatever builder there is.
#
#   docker buildx build --platform linux/amd64,linux/arm64 .
#   buildah build --build-arg ROOTFS=prebuilt .      # of what `make rootfs` built here

# build compiles for the platform that is asked for, on the one that builds, or
# prebuilt takes what `make rootfs` left in bin/.
ARG ROOTFS=build
FROM --platform=$BUILDPLATFORM golang:1.26.8 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=devel
ARG REVISION=
ARG SOURCE_DATE_EPOCH=
RUN make rootfs GOOS=$TARGETOS GOARCH=$TARGETARCH VERSION=$VERSION REVISION=$REVISION

FROM scratch AS prebuilt
COPY bin/rootfs /src/bin/rootfs

FROM $ROOTFS AS rootfs

FROM scratch
COPY --from=rootfs /src/bin/rootfs/root/ /
COPY --from=rootfs --chown=65532:65532 /src/bin/rootfs/state/ /var/lib/
ARG VERSION=devel
ARG REVISION=
LABEL org.opencontainers.image.title="zproxy" \
      org.opencontainers.image.description="An authenticating reverse proxy to the ZITADEL APIs" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/zproxy/zproxy" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
USER 65532:65532
WORKDIR /var/lib/zproxy
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["/zproxy", "health"]
ENTRYPOINT ["/zproxy"]
CMD ["run", "--config", "/etc/zproxy/zproxy.yaml"]
