#!/usr/bin/env bash
# run.sh BIN UNIT... [-- GOLDEN...] - runs the unit tests, the golden runners and, where BIN is not
# empty, the bats files with BIN first on the PATH.  Every part prints "NAME: P passed, F failed,
# S skipped"; the last line adds them up.  Skipped tests are named where they are skipped.
set -u
bin=$1
shift
units=() golds=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    units+=("$1")
    shift
done
[ $# -eq 0 ] || shift
golds=("$@")
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# A program that dies without its line counts as one failure.
run() {
    local before after
    before=$(grep -c ' passed, ' "$log")
    "$@" | tee -a "$log"
    local rc=${PIPESTATUS[0]}
    after=$(grep -c ' passed, ' "$log")
    if [ "$rc" != 0 ] && { [ "$after" = "$before" ] || [ "$rc" -gt 1 ]; }; then
        echo "$(basename "$1"): 0 passed, 1 failed, 0 skipped (exit status $rc)" | tee -a "$log"
    fi
}
for u in "${units[@]}"; do run "$u"; done
for g in "${golds[@]}"; do run "$g" "${GOLDEN:?}" "${MATERIAL:?}"; done

if [ -n "$bin" ]; then
    for f in tests/*.bats; do
        tap=$(PATH="$bin:$PATH" bats --tap "$f")
        grep -E '^not ok|^#|# skip' <<< "$tap"
        echo "$(basename "$f"): $(grep -c '^ok' <<< "$(grep -v '# skip' <<< "$tap")") passed, $(grep -c '^not ok' <<< "$tap") failed, $(grep -c '^ok.*# skip' <<< "$tap") skipped" | tee -a "$log"
    done
fi

awk -F': ' '/: [0-9]+ passed, [0-9]+ failed, [0-9]+ skipped/ {
        match($0, /[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped/)
        split(substr($0, RSTART, RLENGTH), n, /[^0-9]+/)
        passed += n[1]; failed += n[2]; skipped += n[3]
    }
    END {
        printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
        exit failed > 0 || passed == 0
    }' "$log"
