// SPDX-License-Identifier: GPL-2.0

//! Looks at VFIO's debugfs while QEMU migrates: which states the VFs are in.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use timeline::What;

use super::tell;
use crate::sysfs::{self, Function};

const POLL: Duration = Duration::from_millis(5);

fn folder(vf: &Function) -> PathBuf {
    PathBuf::from(format!("/sys/kernel/debug/vfio/{vf}/migration"))
}

/// What `attr` has of a VF's last sessions.
pub(crate) fn sessions(vf: &Function) -> Result<Vec<String>> {
    let attr = sysfs::read(folder(vf).join("hisi_acc/attr"))?;
    let history = attr
        .lines()
        .filter_map(|line| line.strip_prefix("history: "));
    Ok(history.map(str::to_owned).collect())
}

/// The states of some VFs, from its start until it is asked.
pub(crate) struct Watch {
    over: Arc<AtomicBool>,
    threads: Vec<(JoinHandle<()>, mpsc::Receiver<String>)>,
}

impl Watch {
    pub(crate) fn start(vfs: &[&Function]) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        // A thread for each: a state cannot be read while the device is between two.
        let threads = vfs
            .iter()
            .map(|vf| {
                let (sender, receiver) = mpsc::channel();
                let (vf, over) = ((*vf).clone(), Arc::clone(&over));
                let watching = std::thread::spawn(move || follow(&vf, &over, &sender));
                (watching, receiver)
            })
            .collect();
        Watch { over, threads }
    }

    /// The states that each VF was seen in, one after the other.
    pub(crate) fn end(self) -> Result<Vec<Vec<String>>> {
        self.over.store(true, Ordering::Relaxed);
        self.threads
            .into_iter()
            .map(|(thread, states)| {
                thread.join().ok().context("a watch has ended early")?;
                Ok(states.into_iter().collect())
            })
            .collect()
    }
}

fn follow(vf: &Function, over: &AtomicBool, states: &mpsc::Sender<String>) {
    let mut last = String::new();
    while !over.load(Ordering::Relaxed) {
        let state = match std::fs::read_to_string(folder(vf).join("state")) {
            Ok(text) => text.trim_end().to_owned(),
            // Not open, or in a reset.
            Err(_) => "closed".to_owned(),
        };
        if state != last {
            tell(What::State {
                vf: vf.to_string(),
                state: state.clone(),
            });
            // Nobody needs it if the watch was given up.
            let _ = states.send(state.clone());
            last = state;
        }
        std::thread::sleep(POLL);
    }
}
