//! Quantities that would otherwise be bare integers of the same type.

use std::{fmt, ops::Add, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Reference;

/// A point on a scheduler's own clock, or a length of time on it, in milliseconds.
///
/// The clock starts where its owner says; it never goes back. Real time and virtual time look the same.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Millis(pub u64);

impl Millis {
    /// The time from `earlier` to `self`; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }
}

impl Add for Millis {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03} s", self.0 / 1000, self.0 % 1000)
    }
}

/// An amount of memory in bytes.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct MemoryBytes(pub u64);

impl MemoryBytes {
    /// `mib` mebibytes.
    pub const fn from_mib(mib: u64) -> Self {
        Self(mib << 20)
    }
}

impl Add for MemoryBytes {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for MemoryBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB", self.0.div_ceil(1 << 20))
    }
}

/// The base-two logarithm of a segment's cycle count: a segment has at most 2^po2 cycles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Po2(u8);

/// A number that is not a po2 of the rv32im circuit.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("po2 {value} is out of range: a segment has 2^{min} to 2^{max} cycles", min = Po2::MIN, max = Po2::MAX)]
pub struct ParsePo2Error {
    /// The number, or text, as given.
    pub value: String,
}

impl Po2 {
    /// The smallest segment that the rv32im circuit proves (risc0-zkp `MIN_CYCLES_PO2`).
    pub const MIN: u32 = 13;
    /// The largest segment that the rv32im circuit proves (risc0-zkp `MAX_CYCLES_PO2`).
    pub const MAX: u32 = 24;

    /// The smallest.
    pub const SMALLEST: Self = Self(Self::MIN as u8);

    /// The po2 as a number, [`Self::MIN`] to [`Self::MAX`].
    pub fn get(self) -> u32 {
        self.0.into()
    }

    /// The most cycles that a segment of this po2 has.
    pub fn cycles(self) -> u64 {
        1 << self.0
    }
}

impl TryFrom<u32> for Po2 {
    type Error = ParsePo2Error;

    fn try_from(value: u32) -> Result<Self, ParsePo2Error> {
        match u8::try_from(value) {
            Ok(po2) if (Self::MIN..=Self::MAX).contains(&value) => Ok(Self(po2)),
            _ => Err(ParsePo2Error { value: value.to_string() }),
        }
    }
}

impl From<Po2> for u32 {
    fn from(po2: Po2) -> u32 {
        po2.get()
    }
}

impl FromStr for Po2 {
    type Err = ParsePo2Error;

    fn from_str(text: &str) -> Result<Self, ParsePo2Error> {
        text.parse::<u32>()
            .map_err(|_| ParsePo2Error { value: text.chars().take(20).collect() })?
            .try_into()
    }
}

impl fmt::Display for Po2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How often a job was taken up by a client's process or started over, the last time included: lease numbers begin with it,
/// so that none is used twice.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Incarnation(pub u32);

impl Incarnation {
    /// That of the next time.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One run of a client's process, by a number that each draws anew: leases of another run mean nothing to this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientRun(pub u64);

/// The number of a lease: no two leases of a job share one, across all the runs of its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A blob's name and its size, so that a receiver knows how much to accept before it asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BlobRef {
    /// The Swarm reference of the blob's bytes.
    pub reference: Reference,
    /// How many bytes the blob has.
    pub size_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_po2s_of_the_circuit_parse() {
        assert_eq!("13".parse::<Po2>().map(Po2::get), Ok(13));
        assert_eq!("24".parse::<Po2>().map(Po2::cycles), Ok(16_777_216));
        for wrong in ["12", "25", "-1", "", "x", "300"] {
            let error = wrong.parse::<Po2>().unwrap_err().to_string();
            assert_eq!(
                error,
                format!("po2 {wrong} is out of range: a segment has 2^13 to 2^24 cycles")
            );
        }
    }

    #[test]
    fn time_saturates_instead_of_wrapping() {
        assert_eq!(Millis(3).since(Millis(5)), Millis(0));
        assert_eq!(Millis(u64::MAX) + Millis(1), Millis(u64::MAX));
        assert_eq!(Millis(61_005).to_string(), "61.005 s");
    }
}
