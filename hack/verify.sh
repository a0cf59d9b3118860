#!/usr/bin/env bash
# Fails if a generated file is not what hack/generate.sh makes of the sources as they are. It works in a copy, so that a
# working tree with changes of its own is neither an obstacle nor touched.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT

tar -C "$root" --exclude=./bin --exclude=./.git -cf - . | tar -C "$copy" -xf -
CONTROLLER_GEN=${CONTROLLER_GEN:-$root/bin/tools/controller-gen} "$copy/hack/generate.sh"

status=0
for generated in api config/crd config/rbac charts/tokenwright/files; do
  diff -ruN "$root/$generated" "$copy/$generated" || status=1
done
if [[ $status -ne 0 ]]; then
  echo "Generated files are not current: run 'make generate'" >&2
fi
exit $status
