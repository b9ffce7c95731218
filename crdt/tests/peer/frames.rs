//! What is read is what was written, and nothing else is read.

use octopoid_crdt::peer::{
    ClaimAnswer, FrameError, Message, Rival,
    join::{JoinFrame, Ticket, TicketError},
    limits,
};
use proptest::prelude::*;

use super::{arbitrary, samples};

/// Bytes that were changed are refused, or mean something else and are its only form.
fn refused_or_canonical(bytes: &[u8]) {
    if let Ok(Some(message)) = Message::decode(bytes) {
        assert_eq!(message.encode().expect("what was read can be written"), bytes);
    }
    if let Ok(frame) = JoinFrame::decode(bytes) {
        assert_eq!(frame.encode().expect("what was read can be written"), bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back_equal(message in arbitrary::message()) {
        let bytes = message.encode().expect("generated within limits");
        prop_assert_eq!(Message::decode(&bytes).expect("what was written is read"), Some(message));
    }

    #[test]
    fn a_frame_that_was_changed_anywhere_is_refused_or_another_frame(message in arbitrary::message(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = message.encode().expect("generated within limits");
        let at = at.index(bytes.len());
        bytes[at] = byte;
        refused_or_canonical(&bytes);
    }

    #[test]
    fn bytes_of_any_kind_are_refused_or_a_frame(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        refused_or_canonical(&bytes);
    }

    #[test]
    fn a_mistyped_ticket_is_refused(at in any::<prop::sample::Index>(), letter in "[a-z2-7 A-Z]") {
        let text = samples::ticket().to_text().expect("a sample is within limits");
        let at = at.index(text.len());
        let mistyped = format!("{}{letter}{}", &text[..at], &text[at + 1..]);
        let same = mistyped.eq_ignore_ascii_case(&text) || mistyped.trim() == text;
        prop_assert!(same || mistyped.parse::<Ticket>().is_err());
    }
}

#[test]
fn a_frame_that_was_cut_is_refused() {
    for (name, message) in samples::messages() {
        let bytes = message.encode().expect("a sample is within limits");
        for end in 0..bytes.len() {
            assert!(Message::decode(&bytes[..end]).is_err(), "{name} cut at {end} was read");
        }
        assert!(Message::decode(&[&bytes[..], &[0]].concat()).is_err(), "{name} with a byte more was read");
    }
    for (name, frame) in samples::join_frames() {
        let bytes = frame.encode().expect("a sample is within limits");
        assert!((0..bytes.len()).all(|end| JoinFrame::decode(&bytes[..end]).is_err()), "{name} was read when cut");
    }
}

#[test]
fn a_type_of_a_later_version_is_skipped_and_a_known_one_with_another_field_is_not() {
    assert_eq!(Message::decode(&[0x82, 0x18, 99, 0x01]).expect("a later type is no error"), None);
    let mut bytes = Message::Digest { digest: [1; 32] }.encode().expect("within limits");
    bytes[0] = 0x83;
    bytes.push(1);
    assert!(matches!(Message::decode(&bytes), Err(FrameError::Value { field: "frame", .. })));
}

#[test]
fn another_form_of_the_same_value_is_refused() {
    let digest = Message::Digest { digest: [1; 32] }.encode().expect("within limits");
    let content = &digest[4..];
    let forms: [&[u8]; 4] = [&[0x82, 0x18, 2, 0x58, 32], &[0x82, 2, 0x59, 0, 32], &[0x98, 2, 2, 0x58, 32], &[0x9f, 2, 0x58, 32]];
    assert_eq!(digest[..4], [0x82, 2, 0x58, 32]);
    for form in forms {
        assert!(Message::decode(&[form, content].concat()).is_err(), "{form:?}");
    }
    assert!(JoinFrame::decode(&[0x81, 4]).is_ok());
    for form in [&[0x81, 0x18, 4][..], &[0x98, 1, 4], &[0x9f, 4, 0xff], &[0x82, 4, 4]] {
        assert!(JoinFrame::decode(form).is_err(), "{form:?}");
    }
}

#[test]
fn limits_are_checked_before_anything_is_reserved() {
    // Each claims four thousand million items or bytes and holds none.
    let heads: [&[u8]; 6] = [
        &[0x83, 3, 0xba, 0xff, 0xff, 0xff, 0xff],
        &[0x83, 3, 0x9a, 0xff, 0xff, 0xff, 0xff],
        &[0x82, 4, 0x9a, 0xff, 0xff, 0xff, 0xff],
        &[0x83, 5, 1, 0x9a, 0xff, 0xff, 0xff, 0xff],
        &[0x84, 6, 1, 0x9a, 0xff, 0xff, 0xff, 0xff],
        &[0x82, 8, 0x7a, 0xff, 0xff, 0xff, 0xff],
    ];
    for head in heads {
        assert!(Message::decode(head).is_err(), "{head:?}");
    }
    assert!(matches!(Message::decode(&vec![0; limits::FRAME + 1]), Err(FrameError::Size { .. })));
    let long = Message::Presence { text: "x".repeat(limits::PRESENCE + 1) };
    assert!(matches!(long.encode(), Err(FrameError::TooLong { field: "presence.text", .. })));
}

#[test]
fn the_fullest_frames_fit_a_frame() {
    let ids: Vec<_> = (0..limits::IDS).map(|n| octopoid_crdt::ids::RecordId(*blake3::hash(&n.to_be_bytes()).as_bytes())).collect();
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    let tips = ids.iter().map(|id| (octopoid_crdt::ids::AuthorKey(id.0), [*id].into())).collect();
    let mut rivals: Vec<_> =
        ids.iter().take(limits::RIVALS).map(|id| Rival { id: *id, author: samples::key(9), epoch: u64::MAX, started: true }).collect();
    rivals.sort_unstable();
    let answers = ids.iter().take(limits::RECORDS).map(|id| ClaimAnswer { of: *id, rivals: rivals.clone() }).collect();
    let mut waiting = ids[..limits::RECORDS].to_vec();
    waiting.sort_unstable();
    let (_, Message::Renew { renewals }) = samples::messages().remove(6) else { panic!("the seventh sample is a renew") };
    let size = limits::RECORD_BYTES / limits::RECORDS;
    let fullest = [
        Message::Tips { tips, more: true },
        Message::Unknown { ids: sorted },
        Message::Records { number: u64::MAX, records: vec![vec![0; size]; limits::RECORDS] },
        Message::Ack { number: u64::MAX, waiting, answers },
        Message::Renew { renewals: renewals.iter().cycle().take(limits::RENEWALS).cloned().collect() },
        Message::Presence { text: "x".repeat(limits::PRESENCE) },
    ];
    for message in fullest {
        let bytes = message.encode().unwrap_or_else(|error| panic!("{}: {error}", message.name()));
        assert_eq!(Message::decode(&bytes).expect("it is read"), Some(message));
    }
}

#[test]
fn tickets_say_what_is_wrong_with_them() {
    let text = samples::ticket().to_text().expect("a sample is within limits");
    assert_eq!(text.to_uppercase().parse::<Ticket>(), Ok(samples::ticket()));
    assert_eq!(format!("  {text}\n").parse::<Ticket>(), Ok(samples::ticket()));
    assert_eq!("oct_abc".parse::<Ticket>(), Err(TicketError::Prefix));
    assert_eq!("öct1".parse::<Ticket>(), Err(TicketError::Prefix));
    assert_eq!("oct1".parse::<Ticket>(), Err(TicketError::Checksum));
    assert_eq!(text[..text.len() - 1].parse::<Ticket>(), Err(TicketError::Checksum));
    assert_eq!("oct1".repeat(2_000).parse::<Ticket>(), Err(TicketError::Size));
    let many = Ticket { addresses: vec!["/ip4/127.0.0.1/tcp/1".into(); limits::TICKET_ADDRESSES + 1], ..samples::ticket() };
    assert_eq!(many.to_text(), Err(TicketError::Addresses));
    assert!(!format!("{:?}", samples::ticket()).contains("secret"));
}
