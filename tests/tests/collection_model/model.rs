//! The model: a small store, who works on it, and every move they can make.
//!
//! Nothing of the product is used here: the rules are written a second time, each behind a switch, so that a run
//! without one of them can show what it is there for.

/// A set of blocks, one bit each.
pub(crate) type Set = u8;

/// Number of blocks.
pub(crate) const BLOCKS: u8 = 5;

/// Leaves: one that the first head reaches, one that only a former head reaches.
pub(crate) const SHARED: u8 = 0;
pub(crate) const LOOSE: u8 = 1;
/// What can be a head: the first one; one that shares its leaf and adds the other; one that is a head no more, and
/// becomes one again without reaching the first leaf.
pub(crate) const FIRST: u8 = 2;
pub(crate) const SHARING: u8 = 3;
pub(crate) const FORMER: u8 = 4;

/// What each block links to.
pub(crate) const CHILDREN: [Set; BLOCKS as usize] = [0, 0, bit(SHARED), bit(SHARED) | bit(LOOSE), bit(LOOSE)];

pub(crate) const LEAVES: Set = bit(SHARED) | bit(LOOSE);
pub(crate) const HEADS: Set = bit(FIRST) | bit(SHARING) | bit(FORMER);

pub(crate) const fn bit(block: u8) -> Set {
    1 << block
}

pub(crate) fn members(set: Set) -> impl Iterator<Item = u8> {
    (0..BLOCKS).filter(move |block| set & bit(*block) != 0)
}

/// What `set` reaches, itself included. Links go one step deep.
pub(crate) fn closure(set: Set) -> Set {
    members(set).fold(set, |reached, block| reached | CHILDREN[usize::from(block)])
}

macro_rules! rules {
    ($($field:ident $kept_by:literal $text:literal)*) => {
        /// Which rules hold. Names and texts are the table in DURABILITY.md, "Collection".
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) struct Rules { $(pub(crate) $field: bool),* }

        impl Rules {
            pub(crate) const ALL: Rules = Rules { $($field: true),* };

            /// Every rule, with the rules without it.
            pub(crate) fn each() -> Vec<Rule> {
                vec![$(Rule {
                    name: stringify!($field),
                    kept_by: $kept_by,
                    text: $text,
                    without: Rules { $field: false, ..Rules::ALL },
                }),*]
            }
        }
    };
}

/// One rule, as the table has it.
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    /// The promise of a port that says it, or who else keeps it.
    pub(crate) kept_by: &'static str,
    pub(crate) text: &'static str,
    pub(crate) without: Rules,
}

rules! {
    leasable "C1" "A lease is granted only on heads and on roots of live leases."
    leases_marked "C3" "A cycle marks from the roots of live leases too, not only from heads."
    seeded "C2, C3" "A cycle begins with all that live leases have put counted as touched."
    begin_at_once "C3" "Listing the roots, raising the number and seeding the touches are one step."
    touching "C4" "What is put while a cycle is announced is not deleted by it, even if its lease ends first."
    duplicates "C2, C4" "A put of a block that is there counts like any other."
    put_at_once "C2, C4" "Looking whether a block is there, and noting that it was put, are one step."
    delete_at_once "C2, C4" "Looking whether a block was put, and deleting it, are one step."
    newest_only "C5" "Only the newest cycle deletes, and only until it ends."
    outside_ends "C6" "A head that is added outside leases ends the announced cycle."
    commit_live "T3" "A commit needs its lease to live in the step that changes the heads."
    put_live "C8" "A put under a lease needs that lease to live."
    covered "writers" "Work under a lease refers only to what its roots reach and to what was put under it."
    children_first "writers" "Children are put before their parents, or with them."
    parents_first "collectors" "Parents are deleted before their children."
    snapshot_leased "T4" "A snapshot holds a lease on its heads."
    aside_kept "T4" "What is deleted is set aside while a snapshot lives that is older than the delete."
    aside_absent "C7" "What is set aside counts as absent when it is put."
}

/// Who works on the store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cast {
    pub(crate) writers: u8,
    pub(crate) reader: bool,
    pub(crate) collectors: u8,
    /// Leases end while their owners think they live.
    pub(crate) expiry: bool,
    /// Somebody puts leaves and restores heads outside leases.
    pub(crate) outsider: bool,
}

/// Stages blocks and commits. Ends when it is done, when it is refused, and when its process dies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Writer {
    /// Thinks that it holds a lease.
    pub(crate) holds: bool,
    pub(crate) live: bool,
    pub(crate) roots: Set,
    /// What it knows it put.
    pub(crate) put: Set,
    /// What its lease knows was put.
    pub(crate) noted: Set,
    /// Saw this one there and has yet to note it; only without "put-at-once".
    pub(crate) looked: Set,
}

