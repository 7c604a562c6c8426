//! Faults of the simulated disk: what goes wrong, and when.
//!
//! Used by: tests, through [`SimVfs::inject`](super::SimVfs::inject). Threads: under the lock of `sim`.

use crate::call::Call;

/// What goes wrong with one call.
///
/// A fault that makes no sense for the call it meets (a short rename) does nothing;
/// [`SimVfs::faults_fired`](super::SimVfs::faults_fired) tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The call fails with `EIO` and does nothing. A sync that fails takes what it should have made durable
    /// with it: readers still see it, later syncs succeed without it, and the next power cut loses it.
    Eio,
    /// A call that needs space fails with `ENOSPC` and does nothing.
    NoSpace,
    /// The call fails with `EINTR` and does nothing.
    Interrupted,
    /// A read or write stops after this many bytes.
    Short(usize),
    /// A write is acknowledged, and its bytes go nowhere. The length it needs is set.
    LostWrite,
    /// A write is acknowledged, and its bytes go to this offset of the file. The length it needs is set.
    Misdirected(u64),
    /// A sync is acknowledged and makes nothing durable.
    IgnoredSync,
}

impl Fault {
    fn fits(self, call: Call) -> bool {
        match self {
            Fault::Eio | Fault::Interrupted => true,
            Fault::NoSpace => call.grows() || matches!(call, Call::Open | Call::CreateDir | Call::Rename),
            Fault::Short(_) => matches!(call, Call::ReadAt | Call::WriteAt),
            Fault::LostWrite | Fault::Misdirected(_) => call == Call::WriteAt,
            Fault::IgnoredSync => call.is_sync(),
        }
    }
}

/// When a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum When {
    /// At the call with this number, as [`SimVfs::calls`](super::SimVfs::calls) counts them.
    Call(u64),
    /// Once, at the n-th of these calls from now on; the next one is number zero.
    Nth(Calls, u64),
    /// At each of these calls.
    Every(Calls),
}

/// A group of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Calls {
    /// All of them.
    Any,
    /// Calls that make something durable.
    Syncs,
    /// Calls that may need space: write, set the length, allocate.
    Growing,
    /// Calls of one method.
    Of(Call),
}

impl Calls {
    fn contain(self, call: Call) -> bool {
        match self {
            Calls::Any => true,
            Calls::Syncs => call.is_sync(),
            Calls::Growing => call.grows(),
            Calls::Of(one) => one == call,
        }
    }
}

/// The faults to come.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    planned: Vec<(When, Fault)>,
    pub(super) fired: u64,
}

impl Plan {
    pub(super) fn add(&mut self, when: When, fault: Fault) {
        self.planned.push((when, fault));
    }

    pub(super) fn clear(&mut self) {
        self.planned.clear();
    }

    /// Returns the fault for a call. The first planned wins; all countdowns go on.
    pub(super) fn strike(&mut self, number: u64, call: Call) -> Option<Fault> {
        let mut struck = None;
        self.planned.retain_mut(|(when, fault)| {
            let (strikes, stays) = advance(when, number, call);
            if strikes && fault.fits(call) {
                struck = struck.or(Some(*fault));
            }
            stays
        });
        self.fired += u64::from(struck.is_some());
        struck
    }
}

/// Lets one call pass: does the fault strike, and may it strike later?
fn advance(when: &mut When, number: u64, call: Call) -> (bool, bool) {
    match when {
        When::Call(at) => (*at == number, *at > number),
        When::Every(calls) => (calls.contain(call), true),
        When::Nth(calls, left) => {
            if !calls.contain(call) {
                return (false, true);
            }
            let strikes = *left == 0;
            *left = left.saturating_sub(1);
            (strikes, !strikes)
        }
    }
}
