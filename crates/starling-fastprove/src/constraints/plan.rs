//! Where everything is while a block of rows is evaluated.
//!
//! One allocation, the *slab*, holds for each column that the program reads or writes a block of rows: windows into
//! the circuit's columns, with as many rows before the block as taps reach back; the globals; the slots. A [`Plan`]
//! gives every operand its place in it. All that [`kernel`](super::kernel) needs to trust is checked here.

use std::collections::BTreeMap;

use risc0_zkp::field::baby_bear::BabyBearElem as Elem;
use risc0_zkp::taps::TapSet;

use super::bytecode::{self, COORDINATES, Code, Op, Operand};

/// Rows evaluated at a time. Decoding an operation and guessing wrong what follows it cost some dozen cycles, 16
/// vectors of 16 lanes a few hundred; twice as many rows and the slab leaves the second-level cache.
pub const BLOCK: usize = 256;

/// The lanes of the widest vectors.
pub const LANES_MAX: usize = 16;

/// Columns begin at multiples of this many words, so that vectors of a slot lie in one cache line each.
const ALIGNMENT: usize = LANES_MAX;

/// Why a program does not fit a circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// There is no such tap.
    #[error("the constraints read tap {tap}, but the circuit has {count} taps")]
    Tap {
        /// The tap that is read.
        tap: u32,
        /// The circuit's taps.
        count: usize,
    },
    /// There is no such slot.
    #[error("the constraints use slot {slot} of only {count}")]
    Slot {
        /// The slot that is used.
        slot: u32,
        /// The program's slots.
        count: u32,
    },
    /// There is no such weight.
    #[error("the constraints use weight {weight} of only {count}")]
    Weight {
        /// The weight that is used.
        weight: u32,
        /// The program's weights.
        count: usize,
    },
    /// There is too much in a sum.
    #[error("the constraints add {length} terms of one kind, more than a step can count")]
    LongSum {
        /// The terms.
        length: usize,
    },
    /// There is nothing in a sum.
    #[error("the constraints mix no columns into slot {slot}")]
    EmptyMix {
        /// The slot that is written.
        slot: u32,
    },
}

/// A column's block in the slab, by the place of its first row. Block rows `place..place + BLOCK` lie inside of it.
pub type Place = u32;

/// A column of the circuit, of which the slab holds a block and the rows before it that taps reach.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// The group of the column.
    pub group: usize,
    /// The column's index in its group.
    pub column: usize,
    /// Where the block's first row is.
    pub place: Place,
    /// How many rows before the block are there as well.
    pub reach: usize,
}

/// An operation with places for operands.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// A product of two columns, the most frequent formula.
    Product {
        /// Where the product goes.
        target: Place,
        /// The factors.
        factors: [Place; 2],
    },
    /// Any other formula.
    Dot(Dot),
    /// A sum of columns times weights.
    Mix(Mix),
}

/// A sum, and products that are added to it or taken off.
#[derive(Clone, Copy, Debug)]
pub struct Dot {
    /// Where it goes.
    pub target: Place,
    /// The constant term, in Montgomery form.
    pub constant: u32,
    /// Whether the products are taken off.
    pub taken_off: bool,
    /// Whether the products are all there is.
    pub alone: bool,
    /// Where the lists begin in the plan's words.
    at: u32,
    /// The lengths of the lists.
    lengths: [u16; 5],
}

/// The lists of a [`Dot`].
#[derive(Clone, Copy, Debug)]
pub struct Lists<'a> {
    /// Places of factors.
    pub products: &'a [[u32; 2]],
    /// Places of factors whose product has the other sign.
    pub minus_products: &'a [[u32; 2]],
    /// A factor in Montgomery form, and the place of the other.
    pub scaled: &'a [[u32; 2]],
    /// Places of what is added to the sum.
    pub plus: &'a [u32],
    /// Places of what is taken off the sum.
    pub minus: &'a [u32],
}

/// A sum of columns times weights.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    /// Where the coordinates go.
    pub targets: [Place; COORDINATES],
    /// Where the terms begin in the plan's words.
    at: u32,
    /// How many there are.
    terms: u32,
}

/// A program with places for operands.
#[derive(Debug)]
pub struct Plan {
    /// The operations, in order.
    pub steps: Vec<Step>,
    /// The operations' lists.
    words: Vec<u32>,
    /// The circuit's columns.
    pub windows: Vec<Window>,
    /// Where the results are when all steps have run.
    pub roots: Vec<Place>,
    /// Where the factor is that a row of them is multiplied by.
    pub inverses: Place,
    /// Where the products go.
    pub results: [Place; COORDINATES],
    globals: BTreeMap<(u32, u32), Place>,
    slab_words: usize,
}

