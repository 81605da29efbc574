//! What a segment may hold, checked before anything is allocated for it.

use super::WitnessError;
use crate::execute::{
    MEMORY_PAGES, Segment,
    pager::{NODE_CYCLES, PAGE_CYCLES},
};

/// The logarithm of the fewest rows of a segment: the lift programs begin there.
pub const PO2_MIN: u32 = 14;

/// The logarithm of the most rows of a segment: the field has no larger domains for it.
pub const PO2_MAX: u32 = 24;

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

    // Each page is loaded, and each inner node with it; the image has both children of an inner node.
    let pages = segment.partial_image.pages();
    at_most("pages", pages.len() as u64, rows / u64::from(PAGE_CYCLES))?;
    let nodes = || segment.partial_image.digests().keys().copied();
    at_most("nodes", nodes().count() as u64, 2 * rows / u64::from(NODE_CYCLES) + 1)?;

    let page_beyond = pages.keys().copied().find(|page| *page as usize >= MEMORY_PAGES);
    let node_beyond = nodes().find(|node| !(1..2 * MEMORY_PAGES).contains(&(*node as usize)));
    match (page_beyond, node_beyond) {
        (Some(index), _) => Err(WitnessError::Image { what: "page", index }),
        (None, Some(index)) => Err(WitnessError::Image { what: "node", index }),
        (None, None) => Ok(()),
    }
}
