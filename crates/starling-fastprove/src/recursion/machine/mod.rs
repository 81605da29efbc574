//! Runs a recursion program on its input: everything that the witness cannot be computed without.
//!
//! The machine has an input that is read once, in order, and a memory in which each address is written once.
//! What a row puts into the trace follows from the program and the final memory alone, so a [`Run`] is just that,
//! with how often each address is used. The rows are then filled in on all threads ([`super::witness`]).
//!
//! The input comes from a stranger's receipt. An input that the program refuses is a [`Refusal`] with the row that
//! refused it.

pub(crate) mod poseidon2;
pub(crate) mod sha;

use risc0_zkp::field::Elem as _;
use risc0_zkp::field::baby_bear::{BabyBearElem as Elem, BabyBearExtElem as Ext};
use thiserror::Error;

use self::sha::{Halves, Misplaced, Sha, Word};
use super::program::Program;
use super::row::{DIGEST_ELEMENTS, GLOBAL_READS, Micro, MicroOp, Row};

/// Elements of the globals that a program sets.
pub(crate) const GLOBALS: usize = 32;

/// Coefficients of a polynomial in the input, at most: an element of the extension field.
const COEFFICIENTS_MAX: usize = 4;

/// The shape of 16-bit words, two to a word of the input.
const SHAPE_SHORTS: usize = 2;

/// 2^16, by which words are put together.
const SHORT_BASE: Elem = Elem::new(1 << 16);

/// A program does not accept its input.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{program} refuses its input in row {row}: {reason}")]
pub struct Refusal {
    /// The program.
    pub program: String,
    /// The row.
    pub row: usize,
    /// What the row found.
    pub reason: Reason,
}

/// Why a program refuses an input.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Reason {
    /// Two values that must be equal are not: the proof in the input is wrong.
    #[error("values that must be equal differ, so the proof that it was given is wrong")]
    Unequal,
    /// The input is too short.
    #[error("the input ends after {0} words")]
    InputEnds(usize),
    /// A word of the input is not an element of the field.
    #[error("word {index} of the input, {word:#x}, is not an element of the field")]
    NoElement {
        /// Which word.
        index: usize,
        /// The word.
        word: u32,
    },
    /// The input's polynomials are read in another shape than they were announced.
    #[error("polynomials of the input are read other than they were announced")]
    Shape,
    /// A computed address is outside of the memory.
    #[error("address {0} is outside of the memory")]
    Address(u32),
    /// An address is written twice, with two values.
    #[error("address {0} is written twice")]
    Overwritten(u32),
    /// An address is not used: the trace must use all of them.
    #[error("address {0} is never used")]
    Unused(u32),
    /// Address 0 must hold 0.
    #[error("address 0 does not hold 0")]
    Zero,
    /// Rows of SHA-256 in the wrong order.
    #[error("its rows of SHA-256 are out of order")]
    Misplaced,
}

impl From<Misplaced> for Reason {
    fn from(_: Misplaced) -> Self {
        Self::Misplaced
    }
}

/// A program that ran to its end.
#[derive(Debug)]
pub(crate) struct Run {
    /// The final memory.
    pub memory: Vec<Ext>,
    /// How often each address is used.
    pub uses: Vec<u32>,
    /// What the program put out: the claim, in the encoding of its circuit.
    pub output: Vec<u32>,
    /// The globals: two digests, and zeros.
    pub globals: [Elem; GLOBALS],
}

impl Run {
    /// Runs `program` on `input`.
    pub fn new(program: &Program, input: &[u32]) -> Result<Self, Refusal> {
        let refusal = |row, reason| Refusal { program: program.name().into(), row, reason };
        let mut machine = Machine::new(program.memory_len(), input);
        for (at, row) in program.rows().iter().enumerate() {
            machine.step(row).map_err(|reason| refusal(at, reason))?;
        }
        machine.finish().map_err(|reason| refusal(program.rows().len(), reason))
    }
}

/// The first two operands of a micro operation, as addresses; 0 where there is none.
pub(crate) fn operands(memory: &[Ext], micro: &Micro) -> Result<[u32; 2], Reason> {
    let [a, b, c] = micro.operands;
    Ok(match micro.op {
        MicroOp::Const | MicroOp::ReadHeader | MicroOp::ReadBody => [0, 0],
        MicroOp::Add | MicroOp::Sub | MicroOp::Mul | MicroOp::Eq | MicroOp::MixRng => [a, b],
        MicroOp::Inv | MicroOp::Extract => [a, 0],
        MicroOp::Select => {
            let address = Elem::new(b) + Elem::new(c) * memory[a as usize].elems()[0];
            let address = address.as_u32();
            if address as usize >= memory.len() {
                return Err(Reason::Address(address));
            }
            [a, address]
        }
    })
}

/// A pair of 16-bit words.
pub(crate) fn halves(value: Ext) -> Halves {
    Halves { low: value.elems()[0].as_u32(), high: value.elems()[1].as_u32() }
}

