//! Says what would happen to a request and why: the same table and the same choices as live.

mod lost;
mod near;
mod policy;
mod way;

use std::net::IpAddr;
use std::sync::Arc;

use sluice_model::{Filters, Key};

use self::{lost::Teller, way::Way};
use crate::{
    CompiledRule, Matched, MirrorTarget, RequestView, Snapshot, Target,
    candidate::Candidate,
    choose::{Choice, Pick, Weights},
    cors,
    explanation::{
        BackendPolicy, Chosen, Copied, CrossOrigin, Decision, ExplainBounds, Explanation, RulePolicy, Share,
        Step,
    },
};

impl Snapshot {
    /// What would happen to `request` on `port`; without a port, or with one that no listener has, on the
    /// first listener's port where a rule takes it. `random` stands for the draw of a request without a unit.
    pub fn explain(
        &self,
        port: Option<u16>,
        request: &RequestView<'_>,
        client: IpAddr,
        random: u128,
    ) -> Explanation {
        let (port, step) = self.entrance(port, request);
        let bounds = ExplainBounds::default();
        self.explain_on((port, step), request, client, random, &bounds)
    }

    /// What happens to `request`, which came to `port`; within narrower bounds.
    pub fn explain_within(
        &self,
        port: u16,
        request: &RequestView<'_>,
        client: IpAddr,
        random: u128,
        bounds: &ExplainBounds,
    ) -> Explanation {
        let step = Step::new("port", port.to_string());
        self.explain_on((port, step), request, client, random, bounds)
    }

    /// The port that is asked about, and why that one.
    fn entrance(&self, asked: Option<u16>, request: &RequestView<'_>) -> (u16, Step) {
        let ports = || self.ports();
        if let Some(port) = asked.filter(|port| ports().any(|one| one == *port)) {
            let others = ports().filter(|one| *one != port).map(|one| one.to_string());
            let step = Step::new("port", format!("{port}, as the URL says"));
            return (port, step.considering(others));
        }
        let taken = ports().find(|port| self.route(*port, request).is_some());
        let heard = || ports().find(|port| self.table.listener_for(*port, request.host).is_some());
        let (port, why) = match taken.or_else(heard) {
            Some(port) if taken.is_some() => (port, "the first where a rule takes the request"),
            Some(port) => (port, "the first with a listener for the host"),
            None => (
                ports().next().unwrap_or(0),
                "as no port has a listener for the host",
            ),
        };
        let found = match (asked, ports().next()) {
            (_, None) => "there are no listeners".to_owned(),
            (Some(asked), _) => format!("{port}, as no listener has {asked}: {why}"),
            (None, _) => format!("{port}: {why}"),
        };
        let others = ports().filter(|one| *one != port).map(|one| one.to_string());
        (port, Step::new("port", found).considering(others))
    }

    fn explain_on(
        &self,
        (port, step): (u16, Step),
        request: &RequestView<'_>,
        client: IpAddr,
        random: u128,
        bounds: &ExplainBounds,
    ) -> Explanation {
        let matched = self.route(port, request);
        let listener = self.table.listener_for(port, request.host);
        let decision = match (listener, matched) {
            (None, _) => Decision::NoListener,
            (Some(_), None) => Decision::NoRoute,
            (Some(_), Some(matched)) => self.decide(&matched, request, client, random),
        };
        let winner = matched.map(|matched| Candidate {
            rule: Arc::clone(matched.rule),
            at: matched.match_index,
        });
        let (table, winner) = (&self.table, winner.as_ref());
        let way = Way {
            table,
            port,
            request,
            winner,
        };
        let teller = Teller {
            table,
            request,
            listener: listener.map(AsRef::as_ref),
            winner,
            tells_values: bounds.tells_values,
        };
        let near = near::search(teller, port, bounds);
        Explanation {
            listener: listener.map(|listener| listener.key.to_string()),
            steps: way.steps(step, &decision),
            policy: matched.map(|matched| RulePolicy::of(&matched)),
            decision,
            mirrors: matched.map_or_else(Vec::new, |matched| self.copies(&matched.rule.mirrors)),
            cors: matched.and_then(|matched| cross_origin(&matched.rule.rule.filters, request)),
            near_misses: near.misses,
            near_miss_count: near.count,
            is_complete: near.is_complete,
        }
    }

    fn decide(
        &self,
        matched: &Matched<'_>,
        request: &RequestView<'_>,
        client: IpAddr,
        random: u128,
    ) -> Decision {
        let rule = Chosen::of(matched.rule, matched.match_index);
        let cors = matched.rule.rule.filters.cors.as_ref();
        if cors.is_some_and(|cors| cors::preflight(cors, request.method, request.headers).is_some()) {
            return Decision::Preflight { rule };
        }
        let redirect = matched.rule.rule.filters.redirect.as_ref();
        if let Some((redirect, location)) = redirect.zip(matched.location(request)) {
            return Decision::Redirect {
                rule,
                status: redirect.status.as_u16(),
                location,
            };
        }
        let target = matched.rule.target.and_then(|idx| self.target(idx));
        match target.map(AsRef::as_ref) {
            None => Decision::NoBackends { rule },
            Some(Target::Split(weights)) if weights.choose(random as u64).choice == Choice::None => {
                Decision::NoBackends { rule }
            }
            Some(Target::Split(weights)) => Decision::Split {
                rule,
                backends: self.shares(weights),
            },
            Some(Target::Experiment(target)) => {
                let choice = target.variant(request, client, || random);
                Decision::Experiment {
                    rule,
                    experiment: target.experiment.key.to_string(),
                    variant: choice.name.to_owned(),
                    slot: choice.slot,
                    forced: choice.forced,
                    backends: self.shares(choice.weights),
                }
            }
        }
    }

