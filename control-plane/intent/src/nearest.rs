//! The known name that a misspelt one was most likely meant to be.

/// Longest name worth comparing: no known name is half as long, and the cost is a product of lengths.
const LONGEST: usize = 64;

/// The name in `known` within a third of `name`'s length in edits, the closest first in order.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > LONGEST {
        return None;
    }
    let allowed = (name.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| {
            let lower = (name.to_ascii_lowercase(), candidate.to_ascii_lowercase());
            (strsim::osa_distance(&lower.0, &lower.1), candidate)
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_known_name_is_found_whatever_its_case() {
        let known = ["matches", "filters", "backendRefs", "timeouts"];
        assert_eq!(nearest("backendrefs", known), Some("backendRefs"));
        assert_eq!(nearest("macthes", known), Some("matches"));
        assert_eq!(nearest("filter", known), Some("filters"));
        assert_eq!(nearest("retries", known), None);
        assert_eq!(nearest(&"m".repeat(10_000), known), None);
    }
}
