//! The last step to a Groth16 receipt: a succinct one is proved once more, over BN254, and that proof goes through RISC
//! Zero's Docker image, which is its only prover of Groth16.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use anyhow::{Context as _, bail};
use risc0_binfmt::Digestible as _;
use risc0_groth16::{ProofJson, Seal, prove::to_json};
use risc0_zkp::core::hash::sha::Impl as Sha256;
use risc0_zkvm::{Groth16Receipt, Groth16ReceiptVerifierParameters, InnerReceipt, Receipt};
use starling_fastprove::recursion::{HashFn, Options, Prover};
use thiserror::Error;

use crate::{panic, receipt::written_anew, verify::verifier_context};

/// RISC Zero's prover of Groth16: the image that its crate `risc0-groth16` of this release runs.
const IMAGE: &str = "risczero/risc0-groth16-prover:v2025-04-03.1";

/// The variable that names the folder which is shared with the container, where the usual one for temporary files can't be.
const WORK_DIR: &str = "RISC0_WORK_DIR";

/// The most characters that are shown of what Docker said.
const SAID_CHARS_MAX: usize = 400;

/// Why there is no Groth16 receipt.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Groth16Error {
    /// This machine cannot make one.
    #[error("a groth16 receipt cannot be made here: {}", missing.join("; "))]
    Unavailable {
        /// What is missing, each in a few words.
        missing: Vec<String>,
    },
    /// The prover failed.
    #[error("compressing to groth16 failed: {reason}")]
    Failed {
        /// What it said.
        reason: String,
    },
}

/// Whether this machine can make Groth16 receipts.
///
/// # Errors
/// Everything that is missing, not only the first.
pub fn check_support() -> Result<(), Groth16Error> {
    let mut missing = Vec::new();
    if !cfg!(target_arch = "x86_64") {
        missing.push(format!("the prover runs on x86-64 only, this is {}", std::env::consts::ARCH));
    }
    match docker(&["--version"]) {
        Err(reason) => missing.push(format!("docker is not installed ({reason})")),
        Ok(()) => {
            if let Err(reason) = docker(&["info", "--format", "{{.ServerVersion}}"]) {
                missing.push(format!("the docker daemon does not answer ({reason})"));
            }
        }
    }
    if missing.is_empty() { Ok(()) } else { Err(Groth16Error::Unavailable { missing }) }
}

fn docker(args: &[&str]) -> Result<(), String> {
    let output = Command::new("docker").args(args).stdin(Stdio::null()).output();
    let output = output.map_err(|error| error.to_string())?;
    if output.status.success() { Ok(()) } else { Err(said(&output)) }
}

/// The last of what Docker said: before that it tells how far it is with loading the image.
fn said(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = stderr.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let chars: Vec<char> = lines.join("; ").chars().collect();
    match &chars[chars.len().saturating_sub(SAID_CHARS_MAX)..] {
        [] => "no message".into(),
        last => last.iter().collect(),
    }
}

/// Compresses a succinct receipt. Takes minutes and several GiB; call it off the event loop.
///
/// # Errors
/// [`Groth16Error`] says what is missing on this machine, or what failed.
pub fn compress_groth16(receipt: &Receipt) -> Result<Receipt, Groth16Error> {
    check_support()?;
    // RISC Zero's side of it unwraps inside, so a panic is a failure like any other.
    panic::catch(|| compress(receipt))
        .map_err(|reason| Groth16Error::Failed { reason })?
        .map_err(|error| Groth16Error::Failed { reason: format!("{error:#}") })
}

