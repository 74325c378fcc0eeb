//! Threads that help with one large piece of work at a time.
//!
//! Work is cut into parts that write disjoint memory, and every number is computed in the same way whatever the cut: so
//! results do not depend on how many threads there are, nor on which of them took which part. The caller takes parts
//! like everyone else. Nothing ever waits for a thread to wake up; a busy machine only means that the caller does more.
//!
//! Each thread begins with parts of its own, neighbours at the same place of the work every time, and only then takes from
//! the others what is left: so the part of a batch, or of a layer's weights, that a thread has in its caches is mostly the
//! one that it is asked for again. Where cores do not share their caches, that has saved up to a third of a step's time.
//!
//! Handing out work takes no lock and no system call while the helpers are awake: each watches one word, from which a part
//! is claimed by adding one to it. They do so for some microseconds after their last part, as long as the gap between
//! two products of a training step, and then sleep. They start with the first work that is large enough for them.
//!
//! Until both of two threads are at work it takes 0.1 to 0.8 µs if the helper watches, as near as the two cores are, and
//! 40 µs if it sleeps: medians on two cores of a virtual AMD EPYC (Zen 4) under Linux, by the ignored test `handing_out`.

mod pieces;
#[cfg(test)]
mod tests;

use crate::error::{Error, Result};
use core::any::Any;
use core::cell::UnsafeCell;
use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::thread::{self, Thread};
use std::time::Instant;

pub(crate) use pieces::{MOST_PARTS, Shared, cut, over_pieces, sum_of_parts, sum_over_pieces};

/// The environment variable of the number of threads.
const VARIABLE: &str = "PLYWOOD_NUM_THREADS";

/// A part takes at least so long, in nanoseconds on one thread: below, waking a helper that sleeps costs more than it
/// gives.
const PART: usize = 10_000;

/// How long a helper without work watches for more before it sleeps.
const WATCH: Duration = Duration::from_micros(100);
/// How long anyone watches without letting others have the processor.
const SPIN: Duration = Duration::from_micros(30);
/// How long a caller waits for the helpers' last parts before it sleeps between looks: they have lost their processor.
const LATE: Duration = Duration::from_millis(2);

static POOL: Pool = Pool::new();

/// The number of threads that large layers are computed with on the CPU, the calling one included; as
/// `torch.get_num_threads`.
///
/// It is what [`set_num_threads`] last said, or else the environment variable `PLYWOOD_NUM_THREADS`, or else the number
/// of processor cores that the program may use. Small layers are computed by the calling thread alone. Whatever the
/// number, the results are the same to the bit.
///
/// ```
/// assert!(plywood::num_threads() >= 1);
/// ```
#[must_use]
pub fn num_threads() -> usize {
    POOL.threads()
}

/// Changes [`num_threads`], for the whole program; as `torch.set_num_threads`.
///
/// # Errors
/// If the number is not between 1 and 1024.
///
/// ```
/// plywood::set_num_threads(2)?;
/// assert_eq!(plywood::num_threads(), 2);
/// # Ok::<(), plywood::Error>(())
/// ```
pub fn set_num_threads(threads: usize) -> Result<()> {
    if !(1..=MOST).contains(&threads) {
        let what = "the number of threads";
        return Err(Error::Setting { what, given: threads.to_string(), expected: "between 1 and 1024" });
    }
    POOL.threads.store(threads, Ordering::Relaxed);
    Ok(())
}

/// The most threads.
const MOST: usize = 1024;

/// How many threads pay for work that takes one thread so many nanoseconds.
pub(crate) fn threads_for(nanoseconds: usize) -> usize {
    // Asked in this order, small networks never look at the environment.
    if nanoseconds < 2 * PART { 1 } else { (nanoseconds / PART).min(num_threads()) }
}

/// Calls `f` with each part, `0..parts`, on as many threads as are free; returns when all are done.
///
/// Inside of a part, and while another thread's work is under way, the caller does all parts itself. If parts panic, the
/// panic of one of them goes on in the caller when none is under way any more.
pub(crate) fn run(parts: usize, f: impl Fn(usize) + Sync) {
    POOL.run(parts, &f);
}

/// A value in cache lines of its own: what one thread writes does not slow down who reads its neighbour.
#[repr(align(128))]
struct Apart<T>(T);

type Part<'a> = &'a (dyn Fn(usize) + Sync);

