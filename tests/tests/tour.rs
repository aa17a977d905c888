//! The tour in README.md and the tutorial in deploy/ci, run as written: their ```sh blocks, in one shell, against
//! `sluice dev`.
//!
//! A ```text block is what the block before it prints; `...` stands for any text in a line, and a
//! line of its own for any lines. Only the addresses are replaced: the test listens on free ports.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;
use sluice_tests::process::Process;
use sluice_tests::servers;
use tokio::process::Command;

/// Longest start-up of `sluice dev`.
const START: Duration = Duration::from_secs(60);
/// Longest time of the whole tour: a person takes ten minutes.
const TOUR: Duration = Duration::from_secs(120);
/// Stands in the shell's output after each block, before its exit code.
const END: &str = "---- end of block:";

/// Blocks of `text` in Markdown: commands with what they print.
#[derive(Debug, Default, PartialEq)]
struct Step {
    /// Line of the block in the file.
    line: usize,
    commands: String,
    expected: Option<String>,
}

fn steps(markdown: &str) -> anyhow::Result<Vec<Step>> {
    let mut steps: Vec<Step> = Vec::new();
    let mut lines = markdown.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(tag) = line.strip_prefix("```") else {
            continue;
        };
        let block = lines
            .by_ref()
            .map(|(_, line)| line)
            .take_while(|line| *line != "```");
        let block = block.fold(String::new(), |block, line| block + line + "\n");
        match tag {
            "sh" => steps.push(Step {
                line: number + 1,
                commands: block,
                expected: None,
            }),
            "text" => {
                let step = steps.last_mut().context("output before any command")?;
                ensure!(
                    step.expected.is_none(),
                    "two outputs of the block at line {}",
                    step.line
                );
                step.expected = Some(block);
            }
            _ => {}
        }
    }
    Ok(steps)
}

/// Whether `output` is what `expected` says.
fn fits(expected: &str, output: &str) -> bool {
    let expected: Vec<_> = expected.trim_end().lines().collect();
    let output: Vec<_> = output.trim_end().lines().map(str::trim_end).collect();
    matches_all(
        &expected,
        &output,
        |expected| *expected == "...",
        |expected, line| {
            let expected: Vec<_> = expected.trim_end().split("...").collect();
            in_order(&expected, line)
        },
    )
}

/// Matches `items` against `patterns`, of which those that are `wild` take any number of items.
fn matches_all<P, I>(
    patterns: &[P],
    items: &[I],
    wild: impl Fn(&P) -> bool + Copy,
    same: impl Fn(&P, &I) -> bool + Copy,
) -> bool {
    match (patterns, items) {
        ([], items) => items.is_empty(),
        ([first, rest @ ..], items) if wild(first) => {
            (0..=items.len()).any(|skipped| matches_all(rest, &items[skipped..], wild, same))
        }
        ([first, patterns @ ..], [item, items @ ..]) => {
            same(first, item) && matches_all(patterns, items, wild, same)
        }
        (_, []) => false,
    }
}

/// Whether `line` is `parts` with any text between them.
fn in_order(parts: &[&str], line: &str) -> bool {
    let [first, middle @ .., last] = parts else {
        return parts.first().is_some_and(|whole| *whole == line);
    };
    let Some(mut rest) = line.strip_prefix(first).and_then(|rest| rest.strip_suffix(last)) else {
        return false;
    };
    middle.iter().all(|part| match rest.find(part) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}

#[derive(Deserialize)]
struct Dev {
    admin: String,
    token: String,
    proxies: Vec<Proxy>,
}

#[derive(Deserialize)]
struct Proxy {
    listeners: Vec<Listener>,
}

#[derive(Deserialize)]
struct Listener {
    address: String,
}

/// Where the first proxy has bound the listener that the tour makes on port 7443.
const SECURE_PORT: &str = r#"secure_port() {
    sluice fleet -o json | tr -d ' \n' | grep -o '"127.0.0.1:[0-9]*","gateway":"default/secure"' |
        grep -o ':[0-9]*"' | tr -d ':"'
}
"#;

