//! Segments as they travel: the published forms, read as the included type.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::execute::Segment;

/// A segment as a session has it, `risc0_zkvm::Segment`: field by field what that type serializes, in any format.
///
/// Its output is of no concern here and is of whichever type the caller has for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SessionSegment<Output> {
    /// The segment's place in its session, from 0.
    pub index: u32,
    /// What is proved.
    pub inner: Segment,
    /// What the session has put out by the end of this segment, if it ends in one that does.
    pub output: Option<Output>,
}

/// Why a segment cannot be read.
#[derive(Debug, Error)]
pub enum SegmentError {
    /// The bytes or the value are not a segment.
    #[error("not a segment of rv32im: {0}")]
    Malformed(#[from] postcard::Error),
    /// Something follows the segment.
    #[error("{0} bytes follow the segment")]
    Trailing(usize),
}

/// Reads a segment of rv32im from the bytes that the published `Segment::encode` makes.
///
/// Nothing is checked but the form: the witness refuses what cannot be proved.
///
/// # Errors
///
/// If the bytes are something else, or more than one segment.
pub fn decode_segment(bytes: &[u8]) -> Result<Segment, SegmentError> {
    let (segment, rest) = postcard::take_from_bytes(bytes)?;
    if rest.is_empty() { Ok(segment) } else { Err(SegmentError::Trailing(rest.len())) }
}

/// A segment from anything that serializes like one: the type of the published circuit, in whichever build of it.
///
/// # Errors
///
/// If the value serializes as something else.
pub fn segment_from(published: &impl Serialize) -> Result<Segment, SegmentError> {
    decode_segment(&postcard::to_stdvec(published)?)
}
