//! The control thread: everything that is not a request.

mod admin;
mod collect;
mod publish;
mod report;
mod run;
mod save;
mod seal;
mod state_dir;

pub(crate) use self::{
    run::{Control, run},
    state_dir::StateDir,
};
pub use self::{seal::KeyFileError, state_dir::StateDirError};