/// Reads a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reader {
    pub(crate) holds: bool,
    pub(crate) roots: Set,
    /// All blocks that were present when the snapshot was taken.
    pub(crate) seen: Set,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    #[default]
    Idle,
    /// Roots are listed, the cycle is not announced; only without "begin-at-once".
    Listed,
    /// Marks while `grey` is not empty, deletes then.
    Announced,
}

/// Marks, then deletes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Collector {
    pub(crate) phase: Phase,
    pub(crate) newest: bool,
    pub(crate) marked: Set,
    /// Marked, children not yet.
    pub(crate) grey: Set,
    /// Found this one untouched and has yet to delete it; only without "delete-at-once".
    pub(crate) checked: Set,
}

/// The store, and what everybody holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) present: Set,
    pub(crate) aside: Set,
    pub(crate) heads: Set,
    pub(crate) touched: Set,
    pub(crate) writers: [Writer; 2],
    pub(crate) reader: Reader,
    pub(crate) collectors: [Collector; 2],
}

/// One move. Those that name no actor are the outsider's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Lease { writer: u8, root: Option<u8> },
    Put { writer: u8, block: u8 },
    Note { writer: u8 },
    Commit { writer: u8, head: u8, alone: bool },
    End { writer: u8 },
    Expire { writer: u8 },
    Snapshot,
    Release,
    Begin { collector: u8 },
    Announce { collector: u8 },
    Mark { collector: u8 },
    Delete { collector: u8, block: u8 },
    Remove { collector: u8 },
    Stop { collector: u8 },
    PutOutside { block: u8 },
    UpdateOutside { head: u8, alone: bool },
}

/// How the store answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    Stale,
    /// The block that was to be deleted was put since, or is gone.
    Kept,
}

impl State {
    /// Nobody works, and a former head is still there.
    pub(crate) fn start() -> State {
        let present = bit(SHARED) | bit(LOOSE) | bit(FIRST) | bit(FORMER);
        State { present, heads: bit(FIRST), ..State::default() }
    }

    /// All that is reachable from a head, a live lease or a snapshot exists; what was put under a live lease exists;
    /// what a snapshot saw can be read.
    pub(crate) fn is_whole(&self) -> bool {
        let leases = self.writers.iter().filter(|writer| writer.live);
        let noted = leases.clone().fold(0, |set, writer| set | writer.noted);
        let roots = leases.fold(self.heads | self.reader.roots, |set, writer| set | writer.roots);
        let needed = closure(roots) | noted;
        needed & !self.present == 0 && self.reader.seen & !(self.present | self.aside) == 0
    }

    /// Whatever can be leased is safe from the announced cycle: it needs no check of its own.
    pub(crate) fn leasable_is_covered(&self) -> bool {
        let leasable = closure(self.heads | self.leased(&Rules::ALL));
        let newest = self.collectors.iter().find(|collector| collector.newest);
        newest.is_none_or(|cycle| leasable & !(closure(cycle.marked) | self.touched) == 0)
    }

    /// Roots of all live leases.
    fn leased(&self, rules: &Rules) -> Set {
        let reader = if rules.snapshot_leased { self.reader.roots } else { 0 };
        self.writers.iter().filter(|writer| writer.live).fold(reader, |set, writer| set | writer.roots)
    }

    fn announced(&self) -> bool {
        self.collectors.iter().any(|collector| collector.newest)
    }

    /// One of states that differ only in who is who, in what will be refused anyway, or in what nobody asks about.
    pub(crate) fn canonical(mut self, cast: &Cast, rules: &Rules) -> State {
        if rules.put_live && rules.commit_live {
            let refused = |writer: &&mut Writer| !writer.live;
            self.writers.iter_mut().filter(refused).for_each(|writer| *writer = Writer::default());
        }
        if rules.newest_only {
            let over = |collector: &&mut Collector| collector.phase == Phase::Announced && !collector.newest;
            self.collectors.iter_mut().filter(over).for_each(|collector| *collector = Collector::default());
            let newest = self.collectors.iter().filter(|collector| collector.newest);
            self.touched &= !newest.fold(0, |set, collector| set | closure(collector.marked));
        }
        self.writers[..usize::from(cast.writers)].sort_unstable();
        self.collectors[..usize::from(cast.collectors)].sort_unstable();
        self
    }

