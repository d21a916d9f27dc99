//! Audits: carried both ways, counted, never looked into.

use std::rc::Rc;

use bytes::Bytes;
use pop_exchange::asker::{Answer, Asker, Failure, Input, Output, Question};
use pop_exchange::limits::{AUDIT_REFILL_MS, AUDITS_BURST, QUESTIONS_PER_LINK_MAX};
use pop_exchange::provider::{self, ProviderConfig, StoreOperation, StoreResult};
use pop_exchange::{Error, LinkId};
use pop_wire::limits::{AUDIT_ANSWER_BYTES_MAX, AUDIT_CHALLENGE_BYTES_MAX};
use pop_wire::message::{Audit, AuditAnswer, Holdings, RefusalReason};
use pop_wire::{ColumnSet, Message, RequestId};

use crate::film::{Film, peer};
use crate::pair::{Host, LINK, hello};
use crate::questions::drain;

fn host() -> Host {
    Host::new(&Rc::new(Film::new(2, 3, 1024, 2, 1)), ProviderConfig::default())
}

fn audit(id: u64) -> Message {
    Message::Audit(Audit { id: RequestId(id), challenge: Bytes::from_static(b"abc") })
}

/// Answers, and those refused as busy, on a link.
fn outcome(host: &mut Host, link: LinkId) -> (u64, u64) {
    host.take_sent(link).iter().fold((0, 0), |(answered, busy), message| match message {
        Message::AuditAnswer(_) => (answered + 1, busy),
        Message::Refusal(refusal) => {
            assert_eq!(refusal.reason, RefusalReason::Busy);
            assert_eq!(u64::from(refusal.retry_after_ms), AUDIT_REFILL_MS);
            (answered, busy + 1)
        }
        _ => (answered, busy),
    })
}

#[test]
fn a_challenge_comes_to_the_shell_and_its_answer_to_who_asked() {
    let mut host = host();
    host.handle(provider::Input::LinkUp { link: LINK, peer: peer(1) });
    let mut asker = Asker::new(Default::default()).unwrap();
    asker.handle(host.now, Input::LinkUp { link: LINK, peer: peer(9) }).unwrap();
    for challenge in [&b"abc"[..], &[0, 1]] {
        let question = Question::Audit(Bytes::copy_from_slice(challenge));
        asker.handle(host.now, Input::Ask { link: LINK, question }).unwrap();
    }
    for message in host.take_sent(LINK) {
        asker.handle(host.now, Input::Message { link: LINK, message }).unwrap();
    }
    let (answers, closed) = drain(&mut asker, Some(&mut host));
    assert!(!closed);
    let silent = Failure::Refused { reason: RefusalReason::Damaged };
    assert_eq!(answers, [Ok(Answer::Audit(Bytes::from_static(b"cba"))), Err(silent)]);
}

#[test]
fn more_audits_than_the_burst_are_refused_as_busy_and_come_back_with_time() {
    let mut host = host();
    host.greeted(LINK, 1);
    host.greeted(LinkId(2), 2);
    (0..2 * AUDITS_BURST).for_each(|id| host.receive(LINK, audit(id)));
    assert_eq!(outcome(&mut host, LINK), (AUDITS_BURST, AUDITS_BURST));
    // Another link is not held back.
    host.receive(LinkId(2), audit(1));
    assert_eq!(outcome(&mut host, LinkId(2)), (1, 0));
    host.now = host.now.after_ms(3 * AUDIT_REFILL_MS);
    (0..5).for_each(|id| host.receive(LINK, audit(id)));
    assert_eq!(outcome(&mut host, LINK), (3, 2));
    assert!(host.closed.is_empty());
}

#[test]
fn open_audits_count_as_questions() {
    let mut host = host();
    host.answers = false;
    host.greeted(LINK, 1);
    let most = u64::try_from(QUESTIONS_PER_LINK_MAX).unwrap();
    (0..=most).for_each(|id| host.receive(LINK, audit(id)));
    assert_eq!(host.unanswered.len(), QUESTIONS_PER_LINK_MAX);
    let [(_, StoreOperation::Audit { link, peer: who, challenge }), ..] = &host.unanswered[..]
    else {
        panic!("expected audits")
    };
    assert_eq!((*link, *who, &challenge[..]), (LINK, peer(1), &b"abc"[..]));
    let refused = host.take_sent(LINK).into_iter().filter_map(|message| match message {
        Message::Refusal(refusal) => Some((refusal.id.0, refusal.reason)),
        _ => None,
    });
    assert_eq!(refused.collect::<Vec<_>>(), [(most, RefusalReason::Busy)]);
    host.answer_all();
    assert_eq!(host.take_sent(LINK).len(), QUESTIONS_PER_LINK_MAX);
}

#[test]
fn an_answer_that_is_no_audit_answer_is_a_fault() {
    let id = RequestId(1);
    let other = Message::Holdings(Holdings { id, columns: ColumnSet::all(2) });
    let unasked =
        Message::AuditAnswer(AuditAnswer { id: RequestId(7), answer: Bytes::from_static(b"x") });
    for message in [other, unasked] {
        let mut asker = Asker::new(Default::default()).unwrap();
        let now = pop_wire::Instant(0);
        asker.handle(now, Input::LinkUp { link: LINK, peer: peer(9) }).unwrap();
        asker.handle(now, Input::Message { link: LINK, message: hello() }).unwrap();
        let question = Question::Audit(Bytes::from_static(b"abc"));
        asker.handle(now, Input::Ask { link: LINK, question }).unwrap();
        asker.handle(now, Input::Message { link: LINK, message }).unwrap();
        let mut faults = 0;
        while let Some(output) = asker.poll() {
            if let Output::Answer { result: Err(Failure::Fault(_)), .. } = output {
                faults += 1;
            }
        }
        assert_eq!(faults, 1);
    }
}

#[test]
fn a_shell_that_gives_what_fits_no_message_is_told_so() {
    let mut asker = Asker::new(Default::default()).unwrap();
    let now = pop_wire::Instant(0);
    asker.handle(now, Input::LinkUp { link: LINK, peer: peer(9) }).unwrap();
    for length in [0, AUDIT_CHALLENGE_BYTES_MAX + 1] {
        let question = Question::Audit(vec![1; length].into());
        let asked = asker.handle(now, Input::Ask { link: LINK, question });
        assert!(matches!(asked, Err(Error::ChallengeLength { got, .. }) if got == length));
    }
    let mut host = host();
    host.answers = false;
    host.greeted(LINK, 1);
    host.receive(LINK, audit(1));
    let (token, _) = host.unanswered[0];
    for length in [0, AUDIT_ANSWER_BYTES_MAX + 1] {
        let result = StoreResult::AuditAnswer(vec![1; length].into());
        let given = host.provider.handle(host.now, provider::Input::Store { token, result });
        assert!(matches!(given, Err(Error::WrongResult { .. })), "{given:?}");
    }
    let result = StoreResult::AuditAnswer(vec![1; AUDIT_ANSWER_BYTES_MAX].into());
    host.handle(provider::Input::Store { token, result });
    assert_eq!(outcome(&mut host, LINK), (1, 0));
}
