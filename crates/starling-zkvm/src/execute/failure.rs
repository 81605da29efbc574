//! Why an execution failed, told apart once, here: RISC Zero reports by text and by panic.

use starling_types::Po2;
use thiserror::Error;

use super::output::{JOURNAL_BYTES_MAX, Journal};
use crate::{CodecError, SEGMENT_PO2_MAX, SEGMENT_PO2_MIN};

/// The error of whoever receives the segments.
pub type SinkError = Box<dyn std::error::Error + Send + Sync>;

/// The most characters of a guest's panic message that are kept.
const GUEST_MESSAGE_CHARS_MAX: usize = 4000;

/// From this po2 up a segment has room for any guest. At po2 15 the reserve for long instructions
/// (25,000 cycles) leaves almost nothing, so it is worse than 14 and never a good advice.
const ROOMY_PO2_MIN: u32 = 16;

/// A feature of RISC Zero that a guest used and that cannot be proved here yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unsupported {
    /// `env::verify` and its kin.
    #[error("the guest verifies another receipt (env::verify): assumptions are not supported yet")]
    Assumptions,
    /// The keccak accelerator.
    #[error(
        "the guest uses the keccak accelerator, which is not supported yet; build it without the accelerated keccak crate"
    )]
    Keccak,
}

/// Why a guest did not run to its end.
#[derive(Debug, Error)]
pub enum ExecuteError {
    /// The segment size is outside of what can be proved and lifted.
    #[error(
        "segment po2 {po2} is out of range: {SEGMENT_PO2_MIN} to {SEGMENT_PO2_MAX} can be proved and lifted"
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
    #[error("segments of 2^{po2} cycles are too small for this guest; {hint}")]
    SegmentLimitTooSmall {
        /// The po2 in use.
        po2: u32,
        /// What to change.
        hint: String,
    },
    /// The guest panicked: a failure of the program or of its input.
    #[error("the guest panicked: {message}{}", hint.map(|hint| format!("; {hint}")).unwrap_or_default())]
    GuestPanicked {
        /// The guest's own message.
        message: String,
        /// What the message suggests, where it is a known one.
        hint: Option<&'static str>,
    },
    /// The guest ran into the limit set for it.
    #[error(
        "the guest did not end within {limit} cycles; raise --cycle-limit if it should run longer"
    )]
    CycleLimit {
        /// The limit in user cycles.
        limit: u64,
    },
    /// The guest committed more than a journal holds.
    #[error(
        "the guest's journal is larger than {JOURNAL_BYTES_MAX} bytes; commit a digest instead"
    )]
    JournalTooLarge,
    /// The guest used something that cannot be proved here yet.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// The guest did something that the machine does not do: an illegal instruction, a stray access.
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
    /// A segment could not be encoded.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// Whoever receives the segments failed.
    #[error("a segment could not be handed on: {0}")]
    Sink(#[source] SinkError),
    /// The execution was cancelled.
    #[error("the execution was cancelled")]
    Cancelled,
}

/// Tells apart the errors that the executor returns.
pub(super) fn classify(
    text: &str,
    refused: Option<Unsupported>,
    journal: &Journal,
    cycle_limit: Option<u64>,
) -> ExecuteError {
    if let Some(unsupported) = refused {
        return unsupported.into();
    }
    if journal.overflowed() {
        return ExecuteError::JournalTooLarge;
    }
    if let Some((_, message)) = text.split_once("Guest panicked: ") {
        return ExecuteError::GuestPanicked {
            message: message.trim().chars().take(GUEST_MESSAGE_CHARS_MAX).collect(),
            hint: hint_for(message),
        };
    }
    match cycle_limit {
        Some(limit) if text.contains("Session limit exceeded") => {
            ExecuteError::CycleLimit { limit }
        }
        _ => ExecuteError::GuestFault { reason: text.into() },
    }
}

/// Tells apart the panics of the executor.
pub(super) fn classify_panic(message: String, po2: Po2) -> ExecuteError {
    let po2 = po2.get();
    let too_small = message.contains("segment limit (");
    if !too_small {
        return ExecuteError::ExecutorPanicked { message };
    }
    let hint = if po2 < SEGMENT_PO2_MAX {
        format!("raise --segment-po2 to {} or more", (po2 + 1).max(ROOMY_PO2_MIN))
    } else {
        "no larger segment can be proved: the guest touches too much memory at once".into()
    };
    ExecuteError::SegmentLimitTooSmall { po2, hint }
}

/// What the panics of well-known readers mean.
fn hint_for(message: &str) -> Option<&'static str> {
    const SHORT: [&str; 4] = [
        "DeserializeUnexpectedEnd",
        "UnexpectedEof",
        "failed to fill whole buffer",
        "unexpected end of",
    ];
    const MALFORMED: [&str; 3] = ["DeserializeBad", "invalid digit", "InvalidUtf8"];
    if SHORT.iter().any(|known| message.contains(known)) {
        Some("the input ends before the guest has read what it expects: check --input")
    } else if MALFORMED.iter().any(|known| message.contains(known)) {
        Some("the input is not in the form that the guest expects: check --input")
    } else if message.contains("Out of memory") || message.contains("memory allocation of") {
        Some("the guest ran out of the zkVM's memory (3 GiB)")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_panic_about_missing_input_gets_the_hint() {
        let text = "step: Guest panicked: panicked at src/main.rs:9:41:\ncalled `Result::unwrap()` on \
                    an `Err` value: DeserializeUnexpectedEnd";
        let error = classify(text, None, &Journal::default(), None);
        let shown = error.to_string();
        assert!(shown.contains("panicked at src/main.rs:9:41"), "{shown}");
        assert!(shown.contains("check --input"), "{shown}");
    }

    #[test]
    fn only_a_limit_that_was_set_is_blamed() {
        let text = "Session limit exceeded: 100 >= 100";
        let error = classify(text, None, &Journal::default(), Some(100));
        assert!(matches!(error, ExecuteError::CycleLimit { limit: 100 }));
        let error = classify(text, None, &Journal::default(), None);
        assert!(matches!(error, ExecuteError::GuestFault { .. }));
    }

    #[test]
    fn a_too_small_segment_names_the_next_po2() {
        let text = "segment limit (16384) too small for instruction at pc: 0x00200800";
        let error = classify_panic(text.into(), Po2::try_from(14).unwrap());
        assert!(error.to_string().contains("raise --segment-po2 to 16"), "{error}");
        let error = classify_panic("index out of bounds".into(), Po2::try_from(14).unwrap());
        assert!(matches!(error, ExecuteError::ExecutorPanicked { .. }));
    }
}
