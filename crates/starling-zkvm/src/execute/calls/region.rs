//! Regions of a guest's memory, read page by page: a guest may name any, up to all that it has.

use anyhow::{Result, anyhow, bail};
use risc0_binfmt::ByteAddr;

use crate::{execute::stream::Stop, machine::SyscallContext};

const PAGE_BYTES: u32 = 1024;

/// The first address that belongs to the kernel. Above it, registers are not where pages show them.
const USER_END: u32 = 0xc000_0000;

/// The most bytes that are taken at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// What a reader of a region wants after a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum More {
    Wanted,
    Enough,
}

/// Hands `len` bytes from `start` on to `take`, until it has enough.
///
/// # Errors
/// When the region leaves the memory, when `take` fails, or when the execution is to stop.
pub(super) fn read(
    ctx: &mut impl SyscallContext,
    stop: &dyn Stop,
    start: u32,
    len: u32,
    mut take: impl FnMut(&[u8]) -> Result<More>,
) -> Result<()> {
    let end = start.checked_add(len).ok_or_else(|| {
        anyhow!("the guest names {len} bytes at {start:#010x}, which leave its memory")
    })?;
    let mut at = start;
    let mut chunk = Vec::new();
    while at < end {
        if stop.is_stopped() {
            bail!("execution stopped");
        }
        chunk.clear();
        while at < end && chunk.len() < CHUNK_BYTES {
            let (page, offset) = (at / PAGE_BYTES, at % PAGE_BYTES);
            let count = (PAGE_BYTES - offset).min(end - at);
            if at < USER_END {
                let bytes = ctx.peek_page(page)?;
                let part = bytes.get(offset as usize..(offset + count) as usize);
                chunk.extend(part.ok_or_else(|| anyhow!("page {page} is not whole"))?);
            } else {
                chunk.extend(ctx.peek_region(ByteAddr(at), count as usize)?);
            }
            at += count;
        }
        if take(&chunk)? == More::Enough {
            break;
        }
    }
    Ok(())
}
