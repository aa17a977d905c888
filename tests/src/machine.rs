//! What the kernel knows: CPU clocks, memory, cores, and which machine this is.

use std::time::Duration;

use anyhow::Context as _;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::time::ClockId;
use nix::unistd::Pid;

/// Confines this process, and with it all children that do not ask for another core, to `core`.
pub(crate) fn stay_on_core(core: usize) -> anyhow::Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core)?;
    sched_setaffinity(Pid::from_raw(0), &cores).with_context(|| format!("core {core}"))
}

/// User and system time of all threads of `pid`, the ended ones included, since it started.
/// The clock counts nanoseconds; `/proc/PID/stat` only counts ticks of 10 ms.
pub(crate) fn cpu_time(pid: Pid) -> anyhow::Result<Duration> {
    Ok(Duration::from(ClockId::pid_cpu_clock_id(pid)?.now()?))
}

/// Resident memory of `pid` in bytes.
pub(crate) fn resident_bytes(pid: Pid) -> anyhow::Result<u64> {
    status_bytes(pid, "VmRSS:")
}

/// The most resident memory of `pid` in bytes since it started, or since [`forget_peak`].
pub(crate) fn peak_resident_bytes(pid: Pid) -> anyhow::Result<u64> {
    status_bytes(pid, "VmHWM:")
}

/// From now on the peak is that of what follows.
pub(crate) fn forget_peak(pid: Pid) -> anyhow::Result<()> {
    let path = format!("/proc/{pid}/clear_refs");
    std::fs::write(&path, "5").context(path)
}

fn status_bytes(pid: Pid, field: &'static str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .context(field)?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024)
}

/// Processor, number of cores and kernel, in one line.
pub(crate) fn description() -> anyhow::Result<String> {
    let cpus = std::fs::read_to_string("/proc/cpuinfo")?;
    let model = cpus
        .lines()
        .find(|line| line.starts_with("model name"))
        .and_then(|line| line.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    let cores = cpus.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    Ok(format!("{model}, {cores} cores, Linux {}", kernel.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_clock_of_a_busy_process_moves() {
        let before = cpu_time(Pid::this()).unwrap();
        let mut word = 1_u64;
        while cpu_time(Pid::this()).unwrap() < before + Duration::from_millis(1) {
            word = std::hint::black_box(word.wrapping_mul(31));
        }
    }

    #[test]
    fn resident_memory_is_read_in_bytes() {
        let resident = resident_bytes(Pid::this()).unwrap();
        assert!(resident > 100_000);
        forget_peak(Pid::this()).unwrap();
        assert!(peak_resident_bytes(Pid::this()).unwrap() > 100_000);
    }
}
