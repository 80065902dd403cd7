#!/bin/bash
# Checks the floors of the house: a file includes only files of its own room or of a floor below, and a backend includes
# <tarn/backend.h> and base, with base's public headers, alone. Prints each include that points up.
set -euo pipefail
cd "$(dirname "$0")/.."

mapfile -t files < <(scripts/sources.sh)
[ ${#files[@]} -gt 0 ]

awk '
# The rooms that the files of a room may include, beside their own.
BEGIN {
    allowed["include"] = ""
    allowed["base"] = "include"
    allowed["backends"] = "backend base"
    allowed["hal"] = "include base"
    allowed["plan"] = allowed["shape"] = "include base"
    allowed["memory"] = "include base plan hal shape"
    allowed["trace"] = "include base plan hal shape memory"
    allowed["tensor"] = "include base plan hal shape memory"
    allowed["expr"] = "include base plan hal shape memory tensor"
    allowed["tools"] = "include base plan hal shape memory tensor expr trace tarn bench workload record torch"
    split("backend backend_operations shape export log size status", names, " ")
    for (i in names) for_backends["tarn/" names[i] ".h"] = 1
    split("sys linux asm arpa netinet sanitizer valgrind oneapi/dnnl CL torch/csrc/api/include/torch torch/csrc/cuda torch/csrc/profiler c10/cuda c10/util", names, " ")
    for (i in names) systems[names[i]] = 1
}

# The room of a file, or "" for one that belongs to none; `kind` becomes what `allowed` knows it by.
function room_of_file(file, part, count) {
    count = split(file, part, "/")
    kind = part[1] == "src" ? part[2] : part[1]
    if (part[1] == "include") return "include"
    if (part[1] == "src" && part[2] == "backends" && count > 3) return part[2] "/" part[3]
    if (part[1] == "src" && count > 2) return part[2]
    if (part[1] == "tools" && count > 1) return part[1] "/" part[2]
    return ""
}

# The room of an included name that has a folder.
function room_of_include(name, part) {
    if (name in for_backends) return kind == "backends" ? "backend" : "include"
    if (name ~ /^tarn\//) return "include"
    if (name ~ /^backends\/.*\//) {
        split(name, part, "/")
        return part[1] "/" part[2]
    }
    sub(/\/[^\/]*$/, "", name)
    return name
}

FNR == 1 { room = room_of_file(FILENAME) }

room != "" && (kind in allowed) && /^[ \t]*#[ \t]*include[ \t]*["<][^">]+[">]/ {
    name = $0
    sub(/^[ \t]*#[ \t]*include[ \t]*["<]/, "", name)
    sub(/[">].*$/, "", name)
    if (name !~ /\//) next
    target = room_of_include(name)
    if (target == room || target in systems || index(" " allowed[kind] " ", " " target " ")) next
    print FILENAME " includes " name ": " room " must not know " target
    wrong = 1
}

END { exit wrong }
' "${files[@]}"
