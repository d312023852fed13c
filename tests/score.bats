#!/usr/bin/env bats

setup() {
    cd "$BATS_TEST_TMPDIR"
    # 6 records: 3 right, 1 wrong, 1 unparsed, 1 error.
    cat > r.jsonl <<'EOF'
{"id":1,"label":"billing","channel":"email","response":{"text":" Billing\n"}}
{"id":2,"label":"shipping","channel":"chat","response":{"text":"no idea","label":"shipping"}}
{"id":3,"label":"account","channel":"email","response":{"text":"I think account"}}
{"id":4,"label":"account","channel":"chat","response":{"text":"billing"}}
{"id":5,"label":"account","channel":"chat","error":{"stage":"gpu-infer","type":"too_long","message":"m"}}
{"id":6,"label":"account","channel":"chat","response":{"text":"ACCOUNT"}}
EOF
}

# One figure of the JSON object.
figure() {
    score --json "${@:2}" 2> err | jq -c "$1"
}

@test "score: both conventions, unparsed and errors apart" {
    [ "$(figure '[.records,.scored,.unparsed,.errors,.missing_gold]' r.jsonl)" = "[6,6,2,1,0]" ]
    [ "$(figure '[.drop.n,.drop.accuracy,.wrong.n,.wrong.accuracy]' r.jsonl)" = "[4,0.75,6,0.5]" ]
    [ "$(figure .labels r.jsonl)" = '["account","billing","shipping"]' ]
    [ "$(figure .drop.confusion r.jsonl)" = "[[1,1,0],[0,1,0],[0,0,1]]" ]
    [ "$(figure .wrong.confusion r.jsonl)" = "[[1,1,0,2],[0,1,0,0],[0,0,1,0],[0,0,0,0]]" ]
    [ "$(figure '.wrong.per_label.account|[.precision,.recall,.support,.predicted]' r.jsonl)" = "[1,0.25,4,1]" ]
}

@test "score: the table is the default and fits a screen" {
    score --group channel r.jsonl > out 2> err
    [ "$(wc -l < out)" -le 24 ]
    [ "$(awk 'length > 80' out | wc -l)" -eq 0 ]
    grep -q '^6 records: 6 scored, 2 unparsed, 1 errors, 0 left out$' out
    grep -q '^wrong .* 6 .*0\.5000' out
    grep -q '^chat  *4 ' out
    [ "$(cat err)" = "score: 6 records, 3 right of 6, 2 unparsed" ]
    score -q r.jsonl > quiet 2> err
    [ ! -s err ]
}

@test "score: rates of a group about the positive label" {
    run figure '.wrong.groups.chat|[.n,.tp,.fp,.tn,.fn,.fpr,.fnr]' --group channel --positive Account r.jsonl
    [ "$output" = "[4,1,0,1,2,0,0.6666666666666666]" ]
    run figure '[.positive,.group]' --group channel --positive Account r.jsonl
    [ "$output" = '["account","channel"]' ]
}

@test "score: of two labels the second is the positive one" {
    printf '{"label":"%s","response":{"text":"%s"}}\n' no yes no no yes yes > two.jsonl
    [ "$(figure '[.positive,.wrong.fpr,.wrong.fnr]' two.jsonl)" = '["yes",0.5,0]' ]
    [ "$(figure '[.positive,.wrong.fpr,.wrong.fnr]' --labels yes,no two.jsonl)" = '["no",0,0.5]' ]
}

@test "score: a rate without a denominator is null" {
    echo '{"label":"a","g":1,"response":{"text":"a"}}' > one.jsonl
    run figure '.wrong.groups["1"]|[.fpr,.fnr]' --labels a,b --positive b --group g one.jsonl
    [ "$output" = "[0,null]" ]
}

@test "score: fields by dotted path, numbers and booleans as text" {
    cat > p.jsonl <<'EOF'
{"meta":{"gold":1},"response":{"text":"{}","parsed":{"x":{"y":"1"}}}}
{"meta":{"gold":true},"response":{"text":"{}","parsed":{"x":{"y":true}}}}
{"meta":{"gold":true},"response":{"text":"true"}}
EOF
    run figure '[.wrong.n,.wrong.correct,.unparsed]' --gold meta.gold --pred response.parsed.x.y p.jsonl
    [ "$output" = "[3,2,1]" ]
    echo '{"a.b":"x","a":{"b":"y"},"response":{"text":"X"}}' > q.jsonl
    [ "$(figure .labels --gold a.b q.jsonl)" = '["x"]' ]
}

@test "score: choices and scores name labels that no gold value has" {
    cat > c.jsonl <<'EOF'
{"label":"a","params":{"choices":["a","B",[7,8]]},"response":{"text":"b"}}
{"label":"a","response":{"label":"a","text":"a","scores":[{"label":"a","prob":1},{"label":"c","prob":0}]}}
EOF
    [ "$(figure '[.labels,.unparsed]' c.jsonl)" = '[["B","a","c"],0]' ]
}

