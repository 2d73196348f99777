//! The histogram of fan-out, as the shard has counted it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use node::shard::{BOUNDS_MS, Fanout};
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Histogram, Metric, MetricFamily, MetricType};

use super::{New, full};

/// The library's own histograms count single times; this one shows counts that somebody else keeps.
#[derive(Clone, Debug)]
pub(super) struct FanoutSeconds {
    desc: Desc,
    counted: Arc<Mutex<Fanout>>,
}

impl FanoutSeconds {
    pub(super) fn new(new: &New<'_>) -> prometheus::Result<Self> {
        let help = "From the acceptance of an item here to a client's answer to it. Only items that were pushed as they \
                    came to links that keep up: catching up is not fan-out.";
        let desc = Desc::new(full("fanout_seconds"), help.to_owned(), Vec::new(), HashMap::new())?;
        new.add(Self { desc, counted: Arc::default() })
    }

    pub(super) fn set(&self, counted: Fanout) {
        *self.counted.lock().unwrap_or_else(PoisonError::into_inner) = counted;
    }
}

impl Collector for FanoutSeconds {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let counted = *self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let mut below = 0;
        let bucket = |(bound, count): (&u64, &u64)| {
            below += count;
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(seconds(*bound));
            bucket.set_cumulative_count(below);
            bucket
        };
        let mut histogram = Histogram::default();
        histogram.set_bucket(BOUNDS_MS.iter().zip(&counted.counts).map(bucket).collect());
        histogram.set_sample_count(counted.counts.iter().sum());
        histogram.set_sample_sum(seconds(counted.sum_ms));
        let mut metric = Metric::default();
        metric.set_histogram(histogram);
        let mut family = MetricFamily::default();
        family.set_name(self.desc.fq_name.clone());
        family.set_help(self.desc.help.clone());
        family.set_field_type(MetricType::HISTOGRAM);
        family.set_metric(vec![metric]);
        vec![family]
    }
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1e3
}
