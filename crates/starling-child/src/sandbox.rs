//! What a prover child may do to the machine that it runs on: compute.
//!
//! It is native code that works on strangers' bytes, in a process of the node's user. Inputs and results travel through its pipes,
//! so it needs no files. Before it reads the first input it gives up files, network, other programs and signals to others, for good
//! and for all of its threads. On Linux two mechanisms do that, since kernels differ in what they have: Landlock without any
//! rule, and a filter of system calls. Other systems have nothing that safe code can ask for.
//!
//! If somebody takes this code over, the sandbox keeps them from reading keys and from reaching the network. They can still use the
//! processor and answer falsely, which the parent's client checks.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How much a sandbox matters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SandboxPolicy {
    /// No prover without all of it.
    Require,
    /// As much of it as there is.
    #[default]
    Try,
    /// None: to debug a prover.
    Off,
}

impl SandboxPolicy {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Require, Self::Try, Self::Off];

    /// Its word on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Require => "require",
            Self::Try => "try",
            Self::Off => "off",
        }
    }
}

impl fmt::Display for SandboxPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SandboxPolicy {
    type Err = ParseSandboxPolicyError;

    fn from_str(text: &str) -> Result<Self, ParseSandboxPolicyError> {
        Self::ALL.into_iter().find(|policy| policy.name() == text).ok_or(ParseSandboxPolicyError)
    }
}

/// A word that is no [`SandboxPolicy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("it is one of require, try, off")]
pub struct ParseSandboxPolicyError;

/// How much of a sandbox a prover is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sandbox {
    /// All of it.
    Full,
    /// Some of it.
    Partial {
        /// What there is not, and why.
        missing: String,
    },
    /// Nothing of it.
    None {
        /// Why.
        why: String,
    },
}

impl fmt::Display for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("full"),
            Self::Partial { missing } => write!(f, "partial: {missing}"),
            Self::None { why } => write!(f, "none: {why}"),
        }
    }
}

/// There is no whole sandbox here, and one is required.
#[derive(Debug, Error)]
#[error("this machine has no whole sandbox for provers, and one is required: {0}")]
pub struct SandboxError(Sandbox);

/// Gives up what a prover does not need. All threads of the process are concerned, those that are started later included.
///
/// # Errors
/// When less is given up than `policy` asks for; what is given up stays so.
pub(crate) fn enter(policy: SandboxPolicy) -> Result<Sandbox, SandboxError> {
    let sandbox = match policy {
        SandboxPolicy::Off => Sandbox::None { why: "it is switched off".into() },
        SandboxPolicy::Try | SandboxPolicy::Require => restrict(),
    };
    match policy {
        SandboxPolicy::Require if sandbox != Sandbox::Full => Err(SandboxError(sandbox)),
        _ => Ok(sandbox),
    }
}

#[cfg(not(target_os = "linux"))]
fn restrict() -> Sandbox {
    Sandbox::None { why: format!("there is none for {}", std::env::consts::OS) }
}

