//! What every journal must look like.

use std::collections::BTreeSet;

use node::client::journal::{Entry, Event};
use node::ids::Time;
use schemas::digest::Digest;

/// What an entry says of holdings: what came, and what went.
pub(super) fn came_and_went(event: &Event) -> (Option<Digest>, Option<Digest>) {
    match event {
        Event::Gained { digest, .. } => (Some(*digest), None),
        Event::Revised { digest, replaced, .. } => (Some(*digest), Some(*replaced)),
        Event::Retracted { replaced, .. } => (None, Some(*replaced)),
        Event::Left { digest } => (None, Some(*digest)),
        Event::Rematched { .. }
        | Event::Regarded { .. }
        | Event::Refused { .. }
        | Event::Registered { .. }
        | Event::Ended { .. }
        | Event::Assigned { .. }
        | Event::Noted => (None, None),
    }
}

/// Numbered without a gap, nothing twice, and nothing goes that had not come. What left with a change of inventory may
/// come again.
pub(super) fn check_entries(entries: &[Entry], changed: bool) -> Result<(), String> {
    let (mut held, mut ever) = (BTreeSet::new(), BTreeSet::new());
    for (index, entry) in entries.iter().enumerate() {
        if entry.number != index as u64 + 1 {
            return Err(format!("entry {} has number {}", index + 1, entry.number));
        }
        let (came, went) = came_and_went(&entry.event);
        if let Some(went) = went
            && !held.remove(&went)
        {
            return Err(format!("entry {}: {went} went without having come", entry.number));
        }
        if let Some(came) = came
            && (!held.insert(came) || (!ever.insert(came) && !changed))
        {
            return Err(format!("entry {}: {came} came twice", entry.number));
        }
    }
    Ok(())
}

/// In the order of a log. What is pushed while an answer is under way waits for its end. If it is replaced or trimmed
/// meanwhile, the answer lacks it, and it comes after newer items of the answer: `was_gone` says so.
pub(super) fn check_order<'a>(
    entries: impl IntoIterator<Item = &'a Entry>,
    place_of: impl Fn(Digest) -> Option<u64>,
    was_gone: impl Fn(Digest, Time) -> bool,
) -> Result<(), String> {
    let mut last = 0;
    for entry in entries {
        let (Some(came), _) = came_and_went(&entry.event) else { continue };
        let position = place_of(came).ok_or_else(|| format!("{came} is not in the log"))?;
        if position < last && !was_gone(came, entry.at) {
            return Err(format!("entry {}: position {position} came after {last}", entry.number));
        }
        last = last.max(position);
    }
    Ok(())
}
