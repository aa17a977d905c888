//! What a source file may use, and how long it and its functions may be.

use std::collections::BTreeSet;
use std::path::Path;

use proc_macro2::Span;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

/// Longest file, in lines.
const MAX_FILE: usize = 600;
/// Longest function, from its signature to its closing brace, in lines.
const MAX_FUNCTION: usize = 100;

/// Paths that must not be used below a directory, except below another.
const FORBIDDEN: [Forbidden; 17] = [
    Forbidden::everywhere_in("data-plane/core/src", PURE),
    Forbidden::everywhere_in("data-plane/http1/src", PURE),
    Forbidden::everywhere_in("data-plane/tls/src", PURE),
    Forbidden::everywhere_in("proto/model/src", PURE),
    Forbidden::everywhere_in("control-plane/intent/src", PURE),
    Forbidden::everywhere_in(
        "data-plane/src",
        &["sluice_control", "sluice_intent", "sqlx", "axum"],
    ),
    Forbidden::everywhere_in("control-plane/src", &["sluice_proxy", "hyper", "arc_swap"]),
    Forbidden::but_in("control-plane/src", &["sqlx"], &["control-plane/src/store"]),
    // `control.rs` starts the server.
    Forbidden::but_in(
        "control-plane/src",
        &["axum"],
        &["control-plane/src/rest", "control-plane/src/control.rs"],
    ),
    Forbidden::but_in(
        "control-plane/src",
        &["tonic"],
        &[
            "control-plane/src/fleet",
            "control-plane/src/discovery/etcd",
            "control-plane/src/trust",
        ],
    ),
    // Certificates are issued and handshakes made in one place.
    Forbidden::but_in(
        "control-plane/src",
        &["rcgen", "tokio_rustls"],
        &["control-plane/src/trust", "control-plane/src/compile/tests"],
    ),
    Forbidden::everywhere_in(
        "control-plane/src/store",
        &["crate::rest", "crate::fleet", "crate::live", "crate::trust"],
    ),
    Forbidden::everywhere_in(
        "control-plane/src/trust",
        &["crate::rest", "crate::fleet", "crate::live", "crate::compile"],
    ),
    Forbidden::everywhere_in(
        "control-plane/src/compile",
        &["crate::rest", "crate::fleet", "tokio"],
    ),
    Forbidden::everywhere_in(
        "control-plane/cli/src/client",
        &["sluice_control", "sluice_proxy"],
    ),
    // `lint` judges manifests as a control plane would, and needs none.
    Forbidden::but_in(
        "control-plane/cli/src/command",
        &["sluice_control"],
        &["control-plane/cli/src/command/lint.rs"],
    ),
    Forbidden::everywhere_in("control-plane/cli/src/command", &["sluice_proxy"]),
];

/// No IO, no clock, no threads: time and randomness are parameters.
const PURE: &[&str] = &[
    "hyper",
    "std::fs",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "tokio",
];

struct Forbidden {
    below: &'static str,
    paths: &'static [&'static str],
    except: &'static [&'static str],
}

impl Forbidden {
    const fn everywhere_in(below: &'static str, paths: &'static [&'static str]) -> Self {
        Self {
            below,
            paths,
            except: &[],
        }
    }

    const fn but_in(
        below: &'static str,
        paths: &'static [&'static str],
        except: &'static [&'static str],
    ) -> Self {
        Self { below, paths, except }
    }

    fn covers(&self, file: &Path) -> bool {
        let is_excepted = self.except.iter().any(|except| file.starts_with(except));
        file.starts_with(self.below) && !is_excepted
    }
}

/// What is wrong with one source file: its length, its functions' lengths, forbidden paths.
pub(super) fn complaints_about(file: &Path, source: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let lines = source.lines().count();
    if lines > MAX_FILE {
        complaints.push(format!("{}: {lines} lines, more than {MAX_FILE}", file.display()));
    }
    let syntax = match syn::parse_file(source) {
        Ok(syntax) => syntax,
        Err(error) => return vec![format!("{}: {error}", file.display())],
    };
    let mut reader = Reader::default();
    reader.visit_file(&syntax);
    for (name, lines) in reader.functions {
        if lines > MAX_FUNCTION {
            complaints.push(format!(
                "{}: fn {name} has {lines} lines, more than {MAX_FUNCTION}",
                file.display()
            ));
        }
    }
    for rule in FORBIDDEN.iter().filter(|rule| rule.covers(file)) {
        for path in &reader.paths {
            if rule.paths.iter().any(|forbidden| is_or_is_below(path, forbidden)) {
                complaints.push(format!("{}: {path} must not be used here", file.display()));
            }
        }
    }
    complaints
}

