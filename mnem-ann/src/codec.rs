//! Codes: a vector in a byte a number, with a bound on what is lost.
//!
//! A code is a function of the vector alone, so equal vectors have equal codes whatever was there before. Bytes: FORMAT.md,
//! "Vector codes".
//!
//! Invariants
//!  V1  The vector, turned, differs from `step * codes` by at most `error`, rounding of sums left aside.
//!  V2  Bytes that no encoder writes are refused.
//!
//! Used by: `table` (scan), `tree` (kept). Threads: no state.

use std::ops::Range;

use crate::kernel::{dot, fast, wide_dot};
use crate::rotation::Rotation;

const LENGTH: Range<usize> = 0..4;
const STEP: Range<usize> = LENGTH.end..LENGTH.end + 2;
const ERROR: Range<usize> = STEP.end..STEP.end + 2;

/// What stands before the codes.
pub(crate) const HEAD_BYTES: usize = ERROR.end;

/// Greatest code; the least is minus this.
const CODE_MAX: f32 = 127.0;

/// Sizes in between are coded as they are; others are brought there first.
const PLAIN_SIZES: std::ops::RangeInclusive<f32> = 1e-12..=1e12;

/// Added to a small number and taken away, it leaves the nearest integer, and of two the even one.
const ROUNDING: f32 = 12_582_912.0;

/// What stands before the codes of a vector.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Head {
    /// Length of the vector.
    pub(crate) length: f32,
    step: Short,
    error: Short,
}

impl Head {
    /// What one more in a code stands for.
    pub(crate) fn step(self) -> f32 {
        self.step.get()
    }

    /// How far at most the vector is from what the codes say.
    pub(crate) fn error(self) -> f32 {
        self.error.get()
    }
}

/// The upper half of a number that is not below zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Short(u16);

impl Short {
    /// Takes the number, or the next above it that there is.
    fn at_least(number: f32) -> Short {
        let bits = number.to_bits();
        // Above the greatest there is infinity, which is the one that follows it.
        let (upper, has_rest) = ((bits >> 16), bits & 0xffff != 0);
        Short(u16::try_from(upper + u32::from(has_rest)).unwrap_or(Short::INFINITE.0))
    }

    const INFINITE: Short = Short(0x7f80);

    fn get(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }
}

/// Why bytes are no code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodeDamage {
    /// A code has eight bytes and one for each number.
    #[error("a code of {expected} numbers has {found} bytes")]
    Length {
        /// How many numbers the model says.
        expected: usize,
        /// How many bytes there are.
        found: usize,
    },
    /// Lengths, steps and errors are numbers that are not below zero, the first two finite.
    #[error("the head of a code holds what no vector has")]
    Head,
    /// Codes are from -127 to 127.
    #[error("a code is out of range")]
    Range,
}

/// Makes codes of vectors with one count of numbers.
#[derive(Debug)]
pub(crate) struct Encoder {
    rotation: Rotation,
    turned: Vec<f32>,
}

impl Encoder {
    pub(crate) fn new(dim: usize) -> Encoder {
        Encoder { rotation: Rotation::new(dim), turned: vec![0.0; dim] }
    }

    /// Writes the code of a vector of finite numbers into `codes`, and returns its head.
    pub(crate) fn encode(&mut self, vector: &[f32], codes: &mut [i8]) -> Head {
        let length = length(vector);
        let size = vector.iter().fold(0.0_f32, |size, number| size.max(number.abs()));
        if size == 0.0 {
            codes.fill(0);
            return Head::default();
        }
        let power = if PLAIN_SIZES.contains(&size) { 1.0 } else { power_of_two_near(size) };
        for (turned, number) in self.turned.iter_mut().zip(vector) {
            *turned = quotient(*number, power);
        }
        self.rotation.turn(&mut self.turned);
        let (step, error) = quantize(&self.turned, codes);
        let real_step = product(step.get(), power);
        if Short::at_least(real_step).get() == real_step
            && real_step >= f32::MIN_POSITIVE
            && real_step.is_finite()
        {
            let error = Short::at_least(product(error, power));
            return Head { length, step: Short::at_least(real_step), error };
        }
        // So near to the ends of the range that steps have no room: the bound says that the code says nothing.
        codes.fill(0);
        Head { length, step: Short(0), error: Short::at_least(product(length, 1.01)) }
    }
}

/// Returns the length of a vector; of one that is too long, the greatest there is.
#[expect(clippy::cast_possible_truncation, reason = "rounded, and brought into the range first")]
pub(crate) fn length(vector: &[f32]) -> f32 {
    let square = dot(vector, vector);
    if (1e-30..=1e30).contains(&square) {
        return square.sqrt();
    }
    wide_dot(vector, vector).sqrt().min(f64::from(f32::MAX)) as f32
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "rounded; beyond the range it is infinite, which callers expect"
)]
fn product(a: f32, b: f64) -> f32 {
    (f64::from(a) * b) as f32
}

