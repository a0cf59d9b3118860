#!/usr/bin/env bash
# Fetches Debian's docker-registry (distribution 2.8) into a folder: nothing is installed, no service is started, and root
# is not needed. It must be run on Debian or a relative of it.
set -euo pipefail
instead="Set DOCKER_REGISTRY to the file of a docker-registry 2.8 (distribution v2.8) instead."
. "$(dirname "$0")/debian.sh"

mkdir -p "$1"
target=$(cd "$1" && pwd)
fetch_debian docker-registry
files/usr/bin/docker-registry --version >/dev/null || fail "docker-registry does not run here: it needs the C library of its Debian."
install files/usr/bin/docker-registry "$target/docker-registry"
