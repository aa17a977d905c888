//! Harness for scenarios on real processes and sockets, and the benchmark built on it.

pub mod answers;
pub mod authority;
pub mod bench;
pub mod client;
pub mod cluster;
pub mod deployment;
pub mod dns;
pub mod etcd;
pub mod eventually;
pub mod fake_control;
pub mod fake_proxy;
pub mod forge;
pub mod framing;
pub mod link;
mod machine;
pub mod manifest;
pub mod namespace;
pub mod nginx;
pub mod postgres;
pub mod process;
pub mod rest;
mod results;
pub mod servers;
pub mod site;
mod summary;
pub mod swarm;
pub mod upstream;
