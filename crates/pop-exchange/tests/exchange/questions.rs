//! An asker and what it is told.

use std::rc::Rc;

use pop_exchange::LinkId;
use pop_exchange::asker::{Answer, Asker, Failure, Input, Output, Question};
use pop_exchange::limits::{QUESTION_TIMEOUT_MS, QUESTIONS_PER_LINK_MAX};
use pop_exchange::provider::{self, ProviderConfig};
use pop_wire::message::{Holdings, ManifestReply, RefusalReason};
use pop_wire::{ColumnSet, ContentId, Instant, Message, RequestId};

use crate::film::{Film, peer};
use crate::pair::{Host, LINK, hello};

fn film(salt: u8) -> Rc<Film> {
    Rc::new(Film::new(2, 3, 1024, 2, salt))
}

/// Everything an asker says until it is quiet; answers and whether it closed the link.
pub(crate) fn drain(
    asker: &mut Asker,
    host: Option<&mut Host>,
) -> (Vec<Result<Answer, Failure>>, bool) {
    let (mut answers, mut closed) = (Vec::new(), false);
    let mut host = host;
    while let Some(output) = asker.poll() {
        match output {
            Output::Send { link, message } => {
                if let Some(host) = host.as_mut() {
                    host.receive(link, message);
                    for message in host.take_sent(link) {
                        asker.handle(host.now, Input::Message { link, message }).unwrap();
                    }
                }
            }
            Output::Answer { result, .. } => answers.push(result),
            Output::Close { .. } => closed = true,
            _ => {}
        }
    }
    (answers, closed)
}

fn ask(question: Question) -> Input {
    Input::Ask { link: LINK, question }
}

#[test]
fn every_question_has_one_answer_even_when_asked_before_the_hello() {
    let film = film(1);
    let mut host = Host::new(&film, ProviderConfig::default());
    host.handle(provider::Input::LinkUp { link: LINK, peer: peer(1) });
    let mut asker = Asker::new(Default::default()).unwrap();
    asker.handle(host.now, Input::LinkUp { link: LINK, peer: peer(9) }).unwrap();
    let content = film.content.id();
    let unknown = ContentId([3; 32]);
    let questions = [
        Question::Manifest(content),
        Question::Manifest(unknown),
        Question::Holdings(content),
        Question::Peers,
    ];
    questions.into_iter().for_each(|q| asker.handle(host.now, ask(q)).unwrap());
    for _ in 0..2 * QUESTIONS_PER_LINK_MAX {
        asker.handle(host.now, ask(Question::Holdings(content))).unwrap();
    }
    for message in host.take_sent(LINK) {
        asker.handle(host.now, Input::Message { link: LINK, message }).unwrap();
    }
    let (answers, closed) = drain(&mut asker, Some(&mut host));
    assert!(!closed);
    assert_eq!(answers.len(), 4 + 2 * QUESTIONS_PER_LINK_MAX);
    assert!(matches!(&answers[0], Ok(Answer::Manifest(m)) if m.content_id() == content));
    let reason = RefusalReason::NotFound;
    assert_eq!(answers[1], Err(Failure::Refused { reason }));
    assert_eq!(answers[2], Ok(Answer::Holdings(ColumnSet::all(3))));
    assert_eq!(answers[3], Ok(Answer::Peers(Vec::new())));
    assert_eq!(asker.next_timeout(), None);
}

/// An asker with `question` open, told `message`.
fn told(question: Question, message: Message) -> (Vec<Result<Answer, Failure>>, bool) {
    let mut asker = Asker::new(Default::default()).unwrap();
    asker.handle(Instant(0), Input::LinkUp { link: LINK, peer: peer(9) }).unwrap();
    asker.handle(Instant(0), Input::Message { link: LINK, message: hello() }).unwrap();
    asker.handle(Instant(0), ask(question)).unwrap();
    asker.handle(Instant(0), Input::Message { link: LINK, message }).unwrap();
    drain(&mut asker, None)
}

#[test]
fn another_contents_manifest_and_another_kind_of_answer_are_faults() {
    let (wanted, other) = (film(1), film(2));
    let question = Question::Manifest(wanted.content.id());
    let manifest = other.content.manifest().signed().clone();
    let id = RequestId(1);
    let reply = Message::ManifestReply(ManifestReply { id, manifest });
    let (answers, closed) = told(question.clone(), reply);
    assert!(closed && matches!(answers[..], [Err(Failure::Fault(_))]));
    let columns = ColumnSet::all(2);
    let (answers, closed) = told(question, Message::Holdings(Holdings { id, columns }));
    assert!(closed && matches!(answers[..], [Err(Failure::Fault(_))]));
    let id = RequestId(7);
    let (answers, closed) = told(Question::Peers, Message::Holdings(Holdings { id, columns }));
    assert!(closed && matches!(answers[..], [Err(Failure::Fault(_))]));
}

#[test]
fn silence_and_a_lost_link_are_answers_too() {
    let mut asker = Asker::new(Default::default()).unwrap();
    asker.handle(Instant(0), Input::LinkUp { link: LINK, peer: peer(9) }).unwrap();
    asker.handle(Instant(0), ask(Question::Peers)).unwrap();
    let at = asker.next_timeout().expect("a timer");
    assert_eq!(at, Instant(QUESTION_TIMEOUT_MS));
    asker.handle(at, Input::Tick).unwrap();
    let limit_ms = QUESTION_TIMEOUT_MS;
    assert_eq!(drain(&mut asker, None), (vec![Err(Failure::TimedOut { limit_ms })], true));
    asker.handle(at, Input::LinkUp { link: LinkId(2), peer: peer(9) }).unwrap();
    let ask = || Input::Ask { link: LinkId(2), question: Question::Peers };
    asker.handle(at, ask()).unwrap();
    asker.handle(at, Input::LinkDown { link: LinkId(2) }).unwrap();
    asker.handle(at, ask()).unwrap();
    let down = || Err(Failure::LinkDown);
    assert_eq!(drain(&mut asker, None).0, [down(), down()]);
}
