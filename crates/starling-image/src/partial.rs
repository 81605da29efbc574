//! What a segment carries of the memory that it begins with.

use std::collections::{BTreeMap, BTreeSet};

use risc0_binfmt::Page;
use risc0_zkp::core::digest::Digest;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::Error as _,
    ser::{SerializeMap as _, SerializeStruct as _},
};

use crate::{Image, MEMORY_PAGES};

/// The pages that a segment touches, and the digests of the root and of both children of each node above them.
///
/// In bincode and postcard, it has the bytes of RISC Zero's `MemoryImage` of the same pages. One that was
/// deserialised is what its sender says: nothing binds its digests to its pages, and any of both may be missing.
#[derive(Clone, Default)]
pub struct PartialImage {
    pages: BTreeMap<u32, Page>,
    digests: BTreeMap<u32, Digest>,
}

impl PartialImage {
    /// The part of `image` that consists of the leaves among `nodes`. All nodes above them are in `nodes` as well.
    pub(crate) fn new(image: &mut Image, nodes: &BTreeSet<u32>) -> Self {
        image.update_digests();
        let leaves = nodes.range(MEMORY_PAGES..).map(|leaf| leaf - MEMORY_PAGES);
        let pages = leaves.map(|page| (page, image.page(page))).collect();
        let children = nodes.range(1..MEMORY_PAGES).flat_map(|node| [2 * node, 2 * node + 1]);
        let digests = std::iter::once(1).chain(children);
        let digests = digests.map(|node| (node, image.digest(node))).collect();
        Self { pages, digests }
    }

    /// The pages by their indexes.
    pub fn pages(&self) -> &BTreeMap<u32, Page> {
        &self.pages
    }

    /// The digests by their nodes' indexes.
    pub fn digests(&self) -> &BTreeMap<u32, Digest> {
        &self.digests
    }

    /// Puts a page in, whatever the digests say.
    pub fn set_page(&mut self, index: u32, page: Page) {
        self.pages.insert(index, page);
    }

    /// Puts a digest in, whatever the others say.
    pub fn set_digest(&mut self, node: u32, digest: Digest) {
        self.digests.insert(node, digest);
    }
}

impl std::fmt::Debug for PartialImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartialImage")
            .field("pages", &self.pages.len())
            .field("digests", &self.digests.len())
            .finish()
    }
}

impl Serialize for PartialImage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut image = serializer.serialize_struct("MemoryImage", 3)?;
        image.serialize_field("pages", &Pages(&self.pages))?;
        image.serialize_field("digests", &self.digests)?;
        image.serialize_field("dirty", &BTreeSet::<u32>::new())?;
        image.end()
    }
}

struct Pages<'a>(&'a BTreeMap<u32, Page>);

impl Serialize for Pages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (index, page) in self.0 {
            map.serialize_entry(index, &Bytes(page.data()))?;
        }
        map.end()
    }
}

/// Bytes that are written in one go. RISC Zero's are a sequence of numbers, with the same result in formats without field
/// names and types.
struct Bytes<'a>(&'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// The fields as RISC Zero has them.
#[derive(Deserialize)]
#[serde(rename = "MemoryImage")]
struct Fields {
    pages: BTreeMap<u32, Page>,
    digests: BTreeMap<u32, Digest>,
    /// Nodes whose digests are out of date.
    dirty: BTreeSet<u32>,
}

impl<'de> Deserialize<'de> for PartialImage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Fields { pages, digests, dirty } = Fields::deserialize(deserializer)?;
        if !dirty.is_empty() {
            return Err(D::Error::custom(format!("{} digests are out of date", dirty.len())));
        }
        Ok(Self { pages, digests })
    }
}
