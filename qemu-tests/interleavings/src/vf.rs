// SPDX-License-Identifier: GPL-2.0

//! A driver of a function whose state is two bytes.

use crate::{
    device::CoreDevice,
    dma_logging::{DmaLogging, IovaRange},
    hardware::Hardware,
    migration::{
        Data, Failure, MigArc, Migrate, Migration, Session, State, StateMachine, StreamFormat,
    },
    user,
};
use kernel::{
    device::Bound,
    error::Result,
    fs::File,
    init::{flags::GFP_KERNEL, InPlaceInit, KVec},
    prelude::{vtable, EIO, ENODATA},
    sync::aref::ARef,
    trace,
};
use std::{
    pin::Pin,
    sync::{Arc, Mutex},
};

/// The state of the function.
pub const IMAGE: [u8; 2] = [7, 9];

/// Accepts one byte or two.
pub struct OneOrTwo;

#[vtable]
impl StreamFormat for OneOrTwo {
    type Image = [u8; 2];
    type Verified = Vec<u8>;
    type Reject = kernel::error::Error;

    const HEAD: usize = 1;

    fn verify(&self, data: &Data<[u8; 2]>) -> Result<Vec<u8>> {
        match data.as_slice() {
            [] => Err(ENODATA),
            bytes => Ok(bytes.to_vec()),
        }
    }
}

/// The calls that a driver has recorded.
#[derive(Clone, Default)]
struct DriverLog {
    loaded: Option<Vec<u8>>,
    /// Sessions that have ended, with their bytes at that time.
    ended: Vec<(Arc<Session<OneOrTwo>>, Vec<u8>)>,
    resets: usize,
}

/// The readable part of a [`DriverLog`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The bytes that were loaded.
    pub loaded: Option<Vec<u8>>,
    /// The bytes of each session that has ended.
    pub ended: Vec<Vec<u8>>,
    pub resets: usize,
}

/// The parts that both drivers share.
pub struct Vf {
    hardware: Arc<Hardware>,
    log: Arc<Mutex<DriverLog>>,
    /// The function cannot be stopped.
    never_stops: bool,
}

impl Vf {
    /// Accesses the function at the beginning of a callback. Fails if the access had no effect.
    fn call(&self, access: impl FnOnce(&Hardware) -> bool) -> Result<(), Failure> {
        let done = access(&self.hardware);
        self.hardware.returns();
        if done {
            Ok(())
        } else {
            Err(Failure::Recoverable(EIO))
        }
    }

    fn stop(&self) -> Result<(), Failure> {
        if self.never_stops {
            self.call(|hardware| hardware.touch("stop"))?;
            return Err(Failure::Recoverable(EIO));
        }
        self.call(|hardware| hardware.stop("stop"))
    }

    fn log(&self, change: impl FnOnce(&mut DriverLog)) {
        change(&mut self.log.lock().expect("no thread panicked"));
    }
}

