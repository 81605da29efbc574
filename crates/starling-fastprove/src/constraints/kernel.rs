//! Runs a program over blocks of rows.
#![allow(unsafe_code)]

use starling_babybear::vector::{Kernel, P, Vector};

use super::bytecode::COORDINATES;
use super::plan::{BLOCK, Dot, LANES_MAX, Lists, Mix, Place, Plan, Slab, Step};

/// Rows from `start` on, as many as there is room for in `check`.
pub struct Blocks<'a> {
    /// The program.
    pub plan: &'a Plan,
    /// Memory for it, made by the same plan.
    pub slab: &'a mut Slab,
    /// The circuit's columns.
    pub groups: &'a [&'a [u32]],
    /// The length of a column.
    pub rows: usize,
    /// The weights that the program refers to.
    pub weights: &'a [[u32; COORDINATES]],
    /// The first row.
    pub start: usize,
    /// Where each coordinate goes.
    pub check: [&'a mut [u32]; COORDINATES],
}

/// Vectors of a column that go through a formula together: reading the formula costs as much for one as for all.
const TOGETHER: usize = 4;

/// The same where 16 registers hold them. A sum of products takes two.
const TOGETHER_IN_16: usize = 2;

const _: () =
    assert!(BLOCK.is_multiple_of(TOGETHER * LANES_MAX), "blocks are whole numbers of vectors");

impl Kernel for Blocks<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(mut self) {
        let slab = self.slab.columns();
        assert_eq!(slab.len(), self.plan.slab_words(), "the slab is of this plan");
        let count = self.check[0].len();
        for at in (0..count).step_by(BLOCK) {
            let row = self.start + at;
            for window in &self.plan.windows {
                let column = &self.groups[window.group][window.column * self.rows..][..self.rows];
                let place = window.place as usize;
                if at == 0 {
                    copy_rows(&mut slab[place - window.reach..place], column, row, window.reach);
                } else {
                    // What ended the last block is before this one.
                    let end = place + BLOCK;
                    slab.copy_within(end - window.reach..end, place - window.reach);
                }
                copy_rows(&mut slab[place..place + BLOCK], column, row + BLOCK, BLOCK);
            }
            let columns = Columns { words: slab.as_mut_ptr() };
            // SAFETY: the slab is as long as the plan says, and the plan's places are inside.
            unsafe {
                columns.run::<V>(self.plan, self.weights);
                for (result, root) in self.plan.results.into_iter().zip(&self.plan.roots) {
                    columns.product::<V>(result, [*root, self.plan.inverses]);
                }
            }
            for (plane, result) in self.check.iter_mut().zip(self.plan.results) {
                let left = BLOCK.min(count - at);
                plane[at..at + left].copy_from_slice(&slab[result as usize..][..left]);
            }
        }
    }
}

/// One block of rows that need not lie side by side: evaluates the program, whose results stay in the slab.
///
/// No tap of the program may reach back.
pub struct Picked<'a> {
    /// The program.
    pub plan: &'a Plan,
    /// Memory for it, made by the same plan.
    pub slab: &'a mut Slab,
    /// The circuit's columns.
    pub groups: &'a [&'a [u32]],
    /// The length of a column.
    pub rows: usize,
    /// The rows.
    pub picked: &'a [u32; BLOCK],
}

impl Kernel for Picked<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let slab = self.slab.columns();
        assert_eq!(slab.len(), self.plan.slab_words(), "the slab is of this plan");
        for window in &self.plan.windows {
            assert_eq!(window.reach, 0, "rows that are picked have no rows before them");
            let column = &self.groups[window.group][window.column * self.rows..][..self.rows];
            let block = &mut slab[window.place as usize..][..BLOCK];
            for (word, row) in block.iter_mut().zip(self.picked) {
                *word = column[*row as usize];
            }
        }
        let columns = Columns { words: slab.as_mut_ptr() };
        // SAFETY: the slab is as long as the plan says, and the plan's places are inside.
        unsafe { columns.run::<V>(self.plan, &[]) };
    }
}

/// Copies the `count` rows of `column` that end before row `end`, counting around its end.
#[inline(always)]
fn copy_rows(target: &mut [u32], column: &[u32], end: usize, count: usize) {
    let rows = column.len();
    let mut from = (end + rows * count.div_ceil(rows) - count) % rows;
    let mut left = target;
    while !left.is_empty() {
        let run = left.len().min(rows - from);
        let (now, later) = left.split_at_mut(run);
        now.copy_from_slice(&column[from..from + run]);
        (left, from) = (later, 0);
    }
}

