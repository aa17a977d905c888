//! `sluice version`: of this command, and of the control plane when it answers.

use serde_json::{Value, json};

use crate::client::{Client, Request};
use crate::failure::Failure;
use crate::manifest::Manifest;
use crate::options::Scope;
use crate::outcome::Outcome;
use crate::print;

/// Prints the versions. A control plane that does not answer is no failure of this command.
///
/// # Errors
/// When standard output is closed.
pub(crate) async fn run(client: &Client, scope: &Scope) -> Result<Outcome, Failure> {
    let server = match client.send(Request::get(&["openapi.json"])).await {
        Ok(document) => json!({
            "address": client.server().to_string(),
            "version": Manifest(&document).text("/info/version"),
        }),
        Err(_) => Value::Null,
    };
    let versions = json!({"client": {"version": env!("CARGO_PKG_VERSION")}, "server": server});
    print::result(scope.output, &versions, |versions| {
        let versions = Manifest(versions);
        let server = match versions.text("/server/version") {
            Some(version) => format!("{version} at {}", client.server()),
            None => format!("no answer from {}", client.server()),
        };
        let client = versions.text_or_none("/client/version");
        Ok(format!("client   {client}\nserver   {server}\n"))
    })?;
    Ok(Outcome::Done)
}
