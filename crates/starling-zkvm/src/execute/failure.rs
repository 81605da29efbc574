//! Why an execution failed, told apart once, here, by the types of errors; RISC Zero's own are texts and panics.

use risc0_zkvm::Digest;
use starling_types::Po2;
use thiserror::Error;

use super::{
    fault::GuestFault,
    output::{JOURNAL_BYTES_MAX, Journal},
};
use crate::{
    CodecError, SEGMENT_PO2_MAX, SEGMENT_PO2_MIN,
    machine::{Fault, OverLimit},
};

/// The error of the receiver of what is to be proved.
pub type SinkError = Box<dyn std::error::Error + Send + Sync>;

/// The most characters of a guest's panic message that are kept.
const GUEST_MESSAGE_CHARS_MAX: usize = 4000;

/// From this po2 up a segment has room for any guest. At po2 15 the reserve for long instructions
/// (25,000 cycles) leaves almost nothing, so it is worse than 14 and never a good advice.
const ROOMY_PO2_MIN: u32 = 16;

/// Why a guest did not run to its end.
#[derive(Debug, Error)]
pub enum ExecuteError {
    /// The segment size is outside of what can be proved and lifted.
    #[error(
        "segment po2 {po2} is out of range: only {SEGMENT_PO2_MIN} to {SEGMENT_PO2_MAX} can be proved and lifted"
    )]
    Po2OutOfRange {
        /// The po2 asked for.
        po2: u32,
    },
    /// The guest did not load.
    #[error("the guest cannot be set up: {reason}")]
    Setup {
        /// What the loader said.
        reason: String,
    },
    /// One instruction of the guest needs more room than a segment keeps free.
    #[error("segments of 2^{po2} cycles are too small for this guest{}", larger(*roomy))]
    SegmentLimitTooSmall {
        /// The po2 in use.
        po2: u32,
        /// A larger one that leaves room; none can be proved where there is none.
        roomy: Option<u32>,
    },
    /// The guest panicked: a failure of the program or of its input.
    #[error("the guest panicked: {message}{}", hint.map(|hint| format!("; {hint}")).unwrap_or_default())]
    GuestPanicked {
        /// The guest's own message.
        message: String,
        /// What the message suggests, where it is a known one.
        hint: Option<&'static str>,
        /// Whether that is that its input is not what it expects.
        suspects_input: bool,
    },
    /// The guest ran into the limit set for it.
    #[error("the guest did not end within {limit} user cycles")]
    CycleLimit {
        /// The limit in user cycles.
        limit: u64,
    },
    /// The guest committed more than a journal holds.
    #[error(
        "the guest's journal is larger than {JOURNAL_BYTES_MAX} bytes; commit a digest instead"
    )]
    JournalTooLarge,
    /// The guest verifies a receipt that nobody gave.
    #[error(
        "the guest verifies a receipt that was not given: {}",
        describe(claim, control_root, image_id.as_ref())
    )]
    UnknownAssumption {
        /// The digest of the claim that it takes for true.
        claim: Digest,
        /// The root of the programs that a proof of it must come from; zero for an ordinary receipt.
        control_root: Digest,
        /// The program in that claim, where the guest's memory still shows it.
        image_id: Option<Digest>,
    },
    /// The guest asks for more of something than is proved for one execution.
    #[error("the guest asks for more than {limit} {what}; split its work into several executions")]
    TooMany {
        /// What it asks for.
        what: &'static str,
        /// The most of it.
        limit: usize,
    },
    /// The guest did something that the machine does not do: an illegal instruction, a stray access.
    #[error("the guest faulted {0}")]
    Faulted(GuestFault),
    /// The guest asked its host for something that it does not do.
    #[error("the guest faulted: {reason}")]
    GuestFault {
        /// What the executor said.
        reason: String,
    },
    /// The executor itself failed.
    #[error("the executor failed: {message}; this is a fault of the zkVM, please report the guest")]
    ExecutorPanicked {
        /// What the panic said.
        message: String,
    },
    /// A segment or a keccak request could not be encoded.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The receiver of what is to be proved failed.
    #[error("can't hand on a part of the execution: {0}")]
    Sink(#[source] SinkError),
    /// The execution was cancelled.
    #[error("the execution was cancelled")]
    Cancelled,
}

/// What a guest says when it panics: how an answer to its call ends the execution.
#[derive(Debug, Error)]
#[error("Guest panicked: {0}")]
pub(super) struct GuestPanic(pub(super) String);

/// Tells apart the errors that the executor returns. `function_at` is the function of the guest at an address.
pub(super) fn classify(
    error: &anyhow::Error,
    refused: Option<ExecuteError>,
    journal: &Journal,
    function_at: impl Fn(u32) -> Option<String>,
) -> ExecuteError {
    if let Some(refused) = refused {
        return refused;
    }
    if journal.overflowed() {
        return ExecuteError::JournalTooLarge;
    }
    if let Some(GuestPanic(message)) = error.downcast_ref() {
        let (hint, suspects_input) = suspicion(message);
        let message = message.trim().chars().take(GUEST_MESSAGE_CHARS_MAX).collect();
        return ExecuteError::GuestPanicked { message, hint, suspects_input };
    }
    if let Some(OverLimit(limit)) = error.downcast_ref() {
        return ExecuteError::CycleLimit { limit: *limit };
    }
    if let Some(fault) = error.downcast_ref::<Fault>() {
        return ExecuteError::Faulted(GuestFault::new(*fault, function_at));
    }
    ExecuteError::GuestFault { reason: format!("{error:#}") }
}

