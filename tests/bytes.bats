#!/usr/bin/env bats
# bytes.bats - members that no tool may touch: 50 values, each in four places of a record.

load helpers

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    M=$BATS_TEST_DIRNAME/../data/models/router
    T=$BATS_TEST_DIRNAME/../data/templates/combined_v1.json
    cat > values <<'END'
12345678901234567890
-12345678901234567890123456789012345678901234567890
9007199254740993
18446744073709551616
1.10
1.0
100.00
0.1000000000000000055511151231257827
1e400
1e1000
-1E-1000
1E+2
1e+02
1.5e-7
0e0
-0
-0.0
0.0000000000000000000000000001
3.141592653589793238462643383279502884197
"\u00e9"
"é"
"\u00E9"
"e\u0301"
"\/"
"/"
"\u002f"
"\b\f\n\r\t\"\\"
"\u0008\u000c\u000a\u000d\u0009\u0022\u005c"
"\u0000"
"\u001f\u007f"
""
"\u2028\u2029"
"    "
"\ud83d\ude00"
"😀"
"\uD83D\uDE00"
"\ud83d"
"\udc00 \ud800"
"\ufeff"
"\uffff\ufffe"
"<script>&amp;'</script>"
"a, \"b\": {c} [d] }"
[ 1 ,2,  3 ]
[ ]
{ "b" : 1 , "a" : 2 }
{"a":1,"a":2,"A":3}
{"":{"":[{}]}}
[null, true ,false,"null",[[[[]]]]]
{"error":{"stage":1},"response":null,"_seq":"inner","messages":[]}
{"\u0061":1,"z":0.10,"10":1,"9":2}
END
    [ "$(wc -l < values)" -eq 50 ]
    {
        sed 's/.*/{"text":"x","v":&}/' values
        sed 's/.*/{"v":&,"text":"x"}/' values
        sed 's/.*/{ "text" : "x",\t"v" :\t{ "in" : & } , "v":0 }/' values
        sed 's/.*/{"z":[&, &],"text":"x","a":&,"z":"again"}/' values
    } > fixtures
    [ "$(wc -l < fixtures)" -eq 200 ]
}

@test "bytes: 200 fixtures through shard and gather, in every way to deal" {
    shard -q fixtures | gather -q | cmp - fixtures
    shard -q -n 3 -o 'p-%d' fixtures
    gather -q p-2 p-0 p-1 | cmp - fixtures
    shard -q -n 3 --deal size fixtures | gather -q | cmp - fixtures
    shard -q -n 2 -e cat fixtures | gather -q | cmp - fixtures
    shard -q fixtures | shard -q -n 3 --keep-seq | gather -q | cmp - fixtures
    shard -q --shuffle 1 fixtures | gather -q | sort | cmp - <(sort fixtures)
    shard -q --repeat 2 fixtures | gather -q | cmp - <(sed p fixtures)
    shard -q fixtures | tac | gather -q --keep | gather -q | cmp - fixtures
    sed 's/}$/,"_seq":7}/' fixtures | shard -q --overwrite | gather -q | cmp - fixtures
}

@test "bytes: 200 fixtures through render-prompt, gpu-infer, tokenize, sample" {
    shard -q fixtures | render-prompt -q -t "$T" -s combined_optimized | gather -q | cmp - fixtures
    shard -q fixtures | render-prompt -q -t "$T" -s combined_optimized --chat "$M" |
        gpu-infer -q -m "$M" --max-tokens 1 | gather -q > answered
    [ "$(grep -c '"response":{"text":' answered)" -eq 200 ]
    sed 's/,"response":{.*/}/' answered | cmp - fixtures
    tokenize -q -m "$M" fixtures > tokens
    [ "$(grep -c '"tokens":\[' tokens)" -eq 200 ]
    sed 's/,"tokens":\[[0-9,]*\]}$/}/' tokens | cmp - fixtures
    sample -q -n 200 fixtures | cmp - fixtures
    render-prompt -q -t "$T" -s combined_optimized fixtures | gpu-infer -q -m "$M" --max-tokens 1 -o kept.jsonl
    sed 's/,"messages":[[]{"role":.*//' kept.jsonl | cmp - <(sed 's/}$//' fixtures)
}

@test "bytes: an array of 200 fixtures is the same records" {
    paste -sd, fixtures | sed 's/.*/[&]/' > array.json
    shard -q array.json | gather -q | cmp - fixtures
    sample -q -n 200 array.json | cmp - fixtures
}
