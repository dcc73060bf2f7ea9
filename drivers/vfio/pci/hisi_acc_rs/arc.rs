// SPDX-License-Identifier: GPL-2.0

//! The arcs that the driver walks.
//!
//! The core leads from any state to any other along arcs of one kind each; with the features
//! that this driver offers there are fifteen of them.

use vfio::migration::State;

/// A step between two neighbouring states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MigArc {
    RunningToRunningP2p,
    RunningP2pToRunning,
    RunningP2pToStop,
    StopToRunningP2p,
    StopToStopCopy,
    StopCopyToStop,
    StopToResuming,
    ResumingToStop,
    RunningToPreCopy,
    PreCopyToRunning,
    RunningP2pToPreCopyP2p,
    PreCopyP2pToRunningP2p,
    PreCopyToPreCopyP2p,
    PreCopyP2pToPreCopy,
    PreCopyP2pToStopCopy,
}

impl MigArc {
    /// All arcs.
    const ALL: [Self; 15] = [
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
    ];

    /// Where the arc starts and where it ends.
    pub(crate) const fn ends(self) -> (State, State) {
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
        }
    }

    /// The arc from one state to another, if they are neighbours.
    pub(crate) fn between(from: State, to: State) -> Option<Self> {
        Self::ALL.into_iter().find(|arc| arc.ends() == (from, to))
    }
}

#[kernel::prelude::kunit_tests(rust_hisi_acc_arc)]
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
    fn fifteen_pairs_of_states_are_neighbours() {
        let mut pairs = 0;
        for from in State::ALL {
            for to in State::ALL {
                pairs += usize::from(MigArc::between(from, to).is_some());
            }
        }
        assert_eq!(pairs, 15);
    }

    #[test]
    fn no_arc_touches_error() {
        for other in State::ALL {
            assert_eq!(MigArc::between(State::Error, other), None);
            assert_eq!(MigArc::between(other, State::Error), None);
        }
    }

    #[test]
    fn device_with_p2p_states_stops_and_starts_through_them() {
        for (one, other) in [
            (State::Running, State::Stop),
            (State::PreCopy, State::StopCopy),
        ] {
            assert_eq!(MigArc::between(one, other), None);
            assert_eq!(MigArc::between(other, one), None);
        }
    }
}
