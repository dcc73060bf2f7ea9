// SPDX-License-Identifier: GPL-2.0

//! The description of a machine: its hardware, and the scenario that it is to run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use protocol::{
    Container, DmaLogging, Driver, Engine, Iotlb, Kmemleak, List, Peer, Scenario, Task, Workload,
};

use crate::artifacts::{Artifacts, Suite};

/// Most of a word in the name of a log; a name has 255 bytes.
const WORD: usize = 40;

/// A machine that is to be run.
#[derive(Clone, Debug)]
pub struct Machine {
    task: Task,
    /// More words in the names of the logs.
    labels: Vec<String>,
    /// The accelerators' PCI revision, if it is not the default.
    revision: Option<u8>,
    /// Id, and what comes after `-device`.
    pub(super) accelerators: Vec<(&'static str, String)>,
    /// Arguments of `-device`.
    functions: Vec<String>,
    /// The argument of `-netdev`.
    network: Option<String>,
    /// A module that replaces this project's of the same name.
    pub(super) module: Option<PathBuf>,
    /// As QEMU takes it, if it is not what the machine needs in any case.
    memory: Option<&'static str>,
    /// Properties of the SMMU, if it is not the machine's usual one.
    smmu: Option<&'static str>,
    /// Whether the machine's time is counted in instructions.
    counted: bool,
    /// Whose QEMU it has, if it can have guests of its own.
    pub(super) monitor: Option<Suite>,
    /// Whether its root is one of Debian.
    debian: bool,
    /// Whether its kernel is locked down from the start.
    locked_down: bool,
    pub(super) deadline: Duration,
    /// How long each thing may take that the scenario says it begins.
    pub(super) patience: Option<Duration>,
}

impl Machine {
    /// A machine with one ZIP accelerator, for a scenario. It is of hardware V3, or of V4 if the
    /// kernel has pages of 64 KiB, with which VFs of V3 cannot migrate.
    pub fn new(task: impl Into<Task>) -> Self {
        Self {
            task: task.into(),
            labels: Vec::new(),
            revision: None,
            accelerators: vec![("zip0", "hisi-zip".into())],
            functions: Vec::new(),
            network: None,
            module: None,
            memory: None,
            smmu: None,
            counted: false,
            monitor: None,
            debian: false,
            locked_down: false,
            deadline: Duration::from_secs(900),
            patience: None,
        }
    }

    /// The scenario, to be changed.
    pub fn scenario_mut(&mut self) -> &mut Scenario {
        &mut self.task.scenario
    }

    /// The driver of the VFs.
    pub fn driver(mut self, driver: Driver) -> Self {
        self.task.setup.driver = Some(driver);
        self
    }

    /// The driver of the second VF.
    pub fn peer(mut self, peer: Peer) -> Self {
        self.task.setup.peer = Some(peer);
        self
    }

    /// Whose `vfio.ko` is loaded.
    pub fn vfio(mut self, vfio: Driver) -> Self {
        self.task.setup.vfio = Some(vfio);
        self
    }

    /// How VFIO devices are opened.
    pub fn container(mut self, container: Container) -> Self {
        self.task.setup.container = Some(container);
        self
    }

    /// The parameter `dma_logging` of our driver's module.
    pub fn dma_logging(mut self, value: DmaLogging) -> Self {
        self.task.setup.dma_logging = Some(value);
        self
    }

    /// Memory that cannot be freed any more is looked for.
    pub fn kmemleak(mut self) -> Self {
        self.task.setup.kmemleak = Some(Kmemleak::On);
        self
    }

    /// One more word in the names of the logs.
    pub fn labelled(mut self, word: &str) -> Self {
        self.labels.push(word.to_owned());
        self
    }

    /// The base of the logs' names: the scenario, the machine and the parameters.
    pub(super) fn label(&self) -> String {
        let suite = self.monitor.filter(|suite| *suite != Suite::Trixie);
        let revision = self.revision.map(|revision| format!("rev{revision:x}"));
        let of_scenario = self.task.scenario.parameters();
        let parameters = of_scenario
            .into_iter()
            .chain(self.task.setup.parameters())
            // A list that is too long.
            .filter(|(key, _)| *key != "silicon")
            .map(|(_, value)| value);
        let words = (suite.map(|suite| suite.to_string()).into_iter())
            .chain(revision)
            .chain(parameters)
            .chain(self.labels.iter().cloned())
            // No commas: QEMU takes them for the end of a file's name.
            .map(|word| word.replace(',', "+").chars().take(WORD).collect());
        let all: Vec<String> = std::iter::once(self.task.scenario.name().to_owned())
            .chain(words)
            .collect();
        all.join("-")
    }

