//! Joining by code and by ticket, and what somebody in between can and cannot do.

use octopoid_crdt::{
    ids::{AuthorKey, ClusterId, Name, SessionId, Subject},
    lease::Moment,
    peer::{
        join::{
            Code, Decision, Here, Host, HostOutput, JoinError, JoinFrame, Joiner, JoinerOutput, PENDING_MS, Refusal, Ticket, invite_of,
        },
        limits,
    },
    record::{Access, Body, Payload, Signer, Verified, cluster_id},
};

use super::samples::{key, name};

fn genesis() -> Verified {
    let admin = Signer::from_seed(&[1; 32]);
    let body = Body::Genesis { creator: admin.author(), nonce: [1; 16], root_commit: None };
    let cluster = cluster_id(&body).expect("a genesis body founds a cluster");
    let payload = Payload {
        author: admin.author(),
        session: SessionId([1; 16]),
        seq: 0,
        prev: None,
        subject: Subject::CLUSTER,
        wall_ms: 0,
        deps: vec![],
        body,
    };
    Verified::sign(&admin, cluster, payload).expect("a well-formed genesis")
}

fn cluster() -> ClusterId {
    genesis().cluster()
}

fn host() -> (AuthorKey, Host) {
    let me = Signer::from_seed(&[1; 32]).author();
    (me, Host::new(me, genesis()))
}

fn here(name: &Name, nonce: u8) -> Here<'_> {
    Here { name: Some(name), admin: true, member: false, nonce: [nonce; 32] }
}

/// Sends a frame to a host as the wire would.
fn tell(host: &mut Host, at: u64, from: AuthorKey, frame: &JoinFrame) -> HostOutput {
    let home = name("home");
    let bytes = frame.encode().expect("a step fits");
    assert!(bytes.len() <= limits::JOIN_FRAME);
    host.handle(Moment(at), from, JoinFrame::decode(&bytes).expect("it is read"), &here(&home, 77))
}

fn reply(output: HostOutput) -> JoinFrame {
    let HostOutput::Reply(frame) = output else { panic!("{output:?}") };
    frame
}

fn ask(me: AuthorKey, host: AuthorKey) -> (Joiner, JoinFrame) {
    Joiner::ask(me, host, name("home"), name("laptop"), [5; 32])
}

/// Goes as far as the code that the joiner shows.
fn asked(host: &mut Host, admin: AuthorKey, me: AuthorKey) -> (Joiner, Code) {
    let (mut joiner, frame) = ask(me, admin);
    let challenge = reply(tell(host, 0, me, &frame));
    let JoinerOutput::Send(reveal) = joiner.handle(challenge).expect("it fits") else { panic!("it reveals") };
    let HostOutput::Show(pending) = tell(host, 0, me, &reveal) else { panic!("it waits for a person") };
    let JoinerOutput::Show { code, cluster: told } = joiner.handle(JoinFrame::Waiting).expect("it fits") else { panic!("it shows a code") };
    assert_eq!((pending.code, told), (code, cluster()));
    (joiner, code)
}

#[test]
fn who_is_approved_and_has_confirmed_is_let_in() {
    let (admin, mut host) = host();
    let me = key(5);
    let (mut joiner, code) = asked(&mut host, admin, me);
    let confirm = joiner.confirm().expect("there is a code");
    assert_eq!(reply(tell(&mut host, 1, me, &confirm)), JoinFrame::Waiting);
    assert!(matches!(joiner.handle(JoinFrame::Waiting), Ok(JoinerOutput::Wait)));
    let typed: Code = code.to_string().to_lowercase().replace('-', "").parse().expect("people type as they like");
    assert_eq!(host.decide(Moment(2), &typed, Decision::Approve(Access::Worker)), Ok(Some((me, name("laptop")))));
    let welcome = host.joined(&me);
    assert_eq!(reply(tell(&mut host, 3, me, &joiner.confirm().expect("it asks again"))), welcome);
    let JoinerOutput::Joined { genesis: found, .. } = joiner.handle(welcome).expect("it fits") else { panic!("it has joined") };
    assert_eq!(found.id(), genesis().id());
}

#[test]
fn an_approval_alone_lets_nobody_in_whose_person_has_not_confirmed() {
    let (admin, mut host) = host();
    let me = key(5);
    let (mut joiner, code) = asked(&mut host, admin, me);
    assert_eq!(host.decide(Moment(1), &code, Decision::Approve(Access::Worker)), Ok(None));
    let early =
        JoinFrame::Welcome(octopoid_crdt::peer::join::Welcome { cluster: cluster(), genesis: genesis().wire().to_vec(), host: admin });
    assert!(matches!(joiner.clone().handle(early), Err(JoinError::Unexpected)), "a host that approves at once gets nothing started");
    let confirm = joiner.confirm().expect("there is a code");
    assert_eq!(tell(&mut host, 2, me, &confirm), HostOutput::LetIn { key: me, machine: name("laptop"), access: Access::Worker });
}

