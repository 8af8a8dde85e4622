#!/usr/bin/env bash
# What a build needs to know of the target directory that checkouts share: scripts/before-build.sh [debug|release]
set -euo pipefail
cd "$(dirname "$0")/.."
: "${CARGO_TARGET_DIR:?set by the Makefile}"
profile=${1:-debug}
mkdir -p "$CARGO_TARGET_DIR"

minutes="10 to 15"
[ "$profile" = debug ] || minutes="15 to 25"
if ! compgen -G "$CARGO_TARGET_DIR/$profile/deps/libdatafusion-*.r*" >/dev/null; then
  cat <<TEXT
The first build compiles the SQL engine and about 400 other crates: $minutes minutes on two cores, less on
more. Later builds are short. Compiled crates are kept in $CARGO_TARGET_DIR.
TEXT
fi

# Cargo tells by time whether a crate is compiled, and takes the same crate of another checkout for this one. When
# another checkout was built last, ours are made newer than what it left.
last="$CARGO_TARGET_DIR/.last-checkout"
if [ -f "$last" ] && [ "$(cat "$last")" != "$PWD" ]; then
  find crates -name '*.rs' -exec touch {} +
fi
printf '%s' "$PWD" >"$last"
