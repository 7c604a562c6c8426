//! Real stores move as the model does: the same random moves, the same answers, the same blocks.
//!
//! The model forgets nothing here that it can forget while it goes through its states: who holds an ended lease or
//! an old cycle keeps trying, and must be refused.

use std::collections::BTreeSet;

use mnem_backend_redb::open_or_init;
use mnem_core::port::{
    CollectorError, Cycle, HeadsUpdate, Lease, LeaseId, Namespace, StoreError, StoreSnapshot, Swap,
};
use mnem_core::port::{Store, WriteBatch};
use mnem_core::{Block, Codec, MemoryStore, OperationId};

use crate::model::{
    Action, Answer, BLOCKS, Cast, Collector, Rules, Set, State, Writer, bit, closure, members,
};

/// What actors hold while the moves go on.
struct Stage<'a> {
    store: &'a dyn Store,
    expire: &'a dyn Fn(LeaseId),
    blocks: Vec<Block>,
    leases: [Option<Lease>; 2],
    cycles: [Option<Cycle>; 2],
    snapshot: Option<Box<dyn StoreSnapshot>>,
}

impl<'a> Stage<'a> {
    fn new(store: &'a dyn Store, expire: &'a dyn Fn(LeaseId)) -> Stage<'a> {
        let blocks = (0..BLOCKS).map(|block| Block::new(Codec::Raw, vec![block])).collect();
        let stage =
            Stage { store, expire, blocks, leases: [None, None], cycles: [None, None], snapshot: None };
        members(State::start().present).for_each(|block| store.put(stage.block(block)).unwrap());
        let heads = HeadsUpdate { add: stage.operations(State::start().heads), ..HeadsUpdate::default() };
        assert_eq!(store.update(&heads).unwrap(), Swap::Done);
        stage
    }

    fn block(&self, block: u8) -> &Block {
        &self.blocks[usize::from(block)]
    }

    fn operations(&self, set: Set) -> Vec<OperationId> {
        members(set).map(|block| OperationId::new(*self.block(block).cid())).collect()
    }

    fn update(&self, before: &State, head: u8, alone: bool) -> HeadsUpdate {
        let remove = if alone { self.operations(before.heads) } else { Vec::new() };
        HeadsUpdate { add: self.operations(bit(head)), remove, ..HeadsUpdate::default() }
    }

    /// Makes a move that the model made from `before`.
    fn make(&mut self, action: Action, before: &State) -> Answer {
        match action {
            Action::Lease { writer, root } => {
                let roots: Vec<_> = root.iter().map(|root| *self.block(*root).cid()).collect();
                let granted = self.store.lease(&roots);
                answer(granted.map(|lease| self.leases[usize::from(writer)] = Some(lease)))
            }
            Action::Put { writer, block } => {
                let put = self.store.put_leased(self.lease(writer), &[self.block(block).clone()]);
                self.lose_refused(writer, answer_of_store(put))
            }
            Action::Commit { writer, head, alone } => {
                let Writer { roots, put, .. } = before.writers[usize::from(writer)];
                let known = (closure(roots) | put) & bit(head) != 0;
                let blocks = if known { Vec::new() } else { vec![self.block(head).clone()] };
                let heads = self.update(before, head, alone);
                let batch = WriteBatch { blocks: &blocks, heads: &heads, rows: &[] };
                let swap = self.store.commit(self.lease(writer), &batch);
                self.lose_refused(writer, answer_of_store(swap.map(|swap| assert_eq!(swap, Swap::Done))))
            }
            Action::End { writer } => {
                self.leases[usize::from(writer)] = None;
                Answer::Done
            }
            Action::Expire { writer } => {
                (self.expire)(self.lease(writer).id());
                Answer::Done
            }
            Action::Snapshot => {
                self.snapshot = Some(self.store.snapshot().unwrap());
                Answer::Done
            }
            Action::Release => {
                self.snapshot = None;
                Answer::Done
            }
            Action::Begin { collector } => {
                self.cycles[usize::from(collector)] = Some(self.store.begin_cycle().unwrap());
                Answer::Done
            }
            Action::Mark { collector } => {
                let grey = before.collectors[usize::from(collector)].grey;
                let block = self.block(members(grey).next().expect("something is to be marked"));
                if self.store.has(block.cid()).unwrap() {
                    return Answer::Done;
                }
                self.cycles[usize::from(collector)] = None;
                Answer::Stale
            }
            Action::Delete { collector, block } => self.delete(collector, block),
            Action::Stop { collector } => {
                self.cycles[usize::from(collector)] = None;
                Answer::Done
            }
            Action::PutOutside { block } => {
                self.store.put(self.block(block)).unwrap();
                Answer::Done
            }
            Action::UpdateOutside { head, alone } => {
                assert_eq!(self.store.update(&self.update(before, head, alone)).unwrap(), Swap::Done);
                Answer::Done
            }
            Action::Note { .. } | Action::Announce { .. } | Action::Remove { .. } => {
                unreachable!("{action:?} is a half of a step that is whole")
            }
        }
    }

    fn delete(&mut self, collector: u8, block: u8) -> Answer {
        let slot = usize::from(collector);
        let cycle = self.cycles[slot].as_ref().expect("a collector that deletes began a cycle");
        match self.store.delete_if_untouched(cycle, &[*self.block(block).cid()]) {
            Ok(deleted) if deleted.blocks == 1 => Answer::Done,
            Ok(_) => Answer::Kept,
            refused => {
                let refused = answer(refused.map(|_| ()));
                self.cycles[slot] = None;
                refused
            }
        }
    }

    fn lease(&self, writer: u8) -> &Lease {
        self.leases[usize::from(writer)].as_ref().expect("a writer at work holds a lease")
    }

    fn lose_refused(&mut self, writer: u8, answer: Answer) -> Answer {
        if answer == Answer::Stale {
            self.leases[usize::from(writer)] = None;
        }
        answer
    }

    /// What the store shows of a state.
    fn assert_shows(&self, state: &State, seed: u64) {
        let cids: Vec<_> = self.blocks.iter().map(|block| *block.cid()).collect();
        let set = |present: Vec<bool>| -> Set {
            (0..BLOCKS).zip(present).map(|(block, there)| if there { bit(block) } else { 0 }).sum()
        };
        assert_eq!(set(self.store.has_many(&cids).unwrap()), state.present, "seed {seed}: present");
        let scanned: BTreeSet<_> = self.store.scan(None).unwrap().map(Result::unwrap).collect();
        assert_eq!(
            scanned,
            members(state.present).map(|block| cids[usize::from(block)]).collect(),
            "seed {seed}: scan"
        );
        let mut heads = self.operations(state.heads);
        heads.sort_unstable();
        assert_eq!(self.store.heads(&Namespace::default()).unwrap(), heads, "seed {seed}: heads");
        if let Some(snapshot) = &self.snapshot {
            let shown = set(snapshot.has_many(&cids).unwrap());
            assert_eq!(state.reader.seen & !shown, 0, "seed {seed}: the snapshot lost something");
        }
        for (cycle, Collector { marked, grey, .. }) in self.cycles.iter().zip(state.collectors) {
            if let Some(cycle) = cycle.as_ref().filter(|_| grey == marked) {
                let roots: BTreeSet<_> = cycle.roots().iter().copied().collect();
                assert_eq!(
                    roots,
                    members(marked).map(|block| cids[usize::from(block)]).collect(),
                    "seed {seed}: roots"
                );
            }
        }
    }
}

