#!/usr/bin/env bash
# Builds the load generator and measures the hub beside its peers; arguments go to it (bench/run.sh --help).
set -euo pipefail
cd "$(dirname "$0")/.."
target="${CARGO_TARGET_DIR:-$HOME/.cache/springhouse/target}"
ulimit -n "$(ulimit -Hn)"
CARGO_TARGET_DIR="$target/bench" cargo build --release --quiet --manifest-path bench/Cargo.toml
# Another engine is installed only for whoever asks for it.
if [[ " $* " == *" flink "* || " $* " == *" --flink "* ]]; then
  FLINK_PYTHON=$(bench/flink/setup.sh "$target/flink")
  export FLINK_PYTHON
fi
exec "$target/bench/release/springhouse-bench" --springhouse "$target/release/springhouse" \
  --out docs/benchmarks.md --recipe "make bench${*:+ ARGS=\"$*\"}" "$@"
