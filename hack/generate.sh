#!/usr/bin/env bash
# Writes everything that is made from something else: deepcopy functions and apply configurations, CRDs, the role of each
# ServiceAccount, and the chart's copies of them. Run it from anywhere; CONTROLLER_GEN may name the binary.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

gen=${CONTROLLER_GEN:-$PWD/bin/tools/controller-gen}
if [[ ! -x $gen ]]; then
  echo "No controller-gen at $gen: run 'make generate', or set CONTROLLER_GEN" >&2
  exit 1
fi

"$gen" object:headerFile=hack/boilerplate.go.txt applyconfiguration:headerFile=hack/boilerplate.go.txt \
  crd paths=./api/... output:crd:dir=config/crd/bases
"$gen" rbac:roleName=tokenwright-manager paths=./controllers/... output:rbac:dir=config/rbac/manager
"$gen" rbac:roleName=tokenwright-server paths=./tokenserver/... output:rbac:dir=config/rbac/server

# The chart can read files of its own folder only.
files=charts/tokenwright/files
for folder in crds rbac admission prometheus; do
  rm -rf "${files:?}/$folder"
  mkdir -p "$files/$folder"
done
cp config/crd/bases/*.yaml "$files/crds/"
cp config/rbac/manager/role.yaml "$files/rbac/manager.yaml"
cp config/rbac/server/role.yaml "$files/rbac/server.yaml"
cp config/rbac/server-uma/role.yaml "$files/rbac/server-uma.yaml"
for role in viewer editor approver platform_viewer platform_admin; do
  cp "config/rbac/roles/$role.yaml" "$files/rbac/$role.yaml"
done
for policy in accesspolicies key_records server_leases server_resources system_kinds; do
  cp "config/admission/$policy.yaml" "$files/admission/$policy.yaml"
done
cp config/prometheus/rules.yaml "$files/prometheus/"
