#!/usr/bin/env bats
# reliability.bats - the programs of `make test-long`, at a small size.

setup() {
    tree=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
    programs=${RELIABILITY:-$tree/build/release/reliability}
    cd "$BATS_TEST_TMPDIR" || return
    export TMPDIR=$BATS_TEST_TMPDIR
}

@test "reliability: killed runs lose nothing, double nothing, tear nothing" {
    [ -x "$programs/kill" ] || skip "make builds $programs/kill"
    # `make run` is for the long run: it is make inside of make
    for scene in 'shard -o' 'gather -o' pipe 'shard -e' 'gpu-infer -o'; do
        MILLRACE=$tree "$programs/kill" 12 7 "$scene"
    done
}

@test "reliability: a call that fails is told, and leaves no half file" {
    [ -e "$programs/fault.so" ] || skip "make builds $programs/fault.so"
    ! ldd "$(command -v shard)" | grep -q libasan || skip "a sanitizer's allocator takes no second one"
    "$tree/tests/fault.sh" "$programs/fault.so" "$tree" 23 1
}

@test "reliability: exactly once, over numbers of records and shards" {
    "$tree/tests/sweep.sh" 334
}

@test "reliability: bad records of every kind, in every place, stop and move nothing" {
    "$tree/tests/bad.sh" "$tree"
}
