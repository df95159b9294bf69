#!/usr/bin/env bash
# cargo's runner: boots an image in QEMU. Further arguments, `name=value` each, are handed to the firmware.
# The exit status is the firmware's own. The log is decoded if `defmt-print` is installed.
set -u
image=$1
shift
arguments=""
for argument in "$@"; do
    arguments+=",arg=$argument"
done
boot() {
    qemu-system-arm -M mps2-an385 -display none -monitor none -serial none -nic user,model=lan9118 \
        -semihosting-config "enable=on,target=native,arg=firmware$arguments" -kernel "$image"
}
if command -v defmt-print >/dev/null; then
    boot | defmt-print -e "$image"
    exit "${PIPESTATUS[0]}"
else
    echo "defmt-print is not installed: no log (cargo install defmt-print --locked)" >&2
    boot >/dev/null
fi
