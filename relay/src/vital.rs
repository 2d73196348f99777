//! Parts of a server without which it would look well and do nothing.

use tokio_util::sync::CancellationToken;

/// Runs a part; if it ends before it is `told` to, by a fault or a panic, `lost` says so.
pub(crate) fn vital<P: Future<Output = ()>>(
    name: &'static str,
    told: &CancellationToken,
    lost: &CancellationToken,
    part: P,
) -> impl Future<Output = ()> + use<P> {
    let end = End { name, told: told.clone(), lost: lost.clone() };
    async move {
        let _end = end;
        part.await;
    }
}

struct End {
    name: &'static str,
    told: CancellationToken,
    lost: CancellationToken,
}

impl Drop for End {
    fn drop(&mut self) {
        if !self.told.is_cancelled() {
            tracing::error!(part = self.name, "a part of this server ended");
            self.lost.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_a_part_that_was_not_told_to_end_is_lost() {
        for (is_told, panics) in [(false, false), (false, true), (true, false)] {
            let (told, lost) = (CancellationToken::new(), CancellationToken::new());
            if is_told {
                told.cancel();
            }
            let part = vital("a test", &told, &lost, async move { assert!(!panics, "a part that fails") });
            assert_eq!(tokio::spawn(part).await.is_err(), panics);
            assert_eq!(lost.is_cancelled(), !is_told);
        }
    }
}