@test "score: without --labels an answer counts though its label is seen later" {
    printf '{"label":"a","response":{"text":"b"}}\n{"label":"b","response":{"text":"b"}}\n' > l.jsonl
    [ "$(figure .drop.confusion l.jsonl)" = "[[0,1],[0,1]]" ]
}

@test "score: texts match case folded and trimmed, as wholes" {
    printf '{"label":"%s","response":{"text":"%s"}}\n' \
        Straße STRASSE été '\tE\u0301T\u00c9\u00a0' ship shipping > f.jsonl
    [ "$(figure '[.wrong.correct,.unparsed]' --labels Straße,été,ship f.jsonl)" = "[2,1]" ]
}

@test "score: a missing gold label is left out and named" {
    sed -i 's/"label":"account",//' r.jsonl
    run score r.jsonl
    [ "$status" -eq 0 ]
    [[ "$output" == *'score: r.jsonl:3: no gold label in "label"; 4 of 6 records left out'* ]]
    [ "$(figure '[.scored,.missing_gold]' r.jsonl)" = "[2,4]" ]
    run score --strict r.jsonl
    [ "$status" -eq 65 ]
    [ "$output" = 'score: r.jsonl:3: no gold label in "label"' ]
}

@test "score: a gold label outside --labels is left out and named" {
    run score --labels billing,shipping r.jsonl
    [ "$status" -eq 0 ]
    [[ "$output" == *'r.jsonl:3: gold label "account" is not in --labels; 4 of 6'* ]]
    [ "$(figure .unknown_gold --labels billing,shipping r.jsonl)" = 4 ]
    run score --strict --labels billing,shipping r.jsonl
    [ "$status" -eq 65 ]
}

@test "score: records without any answer are told" {
    echo '{"label":"a"}' > n.jsonl
    run score n.jsonl
    [ "$status" -eq 0 ]
    [[ "$output" == *"no record has an answer in"* ]]
    run score --group region n.jsonl
    [[ "$output" == *'no record has a group in "region"'* ]]
}

@test "score: not JSON on line 3 names line 3" {
    sed -i '3s/.*/{"label":/' r.jsonl
    run score r.jsonl
    [ "$status" -eq 0 ]
    [[ "$output" == *"score: r.jsonl:3: "*"1 of 6 records left out"* ]]
    [ "$(grep -o r.jsonl <<< "$output" | wc -l)" -eq 1 ]
    [ "$(figure '[.records,.scored,.bad_records]' r.jsonl)" = "[6,5,1]" ]
    run score --strict r.jsonl
    [ "$status" -eq 65 ]
    [[ "$output" == *"r.jsonl:3:"* ]]
}

@test "score: empty input" {
    run figure '[.records,.labels,.wrong.n,.wrong.accuracy]' /dev/null
    [ "$output" = "[0,[],0,null]" ]
    run score --group g < /dev/null
    [ "$status" -eq 0 ]
    [[ "$output" == *"no figures"* ]]
}

@test "score: no final newline, several files, stdin as -" {
    printf %s "$(cat r.jsonl)" > s.jsonl
    [ "$(figure .scored s.jsonl)" = 6 ]
    [ "$(figure .scored s.jsonl r.jsonl)" = 12 ]
    [ "$(figure .scored r.jsonl - < s.jsonl)" = 12 ]
    [ "$(figure .scored < s.jsonl)" = 6 ]
}

@test "score: one huge line, and one over --max-record" {
    { printf '{"label":"a","x":"'; head -c 3000000 /dev/zero | tr '\0' x; printf '","response":{"text":"a"}}\n'; } > h.jsonl
    [ "$(figure '[.scored,.wrong.correct]' h.jsonl)" = "[1,1]" ]
    cat r.jsonl >> h.jsonl
    [ "$(figure '[.scored,.bad_records]' --max-record 1M h.jsonl)" = "[6,1]" ]
}

@test "score: a NUL byte makes a bad record, an escaped one is text" {
    printf '{"label":"a\0b"}\n' > z.jsonl
    [ "$(figure .bad_records z.jsonl)" = 1 ]
    echo '{"label":"a\u0000b","response":{"text":"A\u0000b"}}' > z.jsonl
    [ "$(figure '[.labels,.wrong.correct]' z.jsonl)" = '[["a\u0000b"],1]' ]
}

@test "score: labels and groups with quotes stay JSON" {
    echo '{"label":"a\"\n","g":"\\","response":{"text":"x"}}' > q.jsonl
    run figure '[.labels[0],(.wrong.groups|keys[0])]' --group g q.jsonl
    [ "$output" = '["a\"","\\"]' ]
}

