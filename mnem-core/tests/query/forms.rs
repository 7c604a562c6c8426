//! Queries as JSON, cursors as text, explanations as both.

use mnem_core::repo::query::{
    Cursor, PREDICATE_DEPTH_MAX, Predicate, Query, QueryError, edge_type, label, prop,
};
use mnem_core::{EdgeId, NodeId};

/// Other languages send these: other text means another version.
#[test]
fn the_form_of_a_query_is_frozen() {
    let alive = prop("died").absent().or(prop("died").at_least(1850));
    let people = Query::nodes(label("Person").and(prop("born").between(1800..1900)).and(alive))
        .order_by(prop("born").descending())
        .page_size(20);
    let json = concat!(
        r#"{"find":"nodes","order":[{"prop":"born","descending":true}],"#,
        r#""where":{"and":[{"label":"Person"},{"prop":"born","below":1900,"at_least":1800},"#,
        r#"{"or":[{"prop":"died","present":false},{"prop":"died","at_least":1850}]}]},"page_size":20}"#
    );
    assert_eq!(serde_json::to_string(&people).unwrap(), json);
    assert_eq!(serde_json::from_str::<Query<NodeId>>(json).unwrap(), people);

    let id: NodeId = "018bcfe5-6801-7000-8000-000000000000".parse().unwrap();
    let ends = mnem_core::repo::query::from(id).and(mnem_core::repo::query::to(id));
    let edges =
        Query::edges(ends.and(!edge_type("knows")).and(prop("w").above(0.5).and(prop("w").at_most(1))));
    let json = concat!(
        r#"{"find":"edges","order":[],"where":{"and":[{"from":"018bcfe5-6801-7000-8000-000000000000"},"#,
        r#"{"to":"018bcfe5-6801-7000-8000-000000000000"},{"not":{"type":"knows"}},"#,
        r#"{"prop":"w","above":0.5},{"prop":"w","at_most":1}]},"page_size":100}"#
    );
    assert_eq!(serde_json::to_string(&edges).unwrap(), json);
    assert_eq!(serde_json::from_str::<Query<EdgeId>>(json).unwrap(), edges);

    for (predicate, json) in [
        (prop("n").present(), r#"{"prop":"n","present":true}"#),
        (!prop("n").present(), r#"{"prop":"n","present":false}"#),
        (prop("n").equals("a"), r#"{"prop":"n","equals":"a"}"#),
        (prop("n").starts_with(vec![0]), r#"{"prop":"n","starts_with":{"/":{"bytes":"AA"}}}"#),
        (Predicate::anything(), r#"{"and":[]}"#),
        (Predicate::nothing(), r#"{"or":[]}"#),
    ] {
        assert_eq!(serde_json::to_string(&predicate).unwrap(), json);
        assert_eq!(serde_json::from_str::<Predicate>(json).unwrap(), predicate);
    }
}

#[test]
fn a_short_form_has_the_usual_order_and_size() {
    let query = serde_json::from_str::<Query<NodeId>>(r#"{"find":"nodes","where":{"label":"A"}}"#).unwrap();
    assert_eq!(query, Query::nodes(label("A")));
}

#[test]
fn what_is_no_query_is_refused_with_what_is_wrong() {
    let read = |json: &str| serde_json::from_str::<Query<NodeId>>(json).map_err(|why| why.to_string());
    for (json, why) in [
        ("[]", "a query"),
        (r#"{"where":{"label":"A"}}"#, "nodes"),
        (r#"{"find":"edges","where":{"type":"A"}}"#, "nodes"),
        (r#"{"find":"nodes"}"#, "`where`"),
        (r#"{"find":"nodes","where":{"label":"A"},"limit":1}"#, "alone"),
        (r#"{"find":"nodes","where":{"label":1}}"#, "text"),
        (r#"{"find":"nodes","where":{"label":"A","and":[]}}"#, "one word"),
        (r#"{"find":"nodes","where":{"xor":[]}}"#, "one of"),
        (r#"{"find":"nodes","where":{"and":{}}}"#, "a list"),
        (r#"{"find":"nodes","where":{"type":"knows"}}"#, "to edges"),
        (r#"{"find":"nodes","where":{"prop":"a"}}"#, "a test"),
        (r#"{"find":"nodes","where":{"prop":"a","present":1}}"#, "one test"),
        (r#"{"find":"nodes","where":{"prop":"a","equals":1,"below":2}}"#, "one test"),
        (r#"{"find":"nodes","where":{"prop":"a","above":1,"at_least":2}}"#, "one bound"),
        (r#"{"find":"nodes","where":{"prop":"a","above":2,"below":1}}"#, "upside down"),
        (r#"{"find":"nodes","where":{"prop":"a","starts_with":1}}"#, "one test"),
        (r#"{"find":"nodes","where":{"label":"A"},"page_size":0}"#, "1 to"),
        (r#"{"find":"nodes","where":{"label":"A"},"page_size":-1}"#, "size of a page"),
        (r#"{"find":"nodes","where":{"label":"A"},"order":[{"descending":true}]}"#, "an order"),
        (r#"{"find":"nodes","where":{"label":"A"},"order":[{"prop":"a","up":true}]}"#, "an order"),
    ] {
        let refused = read(json).unwrap_err();
        assert!(refused.contains(why), "{json}: {refused}");
    }
}

#[test]
fn hostile_depth_is_refused() {
    let nested = |levels: usize| {
        let (open, close) = (r#"{"not":{"and":["#.repeat(levels), "]}}".repeat(levels));
        serde_json::from_str::<Predicate>(&format!(r#"{open}{{"label":"A"}}{close}"#))
    };
    assert!(nested(PREDICATE_DEPTH_MAX / 2).is_ok());
    assert!(nested(PREDICATE_DEPTH_MAX / 2 + 1).unwrap_err().to_string().contains("at most 32"));
    assert!(nested(10_000).is_err());
}

#[test]
fn a_bad_value_has_no_form() {
    assert!(serde_json::to_string(&prop("a").equals(f64::NAN)).is_err());
}

#[test]
fn what_is_no_cursor_is_refused() {
    for text in ["", "!", "AAAA", "hQE", &"A".repeat(70_000)] {
        assert_eq!(text.parse::<Cursor>(), Err(QueryError::BadCursor));
    }
    assert!(serde_json::from_str::<Cursor>("1").is_err());
}

/// They own what they need: a thread, a struct or another language can keep them.
#[test]
fn questions_and_streams_can_be_sent_and_kept() {
    fn is_kept<T: Send + 'static>() {}
    is_kept::<Query<NodeId>>();
    is_kept::<Cursor>();
    is_kept::<mnem_core::repo::query::Found<NodeId>>();
    is_kept::<mnem_core::repo::query::Groups>();
    is_kept::<mnem_core::repo::query::Steps>();
    is_kept::<mnem_core::repo::query::Two<EdgeId>>();
    is_kept::<mnem_core::repo::query::Violations>();
}
