#!/usr/bin/env bats
# gather.bats - putting records in order, and proving that all are there.

load helpers

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    export TMPDIR=$BATS_TEST_TMPDIR
    records 7 > data.jsonl
    shard -q data.jsonl > dealt.jsonl
}

# Expects exactly the lines given on stderr, and the status.
says() { # says STATUS LINES COMMAND
    run bash -c "$3 2>&1 > out"
    [ "$status" -eq "$1" ]
    [ "$output" = "$2" ] || { echo "$output"; return 1; }
}

@test "gather: takes out what the tools put in, and nothing else" {
    printf '%s\n' ' {"messages":1, "tokens":2,"_seq":0,"_shard":0,"messages":3,"params":4,"prompt":5,"tokens":6,"response":7,"_last":true ,"_rep":1,"_src":2} ' > one
    [ "$(gather -q one)" = ' {"messages":1, "tokens":2,"response":7 } ' ]
    gather -q --keep one | cmp - one
    printf '{"_last":true,"_seq":0}\n' | gather -q | cmp - <(echo '{}')
}

@test "gather: order from files, from a pipe, from shuffled lines" {
    shard -q -n 3 -o 'p-%d' data.jsonl
    gather -q p-2 p-0 p-1 | cmp - data.jsonl
    cat p-2 p-0 p-1 | gather -q | cmp - data.jsonl
    tac dealt.jsonl > back
    gather -q back | cmp - data.jsonl
    gather -q < back | cmp - data.jsonl
    gather -q <(cat p-2) p-0 - < p-1 | cmp - data.jsonl
    for seed in 1 2 3; do shuf --random-source=<(yes $seed) dealt.jsonl | gather -q | cmp - data.jsonl; done
}

@test "gather: several ascending runs in one file" {
    for s in 1,3 0,2,4 5,6; do
        jq -c --argjson s "[$s]" 'select(._seq as $n | $s | index($n))' dealt.jsonl
    done > runs
    gather -q runs | cmp - <(jq -c . data.jsonl)
}

@test "gather: a record goes out as soon as it is in order" {
    mkfifo in out
    gather -q < in > out &
    exec 7> in 8< out
    head -1 dealt.jsonl >&7
    read -r -t 5 line <&8
    [ "$line" = '{"id":0,"label":"0","text":"record \u00e9 0"}' ]
    tail -6 dealt.jsonl >&7
    exec 7>&-
    [ "$(wc -l <&8)" -eq 6 ]
    exec 8<&-
    wait
}

@test "gather: missing, double and unfinished streams" {
    says 0 "gather: 7 records" "gather dealt.jsonl"
    says 1 "gather: 1 record is missing: _seq 2
gather: 6 records, 1 missing" "sed 3d dealt.jsonl | gather"
    says 1 "gather: 4 records are missing: _seq 0-2, 4
gather: 3 records, 4 missing" "sed '1,3d;5d' dealt.jsonl | gather"
    says 1 "gather: 2 records came twice: _seq 1, 6
gather: 7 records" "sed '2p;7p' dealt.jsonl | gather"
    cmp out data.jsonl
    says 1 "gather: no record says _last, up to _seq 5: a stage before ended early
gather: 6 records" "head -6 dealt.jsonl | gather"
    says 1 "gather: 1 behind the record that says _last: _seq 7
gather: 8 records" "{ cat dealt.jsonl; echo '{\"_seq\":7}'; } | gather"
    seq 0 2 98 | sed 's/.*/{"_seq":&}/' > even
    says 1 "gather: 49 records are missing: _seq 1, 3, 5, 7, 9, 11, 13, 15, ...
gather: no record says _last, up to _seq 98: a stage before ended early
gather: 50 records, 49 missing" "gather even"
}

