//! Registers of 32-bit words for [`super::words`], with the instructions it is written in: SSE4.1, AVX2 and AVX-512 (F, BW).
#![allow(unsafe_code)]

use core::arch::x86_64::*;

/// How far [`Words::tops`] shifts.
pub(super) const TOP_SHIFT: u32 = 23;

/// A register of 32-bit words, used as 64-bit and as 16-bit lanes too.
///
/// Implementations compute with instructions that only some machines have: [`crate::hash`] uses a type only
/// where they are there, which the methods' safety rests on.
pub(crate) trait Words: Copy {
    /// 32-bit words.
    const COUNT: usize;

    /// # Safety
    /// `ptr` is valid for reads of `COUNT` words.
    unsafe fn load(ptr: *const u32) -> Self;
    /// # Safety
    /// `ptr` is valid for writes of `COUNT` words.
    unsafe fn store(self, ptr: *mut u32);

    fn splat(word: u32) -> Self;
    fn splat_wide(number: u64) -> Self;
    fn splat_short(number: u16) -> Self;
    /// The same 128 bits throughout.
    fn splat_quad(numbers: [u64; 2]) -> Self;

    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    /// The smaller of unsigned words.
    fn min(self, other: Self) -> Self;
    fn quadruple(self) -> Self;

    fn add_wide(self, other: Self) -> Self;
    fn sub_wide(self, other: Self) -> Self;
    /// Products of the low words of 64-bit lanes.
    fn mul(self, other: Self) -> Self;
    /// Signed products of the low words of 64-bit lanes.
    fn mul_signed(self, other: Self) -> Self;
    /// The high word of each 64-bit lane in both.
    fn high(self) -> Self;
    /// The low word of each 64-bit lane in the place of the high one.
    fn raise(self) -> Self;
    /// The high words of two, as even and odd words.
    fn merge(even: Self, odd: Self) -> Self;

    /// The top 9 bits of words, signed, in 16-bit lanes: those of both in each 128 bits.
    fn tops(self, other: Self) -> Self;
    /// What [`Words::tops`] had of one changes places with what it had of the other.
    fn swap(self) -> Self;
    /// 16-bit lanes to the low halves of words and those of `high` to the high ones, in two registers as given to
    /// [`Words::tops`].
    fn spread(self, high: Self) -> (Self, Self);
    fn add_short(self, other: Self) -> Self;
    fn quadruple_short(self) -> Self;
    /// The high halves of unsigned 16-bit products.
    fn mul_high_short(self, other: Self) -> Self;
    /// The low halves of 16-bit products.
    fn mul_low_short(self, other: Self) -> Self;
}

macro_rules! splats {
    ($($name:ident($number:ty) => $intrinsic:expr;)*) => {
        $(
            #[inline(always)]
            fn $name(number: $number) -> Self {
                // SAFETY: the machine has the instruction, see `Words`.
                unsafe { $intrinsic(number.cast_signed()) }
            }
        )*
    };
}

macro_rules! unary {
    ($($name:ident => $intrinsic:expr;)*) => {
        $(
            #[inline(always)]
            fn $name(self) -> Self {
                // SAFETY: the machine has the instruction, see `Words`.
                unsafe { $intrinsic(self) }
            }
        )*
    };
}

macro_rules! binary {
    ($($name:ident => $intrinsic:expr;)*) => {
        $(
            #[inline(always)]
            fn $name(self, other: Self) -> Self {
                // SAFETY: the machine has the instruction, see `Words`.
                unsafe { $intrinsic(self, other) }
            }
        )*
    };
}

impl Words for __m128i {
    const COUNT: usize = 4;

    #[inline(always)]
    unsafe fn load(ptr: *const u32) -> Self {
        // SAFETY: the caller vouches for the words.
        unsafe { _mm_loadu_si128(ptr.cast()) }
    }

    #[inline(always)]
    unsafe fn store(self, ptr: *mut u32) {
        // SAFETY: the caller vouches for the words.
        unsafe { _mm_storeu_si128(ptr.cast(), self) }
    }

    splats! {
        splat(u32) => _mm_set1_epi32;
        splat_wide(u64) => _mm_set1_epi64x;
        splat_short(u16) => _mm_set1_epi16;
    }

