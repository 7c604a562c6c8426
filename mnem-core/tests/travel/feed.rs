//! A reader that lays the feed down and takes it up anywhere, and has the state at the end.

use std::collections::BTreeMap;

use mnem_core::repo::{Actor, Change, Event, FeedToken, Only, Repo, RepoError, Scope, Snapshot};
use mnem_core::{Edge, EntityId, Node, NodeId, props};

use crate::kit::{Bench, add, me, set, without};

/// What a reader derives: a copy of everything.
#[derive(Clone, Debug, Default, PartialEq)]
struct Mirror {
    nodes: BTreeMap<NodeId, Node>,
    edges: BTreeMap<EntityId, Edge>,
}

impl Mirror {
    fn of(snapshot: &Snapshot) -> Mirror {
        Mirror {
            nodes: snapshot.nodes().map(Result::unwrap).map(|node| (node.id, node)).collect(),
            edges: snapshot.edges().map(Result::unwrap).map(|edge| (edge.id.into(), edge)).collect(),
        }
    }

    /// Applies a change, which must fit: what is to be changed is as it was.
    fn apply(&mut self, event: &Event) {
        match &event.change {
            Change::Node(node) => {
                let id = node.either().id;
                assert_eq!(self.nodes.get(&id), node.old.as_ref(), "missed, or doubled");
                match &node.new {
                    Some(new) => drop(self.nodes.insert(id, new.clone())),
                    None => drop(self.nodes.remove(&id)),
                }
                assert_eq!(event.snapshot.get(id).unwrap(), node.new);
            }
            Change::Edge(edge) => {
                let id = event.entity();
                assert_eq!(self.edges.get(&id), edge.old.as_ref(), "missed, or doubled");
                match &edge.new {
                    Some(new) => drop(self.edges.insert(id, new.clone())),
                    None => drop(self.edges.remove(&id)),
                }
            }
        }
    }
}

#[test]
fn nothing_is_missed_and_nothing_comes_twice_wherever_the_feed_is_laid_down() {
    for seed in 1..6u64 {
        let bench = Bench::new();
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut below = move |end: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(random >> 33).unwrap() % end
        };
        let repos: [Repo; 2] = [bench.again(seed + 1), bench.again(seed + 50)];
        let actors = ["ada", "bob"].map(Actor::named);
        let mut open: [Option<mnem_core::repo::Transaction>; 2] = [None, None];
        let (mut mirror, mut token) = (Mirror::default(), FeedToken::START.to_string());
        let mut number = 0;
        for _ in 0..120 {
            let who = below(2);
            match (below(6), open[who].take()) {
                (0, kept) => {
                    open[who] = kept;
                    let mut feed = bench.again(99).changes(&token.parse().unwrap()).unwrap();
                    for event in feed.poll(1 + below(4)).unwrap() {
                        mirror.apply(&event);
                    }
                    token = feed.token().to_string();
                }
                (1, kept) => {
                    open[who] = kept;
                    drop(repos[who].undo(&actors[who], Scope::Own).unwrap());
                }
                (_, Some(tx)) => drop(tx.commit("a step").unwrap()),
                (_, None) => {
                    let mut tx = repos[who].begin(&actors[who]).unwrap();
                    let nodes: Vec<NodeId> = tx.base().nodes().map(|node| node.unwrap().id).collect();
                    for _ in 0..=below(3) {
                        number += 1;
                        let any = |at: usize| nodes[at % nodes.len()];
                        match below(5) {
                            _ if nodes.len() < 3 => drop(tx.add_node("N", props! { n: number }).map(drop)),
                            0 => drop(tx.add_node("N", props! { n: number }).map(drop)),
                            1 => drop(tx.remove(any(below(9)))),
                            2 => drop(tx.add_edge(any(below(9)), "to", any(below(9)), props! {}).map(drop)),
                            _ => drop(tx.set(any(below(9)), "n", number)),
                        }
                    }
                    open[who] = Some(tx);
                }
            }
        }
        open.into_iter().flatten().for_each(|tx| drop(tx.commit("last").unwrap()));
        let mut feed = bench.repo.changes(&token.parse().unwrap()).unwrap();
        assert!(feed.is_behind().unwrap() || mirror == Mirror::of(&bench.repo.head().unwrap()));
        loop {
            let events = feed.poll(3).unwrap();
            events.iter().for_each(|event| mirror.apply(event));
            if events.is_empty() {
                break;
            }
        }
        assert_eq!(mirror, Mirror::of(&bench.repo.head().unwrap()));
        assert!(!feed.is_behind().unwrap());
        assert_eq!(bench.repo.changes(feed.token()).unwrap().poll(9).unwrap().len(), 0);
    }
}