    /// One more accelerator: its id, and what comes after `-device`.
    pub fn accelerator(mut self, id: &'static str, device: &str) -> Self {
        self.accelerators.push((id, device.into()));
        self
    }

    /// One accelerator of each engine: `zip0`, `sec0` and `hpre0`.
    pub fn all_engines(self) -> Self {
        self.accelerator("sec0", "hisi-sec")
            .accelerator("hpre0", "hisi-hpre")
    }

    /// The engines that the scenario is about. The machine has them.
    pub fn engines(mut self, engines: impl Into<List<Engine>>) -> Self {
        let engines = engines.into();
        let more = [
            (Engine::Sec, "sec0", "hisi-sec"),
            (Engine::Hpre, "hpre0", "hisi-hpre"),
        ];
        let wanted = more
            .into_iter()
            .filter(|(engine, ..)| engines.0.contains(engine));
        let accelerators: Vec<_> = wanted.map(|(_, id, device)| (id, device)).collect();
        self.task.setup.engines = Some(engines);
        (accelerators.into_iter()).fold(self, |machine, (id, device)| {
            machine.accelerator(id, device)
        })
    }

    /// A PCI function that is no accelerator: what comes after `-device`.
    pub fn function(mut self, device: &str) -> Self {
        self.functions.push(device.into());
        self
    }

    /// A network card, `nic`, with a cable to another machine: the network's end, as it comes after
    /// `-netdev` but for the id, and the card's address.
    pub fn network(mut self, end: &str, mac: &str) -> Self {
        self.network = Some(format!("{end},id=cable"));
        // Frames as long as between real hosts, and no firmware to boot from.
        self.function(&format!(
            "virtio-net-pci,id=nic,netdev=cable,mac={mac},host_mtu=9000,romfile="
        ))
    }

    /// A property of the accelerators so far.
    pub fn property(mut self, name: &str, value: &str) -> Self {
        for (_, device) in &mut self.accelerators {
            *device = format!("{device},{name}={value}");
        }
        self
    }

    /// The accelerators' PCI revision: 0x21 is hardware V2, 0x30 V3, 0x50 V4, 0x51 V5.
    pub fn revision(mut self, revision: u8) -> Self {
        self.revision = Some(revision);
        self.property("revision", &revision.to_string())
    }

    /// Replaces this project's module of the same name.
    pub fn module(mut self, module: &Path) -> Self {
        self.module = Some(module.to_owned());
        self
    }

    /// How much memory the machine has, as QEMU takes it.
    pub fn memory(mut self, size: &'static str) -> Self {
        self.memory = Some(size);
        self
    }

    /// The SMMU marks the pages that are written (HTTU). It has stage 1 only: the one that a machine
    /// has in any case has both stages, and refuses HTTU.
    pub fn httu(mut self, iotlb: Iotlb) -> Self {
        self.smmu = Some(match iotlb {
            Iotlb::Keeps => "httu=dirty",
            Iotlb::Walks => "httu=dirty,x-httu-walk-writes=on",
        });
        self
    }

    /// The machine's time is a nanosecond for each instruction, and what it waits for comes at
    /// once: times measured in it do not depend on this machine. One CPU, and slower.
    pub fn counted(mut self) -> Self {
        self.counted = true;
        self
    }

    /// The machine has EL2, for KVM, and all that guests need: a VM monitor and what they boot.
    pub fn hypervisor(self) -> Self {
        self.monitor(Suite::Trixie)
    }

    /// As [`Self::hypervisor`], with the VM monitor of that suite of Debian.
    pub fn monitor(mut self, suite: Suite) -> Self {
        self.monitor = Some(suite);
        self
    }

    /// The machine has a root of Debian, with libvirt and its QEMU.
    pub fn debian(mut self) -> Self {
        self.debian = true;
        self.hypervisor().memory("4G")
    }

    /// The machine's guests have Debian's kernel, and programs that use its crypto keep their VFs at
    /// work.
    pub fn workload_programs(mut self) -> Self {
        self.task.setup.workload = Some(Workload::Programs);
        self.hypervisor().memory("4G")
    }

