// SPDX-License-Identifier: GPL-2.0

//! `compare` with another host by a real ssh: OpenSSH's server runs here on a port of its own, with
//! keys that are thrown away. Its host has recorded files in place of those of this machine.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use vfio_mig::commands::compare::{Compare, Relation};

const VF: &str = "0000:01:00.1";

/// `qemu-tests/scripts/setup.sh` installs it.
const SSHD: &str = "/usr/sbin/sshd";

fn recorded(moment: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/recorded")
        .join(moment)
}

/// A server, and a folder with an `ssh` that knows it.
struct Server {
    process: Child,
    folder: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {output:?}");
    Ok(())
}

/// The name of this user.
fn user() -> Result<String> {
    let output = Command::new("id").arg("-un").output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

impl Server {
    /// Starts one that runs `session` in place of the shell that is asked for.
    fn start(session: &str) -> Result<Self> {
        ensure!(
            Path::new(SSHD).exists(),
            "{SSHD} is missing: install openssh-server"
        );
        let folder = tempfile::tempdir()?;
        let path = |name: &str| folder.path().join(name).display().to_string();
        for key in ["host", "user"] {
            let arguments = ["-q", "-t", "ed25519", "-N", "", "-f"];
            run(Command::new("ssh-keygen").args(arguments).arg(path(key)))?;
        }
        if user()? == "root" {
            // Its service would make it.
            fs::create_dir_all("/run/sshd")?;
        }
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        fs::write(path("session"), session)?;
        fs::set_permissions(path("session"), PermissionsExt::from_mode(0o755))?;
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\n\
             UsePAM no\nStrictModes no\nPasswordAuthentication no\nForceCommand {}\n",
            path("host"),
            path("user.pub"),
            path("session")
        );
        fs::write(path("sshd_config"), config)?;
        // What an operator has in ~/.ssh. The server is known by one of its names only.
        let config = format!(
            "Host kunpeng2\nHostKeyAlias kunpeng2\nHost stranger\nHostKeyAlias stranger\n\
             Host gone\nPort 1\n\
             Host *\nHostName 127.0.0.1\nPort {port}\nUser {}\nIdentityFile {}\nIdentitiesOnly yes\n\
             UserKnownHostsFile {}\nGlobalKnownHostsFile none\n",
            user()?,
            path("user"),
            path("known")
        );
        fs::write(path("ssh_config"), config)?;
        let public = fs::read_to_string(path("host.pub"))?;
        fs::write(path("known"), format!("kunpeng2 {public}"))?;
        let ssh = format!(
            "#!/bin/sh\nexec /usr/bin/ssh -F {} \"$@\"\n",
            path("ssh_config")
        );
        fs::write(path("ssh"), ssh)?;
        fs::set_permissions(path("ssh"), PermissionsExt::from_mode(0o755))?;
        let process = Command::new(SSHD)
            .args(["-D", "-e", "-f", &path("sshd_config")])
            .stderr(Stdio::null())
            .spawn()?;
        let server = Server { process, folder };
        server.wait_for(port)?;
        Ok(server)
    }

    fn wait_for(&self, port: u16) -> Result<()> {
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(20) {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("sshd does not listen")
    }

    fn compare(&self, destination: &str) -> Result<Output> {
        let path = std::env::var("PATH")?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_vfio-mig"));
        command
            .arg("--root")
            .arg(recorded("rust-migrated"))
            .args(["-j", "compare", VF, destination])
            .env("PATH", format!("{}:{path}", self.folder.path().display()))
            // No agent and no questions.
            .env_remove("SSH_AUTH_SOCK")
            .stdin(Stdio::null());
        Ok(command.output()?)
    }

    /// The error of a comparison that has no answer.
    fn error(&self, destination: &str) -> Result<String> {
        let output = self.compare(destination)?;
        let ended = (output.status.code(), output.stdout.is_empty());
        ensure!(ended == (Some(3), true), "{destination}: {output:?}");
        Ok(String::from_utf8(output.stderr)?)
    }
}

/// Runs what was asked for, with the recorded files.
fn session() -> String {
    let root = recorded("rust-running").display().to_string();
    format!(
        "#!/bin/sh\necho 'This host is watched.' >&2\necho 'Last login: never'\n\
         sed 's,/sys/,{root}/sys/,g' | /bin/sh -c \"$SSH_ORIGINAL_COMMAND\" | sed 's,{root},,'\n"
    )
}

#[test]
fn another_host_is_read() -> Result<()> {
    let server = Server::start(&session())?;
    for (vf, fits, code) in [("0000:01:00.2", true, 0), ("0000:01:00.3", false, 1)] {
        let output = server.compare(&format!("kunpeng2:{vf}"))?;
        let answer: Compare = serde_json::from_slice(&output.stdout)
            .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
        let found = (answer.fits, output.status.code());
        ensure!(found == (Some(fits), Some(code)), "{vf}: {answer:?}");
        for name in ["can migrate", "revision", "queue_count"] {
            let field = answer.fields.iter().find(|field| field.name == name);
            let is_known = field.is_some_and(|field| field.relation != Relation::Unknown);
            ensure!(is_known, "{vf}: {name} in {answer:?}");
        }
    }
    let error = server.error("kunpeng2:0000:09:00.1")?;
    ensure!(error.contains("0000:09:00.1"), "{error}");
    Ok(())
}

/// Who has failed is said, and what ssh or the other host's shell has said about it.
#[test]
fn ssh_and_the_other_host_fail_differently() -> Result<()> {
    let server = Server::start("#!/bin/sh\necho 'no more files' >&2\nexit 7\n")?;
    for (host, words) in [
        (
            "stranger",
            ["cannot connect to stranger", "verification failed"],
        ),
        ("gone", ["cannot connect to gone", "Connection refused"]),
        ("kunpeng2", ["kunpeng2 ended with 7", "no more files"]),
    ] {
        let error = server.error(&format!("{host}:{VF}"))?;
        for word in words {
            ensure!(error.contains(word), "{host}: {error}");
        }
    }
    Ok(())
}
