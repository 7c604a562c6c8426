//! P1 to P6: what is current.

use std::collections::BTreeSet;
use std::sync::Mutex;

use super::lab::{Lab, LabExt};
use super::sample::{block, blocks, commit, head, namespace, sorted, update};
use super::suite::Checked;
use super::threads::{Job, Pace, Stop, beside, together};
use crate::error::Error;
use crate::port::{HeadsError, HeadsUpdate, Namespace, StoreError, Swap};
use crate::{Block, OperationId, Store};

/// Stores blocks and makes them the heads of the default namespace.
fn with_heads(store: &dyn Store, heads: &[Block]) -> Checked {
    store.put_many(heads)?;
    let add: Vec<&Block> = heads.iter().collect();
    assert_eq!(store.update(&update(&add, &[]))?, Swap::Done);
    Ok(())
}

fn default_heads(store: &dyn Store) -> Result<Vec<OperationId>, HeadsError> {
    store.heads(&Namespace::default())
}

pub(super) fn p1_heads_are_never_empty_after_the_first_update(lab: &dyn Lab) -> Checked {
    let store = lab.open()?;
    assert!(default_heads(&*store)?.is_empty() && store.namespaces()?.is_empty(), "empty before the first");
    let (a, b) = (block("head", 0), block("head", 1));
    store.put_many(&[a.clone(), b.clone()])?;
    let would_be_empty = |what: &str, remove: &[&Block]| -> Checked {
        let before = default_heads(&*store)?;
        let answer = store.update(&update(&[], remove));
        assert!(matches!(answer, Err(HeadsError::WouldBeEmpty { .. })), "{what}: update gave {answer:?}");
        let lease = store.lease(&[])?;
        let answer = commit(&*store, &lease, &[], &update(&[], remove));
        let right = matches!(answer, Err(StoreError::Heads(HeadsError::WouldBeEmpty { .. })));
        assert!(right, "{what}: commit gave {answer:?}");
        assert_eq!(default_heads(&*store)?, before, "{what}");
        Ok(())
    };
    would_be_empty("removing from nothing", &[&a])?;
    with_heads(&*store, &[a.clone(), b.clone()])?;
    assert_eq!(default_heads(&*store)?, sorted(vec![head(&a), head(&b)]), "in ascending order");
    would_be_empty("removing all", &[&a, &b])?;
    assert_eq!(store.update(&update(&[], &[&a]))?, Swap::Done);
    would_be_empty("removing the last", &[&b])?;
    // What is removed and added at once is there.
    assert_eq!(store.update(&update(&[&b], &[&b]))?, Swap::Done);
    // Not being a head is no error.
    assert_eq!(store.update(&update(&[&b], &[&a]))?, Swap::Done);
    assert_eq!(default_heads(&*store)?, [head(&b)]);
    Ok(())
}

