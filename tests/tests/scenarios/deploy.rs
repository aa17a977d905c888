//! `deploy/`: what is written there is sound, and what it starts works with exactly the arguments,
//! users, mounts and read-only roots that it says. Needs to be root, as namespaces do.

mod backup;
mod compose;
mod fleet;
mod load;
mod running;
mod systemd;
mod written;
