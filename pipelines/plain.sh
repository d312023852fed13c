#!/usr/bin/env bash
# plain.sh FOLDER - refuses a folder of a run that is a symbolic link or holds one: what is written
# there must not end up in another place.
set -eu -o pipefail
link=$(find "$1" -maxdepth 1 -type l -print -quit)
[ -z "$link" ] || {
    echo "make run: $link is a symbolic link, and nothing is written through one; remove it" >&2
    exit 74
}