struct Pool {
    /// How many threads to use, the caller included; 0 until someone asks.
    threads: AtomicUsize,
    /// The helpers so far. Who holds the lock has the pool for one piece of work.
    helpers: Mutex<Vec<Helper>>,
    /// How many threads have parts of their own.
    sharers: AtomicUsize,
    /// The parts of each thread that nobody has claimed, the caller's first: the end in the upper half of the word, the
    /// next in the lower half.
    claims: [Apart<AtomicU64>; MOST],
    /// How many parts are done.
    done: Apart<AtomicUsize>,
    /// The parts' function, while there are parts to be done.
    part: UnsafeCell<Option<Part<'static>>>,
    /// The last panic.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

// SAFETY: `part` is written by who holds the lock of `helpers`, while there is no part to claim, and read after a claim.
unsafe impl Sync for Pool {}

struct Helper {
    thread: Thread,
    asleep: Arc<AtomicBool>,
}

impl Pool {
    const fn new() -> Self {
        Pool {
            threads: AtomicUsize::new(0),
            helpers: Mutex::new(Vec::new()),
            sharers: AtomicUsize::new(0),
            claims: [const { Apart(AtomicU64::new(0)) }; MOST],
            done: Apart(AtomicUsize::new(0)),
            part: UnsafeCell::new(None),
            panic: Mutex::new(None),
        }
    }

    fn threads(&self) -> usize {
        match self.threads.load(Ordering::Relaxed) {
            0 => {
                // If two ask at once, both find the same, unless `set_num_threads` comes between and wins.
                let found = from_environment().unwrap_or_else(cores).clamp(1, MOST);
                match self.threads.compare_exchange(0, found, Ordering::Relaxed, Ordering::Relaxed) {
                    Ok(_) => found,
                    Err(set) => set,
                }
            }
            threads => threads,
        }
    }

    fn run(&'static self, parts: usize, f: Part<'_>) {
        let wanted = if parts > 1 { parts.min(self.threads()) - 1 } else { 0 };
        if wanted > 0
            && let Some(mut helpers) = match self.helpers.try_lock() {
                Ok(helpers) => Some(helpers),
                Err(TryLockError::Poisoned(helpers)) => Some(helpers.into_inner()),
                Err(TryLockError::WouldBlock) => None,
            }
        {
            self.start(&mut helpers, wanted);
            self.share(&helpers[..wanted.min(helpers.len())], parts, f);
            drop(helpers);
            let panic = self.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(panic) = panic {
                resume_unwind(panic);
            }
        } else {
            (0..parts).for_each(f);
        }
    }

    /// Starts helpers until there are as many as wanted. A machine that gives no more threads makes do with fewer.
    fn start(&'static self, helpers: &mut Vec<Helper>, wanted: usize) {
        while helpers.len() < wanted {
            let index = helpers.len();
            let asleep = Arc::new(AtomicBool::new(false));
            let flag = Arc::clone(&asleep);
            let builder = thread::Builder::new().name(format!("plywood-{}", index + 1));
            let Ok(handle) = builder.spawn(move || self.help(index, &flag)) else { break };
            helpers.push(Helper { thread: handle.thread().clone(), asleep });
        }
    }

    /// Does all parts together with the helpers. The caller holds the lock of `helpers`.
    fn share(&self, helpers: &[Helper], parts: usize, f: Part<'_>) {
        assert!(u32::try_from(parts).is_ok(), "too many parts");
        // SAFETY: only the lifetime changes. Nobody calls it after `share` returns: that is when every part is done, and
        // it is called for claimed parts only.
        let f = unsafe { core::mem::transmute::<Part<'_>, Part<'static>>(f) };
        // SAFETY: there is no part to claim, and no other caller, who would need the lock.
        unsafe { *self.part.get() = Some(f) };
        self.done.0.store(0, Ordering::Relaxed);
        let sharers = helpers.len() + 1;
        self.sharers.store(sharers, Ordering::Relaxed);
        let border = |thread: usize| (parts * thread / sharers) as u64;
        // The caller's first: a helper that is done with its own looks at those of the others once. Sequentially consistent,
        // like the helper's flag and its last look at its parts before it sleeps: either it sees them, or its sleep is
        // seen here.
        for thread in 0..sharers {
            self.claims[thread].0.store(border(thread + 1) << 32 | border(thread), Ordering::SeqCst);
        }
        for helper in helpers {
            if helper.asleep.load(Ordering::SeqCst) {
                helper.thread.unpark();
            }
        }
        self.work(0);
        let done = || self.done.0.load(Ordering::Acquire) == parts;
        if !watch(LATE, done) {
            while !done() {
                thread::sleep(SPIN);
            }
        }
    }

