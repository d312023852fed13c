# lint.bats - lint.sh reports what is wrong, each kind in a small tree of its own.

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    mkdir -p tests lib/base lib/dev man src bin
    cp "$BATS_TEST_DIRNAME/lint.sh" "$BATS_TEST_DIRNAME/layers.txt" tests/
    cp "$BATS_TEST_DIRNAME/../.clang-format" .
    printf '%s\n' '/* a.h - a header. */' 'int a(void);' > lib/base/a.h
    printf '%s\n' '/* d.h - a header. */' '#include "base/a.h"' > lib/dev/d.h
    # shellcheck disable=SC2016
    printf '%s\n' '#!/bin/sh' 'echo "  -n, --shards N   how many"' > bin/deal
    chmod +x bin/deal
    printf '%s\n' '/* deal - a tool. */' '#include "deal/x.h"' '#include "dev/d.h"' > src/deal.c
    printf '%s\n' '.Dd November 22, 2026' '.Dt DEAL 1' '.Os' '.Sh NAME' '.Nm deal' '.Nd deal' \
        '.Sh OPTIONS' '.Bl -tag -width Ds' '.It Fl n , Fl -shards Ar N' 'How many.' '.El' > man/deal.1
}

# Expects lint to fail with one check, and its line to match.
reports() {
    run tests/lint.sh
    echo "$output"
    [ "$status" -eq 1 ]
    # shellcheck disable=SC2053
    [[ "${lines[0]}" == $1 ]]
    [ "${lines[-1]}" = "lint: 6 passed, 1 failed, 0 skipped" ]
}

@test "lint: a clean tree passes" {
    run tests/lint.sh
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$output" = "lint: 7 passed, 0 failed, 0 skipped" ]
}

@test "lint: an upward include is reported with file and line" {
    printf '%s\n' '/* a.c - code. */' '#include "base/a.h"' '' '#include "dev/d.h"' > lib/base/a.c
    reports 'lint: layers: lib/base/a.c:4: lib/base may not include lib/dev'
    sed -i 's/"dev.d.h"/<dev\/d.h>/' lib/base/a.c
    reports 'lint: layers: lib/base/a.c:4: *'
}

@test "lint: an include that no layer has is reported" {
    sed -i '2a #include "deel/x.h"' src/deal.c
    reports 'lint: layers: src/deal.c:3: src may not include lib/deel'
}

@test "lint: formatting and the first line" {
    printf '%s\n' '/* a.c - code. */' 'int  a;' > lib/base/a.c
    reports 'lint: formatting: lib/base/a.c:2:*'
    echo 'int a;' > lib/base/a.c
    reports 'lint: formatting: lib/base/a.c:1: first line*'
}

@test "lint: a script that shellcheck faults" {
    # shellcheck disable=SC2016
    printf '%s\n' '#!/bin/sh' 'rm $1' > tests/x.sh
    reports 'lint: scripts: tests/x.sh:2:*'
}

@test "lint: a page that mandoc faults" {
    echo '.Qx' >> man/deal.1
    reports 'lint: man_pages: *man/deal.1:12:*'
}

@test "lint: options of --help and of the page that differ" {
    sed -i 's/Fl -shards/Fl -shard/' man/deal.1
    reports 'lint: options: man/deal.1: option missing: --shards'
    [ "${lines[1]}" = 'lint: options: man/deal.1: no such option: --shard' ]
    rm man/deal.1
    reports 'lint: options: man/deal.1: missing'
}

@test "lint: a function of more than 100 lines, unless it says why" {
    {
        printf '%s\n' '/* a.c - code. */' '#include "base/a.h"' '' 'int a(void)' '{' '    int n = 0;'
        for _ in $(seq 100); do echo '    n++;'; done
        printf '%s\n' '    return n;' '}'
    } > lib/base/a.c
    reports 'lint: sizes: lib/base/a.c:5: a function of 103 lines (limit 100)'
    sed -i '4i /* lint: long - it counts */' lib/base/a.c
    run tests/lint.sh
    [ "$status" -eq 0 ]
}

@test "lint: a path of one machine" {
    printf '/%s/me/data is where it lies\n' home > man/note.txt
    reports 'lint: machine_paths: man/note.txt:1:*'
}
