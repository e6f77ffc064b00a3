//! How often the kernel had no room for a connection that was still to be accepted.
//!
//! Linux counts it for a network namespace, which is the pod's or the container's: other programs in it count as well.

use std::fs;

use prometheus::{
    Counter, Opts,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use super::{
    Metrics,
    catalog::{self, Metric},
};

/// Reports it whenever a scraper asks. Where there is no `/proc`, the families are absent.
pub(super) fn register(metrics: &Metrics) {
    metrics.register(Listening {
        overflows: counter(&catalog::TCP_LISTEN_OVERFLOWS),
        drops: counter(&catalog::TCP_LISTEN_DROPS),
    });
}

fn counter(metric: &Metric) -> Counter {
    Counter::with_opts(Opts::new(metric.name, metric.help))
        .expect("the catalogue's names are valid: a test registers each")
}

struct Listening {
    overflows: Counter,
    drops: Counter,
}

impl Collector for Listening {
    fn desc(&self) -> Vec<&Desc> {
        [self.overflows.desc(), self.drops.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Some((overflows, drops)) = fs::read_to_string("/proc/self/net/netstat").ok().and_then(|text| read(&text))
        else {
            return Vec::new();
        };
        [(&self.overflows, overflows), (&self.drops, drops)]
            .into_iter()
            .flat_map(|(counter, count)| {
                // Only ever more: a counter that is set back would look like a restart.
                counter.inc_by((count - counter.get()).max(0.0));
                counter.collect()
            })
            .collect()
    }
}

/// `ListenOverflows` and `ListenDrops`. A line of names and a line of numbers begin with the same word, see proc(5).
fn read(netstat: &str) -> Option<(f64, f64)> {
    let mut lines = netstat.lines().filter_map(|line| line.strip_prefix("TcpExt:"));
    let (names, numbers) = (lines.next()?, lines.next()?);
    let number = |wanted: &str| {
        let mut pairs = names.split_whitespace().zip(numbers.split_whitespace());
        pairs.find(|(name, _)| *name == wanted)?.1.parse::<f64>().ok()
    };
    Some((number("ListenOverflows")?, number("ListenDrops")?))
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn listen_overflows_and_drops_are_found_by_name() {
        let netstat = "TcpExt: TW ListenOverflows ListenDrops X\nTcpExt: 5 3 4 1\nIpExt: A\nIpExt: 1\n";
        assert_eq!(read(netstat), Some((3.0, 4.0)));
        for broken in
            ["", "TcpExt: ListenOverflows ListenDrops\n", "TcpExt: ListenOverflows\nTcpExt: 1\n", "TcpExt:\nTcpExt:"]
        {
            assert_eq!(read(broken), None, "{broken}");
        }
    }
}
