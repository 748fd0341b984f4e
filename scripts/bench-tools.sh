#!/bin/sh
# What `make bench` measures with, and what it compares with. Installs what is missing where it may (Debian, root), one
# by one, and names the rest: without wrk there is no benchmark, without the others it leaves them out.
set -u
PATH=$PATH:/usr/sbin
policy=/usr/sbin/policy-rc.d

has() {
    case $1 in
    libnginx-mod-http-lua) [ -e /usr/lib/nginx/modules/ngx_http_lua_module.so ] ;;
    varnish) command -v varnishd >/dev/null 2>&1 ;;
    *) command -v "$1" >/dev/null 2>&1 ;;
    esac
}

may_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; }

# The servers run for the benchmark alone: not when they are installed, and not at the next boot.
install() {
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$1" >/dev/null || return
    if [ -d /run/systemd/system ] && [ "$1" != wrk ]; then
        systemctl disable --quiet "$1" varnishncsa 2>/dev/null
    fi
}

hold_services() {
    [ -e "$policy" ] && return
    trap 'rm -f "$policy"' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
}

missing=""
for package in wrk nginx libnginx-mod-http-lua haproxy varnish redis-server; do
    has "$package" || missing="$missing $package"
done
[ -z "$missing" ] && exit 0

if may_install; then
    hold_services
    apt-get update -qq
    for package in $missing; do
        install "$package"
    done
fi
for package in $missing; do
    has "$package" || echo "make bench: $package is missing (apt install $package)" >&2
done
has wrk || exit 1