#[test]
fn who_is_denied_or_too_late_or_withdraws_is_told_so() {
    let me = key(5);
    let (admin, mut host) = host();
    let (mut joiner, code) = asked(&mut host, admin, me);
    assert_eq!(host.decide(Moment(1), &code, Decision::Deny), Ok(None));
    let refused = reply(tell(&mut host, 2, me, &joiner.confirm().expect("there is a code")));
    assert_eq!(refused, JoinFrame::Refused(Refusal::Denied));
    assert!(matches!(joiner.handle(refused), Err(JoinError::Refused(Refusal::Denied))));
    let (mut joiner, code) = asked(&mut host, admin, me);
    let late = reply(tell(&mut host, PENDING_MS, me, &joiner.confirm().expect("there is a code")));
    assert_eq!(late, JoinFrame::Refused(Refusal::Expired));
    assert!(host.decide(Moment(PENDING_MS), &code, Decision::Approve(Access::Worker)).is_err());
    let (mut joiner, code) = asked(&mut host, admin, me);
    tell(&mut host, 1, me, &joiner.withdraw());
    assert!(host.decide(Moment(1), &code, Decision::Approve(Access::Worker)).is_err());
}

#[test]
fn a_restarted_host_still_welcomes_who_is_a_member() {
    let (_, mut host) = host();
    let home = name("home");
    let member = Here { member: true, ..here(&home, 1) };
    assert_eq!(host.handle(Moment(0), key(5), JoinFrame::Confirm, &member), HostOutput::Reply(host.welcome()));
    assert_eq!(reply(tell(&mut host, 0, key(6), &JoinFrame::Confirm)), JoinFrame::Refused(Refusal::Expired));
}

#[test]
fn a_host_tells_nothing_of_a_cluster_of_another_name_and_nothing_at_all_if_it_may_not() {
    let (admin, mut host) = host();
    let (_, frame) = ask(key(5), admin);
    let other = name("office");
    assert_eq!(reply(host.handle(Moment(0), key(5), frame.clone(), &here(&other, 1))), JoinFrame::Refused(Refusal::NoSuchCluster));
    let home = name("home");
    let no_admin = Here { admin: false, ..here(&home, 1) };
    assert_eq!(reply(host.handle(Moment(0), key(5), frame, &no_admin)), JoinFrame::Refused(Refusal::NotAdmin));
}

/// Somebody in between speaks to each side with its own key, and picks its own nonces after having heard all it can.
#[test]
fn somebody_in_between_gets_two_different_codes_and_can_choose_neither() {
    let (admin, mut host) = host();
    let (joiner_key, between) = (key(5), key(66));
    let mut equal = 0;
    for own in 0..200_u8 {
        // To the joiner it is the host: it must send a nonce before the joiner reveals.
        let (mut joiner, _asked) = ask(joiner_key, between);
        let JoinerOutput::Send(JoinFrame::Reveal { nonce }) =
            joiner.handle(JoinFrame::Challenge { cluster: cluster(), nonce: [own; 32] }).expect("it fits")
        else {
            panic!("it reveals")
        };
        let JoinerOutput::Show { code: shown, .. } = joiner.handle(JoinFrame::Waiting).expect("it fits") else { panic!("it shows a code") };
        // To the host it is the joiner: with the joiner's own nonce, or one of its own, committed before the host answers.
        let (mut own_joiner, frame) =
            Joiner::ask(between, admin, name("home"), name("laptop"), if own % 2 == 0 { nonce } else { [own; 32] });
        let challenge = reply(tell(&mut host, 0, between, &frame));
        let JoinerOutput::Send(reveal) = own_joiner.handle(challenge).expect("it fits") else { panic!("it reveals") };
        let HostOutput::Show(pending) = tell(&mut host, 0, between, &reveal) else { panic!("it waits for a person") };
        equal += usize::from(pending.code == shown);
        // Relaying the joiner's commitment as its own cannot be opened: the key is in it.
        let (mut relayed, frame) = ask(joiner_key, between);
        let challenge = reply(tell(&mut host, 0, between, &frame));
        let JoinerOutput::Send(reveal) = relayed.handle(challenge).expect("it fits") else { panic!("it reveals") };
        assert_eq!(reply(tell(&mut host, 0, between, &reveal)), JoinFrame::Refused(Refusal::Mismatch));
    }
    assert_eq!(equal, 0);
}