#[cfg(target_os = "linux")]
fn restrict() -> Sandbox {
    match (linux::close_files(), linux::filter_calls()) {
        (Ok(()), Ok(())) => Sandbox::Full,
        (Err(missing), Ok(())) | (Ok(()), Err(missing)) => Sandbox::Partial { missing },
        (Err(files), Err(calls)) => Sandbox::None { why: format!("{files}; {calls}") },
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeMap;

    use landlock::{
        ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset,
        RulesetAttr as _, RulesetError, RulesetStatus, Scope,
    };
    use libc::c_long;
    use rustix::process::{Resource, Rlimit, setrlimit};
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
        SeccompRule, apply_filter_all_threads,
    };

    /// The newest rights that are handled. What an older kernel does not know, the filter of calls covers.
    const RIGHTS: ABI = ABI::V6;

    /// Pipes, what is open already, and room for what a runtime opens for itself.
    const OPEN_FILES_MAX: u64 = 64;

    /// No file, no connection, no signal to others: a set of rules that handles everything and allows nothing.
    pub(super) fn close_files() -> Result<(), String> {
        let restrict = || -> Result<RulesetStatus, RulesetError> {
            let status = Ruleset::default()
                .set_compatibility(CompatLevel::BestEffort)
                .handle_access(AccessFs::from_all(RIGHTS))?
                .handle_access(AccessNet::from_all(RIGHTS))?
                .scope(Scope::from_all(RIGHTS))?
                .create()?
                .restrict_self()?;
            Ok(status.ruleset)
        };
        match restrict() {
            Ok(RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced) => Ok(()),
            Ok(RulesetStatus::NotEnforced) => Err("this kernel has no Landlock".into()),
            Err(error) => Err(format!("Landlock: {error}")),
        }
    }

    /// Refuses system calls that open, connect, start or reach something; and what slips through finds no file to write.
    pub(super) fn filter_calls() -> Result<(), String> {
        let failed = |error: &dyn std::fmt::Display| format!("filter of system calls: {error}");
        for (resource, most) in
            [(Resource::Core, 0), (Resource::Fsize, 0), (Resource::Nofile, OPEN_FILES_MAX)]
        {
            let limit = Rlimit { current: Some(most), maximum: Some(most) };
            setrlimit(resource, limit).map_err(|error| failed(&error))?;
        }
        let all = || -> Result<[BpfProgram; 2], seccompiler::BackendError> {
            // `clone3` takes its flags from memory, where no filter looks: libraries fall back to `clone`.
            let clone3 = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
            Ok([filter(refused()?, libc::EPERM)?, filter(clone3, libc::ENOSYS)?])
        };
        for program in all().map_err(|error| failed(&error))? {
            apply_filter_all_threads(&program).map_err(|error| failed(&error))?;
        }
        Ok(())
    }

    fn filter(
        calls: BTreeMap<c_long, Vec<SeccompRule>>,
        errno: i32,
    ) -> Result<BpfProgram, seccompiler::BackendError> {
        let refuse = SeccompAction::Errno(errno as u32);
        let architecture = std::env::consts::ARCH.try_into()?;
        SeccompFilter::new(calls, SeccompAction::Allow, refuse, architecture)?.try_into()
    }

    /// The calls that are refused: always, or where a rule says so.
    fn refused() -> Result<BTreeMap<c_long, Vec<SeccompRule>>, seccompiler::BackendError> {
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
        Ok(calls)
    }

    const ALWAYS: &[c_long] = &[
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
        libc::SYS_setpgid,
        libc::SYS_setsid,
        // Memory that is shared with others.
        libc::SYS_shmget,
        libc::SYS_shmat,
        libc::SYS_msgget,
        libc::SYS_semget,
        libc::SYS_mq_open,
        // The machine, and ways around this filter.
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_move_mount,
        libc::SYS_open_tree,
        libc::SYS_fsopen,
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
        libc::SYS_swapon,
        libc::SYS_swapoff,
        libc::SYS_reboot,
        libc::SYS_settimeofday,
        libc::SYS_clock_settime,
        libc::SYS_adjtimex,
        libc::SYS_clock_adjtime,
        libc::SYS_personality,
        libc::SYS_acct,
        libc::SYS_syslog,
    ];

    /// Calls that only x86-64 has: others make do with those that take a directory.
    #[cfg(target_arch = "x86_64")]
    const ALWAYS_ON_THIS_ARCHITECTURE: &[c_long] = &[
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
    const ALWAYS_ON_THIS_ARCHITECTURE: &[c_long] = &[];

    #[cfg(test)]
    #[allow(clippy::unwrap_used)]
    mod tests {
        use super::*;

        #[test]
        fn the_filters_compile_and_no_call_stands_twice() {
            let calls = refused().unwrap();
            let conditional = 4;
            assert_eq!(calls.len(), ALWAYS.len() + ALWAYS_ON_THIS_ARCHITECTURE.len() + conditional);
            let program = filter(calls, libc::EPERM).unwrap();
            // What the kernel takes.
            assert!(program.len() < 4096, "{} instructions", program.len());
        }
    }
}