    fn shares(&self, weights: &Weights) -> Vec<Share> {
        let share = |(pick, fraction): (Pick<'_>, f64)| {
            let state = match pick.choice {
                Choice::Backend(idx) => self.backend(idx),
                Choice::Dangling | Choice::None => None,
            };
            Share {
                backend: state.map(|state| state.backend.key.to_string()),
                percent: fraction * 100.0,
                endpoints: state.map_or(0, |state| state.endpoints.len()),
                policy: state.map(|state| BackendPolicy::of(&state.backend)),
                filters: policy::named(pick.filters),
                mirrors: self.copies(pick.mirrors),
            }
        };
        weights.shares().map(share).collect()
    }

    fn copies(&self, mirrors: &[MirrorTarget]) -> Vec<Copied> {
        let copied = |mirror: &MirrorTarget| {
            let state = mirror.backend.and_then(|idx| self.backend(idx));
            Copied {
                backend: state.map(|state| state.backend.key.to_string()),
                percent: mirror.fraction() * 100.0,
            }
        };
        mirrors.iter().map(copied).collect()
    }
}

fn cross_origin(filters: &Filters, request: &RequestView<'_>) -> Option<CrossOrigin> {
    let cors = filters.cors.as_ref()?;
    let origin = request.headers.get(http::header::ORIGIN);
    Some(CrossOrigin {
        origin: origin.and_then(|origin| origin.to_str().ok()).map(Into::into),
        allowed: origin.is_some_and(|origin| cors::allows(cors, origin)),
    })
}

impl Chosen {
    fn of(rule: &CompiledRule, match_index: usize) -> Self {
        let key: &Key = &rule.rule.key;
        Self {
            key: key.to_string(),
            route: key.owner().to_owned(),
            index: rule.rule.index,
            match_index,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method};
    use sluice_model::{Class, CommitId, CommitSeal, HistoryId, Position, Revision};
    use sluice_proto::v1;

    use super::*;
    use crate::{Difference, Entry, ResourceSet, Update};

    fn rule(name: &str, wire: &v1::Rule) -> Entry {
        Entry::new(Key::parse(&format!("rule/default/shop/{name}")).unwrap(), wire)
    }

    fn snapshot() -> Snapshot {
        let protocol = v1::listener::Protocol::Http as i32;
        let listener = v1::Listener {
            port: 80,
            hostname: "*.x.com".into(),
            protocol,
            ..Default::default()
        };
        let attachments = vec![v1::Attachment {
            listener: "listener/default/edge/http".into(),
            hostnames: vec!["*.x.com".into()],
        }];
        let prefix = v1::PathMatch {
            kind: v1::path_match::Kind::Prefix.into(),
            value: "/a".into(),
        };
        let post = v1::Match {
            path: Some(prefix.clone()),
            method: "POST".into(),
            ..Default::default()
        };
        let any = v1::Match {
            path: Some(prefix),
            ..Default::default()
        };
        let redirect = v1::Redirect {
            scheme: "https".into(),
            status: 301,
            ..Default::default()
        };
        let upserts = vec![
            Entry::new(Key::parse("listener/default/edge/http").unwrap(), &listener),
            Entry::new(
                Key::parse("route/default/shop").unwrap(),
                &v1::Route {
                    creation_revision: 1,
                    attachments,
                },
            ),
            rule(
                "post",
                &v1::Rule {
                    matches: vec![post],
                    ..Default::default()
                },
            ),
            rule(
                "any",
                &v1::Rule {
                    index: 1,
                    matches: vec![any],
                    redirect: Some(redirect),
                    ..Default::default()
                },
            ),
        ];
        let difference = Difference {
            upserts,
            removals: vec![],
        };
        let resources = ResourceSet::empty().apply(&difference);
        let (config, runtime) = (resources.digest(Class::Config), resources.digest(Class::Runtime));
        let target = Position {
            revision: Revision(1),
            config,
            runtime,
        };
        let update = Update {
            history: HistoryId::default(),
            base: None,
            target,
            commit: CommitId::UNKNOWN,
            commit_seal: CommitSeal::NONE,
            difference,
        };
        Snapshot::empty(HistoryId::default()).apply(&update).unwrap()
    }

    fn explain(host: &str, path: &str) -> Explanation {
        let headers = HeaderMap::new();
        let request = RequestView {
            method: &Method::GET,
            host,
            path,
            query: None,
            headers: &headers,
        };
        snapshot().explain(None, &request, IpAddr::from([127, 0, 0, 1]), 0)
    }

    #[test]
    fn a_near_miss_names_the_first_condition_that_failed() {
        let explanation = explain("shop.x.com", "/a/b");
        assert!(matches!(
            &explanation.decision,
            Decision::Redirect { rule, status: 301, location }
                if rule.key == "rule/default/shop/any" && location == "https://shop.x.com/a/b"
        ));
        let misses: Vec<_> = explanation
            .near_misses
            .iter()
            .map(|miss| (&*miss.rule, miss.lost_by, &*miss.detail))
            .collect();
        let asked = "POST is asked for, not GET";
        assert_eq!(misses, [("rule/default/shop/post", "method", asked)]);
    }

    #[test]
    fn no_listener_and_no_route_are_told_apart() {
        assert!(matches!(
            explain("other.org", "/a").decision,
            Decision::NoListener
        ));
        assert!(matches!(explain("shop.x.com", "/b").decision, Decision::NoRoute));
    }
}
