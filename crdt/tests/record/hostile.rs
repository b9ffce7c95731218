//! What a member with a good key may still not send: other forms of a value, lies about lengths, oversized fields.

use ed25519_dalek::{Signer as _, SigningKey};
use octopoid_crdt::{
    ids::{AuthorKey, ClusterId, RecordId, SessionId, Subject},
    record::{Body, FieldError, Payload, PayloadError, Queue, RecordError, SignError, Verified, limits},
};

use crate::samples;

/// Signs bytes that `Payload::encode` would never write.
fn signed_raw(payload: &[u8]) -> Vec<u8> {
    let message = [b"octopoid/record/v1\0", samples::cluster().as_bytes().as_slice(), payload].concat();
    let signature = SigningKey::from_bytes(&[7; 32]).sign(&message);
    [payload, &signature.to_bytes()].concat()
}

fn check_raw(payload: &[u8]) -> Result<Verified, RecordError> {
    Verified::check(samples::cluster(), &signed_raw(payload))
}

/// One CBOR item's head: where it starts, its major type, its argument, and the length of the head.
struct Head {
    at: usize,
    major: u8,
    argument: u64,
    len: usize,
}

/// Finds the heads of all items; strings are not entered.
fn heads(bytes: &[u8]) -> Vec<Head> {
    let (mut at, mut heads) = (0, Vec::new());
    while at < bytes.len() {
        let (major, info) = (bytes[at] >> 5, bytes[at] & 31);
        let extra = if info < 24 { 0 } else { 1 << (info - 24) };
        let argument = if info < 24 { u64::from(info) } else { bytes[at + 1..=at + extra].iter().fold(0, |n, b| n << 8 | u64::from(*b)) };
        heads.push(Head { at, major, argument, len: 1 + extra });
        let string = if matches!(major, 2 | 3) { usize::try_from(argument).expect("a sample is small") } else { 0 };
        at += 1 + extra + string;
    }
    heads
}

/// Every way of writing one head of `bytes` longer than needed.
fn longer_forms(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = Vec::new();
    for head in heads(bytes).iter().filter(|head| head.major != 7) {
        for (info, width) in [(24u8, 1usize), (25, 2), (26, 4), (27, 8)] {
            if width < head.len || (width < 8 && head.argument >> (8 * width) != 0) {
                continue;
            }
            let argument = head.argument.to_be_bytes();
            forms.push([&bytes[..head.at], &[head.major << 5 | info], &argument[8 - width..], &bytes[head.at + head.len..]].concat());
        }
    }
    forms
}

/// Every way of giving one string an indefinite length, and the outermost array.
fn indefinite_forms(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![[&[0x9f], &bytes[heads(bytes)[0].len..], &[0xff]].concat()];
    for head in heads(bytes).iter().filter(|head| matches!(head.major, 2 | 3)) {
        let end = head.at + head.len + usize::try_from(head.argument).expect("a sample is small");
        forms.push([&bytes[..head.at], &[head.major << 5 | 31], &bytes[head.at..end], &[0xff], &bytes[end..]].concat());
    }
    forms
}

/// Puts body bytes into the place of the payload's own, in canonical form.
fn with_body(payload: &[u8], body: &[u8]) -> Vec<u8> {
    let all = heads(payload);
    let last = all.last().expect("a payload has a body");
    let mut bytes = payload[..last.at].to_vec();
    minicbor::Encoder::new(&mut bytes).bytes(body).expect("memory takes every byte");
    bytes
}

#[test]
fn no_record_is_accepted_in_another_form_than_its_canonical_one() {
    let mut tried = 0;
    for body in samples::bodies() {
        let name = body.name();
        let bytes = samples::payload(body.clone()).encode().expect("a sample is well formed");
        check_raw(&bytes).unwrap_or_else(|error| panic!("{name} in its canonical form: {error}"));
        for form in longer_forms(&bytes).into_iter().chain(indefinite_forms(&bytes)) {
            assert!(check_raw(&form).is_err(), "{name}: {}", hex::encode(form));
            tried += 1;
        }
        if matches!(body, Body::Unknown { .. }) {
            continue;
        }
        let inner = body.encode().expect("a sample is well formed");
        for form in longer_forms(&inner).into_iter().chain(indefinite_forms(&inner)) {
            let bytes = with_body(&bytes, &form);
            assert!(check_raw(&bytes).is_err(), "{name}: {}", hex::encode(bytes));
            tried += 1;
        }
    }
    assert!(tried > 1000, "only {tried} forms were tried");
}

#[test]
fn a_longer_integer_is_named_as_not_canonical() {
    let bytes = samples::payload(Body::Heads).encode().expect("a sample is well formed");
    let form = [&bytes[..1], &[0x18, 1], &bytes[2..]].concat();
    assert!(matches!(check_raw(&form), Err(RecordError::Payload(PayloadError::NotCanonical))));
}