@test "score: the order of the records does not change a figure" {
    score --json --group channel r.jsonl > a 2> err
    tac r.jsonl > t.jsonl
    score --json --group channel t.jsonl > b 2> err
    cmp a b
}

@test "score: -o writes the JSON whole, beside the table" {
    score -o m.json --group channel r.jsonl > table 2> err
    score --json --group channel r.jsonl > j 2> err
    cmp m.json j
    grep -q '^label ' table
    [ ! -e m.json.part ]
    run score -o no/such/m.json r.jsonl
    [ "$status" -eq 74 ]
}

@test "score: a full disk exits 74" {
    run bash -c 'score r.jsonl > /dev/full'
    [ "$status" -eq 74 ]
    [[ "$output" == "score: "*"stdout"* ]]
    run bash -c 'score --json r.jsonl > /dev/full'
    [ "$status" -eq 74 ]
}

@test "score: a reader that goes away is quiet" {
    run bash -c 'set -o pipefail; (sleep 0.2; score r.jsonl) | true'
    [ "$status" -eq 141 ]
    [ -z "$output" ]
}

@test "score: a missing file exits 66" {
    run score nope.jsonl
    [ "$status" -eq 66 ]
    [[ "$output" == *nope.jsonl* ]]
}

@test "score: usage errors exit 64 with one line" {
    for bad in --nope "--labels a,,b" "--max-record x" "--positive nobody"; do
        # shellcheck disable=SC2086
        run score $bad r.jsonl
        [ "$status" -eq 64 ]
        [ "${#lines[@]}" -eq 1 ]
    done
    [[ "$output" == *"the labels are account, billing, shipping" ]]
}

@test "score: --help lists the options of the man page" {
    manual="$BATS_TEST_DIRNAME/../man/score.1"
    score --help | grep -o -- '--[a-z-]*' | sort -u > help
    sed -n '/^\.Sh OPTIONS/,/^\.Sh RECORD/p' "$manual" | grep '^\.It' | grep -o -- 'Fl -[a-z-]*' |
        sed 's/Fl -/--/' | sort -u > page
    diff help page
}

@test "score: the examples of the man page run" {
    cp r.jsonl results.jsonl
    sed -i 's/"label":"\([a-z]*\)",/&"topic":"\1",/' results.jsonl
    sed -n 's/^\.Dl //p' "$BATS_TEST_DIRNAME/../man/score.1" > examples
    sed -i 's/"topic":"[a-z]*"/&,"spam":1/; s/account"/spam"/g; s/"ACCOUNT"/"spam"/' results.jsonl
    cp results.jsonl before.jsonl
    cp results.jsonl after.jsonl
    [ "$(wc -l < examples)" -eq 5 ]
    while read -r line; do
        run bash -euo pipefail -c "$line"
        [ "$status" -eq 0 ] || [[ "$line" == *--min* && "$status" -eq 1 ]]
        [ -n "$output" ]
    done < examples
    [ -s metrics.json ]
}

@test "score: probabilities, with the gap between groups" {
    cat > p.jsonl <<'END'
{"label":"ham","g":"x","response":{"label":"ham","scores":[{"label":"ham","prob":0.9},{"label":"spam","prob":0.1}]}}
{"label":"spam","g":"x","response":{"label":"spam","scores":[{"label":"ham","prob":0.4},{"label":"spam","prob":0.6}]}}
{"label":"ham","g":"y","response":{"label":"spam","scores":[{"label":"ham","prob":0.3},{"label":"spam","prob":0.7}]}}
{"label":"spam","g":"y","response":{"label":"spam","scores":[{"label":"ham","prob":0.2},{"label":"spam","prob":0.8}]}}
END
    [ "$(figure '.probabilities|[.n,.auroc,.best_f1.f1,.best_f1.threshold]' p.jsonl)" = "[4,0.75,0.8,0.6]" ]
    # Group y has its one ham at 0.7: with no false alarm allowed, spam begins above it.
    run figure '.probabilities.max_fpr|[.threshold,.f1,.groups.y.fpr]' --group g --max-fpr 0.5 p.jsonl
    [ "$output" = "[0.8,0.6666666666666666,0]" ]
    [ "$(figure '.wrong.gap' --group g p.jsonl)" = '{"accuracy":0.5,"fpr":1,"fnr":0}' ]
    [ "$(figure '.probabilities.sweep[65]|[.threshold,.tp,.fp,.tn,.fn]' p.jsonl)" = "[0.65,1,1,1,1]" ]
    [ "$(figure '.probabilities.bins[6]' p.jsonl)" = '{"n":1,"prob":0.6,"accuracy":1}' ]
    [ "$(figure .probabilities r.jsonl)" = "null" ]
}

