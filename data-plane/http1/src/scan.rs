//! Where a head ends.

use memchr::memchr;

use crate::{HeadError, HeadLimits};

/// Looks for the end of a head in bytes that come piece by piece, each byte once.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeadScan {
    /// Bytes that were looked at.
    seen: usize,
    /// Where the line that is not complete yet begins.
    line: usize,
    /// Complete lines so far.
    lines: usize,
}

impl HeadScan {
    /// The length of the head that `buffer` begins with, its empty line included; `None` when more
    /// is needed. `buffer` is that of the call before, and what came since.
    ///
    /// # Errors
    /// A line feed alone, or more than `limits` allow.
    #[inline]
    pub fn advance(&mut self, buffer: &[u8], limits: &HeadLimits) -> Result<Option<usize>, HeadError> {
        while let Some(found) = memchr(b'\n', &buffer[self.seen..]) {
            let end = self.seen + found;
            // Errors come in the order of the bytes, however these were cut.
            if end >= limits.bytes {
                return Err(self.too_long(limits));
            }
            if end == 0 || buffer[end - 1] != b'\r' {
                return Err(HeadError::BareLineFeed);
            }
            let empty = end == self.line + 1;
            (self.seen, self.line) = (end + 1, end + 1);
            if empty {
                return Ok(Some(self.seen));
            }
            self.lines += 1;
            // The first line is no header.
            if self.lines > limits.lines.saturating_add(1) {
                return Err(HeadError::TooManyLines);
            }
        }
        self.seen = buffer.len();
        match self.seen >= limits.bytes {
            true => Err(self.too_long(limits)),
            false => Ok(None),
        }
    }

    /// In the first line of a request it is the target that is too long.
    fn too_long(&self, limits: &HeadLimits) -> HeadError {
        match self.lines == 0 && limits.target > 0 {
            true => HeadError::TargetTooLong,
            false => HeadError::TooLong,
        }
    }
}
