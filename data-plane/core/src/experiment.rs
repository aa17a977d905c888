//! Which variant of an experiment a request gets.

use std::net::IpAddr;

use http::HeaderValue;
use sluice_model::Unit;

use crate::{
    choose::Weights,
    request::RequestView,
    slots::{slot_at, slot_of},
    target::ExperimentTarget,
    unit::slot_of_unit,
};

/// The variant a request gets.
#[derive(Clone, Debug)]
pub struct VariantChoice<'a> {
    /// Its place in the experiment's list.
    pub variant_index: usize,
    /// Its name.
    pub name: &'a str,
    /// Where its requests go.
    pub weights: &'a Weights,
    /// The slot that led to it; `None` when it was forced.
    pub slot: Option<u16>,
    /// Whether the request asked for it by the override header.
    pub forced: bool,
    /// `Set-Cookie` for the response, when the unit is a cookie and the request came without.
    pub issue_cookie: Option<HeaderValue>,
}

impl ExperimentTarget {
    /// The variant of a request from `client` (the user's address, after trusted proxies).
    ///
    /// The override header wins if it names a variant, also one without a share. Then the owner of
    /// the unit's slot. Without a cookie one is issued, whose value is `random` in hexadecimal;
    /// without any other unit the request is its own, on a slot by `random`, and the next one may
    /// get another variant. `random` gives 128 uniform bits and is asked only in those two cases.
    pub fn variant(
        &self,
        request: &RequestView<'_>,
        client: IpAddr,
        random: impl FnOnce() -> u128,
    ) -> VariantChoice<'_> {
        if let Some(index) = self.forced(request) {
            return VariantChoice {
                forced: true,
                ..self.choice(index)
            };
        }
        if let Some(slot) = slot_of_unit(&self.experiment, request, client) {
            return self.owner(slot);
        }
        let random = random();
        match &self.experiment.unit {
            Unit::Cookie(name) => {
                let id = format!("{random:032x}");
                let owner = self.owner(slot_of(&self.experiment.salt, id.as_bytes()));
                VariantChoice {
                    issue_cookie: set_cookie(name, &id),
                    ..owner
                }
            }
            Unit::Header(_) | Unit::Query(_) | Unit::ClientIp => self.owner(slot_at((random >> 64) as u64)),
        }
    }

    fn forced(&self, request: &RequestView<'_>) -> Option<usize> {
        let name = request.headers.get(self.experiment.override_header.as_ref()?)?;
        self.experiment
            .variants
            .iter()
            .position(|variant| variant.name.as_bytes() == name.as_bytes())
    }

    fn owner(&self, slot: u16) -> VariantChoice<'_> {
        let owner = self.choice(usize::from(self.experiment.slots.owner(slot)));
        VariantChoice {
            slot: Some(slot),
            ..owner
        }
    }

    /// `index` is that of a variant: the model checks the owners of slots.
    fn choice(&self, index: usize) -> VariantChoice<'_> {
        VariantChoice {
            variant_index: index,
            name: &self.experiment.variants[index].name,
            weights: &self.variants[index],
            slot: None,
            forced: false,
            issue_cookie: None,
        }
    }
}

