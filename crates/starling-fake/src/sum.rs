//! The results of the fake system: what a range of hashes adds up to.

use serde::{Deserialize, Serialize};
use sha3::{Digest as _, Sha3_256};
use starling_types::IndexRange;
use thiserror::Error;

/// The first bytes of every result.
const MAGIC: &[u8; 4] = b"FAKE";

/// The words of a hash.
const WORDS: usize = 4;

/// The bytes of a result before its padding: magic, start, end, how often it was finished, and the words.
const BYTES: usize = MAGIC.len() + 3 * 4 + WORDS * 8;

/// What a range adds up to. It is the same however the range was split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Sum {
    /// The range.
    pub range: IndexRange,
    /// How many tasks have finished it.
    pub finished: u32,
    /// The words of all hashes, added up.
    words: [u64; WORDS],
}

/// Bytes that are not a result of the fake system.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the {size_bytes} bytes are not a fake result")]
pub struct NotASum {
    /// How many there are.
    pub size_bytes: usize,
}

impl Sum {
    /// What the piece of raw data with this index hashes to.
    pub fn of_raw(index: u32, raw: &[u8]) -> Self {
        Self::of_challenged(index, raw, &[])
    }

    /// What it hashes to together with a challenge.
    pub fn of_challenged(index: u32, raw: &[u8], challenge: &[u8]) -> Self {
        let hasher = Sha3_256::new().chain_update(index.to_le_bytes()).chain_update(raw);
        let hash = hasher.chain_update(challenge).finalize();
        let mut words = [0; WORDS];
        for (word, bytes) in words.iter_mut().zip(hash.as_slice().as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        Self { range: IndexRange::single(index), finished: 0, words }
    }

    /// Adds a neighbour to the right; or a sum that begins where this one does, which leaves the range as it is. `None`
    /// for any other.
    pub fn joined(self, other: Self) -> Option<Self> {
        let range = match self.range.join(other.range) {
            Some(range) => range,
            None if self.range.start() == other.range.start() => self.range,
            None => return None,
        };
        let mut words = self.words;
        for (word, more) in words.iter_mut().zip(other.words) {
            *word = word.wrapping_add(more);
        }
        Some(Self { range, finished: self.finished + other.finished, words })
    }

    /// The same, finished once more.
    pub fn finish(self) -> Self {
        Self { finished: self.finished + 1, ..self }
    }

    /// The same with another hash: what a liar says.
    pub fn falsified(self) -> Self {
        let mut words = self.words;
        words[0] ^= 1;
        Self { words, ..self }
    }

    /// The bytes that travel, with so many more behind them, which say nothing.
    pub fn encode(&self, padding_bytes: usize) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for number in [self.range.start(), self.range.end(), self.finished] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(self.words.iter().flat_map(|word| word.to_le_bytes()));
        // Of its own for each result, so that no two of them are one blob.
        let padding = self.words.iter().flat_map(|word| word.to_le_bytes()).cycle();
        bytes.extend(padding.take(padding_bytes));
        bytes
    }

    /// Reads what [`encode`](Self::encode) wrote, whatever the padding.
    ///
    /// # Errors
    /// [`NotASum`].
    pub fn decode(bytes: &[u8]) -> Result<Self, NotASum> {
        let read = || {
            let (fixed, _) = bytes.split_at_checked(BYTES)?;
            let numbers = fixed.strip_prefix(MAGIC)?;
            let (numbers, words) = numbers.split_at_checked(3 * 4)?;
            let numbers = numbers.as_chunks().0;
            let [start, end, finished] = [0, 1, 2].map(|at| u32::from_le_bytes(numbers[at]));
            let words = words.as_chunks().0;
            let words = [0, 1, 2, 3].map(|at| u64::from_le_bytes(words[at]));
            Some(Self { range: IndexRange::new(start, end)?, finished, words })
        };
        read().ok_or(NotASum { size_bytes: bytes.len() })
    }

    /// Whether these bytes want to be a result.
    pub fn is_one(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC)
    }
}

/// In hex, for logs.
impl From<Sum> for String {
    fn from(sum: Sum) -> Self {
        hex::encode(sum.encode(0))
    }
}

impl TryFrom<String> for Sum {
    type Error = NotASum;

    fn try_from(text: String) -> Result<Self, NotASum> {
        let bytes = hex::decode(&text).map_err(|_| NotASum { size_bytes: text.len() })?;
        Self::decode(&bytes)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn leaves() -> [Sum; 4] {
        [0, 1, 2, 3].map(|index| Sum::of_raw(index, b"raw"))
    }

    #[test]
    fn every_split_of_a_range_adds_up_to_the_same() {
        let [a, b, c, d] = leaves();
        let left_first = a.joined(b).unwrap().joined(c).unwrap().joined(d).unwrap();
        let in_pairs = a.joined(b).unwrap().joined(c.joined(d).unwrap()).unwrap();
        assert_eq!(left_first, in_pairs);
        assert_ne!(left_first, left_first.falsified());
    }

    #[test]
    fn only_neighbours_and_what_begins_alike_are_added() {
        let [a, b, c, _] = leaves();
        assert_eq!(a.joined(c), None);
        assert_eq!(b.joined(a), None);
        let resolved = a.joined(b).unwrap().joined(Sum::of_raw(0, b"assumed")).unwrap();
        assert_eq!((resolved.range.start(), resolved.range.end()), (0, 2));
        assert_ne!(Some(resolved), a.joined(b));
    }

    #[test]
    fn a_result_comes_back_whatever_its_padding_and_a_cut_one_does_not() {
        let sum = leaves()[2].finish();
        for padding_bytes in [0, 1, 10_000] {
            let bytes = sum.encode(padding_bytes);
            assert_eq!(bytes.len(), BYTES + padding_bytes);
            assert_eq!(Sum::decode(&bytes), Ok(sum));
        }
        let bytes = sum.encode(0);
        for cut in 0..bytes.len() {
            assert!(Sum::decode(&bytes[..cut]).is_err());
        }
        assert!(!Sum::is_one(b"raw") && Sum::is_one(&bytes));
    }
}
