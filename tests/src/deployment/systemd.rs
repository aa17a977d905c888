//! The units of `deploy/systemd`, as far as they say what is run, with what. `systemd-analyze` is the one
//! to say whether a setting is known.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::Signal;

use super::image;
use super::pod::{Files, Pod, Volume};

/// Whom `DynamicUser=` makes.
const DYNAMIC: u32 = 61_184;

/// A service.
#[derive(Debug)]
pub struct Unit {
    /// What runs.
    pub pod: Pod,
    /// What runs to its end before.
    pub before: Vec<Vec<String>>,
    /// What runs beside it, once it has started.
    pub after: Vec<Vec<String>>,
    /// What it is told to end with.
    pub signal: Signal,
    /// Longest time from there to its end.
    pub grace: Duration,
}

/// Reads a unit for a host of this name; `etc` is what stands for its `/etc/sluice`.
///
/// # Errors
/// When it does not read, or names something that is not there.
pub fn unit(name: &str, host: &str, etc: &Path) -> anyhow::Result<Unit> {
    let text = std::fs::read_to_string(super::directory().join("systemd").join(name))?;
    let text = text.replace("\\\n", " ");
    let settings = Settings { text: &text };
    let dynamic = settings.one("DynamicUser") == Some("yes");
    let user = match (dynamic, settings.one("User")) {
        (true, None) => DYNAMIC,
        (false, Some(user)) => image::user(user).context("an unknown user")?,
        other => anyhow::bail!("{other:?}"),
    };
    let (env, volumes) = surroundings(name, &settings, user, etc)?;
    let argv = |line: &str| {
        let value = |name: &str| Some(env.iter().find(|(known, _)| known == name)?.1.clone());
        let arguments = line.split_whitespace();
        let arguments =
            arguments.map(|argument| super::expand(&argument.replace("%H", host), ("${", "}"), value));
        arguments.collect::<anyhow::Result<Vec<_>>>()
    };
    let all = |key| settings.all(key).map(argv).collect::<anyhow::Result<Vec<_>>>();
    let capabilities = settings
        .all("AmbientCapabilities")
        .flat_map(str::split_whitespace);
    let seconds = settings.one("TimeoutStopSec").context("no TimeoutStopSec")?;
    Ok(Unit {
        before: all("ExecStartPre")?,
        after: all("ExecStartPost")?,
        signal: settings.one("KillSignal").unwrap_or("SIGTERM").parse()?,
        grace: Duration::from_secs(seconds.parse()?),
        pod: Pod {
            name: host.to_owned(),
            argv: argv(settings.one("ExecStart").context("no ExecStart")?)?,
            capabilities: capabilities
                .map(|name| name.trim_start_matches("CAP_").to_lowercase())
                .collect(),
            env,
            volumes,
            user,
            group: user,
        },
    })
}

type Surroundings = (Vec<(String, String)>, Vec<Volume>);

/// Variables and mounts.
fn surroundings(name: &str, settings: &Settings, user: u32, etc: &Path) -> anyhow::Result<Surroundings> {
    let read = |path: &str| {
        let file = path
            .strip_prefix("/etc/sluice/")
            .context("outside of /etc/sluice")?;
        std::fs::read_to_string(etc.join(file)).with_context(|| path.to_owned())
    };
    let credentials = format!("/run/credentials/{name}");
    let mut texts = Vec::new();
    for credential in settings.all("LoadCredential") {
        let (name, path) = credential
            .split_once(':')
            .context("a credential without a path")?;
        texts.push((name.to_owned(), read(path)?));
    }
    let owner = (user, user);
    let mut env = vec![("CREDENTIALS_DIRECTORY".to_owned(), credentials.clone())];
    let files = Files {
        texts,
        mode: 0o400,
        owner,
    };
    let mut volumes = vec![
        Volume::files(&credentials, files),
        Volume::outside("/etc/sluice", etc, false),
    ];
    for (key, variable, parent) in [
        ("StateDirectory", "STATE_DIRECTORY", "/var/lib"),
        ("RuntimeDirectory", "RUNTIME_DIRECTORY", "/run"),
    ] {
        for directory in settings.all(key) {
            let path = format!("{parent}/{directory}");
            volumes.push(Volume::directory(&path, owner, 0o700));
            env.push((variable.to_owned(), path));
        }
    }
    if settings.one("PrivateTmp") == Some("yes") {
        volumes.push(Volume::directory("/tmp", (0, 0), 0o1777));
    }
    env.extend(
        settings
            .one("ExecSearchPath")
            .map(|path| ("PATH".to_owned(), path.to_owned())),
    );
    for assignment in settings.all("Environment") {
        env.extend(super::variables(assignment));
    }
    for path in settings.all("EnvironmentFile") {
        env.extend(super::variables(&read(path)?));
    }
    Ok((env, volumes))
}

/// Lines of a unit, each on one line.
struct Settings<'a> {
    text: &'a str,
}

impl<'a> Settings<'a> {
    fn all(&self, key: &str) -> impl Iterator<Item = &'a str> {
        let pairs = self.text.lines().filter_map(|line| line.split_once('='));
        pairs.filter_map(move |(name, value)| (name == key).then_some(value))
    }

    fn one(&self, key: &str) -> Option<&'a str> {
        self.all(key).last()
    }
}
