#!/usr/bin/env bash
# deps.sh - installs the Debian packages that building and testing need, and nothing else.
set -eu -o pipefail
build=(gcc make libc6-dev libjansson-dev libpcre2-dev libutf8proc-dev libopenmpi-dev openmpi-bin)
tests=(bats jq shellcheck mandoc clang-format-14 universal-ctags)

missing=()
for p in "${build[@]}" "${tests[@]}"; do
    dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
done
[ ${#missing[@]} -gt 0 ] || exit 0
if ! command -v apt-get >/dev/null; then
    echo "make deps: no apt-get here; install what brings: ${missing[*]}" >&2
    exit 69
fi
sudo=()
[ "$(id -u)" = 0 ] || sudo=(sudo)
"${sudo[@]}" apt-get install -y --no-install-recommends "${missing[@]}" ||
    { "${sudo[@]}" apt-get update && "${sudo[@]}" apt-get install -y --no-install-recommends "${missing[@]}"; }