impl Plan {
    /// Places the operands of `code`, for the circuit of `taps`, in matrices where a cycle's row is `stride` rows after
    /// that of the cycle before.
    pub fn new(code: &Code, taps: &TapSet<'_>, stride: usize) -> Result<Self, PlanError> {
        let mut places = Places::find(code, taps, stride)?;
        let mut steps = Vec::with_capacity(code.ops.len());
        let mut words = Vec::new();
        for op in &code.ops {
            steps.push(match op {
                Op::Dot(dot) => places.dot(dot, &mut words)?,
                Op::Mix(mix) => places.mix(mix, code.weights.len(), &mut words)?,
            });
        }
        let roots = code.roots.iter().map(|root| places.operand(*root));
        let roots = roots.collect::<Result<_, _>>()?;
        Ok(Self {
            steps,
            words,
            roots,
            inverses: places.take(0),
            results: std::array::from_fn(|_| places.take(0)),
            windows: places.windows.into_values().collect(),
            globals: places.globals,
            slab_words: places.end,
        })
    }

    /// A slab in which only the windows and the slots are to be filled. In block row i, `inverses` has its i-th word, and
    /// begins anew after its last.
    ///
    /// # Panics
    ///
    /// When `globals` lacks one that the program reads, or `inverses` do not come out even in a block.
    pub fn slab(&self, globals: &[&[u32]], inverses: &[u32]) -> Slab {
        assert!(BLOCK.is_multiple_of(inverses.len()), "a block is some full turns of the inverses");
        let mut slab = Slab { words: vec![0; self.slab_words + ALIGNMENT] };
        let columns = slab.columns();
        for (&(argument, offset), &place) in &self.globals {
            columns[place as usize..][..BLOCK].fill(globals[argument as usize][offset as usize]);
        }
        let column = &mut columns[self.inverses as usize..][..BLOCK];
        for (word, inverse) in column.iter_mut().zip(inverses.iter().cycle()) {
            *word = *inverse;
        }
        slab
    }

    /// The lists of an operation of this plan.
    #[inline]
    pub fn lists(&self, dot: &Dot) -> Lists<'_> {
        let mut rest = &self.words[dot.at as usize..];
        let mut take = |words: usize| {
            let (list, after) = rest.split_at(words);
            rest = after;
            list
        };
        let [products, minus_products, scaled, plus, minus] = dot.lengths.map(usize::from);
        Lists {
            products: take(2 * products).as_chunks().0,
            minus_products: take(2 * minus_products).as_chunks().0,
            scaled: take(2 * scaled).as_chunks().0,
            plus: take(plus),
            minus: take(minus),
        }
    }

    /// The terms of an operation of this plan, at least one: a place and the index of a weight.
    #[inline]
    pub fn terms(&self, mix: &Mix) -> &[[u32; 2]] {
        self.words[mix.at as usize..][..2 * mix.terms as usize].as_chunks().0
    }

    /// How many words the columns of a slab take.
    pub fn slab_words(&self) -> usize {
        self.slab_words
    }
}

/// The memory of one thread.
#[derive(Debug)]
pub struct Slab {
    words: Vec<u32>,
}

impl Slab {
    /// The columns, from an aligned word on.
    pub fn columns(&mut self) -> &mut [u32] {
        let skip = self.words.as_ptr().align_offset(ALIGNMENT * size_of::<u32>());
        let length = self.words.len() - ALIGNMENT;
        // Where alignment cannot be had, it is not needed either: it is for speed only.
        let skip = if skip <= ALIGNMENT { skip } else { 0 };
        &mut self.words[skip..skip + length]
    }
}

/// The places given so far.
struct Places<'a> {
    taps: &'a TapSet<'a>,
    stride: usize,
    windows: BTreeMap<(usize, usize), Window>,
    globals: BTreeMap<(u32, u32), Place>,
    slots: Vec<Place>,
    end: usize,
}

impl<'a> Places<'a> {
    /// Places for all columns of `code`.
    fn find(code: &Code, taps: &'a TapSet<'a>, stride: usize) -> Result<Self, PlanError> {
        let mut places = Self {
            taps,
            stride,
            windows: BTreeMap::new(),
            globals: BTreeMap::new(),
            slots: Vec::new(),
            end: 0,
        };
        // The slots first: most are in use all the time, and the nearer together, the fewer pages.
        places.slots = (0..code.slots).map(|_| places.take(0)).collect();
        for operand in operands(code) {
            match operand {
                Operand::Slot(_) => {}
                Operand::Tap(tap) => {
                    let (group, column, reach) = places.tap(tap)?;
                    let window = Window { group, column, place: 0, reach };
                    let there = places.windows.entry((group, column)).or_insert(window);
                    there.reach = there.reach.max(reach);
                }
                Operand::Global { argument, offset } => {
                    places.globals.insert((argument, offset), 0);
                }
            }
        }
        let mut end = places.end;
        for window in places.windows.values_mut() {
            window.place = take(&mut end, window.reach);
        }
        for place in places.globals.values_mut() {
            *place = take(&mut end, 0);
        }
        places.end = end;
        Ok(places)
    }

