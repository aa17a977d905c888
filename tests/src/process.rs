//! Child processes: started, waited for, watched, and gone when their owner is.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, bail};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use crate::eventually::eventually;

/// Lines of output kept per process; older ones are dropped.
const LOG_LINES: usize = 2_000;

/// A command that runs `program` and is killed by the kernel when the thread that spawns it ends
/// (`prctl(PR_SET_PDEATHSIG)`), so that even a killed test leaves nothing behind.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// Like [`command`], with all threads of the program on the one CPU `core`.
pub fn command_on_core(program: impl AsRef<OsStr>, core: usize) -> Command {
    let mut command = command("taskset");
    command.args(["--cpu-list", &core.to_string()]).arg(program);
    command
}

/// A running child and what it printed. Dropping it kills its process group.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    output: Arc<Mutex<Output>>,
    readers: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Output {
    /// The first line on standard output: where servers say what they bound.
    first: Option<String>,
    lines: VecDeque<String>,
}

impl Process {
    /// Starts `command` in a process group of its own, with no input. `name` is what errors and
    /// logs call it.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn spawn(name: &str, mut command: Command) -> anyhow::Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut child = command
            .spawn()
            .with_context(|| format!("starting {name}: {command:?}"))?;
        let output = Arc::new(Mutex::new(Output::default()));
        let mut readers = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            readers.push(read_lines(stdout, Arc::clone(&output), true));
        }
        if let Some(stderr) = child.stderr.take() {
            readers.push(read_lines(stderr, Arc::clone(&output), false));
        }
        Ok(Self {
            name: name.to_owned(),
            child,
            output,
            readers,
        })
    }

    /// What [`Process::spawn`] was told.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The process id; the program's own, since `setpriv` and `taskset` exec it.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// The first line on standard output.
    ///
    /// # Errors
    /// When there is none within `within`, or the process ends before; with its log.
    pub async fn first_line(&mut self, within: Duration) -> anyhow::Result<String> {
        let what = format!("{}: first line of output", self.name);
        let line = eventually(&what, within, async || {
            let line = self
                .output
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .first
                .clone();
            match (line, self.exited()) {
                (Some(line), _) => Ok(Ok(line)),
                (None, Some(status)) => Ok(Err(status)),
                (None, None) => bail!("nothing yet"),
            }
        })
        .await;
        match line {
            Ok(Ok(line)) => Ok(line),
            Ok(Err(status)) => bail!("{what}: ended with {status}\n{}", self.log()),
            Err(error) => Err(error.context(self.log())),
        }
    }

    /// How it ended, if it has.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Sends `signal` to the process itself (not to its children).
    ///
    /// # Errors
    /// When the process is gone.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        signal::kill(self.pid(), signal).with_context(|| format!("{signal} to {}", self.name))
    }

    /// Waits for the end of the process and of its output, so that [`Process::log`] is complete.
    ///
    /// # Errors
    /// When it still runs after `within`.
    pub async fn exit(&mut self, within: Duration) -> anyhow::Result<ExitStatus> {
        let what = format!("{}: end of the process", self.name);
        eventually(&what, within, async || {
            let status = self.exited().context("still runs")?;
            anyhow::ensure!(
                self.readers.iter().all(JoinHandle::is_finished),
                "output is still open"
            );
            Ok(status)
        })
        .await
    }

    /// The last lines of standard output and error, in the order they came.
    pub fn log(&self) -> String {
        let output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        output
            .lines
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Also when the leader has ended: its children may still run.
        let _ = signal::killpg(self.pid(), Signal::SIGKILL);
        let _ = self.child.wait();
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        if std::thread::panicking() {
            eprintln!("---- output of {} ----\n{}", self.name, self.log());
        }
    }
}

fn read_lines(source: impl Read + Send + 'static, output: Arc<Mutex<Output>>, first: bool) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut source = BufReader::new(source);
        let mut line = Vec::new();
        while matches!(source.read_until(b'\n', &mut line), Ok(length) if length > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
            if first && output.first.is_none() {
                output.first = Some(text.clone());
            }
            if output.lines.len() == LOG_LINES {
                output.lines.pop_front();
            }
            output.lines.push_back(text);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Process {
        let mut command = command("sh");
        command.args(["-c", script]);
        Process::spawn("shell", command).unwrap()
    }

    const SOON: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn the_first_line_of_standard_output_is_awaited() {
        let mut process = shell("echo noise >&2; echo '{\"port\":1}'; echo later; exec sleep 60");
        assert_eq!(process.first_line(SOON).await.unwrap(), "{\"port\":1}");
        assert_eq!(process.first_line(SOON).await.unwrap(), "{\"port\":1}");
    }

    #[tokio::test]
    async fn a_process_that_ends_too_early_is_an_error_with_its_log() {
        let mut process = shell("echo cannot bind >&2; exit 3");
        let message = format!("{:#}", process.first_line(SOON).await.unwrap_err());
        assert!(message.contains("exit status: 3"), "{message}");
    }

    #[tokio::test]
    async fn a_signal_reaches_the_program_itself() {
        let mut process = shell("trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done");
        process.first_line(SOON).await.unwrap();
        process.signal(Signal::SIGTERM).unwrap();
        assert_eq!(process.exit(SOON).await.unwrap().code(), Some(7));
    }

    #[tokio::test]
    async fn dropping_a_process_ends_its_children() {
        let mut process = shell("sleep 60 & echo $!; wait");
        let child: i32 = process.first_line(SOON).await.unwrap().parse().unwrap();
        let group = process.pid();
        drop(process);
        eventually("no process is left in the group", SOON, async || {
            // A killed child of a dead parent stays a zombie until init takes it.
            let state = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
            anyhow::ensure!(
                state.is_empty() || state.contains(") Z "),
                "group {group}: {state}"
            );
            Ok(())
        })
        .await
        .unwrap();
    }

    #[tokio::test]
    async fn a_pinned_command_runs_on_its_core_only() {
        let mut command = command_on_core("sh", 0);
        command.args(["-c", "grep Cpus_allowed_list /proc/self/status; exec sleep 60"]);
        let mut process = Process::spawn("pinned", command).unwrap();
        assert_eq!(process.first_line(SOON).await.unwrap(), "Cpus_allowed_list:\t0");
    }
}
