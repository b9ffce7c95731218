//! I5: what is not exactly what its author signed for this cluster has no effect.

use octopoid_crdt::{
    ids::ClusterId,
    record::{Body, Payload, SIGNATURE_LEN, Verified, cluster_id},
};
use proptest::{prelude::*, test_runner::FileFailurePersistence};

use crate::{arbitrary, samples};

fn config() -> ProptestConfig {
    let regressions = FileFailurePersistence::Direct("tests/record/regressions.txt");
    ProptestConfig { cases: 256, failure_persistence: Some(Box::new(regressions)), ..ProptestConfig::default() }
}

/// Signs in the cluster that a Genesis founds, any other body in the samples' cluster.
fn sign(payload: &Payload) -> Verified {
    let cluster = cluster_id(&payload.body).unwrap_or_else(samples::cluster);
    Verified::sign(&samples::signer(), cluster, payload.clone()).expect("the strategy makes well-formed payloads")
}

/// Puts one field of `other` into `payload`.
fn with_field_of(payload: &Payload, other: &Payload, field: usize) -> Payload {
    let (mut mixed, other) = (payload.clone(), other.clone());
    match field {
        0 => mixed.session = other.session,
        1 => mixed.seq = other.seq,
        2 => mixed.prev = other.prev,
        3 => mixed.subject = other.subject,
        4 => mixed.wall_ms = other.wall_ms,
        5 => mixed.deps = other.deps,
        6 => mixed.body = other.body,
        _ => mixed.author.0[0] ^= 1,
    }
    mixed
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_payload_comes_back_equal_and_in_the_same_bytes(payload in arbitrary::payload()) {
        let bytes = payload.encode().expect("the strategy makes well-formed payloads");
        let again = Payload::decode(&bytes).expect("what was encoded decodes");
        prop_assert!(again == payload);
        prop_assert_eq!(again.encode().expect("it encoded before"), bytes);
    }

    #[test]
    fn a_signed_record_is_checked_with_the_same_id_and_bytes(payload in arbitrary::payload()) {
        let signed = sign(&payload);
        let checked = Verified::check(signed.cluster(), signed.wire()).expect("what was signed is valid");
        prop_assert_eq!(checked.id(), signed.id());
        prop_assert_eq!(checked.wire(), signed.wire());
        prop_assert!(checked.payload() == &payload);
    }

    #[test]
    fn a_record_with_any_bit_flipped_is_refused(payload in arbitrary::payload(), at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let signed = sign(&payload);
        let mut wire = signed.wire().to_vec();
        let at = at.index(wire.len());
        wire[at] ^= 1 << bit;
        prop_assert!(Verified::check(signed.cluster(), &wire).is_err());
    }

    #[test]
    fn a_record_with_a_field_of_another_valid_record_is_refused(a in arbitrary::payload(), b in arbitrary::payload(), field in 0..8usize) {
        let signed = sign(&a);
        let mixed = with_field_of(&a, &b, field);
        prop_assume!(mixed != a);
        let Ok(mut wire) = mixed.encode() else { return Ok(()) };
        wire.extend_from_slice(&signed.wire()[signed.wire().len() - SIGNATURE_LEN..]);
        prop_assert!(Verified::check(signed.cluster(), &wire).is_err());
        let unchecked = Verified::from_own_store(signed.cluster(), &wire);
        prop_assert!(unchecked.is_err() || unchecked.is_ok_and(|record| record.id() != signed.id()));
    }

    #[test]
    fn a_record_replayed_into_another_cluster_is_refused(payload in arbitrary::payload(), other in any::<[u8; 32]>()) {
        let signed = sign(&payload);
        prop_assume!(signed.cluster() != ClusterId(other));
        prop_assert!(Verified::check(ClusterId(other), signed.wire()).is_err());
    }

    #[test]
    fn one_statement_has_one_encoding(payload in arbitrary::payload(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = payload.encode().expect("the strategy makes well-formed payloads");
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(read) = Payload::decode(&bytes) {
            prop_assert_eq!(read.encode().expect("what was decoded encodes"), bytes);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), kind in 0..60u16) {
        prop_assert!(Verified::check(samples::cluster(), &bytes).is_err());
        if let Ok(body) = Body::decode(kind, &bytes) {
            prop_assert_eq!(body.kind(), kind);
        }
        if let Ok(payload) = Payload::decode(&bytes) {
            prop_assert_eq!(payload.encode().expect("what was decoded encodes"), bytes);
        }
    }
}