#[test]
fn a_nonce_that_was_not_committed_to_is_refused() {
    let (admin, mut host) = host();
    let (_, frame) = ask(key(5), admin);
    reply(tell(&mut host, 0, key(5), &frame));
    assert_eq!(reply(tell(&mut host, 0, key(5), &JoinFrame::Reveal { nonce: [6; 32] })), JoinFrame::Refused(Refusal::Mismatch));
    assert_eq!(reply(tell(&mut host, 0, key(5), &JoinFrame::Reveal { nonce: [5; 32] })), JoinFrame::Refused(Refusal::Mismatch), "one try");
    assert_eq!(reply(tell(&mut host, 0, key(9), &JoinFrame::Reveal { nonce: [5; 32] })), JoinFrame::Refused(Refusal::Mismatch));
}

#[test]
fn endless_strangers_fill_no_more_than_their_room_and_it_is_free_again_in_time() {
    let (admin, mut host) = host();
    let stranger = |n: u64| AuthorKey(*blake3::hash(&n.to_be_bytes()).as_bytes());
    let mut busy = 0;
    for n in 0..1_000 {
        let (_, frame) = ask(stranger(n), admin);
        busy += usize::from(reply(tell(&mut host, 0, stranger(n), &frame)) == JoinFrame::Refused(Refusal::Busy));
    }
    assert_eq!(busy, 1_000 - 64);
    for n in 0..1_000 {
        let (mut joiner, frame) = ask(stranger(n), admin);
        if let JoinFrame::Challenge { cluster, nonce } = reply(tell(&mut host, 20_000, stranger(n), &frame))
            && let Ok(JoinerOutput::Send(reveal)) = joiner.handle(JoinFrame::Challenge { cluster, nonce })
        {
            tell(&mut host, 20_000, stranger(n), &reveal);
        }
    }
    assert_eq!(host.pending().count(), 32);
    asked_at(&mut host, admin, 20_000 + PENDING_MS);
    assert_eq!(host.pending().count(), 1);
}

fn asked_at(host: &mut Host, admin: AuthorKey, at: u64) {
    let (mut joiner, frame) = ask(key(5), admin);
    let challenge = reply(tell(host, at, key(5), &frame));
    let Ok(JoinerOutput::Send(reveal)) = joiner.handle(challenge) else { panic!("it reveals") };
    assert!(matches!(tell(host, at, key(5), &reveal), HostOutput::Show(_)));
}

#[test]
fn a_ticket_is_shown_to_its_inviter_alone_and_lets_in_without_a_person() {
    let (admin, mut host) = host();
    let ticket = Ticket { cluster: cluster(), inviter: admin, access: Access::Worker, expires_ms: 0, secret: [4; 32], addresses: vec![] };
    assert!(matches!(Joiner::redeem(key(5), key(66), &ticket, name("laptop")), Err(JoinError::Inviter)));
    let (mut joiner, frame) = Joiner::redeem(key(5), admin, &ticket, name("laptop")).expect("it is the inviter");
    let redeemed = tell(&mut host, 0, key(5), &frame);
    assert_eq!(redeemed, HostOutput::Redeem { invite: ticket.invite(), key: key(5), machine: name("laptop") });
    assert_eq!(ticket.invite(), invite_of(&cluster(), &[4; 32]));
    assert!(matches!(joiner.handle(host.welcome()), Ok(JoinerOutput::Joined { .. })));
}

#[test]
fn a_welcome_to_another_cluster_or_with_a_forged_genesis_is_refused() {
    let (admin, host) = host();
    let ticket = Ticket { cluster: cluster(), inviter: admin, access: Access::Worker, expires_ms: 0, secret: [4; 32], addresses: vec![] };
    let JoinFrame::Welcome(welcome) = host.welcome() else { panic!("it is a welcome") };
    let mut forged = welcome.clone();
    *forged.genesis.last_mut().expect("it has bytes") ^= 1;
    let elsewhere = octopoid_crdt::peer::join::Welcome { cluster: ClusterId([1; 32]), ..welcome.clone() };
    let another = octopoid_crdt::peer::join::Welcome { host: key(66), ..welcome };
    for (welcome, genesis) in [(forged, true), (elsewhere, false), (another, false)] {
        let (mut joiner, _) = Joiner::redeem(key(5), admin, &ticket, name("laptop")).expect("it is the inviter");
        let error = joiner.handle(JoinFrame::Welcome(welcome)).expect_err("it is refused");
        assert_eq!(matches!(error, JoinError::Genesis(_)), genesis, "{error}");
    }
}
