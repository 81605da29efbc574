//! The circuit's data columns: what a row has where.
//!
//! A row has three parts. Its control says which step of the schedule it is. Its state is 25 words by their bits, beside
//! the lanes and the SHA-256 state that rows carry along as 16-bit halves. The rest is the counter of rows and what helps
//! to check the step: inverses, and [flags](FLAGS) whose meaning depends on the [kind of row](super::schedule::Kind).

/// Columns of the data group.
pub(super) const COLUMNS: usize = FLAGS + FLAG_COLUMNS;

/// One column for each kind of row: 1 in rows of that kind.
pub(super) const KIND: usize = 0;

/// The four numbers of the control: kind, half, block and round.
pub(super) const CONTROL: usize = KIND + KINDS;

/// The bits of [`BIT_WORDS`] words, the lowest bit of each first.
pub(super) const BITS: usize = CONTROL + CONTROL_COLUMNS;

/// The lanes that are being hashed, as 16-bit pieces, the lowest first.
pub(super) const CARRIED_LANES: usize = BITS + 32 * BIT_WORDS;

/// The state of SHA-256, as 16-bit halves, the lower first.
pub(super) const CARRIED_DIGEST: usize = CARRIED_LANES + LANE_PIECES * super::LANES;

/// The number of the row.
pub(super) const CYCLE: usize = CARRIED_DIGEST + 2 * super::sha::STATE_WORDS;

/// 1 in the first row.
pub(super) const IS_FIRST: usize = CYCLE + 1;

/// The inverse of the row's number, 0 in the first row.
pub(super) const CYCLE_INVERSE: usize = IS_FIRST + 1;

/// How the control follows from that of the row before.
pub(super) const TRANSITION: usize = CYCLE_INVERSE + 1;

/// [`FLAG_COLUMNS`] bits.
pub(super) const FLAGS: usize = TRANSITION + TRANSITION_COLUMNS;

pub(super) const KINDS: usize = 12;
pub(super) const CONTROL_COLUMNS: usize = 4;
pub(super) const TRANSITION_COLUMNS: usize = 4;

/// A lane is as many 16-bit pieces.
pub(super) const LANE_PIECES: usize = 4;

/// Words of a row that are there by their bits: as many as a half of all lanes has.
pub(super) const BIT_WORDS: usize = super::LANES;

/// The words that a row of SHA-256 makes, among those that are there by their bits.
pub(super) mod word {
    use super::super::sha::STEPS;

    pub const A: usize = 0;
    pub const E: usize = A + STEPS;
    pub const W: usize = E + STEPS;
}

/// Flags, counted from [`FLAGS`].
pub(super) mod flag {
    use super::super::keccak_f::ROUNDS;
    use super::super::sha::{BLOCK_ROUNDS, BLOCKS, CARRY_BITS, STEPS};

    /// In the rows that end a round of Keccak: one for each round, set in its own.
    pub const KECCAK_ROUND: usize = 0;
    const _: () = assert!(KECCAK_ROUND + ROUNDS <= SHA_ROUND);

    /// In rows of SHA-256, the carries of each sum: of w, a and e for each step, or of each word of the state.
    pub const CARRIES: usize = 0;

    /// In rows that make steps of SHA-256: one for each round (of so many steps), set in its own.
    pub const SHA_ROUND: usize = CARRIES + 3 * CARRY_BITS * STEPS;

    /// ... set in rounds whose words are loaded, not computed,
    pub const SHA_LOADS: usize = SHA_ROUND + BLOCK_ROUNDS;

    /// ... and one for each block, set in its own.
    pub const SHA_BLOCK: usize = SHA_LOADS + 1;

    /// How many there are.
    pub const COUNT: usize = SHA_BLOCK + BLOCKS;
}

pub(super) const FLAG_COLUMNS: usize = flag::COUNT;

/// Words that hold a row's flags.
pub(super) const FLAG_WORDS: usize = FLAG_COLUMNS.div_ceil(32);

// As the circuit has it.
const _: () = assert!(COLUMNS == 1096 && FLAGS == 939 && CARRIED_LANES == 816);
