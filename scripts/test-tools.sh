#!/bin/sh
# The clients that some tests run as processes: curl, and node for its fetch. Installs what is missing where it may;
# otherwise those tests say that they skip, but not where CI=true: there nothing skips.
set -u
missing=""
for tool in curl node git; do
    command -v "$tool" >/dev/null 2>&1 && continue
    case $tool in
    node) missing="$missing nodejs" ;;
    *) missing="$missing $tool" ;;
    esac
done
[ -z "$missing" ] && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    # shellcheck disable=SC2086 # a list of package names
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing && exit 0
fi
printf 'make test: not here, and not installed:%s\n' "$missing" >&2
[ "${CI:-}" != true ] || exit 1
printf 'make test: the tests that need them will be skipped\n' >&2
