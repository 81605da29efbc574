//! The permutation Keccak-f\[1600\] (FIPS 202, section 3), with what its rounds pass through.

use super::{LANES, State};

/// Rounds of the permutation.
pub(super) const ROUNDS: usize = 24;

/// Lanes of a row, and rows of the state.
const SIDE: usize = 5;

/// What the step iota adds, round by round.
const IOTA: [u64; ROUNDS] = iota_constants();

/// One round, as far as the circuit shows it.
pub(super) struct Round {
    /// The sums of the columns.
    pub parity: [u64; SIDE],
    /// The lanes after theta, rho and pi.
    pub moved: State,
    /// The lanes after the round.
    pub lanes: State,
}

/// Round `index` from `lanes`.
pub(super) fn round(lanes: &State, index: usize) -> Round {
    let mut parity = [0; SIDE];
    for row in lanes.chunks_exact(SIDE) {
        for (sum, lane) in parity.iter_mut().zip(row) {
            *sum ^= lane;
        }
    }
    let theta: [u64; SIDE] =
        std::array::from_fn(|x| parity[(x + 4) % SIDE] ^ parity[(x + 1) % SIDE].rotate_left(1));
    let mixed: State = std::array::from_fn(|at| lanes[at] ^ theta[at % SIDE]);

    // Rho turns the lanes by the triangular numbers, in the order in which pi moves them; the first stays.
    let mut moved = mixed;
    let (mut x, mut y) = (1, 0);
    let mut turn = 0;
    for step in 1..LANES as u32 {
        let from = mixed[x + SIDE * y];
        turn += step;
        (x, y) = (y, (2 * x + 3 * y) % SIDE);
        moved[x + SIDE * y] = from.rotate_left(turn);
    }

    let mut lanes: State = std::array::from_fn(|at| {
        let (x, row) = (at % SIDE, at - at % SIDE);
        moved[at] ^ (!moved[row + (x + 1) % SIDE] & moved[row + (x + 2) % SIDE])
    });
    lanes[0] ^= IOTA[index];
    Round { parity, moved, lanes }
}

/// The bits at 2^j - 1 of each round's constant come from a shift register over x^8 + x^6 + x^5 + x^4 + 1.
const fn iota_constants() -> [u64; ROUNDS] {
    const FEEDBACK: u8 = 0x71;
    let mut constants = [0; ROUNDS];
    let mut register = 1u8;
    let mut round = 0;
    while round < ROUNDS {
        let mut j = 0;
        while j <= 6 {
            constants[round] |= ((register & 1) as u64) << ((1 << j) - 1);
            let carried = register >> 7;
            register = (register << 1) ^ (carried * FEEDBACK);
            j += 1;
        }
        round += 1;
    }
    constants
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_permutation_of_zeros_is_the_published_one() {
        let mut lanes = [0; LANES];
        for index in 0..ROUNDS {
            lanes = round(&lanes, index).lanes;
        }
        assert_eq!(lanes[0], 0xf125_8f79_40e1_dde7);
        assert_eq!(lanes[24], 0xeaf1_ff7b_5cec_a249);
    }
}
