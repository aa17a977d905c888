//! Requests that proxies sampled, replayed on each part of the fleet that they were made on.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use schemars::JsonSchema;
use serde::Serialize;
use sluice_core::diff::replay::{self, Found, Recorded, Replay, ReplayBounds, Sample, Spelt, Totals};
use sluice_core::{RequestView, Snapshot, is_credential, sample_key_id};
use sluice_intent::Labels;
use sluice_model::{Secret, Violation};
use sluice_proto::v1::{self, sampled_header::Value};

use super::part::Part;
use super::replay::{Feed, Malformed, TrafficReplay};
use super::{MAX_VIEWS, selectors};
use crate::compile::{ViewKey, World};
use crate::fleet::{SampleGroup, SampleKinds, SampleMembers};
use crate::live::Proposal;

/// What proxies sampled.
#[derive(Debug)]
pub struct Sampled {
    /// Since when there is some, in milliseconds since 1970.
    pub from_ms: Option<u64>,
    /// Until when.
    pub to_ms: u64,
    /// The requests.
    pub kinds: SampleKinds,
    /// What is stored and cannot be read, or is more than there is room for.
    pub unread: u64,
    /// Keys that values may be hashed with.
    pub keys: Vec<Secret<[u8; 32]>>,
}

/// Where replayed samples come from.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SampledTraffic {
    /// Since when there are samples, in milliseconds since 1970; rows that are older than ten minutes
    /// become one for each hour of the clock, all of which is replayed, so it may be up to an hour before what was
    /// asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_ms: Option<u64>,
    /// Until when.
    pub to_ms: u64,
    /// Requests of which nothing was kept, as they were too long. They count for nothing else.
    pub left_out: u64,
    /// Kinds of requests that are stored and cannot be read.
    pub unread: u64,
    /// How far the parts of the requests may be off by chance.
    pub margin: Margin,
    /// Parts of the fleet, each judged by what its proxies have.
    pub views: Vec<ViewTraffic>,
    /// Parts that were not looked at, for want of room: those with the fewest requests.
    pub views_omitted: usize,
    /// Their requests, which count for nothing else.
    pub requests_omitted: u64,
}

/// Where the parts of the requests lie with a confidence of 95 %: score intervals (Wilson) for the effective size of
/// the sample (Kish). A kind of request counts as drawn once, however often it was, so they are rather too wide.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Margin {
    /// As how many requests that were each drawn by themselves those that were judged count: the square of all, by
    /// the sum of the squares of what each kind stands for.
    pub effective_size: f64,
    /// Those answered by somebody else.
    pub target: Interval,
    /// Of those: served now and failing then, or the reverse, or failing in another way.
    pub status: Interval,
    /// Answered by the same, and different in something else.
    pub other: Interval,
}

/// Where a part of the requests lies, in percent of those that were judged.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Interval {
    /// At least.
    pub low_percent: f64,
    /// At most.
    pub high_percent: f64,
}

/// The requests of one part of the fleet.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ViewTraffic {
    /// The proxy selectors that the labels of its proxies match now.
    pub selectors: Vec<String>,
    /// Those that they would match.
    pub selectors_after: Vec<String>,
    /// All.
    pub requests: u64,
    /// Of which enough is known.
    pub judged: u64,
    /// Whose outcome is another in anything.
    pub changed: u64,
    /// Answered by somebody else.
    pub target: f64,
    /// The same, in percent of those that were judged.
    pub target_percent: f64,
    /// Where that lies with a confidence of 95 %, as in the margin of all.
    pub target_interval: Interval,
}

/// A group of requests, and which part of them: of proxies with its view some would have another view each.
struct Batch<'a> {
    group: &'a SampleGroup,
    members: &'a SampleMembers,
    part: Part,
    /// Requests of the same view in groups before this one.
    before: u128,
}

/// Batches by the view that proxies have and the one that they would have.
type Parts<'a> = BTreeMap<[ViewKey; 2], Vec<Batch<'a>>>;

