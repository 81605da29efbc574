//! Memory images: ours in place of the published ones, whose digests are computed one by one.
//!
//! The executor never waits for digests: it hands the pages of a segment to a thread of its own making, which is where
//! the image is. What it keeps itself are pages alone.

use super::Edit;

const EXECUTOR: &str = "execute/executor.rs";
const PAGER: &str = "execute/pager.rs";
const SEGMENT: &str = "execute/segment.rs";

pub const EDITS: &[Edit] = &[
    Edit::once(EXECUTOR, "MemoryImage, PovwJobId, PovwNonce, WordAddr};\n", IMAGE_OF_EXECUTOR),
    Edit::once(EXECUTOR, "    pager::{compute_partial_image, ", "    pager::{"),
    Edit::once(
        EXECUTOR,
        "compute_partial_image(&mut existing_image, req.page_indexes)",
        "existing_image.partial(&req.page_indexes)",
    ),
    Edit::once(
        EXECUTOR,
        "PagedMemory::new(image.clone(),",
        "PagedMemory::new(image.pages().clone(),",
    ),
    // An executor runs once, and its image's tree is needed once.
    Edit::once(EXECUTOR, "self.initial_image.clone()", "std::mem::take(&mut self.initial_image)"),
    Edit::once(PAGER, "use risc0_binfmt::{MemoryImage, Page, ", "use risc0_binfmt::{Page, "),
    Edit::once(
        PAGER,
        "fn new(mut image: MemoryImage, ",
        "fn new(pages: std::collections::BTreeMap<u32, Page>, ",
    ),
    Edit::once(
        PAGER,
        "page = image.get_page(page_idx).unwrap()",
        "page = pages.get(&page_idx).cloned().unwrap_or_default()",
    ),
    Edit::once(PAGER, "pages: image.into_pages(),", "pages,"),
    Edit::once(
        PAGER,
        "pub(crate) fn compute_partial_image(",
        "#[cfg(any())]\npub(crate) fn compute_partial_image(",
    ),
    Edit::once(SEGMENT, "use risc0_binfmt::{MemoryImage, PovwNonce};\n", IMAGE_OF_SEGMENT),
    // What a segment touched is forgotten after it, rather than 18 MiB of tables.
    Edit::once(PAGER, "        self.page_table.clear();\n", FORGET_PAGES),
    Edit::once(PAGER, "        self.states.clear();\n", FORGET_STATES),
    // Executes a partial image, for the published tests alone.
    Edit::once(SEGMENT, "    pub fn execute(", "    #[cfg(any())]\n    pub fn execute("),
    Edit::once(
        "prove/witgen/preflight.rs",
        "segment.partial_image.clone(),",
        "segment.partial_image.pages().clone(),",
    ),
];

const IMAGE_OF_EXECUTOR: &str = "PovwJobId, PovwNonce, WordAddr};
use starling_image::Image as MemoryImage;
";

const IMAGE_OF_SEGMENT: &str = "use risc0_binfmt::PovwNonce;
use starling_image::PartialImage as MemoryImage;
";

const FORGET_PAGES: &str =
    "        for node in self.page_states.keys().filter(|node| *node >= MEMORY_PAGES as u32) {
            self.page_table.table[page_idx(node) as usize] = PageTable::INVALID_IDX;
        }
";

const FORGET_STATES: &str = "        for index in &self.indexes {
            self.states.set(*index as usize * 2, false);
            self.states.set(*index as usize * 2 + 1, false);
        }
";
