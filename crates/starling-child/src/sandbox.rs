//! What a prover child may do to the machine that it runs on: compute.
//!
//! It is native code that works on strangers' bytes, in a process of the node's user. Inputs and results travel through its pipes,
//! so it needs no files. Before it reads the first input it gives up files, network, other programs and signals to others, for good
//! and for all of its threads. On Linux two mechanisms do that, since kernels differ in what they have: Landlock without any
//! rule, and a filter of system calls. Other systems have nothing that safe code can ask for.
//!
//! If somebody takes this code over, the sandbox keeps them from reading keys and from reaching the network. They can still use the
//! processor and answer falsely, which the parent's client checks.

#[cfg(target_os = "linux")]
mod calls;
#[cfg(target_os = "linux")]
mod linux;

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
