# syntax=docker/dockerfile:1
# One static binary in an image with nothing else: no shell, no package manager, no root.
#   docker build --build-arg VERSION=v0.1.0 -t ghcr.io/tokenwright/tokenwright:v0.1.0 .

FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=dev
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY main.go ./
COPY api ./api
COPY cmd ./cmd
COPY config/crd ./config/crd
COPY controllers ./controllers
COPY tokenserver ./tokenserver
RUN CGO_ENABLED=0 GOOS=${TARGETOS} GOARCH=${TARGETARCH} go build -trimpath \
    -ldflags "-s -w -X github.com/tokenwright/tokenwright/cmd.version=${VERSION}" -o /out/tokenwright .

# By tag: a release replaces both tags by the digests that it was tested with.
FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/tokenwright /tokenwright
USER 65532:65532
ENTRYPOINT ["/tokenwright"]