fn answer(result: Result<(), CollectorError>) -> Answer {
    match result {
        Ok(()) => Answer::Done,
        Err(CollectorError::Stale) => Answer::Stale,
        Err(other) => panic!("{other}"),
    }
}

fn answer_of_store(result: Result<(), StoreError>) -> Answer {
    match result {
        Ok(()) => Answer::Done,
        Err(StoreError::Stale) => Answer::Stale,
        Err(other) => panic!("{other}"),
    }
}

/// Makes `moves` random moves on both, and returns what was answered to which kind of move.
fn agree(store: &dyn Store, expire: Option<&dyn Fn(LeaseId)>, seed: u64, moves: u32) -> BTreeSet<String> {
    let cast = Cast { writers: 2, reader: true, collectors: 2, expiry: expire.is_some(), outsider: true };
    let mut stage = Stage::new(store, expire.unwrap_or(&|_| unreachable!("nothing expires")));
    let (mut state, mut random, mut answers) = (State::start(), Random(seed), BTreeSet::new());
    for _ in 0..moves {
        let before = state;
        let action = random.one_of(&before.moves(&cast, &Rules::ALL));
        let expected = state.make(action, &Rules::ALL);
        let answered = stage.make(action, &before);
        assert_eq!(answered, expected, "seed {seed}: {action:?} in {before:?}");
        stage.assert_shows(&state, seed);
        let kind = format!("{action:?}");
        let kind = kind.split(' ').next().unwrap_or_default();
        answers.insert(format!("{kind} {answered:?}"));
    }
    answers
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn one_of<T: Copy>(&mut self, items: &[T]) -> T {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let count = u64::try_from(items.len()).expect("a count");
        items[usize::try_from((mixed >> 32) % count).expect("an index")]
    }
}

const ANSWERS: [&str; 19] = [
    "Begin Done",
    "Commit Done",
    "Commit Stale",
    "Delete Done",
    "Delete Kept",
    "Delete Stale",
    "End Done",
    "Expire Done",
    "Lease Done",
    "Lease Stale",
    "Mark Done",
    "Mark Stale",
    "Put Done",
    "Put Stale",
    "PutOutside Done",
    "Release Done",
    "Snapshot Done",
    "Stop Done",
    "UpdateOutside Done",
];

#[test]
fn the_store_in_memory_moves_as_the_model_does() {
    let mut answers = BTreeSet::new();
    for seed in 0..200 {
        let store = MemoryStore::new();
        answers.extend(agree(&store, Some(&|lease| store.end_lease(lease)), seed, 500));
    }
    assert!(answers.iter().eq(ANSWERS), "some answer never came: {answers:?}");
}

#[test]
fn redb_moves_as_the_model_does() {
    let folder = tempfile::tempdir().unwrap();
    for seed in 0..4 {
        let store = open_or_init(folder.path().join(seed.to_string())).unwrap();
        agree(&store, None, seed, 250);
    }
}