/// A word of a SHA-256 message: two 16-bit words, or the Montgomery form of an element. Bytes are swapped.
pub(crate) fn message_word(value: Ext, shorts: bool) -> Word {
    if shorts {
        let Halves { low, high } = halves(value);
        let word = (low & 0xffff) | high << 16;
        return Word { value: word.swap_bytes(), ..Word::default() };
    }
    let word = value.elems()[0].as_u32_montgomery();
    // The circuit checks that the word is below the modulus, whose four highest bits of 31 are ones, by counting them.
    let high_bits = (word >> 27).count_ones();
    let low = if high_bits == 4 { 0 } else { high_bits };
    Word { value: word.swap_bytes(), carry: Halves { low, high: 0 }, ..Word::default() }
}

struct Machine<'a> {
    memory: Vec<Ext>,
    uses: Vec<u32>,
    input: Input<'a>,
    state: poseidon2::State,
    sha: Sha,
    output: Vec<u32>,
    globals: [Elem; GLOBALS],
}

impl<'a> Machine<'a> {
    fn new(memory_len: usize, input: &'a [u32]) -> Self {
        Self {
            memory: vec![Ext::ZERO; memory_len],
            uses: vec![0; memory_len],
            input: Input { words: input, next: 0, polynomials: Polynomials::default() },
            state: [Elem::ZERO; _],
            sha: Sha::default(),
            output: Vec::new(),
            globals: [Elem::ZERO; GLOBALS],
        }
    }

    /// The value at `address`, which a row uses.
    fn read(&mut self, address: u32) -> Ext {
        // Addresses that a program names are checked when it is decoded.
        self.uses[address as usize] += 1;
        self.memory[address as usize]
    }

    fn write(&mut self, address: u32, value: Ext) -> Result<(), Reason> {
        self.uses[address as usize] += 1;
        let cell = &mut self.memory[address as usize];
        if *cell != Ext::ZERO && *cell != value {
            return Err(Reason::Overwritten(address));
        }
        *cell = value;
        Ok(())
    }

    fn step(&mut self, row: &Row) -> Result<(), Reason> {
        match *row {
            Row::Micro { write, ref ops } => {
                for (micro, write) in ops.iter().zip(write..) {
                    self.micro(micro, write)?;
                }
            }
            Row::Nop | Row::WomInit | Row::WomFini { .. } => {}
            Row::BitAnd { write, inputs } => {
                let [a, b] = inputs.map(|input| self.read(input).elems()[0].as_u32());
                self.write(write, Ext::from_u32(a & b))?;
            }
            Row::BitOpShorts { write, inputs, and } => {
                let [a, b] = inputs.map(|input| halves(self.read(input)));
                let value = if and {
                    Ext::from(Elem::new(a.low & b.low) + Elem::new(a.high & b.high) * SHORT_BASE)
                } else {
                    pair(a.low ^ b.low, a.high ^ b.high)
                };
                self.write(write, value)?;
            }
            Row::ShaInit { a, e } => {
                let [a, e] = [a, e].map(|input| halves(self.read(input)));
                self.sha.init(a, e);
            }
            Row::ShaLoad { word, constant, shorts } => {
                let word = message_word(self.read(word), shorts);
                let constant = halves(self.read(constant));
                self.sha.load(word, constant)?;
            }
            Row::ShaMix { constant } => {
                self.read(0);
                let constant = halves(self.read(constant));
                self.sha.mix(constant)?;
            }
            Row::ShaFini { a, e } => {
                let row = self.sha.fini()?;
                for (address, word) in [(a, row.a), (e, row.e)] {
                    let word = word.value.swap_bytes();
                    self.write(address, pair(word & 0xffff, word >> 16))?;
                }
            }
            Row::SetGlobal { first, digest } => {
                let globals = self.globals.chunks_exact_mut(2 * GLOBAL_READS);
                let into =
                    globals.skip(digest.into()).flat_map(|digest| digest.chunks_exact_mut(2));
                for (address, pair) in (first..first + GLOBAL_READS as u32).zip(into) {
                    self.uses[address as usize] += 1;
                    pair.copy_from_slice(&self.memory[address as usize].elems()[..2]);
                }
            }
            Row::PoseidonLoad(ref load) => {
                let digest = load.inputs.map(|input| self.read(input).elems()[0]);
                self.read(0);
                poseidon2::load(&mut self.state, load, digest);
            }
            Row::PoseidonFull { pair } => {
                poseidon2::full(&mut self.state, pair);
            }
            Row::PoseidonPartial => {
                poseidon2::partial(&mut self.state);
            }
            Row::PoseidonStore { write, group, to_montgomery } => {
                for at in 0..DIGEST_ELEMENTS {
                    let mut word = poseidon2::group(&self.state, group)[at];
                    if to_montgomery {
                        word *= poseidon2::TO_MONTGOMERY;
                    }
                    self.write(write + at as u32, word.into())?;
                }
                self.read(0);
            }
        }
        Ok(())
    }

