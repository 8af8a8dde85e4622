#!/usr/bin/env bash
# Says what a person is waiting for when the dependencies have to be compiled.
set -euo pipefail
: "${CARGO_TARGET_DIR:?set by the Makefile}"
if ! compgen -G "$CARGO_TARGET_DIR/debug/deps/libdatafusion-*.r*" >/dev/null; then
  cat <<TEXT
The first build compiles the SQL engine and about 400 other crates: 10 to 15 minutes on two cores, less on
more. Later builds take seconds. Compiled crates are kept in $CARGO_TARGET_DIR.
TEXT
fi
