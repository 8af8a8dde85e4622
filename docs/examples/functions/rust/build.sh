#!/bin/sh
# Builds weather.wasm beside this script: rustup target add wasm32-wasip2, nothing else is needed.
set -eu
cd "$(dirname "$0")"
cargo build --release --target wasm32-wasip2
cp "${CARGO_TARGET_DIR:-target}/wasm32-wasip2/release/weather.wasm" weather.wasm
ls -l weather.wasm