/// Replays what was sampled on the proxies that made it, as they are and as they would be with `proposal`; or only
/// what was on those with these labels. `fleet` are the labels of all.
///
/// # Errors
/// What the snapshot of a view refuses.
pub fn replay_samples(
    proposal: &Proposal,
    labels: Option<&Labels>,
    fleet: &[Labels],
    sampled: &Sampled,
) -> Result<TrafficReplay, Vec<Violation>> {
    let worlds = [&proposal.before, &proposal.changed.world];
    let parts = parts(worlds, labels, fleet, &sampled.kinds);
    let batches = parts.values().flatten().filter(|batch| batch.part.is_first());
    let left_out = batches.map(|batch| batch.members.left_out());
    let left_out = left_out.fold(0, u64::saturating_add);
    let (parts, omitted) = heaviest(parts, MAX_VIEWS);
    let omitted_requests = omitted.values().map(|batches| requests(batches));
    let mut told = SampledTraffic {
        from_ms: sampled.from_ms,
        to_ms: sampled.to_ms,
        left_out,
        unread: sampled.unread,
        margin: Margin::default(),
        views: Vec::new(),
        views_omitted: omitted.len(),
        requests_omitted: omitted_requests.fold(0, u64::saturating_add),
    };
    let mut found = Found::new(ReplayBounds::default());
    let mut malformed = Malformed::default();
    for (keys, batches) in &parts {
        let [before, after] = [worlds[0].snapshot_of(&keys[0])?, worlds[1].snapshot_of(&keys[1])?];
        let so_far = found.totals();
        let mut feed = Feed {
            replay: Replay::with(&before, &after, found),
            malformed,
        };
        replay_part(&mut feed, [&before, &after], batches, &sampled.keys);
        found = feed.replay.into_found();
        malformed = feed.malformed;
        told.views
            .push(ViewTraffic::between(keys, &so_far, &found.totals()));
    }
    told.margin = Margin::of(&found.totals());
    let mut replay = TrafficReplay::of(proposal, found.finish(), malformed);
    replay.sampled = Some(told);
    Ok(replay)
}

/// Which views requests are judged on. Of a view that no proxy has now, the selectors that there still are count.
fn parts<'a>(
    worlds: [&World; 2],
    labels: Option<&Labels>,
    fleet: &[Labels],
    kinds: &'a SampleKinds,
) -> Parts<'a> {
    let views = |labels: &Labels| worlds.map(|world| world.view_of(labels));
    let mut moves: BTreeMap<ViewKey, BTreeMap<ViewKey, u64>> = BTreeMap::new();
    for labels in labels.map_or(fleet, std::slice::from_ref) {
        let [before, after] = views(labels);
        *moves.entry(before).or_default().entry(after).or_default() += 1;
    }
    let mut parts = Parts::new();
    let mut known: BTreeMap<ViewKey, u128> = BTreeMap::new();
    for (group, members) in kinds.groups() {
        let all: ViewKey = group.selectors.iter().map(|one| one.as_str().into()).collect();
        let before = worlds[0].existing(&all);
        let after = match moves.get(&before) {
            Some(after) => after.clone(),
            None if labels.is_some() => continue,
            None => BTreeMap::from([(worlds[1].existing(&all), 1)]),
        };
        let proxies: Vec<u64> = after.values().copied().collect();
        let sum = known.entry(before.clone()).or_default();
        for (after, part) in after.into_keys().zip(Part::of(&proxies)) {
            let batch = Batch {
                group,
                members,
                part,
                before: *sum,
            };
            parts.entry([before.clone(), after]).or_default().push(batch);
        }
        *sum += members.weight();
    }
    parts
}

/// The parts with the most requests, at most so many, and the others.
fn heaviest(parts: Parts<'_>, most: usize) -> (Parts<'_>, Parts<'_>) {
    let mut parts: Vec<_> = parts.into_iter().collect();
    parts.sort_by_cached_key(|(_, batches)| Reverse(requests(batches)));
    let others = parts.split_off(most.min(parts.len()));
    (parts.into_iter().collect(), others.into_iter().collect())
}

