#!/usr/bin/env bash
# completion.sh bash|zsh TOOL - the shell completion of a tool on the PATH, made from what its
# --help prints, which is its option table.
set -eu -o pipefail
shell=$1 tool=$2

# One line per option: letter or -, long name, metavar or -, what it does.
options() {
    "$tool" --help | awk '
        /^  +(-[A-Za-z], )?--[a-z]/ {
            put()
            letter = "-"
            if (match($0, /^  +-[A-Za-z], /)) letter = substr($0, RLENGTH - 2, 1)
            sub(/^  +(-[A-Za-z], )?--/, "")
            name = $0; sub(/[ \[].*/, "", name)
            rest = substr($0, length(name) + 1)
            metavar = rest; help = ""
            if (match(rest, /   */)) { metavar = substr(rest, 1, RSTART - 1); help = substr(rest, RSTART + RLENGTH) }
            gsub(/^ +| +$/, "", metavar)
            next
        }
        name && /^ {20,}[^ ]/ { sub(/^ +/, ""); help = help (help ? " " : "") $0; next }
        { put() }
        END { put() }
        function put() { if (name) printf "%s\t%s\t%s\t%s\n", letter, name, metavar ? metavar : "-", help; name = "" }'
}

# The words of a list; what is in capitals stands for a value.
words_of() {
    local word words=
    for word in ${1//|/ }; do
        [[ $word =~ [A-Z] ]] || words+=" $word"
    done
    if [ -n "$words" ]; then echo "words$words"; else echo any; fi
}

# What may follow an option: words, a file, a folder, or anything.
kind() {
    case $1 in
    -) echo none ;;
    *'|'*) words_of "$1" ;;
    *DIR*) echo dir ;;
    *FILE* | *GLOB*) echo file ;;
    *) echo any ;;
    esac
}

bash_completion() {
    local words='' cases='' letter name metavar help kind spell
    while IFS=$'\t' read -r letter name metavar help; do
        words+=" --$name"
        spell=--$name
        [ "$letter" = - ] || spell="-$letter | $spell"
        kind=$(kind "$metavar")
        case $kind in
        words*) cases+="    $spell) mapfile -t COMPREPLY < <(compgen -W '${kind#words }' -- \"\$cur\"); return ;;"$'\n' ;;
        dir) cases+="    $spell) mapfile -t COMPREPLY < <(compgen -d -- \"\$cur\"); return ;;"$'\n' ;;
        file) cases+="    $spell) mapfile -t COMPREPLY < <(compgen -f -- \"\$cur\"); return ;;"$'\n' ;;
        any) cases+="    $spell) return ;;"$'\n' ;;
        esac
    done < <(options)
    cat << END
# bash completion of $tool, made from its --help
_${tool//-/_}() {
    local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]}
    COMPREPLY=()
    case \$prev in
$cases    esac
    case \$cur in
    -*) mapfile -t COMPREPLY < <(compgen -W '${words# }' -- "\$cur") ;;
    *) mapfile -t COMPREPLY < <(compgen -f -- "\$cur") ;;
    esac
}
complete -o filenames -F _${tool//-/_} $tool
END
}

zsh_completion() {
    local letter name metavar help kind action
    echo "#compdef $tool"
    echo "_arguments -s -S \\"
    while IFS=$'\t' read -r letter name metavar help; do
        help=${help//[\[\]\'\:]/ }
        kind=$(kind "$metavar")
        case $kind in
        none) action= ;;
        words*) action=":value:(${kind#words })" ;;
        dir) action=':folder:_directories' ;;
        file) action=':file:_files' ;;
        any) action=':value: ' ;;
        esac
        [ "$letter" = - ] || echo "    '-${letter}[$help]$action' \\"
        echo "    '--${name}[$help]$action' \\"
    done < <(options)
    echo "    '*:file:_files'"
}

case $shell in
bash) bash_completion ;;
zsh) zsh_completion ;;
*)
    echo "completion.sh: '$shell' is no shell that this makes completions for; bash or zsh" >&2
    exit 64
    ;;
esac