    /// The kernel is locked down from the start, as with Secure Boot.
    pub fn locked_down(mut self) -> Self {
        self.locked_down = true;
        self.labelled("locked-down")
    }

    /// How long the machine may take with the normal kernel, in seconds (900 if not said: it is
    /// there to end one that hangs, and has to be enough for one that is busy).
    pub fn within(mut self, seconds: u64) -> Self {
        self.deadline = Duration::from_secs(seconds);
        self
    }

    /// How long each thing may take, in seconds with the normal kernel, that the scenario says it
    /// begins. If not said, the machine's own limit is the only one.
    pub fn progress_within(mut self, seconds: u64) -> Self {
        self.patience = Some(Duration::from_secs(seconds));
        self
    }

    /// The command that boots it, with the sockets in that folder and the console where it says.
    pub(super) fn qemu(&self, artifacts: &Artifacts, sockets: &Path, console: &str) -> Command {
        let mut command = Command::new(&artifacts.qemu);
        command
            .arg("-M")
            .arg(format!(
                "virt,gic-version=3,{}its=on,virtualization={}",
                if self.smmu.is_none() {
                    "iommu=smmuv3,"
                } else {
                    ""
                },
                if self.monitor.is_some() { "on" } else { "off" }
            ))
            .arg("-cpu")
            // A counter that counts each nanosecond, where each is an instruction.
            .arg(if self.counted {
                "cortex-a76,cntfrq=1000000000"
            } else {
                "cortex-a76"
            })
            .arg("-m")
            .arg(match self.memory {
                Some(size) => size,
                None if self.monitor.is_some() => "3G",
                None if artifacts.debug => "2G",
                None => "1G",
            })
            .args(if self.counted {
                ["-smp", "1", "-icount", "shift=0,sleep=off"]
            } else {
                ["-smp", "2", "-accel", "tcg,thread=multi,tb-size=128"]
            })
            .args(["-nodefaults", "-nographic", "-no-reboot"])
            .args(["-serial", console])
            .args(["-serial", "chardev:control"])
            .arg("-chardev")
            .arg(format!(
                "socket,id=control,path={}/control",
                sockets.display()
            ))
            .arg("-chardev")
            .arg(format!("socket,id=qmp,path={}/qmp", sockets.display()))
            .args(["-mon", "chardev=qmp,mode=control"])
            .arg("-kernel")
            .arg(&artifacts.image)
            .arg("-initrd")
            .arg(match self.monitor {
                _ if self.debian => &artifacts.initrd_libvirt,
                _ if self.task.setup.workload == Some(Workload::Programs) => {
                    &artifacts.initrd_workloads
                }
                Some(suite) => artifacts.initrd_vmm(suite),
                None => &artifacts.initrd,
            })
            .arg("-append")
            .arg(format!(
                "console=ttyAMA0 panic=-1{}{}{} slowness={} {}",
                // Else KASAN reports once, and that may be a fault of another driver.
                if artifacts.kasan() {
                    " kasan_multi_shot"
                } else {
                    ""
                },
                // Some tests look at registers of a PF behind its driver's back.
                if artifacts.debian {
                    " iomem=relaxed"
                } else {
                    ""
                },
                if self.locked_down {
                    " lockdown=integrity"
                } else {
                    ""
                },
                artifacts.slowness(),
                self.task
            ));
        // Before the devices that are behind it.
        if let Some(properties) = self.smmu {
            command
                .arg("-device")
                .arg(format!("arm-smmuv3,primary-bus=pcie.0,{properties}"));
        }
        if let Some(network) = &self.network {
            command.args(["-netdev", network]);
        }
        let accelerators = self.accelerators.iter().map(|(id, device)| {
            let revision = match device.contains(",revision=") {
                false if artifacts.pages_64k => ",revision=0x50",
                _ => "",
            };
            format!("{device}{revision},id={id}")
        });
        for (n, device) in accelerators.chain(self.functions.clone()).enumerate() {
            command
                .arg("-device")
                .arg(format!(
                    "pcie-root-port,id=port{n},bus=pcie.0,chassis={}",
                    n + 1
                ))
                .arg("-device")
                .arg(format!("{device},bus=port{n}"));
        }
        command
    }
}
