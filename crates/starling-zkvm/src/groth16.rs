//! The last step to a Groth16 receipt: a succinct one is proved once more, over BN254, and that proof goes through RISC
//! Zero's Docker image, which is its only prover of Groth16.

use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use risc0_binfmt::Digestible as _;
use risc0_zkp::core::hash::sha::Impl as Sha256;
use risc0_zkvm::{Groth16Receipt, Groth16ReceiptVerifierParameters, InnerReceipt, Receipt};
use starling_fastprove::recursion::{HashFn, Options, Prover};
use thiserror::Error;

use crate::{panic, verify::verifier_context};

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
    let output = Command::new("docker")
        .args(args)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(stderr.lines().next().unwrap_or("no message").chars().take(200).collect())
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
    let prover = Prover::new(Options::default(), starling_programs::words, rand::random);
    let identity = prover.identity(succinct, HashFn::Poseidon254)?;
    drop(prover);
    let seal: Vec<u8> = identity.seal.iter().flat_map(|word| word.to_le_bytes()).collect();
    let seal = risc0_groth16::prove::shrink_wrap(&seal)?.to_vec();
    let parameters = Groth16ReceiptVerifierParameters::default().digest::<Sha256>();
    let groth16 = Groth16Receipt::new(seal, succinct.claim.clone(), parameters);
    let receipt = Receipt::new(InnerReceipt::Groth16(groth16), receipt.journal.bytes.clone());
    let verified = receipt.verify_integrity_with_context(&verifier_context());
    verified.context("the finished groth16 receipt does not verify")?;
    Ok(receipt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_together() {
        let missing = vec!["docker is not installed".into(), "this is aarch64".into()];
        let shown = Groth16Error::Unavailable { missing }.to_string();
        assert!(shown.ends_with("docker is not installed; this is aarch64"), "{shown}");
    }
}
