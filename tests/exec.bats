#!/usr/bin/env bats
# exec.bats - shard -e: children that answer, die, stall and lie.

load helpers

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    export TMPDIR=$BATS_TEST_TMPDIR
    records 3000 > data.jsonl
}

# Dies by itself after some records, another number in each process.
mortal() { # mortal MOST STATUS
    cat > mortal <<END
head -c 4 /dev/urandom > /dev/null
n=\$(( (\$\$ * 7919) % $1 + 1 ))
head -n \$n
$2
END
}

@test "exec: N children, order restored by gather" {
    for n in 1 2 3 4 5; do
        timeout 20 shard -q -n $n -e cat data.jsonl | gather -q | cmp - data.jsonl
        timeout 20 shard -q -n $n --window 1 -e cat data.jsonl | gather -q | cmp - data.jsonl
    done
    cat data.jsonl | timeout 20 shard -q -n 3 -e cat | gather -q | cmp - data.jsonl
    timeout 20 shard -q -n 3 -e 'jq -c .' data.jsonl | gather -q | cmp - <(jq -c . data.jsonl)
}

@test "exec: SHARD and SHARDS, standard error, no input" {
    shard -q -n 3 -e 'echo "$SHARD of $SHARDS" >&2; cat' data.jsonl 2>&1 > /dev/null | sort > got
    printf '%s\n' '0 of 3' '1 of 3' '2 of 3' | cmp - got
    run timeout 10 shard -n 3 -e cat /dev/null
    [ "$status" -eq 0 ]
    [ "$output" = "shard: 0 records, 3 shards" ]
}

@test "exec: children that die at random lose nothing" {
    for end in 'exit 0' 'exit 7' 'kill -9 $$'; do
        mortal 900 "$end"
        for n in 1 3 5; do
            timeout 60 shard -q -n $n -e '. ./mortal' data.jsonl 2> err | gather -q | cmp - data.jsonl
            grep -q '^shard: child [0-4] .*dealt again$' err
        done
    done
    grep -q 'was ended by signal 9 (Killed)' err
}

@test "exec: a child that is killed in the middle of a line" {
    timeout 20 shard -q -n 2 -e 'if mkdir once 2> /dev/null; then head -c 5000; kill -9 $$; fi; cat' data.jsonl 2> err |
        gather -q | cmp - data.jsonl
    [ "$(wc -l < err)" -eq 1 ]
}

@test "exec: slow and stalling children do not hold up the others" {
    head -300 data.jsonl > few
    timeout 20 shard -q -n 3 --window 4 -e 'if [ $SHARD = 0 ]; then sleep 1; fi; cat' few > got
    gather -q got | cmp - few
    [ "$(tail -4 got | jq -s 'map(._seq) | max')" -le 298 ] # what child 0 was given first came last
    timeout 20 shard -q -n 2 --window 8 -e 'if [ $SHARD = 1 ]; then while read -r l; do sleep 0.05; echo "$l"; done; else cat; fi' few |
        gather -q | cmp - few
}

@test "exec: a child that answers nothing ends the run" {
    run timeout 20 shard -n 2 -e 'exit 3' data.jsonl
    [ "$status" -eq 75 ]
    [[ "${lines[-1]}" == "shard: child "*" ended with status 3, 4 times with no answer between; "*" unanswered" ]]
    head -9 data.jsonl > few
    run timeout 20 shard -n 2 -e 'cat > /dev/null' few
    [ "$status" -eq 75 ]
    run timeout 20 shard -n 1 -e 'no-such-command' data.jsonl
    [ "$status" -eq 75 ]
    [[ "$output" == *"status 127"* ]]
}

@test "exec: what is no answer names the child, and ends the run" {
    run bash -c "timeout 20 shard -q -n 2 -e 'head -n 5; echo garbage; cat' data.jsonl 2>&1 > out"
    [ "$status" -eq 65 ]
    [[ "$output" =~ ^"shard: child "[01]", line 6: not a record: bad_json"$ ]]
    run bash -c "timeout 20 shard -q -e 'head -n 1; echo {}; cat' data.jsonl 2>&1 > out"
    [ "$status" -eq 65 ]
    [ "$output" = "shard: child 0, line 2: a record without _seq; the command must keep it" ]
    [ "$(wc -l < out)" -eq 1 ]
    run bash -c "timeout 20 shard -q -e 'sed -u p' data.jsonl 2>&1 > out"
    [ "$status" -eq 65 ]
    [ "$output" = "shard: child 0, line 2: _seq 0 is not one that it has to answer" ]
}

@test "exec: answers come while the input waits" {
    mkfifo in out
    timeout 20 shard -q -n 2 -e cat < in > out &
    exec 7> in 8< out
    printf '{"a":1}\n{"a":2}\n{"a"' >&7
    read -r -t 5 line <&8
    [ "$line" = '{"a":1,"_seq":0}' ]
    printf ':3}\n' >&7
    read -r -t 5 line <&8
    [ "$line" = '{"a":2,"_seq":1}' ]
    exec 7>&-
    read -r -t 5 line <&8
    [ "$line" = '{"a":3,"_seq":2,"_last":true}' ]
    exec 8<&-
    wait
}

@test "exec: a signal ends the children too" {
    for sig in TERM INT; do
        yes '{"a":1}' | env --default-signal=INT timeout 20 shard -q -n 2 -e 'echo $$ >> pids; exec sleep 60' &
        touch pids
        for _ in $(seq 50); do [ "$(wc -l < pids)" -lt 2 ] || break; sleep 0.1; done
        shards=$(ps -o ppid= -p "$(tail -1 pids)" | tr -d ' ')
        kill -$sig "$shards"
        wait || true
        sleep 0.3
        for p in $(cat pids); do ! kill -0 "$p" 2> /dev/null; done
        rm pids
    done
}

@test "exec: a full disk, a reader that leaves, wrong options" {
    run bash -c "timeout 20 shard -q -n 2 -e cat data.jsonl > /dev/full"
    [ "$status" -eq 74 ]
    quits_quietly "shard -q -n 2 -e cat data.jsonl data.jsonl data.jsonl data.jsonl"
    refuses 64 shard -n 2 -e cat -k 1 data.jsonl
    refuses 64 shard -n 2 -e cat -o 'p-%d' data.jsonl
    refuses 64 shard -n 2 -e cat --deal size data.jsonl
    refuses 64 shard -n 2 -e cat --window 0 data.jsonl
    refuses 65 shard -q --strict -e cat <(echo nope)
}
