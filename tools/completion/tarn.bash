# Completion of the tarn command for bash.

_tarn() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local commands="devices run replay inspect plan convert record bench"
    local formats="tarn pytorch rmm perfetto csv"
    local command="" word
    COMPREPLY=()

    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        # Behind "--" stands somebody else's command line.
        if [ "$command" = record ] && [ "$word" = -- ]; then
            compopt -o default
            return
        fi
        case $word in
        -*) ;;
        *) [ -n "$command" ] || command=$word ;;
        esac
    done
    if [ -z "$command" ]; then
        mapfile -t COMPREPLY < <(compgen -W "$commands --help --usage --version" -- "$current")
        return
    fi

    case $previous in
    --device)
        mapfile -t COMPREPLY < <(compgen -W "cpu sim" -- "$current")
        return
        ;;
    --allocator)
        mapfile -t COMPREPLY < <(compgen -W "caching direct pool arena graph predictive pytorch" -- "$current")
        return
        ;;
    --to)
        mapfile -t COMPREPLY < <(compgen -W "$formats" -- "$current")
        return
        ;;
    --html | --perfetto | --svg | --output | --record | -o)
        compopt -o default
        return
        ;;
    --min-size | --repeat | --steps | --seed | --top | --trace-device | --capacity | --timeout | --threads | --alignment | --largest) return ;;
    esac

    local options="--help"
    case $command in
    devices) options="--json --help" ;;
    run) options="list training transformer convolution expressions --device --allocator --steps --seed --graph --record --json --help" ;;
    replay) options="--device --allocator --repeat --html --perfetto --trace-device --json --help" ;;
    inspect) options="--top --trace-device --json --help" ;;
    plan) options="--capacity --timeout --threads --alignment --output --svg --html --json --help" ;;
    convert) options="--to --help" ;;
    record) options="--min-size --output --help --" ;;
    bench) options="alloc stacks replay record shapes plan graphs ops expr --allocator --data --device --json --largest --quick --svg --help" ;;
    esac
    if [[ $current == -* || $command == bench || $command == devices || $command == run ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
    else
        compopt -o default
    fi
}

complete -F _tarn tarn