    /// Whether a thread has parts of its own that nobody has claimed.
    fn has_work(&self, thread: usize, order: Ordering) -> bool {
        has_part(self.claims[thread].0.load(order))
    }

    /// Claims parts and does them until there are none: first a thread's own, from the first on, then what the others have
    /// left, from the last. They count as done after that: or the next work would begin while this thread still looks for
    /// parts, and it would take those of others before its own.
    fn work(&self, thread: usize) {
        let sharers = self.sharers.load(Ordering::Relaxed);
        let others = (thread + 1..sharers).chain(0..thread.min(sharers));
        let done = self.claim(thread, |claims| (claims + 1, claims & LOWER))
            + others.map(|other| self.claim(other, |claims| (claims - (1 << 32), (claims >> 32) - 1))).sum::<usize>();
        self.done.0.fetch_add(done, Ordering::Release);
    }

    /// Claims parts of a thread until it has none, and does them. `take` says what is left, and which part it took.
    fn claim(&self, thread: usize, take: impl Fn(u64) -> (u64, u64)) -> usize {
        let word = &self.claims[thread].0;
        let mut done = 0;
        let mut claims = word.load(Ordering::Relaxed);
        while has_part(claims) {
            let (left, part) = take(claims);
            // Whatever happened since the load: a word that is still the same has a part of the current work.
            match word.compare_exchange_weak(claims, left, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => {
                    // SAFETY: a part is claimed and not done, so the function stays until it is.
                    let f = unsafe { *self.part.get() };
                    let result = catch_unwind(AssertUnwindSafe(|| f.into_iter().for_each(|f| f(part as usize))));
                    if let Err(panic) = result {
                        *self.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
                    }
                    done += 1;
                    claims = word.load(Ordering::Relaxed);
                }
                Err(now) => claims = now,
            }
        }
        done
    }

    /// The life of a helper.
    fn help(&self, index: usize, asleep: &AtomicBool) {
        let thread = index + 1;
        loop {
            let is_wanted = || thread < self.threads.load(Ordering::Relaxed);
            if is_wanted() && watch(WATCH, || self.has_work(thread, Ordering::Relaxed)) {
                self.work(thread);
                continue;
            }
            asleep.store(true, Ordering::SeqCst);
            if !(is_wanted() && self.has_work(thread, Ordering::SeqCst)) {
                thread::park();
            }
            asleep.store(false, Ordering::Relaxed);
        }
    }
}

/// The half of a word of claims that holds the next part.
const LOWER: u64 = 0xffff_ffff;

/// Whether there is a part between the next and the end.
fn has_part(claims: u64) -> bool {
    claims & LOWER < claims >> 32
}

/// Waits until something happens, for so long at most: first at full speed, then leaving the processor to others.
/// Whether it happened.
fn watch(most: Duration, happened: impl Fn() -> bool) -> bool {
    let mut start = None;
    loop {
        for _ in 0..32 {
            if happened() {
                return true;
            }
            spin_loop();
        }
        let waited = start.get_or_insert_with(Instant::now).elapsed();
        if waited >= most {
            return happened();
        }
        if waited >= SPIN {
            thread::yield_now();
        }
    }
}

fn from_environment() -> Option<usize> {
    let value = std::env::var_os(VARIABLE)?;
    let threads = value.to_str().and_then(|value| value.trim().parse().ok()).filter(|threads| *threads > 0);
    if threads.is_none() {
        eprintln!("plywood: {VARIABLE} is {value:?}, but must be a number from 1 on; using the number of cores");
    }
    threads
}

/// The cores that this program may use: two threads of one core would share the arithmetic that one of them fills.
fn cores() -> usize {
    let allowed = thread::available_parallelism().map_or(1, usize::from);
    let cpus = |file: &str| std::fs::read_to_string(format!("/sys/devices/system/cpu/{file}")).map(|list| count(&list));
    match (cpus("online"), cpus("cpu0/topology/thread_siblings_list")) {
        (Ok(online), Ok(siblings)) if siblings > 0 => allowed.min((online / siblings).max(1)),
        _ => allowed,
    }
}

/// How many numbers a list of Linux holds: `0-3,8` has five.
fn count(list: &str) -> usize {
    list.trim()
        .split(',')
        .filter_map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
            Some((last + 1).saturating_sub(first))
        })
        .sum()
}
