#!/bin/sh
# Makes a Python with what REQUIREMENTS names (of the second reader, unless others are given) in DIR, once; everybody waits for
# the one who makes it. Prints its path.
set -eu
dir=$1
wanted=${2:-$(dirname "$0")/requirements.txt}

mkdir -p "$dir"
exec 9>"$dir/lock"
flock 9
if ! cmp -s "$wanted" "$dir/made-of"; then
    rm -rf "$dir/venv" "$dir/made-of"
    # Debian's own python, whatever stands earlier in PATH.
    /usr/bin/python3 -m venv "$dir/venv"
    "$dir/venv/bin/pip" --disable-pip-version-check --no-input install --quiet --requirement "$wanted" >&2
    cp "$wanted" "$dir/made-of"
fi
echo "$dir/venv/bin/python"
