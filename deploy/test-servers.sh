#!/bin/sh
# Installs the servers that tests and benchmarks run against, or says the one command to type.
set -eu
export PATH="$PATH:/usr/sbin:/sbin"
missing=""
for package in "$@"; do
    case "$package" in
        mosquitto-clients) program=mosquitto_sub ;;
        influxdb) program=influxd ;;
        fonts-noto-cjk) # no program: pictures of Chinese pages need it
            [ -d /usr/share/fonts/opentype/noto ] || missing="$missing $package"
            continue ;;
        *) program=$package ;;
    esac
    command -v "$program" >/dev/null 2>&1 || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
install="apt-get install --yes --no-install-recommends$missing"
if ! command -v apt-get >/dev/null 2>&1; then
    echo "These servers are missing:$missing. Install them with your package manager." >&2
    exit 1
fi
if [ "$(id -u)" -eq 0 ]; then
    run=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    run="sudo"
else
    echo "The tests need$missing. Type this once, then make test again:" >&2
    echo "    sudo apt-get update && sudo $install" >&2
    exit 1
fi
echo "installing$missing"
# A service started by the package would hold the MQTT port; the tests start their own.
$run apt-get update -qq
DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 $run $install -qq >/dev/null