/// The columns of a slab.
#[derive(Clone, Copy)]
struct Columns {
    words: *mut u32,
}

impl Columns {
    /// Runs the program of `plan` over one block.
    ///
    /// # Safety
    /// The slab has [`Plan::slab_words`].
    #[inline(always)]
    unsafe fn run<V: Vector>(self, plan: &Plan, weights: &[[u32; COORDINATES]]) {
        for step in &plan.steps {
            // SAFETY: every place in a plan is a whole block inside of its slab.
            unsafe {
                match step {
                    Step::Product { target, factors } => self.product::<V>(*target, *factors),
                    // The sum of a single lane takes one.
                    Step::Dot(dot) if V::REGISTERS == 16 && V::LANES > 1 => {
                        self.dot::<V, TOGETHER_IN_16>(dot, plan.lists(dot));
                    }
                    Step::Dot(dot) => self.dot::<V, TOGETHER>(dot, plan.lists(dot)),
                    Step::Mix(mix) => self.mix::<V>(mix, plan.terms(mix), weights),
                }
            }
        }
    }

    /// # Safety
    /// All places are blocks' in the slab.
    #[inline(always)]
    unsafe fn product<V: Vector>(self, target: Place, [left, right]: [Place; 2]) {
        for row in (0..BLOCK).step_by(V::LANES) {
            // SAFETY: the caller vouches for the places.
            unsafe {
                let value = self.load::<V>(left, row).mul(self.load(right, row));
                self.store(target, row, value);
            }
        }
    }

    /// # Safety
    /// All places are blocks' in the slab.
    #[inline(always)]
    unsafe fn dot<V: Vector, const N: usize>(self, dot: &Dot, lists: Lists<'_>) {
        let constant = Rows([V::splat(dot.constant); N]);
        for row in (0..BLOCK).step_by(N * V::LANES) {
            // SAFETY: the caller vouches for the places.
            unsafe {
                let mut value = constant;
                if let [first, rest @ ..] = lists.plus {
                    value = self.rows::<V, N>(*first, row);
                    for place in rest {
                        value = value.add(self.rows(*place, row));
                    }
                    if dot.constant != 0 {
                        value = value.add(constant);
                    }
                }
                for place in lists.minus {
                    value = value.sub(self.rows(*place, row));
                }
                if let Some(sum) = self.products::<V, N>(lists, row) {
                    value = if dot.taken_off {
                        value.sub(sum)
                    } else if dot.alone {
                        sum
                    } else {
                        value.add(sum)
                    };
                }
                for (at, value) in value.0.into_iter().enumerate() {
                    self.store(dot.target, row + at * V::LANES, value);
                }
            }
        }
    }

    /// The sum of all products in `lists`, if there are any.
    ///
    /// # Safety
    /// All places are blocks' in the slab, and the rows from `row` on are in a block.
    #[inline(always)]
    unsafe fn products<V: Vector, const N: usize>(
        self,
        lists: Lists<'_>,
        row: usize,
    ) -> Option<Rows<V, N>> {
        // SAFETY: the caller vouches for the places.
        unsafe {
            let mut sum = Sum::<V, N>::new();
            for &[left, right] in lists.products {
                sum.add(self.rows(left, row), self.rows(right, row));
            }
            for &[left, right] in lists.minus_products {
                let zero = Rows([V::zero(); N]);
                sum.add(zero.sub(self.rows(left, row)), self.rows(right, row));
            }
            for &[factor, place] in lists.scaled {
                sum.add(self.rows(place, row), Rows([V::splat(factor); N]));
            }
            sum.end()
        }
    }

    /// Some vectors of a column from a row on.
    ///
    /// # Safety
    /// `place` is a block's in the slab, and the rows are in a block.
    #[inline(always)]
    unsafe fn rows<V: Vector, const N: usize>(self, place: Place, row: usize) -> Rows<V, N> {
        let mut rows = [V::zero(); N];
        for (at, vector) in rows.iter_mut().enumerate() {
            // SAFETY: the caller vouches for the place.
            *vector = unsafe { self.load(place, row + at * V::LANES) };
        }
        Rows(rows)
    }

