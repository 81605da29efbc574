//! SHA-256's compression (FIPS 180-4, section 6.2) as the circuit does it: sums of 16-bit halves, with their carries.
//!
//! The circuit hashes lanes without padding, [`BLOCKS`] blocks at a time, and its digests are the states in between.

/// Words of the state.
pub(super) const STATE_WORDS: usize = 8;

/// Steps that one row makes.
pub(super) const STEPS: usize = 8;

/// Rows that make the steps of a block.
pub(super) const BLOCK_ROUNDS: usize = BLOCK_STEPS / STEPS;

/// Blocks that the lanes take, with zeros behind them.
pub(super) const BLOCKS: usize = 4;

/// Words of a block.
pub(super) const BLOCK_WORDS: usize = 16;

/// Bits that tell what a sum carries out of its lower half, and then of its upper.
pub(super) const CARRY_BITS: usize = 6;

const BLOCK_STEPS: usize = 64;

/// A state.
pub(super) type Digest = [u32; STATE_WORDS];

/// The state to begin with.
#[rustfmt::skip]
pub(super) const INITIAL: Digest = [
    0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
];

/// What the steps add.
#[rustfmt::skip]
const CONSTANTS: [u32; BLOCK_STEPS] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
    0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
    0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
    0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
    0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
    0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
    0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
];

/// A word, and the [`CARRY_BITS`] of the sum that it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub word: u32,
    pub carries: u32,
}

/// What one step makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    /// The word of the message: no sum where it is loaded.
    pub w: Sum,
    pub a: Sum,
    pub e: Sum,
}

/// The compression of one block.
pub(super) struct Compression {
    pub steps: [Step; BLOCK_STEPS],
    /// The new state: each word a sum of the old one and of one that the last steps made.
    pub state: [Sum; STATE_WORDS],
}

impl Sum {
    /// The circuit adds seven terms at most, so that three bits hold what a half carries.
    fn of<const TERMS: usize>(terms: [u32; TERMS]) -> Self {
        const { assert!(TERMS <= 7) };
        let low: u32 = terms.iter().map(|term| term & 0xffff).sum();
        let high = terms.iter().map(|term| term >> 16).sum::<u32>() + (low >> 16);
        Self { word: (low & 0xffff) | high << 16, carries: low >> 16 | high >> 16 << 3 }
    }
}

impl Compression {
    /// Compresses the words of a block into `state`.
    pub fn new(state: &Digest, block: &[u32; BLOCK_WORDS]) -> Self {
        let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
        let mut steps = [Step::default(); BLOCK_STEPS];
        for at in 0..BLOCK_STEPS {
            let w = match block.get(at) {
                Some(&word) => Sum { word, carries: 0 },
                None => {
                    let [w2, w7, w15, w16] = [2, 7, 15, 16].map(|back| steps[at - back].w.word);
                    let sigma0 = w15.rotate_right(7) ^ w15.rotate_right(18) ^ w15 >> 3;
                    let sigma1 = w2.rotate_right(17) ^ w2.rotate_right(19) ^ w2 >> 10;
                    Sum::of([sigma1, w7, sigma0, w16])
                }
            };
            let big0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
            let big1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
            let choice = (e & f) ^ (!e & g);
            let majority = (a & b) ^ (a & c) ^ (b & c);
            let constant = CONSTANTS[at];
            let step = Step {
                w,
                a: Sum::of([h, big1, choice, constant, w.word, big0, majority]),
                e: Sum::of([h, big1, choice, constant, w.word, d]),
            };
            (h, g, f, e) = (g, f, e, step.e.word);
            (d, c, b, a) = (c, b, a, step.a.word);
            steps[at] = step;
        }
        let made = [a, b, c, d, e, f, g, h];
        Self { steps, state: std::array::from_fn(|at| Sum::of([state[at], made[at]])) }
    }

    /// The new state.
    pub fn digest(&self) -> Digest {
        self.state.map(|sum| sum.word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_padded_empty_message_has_the_published_digest() {
        let mut block = [0; BLOCK_WORDS];
        block[0] = 1 << 31;
        let digest = Compression::new(&INITIAL, &block).digest();
        assert_eq!(digest[0], 0xe3b0_c442);
        assert_eq!(digest[7], 0x7852_b855);
    }

    #[test]
    fn a_sum_carries_from_half_to_half_and_out() {
        let sum = Sum::of([u32::MAX; 7]);
        assert_eq!(sum, Sum { word: 0u32.wrapping_sub(7), carries: 6 | 6 << 3 });
        assert_eq!(Sum::of([0x0001_ffff, 1]), Sum { word: 0x0002_0000, carries: 1 });
    }
}
