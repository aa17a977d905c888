//! One program as a container or a service would have it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use super::image;
use super::network::Host;
use crate::process::{self, Process};

/// Builds the root directory in a mount namespace of its own, makes it read-only, and leaves for the
/// program. `$1` is the root, `$2` the user, `$3` the group, `$4` the capabilities that it keeps; then, up
/// to `--`, what is mounted where and how. `PATH` is the program's.
const ENTER: &str = r#"
set -e
root=$1 user=$2 group=$3 keep=$4
shift 4
/usr/bin/mount --bind "$root" "$root"
/usr/bin/mount --rbind /usr "$root/usr"
/usr/bin/mount --bind /dev "$root/dev"
/usr/bin/mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
/usr/bin/mount -t proc proc "$root/proc"
/usr/bin/mount -t tmpfs tmpfs "$root/usr/local/bin"
while [ "$1" != -- ]; do
    case $2 in /usr/local/bin/*) : > "$root$2" ;; esac
    /usr/bin/mount --bind "$1" "$root$2"
    [ "$3" = rw ] || /usr/bin/mount -o remount,bind,ro "$root$2"
    shift 3
done
shift
/usr/bin/mount -o remount,bind,ro "$root"
exec /usr/sbin/chroot "$root" /usr/bin/setpriv --pdeathsig KILL --reuid "$user" --regid "$group" --clear-groups --no-new-privs \
    --inh-caps="-all$keep" --ambient-caps="-all$keep" --bounding-set="-all$keep" -- "$@"
"#;

/// A program, and all that it is given.
#[derive(Clone, Debug)]
pub struct Pod {
    /// Its own name, and that of its host.
    pub name: String,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Variables.
    pub env: Vec<(String, String)>,
    /// What is mounted.
    pub volumes: Vec<Volume>,
    /// Whom it runs as.
    pub user: u32,
    /// And in which group.
    pub group: u32,
    /// Capabilities that it keeps, such as `net_bind_service`.
    pub capabilities: Vec<String>,
}

/// Something that is mounted.
#[derive(Clone, Debug)]
pub struct Volume {
    path: String,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Directory { owner: (u32, u32), mode: u32 },
    Files(Files),
    Outside(PathBuf, bool),
}

/// Files by name, each with this mode and these owners.
#[derive(Clone, Debug)]
pub struct Files {
    /// Name and text.
    pub texts: Vec<(String, String)>,
    /// Permissions.
    pub mode: u32,
    /// User and group.
    pub owner: (u32, u32),
}

impl Volume {
    /// A directory with these files, which the program cannot change.
    pub fn files(path: &str, files: Files) -> Self {
        let (path, content) = (path.to_owned(), Content::Files(files));
        Self { path, content }
    }

    /// A directory that is empty at first, and whose content outlives the program.
    pub fn directory(path: &str, owner: (u32, u32), mode: u32) -> Self {
        let (path, content) = (path.to_owned(), Content::Directory { owner, mode });
        Self { path, content }
    }

    /// A file or directory of this machine.
    pub fn outside(path: &str, outside: &Path, is_writable: bool) -> Self {
        Self {
            path: path.to_owned(),
            content: Content::Outside(outside.to_owned(), is_writable),
        }
    }

    fn is_writable(&self) -> bool {
        match &self.content {
            Content::Directory { .. } => true,
            Content::Files(_) => false,
            Content::Outside(_, is_writable) => *is_writable,
        }
    }

    /// Makes what is mounted, at `own` if it is nowhere yet; where it is.
    fn lay(&self, own: &Path) -> anyhow::Result<PathBuf> {
        match &self.content {
            Content::Outside(path, _) => return Ok(fs::canonicalize(path)?),
            Content::Directory { owner, mode } => {
                if !own.exists() {
                    fs::create_dir_all(own)?;
                    give(own, *owner, *mode)?;
                }
            }
            Content::Files(files) => {
                fs::create_dir_all(own)?;
                give(own, files.owner, 0o755)?;
                for (name, text) in &files.texts {
                    fs::write(own.join(name), text)?;
                    give(&own.join(name), files.owner, files.mode)?;
                }
            }
        }
        Ok(own.to_owned())
    }
}

fn give(path: &Path, (user, group): (u32, u32), mode: u32) -> anyhow::Result<()> {
    chown(path, Some(user), Some(group))?;
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    Ok(())
}

impl Pod {
    /// Starts it on `host`. Its files lie below `directory`, and what it writes stays there over
    /// restarts. `names` is its /etc/hosts.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self, host: &Host, directory: &Path, names: &str) -> anyhow::Result<Process> {
        Process::spawn(&self.name, self.command(host, directory, names)?)
    }

    /// As [`Pod::start`], without starting it.
    ///
    /// # Errors
    /// When its files cannot be written.
    pub fn command(&self, host: &Host, directory: &Path, names: &str) -> anyhow::Result<Command> {
        let root = self.root(directory);
        for path in ["usr", "dev", "proc", "etc", "tmp", "var/lib", "run"] {
            fs::create_dir_all(root.join(path))?;
        }
        let mut mounts = Vec::new();
        for (from, inside) in image::programs()? {
            mounts.push((from, inside, "ro"));
        }
        for (volume, from) in self.volumes.iter().zip(self.lay(directory)?) {
            let point = root.join(volume.path.trim_start_matches('/'));
            if from.is_dir() {
                fs::create_dir_all(&point)?;
            } else {
                fs::create_dir_all(point.parent().context("a file at the root")?)?;
                fs::write(&point, "")?;
            }
            let how = if volume.is_writable() { "rw" } else { "ro" };
            mounts.push((from, volume.path.clone(), how));
        }
        for link in ["bin", "lib", "lib64", "sbin"] {
            if !root.join(link).is_symlink() {
                std::os::unix::fs::symlink(format!("usr/{link}"), root.join(link))?;
            }
        }
        fs::write(root.join("etc/nsswitch.conf"), "hosts: files\n")?;
        fs::write(root.join("etc/host.conf"), "multi on\n")?;
        fs::write(root.join("etc/passwd"), image::USERS)?;
        self.rename(directory, names)?;

        let mut command = host.command("unshare");
        command.args(["--mount", "--uts", "--propagation", "private"]);
        command.args(["sh", "-c", ENTER, "enter"]).arg(&root);
        let kept: String = self.capabilities.iter().map(|name| format!(",+{name}")).collect();
        command.args([self.user.to_string(), self.group.to_string(), kept]);
        for (from, inside, how) in mounts {
            command.arg(from).args([&inside, how]);
        }
        command.arg("--").args(&self.argv).env_clear();
        self.give_env(&mut command);
        Ok(command)
    }

    /// A command beside the program that runs as `process`: with its files, variables and rights.
    pub fn beside(&self, process: &Process, argv: &[String]) -> Command {
        let mut command = process::command("nsenter");
        command.args(["--mount", "--net", "--root", "--wd", "--target"]);
        command.arg(process.pid().to_string());
        let (user, group) = (self.user.to_string(), self.group.to_string());
        command
            .args(["--setuid", &user, "--setgid", &group, "--"])
            .args(argv)
            .env_clear();
        self.give_env(&mut command);
        command
    }

    /// Writes the files of its volumes anew, as they are now; where each volume is.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn lay(&self, directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
        let own = directory.join(&self.name);
        let volumes = self.volumes.iter();
        volumes
            .map(|volume| volume.lay(&own.join("volumes").join(volume.path.replace('/', "_"))))
            .collect()
    }

    /// Replaces its /etc/hosts.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn rename(&self, directory: &Path, names: &str) -> anyhow::Result<()> {
        Ok(fs::write(self.root(directory).join("etc/hosts"), names)?)
    }

    fn root(&self, directory: &Path) -> PathBuf {
        directory.join(&self.name).join("root")
    }

    fn give_env(&self, command: &mut Command) {
        command.env("PATH", image::PATH);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
    }
}