    /// # Safety
    /// All places are blocks' in the slab.
    #[inline(always)]
    unsafe fn mix<V: Vector>(self, mix: &Mix, terms: &[[u32; 2]], weights: &[[u32; COORDINATES]]) {
        let (pairs, last) = terms.as_chunks::<2>();
        for row in (0..BLOCK).step_by(V::LANES) {
            // SAFETY: the caller vouches for the places.
            unsafe {
                let zero = V::zero().wide_mul(V::zero());
                let mut sums = [zero; COORDINATES];
                for &[[first, first_weight], [second, second_weight]] in pairs {
                    let (first, second) = (self.load::<V>(first, row), self.load::<V>(second, row));
                    let first_weight = &weights[first_weight as usize];
                    let second_weight = &weights[second_weight as usize];
                    for (c, sum) in sums.iter_mut().enumerate() {
                        *sum = first.wide_mul_add(V::splat(first_weight[c]), *sum);
                        *sum = second.wide_mul_add(V::splat(second_weight[c]), *sum);
                        *sum = V::wide_fold(*sum);
                    }
                }
                for &[place, weight] in last {
                    let value = self.load::<V>(place, row);
                    let weight = &weights[weight as usize];
                    for (c, sum) in sums.iter_mut().enumerate() {
                        *sum = V::wide_fold(value.wide_mul_add(V::splat(weight[c]), *sum));
                    }
                }
                for (target, sum) in mix.targets.into_iter().zip(sums) {
                    self.store(target, row, V::wide_reduce(sum));
                }
            }
        }
    }

    /// The vector of a column that begins at a row.
    ///
    /// # Safety
    /// `place` is a block's in the slab, and `row` a multiple of the vector's lanes in a block.
    #[inline(always)]
    unsafe fn load<V: Vector>(self, place: Place, row: usize) -> V {
        // SAFETY: the rows are inside of the slab.
        unsafe { V::load(self.words.add(place as usize + row)) }
    }

    /// # Safety
    /// As for `load`.
    #[inline(always)]
    unsafe fn store<V: Vector>(self, place: Place, row: usize, value: V) {
        // SAFETY: the rows are inside of the slab.
        unsafe { value.store(self.words.add(place as usize + row)) }
    }
}

/// Vectors that go through a formula together. Written out as loops, for what the standard library has for arrays is not
/// always inlined.
#[derive(Clone, Copy)]
struct Rows<V, const N: usize>([V; N]);

impl<V: Vector, const N: usize> Rows<V, N> {
    #[inline(always)]
    fn add(mut self, other: Self) -> Self {
        for (vector, other) in self.0.iter_mut().zip(other.0) {
            *vector = vector.add(other);
        }
        self
    }

    #[inline(always)]
    fn sub(mut self, other: Self) -> Self {
        for (vector, other) in self.0.iter_mut().zip(other.0) {
            *vector = vector.sub(other);
        }
        self
    }
}

// That the first products of a sum need no folding: their sum is below what folding takes off.
const _: () = assert!(2 * (P as u64 - 1) * (P as u64 - 1) < (P as u64) << u32::BITS);

/// A sum of products, reduced by as little as keeps it from overflowing.
struct Sum<V: Vector, const N: usize> {
    wide: [V::Wide; N],
    products: u32,
}

impl<V: Vector, const N: usize> Sum<V, N> {
    /// There is room for this many products in an empty sum, and for as many more each time that it is folded.
    const ROOM: u32 = 2;

    #[inline(always)]
    fn new() -> Self {
        Self { wide: [V::zero().wide_mul(V::zero()); N], products: 0 }
    }

    /// Adds `left * right`.
    #[inline(always)]
    fn add(&mut self, left: Rows<V, N>, right: Rows<V, N>) {
        if self.products == 0 {
            for (at, wide) in self.wide.iter_mut().enumerate() {
                *wide = left.0[at].wide_mul(right.0[at]);
            }
        } else {
            // The first products need no folding: their sum is as low as a folded one.
            if self.products > Self::ROOM && self.products.is_multiple_of(Self::ROOM) {
                self.fold();
            }
            for (at, wide) in self.wide.iter_mut().enumerate() {
                *wide = left.0[at].wide_mul_add(right.0[at], *wide);
            }
        }
        self.products += 1;
    }

    #[inline(always)]
    fn fold(&mut self) {
        for wide in &mut self.wide {
            *wide = V::wide_fold(*wide);
        }
    }

    /// The sum, if anything was added.
    #[inline(always)]
    fn end(mut self) -> Option<Rows<V, N>> {
        if self.products == 0 {
            return None;
        }
        if self.products > Self::ROOM {
            self.fold();
        }
        let mut rows = [V::zero(); N];
        for (vector, wide) in rows.iter_mut().zip(self.wide) {
            *vector = V::wide_reduce(wide);
        }
        Some(Rows(rows))
    }
}
