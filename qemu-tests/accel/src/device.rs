// SPDX-License-Identifier: GPL-2.0

//! The device: all functions, and the locations of their registers in the BARs.

mod commands;
mod decode;
mod registers;
mod stuck;

use crate::address_target::Stuck;
use crate::bus::Bus;
use crate::config::Config;
use crate::config::ConfigError;
use crate::counters::Counters;
use crate::fault::FaultError;
use crate::fault::Faults;
use crate::function::Function;
use crate::function::Share;
use crate::host::FunctionId;
use crate::host::Host;
use crate::message::Messages;
use crate::pf::PfBlock;
use crate::regs::VECTOR_ABNORMAL;
use crate::silicon::Silicon;
use crate::silicon::SiliconError;
use crate::vft::Vft;
use crate::violation::Violation;
use crate::violation::Violations;
use crate::written_pages::WrittenPages;

/// A PF with its VFs.
///
/// All methods that can cause memory accesses, interrupts or waiting take the [`Host`]. Nothing that a driver writes
/// can make them panic.
#[derive(Debug)]
pub struct Device {
    config: Config,
    functions: Vec<Function>,
    /// Number of VFs enabled by the SR-IOV capability; function numbers 1..=vfs.
    vfs: u16,
    vft: Vft,
    messages: Messages,
    pf: PfBlock,
    faults: Faults,
    stuck: Stuck,
    silicon: Silicon,
    violations: Violations,
    counters: Counters,
    written: WrittenPages,
    /// The deadline last requested from the host.
    deadline_ns: Option<u64>,
}

