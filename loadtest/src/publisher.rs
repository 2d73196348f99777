//! Providers: items that go up as fast as they are received, or by the clock.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use link::connection::Link;
use schemas::guid::MessageId;
use schemas::names::Spelling;
use schemas::write::{self, HeaderFields, Kind};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::succeeded;
use crate::items::Item;
use crate::ledger::Ledger;
use crate::plan::Publish;

/// Items of one document.
const BUNDLE_ITEMS_MAX: usize = 64;
/// And their bytes.
const BUNDLE_BYTES_MAX: usize = 256 << 10;
/// Documents under way at once: a server lets a client have so many streams, of which the control stream is one.
const AT_ONCE: usize = 6;

/// Publishes everything of one publication, and waits until the server has stored it.
///
/// # Errors
/// The server refuses something, or the link ends.
pub async fn publish(
    publish: &Publish,
    publication: usize,
    items: &[Item],
    link: Link,
    ledger: &Arc<Ledger>,
) -> anyhow::Result<()> {
    let begin = Instant::now() + Duration::from_secs_f64(publish.start);
    tokio::time::sleep_until(begin).await;
    let mut under_way = JoinSet::new();
    let streams = Arc::new(Semaphore::new(AT_ONCE));
    let mut next = 0;
    while next < items.len() {
        let count = bundle(&items[next..], at_once(publish));
        let due = match publish.rate {
            Some(rate) => {
                let due = begin + Duration::from_secs_f64(next as f64 / rate);
                tokio::time::sleep_until(due).await;
                // The clock counts, also where a stream has to be waited for.
                ledger.elapsed().saturating_sub(due.elapsed())
            }
            None => {
                if let Some(oldest) = publish.window.and_then(|window| (next + count).checked_sub(window + 1)) {
                    ledger.received_by_all(publication, oldest).await;
                }
                ledger.elapsed()
            }
        };
        (next..next + count).for_each(|number| ledger.publish(publication, number, due));
        let documents = items[next..next + count].iter().map(|item| item.document.clone()).collect();
        let permit = streams.clone().acquire_owned().await?;
        let link = link.clone();
        under_way.spawn(async move {
            let delivered = deliver(&link, documents).await;
            drop(permit);
            delivered
        });
        while let Some(ended) = under_way.try_join_next() {
            ended??;
        }
        next += count;
    }
    while let Some(ended) = under_way.join_next().await {
        ended??;
    }
    Ok(())
}

/// How many items go up together: half a window, so that the other half is on its way meanwhile.
fn at_once(publish: &Publish) -> usize {
    match (publish.rate, publish.window) {
        (Some(_), _) => publish.burst,
        (None, Some(window)) => window.div_ceil(2),
        (None, None) => BUNDLE_ITEMS_MAX,
    }
}

/// How many of these go into one document.
fn bundle(items: &[Item], most: usize) -> usize {
    let mut bytes = 0;
    let fits = items.iter().take(most.clamp(1, BUNDLE_ITEMS_MAX)).take_while(|item| {
        bytes += item.document.len();
        bytes <= BUNDLE_BYTES_MAX
    });
    fits.count().max(1)
}

async fn deliver(link: &Link, parts: Vec<Bytes>) -> anyhow::Result<()> {
    let header = HeaderFields { message_id: Some(fresh()), ..HeaderFields::default() };
    let envelope = write::envelope(Spelling::default(), Kind::Message, &header);
    let document: Vec<Bytes> = [envelope.head].into_iter().chain(parts).chain([envelope.tail]).collect();
    let mut exchange = link.open_exchange(&document).await?;
    let reply = exchange.recv().await?.context("no reply to a Deliver")?;
    succeeded(&reply.body).context(
        "an item was not taken; the server's policy.providers must list whom distributary-loadtest check names",
    )?;
    while exchange.recv().await?.is_some() {}
    Ok(())
}

/// A `Message_ID` that no other document of this run has.
fn fresh() -> MessageId {
    let (time, count) = (link::tls::random_u64(), link::tls::random_u64());
    MessageId(u128::from(time) << 64 | u128::from(count))
}
