// SPDX-License-Identifier: GPL-2.0

//! A serial port of the guest: a file that every VM monitor of this host appends to, or a named pipe
//! that they write to, so that what the guest writes stays in order, whichever of them has it.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};

/// How often something that is to come is looked for.
pub(crate) const POLL: Duration = Duration::from_millis(10);

struct Lines {
    file: File,
    /// A line without its end.
    begun: Vec<u8>,
    /// Whether all that comes is kept, as the guest has begun a line elsewhere.
    waits: bool,
    take: Box<dyn FnMut(&str) + Send>,
}

impl Lines {
    fn read(&mut self) -> io::Result<usize> {
        let before = self.begun.len();
        match self.file.read_to_end(&mut self.begun) {
            // A pipe has no end.
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
        let read = self.begun.len() - before;
        if self.waits {
            return Ok(read);
        }
        while let Some(end) = self.begun.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.begun.drain(..=end).collect();
            (self.take)(String::from_utf8_lossy(&line).trim_end());
        }
        Ok(read)
    }
}

/// What is read from the port, line by line, in a thread of its own.
pub(crate) struct Port(Arc<Mutex<Lines>>);

impl Port {
    /// Empties the file and listens from now on.
    pub(crate) fn listen(path: &str, take: impl FnMut(&str) + Send + 'static) -> Result<Self> {
        File::create(path).with_context(|| format!("cannot create {path}"))?;
        Ok(Self::follow(File::open(path)?, take))
    }

    /// Makes a named pipe and listens from now on.
    pub(crate) fn listen_to_pipe(
        path: &Path,
        take: impl FnMut(&str) + Send + 'static,
    ) -> Result<Self> {
        Ok(Self::follow(pipe(path, OFlags::NONBLOCK)?, take))
    }

    fn follow(file: File, take: impl FnMut(&str) + Send + 'static) -> Self {
        let lines = Arc::new(Mutex::new(Lines {
            file,
            begun: Vec::new(),
            waits: false,
            take: Box::new(take),
        }));
        let followed = Arc::clone(&lines);
        std::thread::spawn(move || {
            loop {
                let read = lock(&followed).read();
                if matches!(read, Ok(0) | Err(_)) {
                    std::thread::sleep(POLL);
                }
            }
        });
        Port(lines)
    }

    /// Keeps all that comes until it is known what the guest had begun to write elsewhere.
    pub(crate) fn wait(&self) {
        lock(&self.0).waits = true;
    }

    /// What a guest that has left this host had begun to write; the rest comes elsewhere.
    pub(crate) fn begun(&self) -> Result<String> {
        let mut lines = lock(&self.0);
        lines.read()?;
        let begun = std::mem::take(&mut lines.begun);
        Ok(String::from_utf8_lossy(&begun).into_owned())
    }

    /// What a guest that comes to this host has begun to write elsewhere.
    pub(crate) fn begin(&self, begun: String) {
        let mut lines = lock(&self.0);
        lines.begun.splice(..0, begun.into_bytes());
        lines.waits = false;
    }
}

/// Makes a named pipe, which opens without anyone at its other end.
pub(crate) fn pipe(path: &Path, flags: OFlags) -> Result<File> {
    let _ = std::fs::remove_file(path);
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
        .with_context(|| format!("cannot create {}", path.display()))?;
    let mut options = File::options();
    options.read(true).write(true);
    Ok(options.custom_flags(flags.bits() as i32).open(path)?)
}

fn lock(lines: &Mutex<Lines>) -> MutexGuard<'_, Lines> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    fn port(name: &str) -> (Port, File, mpsc::Receiver<String>) {
        let path = std::env::temp_dir().join(format!("port-{name}-{}", std::process::id()));
        let (sender, receiver) = mpsc::channel();
        let take = move |line: &str| sender.send(line.to_owned()).unwrap();
        let port = Port::listen(path.to_str().unwrap(), take).unwrap();
        let file = File::options().append(true).open(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        (port, file, receiver)
    }

    /// A line that is begun on one host and ended on the other is one line, and on neither host is
    /// anything left of it when the guest comes back.
    #[test]
    fn a_line_is_whole_though_the_guest_has_left() {
        let (here, mut written_here, _) = port("here");
        let (there, mut written_there, heard_there) = port("there");
        written_here.write_all(b"@load {\"do").unwrap();
        there.begin(here.begun().unwrap());
        written_there.write_all(b"ne\":1}\n").unwrap();
        let line = heard_there.recv_timeout(SOON).unwrap();
        assert_eq!(line, "@load {\"done\":1}");
        assert_eq!(here.begun().unwrap(), "");
        assert_eq!(there.begun().unwrap(), "");
    }

    /// A guest that goes on before it is known what it had begun to write elsewhere.
    #[test]
    fn a_port_that_waits_joins_what_comes_early() {
        let path = std::env::temp_dir().join(format!("pipe-{}", std::process::id()));
        let (sender, heard) = mpsc::channel();
        let take = move |line: &str| sender.send(line.to_owned()).unwrap();
        let port = Port::listen_to_pipe(&path, take).unwrap();
        let mut written = File::options().append(true).open(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        written.write_all(b"one\n").unwrap();
        assert_eq!(heard.recv_timeout(SOON).unwrap(), "one");
        port.wait();
        written.write_all(b"ee\nfour\n").unwrap();
        assert!(heard.recv_timeout(Duration::from_millis(100)).is_err());
        port.begin("thr".to_owned());
        assert_eq!(heard.recv_timeout(SOON).unwrap(), "three");
        assert_eq!(heard.recv_timeout(SOON).unwrap(), "four");
    }
}
