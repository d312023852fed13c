#!/usr/bin/env bash
# alone.sh FOLDER COMMAND [ARG...] - runs a command, unless another one that was begun like this is
# still at work in the folder (75).
set -eu -o pipefail
dir=$1
shift
exec 9> "$dir/lock"
# Some file systems of clusters have no locks: better without than not at all.
flock -n -E 75 9 || [ $? != 75 ] || {
    echo "make run: another one is at work in $dir; wait until it ends, or give another RUN" >&2
    exit 75
}
exec "$@"
