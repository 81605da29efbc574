//! Vectors of Baby Bear elements, and the choice of the widest that this machine has.
//!
//! [`Vector`] is what a kernel computes with; [`dispatch`] runs a [`Kernel`] with the vector type of an
//! [`Isa`]. The vector types themselves are not nameable outside: a kernel meets one only after `dispatch` has
//! checked that the machine executes its instructions, which is what makes the safe methods sound.
//!
//! Elements in memory are canonical: `u32` words below [`P`] in Montgomery form (R = 2^32). Every method of
//! `Vector` expects and returns canonical elements. Nothing checks that: words at or above `P` give wrong
//! numbers, never undefined behaviour.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod factors;
#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
mod neon;
mod scalar;
pub(crate) mod square;
#[cfg(target_arch = "x86_64")]
mod sse;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

pub use self::factors::Factors;
pub(crate) use self::factors::{fraction, remainder};

/// The field's modulus, 15 * 2^27 + 1.
pub const P: u32 = 0x7800_0001;

/// The inverse of [`P`] modulo 2^32: a Montgomery product subtracts `(low * MU mod 2^32) * P`.
pub const MU: u32 = 0x8800_0001;

const _: () = assert!(P.wrapping_mul(MU) == 1);

/// Lanes of canonical Baby Bear elements in Montgomery form.
///
/// Implemented by this crate's backends alone. All methods are meant to be inlined into a [`Kernel`].
pub trait Vector: Copy + Send + Sync + Sealed + 'static {
    /// Elements in one vector: 16, 8, 4 or 1.
    const LANES: usize;

    /// Registers that the machine has for vectors: 16 or 32.
    const REGISTERS: usize;

    /// A sum of unreduced 64-bit products, one a lane. See [`Vector::wide_mul`].
    type Wide: Copy;

    /// A factor for each lane that is known before what it multiplies, in the form that is multiplied with fastest.
    type Factor: Copy;

    /// Loads [`Vector::LANES`] consecutive words.
    ///
    /// # Safety
    /// `ptr` is valid for reads of `LANES` words. It need not be aligned beyond a word.
    unsafe fn load(ptr: *const u32) -> Self;

    /// Stores the lanes to consecutive words.
    ///
    /// # Safety
    /// `ptr` is valid for writes of `LANES` words. It need not be aligned beyond a word.
    unsafe fn store(self, ptr: *mut u32);

    /// Stores the lanes past the caches, where the ISA can: for memory that is written whole, and not read again soon.
    ///
    /// # Safety
    /// `ptr` is valid for writes of `LANES` words and aligned to as many. [`Vector::fence`] comes before
    /// anything by which other threads may learn of what was written.
    #[inline(always)]
    unsafe fn stream(self, ptr: *mut u32) {
        // SAFETY: the caller's promises are more than `store` wants.
        unsafe { self.store(ptr) }
    }

    /// Orders what [`Vector::stream`] wrote before what is written from here on.
    #[inline(always)]
    fn fence() {}

    /// `word` in every lane.
    fn splat(word: u32) -> Self;

    /// Sums.
    fn add(self, other: Self) -> Self;

    /// Differences.
    fn sub(self, other: Self) -> Self;

    /// Montgomery products: of `a * R` and `b * R` it is `a * b * R`.
    fn mul(self, other: Self) -> Self;

    /// Products with factors that were prepared: fewer instructions than [`Vector::mul`] on NEON and with one lane.
    fn times(self, factor: Self::Factor) -> Self;

    /// Prepares a factor for all lanes. With one lane that costs a division, so not for a single product.
    fn prepare(word: u32) -> Self::Factor;

    /// The factors that a table has from `at` on, one for each lane.
    ///
    /// # Panics
    /// If the table ends before that.
    fn factors(table: &Factors, at: usize) -> Self::Factor;

    /// The factor that a table has at `at`, for all lanes.
    ///
    /// # Panics
    /// If the table ends before that.
    fn factor(table: &Factors, at: usize) -> Self::Factor;

    /// The exact product of each lane's words, not reduced.
    ///
    /// A `Wide` holds at most two products more than a folded one or zero does: see
    /// [`Vector::wide_fold`].
    fn wide_mul(self, other: Self) -> Self::Wide;

    /// `wide + self * other`, not reduced.
    fn wide_mul_add(self, other: Self, wide: Self::Wide) -> Self::Wide;

    /// Sum of two; the limits of both add up.
    fn wide_add(left: Self::Wide, right: Self::Wide) -> Self::Wide;

    /// Makes room for two more products, for two or three instructions: takes `P * 2^32` off the lanes that hold as much.
    fn wide_fold(wide: Self::Wide) -> Self::Wide;

    /// Montgomery reduction of a `Wide` that was just folded or holds at most two products.
    fn wide_reduce(wide: Self::Wide) -> Self;

    /// Exchanges blocks of `BLOCK` lanes: the odd blocks of `self` for the even blocks of `other`. Its own inverse.
    ///
    /// With `BLOCK` 1, `[a0, a1, a2, a3]` and `[b0, b1, b2, b3]` give `[a0, b0, a2, b2]` and `[a1, b1, a3, b3]`.
    /// `BLOCK` is a power of two below [`Vector::LANES`].
    fn interleave<const BLOCK: usize>(self, other: Self) -> (Self, Self);

    /// Each lane four times, in order.
    fn spread(self) -> [Self; 4];

    /// Runs `kernel` as a function of its own, compiled for the same instructions: what several kernels have in common, and
    /// is long, need not be compiled into each.
    fn apart<K: Kernel>(kernel: K) -> K::Output;

    /// The zero vector.
    #[inline(always)]
    fn zero() -> Self {
        Self::splat(0)
    }

    /// Additive inverses.
    #[inline(always)]
    fn neg(self) -> Self {
        Self::zero().sub(self)
    }

    /// `self + self`.
    #[inline(always)]
    fn double(self) -> Self {
        self.add(self)
    }

    /// Loads the lanes from `slice[at..at + LANES]`.
    ///
    /// # Panics
    /// If the slice ends before that.
    #[inline(always)]
    fn read(slice: &[u32], at: usize) -> Self {
        let lanes = &slice[at..at + Self::LANES];
        // SAFETY: `lanes` is a slice of LANES words.
        unsafe { Self::load(lanes.as_ptr()) }
    }

    /// Stores the lanes to `slice[at..at + LANES]`.
    ///
    /// # Panics
    /// If the slice ends before that.
    #[inline(always)]
    fn write(self, slice: &mut [u32], at: usize) {
        let lanes = &mut slice[at..at + Self::LANES];
        // SAFETY: `lanes` is a slice of LANES words.
        unsafe { self.store(lanes.as_mut_ptr()) }
    }
}

