//! What the rows of a trace add to the running sums in the accumulator columns.
//!
//! A row's *arm* (what kind of row it is) decides which fractions it adds. Rows of one arm are gathered, so that every
//! vector of rows runs one program: the fractions of a column come out of it as one divisor and one dividend, and all
//! divisors of a row are inverted at the cost of one inversion. How sums go on from row to row is the caller's.

use risc0_zkp::taps::TapSet;
use starling_babybear::vector::{Isa, Kernel, Vector, dispatch};

use super::LoadError;
use super::bytecode::{self, COORDINATES};
use super::extension::{ExtVector, add, inverse, one, product, zero};
use super::kernel::Picked;
use super::plan::{BLOCK, Place, Plan, Slab};

/// Columns that a row's sum goes through, at most: a bound for the memory on the stack.
const TARGETS_MAX: usize = 32;

/// The running sums of a circuit, ready to be computed.
#[derive(Debug)]
pub struct RunningSums {
    arms: Vec<Arm>,
    /// The group of the sums' columns.
    group: usize,
    /// The first columns of the elements that sums go through, in order; a row's total is the last.
    elements: Vec<usize>,
}

/// Rows of one kind.
#[derive(Debug)]
struct Arm {
    /// Group and column of what is not zero in such rows.
    selector: (usize, usize),
    /// Where the sum is shown after each quotient: indices of [`RunningSums::elements`].
    targets: Vec<usize>,
    plan: Plan,
}

/// What rows are computed from.
#[derive(Clone, Copy, Debug)]
pub struct Trace<'a> {
    /// The vectors to use.
    pub isa: Isa,
    /// The rows of the trace.
    pub rows: usize,
    /// The groups in the order of the taps: column after column; those that no arm reads may be empty.
    pub groups: &'a [&'a [u32]],
    /// The lists of globals, in the order in which the verifier hands them to the constraints.
    pub globals: &'a [&'a [u32]],
}

impl RunningSums {
    pub(super) fn new(bytecode: &[u8], taps: &TapSet<'_>) -> Result<Self, LoadError> {
        let sums = bytecode::Sums::decode(bytecode)?;
        let columns = Columns { taps };
        let (group, total) = columns.element(sums.total, 0)?;
        if columns.element(sums.carry, 1)? != (group, total) {
            return Err(LoadError::Sums("go on from another column than they end in"));
        }
        let mut elements = vec![total];
        for target in sums.arms.iter().flat_map(|arm| &arm.targets) {
            let (target_group, element) = columns.element(*target, 0)?;
            if target_group != group {
                return Err(LoadError::Sums("go through columns of several groups"));
            }
            elements.push(element);
        }
        elements.sort_unstable();
        elements.dedup();
        let contiguous = elements.windows(2).all(|pair| pair[0] + COORDINATES == pair[1]);
        if !contiguous || elements.last() != Some(&total) {
            return Err(LoadError::Sums("do not go through neighbours, the total last"));
        }

        let arms = sums.arms.iter().map(|arm| {
            let (selector_group, selector, _) = columns.tap(arm.selector)?;
            let expected = 2 * COORDINATES * arm.targets.len();
            if arm.code.roots.len() != expected {
                return Err(LoadError::Roots { found: arm.code.roots.len(), expected });
            }
            let plan = Plan::new(&arm.code, taps, 1)?;
            let foreign = plan.windows.iter().any(|window| window.group == group);
            if foreign || plan.windows.iter().any(|window| window.reach != 0) {
                return Err(LoadError::Sums("depend on other rows or on themselves"));
            }
            if arm.targets.len() > TARGETS_MAX || arm.targets.is_empty() {
                return Err(LoadError::Sums("go through too many columns or through none"));
            }
            let targets = arm.targets.iter().map(|target| {
                let (_, column) = columns.element(*target, 0)?;
                Ok((column - elements[0]) / COORDINATES)
            });
            let targets = targets.collect::<Result<_, LoadError>>()?;
            Ok(Arm { selector: (selector_group, selector), targets, plan })
        });
        let arms = arms.collect::<Result<_, LoadError>>()?;
        Ok(Self { arms, group, elements })
    }

    /// The group of the columns.
    #[must_use]
    pub fn group(&self) -> usize {
        self.group
    }

    /// The first column of the group that sums go through; they go through all from there on.
    #[must_use]
    pub fn first_column(&self) -> usize {
        self.elements[0]
    }

