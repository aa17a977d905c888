//! One program as a container would have it.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use super::network::Host;
use crate::process::{self, Process};
use crate::servers;

/// Builds the root directory in a mount namespace of its own, makes it read-only, and leaves for the
/// program. `$1` is the root, `$2` the user, `$3` the capabilities that it keeps; then pairs of what is
/// mounted where, up to `--`.
const ENTER: &str = r#"
set -e
root=$1 user=$2 keep=$3
shift 3
mount --bind "$root" "$root"
mount --rbind /usr "$root/usr"
mount --bind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/usr/local/bin"
while [ "$1" != -- ]; do
    case $2 in /usr/local/bin/*) : > "$root$2" ;; esac
    mount --bind "$1" "$root$2"
    shift 2
done
shift
mount -o remount,bind,ro "$root"
exec chroot "$root" setpriv --pdeathsig KILL --reuid "$user" --regid "$user" --clear-groups --no-new-privs \
    --inh-caps="-all$keep" --ambient-caps="-all$keep" --bounding-set="-all$keep" -- "$@"
"#;

/// Programs of ours, where the image has them.
const PROGRAMS: [&str; 3] = ["sluice", "sluice-control", "sluice-proxy"];

/// Something that is mounted.
#[derive(Clone, Debug)]
pub struct Volume {
    /// What is there: the files of a secret, or nothing.
    pub files: Vec<(String, String)>,
    /// Where.
    pub path: String,
    /// Whether the volume is a single file, the only one of `files`.
    pub single: bool,
}

/// A program, and all that it is given.
#[derive(Clone, Debug)]
pub struct Pod {
    /// Its own name.
    pub name: String,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Variables.
    pub env: Vec<(String, String)>,
    /// What is mounted.
    pub volumes: Vec<Volume>,
    /// Whom it runs as.
    pub user: u32,
    /// Capabilities that it keeps, such as `net_bind_service`.
    pub capabilities: Vec<String>,
}

impl Pod {
    /// Starts it on `host`. What it writes lies below `directory` and stays there over restarts.
    /// `hosts` is its /etc/hosts.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self, host: &Host, directory: &Path, hosts: &str) -> anyhow::Result<Process> {
        Process::spawn(&self.name, self.command(host, directory, hosts)?)
    }

    /// As [`Pod::start`], without starting it.
    ///
    /// # Errors
    /// When its files cannot be written.
    pub fn command(&self, host: &Host, directory: &Path, hosts: &str) -> anyhow::Result<Command> {
        let own = directory.join(&self.name);
        let root = own.join("root");
        let mut mounts = Vec::new();
        for name in PROGRAMS {
            mounts.push((servers::binary(name)?, format!("/usr/local/bin/{name}")));
        }
        for (number, volume) in self.volumes.iter().enumerate() {
            let from = own.join(format!("volume-{number}"));
            mounts.push((self.lay(volume, &from)?, volume.path.clone()));
        }
        for path in ["usr", "dev", "proc", "etc", "tmp", "var/lib", "run"] {
            fs::create_dir_all(root.join(path))?;
        }
        for (_, inside) in mounts.iter().filter(|(_, inside)| !inside.starts_with("/usr")) {
            mount_point(&root, inside, mounts.iter().any(|(from, to)| to == inside && from.is_file()))?;
        }
        for link in ["bin", "lib", "lib64", "sbin"] {
            if !root.join(link).is_symlink() {
                std::os::unix::fs::symlink(format!("usr/{link}"), root.join(link))?;
            }
        }
        fs::write(root.join("etc/hosts"), hosts)?;
        fs::write(root.join("etc/nsswitch.conf"), "hosts: files dns\n")?;
        fs::copy("/etc/passwd", root.join("etc/passwd"))?;

        let mut command = process::command("nsenter");
        command.arg(format!("--net={}", host.file()));
        command.args(["unshare", "--mount", "--uts", "--propagation", "private"]);
        command.args(["sh", "-c", ENTER, "enter"]).arg(&root);
        let kept: String = self.capabilities.iter().map(|name| format!(",+{name}")).collect();
        command.args([self.user.to_string(), kept]);
        for (from, inside) in mounts {
            command.arg(from).arg(inside);
        }
        command.arg("--").args(&self.argv);
        command.env_clear().env("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }

    /// Writes the files of a volume once; what the program put there stays.
    fn lay(&self, volume: &Volume, from: &Path) -> anyhow::Result<PathBuf> {
        fs::create_dir_all(from)?;
        for (name, text) in &volume.files {
            fs::write(from.join(name), text)?;
            chown(from.join(name), Some(self.user), Some(self.user))?;
            fs::set_permissions(from.join(name), std::os::unix::fs::PermissionsExt::from_mode(0o400))?;
        }
        chown(from, Some(self.user), Some(self.user))?;
        fs::set_permissions(from, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        match volume.single {
            true => {
                let (name, _) = volume.files.first().context("a file without a name")?;
                Ok(from.join(name))
            }
            false => Ok(from.to_owned()),
        }
    }
}

fn mount_point(root: &Path, inside: &str, is_file: bool) -> anyhow::Result<()> {
    let point = root.join(inside.trim_start_matches('/'));
    if is_file {
        fs::create_dir_all(point.parent().context("a file at the root")?)?;
        fs::write(&point, "")?;
    } else {
        fs::create_dir_all(&point)?;
    }
    Ok(())
}