#[test]
fn bytes_after_the_payload_or_the_body_are_refused() {
    for body in samples::bodies() {
        let bytes = samples::payload(body.clone()).encode().expect("a sample is well formed");
        let trailing = [bytes.as_slice(), &[0xf6]].concat();
        assert!(matches!(check_raw(&trailing), Err(RecordError::Payload(PayloadError::Trailing))));
        if !matches!(body, Body::Unknown { .. }) {
            let inner = [body.encode().expect("a sample is well formed").as_slice(), &[0xf6]].concat();
            assert!(matches!(check_raw(&with_body(&bytes, &inner)), Err(RecordError::Payload(PayloadError::Field(_)))));
        }
    }
}

#[test]
fn deps_that_are_unsorted_doubled_or_too_many_are_refused() {
    let id = |byte| RecordId([byte; 32]);
    for deps in [vec![id(2), id(1)], vec![id(1), id(1)]] {
        let payload = Payload { deps, ..samples::payload(Body::Heads) };
        assert!(matches!(payload.encode(), Err(PayloadError::Deps)));
    }
    let sorted = samples::payload(Body::Heads).encode().expect("a sample is well formed");
    let (a, b) = ([1; 32], [2; 32]);
    let at = sorted.windows(66).position(|w| w[..32] == a && w[34..] == b).expect("the sample's deps are there");
    let swapped = [&sorted[..at], &b, &sorted[at + 32..at + 34], &a, &sorted[at + 66..]].concat();
    assert!(matches!(check_raw(&swapped), Err(RecordError::Payload(PayloadError::Deps))));
    let payload = Payload { deps: (0..65).map(id).collect(), ..samples::payload(Body::Heads) };
    assert!(matches!(payload.encode(), Err(PayloadError::Field(FieldError::TooLong { field: "deps", limit: 64, found: 65 }))));
}

#[test]
fn a_claimed_length_is_refused_before_its_items_are_read() {
    // deps: an array of 2^32 - 1 items, of which none follows.
    let bytes = samples::payload(Body::Heads).encode().expect("a sample is well formed");
    let deps = heads(&bytes).iter().rposition(|head| head.major == 4).expect("deps are an array");
    let at = heads(&bytes)[deps].at;
    let lie = [&bytes[..at], &[0x9a, 0xff, 0xff, 0xff, 0xff]].concat();
    assert!(matches!(check_raw(&lie), Err(RecordError::Payload(PayloadError::Field(FieldError::TooLong { field: "deps", .. })))));
    // frontier: an array of 2^63 items in a body of a few bytes.
    let mut body = vec![0x83, 0x58, 0x20];
    body.extend_from_slice(&[9; 32]);
    body.extend_from_slice(&[0x9b, 0x80, 0, 0, 0, 0, 0, 0, 0]);
    assert!(matches!(Body::decode(4, &body), Err(FieldError::TooLong { field: "remove.frontier", limit: limits::FRONTIER, .. })));
    // reason: a text that claims more than the body holds.
    let body = [&[0x82, 0x60, 0x7b][..], &[0xff; 8]].concat();
    assert!(matches!(Body::decode(29, &body), Err(FieldError::Cbor { field: "cancel.reason", .. })));
}

#[test]
fn every_oversized_field_is_named_with_its_limit() {
    let long = |n: usize| "x".repeat(n + 1);
    let scope = samples::name("default");
    let cases = [
        (Body::Cancel { by: String::new(), reason: long(limits::TEXT) }, "cancel.reason", limits::TEXT),
        (Body::Cancel { by: long(limits::LABEL), reason: String::new() }, "cancel.by", limits::LABEL),
        (Body::DocChange { change: vec![0; limits::CHANGE + 1] }, "doc_change.change", limits::CHANGE),
        (Body::Put { collection: "role".into(), scope: scope.clone(), key: long(limits::KEY), value: None }, "put.key", limits::KEY),
        (
            Body::Append { collection: "role".into(), scope: scope.clone(), key: String::new(), value: long(limits::VALUE) },
            "append.value",
            limits::VALUE,
        ),
        (
            Body::TaskCreate { scope: scope.clone(), id: scope, change: vec![], imported: Some(long(limits::IMPORTED)) },
            "task_create.imported",
            limits::IMPORTED,
        ),
        (
            Body::Remove {
                member: AuthorKey([1; 32]),
                frontier: vec![(SessionId([0; 16]), 0); limits::FRONTIER + 1],
                reason: String::new(),
            },
            "remove.frontier",
            limits::FRONTIER,
        ),
    ];
    for (body, wanted, size) in cases {
        match body.encode() {
            Err(FieldError::TooLong { field, limit, found }) => assert_eq!((field, limit, found), (wanted, size, size + 1)),
            other => panic!("{wanted}: {other:?}"),
        }
    }
}

