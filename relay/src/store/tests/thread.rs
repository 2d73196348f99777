//! The store thread: group commit, order of reports, bounds, errors and the end.

use std::{
    sync::{
        Arc, Barrier,
        mpsc::{Receiver, sync_channel},
    },
    time::Duration,
};

use node::store::Write;
use tempfile::tempdir;

use super::{append, append_sized, open, positions, stored};
use crate::store::{
    Store, StoreError,
    thread::{Limits, Queue, Report, StoreThread, SubmitError},
};

/// A thread whose reports wait at the returned barrier before the first of them, so that a test can fill the queue meanwhile.
fn held_thread(store: Store, limits: Limits) -> (StoreThread, Queue, Receiver<Report>, Arc<Barrier>) {
    let (sender, reports) = sync_channel(1000);
    let barrier = Arc::new(Barrier::new(2));
    let hold = Arc::clone(&barrier);
    let mut held = false;
    let report = move |report| {
        if !std::mem::replace(&mut held, true) {
            hold.wait();
            hold.wait();
        }
        sender.send(report).unwrap();
    };
    let (thread, queue) = StoreThread::start(store, limits, report).unwrap();
    (thread, queue, reports, barrier)
}

/// The next report, which comes within a generous time or not at all.
fn next(reports: &Receiver<Report>) -> Report {
    reports.recv_timeout(Duration::from_secs(60)).unwrap()
}

#[test]
fn what_waits_is_committed_as_one_and_reported_in_order() {
    let directory = tempdir().unwrap();
    let (thread, queue, reports, barrier) = held_thread(open(directory.path()).0, Limits::default());
    queue.try_submit(1, vec![append(1)]).unwrap();
    barrier.wait();
    for ticket in 2..=100 {
        queue.try_submit(ticket, vec![append(ticket)]).unwrap();
    }
    barrier.wait();
    for ticket in 1..=100 {
        let report = next(&reports);
        assert_eq!((report.ticket, report.outcome.is_ok()), (ticket, true));
    }
    let counters = Arc::clone(thread.counters());
    drop(queue);
    assert!(thread.join());
    assert_eq!((counters.commits(), counters.submissions(), counters.failures()), (2, 100, 0));
    assert!(counters.item_bytes() > 70_000 && counters.commit_micros() > 0);
    assert_eq!(positions(&open(directory.path()).1), (1..=100).collect::<Vec<_>>());
}

#[test]
fn a_commit_takes_no_more_than_its_bounds() {
    let directory = tempdir().unwrap();
    let limits = Limits { batch_max: 10, batch_bytes_max: 10_000, ..Limits::default() };
    let (thread, queue, reports, barrier) = held_thread(open(directory.path()).0, limits);
    queue.try_submit(1, vec![append(1)]).unwrap();
    barrier.wait();
    // Ten tickets by count, then two by size, then the rest.
    for ticket in 2..=11 {
        queue.try_submit(ticket, vec![append_sized(ticket, 1)]).unwrap();
    }
    queue.try_submit(12, vec![append_sized(12, 9_000)]).unwrap();
    queue.try_submit(13, vec![append_sized(13, 9_000)]).unwrap();
    queue.try_submit(14, vec![append_sized(14, 1)]).unwrap();
    barrier.wait();
    for _ in 1..=14 {
        next(&reports).outcome.unwrap();
    }
    assert_eq!(thread.counters().commits(), 4);
}

#[test]
fn a_full_queue_says_so() {
    let directory = tempdir().unwrap();
    let limits = Limits { queue_max: 2, ..Limits::default() };
    let (thread, queue, reports, barrier) = held_thread(open(directory.path()).0, limits);
    queue.try_submit(1, vec![append(1)]).unwrap();
    barrier.wait();
    queue.try_submit(2, vec![append(2)]).unwrap();
    queue.try_submit(3, vec![append(3)]).unwrap();
    assert_eq!(queue.try_submit(4, vec![append(4)]), Err(SubmitError::Full(vec![append(4)])));
    barrier.wait();
    for ticket in 1..=3 {
        assert_eq!(next(&reports).ticket, ticket);
    }
    drop(queue);
    assert!(thread.join());
}

#[test]
fn a_failed_commit_is_reported_for_each_of_its_tickets() {
    let directory = tempdir().unwrap();
    let (thread, queue, reports, barrier) = held_thread(open(directory.path()).0, Limits::default());
    queue.try_submit(1, vec![append(5)]).unwrap();
    barrier.wait();
    queue.try_submit(2, vec![append(6)]).unwrap();
    queue.try_submit(3, vec![append(4)]).unwrap();
    barrier.wait();
    next(&reports).outcome.unwrap();
    for ticket in [2, 3] {
        let report = next(&reports);
        assert_eq!(report.ticket, ticket);
        let error = report.outcome.unwrap_err();
        assert!(matches!(*error, StoreError::Order { position: 4, last: 6 }), "{error}");
    }
    assert_eq!(thread.counters().failures(), 1);
}

#[tokio::test]
async fn submitting_waits_for_room_and_the_end_drains_the_queue() {
    let directory = tempdir().unwrap();
    let (sender, reports) = sync_channel(1000);
    let limits = Limits { queue_max: 1, ..Limits::default() };
    let store = open(directory.path()).0;
    let (thread, queue) = StoreThread::start(store, limits, move |report| sender.send(report).unwrap()).unwrap();
    for ticket in 1..=50 {
        queue.submit(ticket, vec![append(ticket), Write::Trim { below: ticket }]).await.unwrap();
    }
    drop(queue);
    assert!(tokio::task::spawn_blocking(|| thread.join()).await.unwrap());
    assert_eq!(reports.iter().filter(|report| report.outcome.is_ok()).count(), 50);
    assert_eq!(positions(&open(directory.path()).1), [50]);
}

#[tokio::test]
async fn room_comes_back_while_nothing_waits_and_also_while_something_does() {
    for pauses in [true, false] {
        let directory = tempdir().unwrap();
        let (sender, reports) = sync_channel(10_000);
        let store = open(directory.path()).0;
        let report = move |report| sender.send(report).unwrap();
        // A batch, and so a segment, is of a few items.
        let limits = Limits { batch_max: 4, ..Limits::default() };
        let (thread, queue) = StoreThread::start(store, limits, report).unwrap();
        for ticket in 1..=400_u64 {
            let positions = if ticket > 40 { vec![ticket - 40] } else { Vec::new() };
            queue.submit(ticket, vec![append(ticket), Write::Evict { positions }]).await.unwrap();
            if pauses {
                assert!(next(&reports).outcome.is_ok());
            }
        }
        drop(queue);
        assert!(tokio::task::spawn_blocking(|| thread.join()).await.unwrap());
        let stored = stored(directory.path());
        assert!(stored < 2 * 40 * 800, "{stored} bytes, pauses: {pauses}");
    }
}
