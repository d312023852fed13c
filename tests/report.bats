#!/usr/bin/env bats
# report, and what make run and make compare make of it.

bats_require_minimum_version 1.5.0

setup() {
    tree=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
    export PATH=$tree/bin:$PATH
    cd "$BATS_TEST_TMPDIR"
}

# run_folder NAME: a small run, with every kind of record.
run_folder() {
    mkdir "$1"
    cat > "$1/results.jsonl" <<'END'
{"id":1,"text":"<script>alert(1)</script>","label":"ham","g":"<b>","response":{"label":"spam","scores":[{"label":"ham","prob":0.25},{"label":"spam","prob":0.75}]}}
{"id":2,"text":"\"quotes' & <img src=x onerror=alert(2)>\u0007","label":"spam","g":"y","response":{"label":"ham","scores":[{"label":"ham","prob":0.9},{"label":"spam","prob":0.1}]}}
{"id":3,"text":"fine","label":"ham","g":"y","response":{"label":"ham","scores":[{"label":"ham","prob":0.8},{"label":"spam","prob":0.2}]}}
{"id":4,"text":"late","label":"spam","g":"y","error":{"stage":"gpu-infer","type":"too_long","message":"<i>long</i>"}}
END
    score -q --json --bootstrap 50 --group g "$1/results.jsonl" > s.json 2> err
    printf '{"score":%s,"shards":[{"device":"cpu/avx2","records":4,"seconds_total":2,"records_per_second":2,"prompt_tokens":40,"cached_tokens":8,"generated_tokens":0,"timeline":[[0.5,1],[1,2],[2,4]]}]}' \
        "$(< s.json)" > "$1/metrics.json"
    printf '{"model_dir":"a</code><script>","seed":0}' > "$1/manifest.json"
}

@test "report: every part of a run" {
    run_folder r
    report r > r.html
    for id in labels groups probabilities mistakes errors time parameters; do
        grep -q "<h2 id=\"$id\">" r.html
    done
    grep -q '2 records have another answer' r.html
    grep -q 'gpu-infer: too_long' r.html
    grep -q '0.5000' r.html
    # The surest mistake first.
    [ "$(grep -oE '<td class="n">0\.(90|75)00' r.html | head -1)" = '<td class="n">0.9000' ]
    [ "$(grep -c '<svg' r.html)" -eq 7 ]
}

@test "report: records cannot break out of their text" {
    run_folder r
    report --title '<h1>"x"' r > r.html
    [ "$(grep -c '<script>' r.html)" -eq 1 ] # the page's own
    run ! grep -qiE '<img|<i>|<b>' r.html
    grep -q '&lt;script&gt;alert(1)' r.html
    grep -q '&quot;quotes&#39; &amp; &lt;img src=x onerror=alert(2)&gt;�' r.html
    grep -q '<title>&lt;h1&gt;&quot;x&quot;</title>' r.html
    # Nothing is fetched from anywhere.
    run ! grep -qE '<[a-z]+ [^>]*(src|href)=|url\(|@import' r.html
}

