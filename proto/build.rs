//! Generates the wire types with protox, so that no `protoc` has to be installed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=sluice");
    println!("cargo:rerun-if-changed=etcd");
    let files = ["snapshot", "fleet", "enrolment", "replica"].map(|name| format!("sluice/v1/{name}.proto"));
    let ours = protox::compile(files, ["."])?;
    tonic_prost_build::configure()
        .bytes(".sluice.v1.Resource.body")
        .compile_fds(ours)?;
    let etcd = protox::compile(["etcd/v3/etcd.proto"], ["."])?;
    tonic_prost_build::configure()
        .build_server(false)
        .bytes(".mvccpb")
        .compile_fds(etcd)?;
    Ok(())
}
