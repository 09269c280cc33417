#!/usr/bin/env bash
# Puts Nox on a Debian machine with systemd, or takes it away; as root, after `make release`.
#
#     deploy/systemd/install.sh                 programs, units, users, folders; settings with secrets of their own
#     deploy/systemd/install.sh remove          programs and units; settings, data and users stay
#     deploy/systemd/install.sh purge           these as well: the archive and the audit are gone then
#
# DESTDIR is a root to do it in, where nothing is started or stopped. BIN is where the programs are. NATS_SERVER is the
# broker's, of 2.15.1 or later; that of `make setup` unless named, and with none there is no unit of it.
# An upgrade is the first again: settings that are there stay as they are, and nothing is restarted.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=$(cd "$here/../.." && pwd)
root=${DESTDIR:-}
bin=${BIN:-$source/target/release}
nats_server=${NATS_SERVER:-$source/.nox/tools/nats/nats-server}
services="scheduler projector notifier executor gateway"
umask 022

main() {
    [ "$(id -u)" = 0 ] || fail "only root may"
    case "${1:-install}" in
        install) install_all ;;
        remove) remove_all ;;
        purge) remove_all && purge_all ;;
        *) fail "install, remove or purge, and not $1" ;;
    esac
}

install_all() {
    local name
    for name in $services; do
        [ -x "$bin/nox-$name" ] || fail "there is no $bin/nox-$name: make release"
    done
    install -d "$root/usr/bin" "$root/usr/lib/nox" "$root/usr/lib/sysusers.d" "$root/usr/lib/tmpfiles.d" \
        "$root/usr/share/nox" "$root/usr/share/doc/nox" "$root/etc/default" "$root/etc/nox" "$root/etc/systemd/system"
    for name in nox-scheduler nox-projector nox-notifier nox-executor nox-gateway noxctl; do
        install -m 755 "$bin/$name" "$root/usr/bin/$name"
    done
    install -m 755 "$here/await-livez" "$root/usr/lib/nox/await-livez"
    install -m 644 "$source/docs/OPERATIONS.md" "$root/usr/share/doc/nox/OPERATIONS.md"
    rm -rf "$root/usr/share/nox/modules"
    cp -r "$source/modules" "$root/usr/share/nox/modules"
    install -m 644 "$here/nox.sysusers" "$root/usr/lib/sysusers.d/nox.conf"
    install -m 644 "$here/nox.tmpfiles" "$root/usr/lib/tmpfiles.d/nox.conf"
    systemd-sysusers ${root:+--root="$root"} nox.conf
    systemd-tmpfiles ${root:+--root="$root"} --create nox.conf

    install -m 644 "$source/nats/server.conf" "$source/nats/permissions.conf" "$root/etc/nox/"
    [ -e "$root/etc/nox/nats.conf" ] || install -m 644 "$here/nats.conf" "$root/etc/nox/nats.conf"
    settings nox-nats
    if [ -x "$nats_server" ]; then
        install -m 755 "$nats_server" "$root/usr/lib/nox/nats-server"
        install -m 644 "$here/nox-nats.service" "$root/etc/systemd/system/nox-nats.service"
    else
        say "there is no $nats_server, so no unit of it either; name one in NATS_SERVER"
    fi

    # Secrets that several have are the same in each.
    local webhook password
    webhook=$(set_in nox-gateway NOX_WEBHOOK_KEY)
    webhook=${webhook:-$(secret)}
    settings nox
    for name in $services; do
        password=$(set_in nox-nats "NOX_NATS_$(echo "$name" | tr a-z A-Z)_PASSWORD")
        settings "nox-$name" "s/@KEY@/$(secret)/; s/@JWT@/$(secret)/; s/@WEBHOOK@/$webhook/; s/@NATS@/$password/"
        install -m 644 "$here/nox-$name.service" "$root/etc/systemd/system/nox-$name.service"
    done
    if [ -z "$root" ]; then
        systemctl daemon-reload
    fi
    say "installed. Say in /etc/default/nox-* where Postgres is, then:"
    say "systemctl enable --now nox-nats nox-scheduler nox-projector nox-notifier nox-executor nox-gateway"
}

# settings NAME [CHANGES]: for root's eyes alone, who hands them to the services.
settings() {
    local place=$root/etc/default/$1
    [ ! -e "$place" ] || return 0
    (umask 077 && sed "${2:-}" "$here/$1.default" >"$place")
    # A secret for each place that wants one of its own.
    while grep -q @NEW@ "$place"; do
        sed -i "0,/@NEW@/s//p$(secret)/" "$place"
    done
}

# set_in NAME VARIABLE: what the settings say, if they are there.
set_in() {
    [ ! -e "$root/etc/default/$1" ] || sed -n "s/^$2=//p" "$root/etc/default/$1"
}

secret() {
    od -An -N32 -tx1 /dev/urandom | tr -d ' \n'
}

remove_all() {
    local name
    for name in $services nats; do
        if [ -z "$root" ] && [ -e "/etc/systemd/system/nox-$name.service" ]; then
            systemctl disable --now "nox-$name.service"
        fi
        rm -f "$root/etc/systemd/system/nox-$name.service" "$root/usr/bin/nox-$name"
    done
    rm -f "$root/usr/bin/noxctl" "$root/usr/lib/sysusers.d/nox.conf" "$root/usr/lib/tmpfiles.d/nox.conf"
    rm -rf "$root/usr/lib/nox" "$root/usr/share/nox" "$root/usr/share/doc/nox"
    rm -f "$root/etc/nox/server.conf" "$root/etc/nox/permissions.conf"
    if [ -z "$root" ]; then
        systemctl daemon-reload
    fi
    say "removed; /etc/default/nox*, /etc/nox, /var/lib/nox and the users are still there"
}

purge_all() {
    local name
    for name in nox nox-nats $(printf 'nox-%s ' $services); do
        rm -f "$root/etc/default/$name"
    done
    rm -rf "$root/var/lib/nox" "$root/etc/nox"
    for name in nox-executor nox-nats nox; do
        ! grep -q "^$name:" "$root/etc/passwd" || userdel ${root:+--root "$root"} "$name"
    done
    # Their own ones go with them where login.defs says so.
    for name in nox-executor nox-nats nox nox-files; do
        ! grep -q "^$name:" "$root/etc/group" || groupdel ${root:+--root "$root"} "$name"
    done
    say "settings, data and users are gone"
}

say() {
    echo "nox: $*"
}

fail() {
    echo "nox: $*" >&2
    exit 1
}

main "$@"
