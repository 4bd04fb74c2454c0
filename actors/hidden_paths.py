"""What a container's programs don't see of /proc and /sys, or can't write to.

Three reasons: a file tells of the whole host; it tells of the jobs before, as counters
that no scrub can reset do; or there are thousands that no program wants, and the kernel
notes of each when it was first looked for, which the next job can read there.
"""

from __future__ import annotations

OF_THE_HOST = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/buddyinfo",
    "/proc/bus",
    "/proc/cmdline",
    "/proc/config.gz",
    "/proc/consoles",
    "/proc/diskstats",
    "/proc/driver",
    "/proc/fs",
    "/proc/interrupts",
    "/proc/iomem",
    "/proc/ioports",
    "/proc/irq",
    "/proc/kallsyms",
    "/proc/kcore",
    "/proc/key-users",
    "/proc/keys",
    "/proc/kpagecgroup",
    "/proc/kpagecount",
    "/proc/kpageflags",
    "/proc/latency_stats",
    "/proc/locks",
    "/proc/modules",
    "/proc/pagetypeinfo",
    "/proc/partitions",
    "/proc/pressure",
    "/proc/sched_debug",
    "/proc/schedstat",
    "/proc/scsi",
    "/proc/slabinfo",
    "/proc/softirqs",
    "/proc/swaps",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/tty",
    "/proc/vmallocinfo",
    "/proc/zoneinfo",
    "/sys/firmware",
)
"""No runtime's business: Docker's list and more."""

OF_JOBS_BEFORE = (
    "/sys/fs/cgroup/blkio",
    *(
        f"/sys/fs/cgroup/memory/memory.{kind}{figure}"
        for kind in ("", "kmem.", "kmem.tcp.", "memsw.")
        for figure in ("failcnt", "max_usage_in_bytes")
    ),
    "/sys/fs/cgroup/memory/memory.numa_stat",
    "/sys/fs/cgroup/pids/pids.events",
    "/sys/fs/cgroup/pids/pids.peak",
    "/sys/fs/cgroup/io.stat",
    "/sys/fs/cgroup/memory.numa_stat",
    "/sys/fs/cgroup/memory.peak",
    "/sys/fs/cgroup/memory.swap.peak",
    "/sys/fs/cgroup/pids.events",
    "/sys/fs/cgroup/pids.events.local",
    "/sys/fs/cgroup/pids.peak",
)
"""The control group's counters, of version 1 and 2, tell of the largest job. What
runtimes read of it stays."""

UNWANTED = (
    *(f"/proc/sys/{name}" for name in ("abi", "crypto", "debug", "dev", "user")),
    *(
        f"/proc/sys/net/{name}"
        for name in ("bridge", "ipv4", "ipv6", "mptcp", "netfilter", "unix")
    ),
    *(
        f"/sys/{name}"
        for name in ("block", "bus", "dev", "hypervisor", "kernel", "module")
    ),
    "/sys/power",
    *(
        f"/sys/devices/{name}"
        for name in ("LNXSYSTM:00", "breakpoint", "faux", "kprobe", "msr", "pci0000:00")
    ),
    *(
        f"/sys/devices/{name}"
        for name in ("platform", "pnp0", "software", "tracepoint", "uprobe", "virtual")
    ),
    *(
        f"/sys/devices/system/{name}"
        for name in ("clockevents", "clocksource", "container", "edac", "machinecheck")
    ),
    "/sys/devices/system/memory",
    *(
        f"/sys/fs/{name}"
        for name in ("bpf", "btrfs", "erofs", "ext4", "f2fs", "fuse", "pstore", "xfs")
    ),
)
"""What stays is what runtimes read: processors, nodes, the control group's limits."""

MASKED = (*OF_THE_HOST, *OF_JOBS_BEFORE, *UNWANTED)

READ_ONLY = (
    "/dev",  # else anybody may set the times of /dev/null
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
)
"""Docker's own list, which this replaces, and more."""
