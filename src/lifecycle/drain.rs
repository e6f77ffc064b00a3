//! Asking everyone to stop, and knowing when all have.

use std::time::Duration;

use tokio::sync::{mpsc, watch};

/// Asks to stop.
#[derive(Debug)]
pub struct Drain {
    asked: watch::Sender<bool>,
    ended: mpsc::Receiver<()>,
}

/// Held by everyone who has something to finish; dropped when it is finished.
#[derive(Debug, Clone)]
pub struct Draining {
    asked: watch::Receiver<bool>,
    /// Never sent on: that every clone is gone is the message.
    _ending: mpsc::Sender<()>,
}

/// Both ends.
#[must_use]
pub fn drain() -> (Drain, Draining) {
    let (asked, when_asked) = watch::channel(false);
    let (ending, ended) = mpsc::channel(1);
    (Drain { asked, ended }, Draining { asked: when_asked, _ending: ending })
}

impl Drain {
    /// Asks everyone to stop and waits until all have, at most for `budget`. Says whether all have.
    pub async fn drain(mut self, budget: Duration) -> bool {
        self.asked.send_replace(true);
        tokio::time::timeout(budget, self.ended.recv()).await.is_ok()
    }
}

impl Draining {
    /// Whether stopping was asked for.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        *self.asked.borrow()
    }

    /// Ends when stopping is asked for.
    pub async fn asked(&mut self) {
        // An error means that nobody is left who could ask: as good as asked.
        drop(self.asked.wait_for(|asked| *asked).await);
    }
}
