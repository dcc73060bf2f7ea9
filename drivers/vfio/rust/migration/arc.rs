// SPDX-License-Identifier: GPL-2.0

//! The arcs that a driver walks.
//!
//! The core divides every transition into arcs between neighbouring states. A device that offers
//! the P2P states walks fifteen kinds of arcs. A device that does not offer them has three other
//! arcs that bypass these states.

use super::State;
use crate::{
    bindings,
    device::CoreDevice, //
};
use kernel::{
    error::to_result,
    prelude::*, //
};

/// A step between two neighbouring states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MigArc {
    /// The device stops starting accesses to other devices.
    RunningToRunningP2p,
    /// The device may access other devices.
    RunningP2pToRunning,
    /// The device stops.
    RunningP2pToStop,
    /// The device starts, without accesses to other devices.
    StopToRunningP2p,
    /// The state of the device is saved.
    StopToStopCopy,
    /// The saved state is not needed any more.
    StopCopyToStop,
    /// The device waits for a state to load.
    StopToResuming,
    /// The received state is loaded.
    ResumingToStop,
    /// The known part of the running device's state is saved.
    RunningToPreCopy,
    /// The migration is cancelled.
    PreCopyToRunning,
    /// Like [`MigArc::RunningToPreCopy`].
    RunningP2pToPreCopyP2p,
    /// Like [`MigArc::PreCopyToRunning`].
    PreCopyP2pToRunningP2p,
    /// Like [`MigArc::RunningToRunningP2p`].
    PreCopyToPreCopyP2p,
    /// Like [`MigArc::RunningP2pToRunning`].
    PreCopyP2pToPreCopy,
    /// The device stops, and the rest of its state is saved.
    PreCopyP2pToStopCopy,
    /// The device stops; only without the P2P states.
    RunningToStop,
    /// The device starts; only without the P2P states.
    StopToRunning,
    /// Like [`MigArc::PreCopyP2pToStopCopy`]; only without the P2P states.
    PreCopyToStopCopy,
}

impl MigArc {
    /// All arcs.
    const ALL: [Self; 18] = [
        Self::RunningToRunningP2p,
        Self::RunningP2pToRunning,
        Self::RunningP2pToStop,
        Self::StopToRunningP2p,
        Self::StopToStopCopy,
        Self::StopCopyToStop,
        Self::StopToResuming,
        Self::ResumingToStop,
        Self::RunningToPreCopy,
        Self::PreCopyToRunning,
        Self::RunningP2pToPreCopyP2p,
        Self::PreCopyP2pToRunningP2p,
        Self::PreCopyToPreCopyP2p,
        Self::PreCopyP2pToPreCopy,
        Self::PreCopyP2pToStopCopy,
        Self::RunningToStop,
        Self::StopToRunning,
        Self::PreCopyToStopCopy,
    ];

    /// Returns the states in which the arc starts and ends.
    pub const fn ends(self) -> (State, State) {
        match self {
            Self::RunningToRunningP2p => (State::Running, State::RunningP2p),
            Self::RunningP2pToRunning => (State::RunningP2p, State::Running),
            Self::RunningP2pToStop => (State::RunningP2p, State::Stop),
            Self::StopToRunningP2p => (State::Stop, State::RunningP2p),
            Self::StopToStopCopy => (State::Stop, State::StopCopy),
            Self::StopCopyToStop => (State::StopCopy, State::Stop),
            Self::StopToResuming => (State::Stop, State::Resuming),
            Self::ResumingToStop => (State::Resuming, State::Stop),
            Self::RunningToPreCopy => (State::Running, State::PreCopy),
            Self::PreCopyToRunning => (State::PreCopy, State::Running),
            Self::RunningP2pToPreCopyP2p => (State::RunningP2p, State::PreCopyP2p),
            Self::PreCopyP2pToRunningP2p => (State::PreCopyP2p, State::RunningP2p),
            Self::PreCopyToPreCopyP2p => (State::PreCopy, State::PreCopyP2p),
            Self::PreCopyP2pToPreCopy => (State::PreCopyP2p, State::PreCopy),
            Self::PreCopyP2pToStopCopy => (State::PreCopyP2p, State::StopCopy),
            Self::RunningToStop => (State::Running, State::Stop),
            Self::StopToRunning => (State::Stop, State::Running),
            Self::PreCopyToStopCopy => (State::PreCopy, State::StopCopy),
        }
    }

    /// The arcs, indexed by the numbers of their ends.
    const BY_ENDS: [[Option<Self>; State::ALL.len()]; State::ALL.len()] = {
        let mut table = [[None; State::ALL.len()]; State::ALL.len()];
        let mut n = 0;
        while n < Self::ALL.len() {
            let arc = Self::ALL[n];
            let (from, to) = arc.ends();
            table[from as usize][to as usize] = Some(arc);
            n += 1;
        }
        table
    };

    /// Returns the arc between two states, if they are neighbours.
    fn between(from: State, to: State) -> Option<Self> {
        Self::BY_ENDS[from as usize][to as usize]
    }
}

impl CoreDevice {
    /// Returns the next state on the core's path from `current` to `target`.
    #[inline]
    fn next_state(&self, current: State, target: State) -> Result<State> {
        // The core warns about a path that starts in ERROR, as it considers that a bug of the
        // driver. But any user can request one.
        if current == State::Error {
            return Err(EINVAL);
        }

        let mut next = current.into();
        // SAFETY: `self.vdev()` is a valid device, and `next` is valid for a write.
        to_result(unsafe {
            bindings::vfio_mig_get_next_state(self.vdev(), current.into(), target.into(), &mut next)
        })?;
        State::try_from(next)
    }

    /// Returns the next arc on the core's path from `current` to `target`, which must differ.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if there is no path with the features of the device. There is none from
    /// [`State::Error`].
    ///
    /// C: `vfio_mig_get_next_state()`
    #[inline]
    pub(crate) fn next_arc(&self, current: State, target: State) -> Result<MigArc> {
        let next = self.next_state(current, target)?;
        MigArc::between(current, next).ok_or(EINVAL)
    }
}

#[kernel::prelude::kunit_tests(rust_vfio_arc)]
mod tests {
    use super::*;

    #[test]
    fn every_arc_is_found_by_its_ends() {
        for arc in MigArc::ALL {
            let (from, to) = arc.ends();
            assert_eq!(MigArc::between(from, to), Some(arc));
        }
    }

    #[test]
    fn eighteen_pairs_of_states_are_neighbours() {
        let mut pairs = 0;
        for from in State::ALL {
            for to in State::ALL {
                pairs += usize::from(MigArc::between(from, to).is_some());
            }
        }
        assert_eq!(pairs, 18);
    }

    #[test]
    fn no_arc_touches_error() {
        for other in State::ALL {
            assert_eq!(MigArc::between(State::Error, other), None);
            assert_eq!(MigArc::between(other, State::Error), None);
        }
    }
}