    /// All moves that somebody could try.
    pub(crate) fn moves(&self, cast: &Cast, rules: &Rules) -> Vec<Action> {
        let mut moves = Vec::with_capacity(64);
        for writer in 0..cast.writers {
            self.moves_of_writer(writer, cast, rules, &mut moves);
        }
        if cast.reader {
            moves.push(if self.reader.holds { Action::Release } else { Action::Snapshot });
        }
        for collector in 0..cast.collectors {
            self.moves_of_collector(collector, rules, &mut moves);
        }
        if cast.outsider {
            moves.extend(members(LEAVES).map(|block| Action::PutOutside { block }));
            for head in members(HEADS & self.present & !self.heads) {
                moves.extend([false, true].map(|alone| Action::UpdateOutside { head, alone }));
            }
        }
        moves
    }

    fn moves_of_writer(&self, writer: u8, cast: &Cast, rules: &Rules, moves: &mut Vec<Action>) {
        let me = &self.writers[usize::from(writer)];
        if !me.holds {
            moves.push(Action::Lease { writer, root: None });
            moves.extend(members(HEADS).map(|root| Action::Lease { writer, root: Some(root) }));
            return;
        }
        moves.push(Action::End { writer });
        if cast.expiry && me.live {
            moves.push(Action::Expire { writer });
        }
        if me.looked != 0 {
            moves.push(Action::Note { writer });
        } else {
            // What it may refer to.
            let known = closure(me.roots) | me.put | if rules.covered { 0 } else { self.present };
            let ready = |block: u8| !rules.children_first || CHILDREN[usize::from(block)] & !known == 0;
            let puts = (0..BLOCKS).filter(|block| me.put & bit(*block) == 0 && ready(*block));
            moves.extend(puts.map(|block| Action::Put { writer, block }));
            let whole = |head: &u8| closure(closure(bit(*head)) | me.put) & !(known | bit(*head)) == 0;
            for head in members(HEADS).filter(whole) {
                moves.extend([false, true].map(|alone| Action::Commit { writer, head, alone }));
            }
        }
    }

    fn moves_of_collector(&self, collector: u8, rules: &Rules, moves: &mut Vec<Action>) {
        let me = &self.collectors[usize::from(collector)];
        match me.phase {
            Phase::Idle => return moves.push(Action::Begin { collector }),
            Phase::Listed => moves.push(Action::Announce { collector }),
            Phase::Announced if me.grey != 0 => moves.push(Action::Mark { collector }),
            Phase::Announced if me.checked != 0 => moves.push(Action::Remove { collector }),
            Phase::Announced => {
                let doomed = self.present & !me.marked;
                let parent = |parent: u8, block| CHILDREN[usize::from(parent)] & bit(block) != 0;
                let orphan =
                    |block: &u8| !members(doomed & !self.touched).any(|doomed| parent(doomed, *block));
                let next = members(doomed).filter(|block| !rules.parents_first || orphan(block));
                moves.extend(next.map(|block| Action::Delete { collector, block }));
            }
        }
        moves.push(Action::Stop { collector });
    }

    /// Makes a move. What is refused changes nothing, but its maker gives up what it was doing.
    pub(crate) fn make(&mut self, action: Action, rules: &Rules) -> Answer {
        match action {
            Action::Lease { writer, root } => self.lease(writer, root, rules),
            Action::Put { writer, block } => self.put(writer, block, rules),
            Action::Note { writer } => {
                let me = &mut self.writers[usize::from(writer)];
                let block = std::mem::take(&mut me.looked);
                me.put |= block;
                me.noted |= block;
                self.touch(block, rules);
                Answer::Done
            }
            Action::Commit { writer, head, alone } => self.commit(writer, head, alone, rules),
            Action::End { writer } => {
                self.writers[usize::from(writer)] = Writer::default();
                Answer::Done
            }
            Action::Expire { writer } => {
                let me = &mut self.writers[usize::from(writer)];
                (me.live, me.noted) = (false, 0);
                Answer::Done
            }
            Action::Snapshot => {
                self.reader = Reader { holds: true, roots: self.heads, seen: self.present };
                Answer::Done
            }
            Action::Release => {
                (self.reader, self.aside) = (Reader::default(), 0);
                Answer::Done
            }
            Action::Begin { collector } => {
                let leased = if rules.leases_marked { self.leased(rules) } else { 0 };
                let roots = self.heads | leased;
                self.collectors[usize::from(collector)] =
                    Collector { phase: Phase::Listed, marked: roots, grey: roots, ..Collector::default() };
                if rules.begin_at_once { self.announce(collector, rules) } else { Answer::Done }
            }
            Action::Announce { collector } => self.announce(collector, rules),
            Action::Mark { collector } => self.mark(collector),
            Action::Delete { collector, block } => self.delete(collector, block, rules),
            Action::Remove { collector } => {
                let me = &mut self.collectors[usize::from(collector)];
                let block = std::mem::take(&mut me.checked);
                self.remove(block, rules);
                Answer::Done
            }
            Action::Stop { collector } => {
                self.stop(collector);
                Answer::Done
            }
            Action::PutOutside { block } => {
                self.store(bit(block), rules);
                Answer::Done
            }
            Action::UpdateOutside { head, alone } => {
                if rules.outside_ends {
                    self.end_cycle();
                }
                self.set_head(head, alone);
                Answer::Done
            }
        }
    }

