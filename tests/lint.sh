#!/usr/bin/env bash
# lint.sh - checks of the tree that need neither a model nor a device; build the tools first.
# Each check prints what is wrong; the last line is "lint: N passed, N failed, 0 skipped".
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1
shopt -s nullglob
passed=0 failed=0

find_in() { # find_in "FOLDERS" FIND-WORDS...: files in those of the folders that exist
    local dirs=() d
    for d in $1; do [ ! -d "$d" ] || dirs+=("$d"); done
    [ ${#dirs[@]} -eq 0 ] || find "${dirs[@]}" -type f "${@:2}" | sort
}
sources() { find_in "lib src tests bench" '(' -name '*.c' -o -name '*.h' ')'; }

layers() { # every #include "x/y.h" is allowed by tests/layers.txt
    sources | xargs -r grep -nH '^ *# *include' | awk '
        NR == FNR { if (!/^#/ && NF) { ok[$1, $1] = known[$1] = 1
                                       for (i = 2; i <= NF; i++) ok[$1, $i] = 1 }; next }
        { split($0, a, ":"); from = a[1]; sub("/[^/]*$", "", from)
          tool = a[1]; sub("^src/", "", tool); sub("[./].*", "", tool)
          if (from ~ /^src/) from = "src"
          if (!match($0, /["<][^">]*[">]/)) next
          quote = substr($0, RSTART, 1); to = substr($0, RSTART + 1, RLENGTH - 2)
          if (!sub("/[^/]*$", "", to)) next
          if (from == "src" && to == tool) next
          to = "lib/" to
          if (!(to in known) && quote == "<") next
          if (!((from, to) in ok)) print a[1] ":" a[2] ": " from " may not include " to }' \
        tests/layers.txt -
}
formatting() {
    sources | xargs -r clang-format-14 --dry-run -Werror 2>&1 | grep error: || true
    sources | while read -r f; do
        tool=${f#src/} # the file of a tool may bear the tool's name
        head -1 "$f" | grep -qE "^/\* (${f##*/}|${tool%.c}) - " || echo "$f:1: first line is not \"/* ${f##*/} - what it is. */\""
    done
}
scripts() {
    local list
    list=$({ find_in "tests pipelines bench data docs" '(' -name '*.sh' -o -name '*.bash' -o -name '*.bats' ')'
      find_in "tests pipelines bench data .ci" ! -name '*.*'; } |
        while read -r f; do
            case $f in *.sh | *.bash | *.bats) echo "$f" ;; *) ! head -1 "$f" | grep -q '^#!.*sh' || echo "$f" ;; esac
        done)
    grep -v 'bats$' <<< "$list" | xargs -r shellcheck -f gcc
    grep 'bats$' <<< "$list" | xargs -r shellcheck -f gcc -S warning -e SC2164 # bats stops by itself
}
man_pages() {
    local pages=(man/*.[1-8])
    [ ${#pages[@]} -eq 0 ] || mandoc -Tlint -Wwarning "${pages[@]}"
}
options() { # the long options of --help, and of the manual page, are the same
    local t tools=() help page
    for t in src/*.c src/*/; do tools+=("$(basename "${t%.c}")"); done
    for t in $(printf '%s\n' "${tools[@]}" | sort -u); do
        [ -x "bin/$t" ] || { echo "bin/$t: not built; run make"; continue; }
        [ -f "man/$t.1" ] || { echo "man/$t.1: missing"; continue; }
        help=$("bin/$t" --help | grep -oE '^ +(-., )?--[a-z0-9-]+' | grep -oE -- '--[a-z0-9-]+' | sort -u)
        page=$(grep '^\.It ' "man/$t.1" | grep -oE 'Fl -[a-z0-9-]+' | sed 's/^Fl /-/' | sort -u)
        comm -23 <(echo "$help") <(echo "$page") | sed "s|^|man/$t.1: option missing: |"
        comm -13 <(echo "$help") <(echo "$page") | sed "s|^|man/$t.1: no such option: |"
    done
}
sizes() { # "lint: long" with a reason exempts: near the top a file, above or in a function that one
    find_in "lib src" -name '*.[ch]' | xargs -r awk '
        FNR == 1 { if (n > 800 && !free) print name ": " n " lines (limit 800)"; free = note = 0; note = -9 }
        { name = FILENAME; n = FNR }
        /lint: long/ { note = FNR; if (FNR <= 10) free = 1 }
        /^\{$/ { start = FNR }
        /^\}$/ && start { if (FNR - start > 100 && note < start - 8)
                              print FILENAME ":" start ": a function of " FNR - start " lines (limit 100)"
                          start = 0 }
        END { if (n > 800 && !free) print name ": " n " lines (limit 800)" }'
}
machine_paths() {
    find_in "lib src tests man docs pipelines bench .ci" | xargs -r grep -InE '/(work|home|root|Users)/' || true
}

for check in layers formatting scripts man_pages options sizes machine_paths; do
    found=$($check 2>&1)
    if [ -z "$found" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf "lint: $check: %s\n" "${found//$'\n'/$'\n'lint: $check: }"
    fi
done
echo "lint: $passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
