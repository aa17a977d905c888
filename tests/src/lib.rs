//! Harness for scenarios on real processes and sockets, and the benchmark built on it.

pub mod answers;
pub mod authority;
pub mod bench;
pub mod client;
<<<<<<< Updated upstream
pub mod dns;
pub mod etcd;
=======
pub mod deployment;
>>>>>>> Stashed changes
pub mod eventually;
pub mod fake_control;
pub mod fake_proxy;
pub mod framing;
pub mod link;
pub mod manifest;
pub mod nginx;
pub mod postgres;
pub mod process;
pub mod rest;
pub mod servers;
pub mod site;
pub mod upstream;
