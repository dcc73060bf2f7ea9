// SPDX-License-Identifier: GPL-2.0

//! Unit tests of the state machine, with a device that records its callbacks.

#[kernel::prelude::kunit_tests(rust_vfio_machine)]
mod suite {
    use super::super::*;
    use crate::data_file::ResumingSession;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Call {
        Stop,
        Start,
        Quiesce,
        Unquiesce,
        SaveHead,
        Save,
        Format,
        Load,
        Reset,
        Closed,
    }

    /// A notification to the driver.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Event {
        Begins(MigArc),
        Ended(MigArc, Result<(), Failure>),
        Begun(Direction),
        Refused(Error),
        /// A session has ended, with this number of bytes.
        Over(Direction, usize, Option<Error>),
    }

    /// A device whose state is two bytes, the first of which is known while it runs.
    struct Toy {
        calls: KVec<Call>,
        events: KVec<Event>,
        fails: fn(Call) -> Option<Failure>,
        /// A call during which the device of this machine is reset, and whether the reset ends
        /// before the call returns.
        resets: Option<(Call, bool, *const StateMachine<Toy>)>,
        state: [u8; 2],
    }

    // SAFETY: The pointer is used only while the test that set it owns the machine.
    unsafe impl Send for Toy {}

    /// Accepts two bytes, the first below 9 and the second not 0.
    struct NotZero;

    #[vtable]
    impl StreamFormat for NotZero {
        type Image = [u8; 2];
        type Verified = [u8; 2];
        type Reject = Error;

        const HEAD: usize = 1;

        fn check(&self, head: &[u8; 2]) -> Result {
            if head[0] < 9 {
                Ok(())
            } else {
                Err(EPERM)
            }
        }

        fn verify(&self, data: &Data<[u8; 2]>) -> Result<[u8; 2]> {
            let state = data.complete().ok_or(ENODATA)?;
            if state[1] == 0 {
                return Err(EINVAL);
            }
            Ok(*state)
        }
    }

    impl Toy {
        fn call(&mut self, call: Call) -> Result<(), Failure> {
            // If recording the call fails, the test fails.
            let _ = self.calls.push(call, GFP_KERNEL);
            if let Some((_, ends, machine)) = self.resets.take_if(|(when, ..)| *when == call) {
                // SAFETY: As above, the machine exists. It is accessed through shared references
                // only.
                let machine = unsafe { &*machine };
                machine.reset_announced();
                machine.reset_prepare();
                if ends {
                    machine.reset_done();
                }
            }
            (self.fails)(call).map_or(Ok(()), Err)
        }

        fn take(&mut self) -> KVec<Call> {
            core::mem::take(&mut self.calls)
        }

        fn note(&mut self, event: Event) {
            // If recording the event fails, the test fails.
            let _ = self.events.push(event, GFP_KERNEL);
        }
    }

    #[vtable]
    impl Migrate for Toy {
        type Format = NotZero;

        fn stop(&mut self, _core: &CoreDevice<Bound>) -> Result<(), Failure> {
            self.call(Call::Stop)
        }

        fn start(&mut self, _core: &CoreDevice<Bound>) -> Result<(), Failure> {
            self.call(Call::Start)
        }

        fn quiesce(&mut self, _core: &CoreDevice<Bound>) -> Result<(), Failure> {
            self.call(Call::Quiesce)
        }

        fn unquiesce(&mut self, _core: &CoreDevice<Bound>) -> Result<(), Failure> {
            self.call(Call::Unquiesce)
        }

        fn save_head(&mut self, _core: &CoreDevice<Bound>) -> Result<[u8; 2]> {
            self.call(Call::SaveHead)?;
            Ok(self.state)
        }

        fn save(
            &mut self,
            _core: &CoreDevice<Bound>,
            _: Option<&Data<[u8; 2]>>,
        ) -> Result<Data<[u8; 2]>> {
            self.call(Call::Save)?;
            Ok(Data::whole(self.state))
        }

        fn stream_format(&mut self, _core: &CoreDevice<Bound>) -> Result<NotZero> {
            self.call(Call::Format)?;
            Ok(NotZero)
        }

        fn load(&mut self, _core: &CoreDevice<Bound>, state: [u8; 2]) -> Result {
            self.call(Call::Load)?;
            self.state = state;
            Ok(())
        }

        fn reset(&mut self) {
            let _ = self.call(Call::Reset);
        }

        fn closed(&mut self, _core: &CoreDevice<Bound>) {
            let _ = self.call(Call::Closed);
        }

        fn arc_begins(&mut self, arc: MigArc) {
            self.note(Event::Begins(arc));
        }

        fn arc_walked(&mut self, arc: MigArc) {
            self.note(Event::Ended(arc, Ok(())));
        }

        fn arc_failed(&mut self, _core: &CoreDevice<Bound>, arc: MigArc, failure: Failure) {
            self.note(Event::Ended(arc, Err(failure)));
        }

        fn session_begun(&mut self, direction: Direction) {
            self.note(Event::Begun(direction));
        }

        fn session_refused(&mut self, reject: Error) {
            self.note(Event::Refused(reject));
        }

        fn session_ended(&mut self, session: Session<NotZero>) {
            self.note(Event::Over(
                session.direction(),
                session.bytes(),
                session.reject(),
            ));
        }
    }

    struct Fixture {
        machine: Pin<KBox<StateMachine<Toy>>>,
        core: KBox<CoreDevice<Bound>>,
    }

    impl Fixture {
        fn new(fails: fn(Call) -> Option<Failure>) -> Result<Self> {
            let toy = Toy {
                calls: KVec::new(),
                events: KVec::new(),
                fails,
                resets: None,
                state: [1, 2],
            };
            let machine = KBox::pin_init(StateMachine::new(toy), GFP_KERNEL)?;
            let core = CoreDevice::new_for_test(machine.features())?;
            Ok(Self { machine, core })
        }

        /// Requests a state. Returns whether there was a data file, the calls, and the resulting
        /// state.
        fn go(&self, target: State) -> (Result<bool>, KVec<Call>, State) {
            let result = self.machine.set_state(&self.core, target);
            (
                result.map(|file| file.is_some()),
                self.machine.with(|guard| guard.driver_mut().take()),
                self.machine.state(),
            )
        }

        /// Requests a state, and ignores whether it is reached. Returns the notifications.
        fn events(&self, target: State) -> KVec<Event> {
            let _ = self.machine.set_state(&self.core, target);
            self.machine
                .with(|guard| core::mem::take(&mut guard.driver_mut().events))
        }

        /// Writes to the data file.
        fn write(&self, bytes: &[u8]) -> Result {
            self.machine.with(|guard| match &guard.inner.phase {
                Phase::Resuming(session) => session.append(bytes, 0),
                _ => Err(ENODEV),
            })
        }
    }

    fn never(_: Call) -> Option<Failure> {
        None
    }

    #[test]
    fn callbacks_determine_the_features() -> Result {
        let fixture = Fixture::new(never)?;
        let all = Features::all();
        assert_eq!(fixture.machine.features(), all);
        Ok(())
    }

    #[test]
    fn each_way_has_its_callbacks() -> Result {
        use Call::*;

        let fixture = Fixture::new(never)?;
        let walk = |target, file, calls: &[Call]| {
            let (result, called, state) = fixture.go(target);
            assert_eq!(result, Ok(file));
            assert_eq!(called.as_slice(), calls);
            assert_eq!(state, target);
        };
        walk(State::Running, false, &[]);
        walk(State::Stop, false, &[Quiesce, Stop]);
        walk(State::StopCopy, true, &[Save]);
        walk(State::Running, false, &[Start, Unquiesce]);
        walk(State::PreCopy, true, &[SaveHead]);
        walk(State::PreCopyP2p, false, &[Quiesce]);
        walk(State::PreCopy, false, &[Unquiesce]);
        walk(State::StopCopy, false, &[Quiesce, Stop, Save]);
        walk(State::Resuming, true, &[Format]);
        fixture.write(&[1, 9])?;
        walk(State::RunningP2p, false, &[Load, Start]);
        walk(State::PreCopyP2p, true, &[SaveHead]);
        walk(State::RunningP2p, false, &[]);
        walk(State::Running, false, &[Unquiesce]);
        assert_eq!(fixture.machine.with(|guard| guard.driver().state), [1, 9]);
        Ok(())
    }

    #[test]
    fn stop_that_fails_leaves_the_device_running() -> Result {
        let fails = |call| (call == Call::Stop).then_some(Failure::Recoverable(EIO));
        let fixture = Fixture::new(fails)?;
        let (result, called, state) = fixture.go(State::Stop);
        assert_eq!(result, Err(EIO));
        let calls = [Call::Quiesce, Call::Stop, Call::Unquiesce];
        assert_eq!(called.as_slice(), &calls);
        assert_eq!(state, State::Running);
        Ok(())
    }

    #[test]
    fn failed_walk_ends_on_its_path() -> Result {
        use Call::*;

        let fails = |call| (call == SaveHead).then_some(Failure::Recoverable(EIO));
        let fixture = Fixture::new(fails)?;
        let fails_by = |target, calls: &[Call], end| {
            let (result, called, state) = fixture.go(target);
            assert_eq!(result, Err(EIO));
            assert_eq!(called.as_slice(), calls);
            assert_eq!(state, end);
        };
        // RUNNING is on neither path.
        let _ = fixture.go(State::Stop);
        fails_by(State::PreCopyP2p, &[Start, SaveHead], State::RunningP2p);
        fails_by(State::PreCopyP2p, &[SaveHead], State::RunningP2p);
        let _ = fixture.go(State::Running);
        fails_by(State::PreCopy, &[SaveHead], State::Running);
        Ok(())
    }

    #[test]
    fn failed_walk_returns_to_a_state_that_it_has_passed() -> Result {
        use Call::*;

        let fails = |call| (call == Stop).then_some(Failure::Recoverable(EIO));
        let fixture = Fixture::new(fails)?;
        let _ = fixture.go(State::PreCopy);
        let (result, called, state) = fixture.go(State::Resuming);
        assert_eq!(result, Err(EIO));
        assert_eq!(called.as_slice(), &[Quiesce, Stop, Unquiesce]);
        assert_eq!(state, State::Running);
        Ok(())
    }

    #[test]
    fn user_that_asks_for_a_p2p_state_may_end_in_one() -> Result {
        use Call::*;

        let fails = |call| (call == Stop).then_some(Failure::Recoverable(EIO));
        let fixture = Fixture::new(fails)?;
        let _ = fixture.go(State::RunningP2p);
        let (result, called, state) = fixture.go(State::Stop);
        assert_eq!(result, Err(EIO));
        assert_eq!(called.as_slice(), &[Stop]);
        assert_eq!(state, State::RunningP2p);
        Ok(())
    }

    #[test]
    fn only_a_reset_leads_out_of_error() -> Result {
        let fails = |call| (call == Call::Stop).then_some(Failure::Fatal(EIO));
        let fixture = Fixture::new(fails)?;
        let (result, _, state) = fixture.go(State::Stop);
        assert_eq!(result, Err(EIO));
        assert_eq!(state, State::Error);
        for target in State::ALL {
            let (result, called, state) = fixture.go(target);
            assert_eq!(result.is_ok(), target == State::Error);
            assert!(called.is_empty());
            assert_eq!(state, State::Error);
        }
        fixture.machine.reset_prepare();
        fixture.machine.reset_done();
        assert_eq!(fixture.machine.state(), State::Running);
        assert_eq!(
            fixture
                .machine
                .with(|guard| guard.driver_mut().take())
                .as_slice(),
            &[Call::Reset]
        );
        Ok(())
    }

    #[test]
    fn failed_stop_copy_restarts_the_device() -> Result {
        let fails = |call| (call == Call::Save).then_some(Failure::Recoverable(EIO));
        let fixture = Fixture::new(fails)?;
        let _ = fixture.go(State::PreCopy);
        let (result, called, state) = fixture.go(State::StopCopy);
        assert_eq!(result, Err(EIO));
        use Call::*;
        assert_eq!(called.as_slice(), &[Quiesce, Stop, Save, Start, Unquiesce]);
        assert_eq!(state, State::PreCopy);
        Ok(())
    }

    #[test]
    fn device_that_cannot_run_again_has_failed() -> Result {
        let fails = |call| {
            let failing = matches!(call, Call::Save | Call::Start);
            failing.then_some(Failure::Recoverable(EIO))
        };
        let fixture = Fixture::new(fails)?;
        let _ = fixture.go(State::PreCopy);
        let (result, _, state) = fixture.go(State::StopCopy);
        assert_eq!(result, Err(EIO));
        assert_eq!(state, State::Error);
        Ok(())
    }

    #[test]
    fn pre_copy_data_must_match() -> Result {
        let fixture = Fixture::new(never)?;
        let _ = fixture.go(State::PreCopy);
        fixture
            .machine
            .with(|guard| guard.driver_mut().state = [7, 2]);
        let (result, called, state) = fixture.go(State::StopCopy);
        assert_eq!(result, Err(EIO));
        assert_eq!(called.last(), Some(&Call::Unquiesce));
        assert_eq!(state, State::PreCopy);
        Ok(())
    }

    #[test]
    fn refused_data_are_not_loaded() -> Result {
        let fixture = Fixture::new(never)?;
        let _ = fixture.go(State::Resuming);
        let refused = |error| {
            let (result, called, state) = fixture.go(State::Stop);
            assert_eq!(result, Err(error));
            assert!(called.is_empty());
            assert_eq!(state, State::Resuming);
        };
        refused(ENODATA);
        fixture.write(&[1, 0])?;
        refused(EINVAL);
        Ok(())
    }

    #[test]
    fn load_that_fails_breaks_the_device() -> Result {
        let fails = |call| (call == Call::Load).then_some(Failure::Recoverable(EIO));
        let fixture = Fixture::new(fails)?;
        let _ = fixture.go(State::Resuming);
        fixture.write(&[1, 2])?;
        let (result, _, state) = fixture.go(State::Stop);
        assert_eq!(result, Err(EIO));
        assert_eq!(state, State::Error);
        Ok(())
    }

    #[test]
    fn no_callback_is_called_during_a_reset() -> Result {
        let fixture = Fixture::new(never)?;
        let _ = fixture.go(State::Stop);
        fixture.machine.reset_announced();
        // The function still works.
        let _ = fixture.go(State::Running);
        let _ = fixture.go(State::Stop);
        fixture.machine.reset_prepare();
        fixture.machine.with(|guard| {
            assert_eq!(guard.go_to_state(&fixture.core, State::Running), Err(EBUSY));
            assert_eq!(guard.load_verified(&fixture.core, [3, 4]), Err(EBUSY));
            assert!(guard.driver().calls.is_empty());
        });
        fixture.machine.reset_done();
        assert_eq!(fixture.go(State::Stop).2, State::Stop);
        Ok(())
    }

    /// Requests `target` from a device that is reset during the call `when`. `ends` is whether the
    /// reset ends before the call returns.
    fn overtaken(when: Call, target: State, ends: bool) -> Result<(Result, KVec<Call>, State)> {
        let fixture = Fixture::new(never)?;
        let _ = fixture.go(State::PreCopy);
        let result = fixture.machine.with(|guard| {
            guard.driver_mut().resets = Some((when, ends, &raw const *fixture.machine));
            guard.go_to_state(&fixture.core, target)
        });
        if !ends {
            fixture.machine.reset_done();
        }
        Ok((
            result,
            fixture.machine.with(|guard| guard.driver_mut().take()),
            fixture.machine.state(),
        ))
    }

    #[test]
    fn reset_during_an_arc_stops_the_walk() -> Result {
        use Call::*;

        let (result, called, state) = overtaken(Stop, State::StopCopy, false)?;
        assert_eq!(result, Err(EBUSY));
        assert_eq!(called.as_slice(), &[Quiesce, Stop, Reset]);
        assert_eq!(state, State::Running);
        Ok(())
    }

    #[test]
    fn walk_goes_on_from_running_after_a_reset() -> Result {
        use Call::*;

        let (result, called, state) = overtaken(Quiesce, State::PreCopyP2p, true)?;
        assert_eq!(result, Ok(()));
        assert_eq!(called.as_slice(), &[Quiesce, Reset, Quiesce, SaveHead]);
        assert_eq!(state, State::PreCopyP2p);
        Ok(())
    }

    #[test]
    fn error_of_an_arc_that_a_reset_undoes_is_no_error() -> Result {
        use Call::*;

        let fixture = Fixture::new(|call| (call == Stop).then_some(Failure::Fatal(EIO)))?;
        fixture.machine.reset_announced();
        fixture.machine.with(|guard| {
            assert_eq!(guard.go_to_state(&fixture.core, State::Stop), Err(EBUSY));
            assert_eq!(guard.state(), State::Error);
            guard.driver_mut().fails = never;
        });
        fixture.machine.reset_prepare();
        fixture.machine.reset_done();
        assert_eq!(fixture.go(State::Stop).2, State::Stop);
        Ok(())
    }

    #[test]
    fn last_close_ends_the_session() -> Result {
        let fixture = Fixture::new(never)?;
        let _ = fixture.go(State::Resuming);
        let session = fixture.machine.with(|guard| match &guard.inner.phase {
            Phase::Resuming(session) => Ok(session.clone()),
            _ => Err(EINVAL),
        })?;
        fixture.machine.closed(&fixture.core);
        assert_eq!(session.append(&[1], 0), Err(ENODEV));
        assert_eq!(fixture.machine.state(), State::Running);
        Ok(())
    }

    #[test]
    fn closed_is_called_after_the_session_has_ended() -> Result {
        let fixture = Fixture::new(never)?;
        let _ = fixture.events(State::StopCopy);
        fixture.machine.closed(&fixture.core);
        fixture.machine.with(|guard| {
            assert_eq!(
                guard.driver().events.as_slice(),
                &[Event::Over(Direction::Save, 2, None)]
            );
            assert_eq!(guard.driver().calls.last(), Some(&Call::Closed));
        });
        Ok(())
    }

    #[test]
    fn driver_is_notified_of_arcs_and_sessions() -> Result {
        use Event::*;

        let fixture = Fixture::new(never)?;
        let expect = |target, expected: &[Event]| {
            assert_eq!(fixture.events(target).as_slice(), expected);
        };
        expect(
            State::PreCopy,
            &[
                Begins(MigArc::RunningToPreCopy),
                Begun(Direction::Save),
                Ended(MigArc::RunningToPreCopy, Ok(())),
            ],
        );
        expect(
            State::StopCopy,
            &[
                Begins(MigArc::PreCopyToPreCopyP2p),
                Ended(MigArc::PreCopyToPreCopyP2p, Ok(())),
                Begins(MigArc::PreCopyP2pToStopCopy),
                Ended(MigArc::PreCopyP2pToStopCopy, Ok(())),
            ],
        );
        expect(
            State::Resuming,
            &[
                Begins(MigArc::StopCopyToStop),
                Over(Direction::Save, 2, None),
                Ended(MigArc::StopCopyToStop, Ok(())),
                Begins(MigArc::StopToResuming),
                Begun(Direction::Resume),
                Ended(MigArc::StopToResuming, Ok(())),
            ],
        );
        expect(
            State::Stop,
            &[
                Begins(MigArc::ResumingToStop),
                Refused(ENODATA),
                Ended(MigArc::ResumingToStop, Err(Failure::Recoverable(ENODATA))),
            ],
        );
        fixture.write(&[1, 2])?;
        expect(
            State::Stop,
            &[
                Begins(MigArc::ResumingToStop),
                Over(Direction::Resume, 2, None),
                Ended(MigArc::ResumingToStop, Ok(())),
            ],
        );
        Ok(())
    }

    #[test]
    fn reject_is_reported_at_once_and_at_the_end() -> Result {
        let fixture = Fixture::new(never)?;
        let _ = fixture.events(State::Resuming);
        assert_eq!(fixture.machine.with(|guard| guard.reject()), None);
        assert_eq!(fixture.write(&[9]), Err(EPERM));
        assert_eq!(fixture.machine.with(|guard| guard.reject()), Some(EPERM));
        fixture.machine.reset_prepare();
        fixture.machine.reset_done();
        fixture.machine.with(|guard| {
            let over = Event::Over(Direction::Resume, 1, Some(EPERM));
            assert_eq!(guard.driver().events.as_slice(), &[over]);
            assert_eq!(guard.reject(), None);
        });
        Ok(())
    }

    #[test]
    fn failed_returns_the_arc_that_broke_the_device() -> Result {
        use Event::*;

        let fails = |call| (call == Call::Load).then_some(Failure::Recoverable(EIO));
        let fixture = Fixture::new(fails)?;
        let _ = fixture.events(State::Resuming);
        fixture.write(&[1, 2])?;
        let events = fixture.events(State::Stop);
        let arc = MigArc::ResumingToStop;
        assert_eq!(
            events.as_slice(),
            &[
                Begins(arc),
                Ended(arc, Err(Failure::Fatal(EIO))),
                Over(Direction::Resume, 2, None),
            ]
        );
        assert_eq!(
            fixture.machine.with(|guard| guard.failed()),
            Some((arc, EIO))
        );
        Ok(())
    }

    #[test]
    fn stopped_device_can_be_loaded_without_a_session() -> Result {
        let fixture = Fixture::new(never)?;
        let load = || {
            let load =
                |guard: &mut MachineGuard<'_, Toy>| guard.load_verified(&fixture.core, [3, 4]);
            fixture.machine.with(load)
        };
        assert_eq!(load(), Err(EINVAL));
        let _ = fixture.events(State::Stop);
        assert_eq!(load(), Ok(()));
        fixture.machine.with(|guard| {
            assert_eq!(guard.driver().state, [3, 4]);
            assert_eq!(guard.state(), State::Stop);
            assert!(guard.driver().events.is_empty());
            guard.driver_mut().fails = |_| Some(Failure::Recoverable(EIO));
        });
        assert_eq!(load(), Err(EIO));
        assert_eq!(fixture.machine.state(), State::Error);
        Ok(())
    }
}
