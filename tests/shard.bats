#!/usr/bin/env bats
# shard.bats - numbering and dealing records.

load helpers
bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    export TMPDIR=$BATS_TEST_TMPDIR
    records 5 > data.jsonl
}

@test "shard: numbers the records, and the last one says so" {
    run shard -q data.jsonl
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" -eq 5 ]
    [ "${lines[0]}" = '{"id":0,"label":"0","text":"record \u00e9 0","_seq":0}' ]
    [ "${lines[4]}" = '{"id":4,"label":"1","text":"record \u00e9 16","_seq":4,"_last":true}' ]
}

@test "shard: says on stderr what it did, unless -q" {
    [ "$(shard -n 4 data.jsonl 2>&1 > /dev/null)" = "shard: 5 records, 4 shards" ]
    [ "$(shard -n 2 -k 1 data.jsonl 2>&1 > /dev/null)" = "shard: 5 records, 2 shards, 2 in shard 1" ]
    [ -z "$(shard -q data.jsonl 2>&1 > /dev/null)" ]
}

@test "shard: empty input" {
    run shard -q /dev/null
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    run shard -q --deal contiguous -n 3 /dev/null
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    shard -q -n 3 -o 'p-%d' /dev/null
    [ "$(cat p-0 p-1 p-2 | wc -c)" -eq 0 ]
}