#[test]
fn the_largest_fields_fit_into_one_record() {
    let scope = samples::name(&"x".repeat(128));
    let body =
        Body::TaskCreate { scope: scope.clone(), id: scope, change: vec![0; limits::CHANGE], imported: Some("x".repeat(limits::IMPORTED)) };
    let deps = (0..64).map(|byte| RecordId([byte; 32])).collect();
    let record = Verified::sign(&samples::signer(), samples::cluster(), Payload { deps, ..samples::payload(body) }).expect("it fits");
    assert!(record.wire().len() <= limits::RECORD);
    Verified::check(samples::cluster(), record.wire()).expect("it is within every limit");
    let frontier = (0..u32::try_from(limits::FRONTIER).expect("the limit is small"))
        .map(|n| {
            let mut session = [0; 16];
            session[..4].copy_from_slice(&n.to_be_bytes());
            (SessionId(session), u64::MAX)
        })
        .collect();
    let reason = "x".repeat(limits::TEXT);
    samples::signed(Body::Remove { member: AuthorKey([1; 32]), frontier, reason });
}

#[test]
fn a_record_beyond_the_limit_is_refused_by_its_size_alone() {
    let wire = vec![0; limits::RECORD + 1];
    assert!(matches!(Verified::check(samples::cluster(), &wire), Err(RecordError::Size { .. })));
    assert!(matches!(Verified::check(samples::cluster(), &wire[..64]), Err(RecordError::Size { found: 64 })));
    let body = Body::Unknown { kind: 4000, body: vec![0; limits::RECORD - 100] };
    assert!(matches!(samples::payload(body).encode(), Err(PayloadError::Size { .. })));
}

#[test]
fn a_subject_that_its_body_does_not_name_is_refused() {
    let elsewhere = Subject::task(&samples::name("default"), &samples::name("another"));
    for body in samples::bodies() {
        let free = matches!(body.subject_rule(), octopoid_crdt::record::SubjectRule::Any);
        let subject = if body.subject_rule() == octopoid_crdt::record::SubjectRule::NotCluster { Subject::CLUSTER } else { elsewhere };
        let payload = Payload { subject, ..samples::payload(body) };
        assert_eq!(payload.encode().is_ok(), free, "{payload:?}");
    }
}

#[test]
fn values_that_would_be_read_back_as_another_are_not_written() {
    let masked = Body::Unknown { kind: 18, body: vec![0x80] };
    assert!(matches!(masked.encode(), Err(FieldError::Value { field: "unknown.kind", .. })));
    let queue = Queue::Custom(samples::name("done"));
    let body = Body::Move { queue, cause: octopoid_crdt::record::Cause::Edit, by: String::new(), reason: String::new(), keep: None };
    assert!(matches!(body.encode(), Err(FieldError::Value { field: "move.queue", .. })));
    let scope = samples::name("default");
    let body = Body::DocCreate { collection: "task".into(), scope, id: "x".into(), change: vec![] };
    assert!(matches!(body.encode(), Err(FieldError::Value { field: "doc_create.collection", .. })));
    let twice = vec![(SessionId([1; 16]), 1), (SessionId([1; 16]), 2)];
    let body = Body::Remove { member: AuthorKey([1; 32]), frontier: twice, reason: String::new() };
    assert!(matches!(body.encode(), Err(FieldError::Value { field: "remove.frontier", .. })));
}

#[test]
fn a_genesis_record_founds_its_own_cluster_and_no_other() {
    let genesis = samples::bodies().remove(0);
    assert!(matches!(Verified::sign(&samples::signer(), ClusterId([1; 32]), samples::payload(genesis.clone())), Err(SignError::Cluster)));
    let wire = samples::signed(genesis.clone()).wire().to_vec();
    assert!(matches!(Verified::from_own_store(ClusterId([1; 32]), &wire), Err(RecordError::Cluster)));
    let late = Payload { deps: vec![RecordId([1; 32])], ..samples::payload(genesis) };
    assert!(matches!(late.encode(), Err(PayloadError::Genesis)));
}

#[test]
fn a_key_signs_only_as_its_own_author_and_debug_shows_no_secret() {
    let other = Payload { author: AuthorKey([1; 32]), ..samples::payload(Body::Heads) };
    assert!(matches!(Verified::sign(&samples::signer(), samples::cluster(), other), Err(SignError::Author)));
    let shown = format!("{:?}", samples::signer());
    assert!(!shown.contains("0707") && !shown.contains("7, 7"), "{shown}");
    let submit = samples::signed(Body::Cancel { by: "anna".into(), reason: "confidential".into() });
    let shown = format!("{submit:?}");
    assert!(shown.contains("cancel") && !shown.contains("confidential"), "{shown}");
}

#[test]
fn a_later_version_is_named_rather_than_called_malformed() {
    let mut bytes = samples::payload(Body::Heads).encode().expect("a sample is well formed");
    bytes[1] = 2;
    assert!(matches!(check_raw(&bytes), Err(RecordError::Payload(PayloadError::Version(2)))));
}

#[test]
fn the_all_zero_key_signs_nothing() {
    // A key of small order verifies a trivial signature unless verification is strict.
    let mut identity = [0; 32];
    identity[0] = 1;
    let payload = Payload { author: AuthorKey(identity), ..samples::payload(Body::Heads) };
    let mut wire = payload.encode().expect("the key's bytes are not looked at here");
    wire.extend_from_slice(&identity);
    wire.extend_from_slice(&[0; 32]);
    assert!(matches!(Verified::check(samples::cluster(), &wire), Err(RecordError::Signature)));
}