@test "gather: a line cut off is a verdict, a line that is no record is not" {
    says 1 "gather: <stdin>:7: unexpected end of the text at byte 50: the last line is cut off
gather: no record says _last, up to _seq 5: a stage before ended early
gather: 6 records" "head -c -20 dealt.jsonl | gather"
    { sed -n 2,7p dealt.jsonl; head -1 dealt.jsonl; } | head -c -4 > torn
    says 1 "gather: torn:7: unexpected end of the text at byte 52: the last line is cut off
gather: 1 record is missing: _seq 0
gather: 6 records, 1 missing" "gather torn"
    says 1 "gather: <stdin>:7: unexpected end of the text at byte 52: the last line is cut off
gather: 1 record is missing: _seq 0
gather: 6 records, 1 missing" "gather < torn"
    says 65 "gather: <stdin>:3: expected true, false or null at byte 2" "sed '3s/^/nope/' dealt.jsonl | gather"
    says 65 "gather: odd:4: expected true, false or null at byte 2" "{ tac dealt.jsonl | sed '3s/^/\nnope/'; } > odd; gather odd"
    says 65 "gather: <stdin>:4: expected true, false or null at byte 2" "gather < odd"
    says 65 "gather: data.jsonl:1: no _seq; only records that shard has numbered can be put in order" "gather data.jsonl"
    says 65 "gather: <stdin>:2: _seq is not a whole number" "printf '{\"_seq\":0}\n{\"_seq\":-1}\n' | gather"
}

@test "gather: --expect takes the first N, _last or not" {
    head -4 data.jsonl > four
    says 0 "gather: 4 records, 3 beyond --expect left out" "gather --expect 4 dealt.jsonl"
    cmp out four
    says 0 "gather: 4 records" "head -4 dealt.jsonl | gather --expect 4"
    says 1 "gather: 2 records are missing: _seq 4-5
gather: 4 records, 2 missing" "head -4 dealt.jsonl | gather --expect 6"
    says 0 "gather: <stdin>:5: unexpected end of the text at byte 6: the last line is cut off
gather: 4 records" "{ head -4 dealt.jsonl; printf '{\"_se'; } | gather --expect 4"
    says 0 "gather: 0 records" "gather --expect 0 /dev/null"
    says 1 "gather: 2 records are missing: _seq 0-1
gather: 0 records, 2 missing" "gather --expect 2 /dev/null"
}

@test "gather: --partial accepts gaps, not doubles" {
    says 0 "gather: 5 records, 1 missing" "sed '2d;7d' dealt.jsonl | gather --partial"
    cmp out <(sed '2d;7d' data.jsonl)
    says 1 "gather: 1 record came twice: _seq 0
gather: 7 records" "sed 1p dealt.jsonl | gather --partial"
}

@test "gather: in a file that is still a .part, a last line without its end does not count" {
    head -3 dealt.jsonl | head -c -1 > a.part
    sed -n '3,$p' dealt.jsonl > b
    says 0 "gather: a.part:3: no line end: the last line is cut off
gather: 7 records" "gather --expect 7 a.part b"
    cmp out data.jsonl
}

@test "gather: empty input, blank lines, no final newline, CRLF" {
    says 0 "gather: 0 records" "gather /dev/null"
    says 0 "gather: 0 records" "gather < /dev/null"
    printf '\n' | gather -q
    head -c -1 dealt.jsonl | gather -q | cmp - data.jsonl
    sed 's/$/\r/' dealt.jsonl | gather -q | cmp - data.jsonl
}

@test "gather: one huge line, a NUL byte" {
    { printf '{"a":"'; head -c 20000000 /dev/zero | tr '\0' x; printf '","_seq":0,"_last":true}\n'; } > big
    [ "$(gather -q big | wc -c)" -eq 20000009 ]
    refuses 65 gather --max-record 1M big
    printf '{"_seq\0":0}\n' > nul
    refuses 65 gather nul
}

@test "gather: error records are counted and written to a file too" {
    printf '%s\n' '{"a":1}' nope '{"_seq":1}' 'no' > bad.jsonl
    shard -q bad.jsonl > dealt
    says 0 "gather: 4 records, 3 errors (2 bad_json, 1 reserved_member)" "gather --errors e.jsonl dealt"
    grep error out | cmp - e.jsonl
    says 0 "gather: 7 records" "gather --errors e.jsonl dealt.jsonl"
    [ -e e.jsonl ] && [ ! -s e.jsonl ]
    printf '{"error":{"stage":"x"},"_seq":0}\n{"error":"y","_seq":1,"_last":true}\n' > own
    says 0 "gather: 2 records" "gather own"
}

