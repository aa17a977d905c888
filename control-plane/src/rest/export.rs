//! What is live, or was, as manifests that can be applied again: one on each line.
//!
//! All of an export is of one revision, whatever is written meanwhile. It is made while it is read, so
//! 100,000 routes cost a reader's pace and not their size; a reader that is too slow is cut off, for a world
//! that is not let go holds what everybody else has forgotten.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderName, HeaderValue};
use schemars::{Schema, SchemaGenerator, json_schema};
use sluice_intent::{Kind, LabelSelector, Namespace, ResourceId};
use sluice_model::Revision;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::admission::Room;
use super::answer::{Answer, Representation};
use super::explain::world_at;
use super::operation::Call;
use super::problem::Problem;
use super::query::{self, Fields, Parameter, Query};
use crate::compile::{Intent, World};
use crate::store::{Scope, Verb};

/// Bytes after which lines are handed over.
const PIECE: usize = 64 * 1024;
/// Resources that are looked at before others on the thread get a turn.
const AT_ONCE: usize = 4_096;
/// Pieces that wait for the reader.
const AHEAD: usize = 2;
/// Longest time for all of it.
const LONGEST: Duration = Duration::from_secs(600);

/// The revision that an export is of.
const REVISION: HeaderName = HeaderName::from_static("x-sluice-revision");
/// How many Secrets are left out.
const SECRETS: HeaderName = HeaderName::from_static("x-sluice-secrets");
/// How much of which kind the token may not get.
const LEFT_OUT: HeaderName = HeaderName::from_static("x-sluice-left-out");

/// The parameters of an export.
#[derive(Debug)]
pub(super) struct ExportQuery {
    selector: LabelSelector,
    revision: Option<Revision>,
}

impl Query for ExportQuery {
    const PARAMETERS: &'static [Parameter] = &[Parameter::LabelSelector, Parameter::Revision];

    fn read(fields: &Fields) -> Result<Self, Problem> {
        Ok(Self {
            selector: fields
                .get(Parameter::LabelSelector, query::selector)?
                .unwrap_or_default(),
            revision: fields.get(Parameter::Revision, query::revision)?.map(Revision),
        })
    }
}

/// Everything that the token may see, but for Secrets: what they hold is never shown, and without it they
/// cannot be applied.
pub(super) async fn export(call: Call<ExportQuery>) -> Result<Answer<Lines>, Problem> {
    let Call {
        api,
        caller,
        path,
        query,
        ..
    } = call;
    let namespace = path.namespace()?;
    let room = api.admission.export()?;
    let world = world_at(&api, query.revision).await?;
    let revision = HeaderValue::from(world.revision().0);
    let export = Export {
        world,
        namespace,
        selector: query.selector,
        scope: caller.scope,
        after: None,
    };
    // A look at everything: off the runtime.
    let counted = tokio::task::spawn_blocking(move || {
        let counts = (export.secrets(), export.left_out());
        (export, counts)
    });
    let (export, (secrets, left_out)) = counted.await.map_err(|_| Problem::Closing)?;
    let lines = Lines::of(export, room, api.shutdown.clone());
    Ok(Answer::new(lines)
        .header(REVISION, revision)
        .header(SECRETS, HeaderValue::from(secrets))
        .header(LEFT_OUT, counts(&left_out)))
}

