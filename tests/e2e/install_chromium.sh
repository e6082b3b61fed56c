#!/bin/sh
# Makes Chromium and what its driver (Playwright's node) needs available to the browser tests: quick where they
# are there, else installs Debian's packages.
set -eu

missing=""
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
if [ -x /sbin/ldconfig ]; then
    /sbin/ldconfig -p | grep -q 'libatomic\.so\.1' || missing="$missing libatomic1"
fi
if [ -z "$missing" ]; then
    exit 0
fi

if [ "$(id -u)" -eq 0 ]; then
    as_root=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    echo "The browser tests need more packages. Install them as root: apt-get install -y$missing" >&2
    exit 1
fi

if ! command -v apt-get >/dev/null 2>&1; then
    echo "The browser tests need$missing, and there is no apt-get here: install that with this system's own tool." >&2
    exit 1
fi

echo "Installing$missing for the browser tests ..." >&2
$as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
# shellcheck disable=SC2086  # names of packages
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
command -v chromium >/dev/null