@test "gather: --max-errors" {
    printf '%s\n' '{"a":1}' nope '{}' 'no' > bad.jsonl
    shard -q bad.jsonl > dealt
    gather -q --max-errors 2 -o r dealt
    gather -q --max-errors 50% dealt > /dev/null
    says 1 "gather: 2 error records, more than the 1 allowed" "gather -q --max-errors 1 -o r2 --errors e dealt"
    cmp r r2
    [ "$(wc -l < e)" -eq 2 ]
    says 1 "gather: 2 error records, more than the 49% allowed" "gather -q --max-errors 49% dealt"
    refuses 64 gather --max-errors x dealt
    refuses 64 gather --max-errors 101% dealt
}

@test "gather: -o appears when whole" {
    gather -q -o r.jsonl dealt.jsonl
    cmp r.jsonl data.jsonl
    run gather -q -o s.jsonl --errors e.jsonl <(sed 3d dealt.jsonl)
    [ "$status" -eq 1 ]
    [ ! -e s.jsonl ] && [ ! -e e.jsonl ]
    cmp s.jsonl.part <(sed 3d data.jsonl)
    gather -q -o /dev/stdout dealt.jsonl | cmp - data.jsonl
    gather -q -o /dev/null dealt.jsonl
    [ -c /dev/null ]
}

@test "gather: a stage that is killed is noticed" {
    run bash -c 'shard -q data.jsonl | head -c 150 | gather'
    [ "$status" -eq 1 ]
    run bash -c 'shard -q data.jsonl | { sleep 0.2; kill -9 $BASHPID; cat; } 2> /dev/null | gather'
    [ "$status" -eq 0 ] # nothing came: an empty stream; pipefail tells the rest
    run bash -c 'set -o pipefail; shard -q data.jsonl | { head -3; kill -9 $BASHPID; } | gather'
    [ "$status" -ne 0 ]
}

@test "gather: exactly once, for 0 to 40 records in 1 to 5 shards, in each form" {
    records 40 > all
    jq -c 'to_entries | reverse | from_entries' all > all.moved
    for n in $(seq 0 40); do
        head -"$n" all > in
        head -"$n" all.moved > moved
        for p in 1 2 3 4 5; do
            shard -q -n "$p" in | gather -q | cmp - in
            shard -q -n "$p" --deal contiguous < in | tac | gather -q | cmp - in
            shard -q -n "$p" -o 'f-%d' in
            gather -q $(seq -f f-%.0f 0 $((p - 1))) | cmp - in
            for ((k = p; k-- > 0; )); do shard -q -n "$p" -k $k in; done | gather -q --expect "$n" | cmp - in
        done
        shard -q -n 3 in | jq -c 'to_entries | reverse | from_entries' | gather -q | cmp - moved
    done
}

@test "gather: wrong options, a missing file, a full disk, a reader that leaves" {
    refuses 64 gather --exepct 3
    refuses 64 gather --expect x dealt.jsonl
    refuses 66 gather dealt.jsonl none.jsonl
    refuses 66 gather .
    refuses 74 gather -o nowhere/r dealt.jsonl
    run bash -c 'gather -q dealt.jsonl > /dev/full'
    [ "$status" -eq 74 ]
    TMPDIR=/nowhere refuses 74 gather -q -o r <(tac dealt.jsonl)
    records 20000 | shard -q > big.jsonl
    refuses 64 gather -o same --errors same dealt.jsonl
    [ ! -e same ] && [ ! -e same.part ]
    quits_quietly "gather -q big.jsonl"
}

@test "gather: help, version and the manual's examples" {
    gather --help | grep -q 'longest record \[256M\]'
    [[ "$(gather --version)" == "gather "* ]]
    runs_examples gather
}

@test "gather: two of them do not write one file" {
    mkfifo slow
    gather -q -o all < slow &
    exec 7> slow
    head -3 dealt.jsonl >&7
    until [ -e all.part ]; do sleep 0.05; done
    refuses 75 gather -o all dealt.jsonl
    sed 1,3d dealt.jsonl >&7
    exec 7>&-
    wait $!
    cmp all data.jsonl
}
