#!/usr/bin/env bash
# Packs dist/springhouse-VERSION-TARGET.tar.gz from a built program: scripts/archive.sh PROGRAM
set -euo pipefail
cd "$(dirname "$0")/.."
program=$1
name=springhouse-$(scripts/version.sh)-$(uname -s | tr '[:upper:]' '[:lower:]')-$(uname -m)
staging=$(mktemp -d)
trap 'rm -rf "$staging"' EXIT
mkdir -p "$staging/$name" dist
install -m 755 "$program" "$staging/$name/springhouse"
strip --strip-debug "$staging/$name/springhouse" 2>/dev/null || true
for file in packaging/springhouse.service packaging/springhouse.toml LICENSE README.md; do
  install -m 644 "$file" "$staging/$name/"
done
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$(git log -1 --format=%ct)" \
  -C "$staging" -czf "dist/$name.tar.gz" "$name"
(cd dist && sha256sum "$name.tar.gz" | tee "$name.tar.gz.sha256")
