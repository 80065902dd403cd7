#!/bin/sh
# Shows doxygen Tarn's plain comments as documentation: the first one as the file's, those before a declaration as its own,
# those behind a member as the member's. Doxygen runs this for each header. Usage: scripts/doxygen-filter.sh HEADER
name=$(basename "$1")
sed -E \
    -e "1s#^/\\* #/** \\\\file $name #" \
    -e '2,$s#^( *)/\* #\1/** #' \
    -e 's#^( *[^ /*].*[^ ]) */\* #\1 /**< #' \
    -e '/^#/s#/\*\*<#/*#' \
    "$1"
