//! What the container images bring along, as far as programs see it.

use anyhow::bail;

use crate::servers;

/// Programs of ours.
const PROGRAMS: [&str; 3] = ["sluice", "sluice-control", "sluice-proxy"];

/// The system's users of all images, of whom each has its own only.
pub(super) const USERS: &str = "root:x:0:0::/root:/bin/sh\n\
     postgres:x:999:999::/var/lib/postgresql:/bin/sh\n\
     sluice:x:10001:10001::/var/lib/sluice:/bin/sh\n";

/// The number of a user.
pub(super) fn user(name: &str) -> Option<u32> {
    let mut lines = USERS.lines().map(|line| line.split(':'));
    lines.find_map(|mut fields| (fields.next()? == name).then(|| fields.nth(1)?.parse().ok())?)
}

/// The entrypoint of the image `postgres`: makes the data directory, runs what is in
/// `/docker-entrypoint-initdb.d` with a server that listens on its socket only, and becomes the server.
const POSTGRES: &str = r#"
set -e
POSTGRES_PASSWORD=${POSTGRES_PASSWORD:-$(cat "$POSTGRES_PASSWORD_FILE")}
PGDATA=${PGDATA:-/var/lib/postgresql/data}
export PGDATA POSTGRES_PASSWORD LANG=C.UTF-8
set -- postgres "$@"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    printf %s "$POSTGRES_PASSWORD" > /tmp/password
    initdb --username=postgres --pwfile=/tmp/password --no-sync
    rm /tmp/password
    echo "listen_addresses = '*'" >> "$PGDATA/postgresql.conf"
    started="$*"
    pg_ctl --options="${started#postgres } -c listen_addresses=''" --wait start
    for script in /docker-entrypoint-initdb.d/*.sh; do "$script"; done
    pg_ctl --mode=fast --wait stop
fi
unset POSTGRES_PASSWORD
exec "$@"
"#;

/// Where programs are looked for.
pub(super) const PATH: &str = "/usr/local/bin:/usr/lib/postgresql/18/bin:/usr/lib/postgresql/17/bin:\
     /usr/lib/postgresql/16/bin:/usr/lib/postgresql/15/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What an image starts that is not told what to start.
///
/// # Errors
/// When the image is not known.
pub(super) fn entrypoint(image: &str) -> anyhow::Result<Vec<String>> {
    match image.split_once(':') {
        Some(("postgres", _)) => Ok(["sh", "-c", POSTGRES, "docker-entrypoint.sh"]
            .map(str::to_owned)
            .into()),
        _ => bail!("{image} starts nothing by itself"),
    }
}

/// Where our programs are here, and where the image has them.
///
/// # Errors
/// When they have not been built.
pub(super) fn programs() -> anyhow::Result<Vec<(std::path::PathBuf, String)>> {
    let programs = PROGRAMS.iter();
    programs
        .map(|name| Ok((servers::binary(name)?, format!("/usr/local/bin/{name}"))))
        .collect()
}
