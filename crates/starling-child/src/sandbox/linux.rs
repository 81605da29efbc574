//! Both layers of the sandbox on Linux.

use std::collections::BTreeMap;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetError, RulesetStatus, Scope,
};
use libc::c_long;
use rustix::process::{Resource, Rlimit, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompFilter, SeccompRule, apply_filter_all_threads,
};

use super::calls::refused;

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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::sandbox::calls::{ALWAYS, ALWAYS_ON_THIS_ARCHITECTURE};

    #[test]
    fn the_filters_compile_and_no_call_stands_twice() {
        let calls = refused().unwrap();
        let conditional = 6;
        assert_eq!(calls.len(), ALWAYS.len() + ALWAYS_ON_THIS_ARCHITECTURE.len() + conditional);
        let program = filter(calls, libc::EPERM).unwrap();
        // What the kernel takes.
        assert!(program.len() < 4096, "{} instructions", program.len());
    }
}
