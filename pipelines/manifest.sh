#!/usr/bin/env bash
# manifest.sh MANIFEST DATA TEMPLATE STRATEGY MODEL [gpu-infer options]
#   Writes what a run's answers depend on to MANIFEST, or compares it with the one that is there: a
#   difference ends with 64 (75 where only the instruction set differs) and names what changed.
# manifest.sh --date MANIFEST
#   Prints "--date DATE" where the prompts depend on the date that the run was begun on.
set -eu -o pipefail

date_of() { sed -n 's/^ *"date": "\([^"]*\)".*/--date \1/p' "$1"; }
if [ "$1" = --date ]; then
    date_of "$2"
    exit 0
fi

manifest=$1 data=$2 template=$3 strategy=$4 model=$5
shift 5
began=
[ ! -e "$manifest" ] || began=$(date_of "$manifest")

sha() { sha256sum -- "$1" | cut -d ' ' -f 1; }
# shellcheck disable=SC2086 # an option and its value, or nothing
key=$(gpu-infer -m "$model" $began "$@" --print-key)
new=$(printf '{\n  "data": "%s",\n  "data_sha256": "%s",\n  "template_file": "%s",\n  "template_sha256": "%s",\n  "strategy": "%s",\n  "model_dir": "%s",%s' \
    "$data" "$(sha "$data")" "$template" "$(sha "$template")" "$strategy" "$model" "${key#\{}")

if [ ! -e "$manifest" ]; then
    printf '%s\n' "$new" > "$manifest.part"
    mv "$manifest.part" "$manifest"
    exit 0
fi
# One member a line, so the lines that differ are the members that changed.  Where a file lies does
# not matter, only what is in it.
members() { grep -v -E '^  "(data|template_file|model_dir)":' | sed 's/,$//' | sort; }
changed=$({ comm -3 <(members < "$manifest") <(members <<< "$new") || true; } | sed -n 's/^[[:space:]]*"\([^"]*\)".*/\1/p' | sort -u | paste -sd ' ')
[ -n "$changed" ] || exit 0
dir=$(dirname "$manifest")
if [ "$changed" = isa ]; then
    echo "make run: $dir was begun on another instruction set; go on there, or give INFER='--isa …', or start over with FRESH=1" >&2
    exit 75
fi
echo "make run: $dir holds answers made with other settings (changed: $changed); start over with FRESH=1, or give another STRATEGY, MODEL or RUN" >&2
exit 64