/// Runs every block in one shell and gives back what each printed, on both streams.
async fn run(script: &str, dev: &Dev) -> anyhow::Result<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let binaries = servers::binary("sluice")?;
    let binaries = binaries.parent().context("a binary has a directory")?;
    let path = std::env::var("PATH").unwrap_or_default();
    let shell = Command::new("bash")
        .args(["-euo", "pipefail", "-c", script])
        .current_dir(root)
        .env("PATH", format!("{}:{path}", binaries.display()))
        .env("SLUICE_ADMIN", &dev.admin)
        .env("SLUICE_TOKEN", &dev.token)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(TOUR, shell)
        .await
        .context("the tour takes too long")??;
    Ok(String::from_utf8(output.stdout)?)
}

fn script(steps: &[Step], proxies: &[Proxy]) -> anyhow::Result<String> {
    let mut script = "exec 2>&1\n".to_owned();
    for step in steps {
        writeln!(script, "{}echo \"{END} $?\"", step.commands)?;
    }
    for (index, proxy) in proxies.iter().enumerate() {
        // Those that start with nothing to serve have none yet.
        if let Some(listener) = proxy.listeners.first() {
            script = script.replace(&format!("127.0.0.{}:7480", index + 1), &listener.address);
        }
    }
    // The listener of this port is made on the way, and bound to any free one.
    Ok(SECURE_PORT.to_owned() + &script.replace(":7443", ":$(secure_port)"))
}

/// Goes through a page with what `sluice dev` starts, with these further options.
async fn go_through(page: &str, options: &[&str]) -> anyhow::Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page);
    let steps = steps(&std::fs::read_to_string(path)?)?;
    ensure!(steps.len() > 5, "only {} blocks", steps.len());

    let directory = tempfile::tempdir()?;
    let mut command = servers::command("sluice", None)?;
    command.args(["dev", "--admin", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]);
    command.args(["--port-map", "80=0", "--port-map", "7443=0"]);
    command.args(options).arg("--data-dir").arg(directory.path());
    command.env_remove("SLUICE_TOKEN");
    let mut process = Process::spawn("sluice dev", command)?;
    let dev: Dev = serde_json::from_str(&process.first_line(START).await?)?;

    let output = run(&script(&steps, &dev.proxies)?, &dev).await?;
    let mut rest = output.as_str();
    for step in &steps {
        let Some((printed, after)) = rest.split_once(END) else {
            bail!(
                "{page}:{}: the shell ended here:\n{rest}\n{}",
                step.line,
                process.log()
            );
        };
        if let Some(expected) = &step.expected
            && !fits(expected, printed)
        {
            bail!(
                "{page}:{}: expected\n{expected}\nbut it printed\n{printed}",
                step.line
            );
        }
        rest = after.split_once('\n').map_or("", |(_, rest)| rest);
    }
    Ok(())
}

#[tokio::test]
async fn the_tour_of_the_readme_goes_as_written() -> anyhow::Result<()> {
    go_through("README.md", &[]).await
}

#[tokio::test]
async fn the_tutorial_on_reviewed_changes_goes_as_written() -> anyhow::Result<()> {
    go_through("deploy/ci/TUTORIAL.md", &["--no-sample"]).await
}

#[test]
fn blocks_are_read_with_what_they_print() -> anyhow::Result<()> {
    let read = steps("# A\n```sh\na\nb\n```\ntext\n```text\nout\n```\n```console\nx\n```\n```sh\nc\n```\n")?;
    let [first, second] = read.as_slice() else {
        bail!("{read:?}")
    };
    assert_eq!((first.line, first.commands.as_str()), (2, "a\nb\n"));
    assert_eq!(first.expected.as_deref(), Some("out\n"));
    assert_eq!((second.commands.as_str(), &second.expected), ("c\n", &None));
    Ok(())
}

#[test]
fn dots_stand_for_any_text_and_any_lines_and_for_nothing_else() {
    assert!(fits("a ... c\n", "a b c \n"));
    assert!(fits("a ... c ... e", "a b c d e"));
    assert!(!fits("a ... c", "a b d"));
    assert!(!fits("a", "a b"));
    assert!(fits("a\n...\nd\n", "a\nb\nc\nd\n"));
    assert!(fits("a\n...\n", "a\n"));
    assert!(!fits("a\n...\nd\n", "a\nb\n"));
    assert!(!fits("a\n", "a\nb\n"));
    assert!(!fits("...x...x", "x"));
}