/// Tells apart the panics of the executor.
pub(super) fn classify_panic(message: String, po2: Po2) -> ExecuteError {
    if message.contains("segment limit (") {
        too_small(po2)
    } else {
        ExecuteError::ExecutorPanicked { message }
    }
}

/// One instruction that takes more rows than a segment has.
pub(super) fn too_small(po2: Po2) -> ExecuteError {
    let po2 = po2.get();
    let roomy = (po2 < SEGMENT_PO2_MAX).then(|| (po2 + 1).max(ROOMY_PO2_MIN));
    ExecuteError::SegmentLimitTooSmall { po2, roomy }
}

/// Whether a larger segment would do.
fn larger(roomy: Option<u32>) -> String {
    match roomy {
        Some(po2) => format!(", 2^{po2} may do"),
        None => {
            "; no larger segment can be proved: the guest touches too much memory at once".into()
        }
    }
}

/// A missing receipt, as well as it is known.
fn describe(claim: &Digest, control_root: &Digest, image_id: Option<&Digest>) -> String {
    let program = image_id.map(|id| format!("of image id {id}, ")).unwrap_or_default();
    let ordinary = *control_root == Digest::ZERO;
    let root = if ordinary { String::new() } else { format!(" under control root {control_root}") };
    format!("{program}with claim {claim}{root}")
}

/// What the panics of well-known readers mean, and whether that is that the input is wrong.
fn suspicion(message: &str) -> (Option<&'static str>, bool) {
    const SHORT: [&str; 4] = [
        "DeserializeUnexpectedEnd",
        "UnexpectedEof",
        "failed to fill whole buffer",
        "unexpected end of",
    ];
    const MALFORMED: [&str; 3] = ["DeserializeBad", "invalid digit", "InvalidUtf8"];
    if SHORT.iter().any(|known| message.contains(known)) {
        (Some("the input ends before the guest has read what it expects"), true)
    } else if MALFORMED.iter().any(|known| message.contains(known)) {
        (Some("the input is not in the form that the guest expects"), true)
    } else if message.contains("Out of memory") || message.contains("memory allocation of") {
        (Some("the guest ran out of the zkVM's memory (3 GiB)"), false)
    } else {
        (None, false)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::machine::Cause;

    fn classified(error: impl Into<anyhow::Error>) -> ExecuteError {
        classify(&error.into(), None, &Journal::default(), |_| None)
    }

    #[test]
    fn a_panic_about_missing_input_gets_the_hint() {
        let text = "panicked at src/main.rs:9:41:\ncalled `Result::unwrap()` on an `Err` value: \
                    DeserializeUnexpectedEnd";
        let error = classified(GuestPanic(text.into()));
        let shown = error.to_string();
        assert!(shown.contains("panicked at src/main.rs:9:41"), "{shown}");
        assert!(shown.contains("the input ends before"), "{shown}");
        assert!(matches!(error, ExecuteError::GuestPanicked { suspects_input: true, .. }));
    }

    #[test]
    fn a_missing_receipt_is_named_by_its_program_where_it_is_known() {
        let unknown = |control_root, image_id| ExecuteError::UnknownAssumption {
            claim: Digest::from([1; 8]),
            control_root,
            image_id,
        };
        let word = |word: &str| word.repeat(8);
        let shown = unknown(Digest::ZERO, Some(Digest::from([2; 8]))).to_string();
        let expected = format!(
            "the guest verifies a receipt that was not given: of image id {}, with claim {}",
            word("02000000"),
            word("01000000")
        );
        assert_eq!(shown, expected);
        let shown = unknown(Digest::from([3; 8]), None).to_string();
        assert!(shown.contains(&format!("under control root {}", word("03000000"))), "{shown}");
        assert!(!shown.contains("image id"), "{shown}");
    }

    #[test]
    fn what_a_guest_says_is_no_limit_and_no_panic_of_its_own() {
        let error = classified(OverLimit(100));
        assert_eq!(error.to_string(), "the guest did not end within 100 user cycles");
        // A name of a call, for one, is the guest's own text.
        for text in ["Unknown syscall: \"Guest panicked: x\"", "Session limit exceeded: 1 >= 1"] {
            let error = classify(&anyhow::anyhow!(text), None, &Journal::default(), |_| None);
            assert!(matches!(error, ExecuteError::GuestFault { .. }), "{error}");
        }
    }

    #[test]
    fn a_fault_is_known_through_what_is_said_around_it() {
        let cause = Cause::Breakpoint;
        let fault = Fault { pc: 4, in_kernel: false, stack_pointer: 0, cause };
        let error = anyhow::Error::from(fault).context("while it ran");
        let error = classify(&error, None, &Journal::default(), |_| Some("f".into()));
        assert!(
            error.to_string().starts_with("the guest faulted in f, at pc 0x00000004: a breakpoint")
        );
    }

    #[test]
    fn a_too_small_segment_names_the_next_po2() {
        let text = "segment limit (16384) too small for instruction at pc: 0x00200800";
        let error = classify_panic(text.into(), Po2::try_from(14).unwrap());
        assert!(matches!(error, ExecuteError::SegmentLimitTooSmall { po2: 14, roomy: Some(16) }));
        assert!(error.to_string().ends_with("2^16 may do"), "{error}");
        let error = classify_panic("index out of bounds".into(), Po2::try_from(14).unwrap());
        assert!(matches!(error, ExecuteError::ExecutorPanicked { .. }));
    }
}