    fn lease(&mut self, writer: u8, root: Option<u8>, rules: &Rules) -> Answer {
        let roots = root.map_or(0, bit);
        let may = if rules.leasable { self.heads | self.leased(rules) } else { self.present };
        if roots & !may != 0 {
            return Answer::Stale;
        }
        self.writers[usize::from(writer)] = Writer { holds: true, live: true, roots, ..Writer::default() };
        Answer::Done
    }

    fn put(&mut self, writer: u8, block: u8, rules: &Rules) -> Answer {
        let me = self.writers[usize::from(writer)];
        if rules.put_live && !me.live {
            self.writers[usize::from(writer)] = Writer::default();
            return Answer::Stale;
        }
        let there = self.present & bit(block) != 0;
        if there && !rules.put_at_once {
            self.writers[usize::from(writer)].looked = bit(block);
            return Answer::Done;
        }
        let noted = self.store(bit(block), rules);
        let me = &mut self.writers[usize::from(writer)];
        me.put |= bit(block);
        if me.live {
            me.noted |= noted;
        }
        Answer::Done
    }

    /// Stores a block, and returns it if its put counts.
    fn store(&mut self, block: Set, rules: &Rules) -> Set {
        if self.present & block != 0 && !rules.duplicates {
            return 0;
        }
        if self.aside & block == 0 || rules.aside_absent {
            self.present |= block;
            self.aside &= !block;
        }
        self.touch(block, rules);
        block
    }

    fn touch(&mut self, block: Set, rules: &Rules) {
        if rules.touching && self.announced() {
            self.touched |= block;
        }
    }

    fn commit(&mut self, writer: u8, head: u8, alone: bool, rules: &Rules) -> Answer {
        let me = self.writers[usize::from(writer)];
        if rules.commit_live && !me.live {
            self.writers[usize::from(writer)] = Writer::default();
            return Answer::Stale;
        }
        // A block that is not known to the lease yet comes with the commit.
        if (closure(me.roots) | me.put) & bit(head) == 0 {
            let noted = self.store(bit(head), rules);
            self.writers[usize::from(writer)].put |= noted;
            self.writers[usize::from(writer)].noted |= if me.live { noted } else { 0 };
        }
        self.set_head(head, alone);
        Answer::Done
    }

    fn set_head(&mut self, head: u8, alone: bool) {
        self.heads = bit(head) | if alone { 0 } else { self.heads };
    }

    fn announce(&mut self, collector: u8, rules: &Rules) -> Answer {
        self.end_cycle();
        let me = &mut self.collectors[usize::from(collector)];
        (me.phase, me.newest) = (Phase::Announced, true);
        if rules.seeded {
            self.touched = self.writers.iter().fold(0, |set, writer| set | writer.noted);
        }
        Answer::Done
    }

    /// Marks the children of one block. If that is gone, the cycle cannot be the newest any more, and is given up.
    fn mark(&mut self, collector: u8) -> Answer {
        let me = &mut self.collectors[usize::from(collector)];
        let block = me.grey & me.grey.wrapping_neg();
        if self.present & block == 0 {
            self.stop(collector);
            return Answer::Stale;
        }
        me.grey &= !block; // Its children are leaves: they are never read.
        me.marked |= closure(block);
        Answer::Done
    }

    fn delete(&mut self, collector: u8, block: u8, rules: &Rules) -> Answer {
        let me = &mut self.collectors[usize::from(collector)];
        if rules.newest_only && !me.newest {
            *me = Collector::default();
            return Answer::Stale;
        }
        if self.touched & bit(block) != 0 {
            return Answer::Kept;
        }
        if rules.delete_at_once {
            self.remove(bit(block), rules);
        } else {
            me.checked = bit(block);
        }
        Answer::Done
    }

    fn remove(&mut self, block: Set, rules: &Rules) {
        if self.reader.holds && rules.aside_kept {
            self.aside |= self.present & block;
        }
        self.present &= !block;
    }

    fn stop(&mut self, collector: u8) {
        if self.collectors[usize::from(collector)].newest {
            self.end_cycle();
        }
        self.collectors[usize::from(collector)] = Collector::default();
    }

    fn end_cycle(&mut self) {
        self.touched = 0;
        self.collectors.iter_mut().for_each(|collector| collector.newest = false);
    }
}
