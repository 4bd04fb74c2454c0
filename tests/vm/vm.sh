#!/usr/bin/env bash
# Tries the service on cgroup v2, whatever the host has: makes a Debian 13 with Docker,
# boots it in a virtual machine without network, and runs trial.py in it. What has been
# committed is what is tried. Exits 0 if every outcome was right.
#
# ACCEL: QEMU's accelerator; `kvm`, where that works, is the faster one. One thread for
# both processors takes no longer than one each, with which the guest's kernel has once
# panicked at an instruction that it was just patching (most likely QEMU's doing).
set -euo pipefail

PYTHON=${PYTHON:-.venv/bin/python}
ACCEL=${ACCEL:-tcg,thread=single}
FOLDER=.vm                 # all that is written; the disk in it is used again
SUITE=trixie
PYTHON_VERSION=3.13        # what SUITE has: the libraries are installed for it out here
PACKAGES=systemd-sysv,dbus,linux-image-cloud-amd64,docker.io,iptables,apparmor,python3
IMAGE=warmbox/python:latest
DISK_SIZE=4G               # sparse; half of it is Docker's
MEMORY_MB=2048
PROCESSORS=2
ROOT_S_MAX=900
TRIAL_S_MAX=1500

say() { echo "warmbox: $*" >&2; }
fail() { say "$*"; exit 1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "a root file system is made by root, and there is no sudo"
    fi
}

has_tools() {
    command -v qemu-system-x86_64 && command -v mmdebstrap && command -v mke2fs
} >/dev/null

install_tools() {
    if has_tools; then return; fi
    local tools=(qemu-system-x86 mmdebstrap debian-archive-keyring e2fsprogs)
    say "installing ${tools[*]}"
    # a mirror that is broken matters only if the packages can't be had without it
    as_root apt-get -q update || say "going on with what is known"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qy install \
        --no-install-recommends -o DPkg::Lock::Timeout=300 "${tools[@]}"
}

# Nothing but Debian's own packages is on the disk, so it serves any version of ours.
# It is complete once it has its name.
make_disk() {
    if [ -e "$FOLDER/disk" ]; then return; fi
    say "making a Debian $SUITE with Docker"
    as_root timeout "$ROOT_S_MAX" bash -euc "
        cd $FOLDER
        rm -rf --one-file-system root
        mmdebstrap --variant=minbase --include=$PACKAGES $SUITE root
        cp root/boot/vmlinuz-* kernel
        cp root/boot/initrd.img-* initrd
        mke2fs -q -t ext4 -d root unfinished $DISK_SIZE
        rm -rf --one-file-system root
        mv unfinished disk
        chmod a+r kernel initrd disk"
}

# The machine gets ours as two archives in the place of disks.
pack() {
    say "packing $(git log -1 --format='%h, %s')"
    git archive --prefix=warmbox/ --output="$FOLDER/ours" HEAD
    rm -rf "$FOLDER/site"
    "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-compile \
        --require-hashes --only-binary :all: --python-version "$PYTHON_VERSION" \
        --target "$FOLDER/site" -r requirements.lock
    tar --append --file "$FOLDER/ours" --directory "$FOLDER" site
    "$PYTHON" - "$IMAGE" >"$FOLDER/image" <<'PYTHON'
import sys

import docker

for piece in docker.from_env().images.get(sys.argv[1]).save(named=sys.argv[1]):
    sys.stdout.buffer.write(piece)
PYTHON
}

# Becomes the machine, which runs the trial and ends. Its first serial line is the
# console, the second is what the trial prints. What it writes to its disks is forgotten.
be_machine() {
    local trial="PYTHON_COLORS=0 PYTHONPATH=/srv/site exec python3 tests/vm/trial.py"
    local command="stty -F /dev/ttyS1 raw && tar -xf /dev/vdb -C /srv"
    command+=" && cd /srv/warmbox && $trial >/dev/ttyS1 2>&1"
    local disk=if=virtio,format=raw,snapshot=on,file=$FOLDER
    export TMPDIR=$PWD/$FOLDER   # for what is to be forgotten
    exec timeout --foreground --kill-after=10 "$TRIAL_S_MAX" \
        nice -n 10 qemu-system-x86_64 \
        -accel "$ACCEL" -cpu max -smp "$PROCESSORS" -m "$MEMORY_MB" -no-reboot \
        -nodefaults -display none -nic none \
        -serial "file:$FOLDER/console.log" -serial "file:$FOLDER/report" \
        -drive "$disk/disk" -drive "$disk/ours" -drive "$disk/image" \
        -kernel "$FOLDER/kernel" -initrd "$FOLDER/initrd" -append \
        "root=/dev/vda rw console=ttyS0 panic=-1 systemd.firstboot=no \
         systemd.run=\"/bin/sh -c '$command'\""
}

# Shows the report while it is written. The machine ends with us, however we end.
boot() {
    say "booting; $FOLDER/console.log is its console, and $TRIAL_S_MAX s are all it gets"
    : >"$FOLDER/report"
    be_machine </dev/null &
    local machine=$!
    # shellcheck disable=SC2064  # the id as it is now
    trap "kill $machine 2>/dev/null || true" EXIT
    tail --pid="$machine" --lines=+1 --follow "$FOLDER/report"
    wait "$machine" || say "the machine did not end by itself"
}

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
PATH=$PATH:/usr/sbin:/sbin   # which is not on everybody's
[ "$(uname -m)" = x86_64 ] || fail "the machine is an x86-64 one, and so must this be"
mkdir -p "$FOLDER"
install_tools
make_disk
pack
boot
if ! grep -qx "all as it should be" "$FOLDER/report"; then
    tail -n 5 "$FOLDER/console.log" >&2
    fail "the trial failed"
fi
