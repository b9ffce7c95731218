//! Only the holder renews, and each renewal counts once.

use octopoid_crdt::{
    ids::ClusterId,
    peer::{
        Renewal, RenewalError,
        renewal::{Heard, Renewals},
    },
    record::Signer,
};

use super::samples::{cluster, id};

fn signer(byte: u8) -> Signer {
    Signer::from_seed(&[byte; 32])
}

fn of(holder: &Signer) -> Renewals {
    let mut renewals = Renewals::default();
    renewals.opened(id(1), holder.author());
    renewals
}

#[test]
fn a_renewal_extends_once_and_a_replay_extends_nothing() {
    let holder = signer(1);
    let (mut own, mut other) = (of(&holder), of(&holder));
    let first = own.sign(&holder, cluster(), id(1), 300, 1).expect("it is open");
    let second = own.sign(&holder, cluster(), id(1), 300, 1).expect("it is open");
    assert_eq!(other.hear(&first), Heard::Extended { seconds: 300 });
    assert_eq!(other.hear(&first), Heard::Old);
    assert_eq!(other.hear(&second), Heard::Extended { seconds: 300 });
    assert_eq!(other.hear(&first), Heard::Old);
    other.ended(&id(1));
    assert_eq!(other.hear(&second), Heard::NotOpen);
}

#[test]
fn after_a_restart_the_first_renewal_is_newer_than_the_last_before() {
    let holder = signer(1);
    let (mut before, mut after, mut other) = (of(&holder), of(&holder), of(&holder));
    for _ in 0..100 {
        let renewal = before.sign(&holder, cluster(), id(1), 300, 1).expect("it is open");
        assert_eq!(other.hear(&renewal), Heard::Extended { seconds: 300 });
    }
    let renewal = after.sign(&holder, cluster(), id(1), 300, 2).expect("it is open");
    assert_eq!(other.hear(&renewal), Heard::Extended { seconds: 300 });
}

#[test]
fn nobody_renews_anothers_lease() {
    let (holder, thief) = (signer(1), signer(2));
    assert!(of(&holder).sign(&thief, cluster(), id(1), 300, 1).is_none());
    let stolen = of(&thief).sign(&thief, cluster(), id(1), 300, 1).expect("the thief's own table says so");
    assert_eq!(of(&holder).hear(&stolen), Heard::NotTheHolder);
}

#[test]
fn a_renewal_that_was_changed_or_is_of_another_cluster_is_refused() {
    let holder = signer(1);
    let renewal = of(&holder).sign(&holder, cluster(), id(1), 300, 1).expect("it is open");
    let wire = renewal.renewal().wire().to_vec();
    assert!(Renewal::decode(&wire).expect("it is well formed").check(cluster()).is_ok());
    for at in 0..wire.len() {
        let mut changed = wire.clone();
        changed[at] ^= 1;
        let accepted = Renewal::decode(&changed).is_ok_and(|renewal| renewal.check(cluster()).is_ok());
        assert!(!accepted, "a renewal with byte {at} changed was accepted");
        assert!(Renewal::decode(&wire[..at]).is_err());
    }
    let elsewhere = Renewal::decode(&wire).expect("it is well formed").check(ClusterId([1; 32]));
    assert!(matches!(elsewhere, Err(RenewalError::Signature)));
}

#[test]
fn a_lease_of_no_or_too_many_seconds_is_refused() {
    let holder = signer(1);
    let longest = of(&holder).sign(&holder, cluster(), id(1), u32::MAX, 1).expect("it is open");
    assert_eq!(of(&holder).hear(&longest), Heard::Extended { seconds: 3_600 });
    let mut wire = longest.renewal().wire().to_vec();
    let at = wire.len() - 64 - 2;
    wire[at..at + 2].copy_from_slice(&[0x0e, 0x11]);
    assert!(matches!(Renewal::decode(&wire), Err(RenewalError::Seconds(3_601))));
}