#[test]
fn a_merge_comes_once_and_an_undo_as_the_opposite() {
    let bench = Bench::new();
    let repo = &bench.repo;
    let node = add(repo, "N", "n");
    let mut feed = repo.changes(&repo.feed_token().unwrap()).unwrap();
    let mut late = bench.again(2).begin(&Actor::named("bob")).unwrap();
    late.set(node, "late", 1).unwrap();
    set(repo, &me(), node, "early", 1);
    let told = |feed: &mut mnem_core::repo::Feed| -> Vec<String> {
        feed.poll(10).unwrap().iter().map(|event| event.change.to_string()).collect()
    };
    assert_eq!(told(&mut feed), ["~ N/n  early 1"]);
    late.commit("late").unwrap();
    assert_eq!(told(&mut feed), ["~ N/n  late 1"]);
    repo.reconcile().unwrap();
    assert!(!feed.is_behind().unwrap());
    assert_eq!(told(&mut feed), Vec::<String>::new());
    repo.undo(&me(), Scope::Own).unwrap();
    assert_eq!(told(&mut feed), ["~ N/n  early 1 -> none"]);
    repo.redo(&me(), Scope::Own).unwrap();
    repo.undo(&me(), Scope::Own).unwrap();
    assert_eq!(told(&mut feed), Vec::<String>::new(), "what came and went leaves no trace");
}

#[test]
fn a_feed_can_be_of_a_label_or_of_one_entity() {
    let bench = Bench::new();
    let repo = &bench.repo;
    let (ada, engine) = (add(repo, "Person", "Ada"), add(repo, "Machine", "Engine"));
    let mut people = repo.changes(&FeedToken::START).unwrap().only(Only::label("Person"));
    assert_eq!(people.poll(9).unwrap().len(), 1);
    let mut watched = repo.watch_entity(engine).unwrap();
    set(repo, &me(), ada, "born", 1815);
    assert_eq!(watched.poll(9).unwrap().len(), 0);
    set(repo, &me(), engine, "does", "weaves algebra");
    assert_eq!(watched.poll(9).unwrap().len(), 1);
    assert_eq!(people.poll(9).unwrap().len(), 1);
    assert_eq!(people.poll(9).unwrap().len(), 0);
}

#[test]
fn a_watch_turns_when_the_state_does() {
    let bench = Bench::new();
    let repo = &bench.repo;
    let mut main = repo.watch("main").unwrap();
    let mut tag = repo.watch("v1~1").unwrap();
    assert!(main.poll().unwrap().is_none());
    let node = add(repo, "N", "n");
    let first = repo.head().unwrap().commit_id();
    let (old, new) = main.poll().unwrap().unwrap();
    assert_eq!((old.map(|it| it.commit_id()), new.unwrap().commit_id()), (None, first));
    let second = set(repo, &me(), node, "n", 1).commit_id();
    let (old, new) = main.poll().unwrap().unwrap();
    assert_eq!((old.unwrap().commit_id(), new.unwrap().commit_id()), (first, second));
    assert!(main.poll().unwrap().is_none());
    assert!(tag.poll().unwrap().is_none());
    repo.create_tag(&me(), "v1", second.unwrap()).unwrap();
    assert_eq!(tag.poll().unwrap().unwrap().1.unwrap().commit_id(), first);
    repo.delete_tag(&me(), "v1", second).unwrap();
    assert!(tag.poll().unwrap().unwrap().1.is_none());
}

#[test]
fn a_token_that_is_none_of_this_feed_is_refused() {
    let bench = Bench::new();
    let repo = &bench.repo;
    let node = add(repo, "N", "n");
    let old = repo.feed_token().unwrap();
    set(repo, &me(), node, "n", 1);
    assert_eq!(old.to_string().parse::<FeedToken>().unwrap(), old);
    assert_eq!(FeedToken::START.to_string().parse::<FeedToken>().unwrap(), FeedToken::START);
    let side = repo.create_branch(&me(), "side", &repo.head().unwrap()).unwrap();
    assert!(matches!(side.changes(&old), Err(RepoError::BadToken { .. })));
    let text = old.to_string();
    for bad in [
        "",
        "feed1",
        "feed2::::",
        "feed1:x:::main",
        "feed1:::n1:main",
        &text[..text.len() - 5],
        &text.replace("feed1:", "feed1::"),
    ] {
        assert!(matches!(bad.parse::<FeedToken>(), Err(RepoError::BadToken { .. })), "{bad}");
    }
    // Operations that are not kept any more.
    let log: Vec<_> = repo.op_log().unwrap().map(|it| *it.unwrap().id.cid()).collect();
    let cut = bench.over(without(&**repo.store(), &log[2..]));
    let mut feed = cut.changes(&old).unwrap();
    assert!(matches!(feed.poll(9), Err(RepoError::Pruned { what: "operation", .. })));
    assert_eq!(feed.token(), &old, "it stands where it stood");
    let elsewhere = Bench::new();
    add(&elsewhere.repo, "M", "m");
    let mut feed = elsewhere.repo.changes(&old).unwrap();
    assert!(matches!(feed.poll(9), Err(RepoError::BadToken { .. })));
}