impl Device {
    /// Creates a device in its power-on state, without VFs enabled.
    ///
    /// # Errors
    ///
    /// See [`Config::check`].
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.check()?;
        let functions = usize::from(config.total_vfs) + 1;
        Ok(Self {
            functions: (0..functions)
                .map(|_| Function::new(config.total_qps))
                .collect(),
            vfs: 0,
            vft: Vft::new(functions, config.total_qps),
            messages: Messages::new(functions),
            pf: PfBlock::new(config.profile, config.total_qps),
            faults: Faults::default(),
            stuck: Stuck::new(),
            silicon: Silicon::default(),
            violations: Violations::default(),
            counters: Counters::new(functions),
            written: WrittenPages::new(functions),
            deadline_ns: None,
            config,
        })
    }

    /// Returns the violations by drivers.
    #[must_use]
    pub fn violations(&self) -> &Violations {
        &self.violations
    }

    /// Resets the violations.
    pub fn reset_violations(&mut self) {
        self.violations.reset();
    }

    /// Returns the counters.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Returns the pages of memory that the functions have written.
    #[must_use]
    pub fn written_pages(&self) -> &WrittenPages {
        &self.written
    }

    /// Returns the time from the fetch of a request to its completion in nanoseconds, without the time for its bytes.
    #[must_use]
    pub fn latency_ns(&self) -> u64 {
        self.config.latency_ns
    }

    /// Changes the latency of requests not yet fetched.
    pub fn set_latency_ns(&mut self, latency_ns: u64) {
        self.config.latency_ns = latency_ns;
    }

    /// Injects faults into the device; the empty text removes them. See `Documentation/accel-model.rst` for the
    /// grammar.
    ///
    /// # Errors
    ///
    /// [`FaultError`] if the text is not a list of faults; the faults in effect do not change.
    pub fn set_fault(&mut self, host: &mut dyn Host, text: &str) -> Result<(), FaultError> {
        let faults = Faults::parse(text)?;
        self.stuck = self.stuck_by(host, &faults);
        self.faults = faults;
        self.enforce_stuck(host);
        self.advance(host);
        Ok(())
    }

    /// Returns the points in which the device differs from the default.
    #[must_use]
    pub fn silicon(&self) -> Silicon {
        self.silicon
    }

    /// Selects the points in which the device differs from the default, instead of those selected before.
    ///
    /// # Errors
    ///
    /// [`SiliconError`] if the text contains an unknown name; nothing changes in that case.
    pub fn set_silicon(&mut self, text: &str) -> Result<(), SiliconError> {
        self.silicon = Silicon::parse(text)?;
        Ok(())
    }

    /// Sets the number of VFs enabled by the SR-IOV capability, 1..=`vfs`. A VF that appears or disappears is reset.
    pub fn set_vfs(&mut self, host: &mut dyn Host, vfs: u16) {
        let vfs = vfs.min(self.config.total_vfs);
        let changed = self.vfs.min(vfs) + 1..=self.vfs.max(vfs);
        let silicon = self.silicon & Silicon::OF_ANY_RESET;
        self.vfs = vfs;
        for function in changed {
            self.reset_function(host, function, silicon);
        }
        self.enforce_stuck(host);
        self.rearm(host);
    }

    /// Performs a function level reset. That of the PF resets the whole device, including its VFs.
    pub fn flr(&mut self, host: &mut dyn Host, function: FunctionId) {
        if function == 0 {
            let silicon = self.silicon & Silicon::OF_ANY_RESET;
            for function in 0..=self.config.total_vfs {
                self.reset_function(host, function, silicon);
            }
            let functions = self.functions.len();
            self.vfs = 0;
            self.vft = Vft::new(functions, self.config.total_qps);
            self.messages = Messages::new(functions);
            self.pf.reset(self.silicon);
        } else {
            self.reset_function(host, function, self.silicon);
        }
        self.enforce_stuck(host);
        self.rearm(host);
    }

    /// Called when the time requested with [`Host::set_timer`] has been reached.
    pub fn timer(&mut self, host: &mut dyn Host) {
        self.deadline_ns = None;
        self.advance(host);
    }

    /// Reads `size` bytes (1, 2, 4 or 8) at `offset` of BAR 2 of `function`.
    pub fn read(
        &mut self,
        host: &mut dyn Host,
        function: FunctionId,
        offset: u64,
        size: u8,
    ) -> u64 {
        let Some(counters) = self.counters.function(function) else {
            return u64::MAX;
        };
        counters.reads += 1;
        let aligned = offset & !3;
        let shift = 8 * (offset & 3);
        let low = u64::from(self.read_word(host, function, aligned));
        match size {
            1 => low >> shift & 0xff,
            2 => low >> shift & 0xffff,
            8 => low | u64::from(self.read_word(host, function, aligned.wrapping_add(4))) << 32,
            _ => low,
        }
    }

    /// Writes `size` bytes (1, 2, 4 or 8) at `offset` of BAR 2 of `function`.
    pub fn write(
        &mut self,
        host: &mut dyn Host,
        function: FunctionId,
        offset: u64,
        size: u8,
        value: u64,
    ) {
        let Some(counters) = self.counters.function(function) else {
            return;
        };
        counters.writes += 1;
        let place = self.place(function, offset);
        match size {
            4 if offset & 3 == 0 => self.write_word(host, function, offset, value as u32),
            8 if offset & 7 == 0 => {
                let crosses = self.crosses_window(function, offset);
                if crosses {
                    self.violate(host, function, Violation::OutsideWindow, offset);
                    if !self.silicon.contains(Silicon::WINDOW_ENDS_IN_NEXT_VF) {
                        return;
                    }
                }
                if !crosses && !place.is_wide() {
                    self.violate(host, function, Violation::AccessWidth, offset);
                }
                self.write_word(host, function, offset, value as u32);
                self.write_word(host, function, offset + 4, (value >> 32) as u32);
            }
            _ => self.violate(host, function, Violation::AccessWidth, offset),
        }
    }

    fn bus<'a>(&'a mut self, host: &'a mut dyn Host, function: FunctionId) -> Bus<'a> {
        Bus {
            host,
            violations: &mut self.violations,
            counters: &mut self.counters,
            written: &mut self.written,
            function,
            errors: 0,
        }
    }

    fn violate(&mut self, host: &mut dyn Host, function: FunctionId, kind: Violation, offset: u64) {
        self.bus(host, function)
            .violation(kind, &format!("access to {offset:#x}"));
    }

    /// Calls `work` for a function with its access to the machine and its share of the device.
    fn with<R>(
        &mut self,
        host: &mut dyn Host,
        number: FunctionId,
        work: impl FnOnce(&mut Function, &mut Bus<'_>, Share<'_>) -> R,
    ) -> Option<R> {
        let share = Share {
            queues: self.vft.share(number).number,
            engine: self.config.profile.engine,
            latency_ns: self.config.latency_ns,
            silicon: self.silicon,
        };
        let function = self.functions.get_mut(usize::from(number))?;
        let mut bus = Bus {
            host,
            violations: &mut self.violations,
            counters: &mut self.counters,
            written: &mut self.written,
            function: number,
            errors: 0,
        };
        let done = work(function, &mut bus, share);
        let errors = bus.errors;
        self.raise(host, errors);
        Some(done)
    }

    /// Reports hardware errors to the PF.
    fn raise(&mut self, host: &mut dyn Host, errors: u32) {
        if errors == 0 {
            return;
        }
        self.counters.hardware_errors += 1;
        if self.pf.raise(errors) {
            self.bus(host, 0).msi(VECTOR_ABNORMAL);
        }
    }

    /// Resets a function to its power-on state, except for what `silicon` preserves.
    fn reset_function(&mut self, host: &mut dyn Host, function: FunctionId, silicon: Silicon) {
        self.with(host, function, |function, bus, _| {
            function.reset(bus, silicon);
        });
        self.written.forget(function);
        self.messages.reset(function, silicon);
    }

    /// Performs everything that is due.
    fn advance(&mut self, host: &mut dyn Host) {
        for number in 0..=self.config.total_vfs {
            self.with(host, number, |function, bus, share| {
                if function.due_ns().is_some_and(|due| due <= bus.now_ns()) {
                    function.work(bus, share);
                }
            });
            self.advance_mailbox(host, number);
        }
        self.rearm(host);
    }

    /// Requests the next call of [`Device::timer`].
    fn rearm(&mut self, host: &mut dyn Host) {
        let now_ns = host.now_ns();
        let next = self
            .functions
            .iter()
            .flat_map(|function| {
                let mailbox = function
                    .mailbox
                    .current()
                    .map(|(_, due)| due)
                    .filter(|due| *due > now_ns);
                [function.due_ns(), mailbox]
            })
            .flatten()
            .min();
        if next != self.deadline_ns {
            self.deadline_ns = next;
            host.set_timer(next);
        }
    }
}