/// [`Vector::Factor`] of the backends that gain nothing by preparing one: the words themselves.
#[cfg(target_arch = "x86_64")]
macro_rules! factors_are_words {
    () => {
        type Factor = Self;

        #[inline(always)]
        fn times(self, factor: Self) -> Self {
            self.mul(factor)
        }

        #[inline(always)]
        fn prepare(word: u32) -> Self {
            Self::splat(word)
        }

        #[inline(always)]
        fn factors(table: &super::Factors, at: usize) -> Self {
            Self::read(table.words(), at)
        }

        #[inline(always)]
        fn factor(table: &super::Factors, at: usize) -> Self {
            Self::splat(table.words()[at])
        }
    };
}
#[cfg(target_arch = "x86_64")]
use factors_are_words;

mod sealed {
    /// Keeps the vector types to those of this module.
    pub trait Sealed {}
}
use sealed::Sealed;

/// What one chunk of work does, whatever the width of the vectors.
///
/// `run` and all that it calls must be `#[inline(always)]`, and it hands no closures to other threads:
/// instructions beyond the build's baseline are inlined only inside the function that [`dispatch`] enters.
pub trait Kernel {
    /// What the work returns.
    type Output;

    /// Does the work with vectors of type `V`.
    fn run<V: Vector>(self) -> Self::Output;
}

