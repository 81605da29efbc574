//! A memory and its tree.

use std::collections::{BTreeMap, BTreeSet};

use risc0_binfmt::{Digestible as _, Page, SystemState};
use risc0_zkp::core::{digest::Digest, hash::sha::Impl as Sha256};
use starling_babybear::hash::{PAGE_BYTES, hash_pages};

use crate::{
    LoadError, MEMORY_PAGES, PartialImage, load,
    tree::{Node, Tree, empty_leaf, isa},
};

/// A memory image: pages that may hold something, all others being zero, and the tree of digests over them.
///
/// Pages are shared with other holders until one of them writes. Writing pages costs nothing; the
/// tree is brought up to date when something of it is asked for, or by [`Image::update_digests`].
#[derive(Clone, Default)]
pub struct Image {
    pages: BTreeMap<u32, Page>,
    tree: Tree,
    /// Pages that were changed since the tree was up to date.
    stale: BTreeSet<u32>,
}

impl Image {
    /// The memory that a program begins with: its own ELF and its kernel's, loaded, and where each of them starts.
    ///
    /// # Errors
    /// When one of the two is not an ELF that the zkVM loads.
    pub fn of_program(user_elf: &[u8], kernel_elf: &[u8]) -> Result<Self, LoadError> {
        let pages = load::program(user_elf, kernel_elf)?;
        let stale = pages.keys().copied().collect();
        Ok(Self { pages, tree: Tree::default(), stale })
    }

    /// The id of the program that begins with this memory: what its receipts are verified against.
    pub fn program_id(&mut self) -> Digest {
        SystemState { pc: 0, merkle_root: self.image_id() }.digest::<Sha256>()
    }

    /// The digest of the whole memory: the tree's root. This is what RISC Zero's executor means by an image's id.
    pub fn image_id(&mut self) -> Digest {
        self.update_digests();
        self.tree.digest(1)
    }

    /// A page's content.
    pub fn page(&self, index: u32) -> Page {
        self.pages.get(&index).cloned().unwrap_or_default()
    }

    /// All pages that may hold something, by their indexes.
    pub fn pages(&self) -> &BTreeMap<u32, Page> {
        &self.pages
    }

    /// Replaces a page.
    ///
    /// # Panics
    /// If `index` is not below [`MEMORY_PAGES`].
    pub fn set_page(&mut self, index: u32, page: Page) {
        assert!(index < MEMORY_PAGES, "page {index} of {MEMORY_PAGES}");
        let unchanged = match self.pages.get(&index) {
            Some(before) => before.data() == page.data(),
            None => is_zero(&page),
        };
        if !unchanged {
            self.stale.insert(index);
        }
        // Also where nothing changes: the one who wrote it keeps it, and two copies would be one too many.
        self.pages.insert(index, page);
    }

    /// Brings the tree up to date, on all threads of the rayon pool.
    pub fn update_digests(&mut self) {
        if self.is_current() {
            return;
        }
        let stale: Vec<u32> = std::mem::take(&mut self.stale).into_iter().collect();
        let mut leaves = vec![empty_leaf(); stale.len()];
        let full = stale.iter().map(|index| self.pages.get(index).filter(|page| !is_zero(page)));
        let (at, pages): (Vec<usize>, Vec<_>) =
            full.enumerate().filter_map(|(at, page)| Some((at, bytes(page?)))).unzip();
        let mut digests = vec![Node::default(); pages.len()];
        hash_pages(isa(pages.len()), &pages, &mut digests);
        for (at, digest) in at.into_iter().zip(digests) {
            leaves[at] = digest;
        }
        self.tree.update(&stale, &leaves);
    }

    /// What a segment carries of this memory: `nodes` are the leaves of all pages that it touches, and all nodes
    /// above them.
    pub fn partial(&mut self, nodes: &BTreeSet<u32>) -> PartialImage {
        PartialImage::new(self, nodes)
    }

    /// Whether nothing is to be hashed.
    pub fn is_current(&self) -> bool {
        self.stale.is_empty()
    }

    /// The digest of a node of the tree, which is up to date.
    pub(crate) fn digest(&self, node: u32) -> Digest {
        debug_assert!(self.is_current(), "the tree is up to date");
        self.tree.digest(node)
    }
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Image").field("pages", &self.pages.len()).finish_non_exhaustive()
    }
}

fn is_zero(page: &Page) -> bool {
    bytes(page) == &[0; PAGE_BYTES]
}

fn bytes(page: &Page) -> &[u8; PAGE_BYTES] {
    page.data().as_slice().try_into().expect("a page has 1024 bytes")
}