#[expect(clippy::cast_possible_truncation, reason = "a number divided by about the greatest of its vector")]
fn quotient(a: f32, b: f64) -> f32 {
    (f64::from(a) / b) as f32
}

fn power_of_two_near(size: f32) -> f64 {
    // All numbers of 32 bits are normal in 64: the exponent stands alone.
    f64::from_bits(f64::from(size).to_bits() & 0x7ff0_0000_0000_0000)
}

/// Finds the step for the greatest of `numbers`, writes the codes, and returns the step and what is lost.
fn quantize(numbers: &[f32], codes: &mut [i8]) -> (Short, f32) {
    fast(
        #[inline(always)]
        || {
            let size = greatest(numbers);
            let step = Short::at_least(size / CODE_MAX);
            let lost = round(numbers, step.get(), codes, |rounded| rounded.to_le_bytes()[0].cast_signed());
            // Sums of squares round too: the bound is for the true one.
            (step, lost.sqrt() * 1.001)
        },
    )
}

#[inline(always)]
fn greatest(numbers: &[f32]) -> f32 {
    let mut greatest = [0.0_f32; 16];
    let (chunks, rest) = numbers.as_chunks::<16>();
    for chunk in chunks {
        for (greatest, number) in greatest.iter_mut().zip(chunk) {
            let number = number.abs();
            *greatest = if number > *greatest { number } else { *greatest };
        }
    }
    let all = greatest.iter().copied().chain(rest.iter().map(|number| number.abs()));
    all.fold(0.0, |a, b| if b > a { b } else { a })
}

/// Writes each number in steps, rounded, and returns the sum of the squares of what is lost.
#[inline(always)]
fn round<T>(numbers: &[f32], step: f32, codes: &mut [T], code: impl Fn(u32) -> T) -> f32 {
    let inverse = 1.0 / step;
    let mut lost = [0.0_f32; 16];
    let mut one = |number: f32, out: &mut T, lane: usize| {
        let raised = number * inverse + ROUNDING;
        *out = code(raised.to_bits());
        let rest = number - (raised - ROUNDING) * step;
        lost[lane] += rest * rest;
    };
    let (chunks, rest) = numbers.as_chunks::<16>();
    let (code_chunks, code_rest) = codes.as_chunks_mut::<16>();
    for (chunk, codes) in chunks.iter().zip(code_chunks) {
        for lane in 0..16 {
            one(chunk[lane], &mut codes[lane], lane);
        }
    }
    for (lane, (number, out)) in rest.iter().zip(code_rest).enumerate() {
        one(*number, out, lane);
    }
    lost.iter().sum()
}

/// A vector to be compared with codes.
#[derive(Debug)]
pub(crate) struct CodedQuestion {
    pub(crate) codes: Vec<i16>,
    pub(crate) step: f32,
    pub(crate) length: f32,
    pub(crate) error: f32,
}

/// Greatest code of a question, fine enough to lose little beside the codes that it meets.
const QUESTION_MAX: f32 = 2047.0;

/// Terms whose sum has room in 32 bits: 2047 * 127 * 8192 is below 2^31.
const TERMS_MAX: usize = 8192;

impl CodedQuestion {
    /// Codes a question. `None` if it is so near to the ends of the range that no code says anything.
    pub(crate) fn new(vector: &[f32]) -> Option<CodedQuestion> {
        let length = length(vector);
        let size = vector.iter().fold(0.0_f32, |size, number| size.max(number.abs()));
        if !PLAIN_SIZES.contains(&size) {
            return None;
        }
        let mut turned = vector.to_vec();
        Rotation::new(vector.len()).turn(&mut turned);
        let step = greatest(&turned) / QUESTION_MAX;
        let mut codes = vec![0; vector.len()];
        let low = |rounded: u32| {
            let [first, second, ..] = rounded.to_le_bytes();
            i16::from_le_bytes([first, second])
        };
        let lost = round(&turned, step, &mut codes, low);
        Some(CodedQuestion { codes, step, length, error: lost.sqrt() * 1.001 })
    }

    /// Returns the dot product of the codes. Exact.
    #[inline(always)]
    pub(crate) fn dot(&self, codes: &[i8]) -> i64 {
        let term = |(a, b): (&i16, &i8)| i32::from(*a) * i32::from(*b);
        if codes.len() <= TERMS_MAX {
            return i64::from(self.codes.iter().zip(codes).map(term).sum::<i32>());
        }
        let parts = self.codes.chunks(TERMS_MAX).zip(codes.chunks(TERMS_MAX));
        parts.map(|(a, b)| i64::from(a.iter().zip(b).map(term).sum::<i32>())).sum()
    }
}

/// Appends the bytes of a code.
pub(crate) fn write(head: Head, codes: &[i8], out: &mut Vec<u8>) {
    out.extend_from_slice(&head.length.to_le_bytes());
    out.extend_from_slice(&head.step.0.to_le_bytes());
    out.extend_from_slice(&head.error.0.to_le_bytes());
    out.extend(codes.iter().map(|code| code.cast_unsigned()));
}

