//! One permutation, row by row: the words that its rows hold by their bits.

use super::State;
use super::keccak_f::{self, ROUNDS, Round};
use super::layout::{BIT_WORDS, flag, word};
use super::schedule::{Control, Flags, Kind};
use super::sha::{BLOCK_WORDS, BLOCKS, CARRY_BITS, Compression, Digest, STATE_WORDS, STEPS};

/// Where the lanes and the hash are, before the next row.
pub(super) struct Walk {
    round: Round,
    compression: Compression,
    digest: Digest,
}

/// What a row holds.
pub(super) struct Row {
    /// Words by their bits.
    pub bits: [u32; BIT_WORDS],
    pub flags: Flags,
    /// The state of SHA-256 that it carries on.
    pub digest: Digest,
}

impl Walk {
    /// At the first row of the permutation of `lanes`, hashed on from `digest`.
    pub fn new(lanes: State, digest: Digest) -> Self {
        let round = Round { parity: [0; 5], moved: [0; BIT_WORDS], lanes };
        let compression = Compression::new(&digest, &message(&lanes, 0));
        Self { round, compression, digest }
    }

    /// The next row, which is at `control`.
    pub fn step(&mut self, control: Control) -> Row {
        let mut flags = control.flags();
        let bits = match control.kind {
            Kind::Shutdown | Kind::Init => [0; BIT_WORDS],
            Kind::Read | Kind::Write => state_words(&self.digest),
            Kind::Expand if control.second => uppers(&self.round.lanes),
            Kind::Expand => lowers(&self.round.lanes),
            Kind::Parity => {
                self.round = keccak_f::round(&self.round.lanes, control.round);
                parity_words(&self.round.parity)
            }
            Kind::MovedLow => lowers(&self.round.moved),
            Kind::MovedHigh => uppers(&self.round.moved),
            Kind::RoundLow => lowers(&self.round.lanes),
            Kind::RoundHigh => uppers(&self.round.lanes),
            Kind::Sha => {
                if control.round == 0 {
                    let block = message(&self.round.lanes, control.block);
                    self.compression = Compression::new(&self.digest, &block);
                }
                self.steps(control.round, &mut flags)
            }
            Kind::ShaSum => {
                for (at, sum) in self.compression.state.iter().enumerate() {
                    flags.set(flag::CARRIES + CARRY_BITS * at, sum.carries);
                }
                self.digest = self.compression.digest();
                state_words(&self.digest)
            }
        };
        Row { bits, flags, digest: self.digest }
    }

    /// The lanes as the last round left them.
    pub fn lanes(&self) -> State {
        self.round.lanes
    }

    fn steps(&self, round: usize, flags: &mut Flags) -> [u32; BIT_WORDS] {
        let mut bits = [0; BIT_WORDS];
        for (at, step) in self.compression.steps[STEPS * round..][..STEPS].iter().enumerate() {
            bits[word::A + at] = step.a.word;
            bits[word::E + at] = step.e.word;
            bits[word::W + at] = step.w.word;
            for (sum, of_step) in [step.w, step.a, step.e].iter().zip(0..) {
                flags.set(flag::CARRIES + CARRY_BITS * (3 * at + of_step), sum.carries);
            }
        }
        bits
    }
}

/// The state after the input and the output of the permutation of `lanes` are hashed.
pub(super) fn digest_after(lanes: &State, digest: &Digest) -> Digest {
    let output = (0..ROUNDS).fold(*lanes, |lanes, round| keccak_f::round(&lanes, round).lanes);
    let blocks = [lanes, &output]
        .into_iter()
        .flat_map(|lanes| (0..BLOCKS).map(move |block| message(lanes, block)));
    blocks.fold(*digest, |digest, block| Compression::new(&digest, &block).digest())
}

/// A block of the message that `lanes` are: their bytes in memory, read as SHA-256 reads bytes.
fn message(lanes: &State, block: usize) -> [u32; BLOCK_WORDS] {
    std::array::from_fn(|at| {
        let at = BLOCK_WORDS * block + at;
        let lane = lanes.get(at / 2).copied().unwrap_or(0);
        half(lane, at % 2).swap_bytes()
    })
}

/// A state as the steps leave it in a row: each half of it the other way round.
fn state_words(digest: &Digest) -> [u32; BIT_WORDS] {
    let mut words = [0; BIT_WORDS];
    let (first, second) = digest.split_at(STATE_WORDS / 2);
    for (half, start) in [(first, word::A), (second, word::E)] {
        for (word, &state) in words[start..start + STEPS].iter_mut().rev().zip(half) {
            *word = state;
        }
    }
    words
}

fn parity_words(parity: &[u64]) -> [u32; BIT_WORDS] {
    std::array::from_fn(|at| parity.get(at / 2).map_or(0, |&sum| half(sum, at % 2)))
}

fn lowers(lanes: &State) -> [u32; BIT_WORDS] {
    lanes.map(|lane| half(lane, 0))
}

fn uppers(lanes: &State) -> [u32; BIT_WORDS] {
    lanes.map(|lane| half(lane, 1))
}

/// The lower or the upper half.
fn half(lane: u64, which: usize) -> u32 {
    (lane >> (32 * which)) as u32
}