pub(super) fn p2_no_reader_sees_neither_old_nor_new(lab: &dyn Lab) -> Checked {
    const STEPS: usize = 150;
    let handles = lab.handles(3)?;
    let chain = blocks("chain", STEPS);
    let index = |id: &OperationId| chain.iter().position(|block| block.cid() == id.cid());
    with_heads(&*handles[0], &chain[..1])?;
    let pace = Pace::default();
    let reader = |store: &dyn Store, stop: &Stop| {
        let mut newest = 0;
        while stop.goes_on() {
            let seen = default_heads(store)?;
            assert!(!seen.is_empty(), "neither the old nor the new head was there");
            let known: Option<Vec<usize>> = seen.iter().map(index).collect();
            let now = known.and_then(|known| known.into_iter().max()).expect("only heads that were added");
            assert!(now >= newest, "head {newest} was seen, then {now} as the newest");
            newest = now;
            pace.tick();
        }
        Ok(())
    };
    let readers: Vec<Job<'_>> =
        handles[1..].iter().map(|store| Box::new(|stop: &Stop| reader(&**store, stop)) as Job<'_>).collect();
    beside(readers, |stop| {
        for (number, pair) in chain.windows(2).enumerate() {
            pace.keep(number, stop);
            let store = &handles[0];
            store.put(&pair[1])?;
            let update = HeadsUpdate::advance(Namespace::default(), &[head(&pair[0])], head(&pair[1]));
            assert_eq!(store.update(&update)?, Swap::Done);
        }
        Ok(())
    })?;
    assert_eq!(default_heads(&*handles[0])?, [head(&chain[STEPS - 1])]);
    Ok(())
}

pub(super) fn p3_a_swap_takes_all_or_nothing(lab: &dyn Lab) -> Checked {
    let store = lab.open()?;
    let all = blocks("head", 4);
    let ids: Vec<OperationId> = all.iter().map(head).collect();
    store.put_many(&all)?;
    let swap = |expected: &[usize], add: &[usize], remove: &[usize]| {
        let pick = |which: &[usize]| which.iter().map(|at| ids[*at]).collect::<Vec<_>>();
        let namespace = Namespace::default();
        let update =
            HeadsUpdate { namespace, expected: Some(pick(expected)), add: pick(add), remove: pick(remove) };
        store.update(&update)
    };
    assert_eq!(swap(&[0], &[0], &[])?, Swap::Moved, "nothing is a head yet");
    assert_eq!(swap(&[], &[0, 1], &[])?, Swap::Done);
    let both = sorted(vec![ids[0], ids[1]]);
    for expected in [&[][..], &[0], &[1], &[0, 2], &[0, 1, 2]] {
        assert_eq!(swap(expected, &[3], &[0])?, Swap::Moved, "{expected:?} are not the heads");
        assert_eq!(default_heads(&*store)?, both, "a swap that lost changed the heads");
    }
    assert_eq!(swap(&[1, 0], &[2], &[0])?, Swap::Done, "expected heads come in any order");
    assert_eq!(default_heads(&*store)?, sorted(vec![ids[1], ids[2]]));
    Ok(())
}

pub(super) fn p3_of_racing_swaps_one_wins(lab: &dyn Lab) -> Checked {
    const RACERS: usize = 6;
    let handles = lab.handles(RACERS)?;
    with_heads(&*handles[0], &[block("start", 0)])?;
    let mut old = head(&block("start", 0));
    for round in 0..12 {
        let racers = blocks(&format!("round {round}"), RACERS);
        let winners = Mutex::new(Vec::new());
        let race = |store: &dyn Store, own: &Block| -> Checked {
            store.put(own)?;
            let update = HeadsUpdate {
                expected: Some(vec![old]),
                ..HeadsUpdate::advance(Namespace::default(), &[old], head(own))
            };
            if store.update(&update)? == Swap::Done {
                winners.lock().expect("no racer panics here").push(head(own));
            }
            Ok(())
        };
        let race = &race;
        together(
            handles
                .iter()
                .zip(&racers)
                .map(|(store, own)| Box::new(move |_: &Stop| race(&**store, own)) as Job<'_>)
                .collect(),
        )?;
        let winners = winners.into_inner().expect("all racers ended");
        assert_eq!(winners.len(), 1, "of {RACERS} swaps that expected the same, {} won", winners.len());
        assert_eq!(default_heads(&*handles[round % RACERS])?, winners);
        old = winners[0];
    }
    Ok(())
}

pub(super) fn p3_updates_without_expectation_unite(lab: &dyn Lab) -> Checked {
    const WRITERS: usize = 6;
    const STEPS: usize = 12;
    let handles = lab.handles(WRITERS)?;
    with_heads(&*handles[0], &[block("start", 0)])?;
    let write = |store: &dyn Store, writer: usize| -> Checked {
        let own = blocks(&format!("writer {writer}"), STEPS);
        store.put_many(&own)?;
        let mut old = block("start", 0);
        for new in own {
            assert_eq!(store.update(&update(&[&new], &[&old]))?, Swap::Done);
            old = new;
        }
        Ok(())
    };
    let write = &write;
    together(
        handles
            .iter()
            .enumerate()
            .map(|(writer, store)| Box::new(move |_: &Stop| write(&**store, writer)) as Job<'_>)
            .collect(),
    )?;
    let newest: BTreeSet<_> =
        (0..WRITERS).map(|writer| head(&block(&format!("writer {writer}"), STEPS - 1))).collect();
    assert_eq!(default_heads(&*handles[0])?.into_iter().collect::<BTreeSet<_>>(), newest);
    Ok(())
}

pub(super) fn p4_heads_stay_when_the_store_is_closed(lab: &dyn Lab) -> Checked {
    let store = lab.open()?;
    let heads = blocks("head", 3);
    with_heads(&*store, &heads)?;
    let store = lab.reopen(store)?;
    assert_eq!(default_heads(&*store)?, sorted(heads.iter().map(head).collect()));
    assert_eq!(store.namespaces()?, [Namespace::default()]);
    Ok(())
}

pub(super) fn p4_an_update_survives_a_power_cut_with_all_blocks_before_it(lab: &dyn Lab) -> Checked {
    let mut old = Vec::new();
    for round in 0..12_usize {
        let store = lab.open()?;
        let before = blocks(&format!("round {round}"), 1 + round % 4);
        store.put_many(&before)?;
        assert_eq!(store.update(&update(&[&before[0]], &old.iter().collect::<Vec<_>>()))?, Swap::Done);
        lab.cut_power(0, round as u64);
        drop(store);
        let store = lab.open()?;
        assert_eq!(default_heads(&*store)?, [head(&before[0])]);
        for block in &before {
            assert_eq!(store.get(block.cid())?.as_ref(), Some(block), "stored before the update");
        }
        old = vec![before[0].clone()];
    }
    Ok(())
}

pub(super) fn p5_a_head_without_its_block_is_refused(lab: &dyn Lab) -> Checked {
    let store = lab.open()?;
    let (present, absent) = (block("present", 0), block("absent", 0));
    with_heads(&*store, std::slice::from_ref(&present))?;
    let refused = |answer: &Result<Swap, Error>| {
        let right = match answer {
            Err(Error::Heads(HeadsError::Absent { head: found }))
            | Err(Error::Store(StoreError::Heads(HeadsError::Absent { head: found }))) => {
                found == &head(&absent)
            }
            _ => false,
        };
        assert!(right, "a head without its block gave {answer:?}");
    };
    refused(&store.update(&update(&[&absent], &[&present])).map_err(Error::from));
    let lease = store.lease(&[])?;
    let other = block("other", 0);
    let answer = commit(&*store, &lease, &[other], &update(&[&absent], &[&present]));
    refused(&answer.map_err(Error::from));
    assert_eq!(default_heads(&*store)?, [head(&present)]);
    // The same head with its block in the same step is welcome.
    let swap = commit(&*store, &lease, std::slice::from_ref(&absent), &update(&[&absent], &[&present]))?;
    assert_eq!((swap, default_heads(&*store)?), (Swap::Done, vec![head(&absent)]));
    Ok(())
}

pub(super) fn p6_namespaces_do_not_touch_each_other(lab: &dyn Lab) -> Checked {
    let store = lab.open()?;
    let names = ["main", "a", "notes-2", "x_y", "notes"];
    store.put_many(&blocks("head", 6))?;
    let in_namespace = |name: &str, old: &[Block], new: &Block| {
        let old: Vec<_> = old.iter().map(head).collect();
        store.update(&HeadsUpdate::advance(namespace(name), &old, head(new)))
    };
    for (at, name) in names.into_iter().enumerate() {
        assert_eq!(in_namespace(name, &[], &block("head", at))?, Swap::Done);
    }
    let mut listed = names.map(namespace).to_vec();
    listed.sort();
    assert_eq!(store.namespaces()?, listed, "in order");
    // The same head in two namespaces is two heads.
    assert_eq!(in_namespace("a", &[block("head", 1)], &block("head", 0))?, Swap::Done);
    assert_eq!(in_namespace("a", &[block("head", 0)], &block("head", 5))?, Swap::Done);
    for (at, name) in names.into_iter().enumerate() {
        let expected = if name == "a" { 5 } else { at };
        assert_eq!(store.heads(&namespace(name))?, [head(&block("head", expected))], "{name}");
    }
    assert!(store.heads(&namespace("unused"))?.is_empty());
    Ok(())
}
