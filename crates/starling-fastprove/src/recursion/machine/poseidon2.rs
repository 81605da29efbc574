//! Poseidon2 as the circuit computes it: a permutation is two rows of two full rounds, one row of all partial
//! rounds, and two more rows of two full rounds.
//!
//! Round constants of full rounds are added one step early, when the state before them is made; those of partial
//! rounds are added in the round. So the state between rows is never quite that of the textbook.

use std::array;

use risc0_zkp::core::hash::poseidon2::{CELLS, M_INT_DIAG_HZN, ROUND_CONSTANTS, ROUNDS_PARTIAL};
use risc0_zkp::field::Elem as _;
use risc0_zkp::field::baby_bear::BabyBearElem as Elem;
use starling_babybear::vector::P;

use crate::recursion::row::{DIGEST_ELEMENTS, Keep, Load};

/// Elements that the sponge absorbs at a time: the lower two thirds of a state.
const RATE: usize = 16;

/// Full rounds before the partial ones, and again after them.
const HALF_FULL: usize = 4;

/// What an element in Montgomery form is multiplied with to be read as a number, and the other way round.
pub(crate) const FROM_MONTGOMERY: Elem = Elem::new(0x3840_0000);
/// The inverse of [`FROM_MONTGOMERY`].
pub(crate) const TO_MONTGOMERY: Elem = Elem::new(0x0fff_fffe);

/// A state between two rows.
pub(crate) type State = [Elem; CELLS];

/// What the row of two full rounds has in its columns beside the state that it leaves.
pub(crate) struct Full {
    /// The fourth powers of the state that it begins with.
    pub fourth: State,
    /// The state between the rounds.
    pub middle: State,
    /// The fourth powers of that.
    pub middle_fourth: State,
}

/// What the row of the partial rounds has in its columns beside the state that it leaves.
pub(crate) struct Partial {
    /// The first element before each round, and after the last.
    pub first: [Elem; ROUNDS_PARTIAL + 1],
    /// The fourth power of that and the round's constant.
    pub fourth: [Elem; ROUNDS_PARTIAL],
}

/// The third of `state` that a row reads or writes.
pub(crate) fn group(state: &State, group: u8) -> &[Elem] {
    &state[usize::from(group) * DIGEST_ELEMENTS..][..DIGEST_ELEMENTS]
}

/// Adds `digest`, the words at `load`'s inputs, to a state.
pub(crate) fn load(state: &mut State, load: &Load, digest: [Elem; DIGEST_ELEMENTS]) {
    match load.keep {
        Keep::Nothing => state.fill(Elem::ZERO),
        Keep::Capacity => state[..RATE].fill(Elem::ZERO),
        Keep::All => {}
    }
    let into = &mut state[usize::from(load.group) * DIGEST_ELEMENTS..][..DIGEST_ELEMENTS];
    for (cell, word) in into.iter_mut().zip(digest) {
        *cell += if load.from_montgomery { word * FROM_MONTGOMERY } else { word };
    }
    if load.begin {
        *state = external(state);
        add_constants(state, 0);
    }
}

/// Two full rounds, the `pair`th of four pairs.
pub(crate) fn full(state: &mut State, pair: u8) -> Full {
    let pair = usize::from(pair);
    let after_partial = if 2 * pair < HALF_FULL { 0 } else { ROUNDS_PARTIAL };
    let round = 2 * pair + after_partial;

    let (fourth, powers) = sboxes(state);
    let mut middle = external(&powers);
    add_constants(&mut middle, round + 1);
    let (middle_fourth, powers) = sboxes(&middle);
    *state = external(&powers);
    // The last pair of either half is followed by rounds that are not full, or by none.
    if pair.is_multiple_of(2) {
        add_constants(state, round + 2);
    }
    Full { fourth, middle, middle_fourth }
}

