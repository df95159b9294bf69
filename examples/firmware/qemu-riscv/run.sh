#!/usr/bin/env bash
# Boots an image in QEMU: run.sh <image> [name=value ...]
# Each further word is an argument of the firmware. The exit status is the firmware's own. The log is decoded if
# `defmt-print` is installed, else it comes as it is.
set -o errexit -o nounset -o pipefail

image=$1
shift

semihosting="enable=on,target=native,arg=firmware"
for word in "$@"; do
    semihosting+=",arg=${word//,/,,}"
done

decode() {
    if command -v defmt-print >/dev/null; then defmt-print -e "$image"; else cat; fi
}

qemu-system-riscv32 -M virt -bios none -m 8M -display none -monitor none -serial none \
    -global virtio-mmio.force-legacy=false \
    -netdev user,id=net -device virtio-net-device,netdev=net \
    -semihosting-config "$semihosting" -kernel "$image" </dev/null | decode
