#!/bin/bash
# Makes the README's pictures of the page, docs/images/replay-{light,dark}.png, with a headless Chromium.
# Usage: scripts/screenshots.sh [TRACE…]        (default: the shipped traces; TARN_TOOL: the command to use)
set -euo pipefail
cd "$(dirname "$0")/.."
tool=${TARN_TOOL:-build/release/tarn}
[ $# -gt 0 ] || set -- traces/*
page=$(mktemp --suffix=.html)
trap 'rm -f "$page"' EXIT
"$tool" replay "$@" --html "$page" >/dev/null
mkdir -p docs/images
PYTHONPATH=tests/tool python3 -B - "$page" <<'PYTHON'
import os
import sys

import devtools

browser = devtools.Browser()
try:
    for scheme in ("light", "dark"):
        page = devtools.Page(browser, 1120, 1310, scheme)
        page.open(sys.argv[1])
        # The chosen moment, a tip and both pictures below each other say what the page is for.
        page.hover("#chart", 0.5, 0.3)
        page.run("window.scrollTo(0, 0)")
        path = f"docs/images/replay-{scheme}.png"
        page.screenshot(path)
        print(path, os.path.getsize(path), "bytes")
finally:
    browser.close()
PYTHON
