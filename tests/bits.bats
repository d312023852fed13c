#!/usr/bin/env bats
# The same bytes in any company, at a small size; `make test-long` has the whole of it.

@test "bits: batches, chunks, processes, threads, orders, cache, memory and resume" {
    cd "$BATS_TEST_DIRNAME/.."
    run env BATCHES='2 33' CHUNKS='7 2048' PROCESSES=3 GOLDEN="${GOLDEN:-../shared/golden}" tests/bits.sh 40 2
    echo "$output"
    [ "$status" -eq 0 ]
    [[ "${lines[-1]}" =~ ^bits:\ [1-9][0-9]*\ passed,\ 0\ failed ]]
}