    fn micro(&mut self, micro: &Micro, write: u32) -> Result<(), Reason> {
        let [_, b, c] = micro.operands;
        let addresses = operands(&self.memory, micro)?;
        let [x, y] = addresses.map(|address| self.read(address));
        let value = match micro.op {
            MicroOp::Const => {
                Ext::new(Elem::new(micro.operands[0]), Elem::new(b), Elem::ZERO, Elem::ZERO)
            }
            MicroOp::Add => {
                if c != 0 {
                    self.output.push(x.elems()[0].as_u32());
                }
                x + y
            }
            MicroOp::Sub => x - y,
            MicroOp::Mul => x * y,
            MicroOp::Inv if b == 0 => Ext::from_u32((x.elems()[0] == Elem::ZERO).into()),
            MicroOp::Inv => x.inv(),
            MicroOp::Eq if x == y => Ext::ZERO,
            MicroOp::Eq => return Err(Reason::Unequal),
            MicroOp::ReadHeader => {
                self.input.announce(micro.operands[0], b)?;
                Ext::ZERO
            }
            MicroOp::ReadBody => self.input.polynomial(c != 0)?,
            MicroOp::MixRng => {
                let before = if c == 0 {
                    Elem::ZERO
                } else {
                    let before = write.checked_sub(1).ok_or(Reason::Address(write))?;
                    Elem::new(c) * self.memory[before as usize].elems()[0]
                };
                let words = [x.elems()[1], x.elems()[0], y.elems()[1], y.elems()[0]];
                words.into_iter().fold(before, |value, word| value * SHORT_BASE + word).into()
            }
            MicroOp::Select => y,
            MicroOp::Extract => {
                let [b, c] = [Elem::new(b), Elem::new(c)];
                let (not_b, not_c) = (Elem::ONE - b, Elem::ONE - c);
                let [x0, x1, x2, x3] = [0, 1, 2, 3].map(|at| x.elems()[at]);
                (b * c * x3 + b * not_c * x2 + not_b * c * x1 + not_b * not_c * x0).into()
            }
        };
        self.write(write, value)
    }

    fn finish(self) -> Result<Run, Reason> {
        // Rows use address 0 where they use nothing, and rely on what is there.
        if self.memory.first().is_some_and(|value| *value != Ext::ZERO) {
            return Err(Reason::Zero);
        }
        if let Some(address) = self.uses.iter().position(|&count| count == 0) {
            return Err(Reason::Unused(address as u32));
        }
        let Self { memory, uses, output, globals, .. } = self;
        Ok(Run { memory, uses, output, globals })
    }
}

fn pair(low: u32, high: u32) -> Ext {
    Ext::new(Elem::new(low), Elem::new(high), Elem::ZERO, Elem::ZERO)
}

/// What a program reads.
struct Input<'a> {
    words: &'a [u32],
    next: usize,
    polynomials: Polynomials,
}

/// Polynomials that were announced and not yet read.
#[derive(Default)]
struct Polynomials {
    first_word: usize,
    count: usize,
    read: usize,
    coefficients: usize,
    /// The coefficients of each polynomial are beside each other, not those of the same degree.
    contiguous: bool,
}

impl Input<'_> {
    fn announce(&mut self, count: u32, shape: u32) -> Result<(), Reason> {
        if self.polynomials.read < self.polynomials.count {
            return Err(Reason::Shape);
        }
        let (count, coefficients) = (count as usize, shape as usize / 2);
        if coefficients > COEFFICIENTS_MAX {
            return Err(Reason::Shape);
        }
        let words_each = if coefficients == SHAPE_SHORTS { 1 } else { coefficients };
        let left = self.words.len() - self.next;
        let words = words_each.checked_mul(count).filter(|&words| words <= left);
        let words = words.ok_or(Reason::InputEnds(self.words.len()))?;
        let contiguous = shape % 2 == 1;
        self.polynomials =
            Polynomials { first_word: self.next, count, read: 0, coefficients, contiguous };
        self.next += words;
        Ok(())
    }

    fn polynomial(&mut self, to_montgomery: bool) -> Result<Ext, Reason> {
        let Polynomials { first_word, count, read, coefficients, contiguous } = self.polynomials;
        if read == count {
            return Err(Reason::Shape);
        }
        self.polynomials.read += 1;
        let mut elements = [Elem::ZERO; COEFFICIENTS_MAX];
        if coefficients == SHAPE_SHORTS {
            let word = self.words[first_word + read];
            [elements[0], elements[1]] = [Elem::new(word & 0xffff), Elem::new(word >> 16)];
        } else {
            for (degree, element) in elements.iter_mut().enumerate().take(coefficients) {
                let at =
                    if contiguous { read * coefficients + degree } else { degree * count + read };
                *element = self.element(first_word + at)?;
            }
        }
        if to_montgomery {
            elements = elements.map(|element| element * poseidon2::TO_MONTGOMERY);
        }
        Ok(elements.into())
    }

    fn element(&self, index: usize) -> Result<Elem, Reason> {
        let word = self.words[index];
        if word >= starling_babybear::vector::P {
            return Err(Reason::NoElement { index, word });
        }
        Ok(Elem::new_raw(word))
    }
}

#[cfg(test)]
mod tests;
