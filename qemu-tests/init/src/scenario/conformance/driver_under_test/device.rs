// SPDX-License-Identifier: GPL-2.0

//! Operations on the device itself.

use std::io;
use std::os::fd::AsFd;

use vfio_bindings::bindings::vfio::*;
use vfio_client::BAR2;
use vfio_client::ffi;

use super::DriverUnderTest;
use crate::scenario::conformance::observation::{Answer, Value, answer};
use crate::scenario::conformance::step::{Reset, Step};

/// Data files that are kept.
const FILES: usize = 2;

impl DriverUnderTest {
    pub(super) fn answer_of_device(&mut self, step: &Step) -> Answer {
        let Ok(device) = self.vm.device() else {
            return Ok(Value::Nothing);
        };
        match *step {
            Step::SetState(number) => match device.set_state_number(number) {
                Ok(Some(file)) => {
                    if self.files.len() == FILES {
                        self.files.remove(0);
                    }
                    self.files.push(file);
                    Ok(Value::Text("a data file".into()))
                }
                other => answer(other, |_| Value::Done),
            },
            Step::Features => answer(device.features(), |features| {
                Value::Numbers(vec![
                    features.stop_copy.into(),
                    features.p2p.into(),
                    features.pre_copy.into(),
                ])
            }),
            Step::DataSize => answer(device.data_size(), Value::Number),
            Step::Feature { flags, argsz } => {
                let mut data = vfio_device_feature_mig_state {
                    device_state: u32::MAX,
                    data_fd: -1,
                };
                let done = ffi::device_feature(device, flags, Some(argsz), &mut data);
                answer(done, |done| {
                    Value::Numbers(vec![done as u64, data.device_state.into()])
                })
            }
            Step::RegionInfo { index, argsz } => {
                answer(ffi::region_info(device, index, Some(argsz)), |info| {
                    Value::Numbers(vec![info.flags.into(), info.size, info.offset])
                })
            }
            Step::IrqInfo { index, argsz } => {
                answer(ffi::irq_info(device, index, Some(argsz)), |info| {
                    Value::Numbers(vec![info.flags.into(), info.count.into()])
                })
            }
            Step::DeviceInfo { argsz } => answer(ffi::device_info(device, Some(argsz)), |info| {
                Value::Numbers(vec![
                    info.flags.into(),
                    info.num_regions.into(),
                    info.num_irqs.into(),
                ])
            }),
            Step::ReadRegion { offset, length } => {
                let mut data = vec![0; length];
                let done = device.read_region(BAR2, offset, &mut data);
                answer(done, |done| Value::Bytes(data[..done].to_vec()))
            }
            Step::WriteRegion {
                offset,
                length,
                value,
            } => {
                let bytes = &value.to_le_bytes()[..length];
                answer(device.write_region(BAR2, offset, bytes), |done| {
                    Value::Number(done as u64)
                })
            }
            Step::Map { offset, length } => {
                answer(device.map_region(BAR2, offset, length), |map| {
                    Value::Number(map.len() as u64)
                })
            }
            Step::IoEventFd { offset } => {
                answer(device.ioeventfd(BAR2, offset, 0), |_| Value::Done)
            }
            Step::SeekDevice => answer(seek(device), Value::Number),
            Step::Reset(reset) => {
                let done = match reset {
                    Reset::Config => device.reset_by_capability(),
                    _ => device.reset(),
                };
                self.lost();
                answer(done, |()| Value::Done)
            }
            _ => Ok(Value::Nothing),
        }
    }
}

fn seek(fd: impl AsFd) -> io::Result<u64> {
    Ok(rustix::fs::seek(fd, rustix::fs::SeekFrom::Start(0))?)
}
