/* Tries what no program in a container may do, and prints how each attempt ended. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRY(name, ...) do { errno = 0; long got = syscall(__VA_ARGS__); report(name, got); } while (0)
#define CALL(number) TRY(#number, SYS_##number, 0, 0, 0, 0, 0, 0)

static void report(const char *name, long got) {
    if (got < 0) printf("%s %s\n", name, strerrorname_np(errno));
    else printf("%s WORKED\n", name);
    fflush(stdout);
}

static void in_child(const char *name, void (*attempt)(void)) {
    pid_t pid = fork();
    if (pid == 0) { attempt(); _exit(0); }
    int status;
    waitpid(pid, &status, 0);
    if (WIFSIGNALED(status)) printf("%s SIG%s\n", name, sigabbrev_np(WTERMSIG(status)));
    else printf("%s %s\n", name, WEXITSTATUS(status) ? "refused" : "WORKED");
    fflush(stdout);
}

#ifdef __x86_64__
static void thirty_two_bits(void) {
    long got = 20; /* getpid */
    __asm__ volatile("int $0x80" : "+a"(got) : : "memory");
    _exit(got < 0);
}

static void x32(void) { _exit(syscall(0x40000000 | SYS_getpid) < 0); }
#endif

static void clone_into(const char *name, unsigned long flag) {
    errno = 0;
    long got = syscall(SYS_clone, flag | SIGCHLD, 0, 0, 0, 0);
    if (got == 0) _exit(0);
    report(name, got);
}

int main(void) {
    char buffer[256] = {0};
    CALL(io_uring_setup); CALL(io_uring_enter); CALL(io_uring_register);
    TRY("keyctl", SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);
    TRY("add_key", SYS_add_key, "user", "left", "x", 1, KEY_SPEC_USER_KEYRING);
    CALL(request_key); CALL(bpf); CALL(perf_event_open); CALL(userfaultfd);
    CALL(ptrace); CALL(process_vm_readv); CALL(process_vm_writev); CALL(process_madvise);
    CALL(pidfd_getfd); CALL(kcmp);
    TRY("mount", SYS_mount, "none", "/tmp", "tmpfs", 0, 0);
    TRY("umount2", SYS_umount2, "/tmp", MNT_DETACH);
    CALL(fsopen); CALL(fsmount); CALL(move_mount); CALL(open_tree); CALL(mount_setattr);
    TRY("pivot_root", SYS_pivot_root, ".", ".");
    TRY("chroot", SYS_chroot, ".");
    TRY("unshare", SYS_unshare, CLONE_NEWUSER);
    TRY("setns", SYS_setns, open("/proc/self/ns/user", O_RDONLY), 0);
    clone_into("clone(NEWUSER)", CLONE_NEWUSER);
    clone_into("clone(NEWNS)", CLONE_NEWNS);
    clone_into("clone(NEWNET)", CLONE_NEWNET);
    clone_into("clone(NEWPID)", CLONE_NEWPID);
    clone_into("clone(NEWIPC)", CLONE_NEWIPC);
    clone_into("clone(NEWUTS)", CLONE_NEWUTS);
    clone_into("clone(NEWCGROUP)", CLONE_NEWCGROUP);
    TRY("clone3", SYS_clone3, buffer, 64);
    CALL(name_to_handle_at); CALL(open_by_handle_at);
    CALL(kexec_load); CALL(kexec_file_load); CALL(init_module); CALL(finit_module);
    CALL(delete_module); CALL(reboot); CALL(swapon); CALL(acct); CALL(quotactl);
    CALL(syslog); CALL(clock_settime); CALL(settimeofday); CALL(adjtimex);
    TRY("sethostname", SYS_sethostname, "x", 1);
    CALL(fanotify_init); CALL(memfd_secret); CALL(io_setup); CALL(mbind); CALL(move_pages);
    TRY("socket(VSOCK)", SYS_socket, AF_VSOCK, SOCK_STREAM, 0);
    TRY("socket(ALG)", SYS_socket, AF_ALG, SOCK_SEQPACKET, 0);
    TRY("socket(PACKET)", SYS_socket, AF_PACKET, SOCK_RAW, 0);
    TRY("socket(NETLINK, AUDIT)", SYS_socket, AF_NETLINK, SOCK_RAW, 9);
    TRY("socket(NETLINK, NETFILTER)", SYS_socket, AF_NETLINK, SOCK_RAW, 12);
    TRY("socket(INET, SCTP)", SYS_socket, AF_INET, SOCK_STREAM, 132);
    TRY("socket(INET, ICMP)", SYS_socket, AF_INET, SOCK_DGRAM, 1);
    TRY("socket(BLUETOOTH)", SYS_socket, AF_BLUETOOTH, SOCK_RAW, 0);
    TRY("socket(TIPC)", SYS_socket, AF_TIPC, SOCK_STREAM, 0);
    TRY("socketpair(TIPC)", SYS_socketpair, AF_TIPC, SOCK_STREAM, 0, buffer);
    int flows = socket(AF_INET6, SOCK_DGRAM, 0);
    TRY("setsockopt(IPV6_FLOWLABEL_MGR)", SYS_setsockopt, flows, 41, 32, buffer, 32);
    TRY("setsockopt(the same, as the kernel reads it)", SYS_setsockopt, flows,
        0x100000029, 0x100000020, buffer, 32);
    TRY("shmget", SYS_shmget, 0, 4096, 01600);
    TRY("semget", SYS_semget, 0, 1, 01600);
    TRY("msgget", SYS_msgget, 0, 01600);
    TRY("mq_open", SYS_mq_open, "left", O_CREAT | O_RDWR, 0600, 0);
    TRY("personality(no randomisation)", SYS_personality, 0x0040000);
    TRY("a call of a kernel to come", 1000L);
#ifdef __x86_64__
    CALL(modify_ldt); CALL(iopl); CALL(ioperm); CALL(uselib); CALL(ustat); CALL(sysfs);
    in_child("int 0x80", thirty_two_bits);
    in_child("x32", x32);
#endif
    return 0;
}
