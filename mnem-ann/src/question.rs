//! What is asked for, and how near a vector is to it.

use mnem_core::NodeId;
use mnem_core::object::{Metric, Model};

use crate::error::{SearchError, Unfit};
use crate::kernel::{dot, square_distance, wide_dot, wide_square_distance};

/// Squares in between have all their bits in 32; others are taken in 64.
const SAFE_SQUARES: std::ops::RangeInclusive<f32> = 1e-30..=1e30;

/// Ways of being near that this version knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nearness {
    Cosine,
    Dot,
    L2,
}

impl Nearness {
    /// Returns the score for a measure, which is the score but for distances: those are squared.
    pub(crate) fn score(self, measure: f32) -> f32 {
        match self {
            Nearness::Cosine => measure.clamp(-1.0, 1.0),
            Nearness::Dot => measure,
            Nearness::L2 => -(-measure).max(0.0).sqrt() + 0.0,
        }
    }

    pub(crate) fn of(model: &Model) -> Result<Nearness, SearchError> {
        match &model.metric {
            Metric::Cosine => Ok(Nearness::Cosine),
            Metric::Dot => Ok(Nearness::Dot),
            Metric::L2 => Ok(Nearness::L2),
            other => {
                let (model, metric) = (model.name.to_string(), other.as_str().to_owned());
                Err(SearchError::UnknownMetric { model, metric })
            }
        }
    }
}

/// Says what is wrong with numbers as a vector of a model.
pub(crate) fn unfit(dim: u32, nearness: Nearness, vector: &[f32]) -> Option<Unfit> {
    if u32::try_from(vector.len()) != Ok(dim) {
        return Some(Unfit::Dimension { expected: dim, found: vector.len() });
    }
    if let Some(at) = vector.iter().position(|number| !number.is_finite()) {
        return Some(Unfit::NotFinite { at });
    }
    let is_zero = nearness == Nearness::Cosine && vector.iter().all(|number| *number == 0.0);
    is_zero.then_some(Unfit::Zero)
}

/// A vector of a model, to which others are near or far.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) vector: Vec<f32>,
    pub(crate) nearness: Nearness,
    pub(crate) model: Model,
    square: f32,
}

impl Question {
    pub(crate) fn new(model: &Model, vector: &[f32]) -> Result<Question, SearchError> {
        let nearness = Nearness::of(model)?;
        if let Some(why) = unfit(model.dim, nearness, vector) {
            return Err(SearchError::Question { model: model.name.to_string(), why });
        }
        let square = dot(vector, vector);
        Ok(Question { vector: vector.to_vec(), nearness, model: model.clone(), square })
    }

    /// Returns how near the vector of a node is: the greater the nearer.
    pub(crate) fn score_of(&self, node: NodeId, vector: &[f32]) -> Result<f32, SearchError> {
        match unfit(self.model.dim, self.nearness, vector) {
            None => Ok(self.score(vector)),
            Some(why) => Err(SearchError::Node { node, model: self.model.name.to_string(), why }),
        }
    }

    fn score(&self, vector: &[f32]) -> f32 {
        let score = match self.nearness {
            Nearness::Cosine => self.cosine(vector),
            Nearness::Dot => {
                let narrow = dot(&self.vector, vector);
                if narrow.is_finite() { narrow } else { narrowed(wide_dot(&self.vector, vector)) }
            }
            Nearness::L2 => {
                let square = square_distance(&self.vector, vector);
                let is_safe = SAFE_SQUARES.contains(&square);
                let wide = || narrowed(wide_square_distance(&self.vector, vector).sqrt());
                -if is_safe { square.sqrt() } else { wide() }
            }
        };
        score + 0.0 // takes the sign off minus zero
    }

    fn cosine(&self, vector: &[f32]) -> f32 {
        let square = dot(vector, vector);
        let cosine = if SAFE_SQUARES.contains(&square) && SAFE_SQUARES.contains(&self.square) {
            dot(&self.vector, vector) / (self.square.sqrt() * square.sqrt())
        } else {
            let lengths = wide_dot(&self.vector, &self.vector).sqrt() * wide_dot(vector, vector).sqrt();
            narrowed(wide_dot(&self.vector, vector) / lengths)
        };
        cosine.clamp(-1.0, 1.0)
    }
}

/// Returns the nearest number of 32 bits that is finite.
#[expect(clippy::cast_possible_truncation, reason = "rounded, after it was brought into the range")]
fn narrowed(wide: f64) -> f32 {
    wide.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(metric: Metric, a: &[f32], b: &[f32]) -> f32 {
        let model = Model::new("m", u32::try_from(a.len()).unwrap(), metric);
        Question::new(&model, a).unwrap().score_of(NodeId::from_bytes([0; 16]), b).unwrap()
    }

    #[test]
    fn the_greater_the_nearer() {
        assert_eq!(score(Metric::Cosine, &[1.0, 0.0], &[5.0, 0.0]), 1.0);
        assert_eq!(score(Metric::Cosine, &[1.0, 0.0], &[0.0, 3.0]), 0.0);
        assert_eq!(score(Metric::Cosine, &[1.0, 0.0], &[-2.0, 0.0]), -1.0);
        assert_eq!(score(Metric::Dot, &[1.0, 2.0], &[3.0, 4.0]), 11.0);
        assert_eq!(score(Metric::L2, &[1.0, 2.0], &[4.0, 6.0]), -5.0);
        assert!(score(Metric::L2, &[1.0, 2.0], &[1.0, 2.0]).is_sign_positive());
    }

    #[test]
    fn numbers_near_the_ends_of_the_range_are_compared_like_others() {
        for size in [1e38, 1e-38, 1e-44] {
            assert!(
                (score(Metric::Cosine, &[size, size], &[size, 0.0]) - 0.5_f32.sqrt()).abs() < 1e-6,
                "{size}"
            );
            let near = score(Metric::L2, &[size, 0.0], &[0.0, 0.0]);
            assert!((near / -size - 1.0).abs() < 1e-6, "{size}: {near}");
        }
        assert_eq!(score(Metric::Dot, &[f32::MAX, f32::MAX], &[f32::MAX, f32::MAX]), f32::MAX);
        assert_eq!(score(Metric::Dot, &[f32::MAX, 1.0], &[f32::MAX, 1.0]), f32::MAX);
        assert_eq!(score(Metric::Dot, &[f32::MAX, f32::MAX], &[f32::MAX, -f32::MAX]), 0.0);
    }
}
