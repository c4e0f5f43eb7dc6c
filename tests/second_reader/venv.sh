#!/bin/sh
# Makes the Python that runs the second reader in DIR, once; everybody waits for the one who makes it. Prints its path.
set -eu
dir=$1
wanted=$(dirname "$0")/requirements.txt

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
