//! The steps of the trace: one row to begin, as many for each permutation, and rows of rest up to a power of two.
//!
//! For each permutation the circuit reads lanes, hashes them with SHA-256, permutes them, and hashes what came out. A row
//! that holds lanes by their bits has room for half of their bits, so that there are two rows where there are all.

use risc0_zkp::field::Elem as _;
use risc0_zkp::field::baby_bear::BabyBearElem as Elem;

use super::keccak_f::ROUNDS;
use super::layout::{CONTROL_COLUMNS, FLAG_WORDS, TRANSITION_COLUMNS, flag};
use super::sha::{BLOCK_ROUNDS, BLOCKS};

/// Rows of one permutation.
pub(super) const ROWS: usize = 4 + 5 * ROUNDS + 2 * BLOCKS * (BLOCK_ROUNDS + 1);

/// The row of a permutation from which on its output is hashed, not its input.
pub(super) const WRITE_ROW: usize = ROWS - 1 - BLOCKS * (BLOCK_ROUNDS + 1);

/// What a row does, by the number that the circuit has for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing more: all is hashed.
    #[default]
    Shutdown,
    /// Takes the lanes of the next permutation.
    Read,
    /// A half of the lanes by their bits.
    Expand,
    /// Takes the permuted lanes.
    Write,
    /// The sums that theta begins with.
    Parity,
    /// The lower half of the lanes after theta, rho and pi.
    MovedLow,
    /// The upper half.
    MovedHigh,
    /// The lower half of the lanes after chi and iota.
    RoundLow,
    /// The upper half.
    RoundHigh,
    /// Steps of SHA-256.
    Sha,
    /// A block's end: its sums with the state.
    ShaSum,
    /// The first row of all.
    Init,
}

/// Where in the schedule a row is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Control {
    pub kind: Kind,
    /// Which half is expanded, or whether it is the output that is hashed.
    pub second: bool,
    /// The block that is hashed.
    pub block: usize,
    /// The round of Keccak, or of the block.
    pub round: usize,
}

impl Control {
    const fn new(kind: Kind) -> Self {
        Self { kind, second: false, block: 0, round: 0 }
    }

    /// The first row of the trace.
    pub const INIT: Self = Self::new(Kind::Init);

    /// Rows after the last permutation.
    pub const SHUTDOWN: Self = Self::new(Kind::Shutdown);

    /// The numbers of the control.
    pub fn numbers(self) -> [usize; CONTROL_COLUMNS] {
        [self.kind as usize, self.second.into(), self.block, self.round]
    }

    /// The columns that tell how this row's control follows from `before`; with `more` there is another permutation.
    pub fn transition(before: Self, more: bool) -> [Elem; TRANSITION_COLUMNS] {
        // Whether a count has come to its last, and if not, the inverse of how far it is from that.
        let ends = |at: usize, last: usize| {
            let distance = Elem::new(at as u32) - Elem::new(last as u32);
            [Elem::new((at == last).into()), distance.inv()]
        };
        let zero = Elem::ZERO;
        match before.kind {
            Kind::RoundHigh => {
                let [last, inverse] = ends(before.round, ROUNDS - 1);
                [last, inverse, zero, zero]
            }
            Kind::Sha => {
                let [last, inverse] = ends(before.round, BLOCK_ROUNDS - 1);
                [last, inverse, zero, zero]
            }
            Kind::ShaSum => {
                let [last, inverse] = ends(before.block, BLOCKS - 1);
                let is_last = before.block == BLOCKS - 1;
                let permutes = is_last && !before.second;
                let again = is_last && before.second && more;
                [Elem::new(again.into()), last, inverse, Elem::new(permutes.into())]
            }
            _ => [zero; TRANSITION_COLUMNS],
        }
    }

    /// The flags that only depend on the schedule.
    pub fn flags(self) -> Flags {
        let mut flags = Flags::default();
        match self.kind {
            Kind::RoundLow | Kind::RoundHigh => flags.set(flag::KECCAK_ROUND + self.round, 1),
            Kind::Sha => {
                flags.set(flag::SHA_ROUND + self.round, 1);
                flags.set(flag::SHA_LOADS, self.loads().into());
                flags.set(flag::SHA_BLOCK + self.block, 1);
            }
            _ => {}
        }
        flags
    }

    /// Whether steps of SHA-256 load their words: there are as many as two rows make steps.
    pub fn loads(self) -> bool {
        self.kind == Kind::Sha && self.round < 2
    }
}

/// Bits of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags(pub [u32; FLAG_WORDS]);

impl Flags {
    /// Adds the ones among `bits` from `at` on.
    pub fn set(&mut self, at: usize, bits: u32) {
        let (word, shift) = (at / 32, at % 32);
        let bits = u64::from(bits) << shift;
        self.0[word] |= bits as u32;
        if let Some(next) = self.0.get_mut(word + 1) {
            *next |= (bits >> 32) as u32;
        }
    }
}

/// The rows of a permutation.
pub(super) fn permutation() -> Vec<Control> {
    let mut rows = Vec::with_capacity(ROWS);
    rows.push(Control::new(Kind::Read));
    hash(&mut rows, false);
    rows.extend([false, true].map(|second| Control { second, ..Control::new(Kind::Expand) }));
    for round in 0..ROUNDS {
        use Kind::{MovedHigh, MovedLow, Parity, RoundHigh, RoundLow};
        let kinds = [Parity, MovedLow, MovedHigh, RoundLow, RoundHigh];
        rows.extend(kinds.map(|kind| Control { round, ..Control::new(kind) }));
    }
    rows.push(Control::new(Kind::Write));
    hash(&mut rows, true);
    rows
}

fn hash(rows: &mut Vec<Control>, second: bool) {
    for block in 0..BLOCKS {
        rows.extend((0..BLOCK_ROUNDS).map(|round| Control {
            kind: Kind::Sha,
            second,
            block,
            round,
        }));
        rows.push(Control { second, block, ..Control::new(Kind::ShaSum) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permutation_has_its_rows_where_the_constants_say() {
        let rows = permutation();
        assert_eq!(rows.len(), ROWS);
        assert_eq!(rows[WRITE_ROW].kind, Kind::Write);
        assert_eq!(rows.iter().filter(|row| row.kind == Kind::Write).count(), 1);
    }

    #[test]
    fn flags_are_set_across_words() {
        let mut flags = Flags::default();
        flags.set(30, 0b1011);
        flags.set(flag::COUNT - 1, 1);
        assert_eq!(flags.0, [0b11 << 30, 0b10, 0, 0, 1 << 28]);
    }
}
