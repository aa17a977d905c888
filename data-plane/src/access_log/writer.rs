//! The log thread: formats and writes until the last worker is gone.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
    sync::mpsc::{self, Receiver, SyncSender},
    thread::JoinHandle,
};

use super::{Format, LogQueue, Record, Sink, json};
use crate::clock::WallClock;

/// Batches on their way to the writer: at 128 lines each, what a burst may bring.
const QUEUE: usize = 256;

/// What the log thread is told.
#[derive(Debug)]
pub(super) enum Message {
    Lines(Vec<Record>),
    /// Open the file again: it was moved away.
    Reopen,
}

/// The running log thread.
#[derive(Debug)]
pub(crate) struct AccessLog {
    sender: SyncSender<Message>,
    thread: JoinHandle<()>,
}

impl AccessLog {
    /// Starts the log thread; `None` when the log is off.
    ///
    /// # Errors
    /// When the file cannot be opened, or no thread be had.
    pub(crate) fn start(sink: &Sink, format: Format) -> io::Result<Option<Self>> {
        let output = match sink {
            Sink::Off => return Ok(None),
            Sink::Stdout => Output::Stdout(io::stdout()),
            Sink::File(path) => Output::File(path.as_path().into(), open(path)?),
        };
        let (sender, messages) = mpsc::sync_channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("access-log".into())
            .spawn(move || {
                let mut writer = Writer {
                    output,
                    format,
                    buffer: Vec::new(),
                    failed: false,
                };
                writer.run(&messages);
            })?;
        Ok(Some(Self { sender, thread }))
    }

    /// A worker's end.
    pub(crate) fn queue(&self) -> LogQueue {
        LogQueue::new(self.sender.clone())
    }

    /// Has the file opened again. Forgotten when the queue is full.
    pub(crate) fn reopen(&self) {
        let _ = self.sender.try_send(Message::Reopen);
    }

    /// Waits until everything handed over is written. All queues must be gone.
    pub(crate) fn finish(self) {
        drop(self.sender);
        let _ = self.thread.join();
    }
}

enum Output {
    Stdout(io::Stdout),
    File(Box<Path>, File),
}

struct Writer {
    output: Output,
    format: Format,
    buffer: Vec<u8>,
    /// The last write went wrong; said once, not per line.
    failed: bool,
}

impl Writer {
    fn run(&mut self, messages: &Receiver<Message>) {
        while let Ok(message) = messages.recv() {
            match message {
                Message::Lines(records) => self.write(&records),
                Message::Reopen => self.reopen(),
            }
        }
    }

    fn write(&mut self, records: &[Record]) {
        self.buffer.clear();
        let wall = WallClock::read();
        let mut text = String::new();
        for record in records {
            match &self.format {
                Format::Json => json::write(record, wall, &mut self.buffer),
                Format::Template(template) => {
                    text.clear();
                    template.write(record, wall, &mut text);
                    self.buffer.extend_from_slice(text.as_bytes());
                }
            }
            self.buffer.push(b'\n');
        }
        let written = match &mut self.output {
            Output::Stdout(stdout) => stdout.write_all(&self.buffer).and_then(|()| stdout.flush()),
            Output::File(_, file) => file.write_all(&self.buffer),
        };
        match written {
            Ok(()) => self.failed = false,
            Err(error) if !self.failed => {
                self.failed = true;
                tracing::warn!(%error, "the access log cannot be written");
            }
            Err(_) => {}
        }
    }

    fn reopen(&mut self) {
        if let Output::File(path, file) = &mut self.output {
            match open(path) {
                Ok(opened) => *file = opened,
                Err(error) => tracing::warn!(%error, "the access log cannot be opened again"),
            }
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    File::options().append(true).create(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_log::record::tests::record;

    #[test]
    fn everything_pushed_is_in_the_file_when_the_log_has_finished() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        let format: Format = "$method $status".parse().unwrap();
        let log = AccessLog::start(&Sink::File(path.clone()), format)
            .unwrap()
            .unwrap();
        let queue = log.queue();
        for _ in 0..300 {
            assert_eq!(queue.push(record()), 0);
        }
        drop(queue);
        log.finish();
        assert_eq!(std::fs::read_to_string(path).unwrap(), "GET 200\n".repeat(300));
    }

    #[test]
    fn a_file_that_was_moved_is_opened_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        let log = AccessLog::start(&Sink::File(path.clone()), Format::Json)
            .unwrap()
            .unwrap();
        std::fs::rename(&path, directory.path().join("old.log")).unwrap();
        log.reopen();
        let queue = log.queue();
        queue.push(record());
        drop(queue);
        log.finish();
        assert_eq!(std::fs::read_to_string(path).unwrap().lines().count(), 1);
    }
}
