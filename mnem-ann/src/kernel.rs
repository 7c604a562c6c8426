//! Sums over vectors, in one order: the same bits on every machine.
//!
//! Bytes of the same numbers give the same score only if they are added in the same order. So the order is laid down:
//! lane `l` of [`LANES`] adds up terms `l`, `l + LANES`, ... from zero on; then the upper half of the lanes is added to the
//! lower, until one is left. Compilers make vectors of any width of that, and none contracts a product and a sum into one.
//!
//! Invariants
//!  K1  `dot` and `square_distance` have the bits of the plain loops of the tests, whatever instructions there are.
//!
//! Used by: `question`, `codec`. Threads: no state.

use pulp::{Arch, WithSimd};

/// Sums side by side. Part of what a score is: another number gives other bits.
pub(crate) const LANES: usize = 32;

/// Numbers that are added up.
pub(crate) trait Number: Copy + Default + std::ops::AddAssign {
    fn from_f32(number: f32) -> Self;
}

impl Number for f32 {
    #[inline(always)]
    fn from_f32(number: f32) -> f32 {
        number
    }
}

impl Number for f64 {
    #[inline(always)]
    fn from_f32(number: f32) -> f64 {
        f64::from(number)
    }
}

/// Runs work with the best instructions that the processor has. What is to profit has to be inlined into `work`.
#[inline(always)]
pub(crate) fn fast<R>(work: impl FnMut() -> R) -> R {
    Arch::new().dispatch(Work(work))
}

/// Calls its closure in place: called as a `FnOnce` it would be a function of its own, without those instructions.
struct Work<F>(F);

impl<R, F: FnMut() -> R> WithSimd for Work<F> {
    type Output = R;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(mut self, _: S) -> R {
        (self.0)()
    }
}

/// Adds up the terms of two vectors of the same length.
#[inline(always)]
fn lanes<N: Number>(a: &[f32], b: &[f32], term: impl Fn(N, N) -> N) -> N {
    assert_eq!(a.len(), b.len(), "vectors of one model");
    let mut sums = [N::default(); LANES];
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] += term(N::from_f32(a[lane]), N::from_f32(b[lane]));
        }
    }
    for (lane, (a, b)) in a_rest.iter().zip(b_rest).enumerate() {
        sums[lane] += term(N::from_f32(*a), N::from_f32(*b));
    }
    fold(sums)
}

#[inline(always)]
fn fold<N: Number>(mut sums: [N; LANES]) -> N {
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            let upper = sums[lane + width];
            sums[lane] += upper;
        }
        width /= 2;
    }
    sums[0]
}

/// Returns the dot product.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    fast(
        #[inline(always)]
        || lanes::<f32>(a, b, |a, b| a * b),
    )
}

/// Returns the square of the distance.
pub(crate) fn square_distance(a: &[f32], b: &[f32]) -> f32 {
    fast(
        #[inline(always)]
        || lanes::<f32>(a, b, |a, b| (a - b) * (a - b)),
    )
}

/// The dot product where 32 bits overflow or vanish.
pub(crate) fn wide_dot(a: &[f32], b: &[f32]) -> f64 {
    lanes::<f64>(a, b, |a, b| a * b)
}

/// The square of the distance where 32 bits overflow or vanish.
pub(crate) fn wide_square_distance(a: &[f32], b: &[f32]) -> f64 {
    lanes::<f64>(a, b, |a, b| (a - b) * (a - b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    /// The order as the header says it, in plain loops.
    fn plain(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
        let mut sums = [0.0_f32; LANES];
        for (lane, sum) in sums.iter_mut().enumerate() {
            let mut at = lane;
            while at < a.len() {
                *sum = std::hint::black_box(*sum + std::hint::black_box(term(a[at], b[at])));
                at += LANES;
            }
        }
        let mut width = LANES;
        while width > 1 {
            width /= 2;
            for lane in 0..width {
                sums[lane] = std::hint::black_box(sums[lane] + sums[lane + width]);
            }
        }
        sums[0]
    }

    #[test]
    fn vector_instructions_give_the_bits_of_plain_loops() {
        let mut random = Random::new(1);
        for length in [0, 1, 3, 31, 32, 33, 63, 64, 100, 384, 768, 1000] {
            for _ in 0..20 {
                let (a, b) = (random.vector(length), random.vector(length));
                assert_eq!(dot(&a, &b).to_bits(), plain(&a, &b, |a, b| a * b).to_bits(), "{length}");
                assert_eq!(
                    square_distance(&a, &b).to_bits(),
                    plain(&a, &b, |a, b| (a - b) * (a - b)).to_bits(),
                    "{length}"
                );
            }
        }
    }
}
