//! Segments to lift: receipts of the stock prover, recorded.

#![allow(clippy::unwrap_used, dead_code)]

#[cfg(feature = "stock")]
pub mod stock;

use std::path::PathBuf;
use std::sync::OnceLock;

use risc0_zkvm::{ReceiptClaim, SegmentReceipt, VerifierContext};

/// Real segment receipts, with counted work.
pub struct Segments {
    /// A session of two segments.
    pub session: Vec<SegmentReceipt>,
    /// A session of one segment, which assumes `session`'s claim.
    pub conditional: SegmentReceipt,
}

impl Segments {
    /// The claim of the whole first session.
    pub fn session_claim(&self) -> ReceiptClaim {
        let [first, last] = self.session.as_slice() else { panic!("two segments") };
        first.claim.join(&last.claim)
    }
}

/// The segments. Under `--features stock`, `cargo test -p starling-fastprove --test recursion -- --ignored record`
/// proves them again.
pub fn segments() -> &'static Segments {
    static SEGMENTS: OnceLock<Segments> = OnceLock::new();
    SEGMENTS.get_or_init(|| {
        let bytes = std::fs::read(path()).unwrap();
        let words: Vec<u32> =
            bytes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let (session, conditional) = risc0_zkvm::serde::from_slice(&words).unwrap();
        let segments = Segments { session, conditional };
        let context = VerifierContext::default();
        for segment in segments.session.iter().chain([&segments.conditional]) {
            segment.verify_integrity_with_context(&context).unwrap();
        }
        segments
    })
}

/// Where they are.
fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/segments.bin")
}
