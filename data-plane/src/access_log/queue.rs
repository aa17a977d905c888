//! A worker's end of the log: gathers records, hands them over in batches.

use std::{
    cell::RefCell,
    sync::mpsc::{SyncSender, TrySendError},
};

use super::{Record, writer::Message};

/// Records of one batch. A batch wakes the writer once, which costs a system call.
const BATCH: usize = 128;

/// Where a worker puts its records.
#[derive(Debug)]
pub(crate) struct LogQueue {
    batch: RefCell<Vec<Record>>,
    writer: SyncSender<Message>,
}

impl LogQueue {
    pub(super) fn new(writer: SyncSender<Message>) -> Self {
        Self {
            batch: RefCell::default(),
            writer,
        }
    }

    /// Adds a record. Returns how many were dropped instead of written.
    pub(crate) fn push(&self, record: Record) -> u64 {
        let mut batch = self.batch.borrow_mut();
        batch.push(record);
        if batch.len() < BATCH {
            return 0;
        }
        drop(batch);
        self.flush()
    }

    /// Hands over what is there. Returns how many records were dropped instead.
    pub(crate) fn flush(&self) -> u64 {
        let batch = std::mem::take(&mut *self.batch.borrow_mut());
        if batch.is_empty() {
            return 0;
        }
        match self.writer.try_send(Message::Lines(batch)) {
            Ok(()) => 0,
            Err(
                TrySendError::Full(Message::Lines(lines)) | TrySendError::Disconnected(Message::Lines(lines)),
            ) => lines.len() as u64,
            Err(TrySendError::Full(Message::Reopen) | TrySendError::Disconnected(Message::Reopen)) => 0,
        }
    }
}

impl Drop for LogQueue {
    fn drop(&mut self) {
        self.flush();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::access_log::record::tests::record;

    #[test]
    fn a_full_queue_drops_lines_and_counts_them() {
        let (writer, lines) = mpsc::sync_channel(1);
        let queue = LogQueue::new(writer);
        let dropped: u64 = (0..BATCH * 3).map(|_| queue.push(record())).sum();
        assert_eq!(dropped, 2 * BATCH as u64);
        assert!(matches!(lines.recv(), Ok(Message::Lines(lines)) if lines.len() == BATCH));
    }

    #[test]
    fn what_is_gathered_is_handed_over_at_the_end() {
        let (writer, lines) = mpsc::sync_channel(1);
        let queue = LogQueue::new(writer);
        assert_eq!(queue.push(record()), 0);
        drop(queue);
        assert!(matches!(lines.recv(), Ok(Message::Lines(lines)) if lines.len() == 1));
    }
}
