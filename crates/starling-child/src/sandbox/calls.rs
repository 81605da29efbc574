//! The system calls that a prover is refused (Linux).
//!
//! Refused is what has a name for something of the machine: a file, an address, another process, a queue. What works on what a
//! process has already, its memory, threads and pipes, stays allowed, so that a runtime may do what it likes.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompRule};

/// The calls that are refused: always, or where a rule says so.
pub(super) fn refused() -> Result<BTreeMap<c_long, Vec<SeccompRule>>, seccompiler::BackendError> {
    let always = ALWAYS.iter().chain(ALWAYS_ON_THIS_ARCHITECTURE);
    let mut calls: BTreeMap<c_long, Vec<SeccompRule>> =
        always.map(|&call| (call, Vec::new())).collect();
    let this_process = u64::from(std::process::id());
    let unless = |argument: u8, value: u64| {
        let length = SeccompCmpArgLen::Dword;
        SeccompCondition::new(argument, length, SeccompCmpOp::Ne, value)
    };
    // Threads, but no processes.
    let thread = libc::CLONE_THREAD as u64;
    let no_thread =
        SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(thread), 0)?;
    calls.insert(libc::SYS_clone, vec![SeccompRule::new(vec![no_thread])?]);
    // Aborting is a signal to oneself.
    for call in [libc::SYS_kill, libc::SYS_tgkill] {
        calls.insert(call, vec![SeccompRule::new(vec![unless(0, this_process)?])?]);
    }
    let others = vec![unless(0, 0)?, unless(0, this_process)?];
    calls.insert(libc::SYS_prlimit64, vec![SeccompRule::new(others)?]);
    for (call, orders) in
        [(libc::SYS_fcntl, &OWNER_ORDERS[..]), (libc::SYS_ioctl, &TERMINAL_ORDERS[..])]
    {
        let is = |order| SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, order);
        let rules = orders.iter().map(|&order| SeccompRule::new(vec![is(order)?]));
        calls.insert(call, rules.collect::<Result<_, _>>()?);
    }
    Ok(calls)
}

/// Orders of `fcntl` by which the kernel is made to signal another process when a pipe is ready: who gets the signal
/// (`F_SETOWN`, `F_SETOWN_EX`), and which it is (`F_SETSIG`).
const OWNER_ORDERS: [u64; 3] = [8, 15, 10];

/// The same of `ioctl` (`FIOSETOWN`, `SIOCSPGRP`), and those that type into a terminal (`TIOCSTI`, `TIOCLINUX`).
const TERMINAL_ORDERS: [u64; 4] = [0x8901, 0x8902, 0x5412, 0x541c];

/// Newer than some of the libraries that have its name; the number is the same on all architectures.
const FCHMODAT2: c_long = 452;

pub(super) const ALWAYS: &[c_long] = &[
    // Files by name.
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_mkdirat,
    libc::SYS_mknodat,
    libc::SYS_unlinkat,
    libc::SYS_renameat2,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_fchmodat,
    FCHMODAT2,
    libc::SYS_fchownat,
    libc::SYS_fchmod,
    libc::SYS_fchown,
    libc::SYS_truncate,
    libc::SYS_ftruncate,
    libc::SYS_utimensat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    libc::SYS_chdir,
    libc::SYS_fchdir,
    libc::SYS_memfd_create,
    libc::SYS_inotify_init1,
    libc::SYS_fanotify_init,
    // The network, and sockets of every other kind.
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
    // Other programs and processes.
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_tkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_process_mrelease,
    libc::SYS_get_robust_list,
    libc::SYS_setpriority,
    libc::SYS_ioprio_set,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_setscheduler,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setattr,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
    libc::SYS_setpgid,
    libc::SYS_setsid,
    // Memory and queues that are shared with others, whose numbers can be guessed.
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_msgget,
    libc::SYS_msgsnd,
    libc::SYS_msgrcv,
    libc::SYS_msgctl,
    libc::SYS_semget,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_semctl,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
    // The machine, and ways around this filter.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_mount_setattr,
    libc::SYS_fspick,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_userfaultfd,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_reboot,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    libc::SYS_personality,
    libc::SYS_acct,
    libc::SYS_syslog,
];

/// Calls that only x86-64 has: others make do with those that take a directory.
#[cfg(target_arch = "x86_64")]
pub(super) const ALWAYS_ON_THIS_ARCHITECTURE: &[c_long] = &[
    libc::SYS_open,
    libc::SYS_creat,
    libc::SYS_mkdir,
    libc::SYS_mknod,
    libc::SYS_rmdir,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_link,
    libc::SYS_symlink,
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_futimesat,
    libc::SYS_inotify_init,
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_ioperm,
    libc::SYS_iopl,
];
#[cfg(not(target_arch = "x86_64"))]
pub(super) const ALWAYS_ON_THIS_ARCHITECTURE: &[c_long] = &[];