    #[inline(always)]
    fn splat_quad(numbers: [u64; 2]) -> Self {
        let [low, high] = numbers.map(u64::cast_signed);
        // SAFETY: the machine has the instruction, see `Words`.
        unsafe { _mm_set_epi64x(high, low) }
    }

    binary! {
        add => _mm_add_epi32;
        sub => _mm_sub_epi32;
        min => _mm_min_epu32;
        add_wide => _mm_add_epi64;
        sub_wide => _mm_sub_epi64;
        mul => _mm_mul_epu32;
        mul_signed => _mm_mul_epi32;
        add_short => _mm_add_epi16;
        mul_high_short => _mm_mulhi_epu16;
        mul_low_short => _mm_mullo_epi16;
    }

    unary! {
        quadruple => _mm_slli_epi32::<2>;
        quadruple_short => _mm_slli_epi16::<2>;
        high => _mm_shuffle_epi32::<HIGH_TWICE>;
        raise => _mm_slli_epi64::<32>;
        swap => _mm_shuffle_epi32::<SWAP>;
    }

    #[inline(always)]
    fn merge(even: Self, odd: Self) -> Self {
        // SAFETY: the machine has the instruction, see `Words`.
        unsafe { _mm_blend_epi16::<0b1100_1100>(even.high(), odd) }
    }

    #[inline(always)]
    fn tops(self, other: Self) -> Self {
        // SAFETY: the machine has the instructions, see `Words`.
        unsafe {
            const SHIFT: i32 = TOP_SHIFT.cast_signed();
            _mm_packs_epi32(_mm_srai_epi32::<SHIFT>(self), _mm_srai_epi32::<SHIFT>(other))
        }
    }

    #[inline(always)]
    fn spread(self, high: Self) -> (Self, Self) {
        // SAFETY: the machine has the instructions, see `Words`.
        unsafe { (_mm_unpacklo_epi16(self, high), _mm_unpackhi_epi16(self, high)) }
    }
}

impl Words for __m256i {
    const COUNT: usize = 8;

    #[inline(always)]
    unsafe fn load(ptr: *const u32) -> Self {
        // SAFETY: the caller vouches for the words.
        unsafe { _mm256_loadu_si256(ptr.cast()) }
    }

    #[inline(always)]
    unsafe fn store(self, ptr: *mut u32) {
        // SAFETY: the caller vouches for the words.
        unsafe { _mm256_storeu_si256(ptr.cast(), self) }
    }

    splats! {
        splat(u32) => _mm256_set1_epi32;
        splat_wide(u64) => _mm256_set1_epi64x;
        splat_short(u16) => _mm256_set1_epi16;
    }

    #[inline(always)]
    fn splat_quad(numbers: [u64; 2]) -> Self {
        let [low, high] = numbers.map(u64::cast_signed);
        // SAFETY: the machine has the instruction, see `Words`.
        unsafe { _mm256_broadcastsi128_si256(_mm_set_epi64x(high, low)) }
    }

    binary! {
        add => _mm256_add_epi32;
        sub => _mm256_sub_epi32;
        min => _mm256_min_epu32;
        add_wide => _mm256_add_epi64;
        sub_wide => _mm256_sub_epi64;
        mul => _mm256_mul_epu32;
        mul_signed => _mm256_mul_epi32;
        add_short => _mm256_add_epi16;
        mul_high_short => _mm256_mulhi_epu16;
        mul_low_short => _mm256_mullo_epi16;
    }

    unary! {
        quadruple => _mm256_slli_epi32::<2>;
        quadruple_short => _mm256_slli_epi16::<2>;
        high => _mm256_shuffle_epi32::<HIGH_TWICE>;
        raise => _mm256_slli_epi64::<32>;
        swap => _mm256_shuffle_epi32::<SWAP>;
    }

    #[inline(always)]
    fn merge(even: Self, odd: Self) -> Self {
        // SAFETY: the machine has the instruction, see `Words`.
        unsafe { _mm256_blend_epi32::<0b1010_1010>(even.high(), odd) }
    }

    #[inline(always)]
    fn tops(self, other: Self) -> Self {
        // SAFETY: the machine has the instructions, see `Words`.
        unsafe {
            const SHIFT: i32 = TOP_SHIFT.cast_signed();
            _mm256_packs_epi32(_mm256_srai_epi32::<SHIFT>(self), _mm256_srai_epi32::<SHIFT>(other))
        }
    }

