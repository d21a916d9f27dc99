use pop_wire::sorted::SortedMap;
use pop_wire::{ContentId, Instant};
use zeroize::Zeroizing;

use super::Now;
use crate::limits::{ANNOUNCE_MS, CONTENTS_MAX, JOIN_AGAIN_MS};
use crate::topic::{Meeting, Topic};

/// A content that is watched.
struct Attended {
    key: Zeroizing<[u8; 32]>,
    seeking: bool,
    meetings: Vec<Meeting>,
    join_at: Instant,
    announce_at: Instant,
}

/// What the machine has to send to meet others.
pub(super) enum Due {
    Join(Topic),
    Leave(Topic),
    Announce(ContentId, Meeting),
}

/// The contents that are watched, and the topics under which others are met.
#[derive(Default)]
pub(super) struct Attendance {
    contents: SortedMap<ContentId, Attended>,
}

impl Attendance {
    pub(super) fn is_full(&self, content: &ContentId) -> bool {
        !self.contents.contains_key(content) && self.contents.len() >= CONTENTS_MAX
    }

    pub(super) fn attend(&mut self, now: Now, content: ContentId, key: &[u8; 32], seeking: bool) {
        let attended = self.contents.entry(content).or_insert_with(|| Attended {
            key: Zeroizing::new(*key),
            seeking,
            meetings: Vec::new(),
            join_at: now.instant,
            announce_at: now.instant,
        });
        attended.seeking = seeking;
    }

    pub(super) fn leave(&mut self, content: &ContentId) -> Vec<Topic> {
        let attended = self.contents.remove(content);
        let meetings = attended.map(|it| it.meetings).unwrap_or_default();
        meetings.iter().map(Meeting::topic).collect()
    }

    /// A new relay knows nothing: everything is due.
    pub(super) fn begin_again(&mut self, now: Now) {
        for attended in self.contents.values_mut() {
            attended.meetings.clear();
            attended.join_at = now.instant;
            attended.announce_at = now.instant;
        }
    }

    /// Which content meets there.
    pub(super) fn meeting(&self, topic: &Topic) -> Option<(ContentId, &Meeting)> {
        self.contents.iter().find_map(|(content, attended)| {
            let meeting = attended.meetings.iter().find(|meeting| meeting.topic() == *topic)?;
            Some((*content, meeting))
        })
    }

    pub(super) fn due(&mut self, now: Now) -> Vec<Due> {
        let mut due = Vec::new();
        for (content, attended) in &mut self.contents {
            if now.instant >= attended.join_at {
                attended.join_at = now.instant.after_ms(JOIN_AGAIN_MS);
                let meetings = Meeting::at(&attended.key, content, now.unix);
                for gone in attended.meetings.iter().filter(|old| !meetings.contains(old)) {
                    due.push(Due::Leave(gone.topic()));
                }
                for meeting in &meetings {
                    due.push(Due::Join(meeting.topic()));
                    // spec/signal.md §6.4: each home is told by a join of its own.
                    if !attended.meetings.contains(meeting) {
                        due.push(Due::Join(meeting.topic()));
                    }
                }
                attended.meetings = meetings;
            }
            if attended.seeking && now.instant >= attended.announce_at {
                attended.announce_at = now.instant.after_ms(ANNOUNCE_MS);
                let meeting = attended.meetings.first().cloned();
                due.extend(meeting.map(|meeting| Due::Announce(*content, meeting)));
            }
        }
        due
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let due = |it: &Attended| {
            if it.seeking { it.join_at.min(it.announce_at) } else { it.join_at }
        };
        self.contents.values().map(due).min()
    }
}

impl core::fmt::Debug for Attendance {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Attendance({} contents)", self.contents.len())
    }
}