/// For a year, for all paths of the host that answered. `None` only for a name that is no token,
/// which the model does not let in.
fn set_cookie(name: &str, id: &str) -> Option<HeaderValue> {
    let text = format!("{name}={id}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax");
    HeaderValue::try_from(text).ok()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use http::{HeaderMap, HeaderName, Method, header::COOKIE};
    use sluice_model::{Experiment, Key, SlotTable, Variant};

    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));
    const OVERRIDE: HeaderName = HeaderName::from_static("x-variant");

    fn experiment(unit: Unit, runs: &[u32]) -> ExperimentTarget {
        let variant = |name: &str| Variant {
            name: name.into(),
            backends: vec![],
        };
        let experiment = Experiment {
            key: Key::parse("experiment/default/checkout").unwrap(),
            unit,
            salt: "checkout".into(),
            variants: vec![variant("a"), variant("b"), variant("off")],
            slots: SlotTable::from_runs(runs, 3).unwrap(),
            override_header: Some(OVERRIDE),
            upstream_header: None,
        };
        ExperimentTarget {
            experiment,
            variants: vec![Weights::new(&[]); 3],
        }
    }

    fn headers(list: &[(HeaderName, &'static str)]) -> HeaderMap {
        list.iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)))
            .collect()
    }

    fn choose<'a>(
        target: &'a ExperimentTarget,
        query: Option<&str>,
        headers: &HeaderMap,
        random: impl FnOnce() -> u128,
    ) -> VariantChoice<'a> {
        target.variant(
            &RequestView {
                method: &Method::GET,
                host: "",
                path: "/",
                query,
                headers,
            },
            CLIENT,
            random,
        )
    }

    fn never() -> u128 {
        panic!("randomness was asked for")
    }

    // Slots of the salt `checkout` as in the vectors of `slots`: user-1 6705, the client's 8806.

    #[test]
    fn every_kind_of_unit_finds_the_owner_of_its_slot() {
        let header = HeaderName::from_static("x-user");
        let by_user = [6705, 0, 1, 1, 3294, 0];
        let table: [(Unit, Option<&str>, HeaderMap, [u32; 6]); 4] = [
            (
                Unit::Cookie("sid".into()),
                None,
                headers(&[(COOKIE, "x=1; sid=user-1")]),
                by_user,
            ),
            (
                Unit::Header(header.clone()),
                None,
                headers(&[(header, "user-1")]),
                by_user,
            ),
            (
                Unit::Query("user id".into()),
                Some("a=b&user%20id=user%2D1&user%20id=2"),
                headers(&[]),
                by_user,
            ),
            (Unit::ClientIp, None, headers(&[]), [8806, 0, 1, 1, 1193, 0]),
        ];
        for (unit, query, headers, runs) in table {
            let target = experiment(unit.clone(), &runs);
            let choice = choose(&target, query, &headers, never);
            assert_eq!(
                (choice.variant_index, choice.name, choice.forced),
                (1, "b", false),
                "{unit:?}"
            );
            assert_eq!(choice.issue_cookie, None);
        }
    }

    #[test]
    fn a_client_without_a_cookie_gets_one_that_leads_back_to_the_same_variant() {
        let target = experiment(Unit::Cookie("sid".into()), &[5000, 0, 5000, 1]);
        let mut seen = [0; 2];
        for random in (0..64u128).map(|step| step << 121 | step) {
            let first = choose(&target, None, &headers(&[]), || random);
            let issued = first.issue_cookie.unwrap();
            let text = issued.to_str().unwrap();
            let (pair, attributes) = text.split_once("; ").unwrap();
            assert_eq!(pair, format!("sid={random:032x}"));
            assert_eq!(attributes, "Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax");
            let back = HeaderMap::from_iter([(COOKIE, HeaderValue::from_str(pair).unwrap())]);
            let second = choose(&target, None, &back, never);
            assert_eq!(second.variant_index, first.variant_index);
            assert_eq!(second.issue_cookie, None);
            seen[first.variant_index] += 1;
        }
        assert!(seen.iter().all(|count| *count > 10), "{seen:?}");
    }

    #[test]
    fn a_request_without_its_unit_goes_where_chance_says() {
        let target = experiment(Unit::Query("user".into()), &[9999, 0, 1, 1]);
        for query in [None, Some(""), Some("user="), Some("user"), Some("User=1")] {
            assert_eq!(
                choose(&target, query, &headers(&[]), || 0).variant_index,
                0,
                "{query:?}"
            );
            let last = choose(&target, query, &headers(&[]), || u128::MAX);
            assert_eq!((last.variant_index, last.issue_cookie), (1, None), "{query:?}");
        }
    }

    #[test]
    fn a_tester_gets_the_variant_asked_for_even_without_a_share() {
        let target = experiment(Unit::Cookie("sid".into()), &[10_000, 0]);
        let choice = choose(&target, None, &headers(&[(OVERRIDE, "off")]), never);
        assert_eq!(
            (choice.name, choice.forced, choice.issue_cookie),
            ("off", true, None)
        );
    }

    #[test]
    fn an_override_that_names_no_variant_is_ignored() {
        let target = experiment(Unit::Header(OVERRIDE), &[10_000, 0]);
        for name in ["nobody", "OFF", "a, b"] {
            let choice = choose(&target, None, &headers(&[(OVERRIDE, name)]), never);
            assert_eq!((choice.name, choice.forced), ("a", false), "{name}");
        }
    }
}
