#!/usr/bin/env python3
"""Prints the lengths, in words, of the paragraphs of texts, one text a line: its name, then its lengths in order.

A paragraph ends at an empty line; a word is what stands between blanks. Links are left out, so that no text counts twice.
Usage: scripts/paragraph-lengths.py [FOLDER]    (default: /usr/share/common-licenses, which every Debian system has)
The list in traces/licence-paragraphs.txt was made so on Debian 12.
"""
import pathlib
import re
import sys


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/common-licenses")
    print(f"# Words in each paragraph of the texts in {folder}, made by scripts/paragraph-lengths.py.")
    for path in sorted(folder.iterdir()):
        if path.is_symlink() or not path.is_file():
            continue
        paragraphs = re.split(r"\n[ \t\f]*\n", path.read_text(errors="replace"))
        lengths = [len(paragraph.split()) for paragraph in paragraphs]
        print(path.name, *(length for length in lengths if length > 0))


main()