@test "score: without a positive label there is no AUROC" {
    echo '{"label":"c","response":{"label":"a","scores":[{"label":"a","prob":1},{"label":"b","prob":0}]}}' > p.jsonl
    score -q --labels a,b,c p.jsonl > out
    grep -q '^scores:  log loss' out
}

@test "score: a gold label that was no choice has probability 0" {
    echo '{"label":"c","response":{"label":"a","scores":[{"label":"a","prob":1},{"label":"b","prob":0}]}}' > p.jsonl
    [ "$(figure '.probabilities|[.n,(.log_loss|.*1000|round)]' p.jsonl)" = "[1,34539]" ]
}

@test "score: intervals are the same for a seed, in any order of the records" {
    run figure '.intervals|[.replicates,.seed]' --bootstrap 200 r.jsonl
    [ "$output" = "[200,1]" ]
    figure .intervals --bootstrap 200 --group channel r.jsonl > one
    figure .intervals --bootstrap 200 --group channel <(tac r.jsonl) > two
    cmp one two
    figure .intervals --bootstrap 200 --group channel --seed 2 r.jsonl > three
    run cmp -s one three
    [ "$status" -eq 1 ]
    [ "$(jq '.wrong.accuracy[0] < 0.5 and .wrong.accuracy[1] > 0.5' one)" = true ]
    [ "$(figure .intervals r.jsonl)" = null ]
}

@test "score: bars name what missed them, exit status 1" {
    run score -q --min accuracy=0.4 --max wrong.per_label.account.f1=0.5 r.jsonl
    [ "$status" -eq 0 ]
    run bash -c 'score -q --min accuracy=0.6 --min f1=0.1 --max auroc=1 r.jsonl 2>&1 > /dev/null'
    [ "$status" -eq 1 ]
    [ "${lines[0]}" = "score: accuracy is 0.5, below the bar of 0.6" ]
    [ "${lines[1]}" = "score: auroc is not defined here, and its bar is 1" ]
    run score --min accuracy r.jsonl
    [ "$status" -eq 64 ]
    run score -q --min acuracy=1 r.jsonl
    [ "$status" -eq 64 ]
}

@test "score: two runs side by side" {
    sed 's/"text":"billing"/"text":"account"/; s/"text":"no idea","label":"shipping"/"text":"?"/' r.jsonl > s.jsonl
    run figure '.versus|[.both_right,.only_first,.only_second,.both_wrong,.p,.wrong.accuracy]' --versus s.jsonl r.jsonl
    [ "$output" = "[2,1,1,2,1,0.5]" ]
    score -q --versus s.jsonl r.jsonl | grep -q '^s.jsonl: accuracy 0.5000, here 0.5000'
    run score -q --versus <(head -5 s.jsonl) r.jsonl
    [ "$status" -eq 65 ]
    run bash -c 'score -q --versus <(tac s.jsonl) r.jsonl 2>&1 > /dev/null'
    [ "$status" -eq 65 ]
    [[ "${lines[0]}" == *"another gold label than in the first run"* ]]
}

@test "score: the tool's figures are scikit-learn's" {
    cases="$BATS_TEST_DIRNAME/../../shared/material/score/cases.jsonl"
    [ -e "$cases" ] || skip "no reference material"
    n=0
    while read -r line; do
        jq -c '.records[]|{label:.gold,group,response:({scores}+if .pred then {label:.pred} else {} end)}' <<< "$line" > case.jsonl
        # An unparsed record has no answer; its scores stay out as the reference has them in.
        score --json -q --labels "$(jq -r '.labels|join(",")' <<< "$line")" \
            --positive "$(jq -r .positive <<< "$line")" --group group case.jsonl > have
        jq -e --argjson want "$(jq .expected.drop <<< "$line")" \
            --argjson wrong "$(jq .expected.wrong <<< "$line")" '
            def near($a; $b): if $b == null then true else (($a - $b)|fabs) <= 1e-12 * ([($a|fabs), ($b|fabs)]|max) end;
            .wrong.confusion == $wrong.confusion and near(.drop.accuracy; $want.accuracy) and near(.drop.macro.f1; $want.macro.f1) and
            (if $want.auroc then near(.probabilities.auroc; $want.auroc) and
                near(.probabilities.average_precision; $want.average_precision) and
                near(.probabilities.best_f1.threshold; $want.best_f1.threshold) else true end) and
            near(.probabilities.log_loss; $want.log_loss) and near(.probabilities.brier; $want.brier) and
            near(.probabilities.ece; $want.ece_10_equal_width_bins)' have > /dev/null ||
            { echo "case $(jq -r .id <<< "$line")"; false; }
        n=$((n + 1))
    done < "$cases"
    [ "$n" -ge 40 ]
}