/// How many requests there are in a part.
fn requests(batches: &[Batch<'_>]) -> u64 {
    let own = |batch: &Batch<'_>| batch.own(batch.before, batch.members.weight());
    batches.iter().map(own).fold(0, u64::saturating_add)
}

fn replay_part(
    feed: &mut Feed<'_>,
    snapshots: [&Snapshot; 2],
    batches: &[Batch<'_>],
    keys: &[Secret<[u8; 32]>],
) {
    let mut spelt: HashMap<[u8; 8], Spelt> = HashMap::new();
    let mut headers = HeaderMap::new();
    for batch in batches {
        let is_it = |key: &&Secret<[u8; 32]>| sample_key_id(key.expose())[..] == batch.group.key_id;
        let spelt = keys.iter().find(is_it).map(|key| {
            let known = spelt.entry(sample_key_id(key.expose()));
            &*known.or_insert_with(|| Spelt::of(snapshots, key.expose()))
        });
        let names = batch.group.headers.iter();
        let names = names.filter_map(|name| HeaderName::try_from(name).ok());
        let names: Vec<_> = names.chain([HOST]).collect();
        let mut before = batch.before;
        for request in batch.members.requests() {
            let all = u128::from(request.weight);
            let request = v1::SampledRequest {
                weight: batch.own(before, all),
                ..request
            };
            before += all;
            if request.weight == 0 {
                continue;
            }
            headers.clear();
            let looked = (&*names, batch.group.query);
            if bring(&request, looked, spelt, &mut headers, feed).is_none() {
                feed.malformed(request.weight, || {
                    format!("a sample of {} {}", request.host, request.path)
                });
            }
        }
    }
}

/// `None` for what no proxy would have sampled.
fn bring(
    request: &v1::SampledRequest,
    (names, has_query): (&[HeaderName], bool),
    spelt: Option<&Spelt>,
    headers: &mut HeaderMap,
    feed: &mut Feed<'_>,
) -> Option<()> {
    let method = Method::from_bytes(request.method.as_bytes()).ok()?;
    let (mut hidden, mut unknown) = (Vec::new(), Vec::new());
    for header in &request.headers {
        let name = HeaderName::try_from(&header.name).ok()?;
        let value = match (header.value.as_ref()?, spelt) {
            // Whoever proposes a rule would learn whether it was sent, and so what it is, guess by guess.
            _ if is_credential(name.as_str()) => {
                unknown.push(name.clone());
                None
            }
            (Value::Text(text), _) => Some(text.as_str()),
            (Value::Hash(hash), Some(spelt)) if !hash.is_empty() => {
                let value = spelt.value(&name, hash);
                if value.is_none() {
                    hidden.push(name.clone());
                }
                value
            }
            // Under a key that is not known here, or of no text: it may be any value.
            (Value::Hash(_), _) => {
                unknown.push(name.clone());
                None
            }
        };
        if let Some(value) = value {
            headers.append(name, HeaderValue::try_from(value).ok()?);
        }
    }
    if let (false, Ok(value)) = (headers.contains_key(HOST), HeaderValue::from_str(&request.host)) {
        headers.insert(HOST, value);
    }
    feed.sample(&Sample {
        port: Some(u16::try_from(request.port).ok()?),
        is_secure: None,
        request: RequestView {
            method: &method,
            host: &request.host,
            path: &request.path,
            query: request.query.as_deref(),
            headers,
        },
        recorded: Recorded::Only(names),
        hidden: &hidden,
        unknown: &unknown,
        has_query,
        weight: request.weight,
    });
    Some(())
}

impl Batch<'_> {
    /// How many of the next so many requests are of its part; those of all parts are all of them.
    fn own(&self, before: u128, requests: u128) -> u64 {
        let until = |end: u128| self.part.of_first(end);
        u64::try_from(until(before + requests) - until(before)).unwrap_or(u64::MAX)
    }
}

impl ViewTraffic {
    /// What came between the two.
    fn between(keys: &[ViewKey; 2], before: &Totals, after: &Totals) -> Self {
        let judged = after.judged.saturating_sub(before.judged);
        let target = after.target - before.target;
        let own = Totals {
            judged,
            squares: after.squares.saturating_sub(before.squares),
            ..Totals::default()
        };
        Self {
            selectors: selectors(&keys[0]),
            selectors_after: selectors(&keys[1]),
            requests: after.requests.saturating_sub(before.requests),
            judged,
            changed: after.changed.saturating_sub(before.changed),
            target,
            target_percent: match judged {
                0 => 0.0,
                judged => target * 100.0 / judged as f64,
            },
            target_interval: own.interval(target).into(),
        }
    }
}

impl Margin {
    fn of(totals: &Totals) -> Self {
        Self {
            effective_size: totals.effective_size(),
            target: totals.interval(totals.target).into(),
            status: totals.interval(totals.status as f64).into(),
            other: totals.interval(totals.other as f64).into(),
        }
    }
}

impl From<replay::Interval> for Interval {
    fn from(interval: replay::Interval) -> Self {
        Self {
            low_percent: interval.low * 100.0,
            high_percent: interval.high * 100.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of proxies that match this selector.
    fn group(selector: &str) -> SampleGroup {
        SampleGroup {
            selectors: vec![selector.to_owned()],
            headers: Vec::new(),
            query: false,
            key_id: vec![7; 8],
        }
    }

    #[test]
    fn parts_with_few_requests_are_left_out_first_and_their_requests_counted() {
        let mut kinds = SampleKinds::default();
        for (selector, weights) in [
            ("a=1", &[1_u64, 2][..]),
            ("b=1", &[40][..]),
            ("c=1", &[5][..]),
            ("d=1", &[30, 9][..]),
        ] {
            let named = (0_u8..).zip(weights).map(|(name, weight)| (vec![name], *weight));
            assert!(kinds.add(&group(selector), named, 0));
        }
        let mut parts = Parts::new();
        for (group, members) in kinds.groups() {
            let key: ViewKey = group.selectors.iter().map(|one| one.as_str().into()).collect();
            let of_two = Part::of(&[1, 0]);
            let batches = of_two.into_iter().map(|part| Batch {
                group,
                members,
                part,
                before: 3,
            });
            for (after, batch) in ["", "x=1"].into_iter().zip(batches) {
                parts.insert([key.clone(), ViewKey::from(after)], vec![batch]);
            }
        }
        let (kept, others) = heaviest(parts, 2);
        let names: Vec<_> = kept.keys().map(|[before, _]| before.to_string()).collect();
        assert_eq!(names, ["b=1", "d=1"], "in the order of their names");
        let left = others.values().map(|batches| requests(batches)).sum::<u64>();
        assert_eq!((others.len(), left), (6, 8));
    }
}
