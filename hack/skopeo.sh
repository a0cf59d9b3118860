#!/usr/bin/env bash
# Fetches Debian's skopeo into a folder, with the libraries that it needs and a machine may lack: nothing is installed, and
# root is not needed. It must be run on Debian or a relative of it.
set -euo pipefail
target=$1
packages=(skopeo libgpgme11 libassuan0 libgpg-error0 libdevmapper1.02.1)

fail() {
  echo "$*" >&2
  echo "Install the package skopeo, or set SKOPEO to the file of a skopeo, instead." >&2
  exit 1
}

for tool in apt-get dpkg-deb; do
  command -v "$tool" >/dev/null || fail "skopeo comes from a Debian package, and there is no $tool here."
done

mkdir -p "$target"
target=$(cd "$target" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work" # apt gives up root's rights to download
cd "$work"
if ! apt-get download "${packages[@]}" >"$work/log" 2>&1; then
  # Without package lists, or with old ones: new lists, in a place of their own, so that nobody has to be root.
  mkdir -p lists/partial cache/archives/partial
  own=(-o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" -o Debug::NoLocking=1)
  apt-get "${own[@]}" update >>"$work/log" 2>&1 && apt-get "${own[@]}" download "${packages[@]}" >>"$work/log" 2>&1 || {
    cat "$work/log" >&2
    fail "The Debian package skopeo could not be fetched."
  }
fi
for package in *.deb; do
  dpkg-deb -x "$package" files
done
rm -rf "$target/skopeo.d"
mkdir "$target/skopeo.d"
find files \( -path '*/lib/*' -o -path '*/usr/bin/skopeo' \) \( -name '*.so.*' -o -name skopeo \) ! -type d -exec cp -a {} "$target/skopeo.d/" \;
cat >"$target/skopeo" <<'END'
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")/skopeo.d
LD_LIBRARY_PATH=$here exec "$here/skopeo" "$@"
END
chmod 755 "$target/skopeo"
"$target/skopeo" --version >/dev/null || fail "skopeo does not run here: it needs the C library of its Debian."