@test "shard: CRLF, blank lines, a BOM and a missing last LF" {
    printf '\xef\xbb\xbf{"a":1}\r\n\r\n  \n{}' > odd.jsonl
    [ "$(shard -q odd.jsonl)" = '{"a":1,"_seq":0}
{"_seq":1,"_last":true}' ]
}

@test "shard: the bytes of a record survive" {
    printf '%s\n' ' { "n" : 12345678901234567890, "f":1.10,"e":1e400 , "s":"\u00e9\/\ud800","":{ } }  ' > odd.jsonl
    [ "$(shard -q odd.jsonl)" = ' { "n" : 12345678901234567890, "f":1.10,"e":1e400 , "s":"\u00e9\/\ud800","":{ } ,"_seq":0,"_last":true}  ' ]
    shard -q odd.jsonl | gather -q | cmp - odd.jsonl
}

@test "shard: one stream of N shards names the shard, -k picks one, -o writes all" {
    [ "$(shard -q -n 2 data.jsonl | jq -c '[._seq,._shard]' | tr -d '\n')" = "[0,0][1,1][2,0][3,1][4,0]" ]
    [ "$(shard -q -n 2 -k 0 data.jsonl | jq -c '[._seq,._shard,._last]' | tr -d '\n')" = "[0,null,null][2,null,null][4,null,true]" ]
    shard -q -n 7 -o 'p-%d.jsonl' data.jsonl
    [ "$(ls p-*)" = "$(printf 'p-%d.jsonl\n' 0 1 2 3 4 5 6)" ]
    [ "$(cat p-3.jsonl)" = '{"id":3,"label":"0","text":"record \u00e9 9","_seq":3}' ]
    [ ! -s p-6.jsonl ]
    shard -q -n 7 -k 3 -o 'one-%d.jsonl' data.jsonl
    [ "$(echo one-*)" = one-3.jsonl ]
    cmp one-3.jsonl p-3.jsonl
}

@test "shard: contiguous shards, from a file, a pipe and several files" {
    for k in 0 1 2; do shard -q -n 3 -k $k --deal contiguous data.jsonl; done > want
    [ "$(jq -s -c 'map(._seq)' want)" = "[0,1,2,3,4]" ]
    [ "$(shard -q -n 3 --deal contiguous data.jsonl | jq -s -c 'map(._shard)')" = "[0,1,1,2,2]" ]
    [ "$(shard -q -n 3 --deal contiguous < data.jsonl | jq -s -c 'map(._shard)')" = "[0,1,1,2,2]" ]
    [ "$(cat data.jsonl | shard -q -n 3 --deal contiguous | jq -s -c 'map(._shard)')" = "[0,1,1,2,2]" ]
    [ "$(head -2 data.jsonl | shard -q -n 2 --deal contiguous data.jsonl - | jq -s -c 'map(._shard)')" = "[0,0,0,1,1,1,1]" ]
    [ "$(shard -q -n 2 --limit 4 --deal contiguous data.jsonl | jq -s -c 'map(._shard)')" = "[0,0,1,1]" ]
}

@test "shard: --limit ends the stream, and does not wait for more" {
    [ "$(shard -q --limit 2 data.jsonl | jq -s -c 'map(._last)')" = "[null,true]" ]
    [ -z "$(shard -q --limit 0 data.jsonl)" ]
    [ "$(shard -q --limit 9 data.jsonl | wc -l)" -eq 5 ]
    mkfifo in
    exec 7<> in
    cat data.jsonl >&7
    [ "$(timeout 5 shard -q --limit 5 < in | tail -1 | jq ._last)" = true ]
    exec 7>&-
}

@test "shard: a record goes out when the next one is there" {
    mkfifo in out
    shard -q < in > out &
    exec 7> in 8< out
    printf '{"a":1}\n{"a":2}\n' >&7
    read -r -t 5 line <&8
    [ "$line" = '{"a":1,"_seq":0}' ]
    exec 7>&-
    read -r -t 5 line <&8
    [ "$line" = '{"a":2,"_seq":1,"_last":true}' ]
    exec 8<&-
    wait
}

@test "shard: several files are one stream" {
    [ "$(shard -q data.jsonl data.jsonl | jq -s -c 'map(._seq)')" = "[0,1,2,3,4,5,6,7,8,9]" ]
    [ "$(shard -q data.jsonl - < data.jsonl | tail -1 | jq -c '[._seq,._last]')" = "[9,true]" ]
}

@test "shard: a JSON array, as jq prints it and on one line" {
    jq -s . data.jsonl > data.json
    shard -q data.json | jq -c 'del(._seq,._last)' | cmp - <(jq -c . data.jsonl)
    jq -s -c . data.jsonl > one.json
    shard -q one.json | gather -q | cmp - <(jq -c . data.jsonl)
    [ "$(shard -q data.json data.jsonl one.json | wc -l)" -eq 15 ]
    printf '[\r\n {"a":\r\n1},3\n' > cut.json
    [ "$(shard -q cut.json | jq -c '[._seq,.a,.error.type]' | tr -d '\n')" = '[0,1,null][1,null,"bad_json"]' ]
}

@test "shard: a bad line becomes an error record in its place, naming the line" {
    printf '%s\n' '{"a":1}' '' 'not JSON' '[1]' $'{"\xff":1}' $'{"a":"\x01"}' '{"b":2}' > bad.jsonl
    shard -q bad.jsonl > got
    [ "$(jq -c '[._seq,.error.type]' got | tr -d '\n')" = '[0,null][1,"bad_json"][2,"not_object"][3,"bad_utf8"][4,"bad_json"][5,null]' ]
    [ "$(jq -r 'select(._seq==1).error.message' got)" = "bad.jsonl:3: expected true, false or null at byte 2" ]
    [ "$(jq -r 'select(._seq==1).error.input' got)" = "not JSON" ]
    [ "$(jq -r 'select(._seq==3).error.input_base64' got | base64 -d)" = $'{"\xff":1}' ]
    [ "$(tail -1 got)" = '{"b":2,"_seq":5,"_last":true}' ]
    [ "$(shard bad.jsonl 2>&1 > /dev/null)" = "shard: 6 records, 1 shard, 4 bad" ]
}

@test "shard: --strict stops at the first bad record with 65, naming file and line" {
    printf '{"a":1}\n{"a":2}\nnope\n{}\n' > bad.jsonl
    refuses 65 shard --strict bad.jsonl
    [[ "$output" == "shard: bad.jsonl:3: "* ]]
    refuses 65 shard --strict -n 2 -k 1 bad.jsonl
}

@test "shard: a NUL byte and one huge line" {
    { printf '{"a\0":1}\n'; printf '{"a":"'; head -c 3000000 /dev/zero | tr '\0' x; printf '"}\n{}\n'; } > odd.jsonl
    [ "$(shard -q odd.jsonl | jq -c '[._seq,.error.type,(.a|length)]' | tr -d '\n')" = '[0,"bad_json",0][1,null,3000000][2,null,0]' ]
    shard -q --max-record 1M odd.jsonl > got
    [ "$(jq -c '[._seq,.error.type,(.error.input|length)]' got | tr -d '\n')" = '[0,"bad_json",8][1,"too_long",4096][2,null,0]' ]
    [ "$(jq -r 'select(._seq==1).error.message' got)" = "odd.jsonl:2: 3000008 bytes, more than the 1048576 allowed" ]
}

@test "shard: members of ours that a record has" {
    printf '{"_seq":7,"a":1}\n{"a":1,"_l\\u0061st":2,"_shard":3}\n' > odd.jsonl
    [ "$(shard -q odd.jsonl | jq -c '[._seq,.error.type]' | tr -d '\n')" = '[0,"reserved_member"][1,"reserved_member"]' ]
    [ "$(shard -q --overwrite odd.jsonl)" = '{"a":1,"_seq":0}
{"a":1,"_seq":1,"_last":true}' ]
    refuses 65 shard --strict odd.jsonl
}

@test "shard: --done leaves out what was answered, and moves nothing" {
    shard -q -n 2 data.jsonl | jq -c 'select(._seq == 3 or ._seq == 0)' | tac > out-0.jsonl
    printf '{"_seq":1}\n{"_seq":2' > out-1.jsonl.part
    [ "$(shard -q -n 2 --done 'out-*' data.jsonl | jq -c '[._seq,._shard]' | tr -d '\n')" = "[2,0][4,0]" ]
    printf '{"_seq":2}' > out-1.jsonl.part # whole, but for its LF: the writer will drop it
    [ "$(shard -q --done 'out-0*' --done 'out-1*' data.jsonl | jq -s -c 'map(._seq)')" = "[1,2,4]" ]
    [ "$(shard -q -n 2 -k 1 --done 'out-*' data.jsonl | jq -s -c 'map(._seq)')" = "[1]" ]
    [ "$(shard --done 'out-*' data.jsonl 2>&1 > /dev/null)" = "shard: 5 records, 1 shard, 2 left out as done" ]
}

@test "shard: --done with no file, odd files and the last record done" {
    [ "$(shard -q --done 'none-*' --done 'no/folder/*' data.jsonl | wc -l)" -eq 5 ]
    printf 'key v1\n{"a":1}\n{"_seq":"x"}\n\n{"_seq":4,"_last":true}\n' > out-0.jsonl
    mkdir out-1
    [ "$(shard -q --done 'out-*' data.jsonl | jq -s -c 'map([._seq,._last])')" = "[[0,null],[1,null],[2,null],[3,null]]" ]
    printf '{"_seq":9007199254740993}\n' > out-0.jsonl
    refuses 65 shard --done 'out-*' data.jsonl
}

@test "shard: files appear whole or not at all, and never in the place of a device" {
    printf '{}\nnope\n' > bad.jsonl
    run shard -q --strict -n 2 -o 'p-%d' bad.jsonl
    [ "$status" -eq 65 ]
    [ ! -e p-0 ] && [ ! -e p-1 ]
    refuses 74 shard -n 2 -o 'nowhere/p-%d' data.jsonl
    shard -q -o /dev/null data.jsonl
    [ -c /dev/null ]
}

@test "shard: wrong options" {
    refuses 64 shard --shrads 4
    [[ "$output" == *"--shards"* ]]
    refuses 64 shard -n 0
    refuses 64 shard -n x
    refuses 64 shard -n 2 -k 2 data.jsonl
    refuses 64 shard -k 1 data.jsonl
    refuses 64 shard -n 2 -o out data.jsonl
    refuses 64 shard -n 2 -o 'a%db%d' data.jsonl
    refuses 64 shard -n 2 -o '%s' data.jsonl
    refuses 64 shard --deal sizes data.jsonl
    refuses 64 shard --max-record 0 data.jsonl
}

@test "shard: a missing file, a folder, a full disk, a reader that leaves" {
    refuses 66 shard data.jsonl none.jsonl
    refuses 66 shard .
    run bash -c 'shard -q data.jsonl > /dev/full'
    [ "$status" -eq 74 ]
    [[ "$output" == "shard: write <stdout>: "* ]]
    records 20000 > big.jsonl
    quits_quietly "shard -q big.jsonl"
}

@test "shard: --shuffle draws an order, the same for the same seed" {
    records 50 > more.jsonl
    shard -q --shuffle 7 more.jsonl > a
    shard -q --shuffle 7 < more.jsonl | cmp - a
    cat more.jsonl | shard -q --shuffle 7 | cmp - a
    jq -s . more.jsonl > array.json
    shard -q --shuffle 7 array.json | jq -c '[._src,.id]' | cmp - <(jq -c '[._src,.id]' a)
    run ! cmp -s a <(shard -q --shuffle 8 more.jsonl)
    [ "$(jq -s 'map(._seq) == [range(50)] and (map(._src) | sort) == [range(50)]' a)" = true ]
    [ "$(jq -s 'all(._src == .id and ._rep == 0)' a)" = true ]
    [ "$(jq -s 'map(._src) == [range(50)]' a)" = false ]
    gather -q a | sort | cmp - <(sort more.jsonl)
    [ "$(shard -q --shuffle 1 --limit 3 more.jsonl | jq -s -c 'map(._src) | sort')" = "[0,1,2]" ]
    [ -z "$(shard -q --shuffle 1 /dev/null)" ]
    printf '{"a":1}\nnope\n' | shard -q --shuffle 1 | jq -s -c 'map(.error.message) | sort' | grep -q '<stdin>:2: '
}

@test "shard: --repeat, alone and with --shuffle, --done and shards" {
    [ "$(shard -q --repeat 2 data.jsonl | jq -c '[._seq,._src,._rep,.id]' | head -3 | tr -d '\n')" = "[0,0,0,0][1,0,1,0][2,1,0,1]" ]
    [ "$(shard -q --repeat 3 data.jsonl | gather -q | cmp - <(sed 'p;p' data.jsonl))" = "" ]
    shard -q --repeat 2 --shuffle 3 -n 3 -o 'p-%d' data.jsonl
    [ "$(cat p-* | jq -s -c 'map(._src * 2 + ._rep) | sort')" = "[0,1,2,3,4,5,6,7,8,9]" ]
    [ "$(shard -q --repeat 2 --shuffle 3 --done p-1 data.jsonl | wc -l)" -eq 7 ]
    [ "$(printf 'no\n' | shard --repeat 2 2>&1 > /dev/null)" = "shard: 2 records, 1 shard, 1 bad" ]
}

@test "shard: --deal size evens out the bytes" {
    awk 'BEGIN { for (i = 0; i < 40; i++) { s = i % 10 ? "" : sprintf("%900s", ""); printf "{\"a\":\"%s\"}\n", s } }' > uneven
    shard -q -n 4 --deal size -o 'p-%d' uneven
    gather -q p-* | cmp - uneven
    for k in 0 1 2 3; do [ "$(wc -c < p-$k)" -lt 1200 ]; [ "$(wc -c < p-$k)" -gt 1000 ]; done
    for k in 0 1 2 3; do shard -q -n 4 -k $k --deal size < uneven; done | cmp - <(cat p-*)
    shard -q -n 4 --deal size uneven | gather -q | cmp - uneven
    shard -q -n 4 --deal size --repeat 2 --shuffle 5 uneven | gather -q | sort | cmp - <(sort uneven uneven)
    [ -z "$(shard -q -n 3 --deal size /dev/null)" ]
}

@test "shard: --keep-seq takes numbered records as they are" {
    shard -q data.jsonl > numbered
    shard -q --keep-seq numbered | cmp - numbered
    [ "$(shard -q -n 2 numbered --keep-seq | jq -c '[._seq,._shard]' | tr -d '\n')" = "[0,0][1,1][2,0][3,1][4,0]" ]
    shard -q -n 2 --keep-seq numbered | shard -q -n 3 --keep-seq | jq -s -c 'map(._shard)' | grep -qF '[0,1,2,0,1]'
    tac numbered | shard -q --keep-seq -n 3 -e cat | gather -q | cmp - data.jsonl
    sed 2d numbered | shard -q --keep-seq -n 2 -k 0 | jq -s -c 'map(._seq)' | grep -qF '[0,2,4]'
    refuses 65 shard -q --keep-seq data.jsonl
    refuses 64 shard --keep-seq --shuffle 1 data.jsonl
    refuses 64 shard --keep-seq --repeat 2 data.jsonl
}

@test "shard: help, version and the manual's examples" {
    shard --help | grep -q 'how many shards \[1\]'
    [[ "$(shard --version)" == "shard "* ]]
    runs_examples shard
}
