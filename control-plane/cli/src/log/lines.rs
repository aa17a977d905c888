//! Lines of any source, of which none takes more room than a request can have.

use std::io::{self, BufRead};

use super::LineError;

/// Longest line, in bytes.
pub(super) const MAX_LINE: usize = 64 * 1024;

/// The lines of a source, one after the other.
pub(super) struct Lines<R> {
    source: R,
    line: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(source: R) -> Self {
        Self {
            source,
            line: Vec::new(),
            number: 0,
        }
    }

    /// The number of the line that was read last, from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The next line without its end; `None` after the last.
    ///
    /// # Errors
    /// When the source breaks off.
    pub(super) fn read(&mut self) -> io::Result<Option<Result<&str, LineError>>> {
        self.line.clear();
        let (mut is_long, mut is_any) = (false, false);
        loop {
            let bytes = match self.source.fill_buf() {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if bytes.is_empty() {
                break;
            }
            is_any = true;
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let part = &bytes[..end.unwrap_or(bytes.len())];
            is_long |= self.line.len() + part.len() > MAX_LINE;
            if !is_long {
                self.line.extend_from_slice(part);
            }
            let taken = part.len() + usize::from(end.is_some());
            self.source.consume(taken);
            if end.is_some() {
                break;
            }
        }
        if !is_any {
            return Ok(None);
        }
        self.number += 1;
        if is_long {
            return Ok(Some(Err(LineError::Long)));
        }
        let line = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        Ok(Some(std::str::from_utf8(line).map_err(|_| LineError::NotText)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_where_they_end_however_the_bytes_come() {
        let text = "a\r\n\nlong-".to_owned() + &"x".repeat(MAX_LINE) + "\n\u{e4}\nlast";
        for capacity in [1, 7, 8_192] {
            let mut lines = Lines::new(io::BufReader::with_capacity(capacity, text.as_bytes()));
            let mut found = Vec::new();
            while let Some(line) = lines.read().unwrap() {
                found.push(line.map(ToOwned::to_owned));
            }
            let text = |text: &str| Ok(text.to_owned());
            assert_eq!(
                found,
                [
                    text("a"),
                    text(""),
                    Err(LineError::Long),
                    text("\u{e4}"),
                    text("last")
                ]
            );
            assert_eq!(lines.number(), 5);
        }
        let mut lines = Lines::new(&b"\xff\n"[..]);
        assert_eq!(lines.read().unwrap(), Some(Err(LineError::NotText)));
    }
}