/// An instruction set that this build has vectors for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Isa {
    /// One lane, on any machine.
    Scalar,
    /// 4 lanes, on any x86-64 machine.
    #[cfg(target_arch = "x86_64")]
    Sse2,
    /// 4 lanes.
    #[cfg(target_arch = "x86_64")]
    Sse41,
    /// 8 lanes.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 16 lanes; AVX-512 F, BW and VL.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// The same, and 52-bit multiplications for hashing: all with AVX-512 since Ice Lake and Zen 4.
    #[cfg(target_arch = "x86_64")]
    Avx512Ifma,
    /// 4 lanes.
    #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
    Neon,
}

impl Isa {
    /// All that this build has, the widest last.
    const ALL: &'static [Self] = &[
        Self::Scalar,
        #[cfg(target_arch = "x86_64")]
        Self::Sse2,
        #[cfg(target_arch = "x86_64")]
        Self::Sse41,
        #[cfg(target_arch = "x86_64")]
        Self::Avx2,
        #[cfg(target_arch = "x86_64")]
        Self::Avx512,
        #[cfg(target_arch = "x86_64")]
        Self::Avx512Ifma,
        #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
        Self::Neon,
    ];

    /// The widest that this machine executes. `STARLING_ISA` (one of the names of [`Isa::name`]) in the environment
    /// chooses another, for comparisons; a name that this machine lacks is passed over ([`Self::wanted`] tells).
    #[must_use]
    pub fn best() -> Self {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| {
            let wanted = Self::wanted().ok().flatten();
            wanted.or_else(|| Self::available().last()).unwrap_or(Self::Scalar)
        })
    }

    /// What `STARLING_ISA` names, if it is set.
    ///
    /// # Errors
    /// The name, when this machine has no such vectors.
    pub fn wanted() -> Result<Option<Self>, String> {
        let Some(wanted) = std::env::var_os("STARLING_ISA") else { return Ok(None) };
        let named = Self::available().find(|isa| wanted == isa.name());
        named.map(Some).ok_or_else(|| wanted.to_string_lossy().into_owned())
    }

    /// Those that this machine executes, the widest last.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(|isa| isa.is_available())
    }

    /// `scalar`, `sse2`, `sse41`, `avx2`, `avx512`, `avx512ifma` or `neon`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Self::Sse2 => "sse2",
            #[cfg(target_arch = "x86_64")]
            Self::Sse41 => "sse41",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Ifma => "avx512ifma",
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            Self::Neon => "neon",
        }
    }

    /// Elements in one vector.
    #[must_use]
    pub fn lanes(self) -> usize {
        match self {
            Self::Scalar => 1,
            #[cfg(target_arch = "x86_64")]
            Self::Sse2 | Self::Sse41 => 4,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => 8,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 | Self::Avx512Ifma => 16,
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            Self::Neon => 4,
        }
    }

    /// Whether this machine executes it.
    pub(crate) fn is_available(self) -> bool {
        match self {
            Self::Scalar => true,
            // Part of the target's baseline.
            #[cfg(target_arch = "x86_64")]
            Self::Sse2 => true,
            #[cfg(target_arch = "x86_64")]
            Self::Sse41 => is_x86_feature_detected!("sse4.1"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Ifma => {
                Self::Avx512.is_available() && is_x86_feature_detected!("avx512ifma")
            }
            // Part of the target's baseline where this variant exists.
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            Self::Neon => true,
        }
    }
}

/// Runs `kernel` with the vectors of `isa`.
///
/// # Panics
/// If this machine lacks `isa`: values of it come from [`Isa::best`] and [`Isa::available`].
#[inline]
pub fn dispatch<K: Kernel>(isa: Isa, kernel: K) -> K::Output {
    assert!(isa.is_available(), "this machine does not execute {}", isa.name());
    match isa {
        Isa::Scalar => kernel.run::<scalar::Scalar>(),
        #[cfg(target_arch = "x86_64")]
        Isa::Sse2 => sse::enter_sse2(kernel),
        // SAFETY: the machine has the features, as asserted above.
        #[cfg(target_arch = "x86_64")]
        Isa::Sse41 => unsafe { sse::enter_sse41(kernel) },
        // SAFETY: the machine has the features, as asserted above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { avx2::enter(kernel) },
        // SAFETY: the machine has the features, as asserted above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 | Isa::Avx512Ifma => unsafe { avx512::enter(kernel) },
        #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
        Isa::Neon => kernel.run::<neon::Neon>(),
    }
}