macro_rules! driver {
    ($(#[$attribute:meta])* $driver:ident { $($more:item)* }) => {
        $(#[$attribute])*
        pub struct $driver(Vf);

        #[vtable]
        impl Migrate for $driver {
            type Format = OneOrTwo;

            fn stop(&mut self, _core: &CoreDevice<Bound>) -> Result<(), Failure> {
                self.0.stop()
            }

            fn start(&mut self, _core: &CoreDevice<Bound>) -> Result<(), Failure> {
                self.0.call(|hardware| hardware.start("start"))
            }

            fn save(
                &mut self,
                _core: &CoreDevice<Bound>,
                _pre_copy: Option<&Data<[u8; 2]>>,
            ) -> Result<Data<[u8; 2]>> {
                self.0.call(|hardware| hardware.touch("save"))?;
                Ok(Data::whole(IMAGE))
            }

            fn stream_format(&mut self, _core: &CoreDevice<Bound>) -> Result<OneOrTwo> {
                Ok(OneOrTwo)
            }

            fn load(&mut self, _core: &CoreDevice<Bound>, state: Vec<u8>) -> Result {
                trace::note(format_args!("the callback load() gets {state:?}"));
                self.0.log(|log| log.loaded = Some(state));
                self.0.call(|hardware| hardware.touch("load"))?;
                Ok(())
            }

            fn reset(&mut self) {
                trace::note("the callback reset()");
                self.0.log(|log| log.resets += 1);
            }

            fn arc_begins(&mut self, arc: MigArc) {
                trace::note(format_args!("the arc {arc:?} begins"));
            }

            fn session_ended(&mut self, session: Session<OneOrTwo>) {
                let bytes = session.data().as_slice().to_vec();
                trace::note(format_args!("a session ends with {bytes:?}"));
                self.0.log(|log| log.ended.push((Arc::new(session), bytes)));
            }

            $($more)*
        }
    };
}

driver! {
    /// A driver with only the required callbacks: four states.
    Plain {}
}

driver! {
    /// A driver with all callbacks: eight states.
    Full {
        fn quiesce(&mut self, _core: &CoreDevice<Bound>) -> Result<(), Failure> {
            self.0.call(|hardware| hardware.touch("quiesce"))
        }

        fn unquiesce(&mut self, _core: &CoreDevice<Bound>) -> Result<(), Failure> {
            self.0.call(|hardware| hardware.touch("unquiesce"))
        }

        fn save_head(&mut self, _core: &CoreDevice<Bound>) -> Result<[u8; 2]> {
            self.0.call(|hardware| hardware.touch("save_head"))?;
            Ok(IMAGE)
        }
    }
}

/// An open device of the driver `D`.
pub struct Vfio<D: Migrate> {
    machine: Pin<Box<StateMachine<D>>>,
    core: CoreDevice<Bound>,
    /// The function behind the device.
    pub hardware: Arc<Hardware>,
    log: Arc<Mutex<DriverLog>>,
}

impl<D: Migrate> Vfio<D> {
    fn new(never_stops: bool, driver: impl FnOnce(Vf) -> D) -> Arc<Self> {
        let hardware = Hardware::new();
        let log = Arc::default();
        let driver = driver(Vf {
            hardware: hardware.clone(),
            log: Arc::clone(&log),
            never_stops,
        });
        let machine = Box::pin_init(StateMachine::with_dma_logging(driver, true), GFP_KERNEL);
        let machine = machine.expect("there is memory");
        Arc::new(Self {
            core: CoreDevice::new(machine.features()),
            machine,
            hardware,
            log,
        })
    }

    /// `VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE`
    pub fn set_state(&self, target: State) -> Result<Option<ARef<File>>> {
        self.hardware.can_look();
        trace::note(format_args!("asks for the state {target:?}"));
        let result = self.machine.set_state(&self.core, target);
        match &result {
            Ok(_) => trace::note(format_args!("has reached the state {target:?}")),
            Err(error) => trace::note(format_args!("fails with {error:?}")),
        }
        result
    }

    /// Like [`Vfio::set_state`], for a state that has a file.
    pub fn file(&self, target: State) -> ARef<File> {
        let file = self.set_state(target).expect("nothing is in the way");
        file.expect("the state has a file")
    }

    pub fn state(&self) -> State {
        self.machine.state()
    }

    /// Starts logging DMA to one page.
    pub fn start_dma_logging(&self) {
        let mut ranges = KVec::new();
        ranges
            .push(Self::page(), GFP_KERNEL)
            .expect("there is memory");
        DmaLogging::start(&*self.machine, &self.core, ranges, 4096).expect("it was not started");
    }

    /// Returns whether the page is reported as written.
    pub fn is_dirty(&self) -> bool {
        let mut dirty = false;
        self.machine
            .report(&self.core, Self::page(), &mut |_| dirty = true)
            .expect("the page is logged");
        trace::note(format_args!("the page is dirty: {dirty}"));
        dirty
    }

    fn page() -> IovaRange {
        IovaRange::new(0, 4095).expect("it is not empty")
    }

    /// Closes the last file of the device.
    pub fn close(&self) {
        self.hardware.can_look();
        trace::note("closes the device");
        self.machine.closed(&self.core);
    }

    /// Resets the function, as another user does.
    pub fn reset(&self) {
        self.hardware.reset(&*self.machine);
    }

    /// Returns what the driver has recorded.
    ///
    /// # Panics
    ///
    /// If the bytes of a session that has ended have changed.
    pub fn record(&self) -> Record {
        // This is a copy, because other threads run at the locks of the sessions.
        let log = self.log.lock().expect("no thread panicked").clone();
        let ended = log.ended.iter().map(|(session, then)| {
            let now = session.data().as_slice().to_vec();
            assert_eq!(
                now, *then,
                "the bytes of a session that is over have changed"
            );
            now
        });
        Record {
            loaded: log.loaded,
            ended: ended.collect(),
            resets: log.resets,
        }
    }

    /// Checks that the state matches the function, when nothing else runs.
    ///
    /// # Panics
    ///
    /// If it does not.
    pub fn assert_consistent(&self) {
        if !self.hardware.is_realistic() {
            return;
        }
        let state = self.state();
        let should_run = match state {
            State::Error => return,
            State::Stop | State::StopCopy | State::Resuming => false,
            State::Running | State::RunningP2p | State::PreCopy | State::PreCopyP2p => true,
        };
        let runs = self.hardware.runs();
        trace::note(format_args!(
            "at the end: {state:?}, the function runs: {runs}"
        ));
        assert_eq!(
            should_run, runs,
            "state {state:?}, the function runs: {runs}"
        );
    }
}

/// Returns an open device of the driver [`Plain`].
pub fn plain() -> Arc<Vfio<Plain>> {
    Vfio::new(false, Plain)
}

/// Returns an open device of the driver [`Full`].
pub fn full() -> Arc<Vfio<Full>> {
    Vfio::new(false, Full)
}

/// Returns an open device of the driver [`Full`], with a function that cannot be stopped.
pub fn never_stops() -> Arc<Vfio<Full>> {
    Vfio::new(true, Full)
}

/// Returns a device in pre-copy whose initial data has been read.
pub fn pre_copy() -> (Arc<Vfio<Full>>, ARef<File>) {
    let vfio = full();
    let file = vfio.file(State::PreCopy);
    assert_eq!(user::read(&file, 8), Ok(IMAGE[..1].to_vec()));
    (vfio, file)
}
