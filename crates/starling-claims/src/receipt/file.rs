//! Receipt files: the bincode of [`Receipt`], which is what `bincode::deserialize` in other tools reads.
//!
//! A file may come from anyone. A composite receipt holds receipts of its assumptions, which may be
//! composite again: decoding, verifying and dropping it recurse, so how deep it nests is bounded.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read, Write},
    path::Path,
};

use bincode::Options as _;
use risc0_zkvm::{InnerAssumptionReceipt, InnerReceipt, Receipt};
use starling_files::write_named;

use super::ReceiptError;
use crate::panic;

/// The most bytes of a receipt file: a composite receipt of some 10,000 segments at 250 KiB each. A
/// succinct one has 250 KiB.
pub const RECEIPT_FILE_BYTES_MAX: u64 = 4 << 30;

/// The most bytes of one that is not composite, its journal with it: a journal has at most 100 MiB.
const SINGLE_BYTES_MAX: u64 = 128 << 20;

/// How the file of a composite receipt begins: with the variant, a little-endian `u32`.
const COMPOSITE: u32 = 0;

/// How much of a receipt file is read at a time.
const READ_AT_ONCE_BYTES: usize = 256 << 10;

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
    let file = File::open(path).map_err(read)?;
    let metadata = file.metadata().map_err(read)?;
    let not_receipt = |reason| ReceiptError::NotReceipt { path: path.into(), reason };
    if metadata.len() > RECEIPT_FILE_BYTES_MAX {
        return Err(not_receipt(format!("it has more than {RECEIPT_FILE_BYTES_MAX} bytes")));
    }
    let mut source = BufReader::with_capacity(READ_AT_ONCE_BYTES, file);
    let first = source.fill_buf().map_err(read)?.first_chunk().copied().map(u32::from_le_bytes);
    let limit_bytes = match first {
        Some(COMPOSITE) => RECEIPT_FILE_BYTES_MAX,
        // Succinct, Groth16, or fake. Something shorter is refused by the decoder.
        Some(1..=3) | None => SINGLE_BYTES_MAX,
        Some(_) => return Err(not_receipt("it does not begin like one".into())),
    };
    // A pipe has no size. What is declared in a file may be no more than there is.
    let limit_bytes =
        if metadata.is_file() { limit_bytes.min(metadata.len()) } else { limit_bytes };
    decode_receipt(source, limit_bytes).map_err(not_receipt)
}

/// The receipt that `source` holds, and nothing else. It is decoded as it is read: what is not a receipt is known by its first
/// bytes, however much follows them.
pub(super) fn decode_receipt(source: impl Read, limit_bytes: u64) -> Result<Receipt, String> {
    let options = bincode::DefaultOptions::new().with_fixint_encoding().with_limit(limit_bytes);
    let mut source = ShallowReader { source, stack: stack_position() };
    let receipt: Receipt =
        panic::catch(std::panic::AssertUnwindSafe(|| options.deserialize_from(&mut source)))?
            .map_err(|error| error.to_string())?;
    match source.source.read(&mut [0]) {
        Ok(0) => {}
        Ok(_) => return Err("more bytes follow it".into()),
        Err(error) => return Err(error.to_string()),
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
struct ShallowReader<R> {
    source: R,
    /// Where the stack was when decoding began.
    stack: usize,
}

impl<R: Read> Read for ShallowReader<R> {
    // Inlined or not, and whichever way the stack grows, the difference is the decoder's own.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if stack_position().abs_diff(self.stack) > DECODE_STACK_BYTES_MAX {
            return Err(io::Error::other(too_deep()));
        }
        self.source.read(buffer)
    }
}

/// The address of something on this thread's stack.
#[inline(never)]
fn stack_position() -> usize {
    let here = 0_u8;
    std::hint::black_box(&raw const here).addr()
}

/// Writes a receipt file. The file appears whole or not at all: an older one survives a failure. A pipe or a device is written
/// to, a link followed.
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
    write_named(path, write).map_err(|source| ReceiptError::Write { path: path.into(), source })
}
