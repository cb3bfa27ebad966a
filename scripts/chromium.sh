#!/bin/sh
# Sees that a Chromium is there for the browser tests: installs it where this
# user may, else says why those tests will be skipped. With CI set, a missing
# Chromium is an error.
set -eu

for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null; then exit 0; fi
done

if [ "$(id -u)" -ne 0 ]; then
    why='not root, so it cannot be installed'
elif ! command -v apt-get >/dev/null; then
    why='there is no apt-get to install it with'
else
    echo 'Installing Chromium for the browser tests ...' >&2
    if DEBIAN_FRONTEND=noninteractive && export DEBIAN_FRONTEND &&
        apt-get update -qq >/dev/null &&
        apt-get install -y -qq --no-install-recommends chromium >/dev/null; then
        exit 0
    fi
    why='apt-get could not install it'
fi

echo "No Chromium on PATH ($why): the browser tests will be skipped." >&2
if [ -n "${CI:-}" ]; then
    echo 'CI demands them: install Chromium on this machine.' >&2
    exit 1
fi
