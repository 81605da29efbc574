//! Swarm references: the content address of a blob (unencrypted, without redundancy).
//!
//! A blob is cut into chunks of 4096 bytes. A chunk's address is `keccak256(span || root)`: the span
//! counts the blob's bytes at or below the chunk (8 bytes, little endian), the root is that of a binary
//! keccak256 tree over the payload, zero-padded to 128 words of 32 bytes. Up to 128 addresses make the
//! payload of a chunk one level up, and so on to the root chunk, whose address names the blob. A lone
//! address at the end of a level is not wrapped in a chunk of its own: it moves up as it is.
//!
//! This crate computes addresses and nothing else: it stores no chunks, splits no files, and builds wherever Rust
//! does. The one published crate for these trees is under the AGPL, so the hundred lines are our own.
//!
//! ```
//! let reference = starling_swarm::reference_of(b"hello world");
//! assert_eq!(
//!     reference.to_string(),
//!     "92672a471f4419b255d7cb0cf313474a6f5856fb347c5ece85fb706d644b630f",
//! );
//! ```

use std::{io, sync::LazyLock};

use sha3::{Digest, Keccak256};
use starling_types::{BlobRef, Reference};

/// The most payload that one chunk carries.
pub const CHUNK_SIZE_BYTES: usize = 4096;
/// The size of a digest, and of a leaf of the tree inside a chunk.
const WORD_SIZE_BYTES: usize = 32;
/// Leaves of the tree inside a chunk, and children of an intermediate chunk.
const BRANCH_COUNT: usize = CHUNK_SIZE_BYTES / WORD_SIZE_BYTES;
/// Levels of hashing from the leaves of a chunk to its root.
const BMT_LEVEL_COUNT: usize = BRANCH_COUNT.ilog2() as usize;

type Word = [u8; WORD_SIZE_BYTES];

/// The roots of all-zero trees of 1, 2, 4, ... 128 leaves: what a short payload is padded with, hashed
/// once instead of for every short chunk.
static ZERO_ROOTS: LazyLock<[Word; BMT_LEVEL_COUNT + 1]> = LazyLock::new(|| {
    let mut roots = [[0; WORD_SIZE_BYTES]; BMT_LEVEL_COUNT + 1];
    for level in 0..BMT_LEVEL_COUNT {
        roots[level + 1] = keccak256(&[roots[level], roots[level]].concat());
    }
    roots
});

fn keccak256(bytes: &[u8]) -> Word {
    Keccak256::digest(bytes).into()
}

/// The reference of `bytes`.
pub fn reference_of(bytes: &[u8]) -> Reference {
    let mut hasher = ReferenceHasher::new();
    hasher.update(bytes);
    hasher.finish().reference
}

/// The address of one chunk: `span` bytes of the blob lie at or below it, `payload` is its content
/// (blob bytes in a leaf, child addresses above).
///
/// # Panics
/// When `payload` is longer than [`CHUNK_SIZE_BYTES`].
pub fn chunk_address(span: u64, payload: &[u8]) -> Reference {
    assert!(payload.len() <= CHUNK_SIZE_BYTES, "a chunk holds at most {CHUNK_SIZE_BYTES} bytes");
    let mut preimage = [0; 8 + WORD_SIZE_BYTES];
    preimage[..8].copy_from_slice(&span.to_le_bytes());
    preimage[8..].copy_from_slice(&bmt_root(payload));
    Reference(keccak256(&preimage))
}

/// The root of the binary keccak256 tree over `payload`, zero-padded to a whole chunk.
fn bmt_root(payload: &[u8]) -> Word {
    if payload.is_empty() {
        return ZERO_ROOTS[BMT_LEVEL_COUNT];
    }
    // Each level overwrites the one below: node `i` is written only after its children, `2i` and
    // `2i + 1`, were read. Nodes past `node_count` are never touched: they are known zero roots.
    let mut nodes = [[0; WORD_SIZE_BYTES]; BRANCH_COUNT];
    nodes.as_flattened_mut()[..payload.len()].copy_from_slice(payload);
    let mut node_count = payload.len().div_ceil(WORD_SIZE_BYTES);
    for zero_root in &ZERO_ROOTS[..BMT_LEVEL_COUNT] {
        if node_count % 2 == 1 {
            nodes[node_count] = *zero_root;
        }
        node_count = node_count.div_ceil(2);
        for i in 0..node_count {
            nodes[i] = keccak256(nodes[2 * i..2 * i + 2].as_flattened());
        }
    }
    nodes[0]
}

/// Computes the reference of a blob that arrives in pieces of any size.
///
/// Memory is one chunk for each level of the tree: 20 KiB for a blob of a terabyte.
#[derive(Debug, Clone)]
pub struct ReferenceHasher {
    chunk: Vec<u8>,
    tree: Tree,
    size_bytes: u64,
}

impl ReferenceHasher {
    /// A hasher that has seen no bytes.
    pub fn new() -> Self {
        Self { chunk: Vec::with_capacity(CHUNK_SIZE_BYTES), tree: Tree::default(), size_bytes: 0 }
    }

