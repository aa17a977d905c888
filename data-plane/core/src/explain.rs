//! Says what would happen to a request and why: the same table and the same choices as live.

use std::net::IpAddr;

use sluice_model::{Filters, Key};

use crate::{
    CompiledRule, Matched, MirrorTarget, RequestView, Snapshot, Target, Unmet,
    candidate::Candidate,
    choose::{Choice, Pick, Weights},
    cors,
    explanation::{Chosen, Copied, CrossOrigin, Decision, Explanation, NearMiss, Share},
};

/// Most near misses that are told.
const MAX_NEAR_MISSES: usize = 100;

impl Snapshot {
    /// What would happen to `request` on `port`; without a port, on the first listener's port where
    /// a rule takes it. `random` stands for the draw of a request without a unit.
    pub fn explain(
        &self,
        port: Option<u16>,
        request: &RequestView<'_>,
        client: IpAddr,
        random: u128,
    ) -> Explanation {
        let ports: Vec<u16> = match port.filter(|port| self.ports().any(|one| one == *port)) {
            Some(port) => vec![port],
            None => self.ports().collect(),
        };
        let taken = ports
            .iter()
            .copied()
            .find(|port| self.route(*port, request).is_some());
        let heard = || {
            ports
                .iter()
                .copied()
                .find(|port| self.table.trace(*port, request.host, request.path).is_some())
        };
        match taken.or_else(heard) {
            Some(port) => self.explain_on(port, request, client, random),
            None => Explanation {
                listener: None,
                decision: Decision::NoListener,
                mirrors: Vec::new(),
                cors: None,
                near_misses: Vec::new(),
            },
        }
    }

    fn explain_on(&self, port: u16, request: &RequestView<'_>, client: IpAddr, random: u128) -> Explanation {
        let matched = self.route(port, request);
        let trace = self.table.trace(port, request.host, request.path);
        let listener = trace.as_ref().map(|(listener, _)| listener.key.to_string());
        let losers = trace
            .into_iter()
            .flat_map(|(_, candidates)| candidates)
            .filter(|candidate| {
                !matched.is_some_and(|won| {
                    won.rule.rule.key == candidate.rule.rule.key && won.match_index == candidate.at
                })
            });
        let near_misses = losers
            .take(MAX_NEAR_MISSES)
            .map(|loser| near_miss(loser, request))
            .collect();
        let mirrors = matched.map_or_else(Vec::new, |matched| self.copies(&matched.rule.mirrors));
        let cors = matched.and_then(|matched| cross_origin(&matched.rule.rule.filters, request));
        let decision = match matched {
            None => Decision::NoRoute,
            Some(matched) => self.decide(&matched, request, client, random),
        };
        Explanation {
            listener,
            decision,
            mirrors,
            cors,
            near_misses,
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
                filters: named(pick.filters),
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

fn named(filters: &Filters) -> Vec<&'static str> {
    let all = [
        ("requestHeaders", !filters.request_headers.is_empty()),
        ("responseHeaders", !filters.response_headers.is_empty()),
        ("rewrite", filters.rewrite.is_some()),
    ];
    all.into_iter()
        .filter(|(_, there)| *there)
        .map(|(name, _)| name)
        .collect()
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

fn near_miss(candidate: &Candidate, request: &RequestView<'_>) -> NearMiss {
    let (lost_by, detail) = match request.unmet(candidate.conditions()) {
        Some(Unmet::Method(method)) => ("method", method.to_string()),
        Some(Unmet::Header(header)) => ("header", format!("{}: {}", header.name, header.value)),
        Some(Unmet::Query(query)) => ("query", format!("{}={}", query.name, query.value)),
        None => (
            "precedence",
            "all its conditions hold, and a better match took the request".to_owned(),
        ),
    };
    NearMiss {
        rule: candidate.rule.rule.key.to_string(),
        match_index: candidate.at,
        lost_by,
        detail,
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method};
    use sluice_model::{Class, HistoryId, Position, Revision};
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
        assert_eq!(misses, [("rule/default/shop/post", "method", "POST")]);
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
