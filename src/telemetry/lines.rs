//! Log lines on their way out: through a bounded queue to a thread of their own, so that a slow reader never blocks
//! a request. What the queue has no room for is dropped and counted.

use std::{
    io::{self, Write},
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    thread,
    time::Duration,
};

use tracing_subscriber::fmt::MakeWriter;

use super::{Counter, Metrics, catalog};

/// Where lines are put. Cheap to clone.
#[derive(Clone)]
pub(super) struct Lines {
    queue: SyncSender<Message>,
    dropped: Counter,
}

enum Message {
    Line(Box<[u8]>),
    /// Everything before this is to be written now; the sender waits for the answer.
    Flush(SyncSender<()>),
}

impl Lines {
    /// Starts the writing thread; at most `capacity` lines wait for it.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(out: Box<dyn Write + Send>, capacity: usize, metrics: &Metrics) -> io::Result<Self> {
        let (queue, lines) = sync_channel(capacity);
        let dropped = metrics.counter(&catalog::LOG_LINES_DROPPED);
        let counted = dropped.clone();
        thread::Builder::new().name("log".to_owned()).spawn(move || write_all(&lines, out, &counted))?;
        Ok(Self { queue, dropped })
    }

    /// Waits until every line so far is written, at most for `budget`; says whether they are.
    pub(super) fn flush(&self, budget: Duration) -> bool {
        let (done, written) = sync_channel(1);
        // A full queue means that the reader is stuck: then waiting for a place is no use either.
        self.queue.try_send(Message::Flush(done)).is_ok() && written.recv_timeout(budget).is_ok()
    }
}

/// Writes until every `Lines` is gone. A reader that has gone away is no reason to stop: the queue must not fill.
fn write_all(lines: &Receiver<Message>, out: Box<dyn Write + Send>, dropped: &Counter) {
    let mut out = io::BufWriter::with_capacity(64 * 1024, out);
    while let Ok(first) = lines.recv() {
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Line(line) => {
                    if out.write_all(&line).is_err() {
                        dropped.inc(&[]);
                    }
                }
                Message::Flush(done) => {
                    out.flush().ok();
                    // Whoever asked may have stopped waiting.
                    done.send(()).ok();
                }
            }
            next = lines.try_recv().ok();
        }
        // Nothing waits: what is buffered goes out now, so that no line is older than the one before it took to write.
        out.flush().ok();
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

/// One call is one line: the subscriber formats the whole of it before it writes.
impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self.queue.try_send(Message::Line(line.into())) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => self.dropped.inc(&[]),
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