/// Whether a source makes or names an `ArcSwap`.
pub(super) fn names_a_cell(source: &str) -> syn::Result<bool> {
    let mut reader = Reader::default();
    reader.visit_file(&syn::parse_file(source)?);
    let mut parts = reader.paths.iter().flat_map(|path| path.split("::"));
    Ok(parts.any(|part| part.starts_with("ArcSwap")))
}

fn is_or_is_below(path: &str, root: &str) -> bool {
    path.strip_prefix(root)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Collects what a file uses and how long its functions are. Code under `#[cfg(test)]` may use
/// whatever it likes.
#[derive(Default)]
struct Reader {
    paths: BTreeSet<String>,
    functions: Vec<(String, usize)>,
}

impl Reader {
    fn imports(&mut self, prefix: &str, tree: &syn::UseTree) {
        let below = |name: &syn::Ident| match prefix {
            "" => name.to_string(),
            _ => format!("{prefix}::{name}"),
        };
        let path = match tree {
            syn::UseTree::Path(path) => return self.imports(&below(&path.ident), &path.tree),
            syn::UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.imports(prefix, tree));
            }
            syn::UseTree::Name(name) if name.ident == "self" => prefix.to_owned(),
            syn::UseTree::Glob(_) => prefix.to_owned(),
            syn::UseTree::Name(name) => below(&name.ident),
            syn::UseTree::Rename(name) => below(&name.ident),
        };
        self.paths.insert(path);
    }

    fn function(&mut self, signature: &syn::Signature, body: Span) {
        let lines = body.end().line - signature.span().start().line + 1;
        self.functions.push((signature.ident.to_string(), lines));
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !matches!(item, syn::Item::Mod(module) if is_for_tests(&module.attrs)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.imports("", &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<_> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        self.paths.insert(segments.join("::"));
        visit::visit_path(self, path);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, item.block.span());
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, item.block.span());
        visit::visit_impl_item_fn(self, item);
    }
}

fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let word = attribute.parse_args::<syn::Ident>();
        attribute.path().is_ident("cfg") && word.is_ok_and(|word| word == "test")
    })
}

mod tests {
    use super::*;

    #[test]
    fn a_made_up_import_is_found() {
        let complaints = |file: &str, source: &str| complaints_about(Path::new(file), source).len();
        let uses = "use std::{fmt, time::{Duration, Instant as Clock}};";
        assert_eq!(complaints("data-plane/core/src/x.rs", uses), 1);
        assert_eq!(complaints("data-plane/src/x.rs", uses), 0);
        let calls = "fn f() { tokio::spawn(async {}); }";
        assert_eq!(complaints("proto/model/src/x.rs", calls), 1);
        let tested = "#[cfg(test)] mod tests { fn f() { std::thread::yield_now() } }";
        assert_eq!(complaints("proto/model/src/x.rs", tested), 0);
        assert_eq!(complaints("control-plane/src/rest/x.rs", "use sqlx::Row;"), 1);
        assert_eq!(complaints("control-plane/src/store/x.rs", "use sqlx::Row;"), 0);
        assert_eq!(complaints("control-plane/src/x.rs", "use sqlx_like::Row;"), 0);
    }

    #[test]
    fn a_line_too_many_is_found() {
        let complaints = |source: &str| complaints_about(Path::new("tests/x.rs"), source).len();
        assert_eq!(complaints(&"\n".repeat(601)), 1);
        assert_eq!(complaints(&"\n".repeat(600)), 0);
        let function = |lines: usize| format!("impl X {{ fn f() {{{}}} }}", "\n".repeat(lines - 1));
        assert_eq!(complaints(&function(101)), 1);
        assert_eq!(complaints(&function(100)), 0);
    }
}
