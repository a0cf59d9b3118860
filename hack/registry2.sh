#!/usr/bin/env bash
# Fetches Debian's docker-registry (distribution 2.8) into a folder: nothing is installed, no service is started, and root
# is not needed. It must be run on Debian or a relative of it.
set -euo pipefail
target=$1

fail() {
  echo "$*" >&2
  echo "Set DOCKER_REGISTRY to the file of a docker-registry 2.8 (distribution v2.8) instead." >&2
  exit 1
}

for tool in apt-get dpkg-deb; do
  command -v "$tool" >/dev/null || fail "docker-registry comes from a Debian package, and there is no $tool here."
done

mkdir -p "$target"
target=$(cd "$target" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work" # apt gives up root's rights to download
cd "$work"
if ! apt-get download docker-registry >"$work/log" 2>&1; then
  # Without package lists, or with old ones: new lists, in a place of their own, so that nobody has to be root.
  mkdir -p lists/partial cache/archives/partial
  own=(-o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" -o Debug::NoLocking=1)
  apt-get "${own[@]}" update >>"$work/log" 2>&1 && apt-get "${own[@]}" download docker-registry >>"$work/log" 2>&1 || {
    cat "$work/log" >&2
    fail "The Debian package docker-registry could not be fetched."
  }
fi
dpkg-deb -x docker-registry_*.deb files
files/usr/bin/docker-registry --version >/dev/null || fail "docker-registry does not run here: it needs the C library of its Debian."
install files/usr/bin/docker-registry "$target/docker-registry"
