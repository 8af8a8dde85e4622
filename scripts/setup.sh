#!/usr/bin/env bash
# Installs what is missing for a purpose and nothing else; running it again changes nothing.
#   scripts/setup.sh build   Rust, a C compiler, Node.js 20 with npm
#   scripts/setup.sh test    … and rustfmt, clippy, Chromium, Python with paho-mqtt, mosquitto's clients, strongSwan's pki
#   scripts/setup.sh bench   … and the mosquitto broker
# Packages come by apt when this is root or sudo asks nothing; otherwise the one line to run is printed.
set -euo pipefail
cd "$(dirname "$0")/.."
purpose=${1:-build}
cache=${SPRINGHOUSE_CACHE:-$HOME/.cache/springhouse}
export PATH="$HOME/.cargo/bin:$PATH"

say() { printf 'setup: %s\n' "$*"; }
has() { command -v "$1" >/dev/null 2>&1; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}
may_install() {
  has apt-get && { [ "$(id -u)" -eq 0 ] || { has sudo && sudo -n true 2>/dev/null; }; }
}

updated=
# apt_install PACKAGE…: installs, or returns 1 after printing the line to run.
apt_install() {
  if ! may_install; then
    say "missing here: $*. Please run: sudo apt-get install -y $*"
    return 1
  fi
  [ -n "$updated" ] || { as_root apt-get update -qq || true; updated=1; }
  say "installing $*"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

need_compiler() {
  has cc || apt_install build-essential
}

rust_is_recent() {
  local wanted found
  wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
  has cargo && found=$(rustc --version 2>/dev/null | cut -d ' ' -f 2) || return 1
  [ "$(printf '%s\n' "$wanted" "$found" | sort -V | head -n 1)" = "$wanted" ]
}
need_rust() {
  rust_is_recent && return
  if has rustup; then
    say "bringing Rust up to date by rustup"
    rustup toolchain install stable --profile minimal
    rust_is_recent && return
    say "the toolchain in use is too old: $(rustc --version). Please run: rustup default stable"
    return 1
  fi
  has curl || apt_install curl ca-certificates
  say "installing Rust by rustup"
  curl --proto '=https' --tlsv1.2 -sSf https://static.rust-lang.org/rustup/rustup-init.sh |
    sh -s -- -y --profile minimal --no-modify-path
}

# `make ci` formats and lints; the minimal toolchain has neither.
need_lints() {
  cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 && return
  has rustup || return 0
  rustup component add rustfmt clippy
}

node_is_recent() {
  has node && has npm && [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ]
}
need_node() {
  node_is_recent && return
  apt_install nodejs npm
  node_is_recent && return
  say "the page needs Node.js 20 or later, this system offers $(node --version). Please run:"
  say "  curl -fsSL https://deb.nodesource.com/setup_20.x | sudo bash - && sudo apt-get install -y nodejs"
  return 1
}

need_browser() {
  has chromium || has chromium-browser || has google-chrome && return
  apt_install chromium || say "browser tests will be skipped"
}

# mosquitto_pub and paho-mqtt are the clients of scripts/real-input.sh, paho-mqtt runs the interoperability suite.
need_clients() {
  has mosquitto_pub || apt_install mosquitto-clients || true
  [ -x "$cache/venv/bin/python" ] && "$cache/venv/bin/python" -c 'import paho.mqtt' 2>/dev/null && return
  has python3 || apt_install python3 python3-venv || return 0
  if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then apt_install python3-venv || return 0; fi
  say "installing paho-mqtt into $cache/venv"
  rm -rf "$cache/venv"
  python3 -m venv "$cache/venv"
  "$cache/venv/bin/pip" install --quiet --disable-pip-version-check 'paho-mqtt==2.1.0'
}

# A client of EST that others have written.
need_est_client() {
  # Its plugins are packages of their own. Read to the end: a grep that leaves early would look like a failure.
  pki --help 2>&1 | grep 'plugins:.*openssl.*curl' >/dev/null ||
    apt_install strongswan-pki libstrongswan-standard-plugins libstrongswan-extra-plugins ||
    say "the tests of enrolment will fail"
  has openssl || apt_install openssl || say "the tests of certificates will fail"
}

need_compiler
need_rust
need_node
case $purpose in
  build) ;;
  test) need_lints; need_browser; need_clients; need_est_client ;;
  bench) need_clients; [ -x /usr/sbin/mosquitto ] || has mosquitto || apt_install mosquitto ;;
  *) say "unknown purpose \`$purpose\`; hint: build, test or bench"; exit 2 ;;
esac
