//! What a segment may hold, checked before anything is allocated for it, and what its preflight may then take.

use std::collections::BTreeSet;

use risc0_zkp::core::digest::DIGEST_WORDS;
use starling_image::PartialImage;

use super::WitnessError;
use crate::{
    execute::{
        MAX_IO_WORDS, MEMORY_PAGES, RESERVED_CYCLES, Segment, WORD_SIZE,
        pager::{NODE_CYCLES, PAGE_CYCLES, RESERVED_PAGING_CYCLES},
    },
    raw::{RawMemoryTransaction, RawPreflightCycle},
    witgen::{paged_map, preflight::Back},
};

/// The logarithm of the fewest rows of a segment: the lift programs begin there.
pub const PO2_MIN: u32 = 14;

/// The logarithm of the most rows of a segment: the field has no larger domains for it.
pub const PO2_MAX: u32 = 24;

/// The most bytes that a row takes from the host.
const READ_BYTES_PER_ROW: u64 = MAX_IO_WORDS as u64 * WORD_SIZE as u64;

/// The fewest rows of a call to the host: one for the call, one for its arguments.
const ROWS_PER_CALL: u64 = 2;

/// Rows that every segment has, whatever it does.
const ROWS_RESERVED: u64 = RESERVED_CYCLES as u64 + RESERVED_PAGING_CYCLES as u64;

/// Checks all of a segment that costs memory or time by its size alone.
pub(super) fn check(segment: &Segment) -> Result<(), WitnessError> {
    let po2 = segment.po2;
    if !(PO2_MIN..=PO2_MAX).contains(&po2) {
        return Err(WitnessError::Po2 { po2 });
    }
    let rows = 1_u64 << po2;
    let at_most = |what, found: u64, limit: u64| {
        if found > limit {
            return Err(WitnessError::TooMany { what, found, limit, po2 });
        }
        Ok(())
    };
    at_most("cycles", segment.suspend_cycle.into(), rows)?;

    let bytes = segment.read_record.iter().map(|read| read.len() as u64).sum();
    at_most("reads", segment.read_record.len() as u64, rows / ROWS_PER_CALL)?;
    at_most("bytes read", bytes, rows * READ_BYTES_PER_ROW)?;
    at_most("writes", segment.write_record.len() as u64, rows / ROWS_PER_CALL)?;

    // Each page is loaded, and each inner node above one; the image has both children of an inner node.
    let image = &segment.partial_image;
    let (pages, nodes) = (image.pages().len() as u64, image.digests().len() as u64);
    at_most("pages", pages, rows / u64::from(PAGE_CYCLES))?;
    at_most("nodes", nodes, 2 * rows / u64::from(NODE_CYCLES) + 1)?;
    let inner = check_image(image)?;
    at_most("rows of memory", ROWS_RESERVED + rows_to_load(pages, inner), rows)
}

/// The rows that load pages and inner nodes.
fn rows_to_load(pages: u64, inner: u64) -> u64 {
    pages * u64::from(PAGE_CYCLES) + inner * u64::from(NODE_CYCLES)
}

/// Checks that an image has nothing but pages of memory, and digests of the root and of children of the nodes
/// above a page. Returns how many such nodes there are.
fn check_image(image: &PartialImage) -> Result<u64, WitnessError> {
    let wrong = |what, index, fault| Err(WitnessError::Image { what, index, fault });
    let mut above = BTreeSet::new();
    for &index in image.pages().keys() {
        if index as usize >= MEMORY_PAGES {
            return wrong("page", index, "beyond the end");
        }
        let mut node = (index + MEMORY_PAGES as u32) / 2;
        while node != 0 && above.insert(node) {
            node /= 2;
        }
    }
    match image.digests().keys().find(|node| **node != 1 && !above.contains(&(**node / 2))) {
        Some(&node) => wrong("node", node, "which none of its pages needs"),
        None => Ok(above.len() as u64),
    }
}

/// The most bytes that a preflight takes, all of it together, of a segment of 2^po2 rows.
///
/// Half of it or more is gone when the preflight ends: what the data columns are filled from is the trace alone.
pub fn preflight_bytes_max(po2: u32) -> u64 {
    let rows = 1 << po2;
    PAGER_BYTES + rows * (TRACE_BYTES_PER_ROW + PROGRAM_BYTES_PER_ROW) + table_bytes_max(rows)
}

/// For each page and node of all memory: where it is cached, and whether it is loaded or written.
const PAGER_BYTES: u64 = (MEMORY_PAGES * size_of::<u32>() + 2 * MEMORY_PAGES * 2 / 8) as u64;

/// The most accesses to memory of a row: an instruction of a program of big integers reads itself, a register and four
/// words; loading a block of a page reads eight words, and the rows that then mix it read none. Accesses within
/// a row or two of a stretch count, not those of the worst row.
const ACCESSES_PER_ROW: usize = 6;

/// What a preflight notes of a row: the row itself, the state of its accelerator, its accesses and the bytes of its big
/// integer. Lists that grow have twice the room that they need, at worst.
const TRACE_BYTES_PER_ROW: u64 = (size_of::<RawPreflightCycle>()
    + 2 * (size_of::<(u32, Back)>()
        + ACCESSES_PER_ROW * size_of::<RawMemoryTransaction>()
        + crate::execute::bigint::BIGINT_WIDTH_BYTES)) as u64;

/// What a program of big integers takes for each row that it pays with, while it runs.
const PROGRAM_BYTES_PER_ROW: u64 = crate::program::BYTES_PER_ROW;

/// The most bytes of the tables by address: of words at first and of cycles, for memory and for nodes, and of digests.
fn table_bytes_max(rows: u64) -> u64 {
    let table = (paged_map::WORDS * size_of::<Option<u32>>()) as u64;
    // So many tables the children of the nodes of a level can lie in, two for each node at most.
    let tables = |level: u32| (1 << level) * DIGEST_WORDS as u64 / paged_map::WORDS as u64 + 1;
    let levels = || 1..=MEMORY_PAGES.ilog2();
    // The fewest rows in which so many pages reach all tables that they can. Nodes are cheaper than pages, and have more
    // tables: no more pages than fit with all their nodes reach more.
    let fit = |pages: u64| {
        let inner = levels().map(|level| pages.min(tables(level).div_ceil(2))).sum();
        ROWS_RESERVED + rows_to_load(pages, inner) <= rows
    };
    let spread = (1..).find(|pages| !fit(*pages)).unwrap_or(u64::MAX);
    let of_nodes: u64 = levels().map(|level| tables(level).min(2 * spread)).sum();
    let of_pages = rows / u64::from(PAGE_CYCLES);
    // What these tables are found by, 2^20 words at a time: memory has 2^30, nodes 2^26.
    let found_by = (size_of::<u32>() as u64) << 12;
    (of_pages * 2 + of_nodes * 3) * table + (of_pages.min(1 << 10) * 2 + 64 * 3 + 5) * found_by
}