    fn take(&mut self, reach: usize) -> Place {
        take(&mut self.end, reach)
    }

    /// The group and the column of a tap, and how many rows back it reads.
    fn tap(&self, tap: u32) -> Result<(usize, usize, usize), PlanError> {
        let count = self.taps.tap_size();
        let data =
            self.taps.taps[..count].get(tap as usize).ok_or(PlanError::Tap { tap, count })?;
        Ok((data.group, data.offset.into(), usize::from(data.back) * self.stride))
    }

    fn slot(&self, slot: u32) -> Result<Place, PlanError> {
        let count = self.slots.len() as u32;
        self.slots.get(slot as usize).copied().ok_or(PlanError::Slot { slot, count })
    }

    fn operand(&self, operand: Operand) -> Result<Place, PlanError> {
        match operand {
            Operand::Slot(slot) => self.slot(slot),
            Operand::Tap(tap) => {
                let (group, column, back) = self.tap(tap)?;
                Ok(self.windows[&(group, column)].place - back as u32)
            }
            Operand::Global { argument, offset } => Ok(self.globals[&(argument, offset)]),
        }
    }

    fn dot(&self, dot: &bytecode::Dot, words: &mut Vec<u32>) -> Result<Step, PlanError> {
        let target = self.slot(dot.target)?;
        let bytecode::Dot { products, minus_products, scaled, plus, minus, .. } = dot;
        let alone = plus.is_empty() && minus.is_empty() && dot.constant == 0;
        if let (true, [(left, right)], [], []) =
            (alone, &products[..], &minus_products[..], &scaled[..])
        {
            let factors = [self.operand(*left)?, self.operand(*right)?];
            return Ok(Step::Product { target, factors });
        }

        // A product of the other sign costs a negation; to take off the sum of all costs no more than to add it.
        let taken_off = minus_products.len() > products.len();
        let (products, minus_products) =
            if taken_off { (minus_products, products) } else { (products, minus_products) };
        let at = words.len() as u32;
        for (left, right) in products.iter().chain(minus_products) {
            words.extend([self.operand(*left)?, self.operand(*right)?]);
        }
        for (factor, column) in scaled {
            let factor = Elem::new(*factor);
            let factor = if taken_off { -factor } else { factor };
            words.extend([factor.as_u32_montgomery(), self.operand(*column)?]);
        }
        for column in plus.iter().chain(minus) {
            words.push(self.operand(*column)?);
        }
        let lengths = [products.len(), minus_products.len(), scaled.len(), plus.len(), minus.len()];
        let mut dot = Dot {
            target,
            constant: Elem::new(dot.constant).as_u32_montgomery(),
            taken_off,
            alone: alone && !taken_off,
            at,
            lengths: [0; 5],
        };
        for (short, length) in dot.lengths.iter_mut().zip(lengths) {
            *short = u16::try_from(length).map_err(|_| PlanError::LongSum { length })?;
        }
        Ok(Step::Dot(dot))
    }

    fn mix(
        &self,
        mix: &bytecode::Mix,
        weights: usize,
        words: &mut Vec<u32>,
    ) -> Result<Step, PlanError> {
        let mut targets = [0; COORDINATES];
        for (place, slot) in targets.iter_mut().zip(mix.targets) {
            *place = self.slot(slot)?;
        }
        if mix.terms.is_empty() {
            return Err(PlanError::EmptyMix { slot: mix.targets[0] });
        }
        let at = words.len() as u32;
        for &(column, weight) in &mix.terms {
            if weight as usize >= weights {
                return Err(PlanError::Weight { weight, count: weights });
            }
            words.extend([self.operand(column)?, weight]);
        }
        Ok(Step::Mix(Mix { targets, at, terms: mix.terms.len() as u32 }))
    }
}

/// Moves `end` past a column with `reach` rows before its block; the block's place.
fn take(end: &mut usize, reach: usize) -> Place {
    let place = *end + reach.next_multiple_of(ALIGNMENT);
    *end = place + BLOCK;
    place as Place
}

/// All columns that `code` reads.
fn operands(code: &Code) -> impl Iterator<Item = Operand> {
    let read = code.ops.iter().flat_map(|op| -> Vec<Operand> {
        match op {
            Op::Dot(dot) => {
                let products = dot.products.iter().chain(&dot.minus_products);
                let factors = products.flat_map(|&(left, right)| [left, right]);
                let scaled = dot.scaled.iter().map(|&(_, column)| column);
                let sums = dot.plus.iter().chain(&dot.minus).copied();
                factors.chain(scaled).chain(sums).collect()
            }
            Op::Mix(mix) => mix.terms.iter().map(|&(column, _)| column).collect(),
        }
    });
    read.chain(code.roots.iter().copied())
}
