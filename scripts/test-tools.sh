#!/bin/sh
# The programs that some tests run: curl, node for its fetch, git, Prometheus with promtool. Installs what is missing
# where it may; otherwise those tests say that they skip, but not where CI=true: there nothing skips.
set -u
policy=/usr/sbin/policy-rc.d

may_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; }

package() {
    case $1 in
    node) echo nodejs ;;
    promtool) echo prometheus ;;
    *) echo "$1" ;;
    esac
}

# Each test starts a Prometheus of its own: the service runs neither when it is installed nor at the next boot.
hold_services() {
    [ -e "$policy" ] && return
    trap 'rm -f "$policy"' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
}

install() {
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$1" >/dev/null || return
    if [ "$1" = prometheus ] && [ -d /run/systemd/system ]; then
        systemctl disable --quiet prometheus 2>/dev/null
    fi
}

missing() {
    for tool in curl node git prometheus promtool; do
        command -v "$tool" >/dev/null 2>&1 || echo "$tool"
    done
}

[ -z "$(missing)" ] && exit 0
if may_install; then
    hold_services
    apt-get update -qq
    for tool in $(missing); do
        install "$(package "$tool")"
    done
fi
[ -z "$(missing)" ] && exit 0
for tool in $(missing); do
    echo "make test: $tool is missing (apt install $(package "$tool"))" >&2
done
[ "${CI:-}" != true ] || exit 1
echo "make test: the tests that need them will be skipped" >&2
