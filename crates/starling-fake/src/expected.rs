//! What results must be, for a client that has the raw data: the verifier that compares.

use starling_types::IndexRange;
use thiserror::Error;

use crate::{NotASum, Sum};

/// A result is not what it must be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Mismatch {
    /// It is not a result at all.
    #[error(transparent)]
    NotASum(#[from] NotASum),
    /// It is another.
    #[error("the result is {actual:?}, expected {expected:?}")]
    Differs {
        /// What it must be.
        expected: Sum,
        /// What it is.
        actual: Sum,
    },
}

/// The sums of a job's leaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    leaves: Vec<Sum>,
}

impl Expected {
    /// Of leaves that hash these pieces of raw data, in their order.
    pub fn of<'a>(raw: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let leaves = (0..).zip(raw).map(|(index, raw)| Sum::of_raw(index, raw));
        Self { leaves: leaves.collect() }
    }

    /// Takes the next one in.
    pub fn push(&mut self, leaf: Sum) {
        self.leaves.push(leaf);
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.leaves.len() as u32
    }

    /// What all of them add up to; `None` without any.
    pub fn whole(&self) -> Option<Sum> {
        self.sum(IndexRange::new(0, self.count())?)
    }

    /// What a range of them adds up to; `None` beyond the last.
    pub fn sum(&self, range: IndexRange) -> Option<Sum> {
        let leaves = self.leaves.get(range.start() as usize..range.end() as usize)?;
        let (first, others) = leaves.split_first()?;
        others.iter().try_fold(*first, |sum, leaf| sum.joined(*leaf))
    }
}

impl Sum {
    /// Says whether `blob` wants to be the result of what this is the result of: its form is right, and what it is about.
    /// What it says of that is not looked at.
    ///
    /// # Errors
    /// [`Mismatch`].
    pub fn resembles(&self, blob: &[u8]) -> Result<(), Mismatch> {
        let actual = Self::decode(blob)?;
        if (actual.range, actual.finished) != (self.range, self.finished) {
            return Err(Mismatch::Differs { expected: *self, actual });
        }
        Ok(())
    }

    /// Says whether `blob` is this result.
    ///
    /// # Errors
    /// [`Mismatch`].
    pub fn compare(&self, blob: &[u8]) -> Result<(), Mismatch> {
        let actual = Self::decode(blob)?;
        if actual != *self {
            return Err(Mismatch::Differs { expected: *self, actual });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn another_result_than_the_expected_one_is_refused() {
        let expected = Expected::of([&b"a"[..], b"b", b"c"]);
        let range = IndexRange::new(0, 3).unwrap();
        let sum = expected.sum(range).unwrap();
        assert_eq!(sum.compare(&sum.encode(7)), Ok(()));
        assert!(matches!(sum.compare(b"FAKE"), Err(Mismatch::NotASum(_))));
        let part = expected.sum(IndexRange::new(0, 2).unwrap()).unwrap();
        for wrong in [part, sum.falsified(), sum.finish()] {
            assert!(matches!(sum.compare(&wrong.encode(0)), Err(Mismatch::Differs { .. })));
        }
        assert_eq!(expected.sum(IndexRange::new(2, 4).unwrap()), None);
    }

    #[test]
    fn what_is_about_something_else_shows_at_once_and_a_false_sum_only_when_it_is_compared() {
        let sum = Sum::of_raw(3, b"a");
        let lie = sum.falsified().encode(0);
        assert_eq!(sum.resembles(&lie), Ok(()));
        assert!(sum.compare(&lie).is_err());
        for other in [Sum::of_raw(4, b"a"), sum.finish()] {
            assert!(matches!(sum.resembles(&other.encode(0)), Err(Mismatch::Differs { .. })));
        }
        assert!(matches!(sum.resembles(b"FAKE"), Err(Mismatch::NotASum(_))));
    }
}
