#!/usr/bin/env bash
# Runs one stage of a recipe and says how long it took: scripts/stage.sh NAME COMMAND…
# With SPRINGHOUSE_STAGES=FILE the times are also collected there (see .ci/run).
set -euo pipefail
name=$1
shift
printf '\n── %s\n' "$name"
started=$SECONDS
status=0
"$@" || status=$?
took=$((SECONDS - started))
verdict=ok
[ "$status" -eq 0 ] || verdict="FAILED ($status)"
printf '── %s: %s after %d s\n' "$name" "$verdict" "$took"
[ -z "${SPRINGHOUSE_STAGES:-}" ] || printf '%-14s %6d s  %s\n' "$name" "$took" "$verdict" >>"$SPRINGHOUSE_STAGES"
exit "$status"
