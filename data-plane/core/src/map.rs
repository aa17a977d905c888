//! The persistent hash map of this package.

use foldhash::fast::FixedState;

/// Cheap to clone, shares what does not change. A fixed seed is safe: only configuration is ever
/// put in, requests only look up.
pub(crate) type Map<K, V> = imbl::GenericHashMap<K, V, FixedState, imbl::shared_ptr::DefaultSharedPtr>;
