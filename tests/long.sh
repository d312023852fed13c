#!/usr/bin/env bash
# long.sh FOLDER KILLS SEED FAULTS BENCH - the reliability programs at full size, with the tools on the
# PATH.  The last line adds up what each of them prints.
set -u -o pipefail
tree=$PWD
log=$(mktemp) dir=$(mktemp -d)
trap 'rm -rf "$log" "$dir"' EXIT
{
    (cd "$dir" && MILLRACE=$tree "$1/kill" "$2" "$3") || true
    tests/fault.sh "$1/fault.so" "$tree" 1 "$4" || true
    tests/sweep.sh 1 || true
    tests/bad.sh "$tree" long || true
    "$5/make_model" wide "$dir/wide" data/models/router
    WIDE=$dir/wide tests/bits.sh 1000 20 || true
} | tee "$log"
awk '/: [0-9]+ passed, [0-9]+ failed, [0-9]+ skipped/ {
        split(substr($0, index($0, ": ") + 2), n, " ")
        parts++; passed += n[1]; failed += n[3]; skipped += n[5]
    }
    END {
        failed += parts < 5 ? 5 - parts : 0 # one that died without its line
        printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
        exit failed > 0
    }' "$log"
