#!/bin/sh
# The load generator of `make bench`. Installs it where it may, else names the fix.
set -u
command -v wrk >/dev/null 2>&1 && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends wrk && exit 0
fi
echo "make bench: wrk is missing; install it (apt install wrk)" >&2
exit 1
