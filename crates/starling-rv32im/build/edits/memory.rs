//! The memory of a preflight: the pages that its segment brings along and no others, and tables that are small where memory
//! is sparse.

use super::Edit;

const PAGER: &str = "execute/pager.rs";
const TABLES: &str = "prove/witgen/paged_map.rs";

pub const EDITS: &[Edit] = &[
    // A page that a segment did not bring is not a page of zeros: there would be one for every row that reads.
    Edit::once(
        PAGER,
        "    tracing_enabled: bool,\n    trace_events",
        "    pub(crate) complete: bool,\n    tracing_enabled: bool,\n    trace_events",
    ),
    Edit::once(
        PAGER,
        "            tracing_enabled,\n            trace_events",
        "            complete: true,\n            tracing_enabled,\n            trace_events",
    ),
    Edit::once(
        PAGER,
        "        let page = self.image.get_page(page_idx)?;\n",
        "        if !self.complete {
            let known = self.image.pages.contains_key(&page_idx);
            ensure!(known, \"page {page_idx:#x} is not of the segment\");
        }
        let page = self.image.get_page(page_idx)?;\n",
    ),
    // Nor does it become one of the segment's where it is only looked at.
    Edit::once(
        PAGER,
        "Ok(self.image.get_page(page_idx)?.load(addr))",
        "Ok(self.image.pages.get(&page_idx).unwrap_or(zero_page()).load(addr))",
    ),
    Edit::once(
        "prove/witgen/preflight.rs",
        "                false, /* tracing_enabled */\n            ),\n",
        "                false, /* tracing_enabled */\n            )\n            .of_segment(),\n",
    ),
    // A table of 256 words: a page of memory, or the digests of 32 nodes. Of the 11, 10 and 10 bits of an address that
    // index the tables, the last have two less and those before them two more.
    Edit::once(
        TABLES,
        "(1 << 10) - 1;\n",
        "(1 << 12) - 1;\npub(crate) const WORDS: usize = 1 << 8;\n",
    ),
    Edit::once(TABLES, "words: vec![None; ENTRY_COUNT]", "words: vec![None; WORDS]"),
    Edit::once(
        TABLES,
        "            entries: vec![0; ENTRY_COUNT],\n",
        "            entries: vec![0; PAGED_MAP_MASK as usize + 1],\n",
    ),
    Edit { file: TABLES, from: "(addr.0 >> 10) &", to: "(addr.0 >> 8) &", count: 2 },
    Edit {
        file: TABLES,
        from: "= addr.0 & PAGED_MAP_MASK;",
        to: "= addr.0 & (WORDS as u32 - 1);",
        count: 2,
    },
];
