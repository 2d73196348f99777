//! How much memory a piece of work takes: an allocator that counts for each thread by itself.
//!
//! The binary that measures names it as its global allocator. Tests beside it in other threads are not counted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, with counts.
#[derive(Debug)]
pub struct Counting;

#[derive(Clone, Copy)]
struct Counts {
    held: isize,
    peak: isize,
    allocations: usize,
    largest: usize,
}

const NOTHING: Counts = Counts { held: 0, peak: 0, allocations: 0, largest: 0 };

thread_local! {
    // No destructor and no lazy start: it can be used by the allocator itself.
    static COUNTS: Cell<Counts> = const { Cell::new(NOTHING) };
}

/// What a piece of work took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Bytes held at once beyond those before, at the most.
    pub peak_bytes: usize,
    /// Allocations and reallocations.
    pub allocations: usize,
    /// Bytes of the largest of them.
    pub largest_bytes: usize,
}

/// What has been taken since it was made.
#[derive(Debug)]
pub struct Meter {
    before: isize,
}

impl Meter {
    /// Starts to count on this thread. One at a time.
    pub fn start() -> Self {
        let before = COUNTS.get().held;
        COUNTS.set(Counts { held: before, peak: before, allocations: 0, largest: 0 });
        Self { before }
    }

    /// Bytes that are held now beyond those before.
    pub fn held_bytes(&self) -> usize {
        usize::try_from(COUNTS.get().held - self.before).unwrap_or(0)
    }

    /// What this thread has taken so far.
    pub fn taken(&self) -> Taken {
        let counts = COUNTS.get();
        let peak_bytes = usize::try_from(counts.peak - self.before).unwrap_or(0);
        Taken { peak_bytes, allocations: counts.allocations, largest_bytes: counts.largest }
    }
}

fn count(added: usize, removed: usize) {
    // A thread that is ending has no counts any more, and nobody who asks.
    let _ = COUNTS.try_with(|cell| {
        let mut counts = cell.get();
        counts.held += added.cast_signed() - removed.cast_signed();
        counts.peak = counts.peak.max(counts.held);
        if added > 0 {
            counts.allocations += 1;
            counts.largest = counts.largest.max(added);
        }
        cell.set(counts);
    });
}

// SAFETY: every call goes to the system's allocator unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller's promise is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        // SAFETY: as above.
        unsafe { System.realloc(memory, layout, size) }
    }
}
