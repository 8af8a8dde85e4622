#!/usr/bin/env bash
# The page: scripts/web.sh build|check|test|e2e. Does nothing (and says so) while there is no web/.
set -euo pipefail
cd "$(dirname "$0")/.."
verb=$1
if [ ! -f web/package.json ]; then
  echo "web: there is no web/ here, nothing to $verb"
  exit 0
fi
cd web

install_packages() {
  # The stamp is newer than the lock file when the packages are as the lock file says.
  if [ ! node_modules/.stamp -nt package-lock.json ]; then
    npm ci --no-audit --no-fund --loglevel=error
    touch node_modules/.stamp
  fi
}

# The built page is newer than everything that it is made of; folders count, because a file that is gone leaves only
# their time. crates/api/build.rs asks here too, so that the page is built once.
is_built() {
  [ -f dist/index.html ] &&
    [ -z "$(find src public index.html package-lock.json vite.config.ts tsconfig.json -newer dist/index.html | head -n 1)" ]
}

build_page() {
  # Two builds of the program with different target directories share this one page.
  exec 9>node_modules/.building
  if command -v flock >/dev/null; then flock 9; fi
  if is_built; then return; fi
  # What changes during the build is newer than its beginning.
  touch node_modules/.begun
  npm run --silent build
  touch -r node_modules/.begun dist/index.html
}

browser() {
  command -v chromium || command -v chromium-browser || command -v google-chrome || true
}

if [ "$verb" = build ] && is_built; then exit 0; fi
install_packages
case $verb in
  build) build_page ;;
  check)
    npm run --silent --if-present typecheck
    npm run --silent --if-present lint
    build_page
    ;;
  test) npm test ;;
  e2e)
    CHROMIUM=$(browser)
    if [ -z "$CHROMIUM" ]; then
      echo "web: SKIPPED the browser tests: Chromium is missing (apt-get install chromium)"
      [ "${CI:-}" != true ] || exit 1
      exit 0
    fi
    export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/springhouse/target}"
    export CHROMIUM SPRINGHOUSE_BIN="${SPRINGHOUSE_BIN:-$CARGO_TARGET_DIR/debug/springhouse}"
    [ -x "$SPRINGHOUSE_BIN" ] || cargo build --bin springhouse
    npm run e2e
    ;;
  *) echo "web: unknown verb \`$verb\`; hint: build, check, test or e2e"; exit 2 ;;
esac
