//! The kinds of paths that the tables of a host tell apart.

use std::ops::ControlFlow;

use smallvec::SmallVec;

use super::touched::Region;
use crate::{
    normalize_path,
    trie::{Node, PathTable},
};

/// Elements that stand for all that no table knows; two, as for hosts.
const FRESH: [&str; 2] = ["any", "other"];

/// One kind of paths.
#[derive(Debug)]
pub(super) enum Kind<'a> {
    /// A single one.
    Point(&'a str),
    /// All below a path that do not go on with an element that is known there.
    Below(Below<'a>),
}

/// Paths below one, past what is known there.
#[derive(Debug)]
pub(super) struct Below<'a> {
    /// Without a trailing slash; empty for the root.
    pub(super) path: &'a str,
    /// Sorted.
    pub(super) known: &'a [&'a str],
}

impl Below<'_> {
    /// Two paths of this kind.
    pub(super) fn fresh(&self) -> Vec<String> {
        let numbered = (0..).flat_map(|round| FRESH.map(|element| (element, round)));
        let elements = numbered.map(|(element, round)| match round {
            0 => element.to_owned(),
            round => format!("{element}{round}"),
        });
        elements
            .filter(|element| self.known.binary_search(&element.as_str()).is_err())
            .take(FRESH.len())
            .map(|element| format!("{}/{element}", self.path))
            .collect()
    }
}

/// The nodes of several tables that stand for one path.
type Nodes<'a> = SmallVec<[&'a Node; 6]>;

/// Whoever is told of kinds of paths, and says whether to go on.
type Visit<'v> = dyn FnMut(Kind<'_>) -> ControlFlow<()> + 'v;

/// Tells `visit` every kind of paths in `region` that `tables` tell apart, the shortest of a branch
/// first. Paths that no normalised request has are left out.
pub(super) fn each_kind(tables: &[&PathTable], region: &Region, visit: &mut Visit<'_>) -> ControlFlow<()> {
    let roots: Nodes<'_> = tables.iter().map(|table| table.root()).collect();
    if region.everything {
        return subtree(String::new(), roots, visit);
    }
    for prefix in &region.prefixes {
        let elements = prefix.strip_prefix('/').unwrap_or(prefix).split('/');
        let nodes = elements.fold(roots.clone(), |nodes, element| children(&nodes, element));
        subtree(prefix.to_string(), nodes, visit)?;
    }
    for path in region.exact.iter().filter(|path| is_normal(path)) {
        visit(Kind::Point(path))?;
    }
    ControlFlow::Continue(())
}

fn is_normal(path: &str) -> bool {
    normalize_path(path).is_ok_and(|normal| normal == path)
}

fn children<'a>(nodes: &[&'a Node], element: &str) -> Nodes<'a> {
    nodes.iter().filter_map(|node| node.child(element)).collect()
}

fn subtree(path: String, nodes: Nodes<'_>, visit: &mut Visit<'_>) -> ControlFlow<()> {
    let mut stack = vec![(path, nodes)];
    while let Some((path, nodes)) = stack.pop() {
        // What begins with a path that is not normal is not normal.
        if !path.is_empty() && !is_normal(&path) {
            continue;
        }
        if !path.is_empty() {
            visit(Kind::Point(&path))?;
        }
        let mut known: Vec<&str> = nodes.iter().flat_map(|node| node.elements()).collect();
        known.sort_unstable();
        known.dedup();
        visit(Kind::Below(Below {
            path: &path,
            known: &known,
        }))?;
        let next = known.iter().rev();
        stack.extend(next.map(|element| (format!("{path}/{element}"), children(&nodes, element))));
    }
    ControlFlow::Continue(())
}
