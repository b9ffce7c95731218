//! How an insider writes records, as a node would or otherwise.

use ed25519_dalek::{Signer as _, SigningKey};
use octopoid_crdt::document::{Actor, Document, Edit, Fields};
use octopoid_crdt::ids::{ClusterId, RecordId, SessionId, Subject};
use octopoid_crdt::peer::Renewal;
use octopoid_crdt::peer::renewal::Renewals;
use octopoid_crdt::record::{Body, Payload, Queue, Signer, SubjectRule, Verified};

use super::Insider;

/// The next place in an insider's chain.
pub(super) struct Pen {
    signer: Signer,
    key: SigningKey,
    cluster: ClusterId,
    session: SessionId,
    seq: u64,
    prev: Option<RecordId>,
}

impl Pen {
    pub(super) fn new(seed: &[u8; 32], cluster: ClusterId, session: [u8; 16]) -> Self {
        let (signer, key) = (Signer::from_seed(seed), SigningKey::from_bytes(seed));
        Self { signer, key, cluster, session: SessionId(session), seq: 0, prev: None }
    }
}

/// Returns the subject of the records about a task.
///
/// # Panics
/// When the id is none.
#[must_use]
pub fn task_subject(id: &str) -> Subject {
    Subject::task(&"default".parse().expect("a scope"), &id.parse().expect("an id"))
}

impl Insider {
    /// Drafts the next record about a subject, at its honest place: after the own last record and the subject's heads, and
    /// after what the insider knows of the cluster.
    #[must_use]
    pub fn draft(&self, subject: Subject, body: Body) -> Payload {
        let heard = self.heard();
        let mut deps = heard.held.heads(&subject);
        if self.pen.prev.is_none() {
            deps.extend(heard.held.heads(&Subject::CLUSTER));
        }
        Payload {
            author: self.key(),
            session: self.pen.session,
            seq: self.pen.seq,
            prev: self.pen.prev,
            subject: match body.subject_rule() {
                SubjectRule::Exactly(subject) => subject,
                SubjectRule::NotCluster | SubjectRule::Any => subject,
            },
            wall_ms: 1_760_000_000_000,
            deps: deps.into_iter().collect(),
            body,
        }
    }

    /// Signs a draft, which takes no place: two may stand at one.
    ///
    /// # Panics
    /// When it breaks a rule of its own bytes.
    #[must_use]
    pub fn sign(&self, draft: Payload) -> Verified {
        Verified::sign(&self.pen.signer, self.pen.cluster, draft).expect("a well-formed record")
    }

    /// Signs a draft for another cluster.
    ///
    /// # Panics
    /// When it breaks a rule of its own bytes.
    #[must_use]
    pub fn sign_for(&self, cluster: ClusterId, draft: Payload) -> Verified {
        Verified::sign(&self.pen.signer, cluster, draft).expect("a well-formed record")
    }

    /// Signs, with its own key, a draft that may name another author.
    ///
    /// # Panics
    /// When it breaks a rule of its own bytes.
    #[must_use]
    pub fn forge(&self, draft: &Payload) -> Vec<u8> {
        let payload = draft.encode().expect("a well-formed payload");
        let signed = [b"octopoid/record/v1\0".as_slice(), self.pen.cluster.as_bytes(), &payload].concat();
        [payload, self.pen.key.sign(&signed).to_bytes().to_vec()].concat()
    }

    /// Signs a renewal of a claim, whosever that is.
    ///
    /// # Panics
    /// Never: any lease can be signed for.
    #[must_use]
    pub fn renewal(&self, of: RecordId, starts: u32) -> Renewal {
        let mut renewals = Renewals::default();
        renewals.opened(of, self.key());
        let signed = renewals.sign(&self.pen.signer, self.pen.cluster, of, 300, starts).expect("an open lease");
        signed.renewal().clone()
    }

    /// Goes on after a record of its own, and holds it.
    pub fn keep(&mut self, record: &Verified) {
        let payload = record.payload();
        (self.pen.session, self.pen.seq, self.pen.prev) = (payload.session, payload.seq + 1, Some(record.id()));
        self.heard().held.take(record.clone());
    }

    /// Writes the next record about a subject, as a node does.
    #[must_use]
    pub fn write(&mut self, subject: Subject, body: Body) -> Verified {
        let record = self.sign(self.draft(subject, body));
        self.keep(&record);
        record
    }

    /// Returns the actor of its changes of documents.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor { author: self.key(), session: self.pen.session }
    }

    /// Makes the body of a record that makes a task.
    ///
    /// # Panics
    /// When the id is none.
    #[must_use]
    pub fn task(&self, id: &str, title: &str) -> Body {
        let fields = Fields::default().with("title", title).with("file_path", format!("{id}.md")).with("priority", "P2");
        let (_, change) = Document::create(self.actor(), &fields).expect("a document");
        Body::TaskCreate { scope: "default".parse().expect("a scope"), id: id.parse().expect("an id"), change, imported: None }
    }

    /// Makes the change that sets a task's title.
    ///
    /// # Panics
    /// When the task is not held.
    #[must_use]
    pub fn retitled(&self, subject: Subject, title: &str) -> Vec<u8> {
        let mut document = Document::empty();
        for record in self.heard().held.records().filter(|record| record.payload().subject == subject) {
            let payload = record.payload();
            if let Body::TaskCreate { change, .. } | Body::DocChange { change } = &payload.body {
                // A change that every node leaves out is left out here.
                let _ = document.admit(change, Actor { author: payload.author, session: payload.session });
            }
        }
        document.edit(self.actor(), &[Edit::set("title", title)]).expect("an edit").remove(0)
    }

    /// Makes the body of a claim.
    #[must_use]
    pub fn claim(epoch: u64) -> Body {
        let agent = "rogue".to_owned();
        Body::Claim { epoch, source: Queue::Incoming, orchestrator: agent.clone(), agent, ttl_seconds: 300, base: None }
    }

    /// Makes the body of a record that hands in an attempt without a repository.
    #[must_use]
    pub fn submit(claim: RecordId) -> Body {
        Body::Submit { claim, base: None, head: None, tree: None, notes: "done".to_owned() }
    }

    /// Makes the body of a record that accepts what a task's state rests on.
    #[must_use]
    pub fn accept(on: RecordId) -> Body {
        Body::Accept { on, by: "rogue".to_owned(), reason: "looks good".to_owned() }
    }
}
