//! Turns vectors so that no number of them stands out: then few bits a number say much.
//!
//! Twice: signs are changed, and the first and the last `p` numbers are each put through a Hadamard transform, `p` being
//! the greatest power of two that is not above their count. Angles and lengths stay but for rounding. FORMAT.md, "Vector
//! codes".

use crate::kernel::fast;

/// Context of the bits that say whose sign changes.
const SIGNS: &str = "mnem vector rotation v1";

const ROUNDS: usize = 2;

/// The turn of all vectors with one count of numbers.
#[derive(Clone, Debug)]
pub(crate) struct Rotation {
    /// One or minus one, for each round and number.
    signs: Vec<f32>,
    dim: usize,
    part: usize,
    /// Keeps lengths as they are.
    scale: f32,
}

impl Rotation {
    pub(crate) fn new(dim: usize) -> Rotation {
        let mut bits = vec![0; (ROUNDS * dim).div_ceil(8)];
        blake3::Hasher::new_derive_key(SIGNS).finalize_xof().fill(&mut bits);
        let sign = |at: usize| if bits[at / 8] >> (at % 8) & 1 == 0 { 1.0 } else { -1.0 };
        let part = if dim == 0 { 0 } else { 1 << dim.ilog2() };
        let scale = if part == 0 { 1.0 } else { 1.0 / (part as f32).sqrt() };
        Rotation { signs: (0..ROUNDS * dim).map(sign).collect(), dim, part, scale }
    }

    /// Turns a vector.
    pub(crate) fn turn(&self, vector: &mut [f32]) {
        fast(
            #[inline(always)]
            || self.turn_in(vector),
        );
    }

    #[inline(always)]
    fn turn_in(&self, vector: &mut [f32]) {
        for round in 0..ROUNDS {
            let signs = &self.signs[round * self.dim..][..self.dim];
            for (number, sign) in vector.iter_mut().zip(signs) {
                *number *= sign;
            }
            hadamard(&mut vector[..self.part], self.scale);
            if self.part < self.dim {
                hadamard(&mut vector[self.dim - self.part..], self.scale);
            }
        }
    }
}

#[inline(always)]
fn hadamard(numbers: &mut [f32], scale: f32) {
    let mut half = 1;
    while half < numbers.len() {
        for pair in numbers.chunks_exact_mut(2 * half) {
            let (low, high) = pair.split_at_mut(half);
            for (a, b) in low.iter_mut().zip(high) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        half *= 2;
    }
    for number in numbers {
        *number *= scale;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::dot;
    use crate::testing::Random;

    #[test]
    fn angles_and_lengths_stay_and_nothing_stands_out() {
        let mut random = Random::new(7);
        for dim in [1, 2, 3, 100, 128, 384, 768] {
            let rotation = Rotation::new(dim);
            let (a, b) = (random.vector(dim), random.vector(dim));
            let (mut turned_a, mut turned_b) = (a.clone(), b.clone());
            rotation.turn(&mut turned_a);
            rotation.turn(&mut turned_b);
            let size = (dot(&a, &a) * dot(&b, &b)).sqrt();
            assert!((dot(&a, &b) - dot(&turned_a, &turned_b)).abs() < 1e-5 * size, "{dim}");
            assert!((dot(&a, &a) - dot(&turned_a, &turned_a)).abs() < 1e-5 * dot(&a, &a), "{dim}");
        }
        let mut one = vec![0.0; 384];
        one[5] = 1.0;
        Rotation::new(384).turn(&mut one);
        assert!(one.iter().all(|number| number.abs() < 0.4), "{one:?}");
        Rotation::new(0).turn(&mut []);
    }
}