/// Reads the bytes of a code, and appends the codes.
pub(crate) fn read(bytes: &[u8], dim: usize, codes: &mut Vec<i8>) -> Result<Head, CodeDamage> {
    let wrong_length = CodeDamage::Length { expected: dim, found: bytes.len() };
    let (head, body) = bytes.split_first_chunk::<HEAD_BYTES>().ok_or(wrong_length)?;
    if body.len() != dim {
        return Err(wrong_length);
    }
    let short = |range: Range<usize>| Short(u16::from_le_bytes([head[range.start], head[range.start + 1]]));
    let length = f32::from_le_bytes([head[0], head[1], head[2], head[3]]);
    let head = Head { length, step: short(STEP), error: short(ERROR) };
    let is_sound = |number: f32| number.is_finite() && number.is_sign_positive();
    if !is_sound(length) || !is_sound(head.step()) || head.error.0 > Short::INFINITE.0 {
        return Err(CodeDamage::Head);
    }
    if body.contains(&0x80) {
        return Err(CodeDamage::Range);
    }
    codes.extend(body.iter().map(|code| code.cast_signed()));
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    fn encode(vector: &[f32]) -> (Head, Vec<i8>) {
        let mut codes = vec![1; vector.len()];
        let head = Encoder::new(vector.len()).encode(vector, &mut codes);
        (head, codes)
    }

    #[test]
    fn what_is_lost_is_within_the_bound_and_the_bound_is_tight() {
        let mut random = Random::new(3);
        for dim in [1, 2, 7, 16, 100, 384, 768] {
            for size in [1.0, 1e-20, 1e20, 1e-34, 1e37] {
                let vector: Vec<f32> = random.vector(dim).iter().map(|number| number * size).collect();
                let (head, codes) = encode(&vector);
                let mut turned: Vec<f32> = vector.iter().map(|number| number / size).collect();
                Rotation::new(dim).turn(&mut turned);
                let step = f64::from(head.step()) / f64::from(size);
                let lost = turned
                    .iter()
                    .zip(&codes)
                    .map(|(number, code)| f64::from(*number) - step * f64::from(*code));
                let lost = lost.map(|lost| lost * lost).sum::<f64>().sqrt();
                let bound = f64::from(head.error()) / f64::from(size);
                let slack = 1e-5 * f64::from(head.length / size);
                assert!(lost <= bound + slack, "{dim} {size}: {lost} {bound}");
                assert!(bound <= 0.02 * f64::from(head.length / size) + slack, "{dim} {size}: {head:?}");
            }
        }
    }

    #[test]
    fn vectors_at_the_ends_of_the_range_have_codes_that_say_nothing_or_the_truth() {
        assert_eq!(encode(&[0.0, 0.0]), (Head::default(), vec![0, 0]));
        for vector in [[f32::MAX, f32::MAX], [f32::MAX, f32::MIN], [1e-45, 0.0], [1e-45, 1e-44]] {
            let (head, codes) = encode(&vector);
            assert!(head.length > 0.0 && head.length.is_finite());
            let says_nothing = codes == [0, 0] && head.error() >= head.length;
            assert!(says_nothing || head.error() < 0.02 * head.length, "{vector:?} {head:?} {codes:?}");
        }
    }

    #[test]
    fn bytes_are_read_as_they_were_written_and_others_refused() {
        let vector = Random::new(9).vector(20);
        let (head, codes) = encode(&vector);
        let mut bytes = Vec::new();
        write(head, &codes, &mut bytes);
        let mut again = Vec::new();
        assert_eq!(read(&bytes, 20, &mut again), Ok(head));
        assert_eq!(again, codes);
        let refused = |bytes: &[u8]| read(bytes, 20, &mut Vec::new()).unwrap_err();
        assert_eq!(refused(&bytes[1..]), CodeDamage::Length { expected: 20, found: 27 });
        assert_eq!(refused(&[]), CodeDamage::Length { expected: 20, found: 0 });
        let with = |at: usize, byte: u8| {
            let mut bytes = bytes.clone();
            bytes[at] = byte;
            bytes
        };
        assert_eq!(refused(&with(3, 0xff)), CodeDamage::Head);
        assert_eq!(refused(&with(5, 0xff)), CodeDamage::Head);
        assert_eq!(refused(&with(7, 0xff)), CodeDamage::Head);
        assert_eq!(refused(&with(12, 0x80)), CodeDamage::Range);
    }

    #[test]
    fn dot_products_of_codes_are_exact_at_every_length() {
        for dim in [5, 8192, 8193, 20_000] {
            let question = CodedQuestion { codes: vec![-2047; dim], step: 1.0, length: 1.0, error: 0.0 };
            assert_eq!(question.dot(&vec![127; dim]), -2047 * 127 * i64::try_from(dim).unwrap());
        }
    }
}
