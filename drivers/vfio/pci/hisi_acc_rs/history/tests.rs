// SPDX-License-Identifier: GPL-2.0

//! Unit tests: which session an arc belongs to, and what the next user of the device can see.

#[kernel::prelude::kunit_tests(hisi_acc_rs_history)]
mod suite {
    use super::super::*;

    fn step(history: &mut History, arc: MigArc) {
        history.begin_arc(arc);
        history.finish_arc(arc, Ok(()));
    }

    fn end(history: &mut History) -> Result {
        history.finish_session(Session::saved(&Data::empty())?);
        Ok(())
    }

    #[test]
    fn session_has_the_arcs_around_it() -> Result {
        let mut history = History::EMPTY;
        step(&mut history, MigArc::RunningP2pToStop);
        history.begin_session(Direction::Save, Origin::User);
        step(&mut history, MigArc::StopToStopCopy);
        assert_eq!(history.current_id(), Some(1));
        end(&mut history)?;
        assert_eq!(history.current_id(), None);
        step(&mut history, MigArc::StopCopyToStop);
        step(&mut history, MigArc::StopToRunningP2p);
        history.detach_session();
        step(&mut history, MigArc::RunningToRunningP2p);

        let arcs = history
            .sessions
            .iter()
            .flat_map(|entry| entry.steps.iter().map(|step| step.arc));
        assert!(arcs.eq([
            MigArc::RunningP2pToStop,
            MigArc::StopToStopCopy,
            MigArc::StopCopyToStop,
            MigArc::StopToRunningP2p,
        ]));
        assert_eq!(history.pending.iter().count(), 1);
        Ok(())
    }

    #[test]
    fn next_owner_sees_nothing_but_the_numbering() -> Result {
        let mut history = History::EMPTY;
        history.begin_session(Direction::Resume, Origin::User);
        end(&mut history)?;
        assert!(history.last.is_none());
        history.clear();
        assert_eq!(history.sessions.iter().count(), 0);
        assert!(!history.attached);
        history.begin_session(Direction::Resume, Origin::User);
        assert_eq!(history.current_id(), Some(2));
        Ok(())
    }
}
