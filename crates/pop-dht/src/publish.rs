//! When which of our own records goes out under which key (`spec/dht.md` §5).

use std::collections::{BTreeMap, BTreeSet};

use pop_wire::UnixTime;

use crate::limits::{
    OWN_SUBJECTS_MAX, PUBLICATIONS_IN_FLIGHT_MAX, REPLICATION, REPUBLISH_INTERVAL_S,
    RETRY_INTERVAL_S,
};
use crate::{DhtKey, Error, Subject};

/// The schedule of everything this node announces. Knows times and keys; the records themselves
/// are in the [`Store`](crate::store::Store).
#[derive(Debug, Clone, Default)]
pub struct PublishPlan {
    subjects: BTreeMap<Subject, Announcement>,
    keys: BTreeMap<DhtKey, KeyState>,
    /// Every key that waits, by when it is due.
    queue: BTreeSet<(UnixTime, DhtKey)>,
    in_flight: usize,
}

/// What must happen to an announcement because of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanStep {
    /// Half of the record's life is over.
    RenewalDue(Subject),
    /// The record is void, and left the plan.
    Expired(Subject),
}

#[derive(Debug, Clone)]
struct Announcement {
    issued_at: UnixTime,
    expires_at: UnixTime,
    renewal_asked: bool,
    /// Keys whose first publication of the present record is still to come.
    unpublished: BTreeSet<DhtKey>,
    copies: usize,
}

#[derive(Debug, Clone, Copy)]
struct KeyState {
    subject: Subject,
    progress: Progress,
    /// Seconds to the next try after one that reached too few nodes.
    backoff_s: u64,
}

/// ```text
///            start_due                    finished
///  Waiting ------------> InFlight ---------------------> Waiting, due later
///     ^                     | announce: the record changed under way
///     |                     v
///     +----- finished -- Outdated            (due at once)
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Waiting(UnixTime),
    InFlight,
    Outdated,
}

impl PublishPlan {
    /// Add an announcement, or renew one: due at once under all of its keys.
    ///
    /// # Errors
    /// [`Error::Stale`] unless issued later than the record it replaces, and
    /// [`Error::TooManyAnnouncements`].
    pub fn announce(
        &mut self,
        subject: Subject,
        (issued_at, expires_at): (UnixTime, UnixTime),
        now: UnixTime,
    ) -> Result<(), Error> {
        self.check(&subject, issued_at)?;
        let keys = subject.keys();
        self.subjects.insert(
            subject,
            Announcement {
                issued_at,
                expires_at,
                renewal_asked: false,
                unpublished: keys.into(),
                copies: 0,
            },
        );
        for key in keys {
            let fresh =
                KeyState { subject, progress: Progress::Waiting(now), backoff_s: RETRY_INTERVAL_S };
            match self.keys.get_mut(&key) {
                Some(state) if state.progress == Progress::InFlight => {
                    state.progress = Progress::Outdated;
                }
                Some(state) if state.progress == Progress::Outdated => {}
                Some(state) => {
                    if let Progress::Waiting(due) = state.progress {
                        self.queue.remove(&(due, key));
                    }
                    *state = fresh;
                    self.queue.insert((now, key));
                }
                None => {
                    self.keys.insert(key, fresh);
                    self.queue.insert((now, key));
                }
            }
        }
        Ok(())
    }

    /// Check what [`announce`](Self::announce) checks, and change nothing.
    ///
    /// # Errors
    /// As there.
    pub fn check(&self, subject: &Subject, issued_at: UnixTime) -> Result<(), Error> {
        match self.subjects.get(subject) {
            Some(standing) if standing.issued_at >= issued_at => {
                Err(Error::Stale { newest: standing.issued_at, got: issued_at })
            }
            // spec/dht.md §4: our own announcements are bounded by their own number only.
            None if self.subjects.len() >= OWN_SUBJECTS_MAX => Err(Error::TooManyAnnouncements),
            _ => Ok(()),
        }
    }

    /// Stop announcing; `false` if it was not announced. Copies out there live on until they
    /// expire.
    pub fn withdraw(&mut self, subject: &Subject) -> bool {
        for key in subject.keys() {
            if let Some(KeyState { progress, .. }) = self.keys.remove(&key) {
                match progress {
                    Progress::Waiting(due) => {
                        self.queue.remove(&(due, key));
                    }
                    Progress::InFlight | Progress::Outdated => self.in_flight -= 1,
                }
            }
        }
        self.subjects.remove(subject).is_some()
    }

    /// Take the next key to put to the network, if one is due and not too many are under way.
    /// Call until `None`; answer each with [`finished`](Self::finished).
    pub fn start_due(&mut self, now: UnixTime) -> Option<DhtKey> {
        if self.in_flight >= PUBLICATIONS_IN_FLIGHT_MAX {
            return None;
        }
        let &(due, key) = self.queue.first()?;
        if due > now {
            return None;
        }
        self.queue.pop_first();
        self.in_flight += 1;
        if let Some(state) = self.keys.get_mut(&key) {
            state.progress = Progress::InFlight;
        }
        Some(key)
    }

    /// A publication under `key` ended, `copies` nodes having answered. Gives subject and sum of
    /// copies when that makes the announcement complete for the first time.
    pub fn finished(
        &mut self,
        key: DhtKey,
        copies: usize,
        now: UnixTime,
    ) -> Option<(Subject, usize)> {
        let state = self.keys.get_mut(&key)?;
        let outdated = match state.progress {
            Progress::Waiting(_) => return None,
            Progress::InFlight => false,
            Progress::Outdated => true,
        };
        self.in_flight -= 1;
        // spec/dht.md §5: once an hour when the record reached all nodes it should; sooner, with
        // doubling pauses, while it did not.
        let due = if outdated {
            now
        } else if copies >= REPLICATION {
            state.backoff_s = RETRY_INTERVAL_S;
            now.after_s(REPUBLISH_INTERVAL_S)
        } else {
            let pause_s = state.backoff_s;
            state.backoff_s = pause_s.saturating_mul(2).min(REPUBLISH_INTERVAL_S);
            now.after_s(pause_s)
        };
        state.progress = Progress::Waiting(due);
        self.queue.insert((due, key));
        if outdated {
            return None;
        }
        let subject = state.subject;
        let announcement = self.subjects.get_mut(&subject)?;
        if !announcement.unpublished.remove(&key) {
            return None;
        }
        announcement.copies += copies;
        announcement.unpublished.is_empty().then_some((subject, announcement.copies))
    }

    /// Find the records that are half through their life, and drop those at its end.
    pub fn sweep(&mut self, now: UnixTime) -> Vec<PlanStep> {
        let mut steps = Vec::new();
        for (subject, announcement) in &mut self.subjects {
            let life_s = announcement.expires_at.0.saturating_sub(announcement.issued_at.0);
            if announcement.expires_at <= now {
                steps.push(PlanStep::Expired(*subject));
            } else if !announcement.renewal_asked
                && announcement.issued_at.after_s(life_s / 2) <= now
            {
                announcement.renewal_asked = true;
                steps.push(PlanStep::RenewalDue(*subject));
            }
        }
        for step in &steps {
            if let PlanStep::Expired(subject) = step {
                self.withdraw(subject);
            }
        }
        steps
    }

    /// When the next publication is due, if any waits.
    pub fn next_due(&self) -> Option<UnixTime> {
        self.queue.first().map(|(due, _)| *due)
    }

    /// How many subjects are announced.
    pub fn len(&self) -> usize {
        self.subjects.len()
    }

    /// Whether nothing is announced.
    pub fn is_empty(&self) -> bool {
        self.subjects.is_empty()
    }
}
