//! Work on many things, shared out among all cores.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ScopedJoinHandle};

/// Things that a thread takes at a time; no more than that are not worth a second thread. In tests everything is shared out.
const PORTION: usize = if cfg!(test) { 3 } else { 1_024 };

/// What `work` makes of each of `items`, in their order.
pub(super) fn map<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    portions(items, |portion| portion.iter().map(&work).collect::<Vec<_>>())
        .into_iter()
        .flatten()
        .collect()
}

/// What `work` makes of each portion of `items`, in their order. How they are cut depends on their number alone.
pub(super) fn portions<T: Sync, R: Send>(items: &[T], work: impl Fn(&[T]) -> R + Sync) -> Vec<R> {
    let portions: Vec<&[T]> = items.chunks(PORTION).collect();
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let threads = cores.min(portions.len());
    if threads < 2 {
        return portions.into_iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let some = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            match portions.get(at) {
                Some(portion) => done.push((at, work(portion))),
                None => return done,
            }
        }
    };
    let mut done = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(some)).collect();
        let mut done = some();
        done.extend(others.into_iter().flat_map(finished));
        done
    });
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

/// What a thread has come to; its panic is this one's.
pub(super) fn finished<R>(thread: ScopedJoinHandle<'_, R>) -> R {
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_done_once_and_in_order_however_much_it_is() {
        for count in [0, 1, PORTION - 1, PORTION, PORTION + 1, 9 * PORTION + 7] {
            let items: Vec<usize> = (0..count).collect();
            assert!(
                map(&items, |item| item * 2)
                    .into_iter()
                    .eq((0..count).map(|item| item * 2)),
                "{count}"
            );
            let cut = portions(&items, <[usize]>::to_vec);
            assert!(cut.iter().all(|portion| portion.len() <= PORTION));
            assert_eq!(cut.concat(), items);
        }
    }

    #[test]
    #[should_panic(expected = "the last one")]
    fn a_panic_of_any_thread_is_that_of_whoever_asked() {
        let items: Vec<usize> = (0..5 * PORTION).collect();
        map(&items, |item| assert!(item + 1 < items.len(), "the last one"));
    }
}
