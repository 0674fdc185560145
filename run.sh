#!/usr/bin/env bash
# Sets up .venv beside this file when needed, then runs the demo, the tests or any abaw command.
set -euo pipefail

root=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
venv=$root/.venv
begun=$venv/.setup-begun # written when this script makes the environment
stamp=$venv/.setup-done  # written when everything is installed; what it was installed from
needed_gib=8

usage() {
    cat <<'END'
usage: ./run.sh              set up, then run the demo (abaw demo)
       ./run.sh setup        set up only
       ./run.sh test [...]   set up, then run the tests; arguments go to pytest
       ./run.sh abaw ...     set up, then run any abaw command, for instance: ./run.sh abaw doctor
PYTHON=/path/to/python chooses the Python (3.11 or newer) that .venv is made with.
END
}

say() { printf 'run.sh: %s\n' "$*" >&2; }

fail() {
    say "$*"
    exit 1
}

# The first Python that is new enough and can make virtual environments; sets $python.
find_python() {
    local candidate version old='' bare=''
    local -a candidates=(python3.13 python3.12 python3.11 python3 python)
    [[ -z ${PYTHON:-} ]] || candidates=("$PYTHON")
    for candidate in "${candidates[@]}"; do
        # Asking for the version also skips launchers that are there without the Python they stand for.
        version=$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
        if ! "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            old=${old:-"$candidate is Python $version"}
        elif ! "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
            bare=${bare:-$version}
        else
            python=$candidate
            return
        fi
    done
    [[ -z $bare ]] || fail "Python $bare lacks the venv module; install it: sudo apt install python$bare-venv"
    local advice='install it (sudo apt install python3.11 python3.11-venv) or name one: PYTHON=/path/to/python ./run.sh'
    [[ -z $old ]] || fail "Python 3.11 or newer is needed, but $old; $advice"
    [[ -z ${PYTHON:-} ]] || fail "PYTHON=$PYTHON does not run; Python 3.11 or newer is needed"
    fail "Python 3.11 or newer is needed, and none was found; $advice"
}

# What the environment is made from: project metadata, Python, place. Prints nothing when .venv has no Python of its own.
fingerprint() {
    local version
    version=$("$venv/bin/python" -c 'import sys
if sys.prefix != sys.argv[1]: sys.exit(1)
print("%d.%d" % sys.version_info[:2])' "$venv" 2>/dev/null) || return 0
    printf '%s %s %s\n' "$(sha256sum <"$root/pyproject.toml" | cut -d ' ' -f 1)" "$version" "$venv"
}

is_ready() {
    local now
    now=$(fingerprint)
    [[ -n $now && -f $stamp && $now == "$(<"$stamp")" ]]
}

free_gib() { df -Pk -- "$1" | awk 'NR == 2 { print int($4 / 1048576) }'; }

# pip's many lines, cut down to the large downloads and the installation itself.
show_progress() {
    local line
    while IFS= read -r line; do
        case $line in
        *Downloading*MB\)* | *'Using cached'*MB\)*)
            [[ $line =~ ([^[:space:]/]+)\ \(([0-9]{2,})(\.[0-9]+)?\ MB\) ]] &&
                say "  ${BASH_REMATCH[1]%%-[cp][py][0-9]*} (${BASH_REMATCH[2]} MB)" || true
            ;;
        'Installing collected packages:'*) say '  installing' ;;
        esac
    done
}

set_up() {
    local why='' free
    # Settings that would send packages elsewhere, or let others in.
    unset PIP_TARGET PIP_PREFIX PIP_ROOT PIP_DRY_RUN
    export PIP_USER=0 PIP_NO_INPUT=1 PIP_DISABLE_PIP_VERSION_CHECK=1

    # An environment that this script began and did not finish, that was moved, or whose Python is gone, is made anew;
    # one that stands (made by hand, or before pyproject.toml changed) is completed.
    if [[ -e $venv || -L $venv ]]; then
        [[ ! -f $begun || -f $stamp ]] || why='was not finished'
        [[ ! -f $stamp || $(<"$stamp") == *" $venv" ]] || why='comes from another place'
        [[ -n $(fingerprint) ]] || why='has no working Python'
        if [[ -n $why ]]; then
            say ".venv $why; making it anew"
            rm -rf -- "$venv"
        fi
    fi
    if [[ ! -d $venv ]]; then
        find_python
        free=$(free_gib "$root")
        ((free >= needed_gib)) || say "only $free GiB free in $root; about $needed_gib GiB are needed, going on"
        say "making .venv with $("$python" --version); this takes some minutes and about 7 GB of disk"
        mkdir -- "$venv"
        : >"$begun"
        "$python" -m venv "$venv" >&2 || fail "$python -m venv failed (above)"
    fi
    rm -f -- "$stamp"

    say 'installing the project and what it needs with pip'
    if ! "$venv/bin/python" -m pip install --progress-bar off --editable "$root[dev]" </dev/null | show_progress; then
        say "pip failed (above); free disk: $(free_gib "$root") GiB in $root, $(free_gib "${TMPDIR:-/tmp}") GiB in ${TMPDIR:-/tmp}"
        say 'when "No space left on device" stands above: free some, or set TMPDIR to a larger folder and PIP_NO_CACHE_DIR=1'
        fail 'run the same command again when the cause is gone'
    fi
    "$venv/bin/abaw" doctor --fix </dev/null >&2 || fail 'abaw doctor --fix failed (above)'
    "$venv/bin/abaw" doctor </dev/null >&2 || say 'something is broken on this machine (above); going on'
    fingerprint >"$stamp.new"
    mv -- "$stamp.new" "$stamp"
    say 'set up'
}

ensure_ready() {
    if [[ -n ${PYTHONPATH:-} || -n ${PYTHONHOME:-} ]]; then
        say 'ignoring PYTHONPATH and PYTHONHOME: .venv holds what is needed'
        unset PYTHONPATH PYTHONHOME
    fi
    if is_ready; then return; fi
    # One set-up at a time; whoever waited finds it done.
    exec 9<"$root"
    flock -n 9 || {
        say 'another set-up of this folder is running; waiting for it'
        flock 9
    }
    if ! is_ready; then set_up; fi # no `||` here: it would switch off `set -e` inside
    exec 9<&-
}

case ${1-} in
'')
    (($# == 0)) || { usage >&2 && exit 2; }
    ensure_ready
    exec "$venv/bin/abaw" demo
    ;;
setup)
    (($# == 1)) || { usage >&2 && exit 2; }
    ensure_ready
    ;;
test)
    ensure_ready
    cd -- "$root"
    exec "$venv/bin/python" -m pytest "${@:2}"
    ;;
abaw)
    ensure_ready
    exec "$venv/bin/abaw" "${@:2}"
    ;;
-h | --help | help) usage ;;
*)
    usage >&2
    exit 2
    ;;
esac
