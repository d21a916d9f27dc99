//! One segment on its way through encryption and coding: on another thread with feature
//! `parallel`, else at once.

use super::EncodedSegment;

/// A segment that may not be done yet.
#[cfg(feature = "parallel")]
#[derive(Debug)]
pub(super) struct Running(std::sync::mpsc::Receiver<std::thread::Result<EncodedSegment>>);

#[cfg(feature = "parallel")]
impl Running {
    /// Hand `job` to the current pool.
    pub(super) fn start(job: impl FnOnce() -> EncodedSegment + Send + 'static) -> Self {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        rayon::spawn_fifo(move || {
            // A panic belongs to who waits for the segment, not to the pool.
            let made = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
            let _encoder_gone = sender.send(made);
        });
        Self(receiver)
    }

    /// What was made, once. `None` if it is not done, unless there is to be waited for it.
    pub(super) fn poll(&mut self, wait: bool) -> Option<EncodedSegment> {
        let mut made = self.0.try_recv().ok();
        // A thread of the pool itself takes part: if it slept, nobody might be left to work.
        while made.is_none() && wait {
            made = match rayon::yield_now() {
                Some(rayon::Yield::Executed) => self.0.try_recv().ok(),
                _ => Some(self.0.recv().expect("every job that is started runs and sends")),
            };
        }
        made.map(|made| made.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    }
}

/// A segment that is done.
#[cfg(not(feature = "parallel"))]
#[derive(Debug)]
pub(super) struct Running(Option<EncodedSegment>);

#[cfg(not(feature = "parallel"))]
impl Running {
    pub(super) fn start(job: impl FnOnce() -> EncodedSegment) -> Self {
        Self(Some(job()))
    }

    /// What was made, once.
    pub(super) fn poll(&mut self, _wait: bool) -> Option<EncodedSegment> {
        self.0.take()
    }
}
