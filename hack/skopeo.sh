#!/usr/bin/env bash
# Fetches Debian's skopeo into a folder, with the libraries that it needs and a machine may lack: nothing is installed, and
# root is not needed. It must be run on Debian or a relative of it.
set -euo pipefail
instead="Install the package skopeo, or set SKOPEO to the file of a skopeo, instead."
. "$(dirname "$0")/debian.sh"

mkdir -p "$1"
target=$(cd "$1" && pwd)
fetch_debian skopeo libgpgme11 libassuan0 libgpg-error0 libdevmapper1.02.1
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