fn compress(receipt: &Receipt) -> anyhow::Result<Receipt> {
    let InnerReceipt::Succinct(succinct) = &receipt.inner else {
        bail!("only a succinct receipt can be compressed to a groth16 one");
    };
    // It may come from anybody, through a host's program.
    let succinct = written_anew(succinct.clone())?;
    let prover = Prover::new(Options::default(), starling_programs::words, rand::random);
    let identity = prover.identity(&succinct, HashFn::Poseidon254)?;
    drop(prover);
    let seal: Vec<u8> = identity.seal.iter().flat_map(|word| word.to_le_bytes()).collect();
    let seal = wrap(&seal, Path::new("docker"))?.to_vec();
    let parameters = Groth16ReceiptVerifierParameters::default().digest::<Sha256>();
    let groth16 = Groth16Receipt::new(seal, succinct.claim, parameters);
    let receipt = Receipt::new(InnerReceipt::Groth16(groth16), receipt.journal.bytes.clone());
    let verified = receipt.verify_integrity_with_context(&verifier_context());
    verified.context("the finished groth16 receipt does not verify")?;
    Ok(receipt)
}

/// Has the container prove that `seal`, over BN254, verifies. RISC Zero's own call of it says an exit code and not why.
fn wrap(seal: &[u8], docker: &Path) -> anyhow::Result<Seal> {
    let folder = tempfile::tempdir().context("can't make a folder for the container")?;
    let shared = env::var_os(WORK_DIR).map_or_else(|| folder.path().to_owned(), PathBuf::from);
    // Of an earlier run, where the folder is not ours alone.
    let _ = fs::remove_file(shared.join("proof.json"));
    fs::write(shared.join("input.json"), to_json(seal)?).context("can't write its input")?;
    let mut volume = shared.clone().into_os_string();
    volume.push(":/mnt");
    let run = Command::new(docker)
        .args(["run", "--rm", "-v"])
        .arg(volume)
        .arg(IMAGE)
        .stdin(Stdio::null())
        .output();
    let output = run.context("docker can't be run")?;
    if !output.status.success() {
        bail!("docker run {IMAGE} {}: {}", ended(&output), said(&output));
    }
    let proof = fs::read(shared.join("proof.json")).context("the container left no proof")?;
    let proof: ProofJson = serde_json::from_slice(&proof).context("what the container left")?;
    proof.try_into()
}

/// How a container ended, and what that usually means.
fn ended(output: &Output) -> String {
    let meaning = match output.status.code() {
        Some(125) => "Docker could not start it",
        Some(126 | 127) => "its program could not be started",
        Some(137) => "it was killed, usually for lack of memory",
        _ => return format!("ended with {}", output.status),
    };
    format!("ended with {} ({meaning})", output.status)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A program in the place of Docker that says this and ends with this code.
    #[cfg(unix)]
    fn docker_that(folder: &Path, says: &str, code: i32) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = folder.join(format!("docker-{code}"));
        fs::write(&path, format!("#!/bin/sh\nprintf '{says}' >&2\nexit {code}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[cfg(unix)]
    #[test]
    fn what_docker_says_is_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        // As many words as the prover's own circuit has, which prove nothing.
        let seal: Vec<u8> = vec![0; 4 * 55_667];
        let wrapped = |says: &str, code| {
            let docker = docker_that(folder.path(), says, code);
            format!("{:#}", wrap(&seal, &docker).unwrap_err())
        };
        let denied = wrapped("Pulling\\n\\ndocker: permission denied.\\n", 126);
        assert!(denied.contains("exit status: 126 (its program could not be started)"), "{denied}");
        assert!(denied.ends_with(": Pulling; docker: permission denied."), "{denied}");
        assert!(wrapped("", 137).ends_with("usually for lack of memory): no message"));
        let long = wrapped(&format!("{}end", "x".repeat(2000)), 1);
        assert!(long.ends_with("xend") && long.len() < 600, "{}", long.len());
        assert!(wrapped("", 0).starts_with("the container left no proof"));
        let absent = wrap(&seal, &folder.path().join("absent")).unwrap_err();
        assert!(format!("{absent:#}").starts_with("docker can't be run: No such file"));
    }

    #[test]
    fn what_is_missing_is_named_together() {
        let missing = vec!["docker is not installed".into(), "this is aarch64".into()];
        let shown = Groth16Error::Unavailable { missing }.to_string();
        assert!(shown.ends_with("docker is not installed; this is aarch64"), "{shown}");
    }
}
