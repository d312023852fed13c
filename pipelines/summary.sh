#!/usr/bin/env bash
# summary.sh RUN-FOLDER - the screen that ends `make run`: what came out, how fast, and where it is.
set -eu -o pipefail
dir=$1

score "$dir/metrics.json" --table
