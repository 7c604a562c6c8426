//! Three libraries of graphs: M = 16, ef_construction = 128, ef = 64, where they let one choose.

use hnsw_rs::prelude::{DistDot, Hnsw};
use instant_distance::{Builder, HnswMap, Point, Search};
use usearch::{IndexOptions, MetricKind, ScalarKind};

use super::{DIM, Index, dot};

const EF_BUILD: usize = 128;
const EF: usize = 64;
const LINKS: usize = 16;

struct Usearch(usearch::Index);

pub(crate) fn usearch(set: &[Vec<f32>]) -> Box<dyn Index> {
    let index = usearch::Index::new(&IndexOptions {
        dimensions: DIM,
        metric: MetricKind::Cos,
        quantization: ScalarKind::F32,
        connectivity: LINKS,
        expansion_add: EF_BUILD,
        expansion_search: EF,
        ..IndexOptions::default()
    });
    let index = index.expect("an index");
    index.reserve(set.len()).expect("memory");
    set.iter().enumerate().for_each(|(number, vector)| index.add(number as u64, vector).expect("added"));
    Box::new(Usearch(index))
}

impl Index for Usearch {
    fn search(&mut self, question: &[f32], nearest: usize) -> Vec<usize> {
        let found = self.0.search(question, nearest).expect("a search");
        found.keys.into_iter().map(|key| key as usize).collect()
    }
}

struct HnswRs(Hnsw<'static, f32, DistDot>);

pub(crate) fn hnsw_rs(set: &[Vec<f32>]) -> Box<dyn Index> {
    let index = Hnsw::new(LINKS, set.len(), 16, EF_BUILD, DistDot {});
    set.iter().enumerate().for_each(|(number, vector)| index.insert((vector.as_slice(), number)));
    Box::new(HnswRs(index))
}

impl Index for HnswRs {
    fn search(&mut self, question: &[f32], nearest: usize) -> Vec<usize> {
        self.0.search(question, nearest, EF).into_iter().map(|found| found.d_id).collect()
    }
}

#[derive(Clone)]
struct Place(Vec<f32>);

impl Point for Place {
    fn distance(&self, other: &Self) -> f32 {
        1.0 - dot(&self.0, &other.0)
    }
}

struct Instant(HnswMap<Place, usize>);

pub(crate) fn instant_distance(set: &[Vec<f32>]) -> Box<dyn Index> {
    let places = set.iter().cloned().map(Place).collect();
    let builder = Builder::default().ef_construction(EF_BUILD).ef_search(EF);
    Box::new(Instant(builder.build(places, (0..set.len()).collect())))
}

impl Index for Instant {
    fn search(&mut self, question: &[f32], nearest: usize) -> Vec<usize> {
        let mut search = Search::default();
        let found = self.0.search(&Place(question.to_vec()), &mut search);
        found.take(nearest).map(|item| *item.value).collect()
    }
}
