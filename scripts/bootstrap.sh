#!/bin/sh
# Makes .venv with the gateway installed from this checkout; `bootstrap.sh dev` adds what the tests need.
# Does nothing when that is done already; says what to do when it cannot.
set -eu
cd "$(dirname "$0")/.."
kind=${1:-run}
min="3.11"

fail() {
    printf 'make install: %s\n' "$1" >&2
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

can_venv() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

# A virtual environment works only where it was made; the place is noted when it is whole.
usable() { [ "$(cat .venv/place 2>/dev/null)" = "$(pwd)" ] && new_enough .venv/bin/python; }

# Installed for the pyproject.toml of now; what the tests need includes what a run needs.
installed() {
    wanted=$(cksum <pyproject.toml)
    for made in "$kind" dev; do
        [ "$(cat ".venv/installed-$made" 2>/dev/null)" = "$wanted" ] && return
    done
    return 1
}

find_python() {
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        new_enough "$name" && echo "$name" && return
    done
    return 1
}

make_venv() {
    if python=$(find_python); then
        if can_venv "$python"; then
            "$python" -m venv .venv
        elif have uv; then
            uv venv --quiet --python "$python" .venv
        else
            fail "$python has no venv module: apt install python3-venv (Debian, Ubuntu), or install uv, and try again"
        fi
    elif have uv; then
        uv venv --quiet --python ">=$min" .venv
    elif have python3; then
        fail "Python $min or newer is needed, and python3 is $(python3 --version 2>&1): install a newer one, or uv, and try again"
    else
        fail "Python $min or newer is needed, and there is no python3: install it (apt install python3 python3-venv), or uv, and try again"
    fi
}

install() {
    if .venv/bin/python -m pip --version >/dev/null 2>&1; then
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --prefer-binary -e "$1"
    else
        uv pip install --quiet --python .venv/bin/python -e "$1"
    fi
}

usable && installed && exit 0
echo "Installing the gateway into .venv; this takes a moment, once."
if ! usable; then
    rm -rf .venv
    make_venv
    pwd >.venv/place
fi
case $kind in
dev) install ".[dev]" ;;
*) install . ;;
esac
cksum <pyproject.toml >".venv/installed-$kind"