/// Numbers by kind, as a dictionary of integers (RFC 9651 section 3.2); empty without any.
fn counts(by_kind: &BTreeMap<Kind, usize>) -> HeaderValue {
    let members = by_kind
        .iter()
        .map(|(kind, count)| format!("{}={count}", kind.plural()));
    let text = members.collect::<Vec<_>>().join(", ");
    // Names of kinds and digits: there is nothing in it that a header cannot hold.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

/// What is exported, and how far that has come.
struct Export {
    world: World,
    /// `None` is all of them.
    namespace: Option<Namespace>,
    selector: LabelSelector,
    scope: Scope,
    /// The last resource that was looked at.
    after: Option<ResourceId>,
}

impl Export {
    fn selects(&self, intent: &Intent) -> bool {
        let is_wanted = self.is_asked_for(intent) && self.selector.matches(&intent.resource.labels);
        is_wanted && self.scope.allows_to(Verb::Get, &intent.resource.id)
    }

    fn is_asked_for(&self, intent: &Intent) -> bool {
        let wanted = self.namespace.as_ref();
        wanted.is_none_or(|wanted| *wanted == intent.resource.id.namespace)
    }

    /// The Secrets that are selected, and left out.
    fn secrets(&self) -> usize {
        let secrets = self.world.of_kind(Kind::Secret, None);
        secrets.filter(|intent| self.selects(intent)).count()
    }

    /// How much of each kind the token may not get, of the namespace that is asked for. Whatever its labels
    /// are: who may not see them must not find them out by selecting.
    fn left_out(&self) -> BTreeMap<Kind, usize> {
        let mut left_out = BTreeMap::new();
        if matches!(self.scope, Scope::Everything) {
            return left_out;
        }
        for intent in self.world.iter().filter(|intent| self.is_asked_for(intent)) {
            let id = &intent.resource.id;
            if !self.scope.allows_to(Verb::Get, id) {
                *left_out.entry(id.kind).or_default() += 1;
            }
        }
        left_out
    }

    /// The next lines, of which there may be none yet; nothing at the end.
    fn step(&mut self) -> Option<Vec<u8>> {
        let mut lines = Vec::new();
        let mut last = None;
        for intent in self.world.following(self.after.as_ref()).take(AT_ONCE) {
            let id = &intent.resource.id;
            last = Some(id.clone());
            if id.kind != Kind::Secret && self.selects(intent) {
                lines.extend_from_slice(intent.to_export().to_string().as_bytes());
                lines.push(b'\n');
            }
            if lines.len() >= PIECE {
                break;
            }
        }
        self.after = Some(last?);
        Some(lines)
    }
}

/// Lines of JSON, made as they are read.
#[derive(Debug)]
pub(super) struct Lines(mpsc::Receiver<Piece>);

#[derive(Debug)]
enum Piece {
    Lines(Bytes),
    /// There are no more.
    End,
}

impl Lines {
    fn of(export: Export, room: Room, shutdown: CancellationToken) -> Self {
        let (pieces, lines) = mpsc::channel(AHEAD);
        tokio::spawn(async move {
            // Room is taken for as long as this lasts, whoever reads.
            let _room = room;
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(LONGEST) => tracing::warn!("an export was read too slowly and is cut off"),
                () = make(export, pieces) => {}
            }
        });
        Self(lines)
    }
}

/// Makes the pieces as they are taken. A reader that has gone is the end.
async fn make(mut export: Export, pieces: mpsc::Sender<Piece>) {
    while let Some(lines) = export.step() {
        if lines.is_empty() {
            tokio::task::yield_now().await;
        } else if pieces.send(Piece::Lines(lines.into())).await.is_err() {
            return;
        }
    }
    let _ = pieces.send(Piece::End).await;
}

impl Representation for Lines {
    const MEDIA_TYPE: Option<&'static str> = Some("application/x-ndjson");

    fn schema(_: &mut SchemaGenerator) -> Option<Schema> {
        Some(json_schema!({
            "type": "string",
            "description": "A manifest in JSON on each line, which `apply` takes as it is. The headers `x-sluice-revision` and `x-sluice-secrets` say of which revision, and how many Secrets are left out; `x-sluice-left-out` how much of which kind the token may not get, as in `backends=2, gateways=1`, whatever the selector.",
        }))
    }

    /// Without its end the body breaks off, so that nobody takes a part for the whole.
    fn into_body(self) -> Body {
        Body::from_stream(stream::unfold(Some(self.0), |lines| async move {
            let mut lines = lines?;
            match lines.recv().await {
                Some(Piece::Lines(bytes)) => Some((Ok(bytes), Some(lines))),
                Some(Piece::End) => None,
                None => Some((Err(io::Error::from(io::ErrorKind::UnexpectedEof)), None)),
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::super::admission::Admission;
    use super::*;
    use crate::compile::{Change, DanglingRefs};
    use sluice_model::HistoryId;

    fn export() -> Export {
        let backend = |at: u32| {
            let manifest = serde_json::json!({
                "apiVersion": "sluice.dev/v1", "kind": "Backend", "metadata": {"name": format!("b{at}")},
                "spec": {"endpoints": []},
            });
            Change::Put(sluice_intent::Resource::from_json(manifest, "default").unwrap())
        };
        let world = World::empty(HistoryId([0; 16]));
        let changed = world.change(
            (0..5_000).map(backend).collect(),
            Revision(1),
            DanglingRefs::Refuse,
        );
        Export {
            world: changed.unwrap().world,
            namespace: None,
            selector: LabelSelector::default(),
            scope: Scope::Everything,
            after: None,
        }
    }

    #[tokio::test]
    async fn all_of_it_comes_and_nothing_twice() {
        let room = Admission::new().export().unwrap();
        let lines = Lines::of(export(), room, CancellationToken::new());
        let bytes = lines.into_body().collect().await.unwrap().to_bytes();
        let text = std::str::from_utf8(&bytes).unwrap();
        let names: std::collections::BTreeSet<_> = text.lines().collect();
        assert_eq!((text.lines().count(), names.len()), (5_000, 5_000));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_does_not_come_is_cut_off_and_what_it_has_is_no_whole() {
        let admission = Admission::new();
        let lines = Lines::of(export(), admission.export().unwrap(), CancellationToken::new());
        tokio::time::sleep(LONGEST + Duration::from_secs(1)).await;
        let rooms: Vec<_> = std::iter::from_fn(|| admission.export().ok()).collect();
        assert_eq!(rooms.len(), 4, "its room is free again");
        assert!(lines.into_body().collect().await.is_err());
    }
}
