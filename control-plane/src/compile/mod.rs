//! Intent into a snapshot: references resolved, defaults filled in, experiments turned into slot
//! tables. No IO and no clock.
//!
//! [`World`] is everything at one revision, immutable and cheap to clone. [`World::change`] is the
//! one way to the next: it folds the changes in, checks the state after all of them, compiles what
//! they touch, and builds the proxies' own snapshot from the result. So what it returns is what
//! the fleet will accept, and it costs what the change costs.

mod addressing;
mod affected;
mod age;
mod allocation;
mod audience;
mod change;
mod check;
mod draft;
mod emit;
mod grant;
mod index;
mod intent;
mod orphans;
mod reference;
mod runtime;
mod source;
mod spread;
mod survey;
#[cfg(test)]
pub(crate) mod tests;
mod view_key;
mod views;
mod world;

pub use allocation::Allocation;
pub use change::{Action, Change, Changed, DanglingRefs};
pub use check::{Doubt, Reason};
pub use intent::{Intent, IntentError, Stored};
pub use runtime::Findings;
pub use source::{EtcdAccess, EtcdCluster, EtcdService, Found, NO_PORT, Source, sources_of};
pub(crate) use survey::Attached;
pub use view_key::ViewKey;
pub use world::World;
