//! The receipt around a segment's seal, and the judgement of the stock verifier on it.

use risc0_circuit_rv32im::{
    CircuitImpl, HighLowU16, RV32IM_SEAL_VERSION, Rv32imV2Claim, TerminateState,
};
use risc0_zkp::adapter::CircuitInfo as _;
use risc0_zkvm::sha::Digestible as _;
use risc0_zkvm::{
    Digest, ExitCode, MaybePruned, Output, ReceiptClaim, SegmentReceipt,
    SegmentReceiptVerifierParameters, SystemState, VerifierContext,
};
use risc0_zkvm_platform::syscall::halt;

use super::error::SegmentError;
use super::witness::WitnessError;

/// The receipt of segment `index` around `seal`, which the stock verifier accepts. `output` opens the digest that the
/// seal commits to, where the segment is the last.
///
/// # Errors
/// [`SegmentError::Unverified`] when the verifier refuses it.
pub fn receipt(
    seal: Vec<u32>,
    index: u32,
    output: Option<Output>,
) -> Result<SegmentReceipt, SegmentError> {
    let unverified = |reason: String| SegmentError::Unverified { reason };
    // The version and the globals; what reads them does not look whether they are there.
    if seal.len() <= CircuitImpl::OUTPUT_SIZE {
        return Err(unverified(format!("a seal of {} words", seal.len())));
    }
    let mut receipt = blank();
    receipt.claim = claim(&seal, output).map_err(unverified)?;
    receipt.seal = seal;
    receipt.index = index;
    receipt.hashfn = "poseidon2".into();
    let parameters = SegmentReceiptVerifierParameters::default();
    receipt.verifier_parameters = parameters.digest();
    let context = VerifierContext::empty()
        .with_suites(VerifierContext::default_hash_suites())
        .with_segment_verifier_parameters(parameters);
    let checked = receipt.verify_integrity_with_context(&context);
    checked.map_err(|error| unverified(error.to_string()))?;
    Ok(receipt)
}

/// Whether there can be a receipt with this `output` around a proof whose globals are `globals`, the 90 words of
/// [`Witness::fill_data`](super::Witness::fill_data).
///
/// # Errors
/// When the globals are those of another output, or say that the guest ended as none can.
pub fn check_claim(globals: &[u32], output: Option<&Output>) -> Result<(), WitnessError> {
    let contradiction = |reason: String| WitnessError { reason };
    if globals.len() != CircuitImpl::OUTPUT_SIZE {
        return Err(contradiction(format!("{} globals", globals.len())));
    }
    let seal = [&[RV32IM_SEAL_VERSION], globals].concat();
    let shown = Rv32imV2Claim::decode(&seal);
    let shown = shown.map_err(|error| contradiction(format!("{error:#}")))?;
    exit_code(shown.terminate_state.as_ref()).map_err(contradiction)?;
    let said = MaybePruned::from(output.cloned()).digest();
    let shown = shown.output.unwrap_or_default();
    if said != shown {
        return Err(contradiction(format!("it says that its output is {said}, and has {shown}")));
    }
    Ok(())
}

/// What the seal's globals say, with the output opened.
fn claim(seal: &[u32], output: Option<Output>) -> Result<ReceiptClaim, String> {
    let claim = Rv32imV2Claim::decode(seal).map_err(|error| format!("{error:#}"))?;
    let exit_code = exit_code(claim.terminate_state.as_ref())?;
    // Nothing goes on from where a program has halted.
    let halted = matches!(exit_code, ExitCode::Halted(_));
    let post = if halted { Digest::ZERO } else { claim.post_state };
    let state = |merkle_root| MaybePruned::Value(SystemState { pc: 0, merkle_root });
    Ok(ReceiptClaim {
        pre: state(claim.pre_state),
        post: state(post),
        exit_code,
        input: MaybePruned::Pruned(claim.input),
        output: output.into(),
    })
}

fn exit_code(terminated: Option<&TerminateState>) -> Result<ExitCode, String> {
    let Some(TerminateState { a0: HighLowU16(user, kind), .. }) = terminated else {
        return Ok(ExitCode::SystemSplit);
    };
    match u32::from(*kind) {
        halt::TERMINATE => Ok(ExitCode::Halted((*user).into())),
        halt::PAUSE => Ok(ExitCode::Paused((*user).into())),
        other => Err(format!("there is no halt of kind {other}")),
    }
}

/// A receipt of nothing. The type cannot be constructed outside of its crate; its fields can be set.
fn blank() -> SegmentReceipt {
    let pruned = || MaybePruned::<()>::Pruned(Digest::ZERO);
    let claim = (pruned(), pruned(), ExitCode::Halted(0), pruned(), pruned());
    let fields = (Vec::<u32>::new(), 0_u32, "", Digest::ZERO, claim);
    let words = risc0_zkvm::serde::to_vec(&fields).expect("words take all that these fields are");
    risc0_zkvm::serde::from_slice(&words).expect("these are the fields of a receipt")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_receipts_exist() {
        assert!(blank().seal.is_empty());
    }

    #[test]
    fn exit_codes_are_those_of_the_termination() {
        let state =
            |user, kind| TerminateState { a0: HighLowU16(user, kind), a1: HighLowU16(0, 0) };
        assert_eq!(exit_code(None), Ok(ExitCode::SystemSplit));
        assert_eq!(exit_code(Some(&state(7, 0))), Ok(ExitCode::Halted(7)));
        assert_eq!(exit_code(Some(&state(8, 1))), Ok(ExitCode::Paused(8)));
        assert!(exit_code(Some(&state(0, 9))).is_err());
    }

    #[test]
    fn a_seal_that_proves_nothing_is_refused() {
        for seal in [vec![], vec![2], vec![0; 1000]] {
            assert!(matches!(receipt(seal, 0, None), Err(SegmentError::Unverified { .. })));
        }
    }
}
