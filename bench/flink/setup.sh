#!/usr/bin/env bash
# Installs Flink from PyPI into a folder and prints the Python that runs it: bench/flink/setup.sh FOLDER
set -euo pipefail
folder=${1:?the folder for Flink and its Python}
venv="$folder/venv"

if ! "$venv/bin/python" -c 'import pyflink' 2>/dev/null; then
  command -v java >/dev/null || { echo "Flink needs Java 17; hint: apt-get install openjdk-17-jre-headless" >&2; exit 1; }
  # apache-flink 2.3 has wheels, or dependencies with wheels, for these.
  python=$(command -v python3.11 || command -v python3.12 || command -v python3.10) ||
    { echo "Flink needs Python 3.10 to 3.12" >&2; exit 1; }
  echo "installing Flink into $folder (about 850 MB)" >&2
  mkdir -p "$folder"
  "$python" -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check 'apache-flink>=2.3,<2.4' >&2
fi
echo "$venv/bin/python"