    /// How many extension elements a row's sum goes through. The last is the row's total.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.elements.len()
    }

    /// Writes to the cells of the rows from `start` on what they would hold if the row were the first. `columns` are the
    /// parts that these rows have of the columns from [`RunningSums::first_column`] on. Cells that the row's arm does not
    /// go through stay as they are, but the total: that of a row without an arm is zero.
    ///
    /// # Panics
    ///
    /// When the shapes disagree.
    pub fn add_rows(&self, trace: &Trace<'_>, start: usize, columns: &mut [&mut [u32]]) {
        assert_eq!(columns.len(), COORDINATES * self.elements(), "columns of running sums");
        let total = columns.len() - COORDINATES;
        for column in &mut columns[total..] {
            column.fill(0);
        }
        let rows = columns[0].len();
        let mut left: Vec<u32> = (start as u32..(start + rows) as u32).collect();
        let mut sums = vec![0; TARGETS_MAX * COORDINATES * BLOCK];
        for arm in &self.arms {
            let (group, column) = arm.selector;
            let selector = &trace.groups[group][column * trace.rows..][..trace.rows];
            let mine: Vec<u32> = left.extract_if(.., |row| selector[*row as usize] != 0).collect();
            if mine.is_empty() {
                continue;
            }
            let mut slab = arm.plan.slab(trace.globals, &[0]);
            for rows in mine.chunks(BLOCK) {
                let sums = &mut sums[..arm.targets.len() * COORDINATES * BLOCK];
                arm.run(trace, rows, &mut slab, sums);
                for (target, sums) in arm.targets.iter().zip(sums.chunks(COORDINATES * BLOCK)) {
                    scatter(&mut columns[target * COORDINATES..], sums, rows, start);
                }
                let last = &sums[(arm.targets.len() - 1) * COORDINATES * BLOCK..];
                scatter(&mut columns[total..], last, rows, start);
            }
        }
    }
}

impl Arm {
    /// Writes to `sums` what the sum is after each quotient, in up to [`BLOCK`] `rows`.
    fn run(&self, trace: &Trace<'_>, rows: &[u32], slab: &mut Slab, sums: &mut [u32]) {
        // The last row again fills a block up.
        let last = rows[rows.len() - 1];
        let mut picked = [last; BLOCK];
        picked[..rows.len()].copy_from_slice(rows);
        let Trace { isa, rows, groups, .. } = *trace;
        dispatch(isa, Picked { plan: &self.plan, slab: &mut *slab, groups, rows, picked: &picked });
        dispatch(isa, Quotients { roots: &self.plan.roots, slab: slab.columns(), sums });
    }
}

/// Writes the coordinates of an element to its columns, in `rows`.
fn scatter(columns: &mut [&mut [u32]], element: &[u32], rows: &[u32], start: usize) {
    for (column, words) in columns.iter_mut().zip(element.chunks(BLOCK)).take(COORDINATES) {
        for (row, word) in rows.iter().zip(words) {
            column[*row as usize - start] = *word;
        }
    }
}

/// Divides and adds up a block of rows.
struct Quotients<'a> {
    /// Where each divisor's coordinates are in the slab, and each dividend's.
    roots: &'a [Place],
    slab: &'a [u32],
    /// Where the coordinates of the sums go: a block each.
    sums: &'a mut [u32],
}

impl Kernel for Quotients<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let (pairs, _) = self.roots.as_chunks::<{ 2 * COORDINATES }>();
        for row in (0..BLOCK).step_by(V::LANES) {
            let read = |places: &[Place]| -> ExtVector<V> {
                let mut value = zero();
                for (vector, place) in value.iter_mut().zip(places) {
                    *vector = V::read(self.slab, *place as usize + row);
                }
                value
            };
            let mut befores = [zero::<V>(); TARGETS_MAX];
            let mut all = one();
            for (pair, before) in pairs.iter().zip(&mut befores) {
                *before = all;
                all = product(all, read(&pair[..COORDINATES]));
            }
            let mut rest = inverse(all);
            for (pair, before) in pairs.iter().zip(&mut befores).rev() {
                let inverse = product(*before, rest);
                rest = product(rest, read(&pair[..COORDINATES]));
                *before = product(inverse, read(&pair[COORDINATES..]));
            }
            let mut sum = zero();
            for (at, quotient) in befores.iter().enumerate().take(pairs.len()) {
                sum = add(sum, *quotient);
                for (coordinate, vector) in sum.into_iter().enumerate() {
                    vector.write(self.sums, (at * COORDINATES + coordinate) * BLOCK + row);
                }
            }
        }
    }
}

/// Looks taps up.
struct Columns<'a> {
    taps: &'a TapSet<'a>,
}

impl Columns<'_> {
    /// The group and column of a tap, and how many rows back it reads.
    fn tap(&self, tap: u32) -> Result<(usize, usize, usize), LoadError> {
        let count = self.taps.tap_size();
        let data = self.taps.taps[..count].get(tap as usize);
        let data = data.ok_or(super::PlanError::Tap { tap, count })?;
        Ok((data.group, data.offset.into(), data.back.into()))
    }

    /// The group and the first column of an element whose coordinates are neighbours, all read `back` rows back.
    fn element(&self, taps: [u32; COORDINATES], back: usize) -> Result<(usize, usize), LoadError> {
        let (group, first, _) = self.tap(taps[0])?;
        for (coordinate, tap) in taps.into_iter().enumerate() {
            if self.tap(tap)? != (group, first + coordinate, back) {
                return Err(LoadError::Sums("are in columns that are not neighbours"));
            }
        }
        Ok((group, first))
    }
}
