//! Receipt files: the bincode of [`Receipt`], which is what `bincode::deserialize` in other tools reads.
//!
//! A file may come from anyone. A composite receipt holds receipts of its assumptions, which may be
//! composite again: decoding, verifying and dropping it recurse, so how deep it nests is bounded.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
};

use bincode::Options as _;
use risc0_zkvm::{InnerAssumptionReceipt, InnerReceipt, Receipt};
use starling_files::{Existing, Readers, write_whole};

use super::ReceiptError;
use crate::panic;

/// The most bytes of a receipt file: a composite receipt of some 10,000 segments at 250 KiB each. A
/// succinct one has 250 KiB.
pub const RECEIPT_FILE_BYTES_MAX: u64 = 4 << 30;

/// How deep receipts of assumptions may nest in one another. Provers nest them once.
pub(super) const ASSUMPTION_DEPTH_MAX: usize = 16;

/// The most stack that decoding may take: far more than [`ASSUMPTION_DEPTH_MAX`] needs, and a quarter of what
/// the smallest of our threads has.
const DECODE_STACK_BYTES_MAX: usize = 512 << 10;

/// Reads a receipt file.
///
/// # Errors
/// When the file cannot be read, is larger than [`RECEIPT_FILE_BYTES_MAX`], or holds no receipt.
pub fn read_receipt(path: &Path) -> Result<Receipt, ReceiptError> {
    let read = |source| ReceiptError::Read { path: path.into(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(read)?;
    file.take(RECEIPT_FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(read)?;
    let not_receipt = |reason| ReceiptError::NotReceipt { path: path.into(), reason };
    if bytes.len() as u64 > RECEIPT_FILE_BYTES_MAX {
        return Err(not_receipt(format!("it has more than {RECEIPT_FILE_BYTES_MAX} bytes")));
    }
    decode_receipt(&bytes).map_err(not_receipt)
}

pub(super) fn decode_receipt(bytes: &[u8]) -> Result<Receipt, String> {
    let options =
        bincode::DefaultOptions::new().with_fixint_encoding().with_limit(bytes.len() as u64);
    let mut source = ShallowReader { bytes, stack: stack_position() };
    let receipt: Receipt = panic::catch(|| options.deserialize_from(&mut source))?
        .map_err(|error| error.to_string())?;
    if !source.bytes.is_empty() {
        return Err(format!("{} bytes follow it", source.bytes.len()));
    }
    if let InnerReceipt::Composite(composite) = &receipt.inner {
        check_depth(&composite.assumption_receipts, 1)?;
    }
    Ok(receipt)
}

/// Refuses receipts of assumptions that nest deeper than [`ASSUMPTION_DEPTH_MAX`]; `depth` is that of `assumptions`.
pub(super) fn check_depth(
    assumptions: &[InnerAssumptionReceipt],
    depth: usize,
) -> Result<(), String> {
    if !assumptions.is_empty() && depth > ASSUMPTION_DEPTH_MAX {
        return Err(too_deep());
    }
    assumptions.iter().try_for_each(|assumption| match assumption {
        InnerAssumptionReceipt::Composite(inner) => {
            check_depth(&inner.assumption_receipts, depth + 1)
        }
        _ => Ok(()),
    })
}

fn too_deep() -> String {
    format!("receipts of assumptions nest deeper than {ASSUMPTION_DEPTH_MAX}")
}

/// Ends the decoding before its recursion ends the stack. The decoder has no bound of its own, and the type
/// that recurses is not ours; but it must read at every level.
struct ShallowReader<'a> {
    bytes: &'a [u8],
    /// Where the stack was when decoding began.
    stack: usize,
}

impl Read for ShallowReader<'_> {
    // Inlined or not, and whichever way the stack grows, the difference is the decoder's own.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if stack_position().abs_diff(self.stack) > DECODE_STACK_BYTES_MAX {
            return Err(io::Error::other(too_deep()));
        }
        self.bytes.read(buffer)
    }
}

/// The address of something on this thread's stack.
#[inline(never)]
fn stack_position() -> usize {
    let here = 0_u8;
    std::hint::black_box(&raw const here).addr()
}

/// Writes a receipt file. The file appears whole or not at all: an older one survives a failure.
///
/// # Errors
/// When the file cannot be written.
pub fn write_receipt(path: &Path, receipt: &Receipt) -> Result<(), ReceiptError> {
    write_atomic(path, |file| encode_receipt(receipt, file))
}

/// Writes the bytes of a receipt file.
///
/// # Errors
/// Those of `to`.
pub fn encode_receipt(receipt: &Receipt, to: impl Write) -> io::Result<()> {
    bincode::serialize_into(to, receipt).map_err(|error| match *error {
        bincode::ErrorKind::Io(error) => error,
        _ => io::Error::other(error),
    })
}

/// Writes the file of a work receipt, as [`assemble_work`](super::assemble_work) made it, in the same way.
///
/// # Errors
/// When the file cannot be written.
pub fn write_work_receipt(path: &Path, bytes: &[u8]) -> Result<(), ReceiptError> {
    write_atomic(path, |file| file.write_all(bytes))
}

fn write_atomic(
    path: &Path,
    write: impl FnOnce(&mut io::BufWriter<&File>) -> io::Result<()>,
) -> Result<(), ReceiptError> {
    // A receipt is for others to read.
    write_whole(path, Readers::Anyone, Existing::Replace, write)
        .map_err(|source| ReceiptError::Write { path: path.into(), source })
}