/// All partial rounds.
pub(crate) fn partial(state: &mut State) -> Partial {
    let mut rows = Partial { first: [Elem::ZERO; _], fourth: [Elem::ZERO; _] };
    for at in 0..ROUNDS_PARTIAL {
        rows.first[at] = state[0];
        let sum = state[0] + ROUND_CONSTANTS[(HALF_FULL + at) * CELLS];
        let (fourth, seventh) = sbox(sum);
        rows.fourth[at] = fourth;
        state[0] = seventh;
        internal(state);
    }
    rows.first[ROUNDS_PARTIAL] = state[0];
    add_constants(state, HALF_FULL + ROUNDS_PARTIAL);
    rows
}

fn add_constants(state: &mut State, round: usize) {
    for (cell, constant) in state.iter_mut().zip(&ROUND_CONSTANTS[round * CELLS..]) {
        *cell += *constant;
    }
}

/// The fourth and the seventh power.
fn sbox(x: Elem) -> (Elem, Elem) {
    let square = x * x;
    let fourth = square * square;
    (fourth, fourth * square * x)
}

fn sboxes(state: &State) -> (State, State) {
    let powers = state.map(sbox);
    (powers.map(|(fourth, _)| fourth), powers.map(|(_, seventh)| seventh))
}

/// The matrix of the full rounds: circ(2 M, M, M, M, M, M) with M = ((5,7,1,3), (4,6,1,1), (1,3,5,7), (1,1,4,6)).
fn external(state: &State) -> State {
    let words = state.map(|cell| u64::from(cell.as_u32_montgomery()));
    let mut rows = [0; CELLS];
    let mut sums = [0; 4];
    // Unreduced: each result has at most 16 + 6 * 16 summands below 2^31.
    for (row, word) in rows.chunks_exact_mut(4).zip(words.chunks_exact(4)) {
        let (left, right) = (word[0] + word[1], word[2] + word[3]);
        let (left2, right2) = (2 * word[1] + right, 2 * word[3] + left);
        let (last, second) = (4 * right + right2, 4 * left + left2);
        row.copy_from_slice(&[right2 + second, second, left2 + last, last]);
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += *value;
        }
    }
    array::from_fn(|at| reduce(rows[at] + sums[at % 4]))
}

/// The matrix of the partial rounds: all ones, and a constant more on the diagonal.
fn internal(state: &mut State) {
    let sum = reduce(state.iter().map(|cell| u64::from(cell.as_u32_montgomery())).sum());
    for (cell, factor) in state.iter_mut().zip(M_INT_DIAG_HZN) {
        *cell = sum + *cell * *factor;
    }
}

fn reduce(sum: u64) -> Elem {
    Elem::new_raw((sum % u64::from(P)) as u32)
}

#[cfg(test)]
mod tests {
    use risc0_zkp::core::hash::poseidon2::poseidon2_mix;

    use super::*;

    #[test]
    fn five_rows_are_the_permutation_of_the_hash() {
        let mut expected: State = array::from_fn(|at| Elem::new(at as u32 * 0x1234_5677));
        let mut state = expected;
        let digest = [Elem::ZERO; DIGEST_ELEMENTS];
        let row = Load {
            inputs: [0; DIGEST_ELEMENTS],
            group: 1,
            keep: Keep::All,
            from_montgomery: true,
            begin: true,
        };
        for _ in 0..3 {
            load(&mut state, &row, digest);
            full(&mut state, 0);
            full(&mut state, 1);
            partial(&mut state);
            full(&mut state, 2);
            full(&mut state, 3);
            poseidon2_mix(&mut expected);
            assert_eq!(state, expected);
        }
    }

    #[test]
    fn words_in_montgomery_form_become_numbers_and_come_back() {
        let element = Elem::new(77);
        let word = Elem::new(element.as_u32_montgomery());
        assert_eq!(word * FROM_MONTGOMERY, element);
        assert_eq!(element * TO_MONTGOMERY, word);
    }
}
