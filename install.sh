#!/usr/bin/env bash
# Set up the appliance in .venv beside this file, without root, and run one thing in it. See usage below.
set -euo pipefail

unset CDPATH # of whoever calls: it leads elsewhere, and prints where
HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
VENV=$(realpath -m "${GRADAUDIT_VENV:-$HERE/.venv}")
MINIMUM_FREE_GIB=4
TORCH_INDEX=""
# A version that came in a bundle lies in FOLDER/versions/DIGEST/source; units name FOLDER/current, so that they
# follow an upgrade and a rollback.
BUNDLED=""
if [[ $HERE == */versions/*/source && -f ${HERE%/source}/bundle.json ]]; then
    BUNDLED=${HERE%/versions/*/source}
    if [[ ${HERE%/source} -ef $BUNDLED/current ]]; then
        HERE=$BUNDLED/current/source
    fi
    VENV=${HERE%/source}/venv
fi

usage() {
    cat >&2 <<'TEXT'
usage: ./install.sh [install | demo | test | service | bundle | offline FILE | rollback] [options]

  install   set up .venv and print what to do next (the default)
  demo      install, then run the whole main job on shipped studies and models
  test      install with the test tools, then run every check of this project

  service   write systemd units that start what is due (docs/service.md), as root, for an appliance that is installed:
            --workspace DIR --user NAME --credential FILE [--vendor DIR]... [--receiver] [--print] [--enable[=daemon|timer]]
            --remove takes them away again

  bundle    on a machine with a network: write one signed file for machines without one (docs/air-gap.md)
            [-o FILE] [--sign KEY] [--wheels DIR] [--torch-index URL]
  offline   install such a file, with no network and beside the version in use; then switch to it
            FILE [--key "TEN WORDS"] [--into FOLDER] [--check] [--older]
  rollback  switch back to the version before: [--into FOLDER]

  --torch-index URL   take torch from this package index (for instance a CUDA build)
TEXT
}

say() { printf '%s\n' "$*" >&2; }

fail() { # fail MESSAGE HINT
    printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
    exit 1
}

# --- Python -------------------------------------------------------------------------------------------------

find_python() { # find_python MODULES: prints the first usable interpreter that has them
    local candidate usable without_venv=""
    for candidate in ${GRADAUDIT_PYTHON:-python3.13 python3.12 python3.11 python3}; do
        usable=$(command -v "$candidate") || continue
        "$usable" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue
        if "$usable" -c "import $1" >/dev/null 2>&1; then
            printf '%s\n' "$usable"
            return
        fi
        without_venv=$usable
    done
    if [[ -n $without_venv ]]; then
        fail "$without_venv has no venv module" "apt-get install python3-venv, then run this again"
    fi
    fail "no Python 3.11 or newer was found" "apt-get install python3 python3-venv, or put python3.11 in PATH"
}

# --- the virtual environment --------------------------------------------------------------------------------

check_space() {
    local free_kib
    free_kib=$(df -Pk "$(dirname "$VENV")" | awk 'NR == 2 {print $4}')
    if ((free_kib < MINIMUM_FREE_GIB * 1024 * 1024)); then
        fail "only $((free_kib / 1024)) MiB are free under $(dirname "$VENV")" \
            "make $MINIMUM_FREE_GIB GiB free there, or set GRADAUDIT_VENV to a folder on a larger disk"
    fi
}

venv_is_sound() { # a moved or half-made environment is not
    [[ -x $VENV/bin/python && -f $VENV/pyvenv.cfg ]] &&
        "$VENV/bin/python" -c 'import pip' >/dev/null 2>&1 &&
        head -n 3 "$VENV/bin/pip" | grep -qF "$VENV/bin/"
}

make_venv() {
    local python
    venv_is_sound && return
    if [[ -e $VENV && ! -f $VENV/pyvenv.cfg && -n $(ls -A "$VENV") ]]; then
        fail "$VENV exists and is not a virtual environment" "move it away, or set GRADAUDIT_VENV to another folder"
    fi
    python=$(find_python "venv, ensurepip")
    check_space
    say "making $VENV with $("$python" --version)"
    "$python" -m venv --clear "$VENV" >&2 ||
        fail "the virtual environment could not be made" "the lines above say why"
}

# --- packages -----------------------------------------------------------------------------------------------

run_pip() { # run_pip WHAT ARGUMENT...: quiet while it works, loud when it does not
    local what=$1 log=$VENV/install.log
    shift
    say "installing $what (log: $log)"
    if ! "$VENV/bin/python" -m pip install --no-input --disable-pip-version-check "$@" >>"$log" 2>&1; then
        tail -n 15 "$log" >&2
        if grep -q 'No space left on device' "$log"; then
            fail "the disk is full" "make $MINIMUM_FREE_GIB GiB free, or set GRADAUDIT_VENV to a folder on a larger disk"
        fi
        fail "pip could not install $what" "see the lines above and $log; check pip's source with: pip config list"
    fi
}

stamp() { # what the installed state depends on, as one digest
    { cat "$HERE/pyproject.toml" "$@"; printf '%s' "$HERE"; } | sha256sum | cut -d ' ' -f 1
}

is_installed() { # is_installed NAME DIGEST
    [[ -f $VENV/installed-$1 && $(<"$VENV/installed-$1") == "$2" ]]
}

refuse_foreign_packages() {
    local found
    shopt -s nullglob
    for found in "$VENV"/lib/python3*/site-packages/{medio,torchvision}-*.dist-info; do
        found=$(basename "$found")
        found=${found%%-*}
        fail "the package '$found' is installed in $VENV and breaks the appliance (docs/dependencies.md)" \
            "$VENV/bin/python -m pip uninstall -y $found, then remove $VENV/installed-core and run this again"
    done
    shopt -u nullglob
}

check_packages_are_ours() {
    local package
    for package in audit_core medio appliance tui; do
        (cd / && "$VENV/bin/python" -c "
import pathlib, sys, $package
sys.exit(pathlib.Path($package.__file__).resolve().parent.parent != pathlib.Path(sys.argv[1]))" "$HERE") ||
            fail "'import $package' does not find this checkout's package" \
                "another distribution shadows it: $VENV/bin/python -m pip list, and uninstall what does not belong"
    done
}

install_core() {
    local digest
    digest=$(stamp "$HERE/requirements.lock")
    if is_installed core "$digest" && [[ -z $TORCH_INDEX ]]; then
        return
    fi
    rm -f "$VENV/installed-core"
    : >"$VENV/install.log"
    if [[ -n $TORCH_INDEX ]]; then
        run_pip "torch from the given index" --index-url "$TORCH_INDEX" --force-reinstall --no-deps \
            "$(grep '^torch==' "$HERE/requirements.lock")"
        run_pip "the pinned packages" --extra-index-url "$TORCH_INDEX" --requirement "$HERE/requirements.lock"
    else
        run_pip "the pinned packages" --requirement "$HERE/requirements.lock"
    fi
    run_pip "the appliance" --no-deps --no-build-isolation --no-index --editable "$HERE"
    refuse_foreign_packages
    check_packages_are_ours
    printf '%s\n' "$digest" >"$VENV/installed-core"
}

install_test_tools() {
    local digest
    digest=$(stamp "$HERE/requirements.lock" "$HERE/requirements-dev.lock")
    is_installed test "$digest" && return
    run_pip "the test tools" --requirement "$HERE/requirements-dev.lock"
    printf '%s\n' "$digest" >"$VENV/installed-test"
}

set_up() { # one installer at a time; a second one waits
    exec 9<"$HERE"
    flock 9
    make_venv
    refuse_foreign_packages
    install_core
    [[ $1 != test ]] || install_test_tools
    exec 9<&-
}

# --- what to run --------------------------------------------------------------------------------------------

run_demo() {
    exec "$VENV/bin/gradaudit" demo "$@"
}

run_checks() {
    local failed=()
    check() { # check NAME COMMAND...
        local name=$1
        shift
        say "== $name"
        "$@" || failed+=("$name")
    }
    cd -- "$HERE"
    check "ruff check" "$VENV/bin/ruff" check .
    check "ruff format" "$VENV/bin/ruff" format --check .
    check "mypy" "$VENV/bin/mypy"
    check "import contracts" "$VENV/bin/lint-imports"
    check "pytest" "$VENV/bin/python" -m pytest --numprocesses auto --dist loadfile "$@"
    if ((${#failed[@]})); then
        fail "failed: $(IFS=,; printf '%s' "${failed[*]}")" "each check can be run alone from $VENV/bin"
    fi
    say "all checks passed"
}

# --- units of systemd ---------------------------------------------------------------------------------------

UNITS=(gradaudit-serve.service gradaudit-schedule.service gradaudit-schedule.timer)
RECEIVER=gradaudit-receive.service # only where it is asked for
UNIT_FOLDER=${GRADAUDIT_UNIT_FOLDER:-/etc/systemd/system}
HIDDEN=${GRADAUDIT_HIDDEN-/home /root /run/user /tmp /var/tmp} # what ProtectHome and PrivateTmp take away

expect_path() { # expect_path WHAT PATH: may stand in a unit, and the services see it
    local folder
    if [[ $2 != /* || $2 == *[^A-Za-z0-9/._+:,-]* ]]; then
        fail "the path of $1 cannot stand in a unit: '$2'" "give an absolute one of letters, digits and . _ + : , - alone"
    fi
    for folder in $HIDDEN; do
        case $(realpath -m "$2")/ in
            "$folder"/*) fail "$1 is $2, and services see nothing below $folder" "move it, for instance below /srv or /opt" ;;
        esac
    done
}

expect_service_user() { # expect_service_user NAME
    [[ $1 =~ ^[a-z_][a-z0-9_-]*$ && $1 != root ]] ||
        fail "no user to run as: '$1'" "give --user NAME: the account that owns the workspace, and not root"
}

expect_installed() { # what units name is there, and can be seen by them
    local base
    [[ -x $VENV/bin/gradaudit ]] || fail "the appliance is not installed in $VENV" "run ./install.sh first"
    base=$("$VENV/bin/python" -c 'import sys; print(sys.base_prefix)')
    expect_path "Python" "$base"
    getent passwd "$SERVICE_USER" >/dev/null ||
        fail "there is no account $SERVICE_USER" "useradd --system --shell /usr/sbin/nologin $SERVICE_USER, and give it the workspace"
    [[ -f $WORKSPACE/keyring.json ]] || fail "there is no workspace in $WORKSPACE" "make one with: gradaudit --workspace $WORKSPACE init"
    [[ -f $CREDENTIAL ]] || fail "there is no credential $CREDENTIAL" "make one with: gradaudit users add NAME --role machine --credential $CREDENTIAL"
    if [[ $CREDENTIAL != *.cred && $(stat -c %a "$CREDENTIAL") != *00 ]]; then
        fail "other accounts may open $CREDENTIAL" "chmod 600 $CREDENTIAL, or seal it with systemd-creds encrypt (docs/users.md)"
    fi
}

filled() { # filled UNIT: the unit for this site
    local load=LoadCredential line vendor=""
    [[ $CREDENTIAL != *.cred ]] || load=LoadCredentialEncrypted
    for line in ${VENDORS[@]+"${VENDORS[@]}"}; do
        vendor+="ReadOnlyPaths=-$line\\n"
    done
    sed -e "s#@HERE@#$HERE#g; s#@WORKSPACE@#$WORKSPACE#g; s#@USER@#$SERVICE_USER#g; s#@GRADAUDIT@#$VENV/bin/gradaudit#g" \
        -e "s#@CREDENTIAL@#$load=gradaudit-machine:$CREDENTIAL#; s#^@VENDOR@\$#${vendor%\\n}#" \
        "$HERE/appliance/units/$1"
}

write_units() {
    local unit
    STAGED=$(mktemp -d)
    trap 'rm -rf "$STAGED"' EXIT
    for unit in "${UNITS[@]}"; do
        filled "$unit" >"$STAGED/$unit"
    done
    systemd-analyze verify --man=no "${UNITS[@]/#/$STAGED/}" >&2 ||
        fail "systemd does not take these units" "the lines above say why; nothing was written"
    for unit in "${UNITS[@]}"; do
        if cmp -s "$STAGED/$unit" "$UNIT_FOLDER/$unit"; then
            say "as it was: $UNIT_FOLDER/$unit"
        else
            install -m 644 "$STAGED/$unit" "$UNIT_FOLDER/$unit"
            say "written: $UNIT_FOLDER/$unit"
        fi
    done
}

expect_systemd() {
    ((EUID == 0)) || fail "writing units needs root" "run it with sudo, or with --print to look at them"
    command -v systemd-analyze >/dev/null || fail "systemd is not on this machine" "call 'gradaudit schedule run' from the timer there is"
}

switch_on() { # switch_on daemon|timer
    local unit=gradaudit-serve.service
    [[ $1 == daemon ]] || unit=gradaudit-schedule.timer
    if ! systemctl daemon-reload || ! systemctl enable --now "$unit"; then
        fail "systemd did not start $unit" "systemctl status $unit says why; the units are written"
    fi
    say "enabled: $unit"
}

remove_units() {
    local unit
    expect_systemd
    if [[ -d /run/systemd/system && $UNIT_FOLDER == /etc/systemd/system ]]; then
        systemctl disable --now gradaudit-serve.service gradaudit-schedule.timer "$RECEIVER" || true # one may not be there
    fi
    for unit in "${UNITS[@]}" "$RECEIVER"; do
        rm -f "$UNIT_FOLDER/$unit"
    done
    say "the units are removed; audits that run go on, and the workspace is as it was"
}

run_service() {
    local print="" remove="" enable="" folder unit
    WORKSPACE="" SERVICE_USER="" CREDENTIAL="" VENDORS=()
    while [[ $# -gt 0 ]]; do
        case $1 in
            --workspace) WORKSPACE=${2:?--workspace needs a folder}; shift 2 ;;
            --user) SERVICE_USER=${2:?--user needs a name}; shift 2 ;;
            --credential) CREDENTIAL=${2:?--credential needs a file}; shift 2 ;;
            --vendor) VENDORS+=("${2:?--vendor needs a folder}"); shift 2 ;;
            --receiver) UNITS+=("$RECEIVER"); shift ;;
            --print) print=yes; shift ;;
            --remove) remove=yes; shift ;;
            --enable | --enable=daemon) enable=daemon; shift ;;
            --enable=timer) enable=timer; shift ;;
            *) usage; exit 2 ;;
        esac
    done
    if [[ -n $remove ]]; then
        remove_units
        return
    fi
    expect_path "the workspace" "$WORKSPACE"
    expect_path "the credential" "$CREDENTIAL"
    expect_path "the appliance" "$HERE"
    expect_path "its environment" "$VENV"
    for folder in ${VENDORS[@]+"${VENDORS[@]}"}; do
        expect_path "a vendor's folder" "$folder"
    done
    expect_service_user "$SERVICE_USER"
    if [[ -n $print ]]; then
        for unit in "${UNITS[@]}"; do
            printf '# %s\n' "$UNIT_FOLDER/$unit"
            filled "$unit"
        done
        return
    fi
    expect_systemd
    expect_installed
    write_units
    if [[ -n $enable ]]; then
        switch_on "$enable"
    else
        say "next: systemctl daemon-reload && systemctl enable --now gradaudit-serve.service"
        [[ " ${UNITS[*]} " != *" $RECEIVER "* ]] || say "and, when docs/receiver.md is done: systemctl enable --now $RECEIVER"
    fi
}

# --- machines without a network -----------------------------------------------------------------------------

run_site() { # run_site PYTHON MODULE ARGUMENT...: one of our modules that need nothing but Python
    local python=$1 module=$2
    shift 2
    exec "$python" -I -c "import sys; sys.path.insert(0, sys.argv.pop(1)); from appliance.site.$module import main
raise SystemExit(main())" "$(cd -- "$HERE" && pwd -P)" "$@"
}

run_offline() { # run_offline offline|rollback ARGUMENT...
    local python
    if [[ -n $BUNDLED && " $* " != *" --into"* ]]; then
        set -- "$@" --into "$BUNDLED"
    fi
    python=$(find_python venv)
    run_site "$python" offline "$@"
}

run_bundle() {
    [[ -z $BUNDLED ]] || fail "this version came in a bundle" "make bundles in a checkout, on a machine with a network"
    unset PYTHONPATH PYTHONHOME
    set_up install
    run_site "$VENV/bin/python" bundling "$@"
}

say_what_next() {
    cat >&2 <<TEXT
installed in $VENV
next:
  $HERE/install.sh demo          # the whole main job on shipped studies and models
  $VENV/bin/gradaudit doctor     # what this machine still lacks
  $VENV/bin/gradaudit init       # a workspace for your own studies
TEXT
}

main() {
    local act=install
    local rest=()
    if [[ $# -gt 0 && $1 != -* ]]; then
        act=$1
        shift
    fi
    case $act in
        service) run_service "$@"; return ;;
        bundle) run_bundle "$@" ;;
        offline | rollback) run_offline "$act" "$@" ;;
    esac
    while [[ $# -gt 0 ]]; do
        case $1 in
            --torch-index) TORCH_INDEX=${2:?--torch-index needs a URL}; shift 2 ;;
            --torch-index=*) TORCH_INDEX=${1#*=}; shift ;;
            -h | --help) usage; exit 0 ;;
            *) rest+=("$1"); shift ;;
        esac
    done
    case $act in
        install | demo | test) ;;
        *) usage; exit 2 ;;
    esac
    unset PYTHONPATH PYTHONHOME
    export PYTHONNOUSERSITE=1
    # Small models: a second thread waits more than it computes, and the other core has the next process.
    export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
    if [[ -n $BUNDLED ]]; then
        [[ $act == demo ]] || fail "this version came in a bundle and is complete" "./install.sh offline FILE installs another"
        run_demo ${rest[@]+"${rest[@]}"}
    fi
    set_up "$act"
    case $act in
        install) say_what_next ;;
        demo) run_demo ${rest[@]+"${rest[@]}"} ;;
        test) run_checks ${rest[@]+"${rest[@]}"} ;;
    esac
}

main "$@"