    /// Takes the next bytes of the blob.
    pub fn update(&mut self, mut bytes: &[u8]) {
        self.size_bytes += bytes.len() as u64;
        if !self.chunk.is_empty() {
            let missing = (CHUNK_SIZE_BYTES - self.chunk.len()).min(bytes.len());
            self.chunk.extend_from_slice(&bytes[..missing]);
            bytes = &bytes[missing..];
            if self.chunk.len() < CHUNK_SIZE_BYTES {
                return;
            }
            self.tree.push(leaf(&self.chunk));
            self.chunk.clear();
        }
        // Whole chunks are hashed where they lie.
        let (whole, rest) = bytes.as_chunks::<CHUNK_SIZE_BYTES>();
        for chunk in whole {
            self.tree.push(leaf(chunk));
        }
        self.chunk.extend_from_slice(rest);
    }

    /// The name and size of all bytes taken.
    pub fn finish(mut self) -> BlobRef {
        // The empty blob is one empty chunk.
        if !self.chunk.is_empty() || self.size_bytes == 0 {
            self.tree.push(leaf(&self.chunk));
        }
        let root = self.tree.root().expect("at least one chunk was pushed");
        BlobRef { reference: root.address, size_bytes: self.size_bytes }
    }
}

impl Default for ReferenceHasher {
    fn default() -> Self {
        Self::new()
    }
}

/// Never fails and takes all bytes.
impl io::Write for ReferenceHasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A chunk as its parent sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Child {
    address: Reference,
    span: u64,
}

fn leaf(payload: &[u8]) -> Child {
    let span = payload.len() as u64;
    Child { address: chunk_address(span, payload), span }
}

/// The unfinished intermediate chunks, one for each level, lowest first.
#[derive(Debug, Clone, Default)]
struct Tree {
    levels: Vec<Level>,
}

/// An unfinished intermediate chunk. Between calls it has fewer than [`BRANCH_COUNT`] children.
#[derive(Debug, Clone, Default)]
struct Level {
    addresses: Vec<u8>,
    span: u64,
}

impl Level {
    fn add(&mut self, child: Child) {
        self.addresses.extend_from_slice(child.address.as_bytes());
        self.span += child.span;
    }

    /// The chunk over the children so far, or the only child itself; the level is empty afterwards.
    fn take(&mut self) -> Option<Child> {
        let span = std::mem::take(&mut self.span);
        let address = match self.addresses.len() {
            0 => return None,
            WORD_SIZE_BYTES => Reference::from_slice(&self.addresses)?,
            _ => chunk_address(span, &self.addresses),
        };
        self.addresses.clear();
        Some(Child { address, span })
    }
}

impl Tree {
    /// Adds the next leaf, and closes every level that it fills.
    fn push(&mut self, leaf: Child) {
        let mut child = Some(leaf);
        for index in 0.. {
            let Some(added) = child else { return };
            if index == self.levels.len() {
                self.levels.push(Level::default());
            }
            let level = &mut self.levels[index];
            level.add(added);
            child = if level.addresses.len() == CHUNK_SIZE_BYTES { level.take() } else { None };
        }
    }

    /// Closes every level, lowest first; `None` when no leaf was pushed.
    fn root(mut self) -> Option<Child> {
        let mut below = None;
        for level in &mut self.levels {
            if let Some(child) = below {
                level.add(child);
            }
            below = level.take();
        }
        below
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The tree as the rules say it, level by level, with no streaming.
    fn root_by_levels(mut level: Vec<Child>) -> Option<Child> {
        while level.len() > 1 {
            level = level
                .chunks(BRANCH_COUNT)
                .map(|children| match children {
                    [lone] => *lone,
                    _ => {
                        let span = children.iter().map(|child| child.span).sum();
                        let payload: Vec<u8> =
                            children.iter().flat_map(|child| child.address.0).collect();
                        Child { address: chunk_address(span, &payload), span }
                    }
                })
                .collect();
        }
        level.pop()
    }

    #[test]
    fn a_tree_of_three_levels_closes_like_one_built_level_by_level() {
        let leaf = |index: usize| Child {
            address: Reference(keccak256(&index.to_le_bytes())),
            span: CHUNK_SIZE_BYTES as u64,
        };
        let square = BRANCH_COUNT * BRANCH_COUNT;
        for count in [1, 2, 127, 128, 129, 130, 255, 256, 257, square + 1] {
            let mut tree = Tree::default();
            for index in 0..count {
                tree.push(leaf(index));
            }
            assert_eq!(
                tree.root(),
                root_by_levels((0..count).map(leaf).collect()),
                "{count} leaves"
            );
        }
    }

    #[test]
    fn a_short_payload_hashes_like_the_same_payload_with_its_zeros_written_out() {
        let mut padded = [0; CHUNK_SIZE_BYTES];
        for len in [0, 1, 31, 32, 33, 63, 64, 65, 2048, 2049, 4064, 4095] {
            padded[..len].fill(0xa5);
            assert_eq!(bmt_root(&padded[..len]), bmt_root(&padded), "{len} bytes");
        }
    }

    #[test]
    #[should_panic(expected = "at most 4096 bytes")]
    fn a_payload_beyond_a_chunk_is_a_bug_of_the_caller() {
        chunk_address(4097, &[0; CHUNK_SIZE_BYTES + 1]);
    }
}
