#!/bin/sh
# What some tests run: curl, node for its fetch, git, Prometheus with promtool, Redis, HAProxy, the languages of
# tests/snippets, what judges deploy/, and a browser, which brings a font along.
# Installs what is missing where it may; otherwise those tests say that they skip, but not where CI=true: there nothing
# skips that could be installed.
set -u
policy=/usr/sbin/policy-rc.d

may_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; }

# Each program, file or extension with the package that has it.
needed() {
    while read -r what package; do "$@" "$what" "$package"; done <<END
curl curl
node nodejs
git git
prometheus prometheus
promtool prometheus
redis-server redis-server
/usr/sbin/haproxy haproxy
/usr/share/nodejs/request node-request
go golang-go
javac default-jdk-headless
/usr/share/java/okhttp.jar libokhttp-java
mcs mono-mcs
mono mono-runtime
php php-cli
php-curl php-curl
ruby ruby
systemd-analyze systemd
docker-compose docker-compose
ip iproute2
chromium chromium
chromedriver chromium-driver
END
}

have() {
    case $1 in
    /*) [ -e "$1" ] ;;
    php-curl) php -r 'exit((int) !extension_loaded("curl"));' >/dev/null 2>&1 ;;
    *) command -v "$1" >/dev/null 2>&1 ;;
    esac
}

# Tests start a Prometheus, a Redis and an HAProxy of their own: the services run neither when installed nor at the next boot.
hold_services() {
    [ -e "$policy" ] && return
    trap 'rm -f "$policy"' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
}

install() {
    have "$1" && return
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" >/dev/null </dev/null || return
    case $2 in
    prometheus | redis-server | haproxy) [ -d /run/systemd/system ] && systemctl disable --quiet "$2" 2>/dev/null ;;
    esac
}

missing() { have "$1" || echo "$1"; }

# Not every release has every package; where it has, nothing excuses what is missing.
excused() { may_install && ! apt-cache show "$1" >/dev/null 2>&1; }

owed() { have "$1" || excused "$2" || echo "$1"; }

complain() { have "$1" || echo "make test: $1 is missing (apt install $2)" >&2; }

[ -z "$(needed missing)" ] && exit 0
if may_install; then
    hold_services
    apt-get update -qq
    needed install
fi
[ -z "$(needed missing)" ] && exit 0
needed complain
[ "${CI:-}" = true ] && [ -n "$(needed owed)" ] && exit 1
echo "make test: the tests that need them will be skipped" >&2
