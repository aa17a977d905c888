//! The stream to the control plane: a state machine that decides, and a task that does.

mod link;
mod machine;
mod messages;
mod order;
mod task;

pub(crate) use self::{
    machine::Outcome,
    messages::{Held, Identity, Refused},
    order::Order,
    task::{Channels, run},
};