    #[inline(always)]
    fn spread(self, high: Self) -> (Self, Self) {
        // SAFETY: the machine has the instructions, see `Words`.
        unsafe { (_mm256_unpacklo_epi16(self, high), _mm256_unpackhi_epi16(self, high)) }
    }
}

impl Words for __m512i {
    const COUNT: usize = 16;

    #[inline(always)]
    unsafe fn load(ptr: *const u32) -> Self {
        // SAFETY: the caller vouches for the words.
        unsafe { _mm512_loadu_si512(ptr.cast()) }
    }

    #[inline(always)]
    unsafe fn store(self, ptr: *mut u32) {
        // SAFETY: the caller vouches for the words.
        unsafe { _mm512_storeu_si512(ptr.cast(), self) }
    }

    splats! {
        splat(u32) => _mm512_set1_epi32;
        splat_wide(u64) => _mm512_set1_epi64;
        splat_short(u16) => _mm512_set1_epi16;
    }

    #[inline(always)]
    fn splat_quad(numbers: [u64; 2]) -> Self {
        let [low, high] = numbers.map(u64::cast_signed);
        // SAFETY: the machine has the instruction, see `Words`.
        unsafe { _mm512_broadcast_i32x4(_mm_set_epi64x(high, low)) }
    }

    binary! {
        add => _mm512_add_epi32;
        sub => _mm512_sub_epi32;
        min => _mm512_min_epu32;
        add_wide => _mm512_add_epi64;
        sub_wide => _mm512_sub_epi64;
        mul => _mm512_mul_epu32;
        mul_signed => vpmuldq;
        add_short => _mm512_add_epi16;
        mul_high_short => _mm512_mulhi_epu16;
        mul_low_short => _mm512_mullo_epi16;
    }

    unary! {
        quadruple => _mm512_slli_epi32::<2>;
        quadruple_short => _mm512_slli_epi16::<2>;
        high => _mm512_shuffle_epi32::<HIGH_TWICE>;
        raise => _mm512_slli_epi64::<32>;
        swap => _mm512_shuffle_epi32::<SWAP>;
    }

    #[inline(always)]
    fn merge(even: Self, odd: Self) -> Self {
        // SAFETY: the machine has the instruction, see `Words`.
        unsafe { merge_high(even, odd) }
    }

    #[inline(always)]
    fn tops(self, other: Self) -> Self {
        // SAFETY: the machine has the instructions, see `Words`.
        unsafe {
            _mm512_packs_epi32(
                _mm512_srai_epi32::<TOP_SHIFT>(self),
                _mm512_srai_epi32::<TOP_SHIFT>(other),
            )
        }
    }

    #[inline(always)]
    fn spread(self, high: Self) -> (Self, Self) {
        // SAFETY: the machine has the instructions, see `Words`.
        unsafe { (_mm512_unpacklo_epi16(self, high), _mm512_unpackhi_epi16(self, high)) }
    }
}

/// Words 1, 1, 3 and 3 of each 128 bits.
const HIGH_TWICE: i32 = 0b11_11_01_01;

/// Words 2, 3, 0 and 1 of each 128 bits.
const SWAP: i32 = 0b01_00_11_10;

/// `_mm512_mul_epi32`, opaque to the compiler: it would write out the sign extension of a low word, in two instructions,
/// wherever an operand is itself a product.
#[inline]
#[target_feature(enable = "avx512f")]
fn vpmuldq(a: __m512i, b: __m512i) -> __m512i {
    let product;
    // SAFETY: the instruction reads and writes registers alone.
    unsafe {
        core::arch::asm!(
            "vpmuldq {}, {}, {}",
            lateout(zmm_reg) product, in(zmm_reg) a, in(zmm_reg) b,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    product
}

/// `_mm512_mask_movehdup_ps`, opaque to the compiler: it would take two instructions for it.
#[inline]
#[target_feature(enable = "avx512f")]
fn merge_high(even: __m512i, odd: __m512i) -> __m512i {
    /// The even words.
    const EVEN: u16 = 0x5555;
    let mut merged = odd;
    // SAFETY: the instruction reads and writes registers alone.
    unsafe {
        core::arch::asm!(
            "vmovshdup {}{{{}}}, {}",
            inout(zmm_reg) merged, in(kreg) EVEN, in(zmm_reg) even,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    merged
}
