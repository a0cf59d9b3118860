#!/usr/bin/env bash
# Runs every fuzz target of the module for a bounded time, or number of inputs, each. Usage: hack/fuzz.sh [TIME|NUMBERx],
# such as 20s or 5000x.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-20s}
found=0
while IFS=: read -r file target; do
  found=$((found + 1))
  echo "== $target in $(dirname "$file") for $time"
  go test "./$(dirname "$file")" -run '^$' -fuzz "^$target\$" -fuzztime "$time"
done < <(grep -roE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' api controllers tokenserver cmd test | sed 's/func //' | sort)
[ "$found" -gt 0 ] || { echo "no fuzz target was found" >&2; exit 1; }
