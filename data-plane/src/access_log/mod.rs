//! One line per request, formatted and written by a thread of its own.
//!
//! A worker gathers records and hands them over in batches; when the queue is full the batch is
//! dropped and its lines are counted. Nothing on a worker formats, writes or waits.

mod json;
mod line;
mod queue;
mod record;
mod template;
mod time;
mod writer;

use std::{path::PathBuf, str::FromStr};

pub use self::template::{Template, TemplateError};
pub(crate) use self::{
    queue::LogQueue,
    record::{EndpointLabel, Record, Target, Times},
    writer::AccessLog,
};

/// Where the access log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sink {
    /// Nowhere.
    Off,
    /// Standard output.
    Stdout,
    /// A file, appended to; opened anew when the proxy is told to reopen it.
    File(PathBuf),
}

/// What a line looks like.
#[derive(Clone, Debug)]
pub enum Format {
    /// One JSON object.
    Json,
    /// Text with `$variables`.
    Template(Template),
}

impl FromStr for Sink {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "off" => Self::Off,
            "stdout" => Self::Stdout,
            path => Self::File(path.into()),
        })
    }
}

impl FromStr for Format {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "json" => Ok(Self::Json),
            text => text.parse().map(Self::Template),
        }
    }
}
