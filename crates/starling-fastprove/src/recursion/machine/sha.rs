//! SHA-256 as the circuit computes it: 4 rows that load the state, 16 that load the message, 48 that expand it,
//! each of those 64 one round, and 4 rows that add the state that the block began with.

use thiserror::Error;

/// Rows that begin a block, and again rows that end it.
const STATE_ROWS: usize = 4;

/// Rows from the first to that which takes the sum with it.
const BLOCK_ROWS: usize = 68;

/// A row without the rows before it that it refers to.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("a row of SHA-256 refers to a row that is not there")]
pub(crate) struct Misplaced;

/// A sum of 16-bit halves, before carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Halves {
    pub low: u32,
    pub high: u32,
}

/// A word as a row of the circuit makes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Word {
    pub value: u32,
    /// The sum that the word comes from, where the row keeps it.
    pub sum: Halves,
    /// What is carried out of either half, the lowest two bits.
    pub carry: Halves,
}

/// What a row of SHA-256 has in its columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ShaRow {
    pub a: Word,
    pub e: Word,
    pub w: Word,
}

/// The rows of the current block.
#[derive(Debug, Default)]
pub(crate) struct Sha {
    rows: Vec<ShaRow>,
}

impl Halves {
    fn of(value: u32) -> Self {
        Self { low: value & 0xffff, high: value >> 16 }
    }

    fn add(self, other: Self) -> Self {
        Self { low: self.low.wrapping_add(other.low), high: self.high.wrapping_add(other.high) }
    }

    /// The word, by carrying from the low half into the high one, and out of that.
    fn carried(self) -> Word {
        let carry = self.low >> 16;
        let high = self.high.wrapping_add(carry);
        Word {
            value: (self.low & 0xffff) | high << 16,
            sum: Self::default(),
            carry: Self { low: carry & 3, high: high >> 16 & 3 },
        }
    }

    /// As [`Halves::carried`], keeping the sum.
    fn summed(self) -> Word {
        Word { sum: self, ..self.carried() }
    }
}

impl Sha {
    /// Loads a word of either half of the state.
    pub fn init(&mut self, a: Halves, e: Halves) -> ShaRow {
        if self.rows.len() >= STATE_ROWS {
            self.rows.clear();
        }
        self.push(ShaRow { a: a.carried(), e: e.carried(), w: Word::default() })
    }

    /// A round with the message's word `w`.
    pub fn load(&mut self, w: Word, constant: Halves) -> Result<ShaRow, Misplaced> {
        let [x1, x2, x3, x4] = [self.back(1)?, self.back(2)?, self.back(3)?, self.back(4)?]
            .map(|row| (row.a.value, row.e.value));
        let big0 = x1.0.rotate_right(2) ^ x1.0.rotate_right(13) ^ x1.0.rotate_right(22);
        let big1 = x1.1.rotate_right(6) ^ x1.1.rotate_right(11) ^ x1.1.rotate_right(25);
        let choice = (x1.1 & x2.1) ^ (!x1.1 & x3.1);
        let majority = (x1.0 & x2.0) ^ (x1.0 & x3.0) ^ (x2.0 & x3.0);
        let sum =
            [w.value, x4.1, choice, big1].map(Halves::of).into_iter().fold(constant, Halves::add);
        Ok(self.push(ShaRow {
            a: sum.add(Halves::of(big0)).add(Halves::of(majority)).summed(),
            e: sum.add(Halves::of(x4.0)).summed(),
            w,
        }))
    }

    /// A round with a word that is computed from those before.
    pub fn mix(&mut self, constant: Halves) -> Result<ShaRow, Misplaced> {
        let w = |back| self.back(back).map(|row| row.w.value);
        let (w2, w15) = (w(2)?, w(15)?);
        let small0 = w15.rotate_right(7) ^ w15.rotate_right(18) ^ w15 >> 3;
        let small1 = w2.rotate_right(17) ^ w2.rotate_right(19) ^ w2 >> 10;
        let terms = [w(16)?, small0, w(7)?, small1].map(Halves::of);
        let sum = terms.into_iter().fold(Halves::default(), Halves::add);
        self.load(sum.summed(), constant)
    }

    /// Adds a word of either half of the state that the block began with.
    pub fn fini(&mut self) -> Result<ShaRow, Misplaced> {
        let (new, old) = (self.back(STATE_ROWS)?, self.back(BLOCK_ROWS)?);
        let sum = |new: Word, old: Word| Halves::of(new.value).add(Halves::of(old.value)).carried();
        Ok(self.push(ShaRow { a: sum(new.a, old.a), e: sum(new.e, old.e), w: Word::default() }))
    }

    fn back(&self, count: usize) -> Result<ShaRow, Misplaced> {
        let at = self.rows.len().checked_sub(count).ok_or(Misplaced)?;
        Ok(self.rows[at])
    }

    fn push(&mut self, row: ShaRow) -> ShaRow {
        self.rows.push(row);
        row
    }
}
