//! What cannot be searched is an error that says whose it is.

use mnem::object::{Metric, Model};
use mnem_ann::{SearchError, Top, Unfit, Vectors};

use crate::kit::{MODEL, Random, State, change, fresh, node, turn_into};

fn question(metric: Metric, vector: &[f32]) -> Result<usize, SearchError> {
    let repo = fresh(2, metric);
    let now = turn_into(&repo, &State::new(), &State::from([(1, vec![1.0, 2.0])]));
    let vectors = Vectors::open(&repo, MODEL).unwrap();
    let exact = vectors.search_exact(&now, vector, &Top::k(1)).map(|hits| hits.len());
    let found = vectors.search(&now, vector, &Top::k(1)).map(|hits| hits.len());
    assert_eq!(found.as_ref().map_err(ToString::to_string), exact.as_ref().map_err(ToString::to_string));
    found
}

#[test]
fn a_question_that_is_no_vector_of_the_model_is_refused() {
    let why = |metric, vector: &[f32]| match question(metric, vector) {
        Err(SearchError::Question { model, why }) if model == MODEL => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(why(Metric::L2, &[1.0]), Unfit::Dimension { expected: 2, found: 1 });
    assert_eq!(why(Metric::L2, &[1.0, f32::NAN]), Unfit::NotFinite { at: 1 });
    assert_eq!(why(Metric::Dot, &[f32::INFINITY, 1.0]), Unfit::NotFinite { at: 0 });
    assert_eq!(why(Metric::Cosine, &[0.0, -0.0]), Unfit::Zero);
    assert_eq!(question(Metric::Dot, &[0.0, 0.0]).unwrap(), 1);
    assert_eq!(question(Metric::Cosine, &[1e-40, 0.0]).unwrap(), 1);
    assert_eq!(question(Metric::L2, &[f32::MAX, f32::MAX]).unwrap(), 1);
}

#[test]
fn a_vector_of_another_model_than_there_is_now_is_named_by_its_node() {
    let repo = fresh(2, Metric::Dot);
    turn_into(&repo, &State::new(), &State::from([(1, vec![1.0, 2.0]), (2, vec![0.0, 0.0])]));
    let now = change(&repo, |tx| tx.declare(Model::new(MODEL, 2, Metric::Cosine)).unwrap());
    let vectors = Vectors::open(&repo, MODEL).unwrap();
    for found in
        [vectors.search(&now, &[1.0, 1.0], &Top::k(1)), vectors.search_exact(&now, &[1.0, 1.0], &Top::k(1))]
    {
        assert!(
            matches!(&found, Err(SearchError::Node { node: at, why: Unfit::Zero, .. }) if *at == node(2)),
            "{found:?}"
        );
    }
    let now = change(&repo, |tx| tx.declare(Model::new(MODEL, 3, Metric::Dot)).unwrap());
    let expected = Unfit::Dimension { expected: 3, found: 2 };
    for found in [
        vectors.search(&now, &[1.0, 1.0, 1.0], &Top::k(1)).map(drop),
        vectors.search_exact(&now, &[1.0, 1.0, 1.0], &Top::k(1)).map(drop),
        vectors.keep(&now).map(drop),
    ] {
        assert!(
            matches!(&found, Err(SearchError::Node { node: at, why, .. }) if *at == node(1) && *why == expected),
            "{found:?}"
        );
    }
}

#[test]
fn a_model_that_nobody_declared_is_refused_and_one_without_vectors_is_empty() {
    let repo = fresh(2, Metric::Dot);
    assert!(matches!(Vectors::open(&repo, "other"), Err(SearchError::NoSuchModel { .. })));
    let now = repo.head().unwrap();
    assert!(matches!(
        Vectors::of("other").search(&now, &[1.0], &Top::k(1)),
        Err(SearchError::NoSuchModel { model }) if model == "other"
    ));
    let vectors = Vectors::open(&repo, MODEL).unwrap();
    assert!(vectors.search(&now, &[1.0, 1.0], &Top::k(1)).unwrap().is_empty());
    assert!(vectors.search_exact(&now, &[1.0, 1.0], &Top::k(1)).unwrap().is_empty());
    assert_eq!(vectors.keep(&now).unwrap(), None);
    let some = turn_into(&repo, &State::new(), &State::from([(1, Random::new(1).vector(2))]));
    assert!(vectors.search(&some, &[1.0, 1.0], &Top::k(0)).unwrap().is_empty());
}
