//! The list of checks, and how they are run.

use super::lab::{Abilities, Lab};
use crate::error::Error;

/// What a check answers; a broken promise panics.
pub(crate) type Checked = Result<(), Error>;

/// One check of one numbered promise.
#[derive(Clone, Copy, Debug)]
pub struct Promise {
    /// The number of the promise and what is checked, for example `s5_the_empty_block_is_a_block`.
    pub name: &'static str,
    /// What a lab must be able to do.
    pub needs: Abilities,
    check: fn(&dyn Lab) -> Checked,
}

/// Whether a check could be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The promise is kept, as far as this check can tell.
    Kept,
    /// The lab cannot show it.
    NotHere,
}

impl Promise {
    /// Makes the check on a fresh lab.
    ///
    /// # Panics
    /// If the promise is broken.
    pub fn check(&self, lab: &dyn Lab) -> Shown {
        if !lab.abilities().cover(self.needs) {
            println!("{} cannot be shown on this {} lab: it needs {:?}", self.name, lab.name(), self.needs);
            return Shown::NotHere;
        }
        if let Err(error) = (self.check)(lab) {
            panic!("{} on {}: {error} ({error:?})", self.name, lab.name());
        }
        Shown::Kept
    }
}

/// Makes the check of this name on a fresh lab.
///
/// # Panics
/// If the promise is broken, or there is no check of this name.
pub fn run(name: &str, lab: &dyn Lab) -> Shown {
    let promise = promises().iter().find(|promise| promise.name == name);
    promise.unwrap_or_else(|| panic!("there is no check {name}")).check(lab)
}

/// Makes every check, each on a lab of its own, and returns how many could be made.
///
/// # Panics
/// If a promise is broken.
pub fn check_all<L: Lab>(mut fresh: impl FnMut() -> L) -> usize {
    promises().iter().filter(|promise| promise.check(&fresh()) == Shown::Kept).count()
}

/// Returns every check.
pub fn promises() -> &'static [Promise] {
    crate::promises! { [table] }
}

/// Makes a module of tests for each backend: one `#[test]` for each check.
///
/// ```
/// # use mnem::testing::MemoryLab;
/// mnem::conformance! {
///     memory: MemoryLab::new(),
/// }
/// ```
#[macro_export]
macro_rules! conformance {
    ($($backend:ident: $lab:expr),* $(,)?) => {
        $(
            mod $backend {
                #[allow(unused_imports)]
                use super::*;
                $crate::promises! { [tests $lab] }
            }
        )*
    };
}

/// The one list of checks. An entry names the module, the check, and what it needs.
#[doc(hidden)]
#[macro_export]
macro_rules! promises {
    ([$($target:tt)*]) => {
        $crate::promises! { @$($target)*;
            blocks::s1_a_stored_block_is_readable_until_it_is_deleted [],
            blocks::s1_blocks_stay_when_the_store_is_closed [keeps],
            collection_race::s1_threads_that_put_read_and_delete_see_no_wrong_byte_and_lose_none [],
            blocks::s2_storing_again_changes_nothing [],
            blocks::s3_synced_blocks_survive_a_power_cut [cuts_power],
            blocks::s4_blocks_of_every_class_come_back_as_they_were [],
            blocks::s4_damage_is_reported_not_returned [damages],
            blocks::s5_the_empty_block_is_a_block [],
            blocks::s6_many_answer_in_the_order_of_the_question [],
            blocks_scan::s7_scan_ascends_and_gives_each_cid_once [],
            blocks_scan::s7_scan_goes_on_after_any_cid [],
            blocks_scan::s7_scan_beside_writers_misses_nothing_that_stays [],
            blocks_scan::s7_scan_needs_memory_that_does_not_grow_with_the_store [],
            blocks::s8_a_block_over_the_limit_is_refused_with_its_whole_call [],
            heads::p1_heads_are_never_empty_after_the_first_update [],
            heads::p2_no_reader_sees_neither_old_nor_new [],
            heads::p3_a_swap_takes_all_or_nothing [],
            heads::p3_of_racing_swaps_one_wins [],
            heads::p3_updates_without_expectation_unite [],
            heads::p4_heads_stay_when_the_store_is_closed [keeps],
            heads::p4_an_update_survives_a_power_cut_with_all_blocks_before_it [cuts_power],
            heads::p5_a_head_without_its_block_is_refused [],
            heads::p6_namespaces_do_not_touch_each_other [],
            store::t1_a_commit_stays_when_the_store_is_closed [keeps],
            store_race::t1_no_reader_sees_half_a_commit [],
            store::t1_a_commit_is_whole_or_absent_wherever_the_power_fails [cuts_power],
            store_race::t2_heads_have_their_blocks_beside_writers [],
            collection_race::t2_collection_beside_writers_takes_nothing_that_is_reached [],
            store::t2_heads_have_their_blocks_wherever_the_power_fails [cuts_power],
            store::t3_without_a_live_lease_nothing_is_committed [],
            store::t4_a_snapshot_shows_its_moment [],
            store::t4_a_snapshot_shows_blocks_that_were_deleted_since [],
            store_race::t4_a_snapshot_shows_the_heads_of_one_moment [],
            store::t5_a_refused_commit_leaves_no_head_and_no_row [],
            rows::r1_a_row_reads_as_it_was_put [],
            rows::r1_a_damaged_row_is_absent [damages],
            rows::r1_rows_are_whole_or_absent_wherever_the_power_fails [cuts_power],
            rows::r2_clearing_rows_changes_no_block_and_no_head [],
            rows::r2_damaged_rows_keep_no_store_from_opening [damages],
            rows::r3_rows_ascend_from_the_first_key_asked_for [],
            rows::r4_a_row_over_its_limit_is_refused_with_its_whole_call [],
            rows::r5_rows_are_visible_on_return [],
            collection::c1_a_lease_needs_roots_that_are_held [],
            collection::c1_a_lease_during_a_cycle_needs_roots_that_the_cycle_covers [],
            collection::c2_what_is_put_under_a_lease_stays_while_it_lives [],
            collection::c3_a_cycle_begins_with_all_heads_and_roots_of_leases [],
            collection::c4_what_is_put_during_a_cycle_stays [],
            collection::c5_a_cycle_that_is_over_deletes_nothing [],
            collection::c6_heads_changed_outside_a_lease_end_the_cycle [],
            collection::c7_a_deleted_block_is_gone_and_can_come_back [],
            collection::c8_a_dropped_lease_holds_nothing [],
            collection::c8_leases_end_with_the_power [cuts_power],
            collection::c9_compacting_changes_nothing_that_can_be_read [],
        }
    };
    (@table; $($module:ident::$name:ident [$($need:ident)*],)*) => {
        const {
            &[$(Promise {
                name: stringify!($name),
                needs: Abilities { $($need: true,)* ..Abilities::NONE },
                check: super::$module::$name,
            }),*]
        }
    };
    (@tests $lab:expr; $($module:ident::$name:ident [$($need:ident)*],)*) => {
        $(
            #[test]
            fn $name() {
                let _ = $crate::testing::run(stringify!($name), &$lab);
            }
        )*
    };
}