@test "report: the picture has words, the table has heads, the page has a language" {
    run_folder r
    report r > r.html
    [ "$(grep -o '<svg' r.html | wc -l)" -eq "$(grep -oE '<svg role="img" viewBox="[0-9 ]+" aria-label="[^"]+"' r.html | wc -l)" ]
    [ "$(grep -o '<th ' r.html | wc -l)" -eq "$(grep -oE '<th scope="(col|row)"' r.html | wc -l)" ]
    grep -q '<html lang="en">' r.html
    grep -q '<label>Search <input' r.html
}

# contrast A B: of two colours #rrggbb, as WCAG 2 has it.
contrast() {
    awk -v a="$1" -v b="$2" '
        function lin(h) { h = h / 255; return h <= 0.03928 ? h / 12.92 : ((h + 0.055) / 1.055) ^ 2.4 }
        function hex(c, i) { return 16 * (index("0123456789abcdef", substr(c, i, 1)) - 1) + index("0123456789abcdef", substr(c, i + 1, 1)) - 1 }
        function lum(c) { return 0.2126 * lin(hex(c, 2)) + 0.7152 * lin(hex(c, 4)) + 0.0722 * lin(hex(c, 6)) }
        BEGIN { x = lum(a) + 0.05; y = lum(b) + 0.05; print (x > y ? x / y : y / x) }'
}

@test "report: contrast of text and lines, light and dark" {
    run_folder r
    report r > r.html
    for scheme in 1 2; do
        color() { grep -oE -- "--$1: #[0-9a-f]{6}" r.html | sed -n "${scheme}p" | grep -oE '#.*'; }
        for ground in ground panel; do
            for ink in ink soft; do
                awk -v c="$(contrast "$(color $ink)" "$(color $ground)")" 'BEGIN { exit c < 4.5 }'
            done
        done
        for line in line c0 c1 c2 c3 c4 c5; do
            awk -v c="$(contrast "$(color $line)" "$(color ground)")" 'BEGIN { exit c < 3 }'
        done
    done
}

@test "report: in a browser, at two widths, without a word on its console" {
    browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || skip "no Chromium"
    run_folder r
    report r > r.html
    for width in 1200 390; do
        timeout 60 "$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars --enable-logging=stderr \
            --window-size=$width,2400 --screenshot="$PWD/$width.png" "file://$PWD/r.html" 2> log > out
        [ "$(grep -c CONSOLE log)" -eq 0 ]
        [ "$(head -c 4 $width.png | tail -c 3)" = PNG ]
        [ "$(stat -c %s $width.png)" -gt 20000 ]
    done
    # Wide tables scroll in their box; the page itself is never wider than the screen.
    sed 's|</body>|<script>document.title = document.documentElement.scrollWidth + " of " + innerWidth</script></body>|' r.html > w.html
    timeout 60 "$browser" --headless --no-sandbox --disable-gpu --window-size=500,800 --dump-dom "file://$PWD/w.html" 2> log > dom
    read -r wide _ screen < <(grep -oE '<title>[0-9]+ of [0-9]+' dom | cut -c8-)
    [ "$wide" -le "$screen" ]
}

@test "report: two runs" {
    run_folder a
    cp -r a b
    sed -i '1s/"label":"spam","scores"/"label":"ham","scores"/' b/results.jsonl
    report a b > ab.html
    grep -q 'only the second 1' ab.html
    grep -q '1 records; the first 1' ab.html
    sed -i 1d b/results.jsonl
    run report a b
    [ "$status" -eq 65 ]
    [ "${#lines[@]}" -eq 1 ]
}

@test "report: training curves" {
    mkdir t
    for i in 1 2 3 4; do echo "{\"step\":$i,\"loss\":$((5 - i)).5,\"lr\":0.00$i,\"grad_norm\":1.$i,\"tokens_per_s\":100}"; done > t/steps.jsonl
    report t > t.html
    grep -q '<h2 id="training">' t.html
    [ "$(grep -c '<svg' t.html)" -eq 4 ]
}

@test "report: bad folders, bad files, bad places" {
    run report nowhere
    [ "$status" -eq 66 ]
    [ "${#lines[@]}" -eq 1 ]
    run report
    [ "$status" -eq 64 ]
    mkdir r
    echo '{"score":' > r/metrics.json
    run report r
    [ "$status" -eq 65 ]
    [[ "$output" == *"r/metrics.json: not JSON"* ]]
    echo '{"score":[1],"shards":{"a":1}}' > r/metrics.json
    report r > out
    echo '{"score":{"wrong":{"per_label":[],"groups":7,"confusion":7},"probabilities":{"bins":{},"sweep":3}},"shards":[1,[2],{"timeline":[3]}]}' > r/metrics.json
    report r > out
    echo '{"score":{"wrong":{"per_label":{"a":1},"groups":{"g":[]},"confusion":[1,[2,{}]]},"intervals":{"wrong":{"groups":{"g":{"fpr":3}}}}},"shards":[{"timeline":[[1],[null,{}]]}]}' > r/metrics.json
    report r > out
    run_folder f
    run bash -c 'report f > /dev/full'
    [ "$status" -eq 74 ]
    run report -o /nowhere/x.html f
    [ "$status" -ne 0 ]
    [ "${#lines[@]}" -eq 1 ]
}

@test "report: make run leaves one, make compare makes one of two" {
    make -s -C "$tree" run MAX=6 RUN="$PWD/run" > out 2> err
    grep -q "report   $PWD/run/canned_50_quick/report.html" out
    grep -q '<h2 id="labels">' run/canned_50_quick/report.html
    cp -r run/canned_50_quick run/other
    make -s -C "$tree" compare A="$PWD/run/canned_50_quick" B="$PWD/run/other" > out 2> err
    grep -q 'both got' run/other/compare.html
    run make -s -C "$tree" compare
    [ "$status" -ne 0 ]
}
