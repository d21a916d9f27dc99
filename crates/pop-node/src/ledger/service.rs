//! The ledger of this disk, on a thread of its own.

use std::path::Path;

use pop_incentive::ledger::protocol::{LedgerReply, LedgerRequest};
use pop_incentive::ledger::{LocalLedger, SignedOperation};
use pop_incentive::limits::{LEDGER_BATCH_MAX, LEDGER_QUEUE_MAX};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::error::LedgerFileError;
use super::files;
use super::protocol::Frame;
use crate::clock;

/// Requests that one commit may serve.
const JOBS_PER_COMMIT_MAX: usize = LEDGER_BATCH_MAX;

/// Handle on the ledger's thread; cheap to clone. The thread ends when the node stops.
#[derive(Debug, Clone)]
pub(crate) struct LedgerService {
    jobs: mpsc::Sender<Job>,
}

enum Job {
    Ask { question: Question, reply: oneshot::Sender<LedgerReply> },
    Stop,
}

/// A request of this node's own, or the bytes of a peer's, which are read on the ledger's thread.
enum Question {
    Read(Box<LedgerRequest>),
    Bytes(Frame),
}

impl LedgerService {
    /// Open the ledger in `data_dir` and keep it until `stop`.
    pub(crate) async fn open(
        data_dir: &Path,
        (tasks, stop): (&TaskTracker, &CancellationToken),
    ) -> Result<Self, LedgerFileError> {
        let path = data_dir.to_path_buf();
        let opening = tokio::task::spawn_blocking(move || files::open(&path)).await;
        let ledger = opening.map_err(|error| LedgerFileError::Io {
            action: "open",
            path: files::folder(data_dir),
            source: std::io::Error::other(error),
        })??;
        let (jobs, queue) = mpsc::channel(LEDGER_QUEUE_MAX);
        tasks.spawn_blocking(move || Worker { ledger, failed: false }.run(queue));
        let (stop, last) = (stop.clone(), jobs.clone());
        tasks.spawn(async move {
            stop.cancelled().await;
            let _ended_already = last.send(Job::Stop).await;
        });
        Ok(Self { jobs })
    }

    /// Ask what this node wants to know or have done.
    pub(crate) async fn ask(&self, request: LedgerRequest) -> LedgerReply {
        self.put(Question::Read(Box::new(request))).await
    }

    /// Answer what a peer sent.
    pub(crate) async fn answer(&self, request: Frame) -> LedgerReply {
        self.put(Question::Bytes(request)).await
    }

    async fn put(&self, question: Question) -> LedgerReply {
        let (reply, answer) = oneshot::channel();
        match self.jobs.send(Job::Ask { question, reply }).await {
            // The thread ends with the node, or with a panic that it has reported.
            Err(_) => LedgerReply::Unavailable,
            Ok(()) => answer.await.unwrap_or(LedgerReply::Unavailable),
        }
    }
}

struct Worker {
    ledger: LocalLedger,
    /// The disk failed, and memory may be ahead of it: nothing is answered any more.
    failed: bool,
}

/// What waits for its answer.
struct Waiting {
    request: LedgerRequest,
    reply: oneshot::Sender<LedgerReply>,
}

impl Worker {
    fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        while let Some(first) = queue.blocking_recv() {
            let mut waiting = Vec::new();
            let mut next = Some(first);
            let mut stopping = false;
            while let Some(job) = next {
                match job {
                    Job::Stop => stopping = true,
                    Job::Ask { question, reply } => waiting.extend(read(question, reply)),
                }
                let room = !stopping && waiting.len() < JOBS_PER_COMMIT_MAX;
                next = if room { queue.try_recv().ok() } else { None };
            }
            self.serve(waiting);
            if stopping {
                return;
            }
        }
    }

    /// Do all that waits in one commit, then answer, so that whoever asks sees what was done.
    fn serve(&mut self, waiting: Vec<Waiting>) {
        let all: Vec<SignedOperation> = waiting
            .iter()
            .filter_map(|waiting| match &waiting.request {
                LedgerRequest::Submit { operations } => Some(operations.as_slice()),
                _ => None,
            })
            .flatten()
            .cloned()
            .collect();
        let results = if all.is_empty() {
            Ok(Vec::new())
        } else {
            self.ledger.submit_batch(clock::unix_now(), &all)
        };
        if let Err(error) = &results {
            tracing::error!(%error, "the ledger takes nothing any more; restart the node");
            self.failed = true;
        }
        let mut results = results.unwrap_or_default().into_iter();
        for Waiting { request, reply } in waiting {
            let answer = match &request {
                _ if self.failed => LedgerReply::Unavailable,
                LedgerRequest::Submit { operations } => {
                    LedgerReply::Submitted(results.by_ref().take(operations.len()).collect())
                }
                question => {
                    let answer = self.ledger.state().answer(question, self.ledger.head());
                    answer.unwrap_or(LedgerReply::Malformed)
                }
            };
            let _asker_gone = reply.send(answer);
        }
    }
}

/// A question as a request; one that is none is answered at once.
fn read(question: Question, reply: oneshot::Sender<LedgerReply>) -> Option<Waiting> {
    let request = match question {
        Question::Read(request) => *request,
        Question::Bytes(frame) => match LedgerRequest::decode(frame.bytes()) {
            Ok(request) => request,
            Err(error) => {
                tracing::debug!(%error, "no request to the ledger");
                let _asker_gone = reply.send(LedgerReply::Malformed);
                return None;
            }
        },
    };
    Some(Waiting { request, reply })
}

#[cfg(test)]
mod tests {
    use pop_incentive::ledger::LedgerParameters;
    use pop_wire::Keypair;

    use super::*;

    #[tokio::test]
    async fn garbage_is_malformed_and_the_ledger_goes_on() {
        let home = tempfile::tempdir().unwrap();
        let key = Keypair::from_secret_bytes(&[7; 32]).unwrap();
        let parameters = LedgerParameters::new(key.peer_id().wallet_address());
        files::create(home.path(), &key, parameters).unwrap();
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let service = LedgerService::open(home.path(), (&tasks, &stop)).await.unwrap();
        for garbage in [&[][..], &[255], &[1, 255, 255, 255, 255], &[2, 99], &[0, 0]] {
            let reply = service.answer(Frame::new(garbage.to_vec())).await;
            assert_eq!(reply, LedgerReply::Malformed, "{garbage:?}");
        }
        let info = service.answer(Frame::new(LedgerRequest::Info.encode())).await;
        assert!(matches!(info, LedgerReply::Info(_)), "{info:?}");
        // In one process too, two don't have it open.
        let second = LedgerService::open(home.path(), (&tasks, &stop)).await;
        assert!(matches!(second, Err(LedgerFileError::Locked { .. })), "{second:?}");
        stop.cancel();
        tasks.close();
        tasks.wait().await;
        assert_eq!(service.ask(LedgerRequest::Info).await, LedgerReply::Unavailable);
        files::verify(home.path()).unwrap();
    }
}
