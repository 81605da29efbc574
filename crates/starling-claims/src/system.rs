//! What this proof system is called.
//!
//! Two releases prove for each other if circuits, recursion programs and our own encodings are the same, even if their crates have
//! other versions. So the name consists of the root over all recursion programs and the number of the encodings. Tests
//! pin everything else in which a change of circuits shows, so that no new version of a crate changes the system unseen.

use std::sync::LazyLock;

use risc0_zkvm::ALLOWED_CONTROL_ROOT;
use starling_types::SystemName;

/// The number of our encodings: of segments and keccak requests as blobs, of receipts as blobs, and of a task's
/// [arguments](crate::TaskArguments). It goes up when one of them changes.
pub const ENCODINGS: u32 = 2;

/// The hex digits of the control root in the name: enough to tell all releases apart.
const ROOT_DIGITS: usize = 8;

/// The system as peers name it to each other, and as job requests keep it: `risc0/a54dc85a/2`.
pub fn zkvm() -> SystemName {
    static NAME: LazyLock<SystemName> = LazyLock::new(|| {
        let root = ALLOWED_CONTROL_ROOT.to_string();
        SystemName::new(format!("risc0/{}/{ENCODINGS}", &root[..ROOT_DIGITS]))
    });
    NAME.clone()
}

#[cfg(test)]
mod tests {
    use risc0_circuit_keccak::KECCAK_CONTROL_ROOT;
    use risc0_circuit_rv32im::RV32IM_SEAL_VERSION;
    use risc0_zkvm::{
        Groth16ReceiptVerifierParameters, SegmentReceiptVerifierParameters,
        SuccinctReceiptVerifierParameters, sha::Digestible as _,
    };

    use super::*;
    use crate::verify::verifier_context;

    #[test]
    fn the_name_says_what_decides_whether_two_releases_agree() {
        assert_eq!(zkvm().as_str(), "risc0/a54dc85a/2");
    }

    /// Should one of these differ after an update, then receipts of before don't verify any more, or those of now not
    /// elsewhere: that is another system, to stand beside this one and not in its place.
    #[test]
    fn the_system_is_the_one_that_its_name_was_given_to() {
        let composite = verifier_context().composite_verifier_parameters();
        let pins = [
            (
                "control root",
                ALLOWED_CONTROL_ROOT,
                "a54dc85ac99f851c92d7c96d7318af41dbe7c0194edfcc37eb4d422a998c1f56",
            ),
            (
                "keccak control root",
                KECCAK_CONTROL_ROOT,
                "abd93866a6878528f29ffc6ea6d9e428cc9ad020a540dd11f1d45e5e9bb6db71",
            ),
            (
                "segment",
                SegmentReceiptVerifierParameters::default().digest(),
                "e7300130165ebe00f68f9301530de9d068d6f6c06f1c17817a5f7d64ce6c635d",
            ),
            (
                "succinct",
                SuccinctReceiptVerifierParameters::default().digest(),
                "ece5e9b8ae2cd6ea6b1827b464ff0348f9a7f4decd269c0087fdfd75098da013",
            ),
            (
                "groth16",
                Groth16ReceiptVerifierParameters::default().digest(),
                "73c457ba541936f0d907daf0c7253a39a9c5c427c225ba7709e44702d3c6eedc",
            ),
            (
                "composite",
                composite.expect("the context has all").digest(),
                "4bce006e0858edf3a3726987c0b1b6258224c000971e451bc9c05cfec086a84b",
            ),
        ];
        for (what, actual, pinned) in pins {
            assert_eq!(actual.to_string(), pinned, "{what}");
        }
        assert_eq!(RV32IM_SEAL_VERSION, 2);
    }
}
