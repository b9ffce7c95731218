//! Finds messages and actions: what was said and proposed, by every filter that lists have.
//!
//! A **post** is an entry of an append-only collection, or a record of a task that people read as a message: a rejection, a
//! forced move. What it says stays in its record; here are only the keys under which it is found, in order of time.
//!
//! **Invariants**: a post's keys follow from its record, an action's from that of its state too, so they are the same
//! whatever came first; what a removal masks has none.

use std::collections::BTreeSet;

use octopoid_crdt::action::Status;
use octopoid_crdt::ids::{Name, RecordId, Subject};
use octopoid_crdt::lifecycle::Act;
use octopoid_crdt::record::{Body, Cause, Verified};
use serde::{Deserialize, Serialize};

use super::items::{ItemKey, ItemRow, appended_key};
use super::read::Reader;
use super::row::TaskNo;
use super::undo::Step;
use super::unit::{Unit, WriteFault};
use super::{Fault, tables};
use crate::ops::judge::is_of_course;

/// The collection of messages.
pub const MESSAGES: &str = "messages";
/// The collection of actions as they were proposed.
pub const ACTIONS: &str = "actions";
/// The collection of what became of actions, by their ids.
pub const ACTION_STATES: &str = "action_states";

/// The longest value that something is found under, in bytes: twice what the API takes for any.
const LONGEST: usize = 512;

/// What a post can be found under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum PostFacet {
    /// All messages.
    Message = 1,
    /// Messages by task.
    MessageTask = 2,
    /// Messages by whom they are for.
    MessageTo = 3,
    /// Messages by who wrote them.
    MessageFrom = 4,
    /// Messages by type.
    MessageType = 5,
    /// Messages by the first one of their thread, itself included.
    MessageThread = 6,
    /// Messages by the one that they answer.
    MessageReply = 7,
    /// Actions by status.
    ActionStatus = 10,
    /// Actions by the kind of what they are about.
    ActionEntityType = 11,
    /// Actions by what they are about.
    ActionEntity = 12,
    /// Actions by type.
    ActionType = 13,
}

/// A message as its record holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageEntry {
    /// The task that it is about.
    pub task_id: String,
    /// Who wrote it.
    pub from_actor: String,
    /// Who should read it.
    #[serde(default)]
    pub to_actor: Option<String>,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// The text.
    pub content: String,
    /// The message that it answers.
    #[serde(default)]
    pub parent_message_id: Option<String>,
    /// The first message of its thread, unless it is that itself. Its author knew it, so no other record is needed to find it.
    #[serde(default)]
    pub thread_id: Option<String>,
}

/// An action as it was proposed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionEntry {
    /// What kind of thing it is about.
    pub entity_type: String,
    /// Which one.
    pub entity_id: String,
    /// What it is.
    pub action_type: String,
    /// What people see.
    pub label: String,
    /// More about it.
    #[serde(default)]
    pub description: Option<String>,
    /// Who proposed it.
    pub proposed_by: String,
    /// When it is no longer wanted, unless it was begun.
    #[serde(default)]
    pub expires_ms: Option<u64>,
    /// JSON text.
    #[serde(default)]
    pub metadata: Option<String>,
    /// JSON text.
    #[serde(default)]
    pub action_data: Option<String>,
}

/// What became of an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionState {
    /// The status's name.
    pub status: String,
    /// What it led to, as text.
    #[serde(default)]
    pub result: Option<String>,
    /// When its execution was asked for.
    #[serde(default)]
    pub executed_ms: Option<u64>,
}

impl ActionState {
    /// Returns the status; one that a later version wrote counts as ended, so that nothing is begun twice.
    #[must_use]
    pub fn status(&self) -> Status {
        Status::parse(&self.status).unwrap_or(Status::Failed)
    }
}

/// Reads what is stored about a post.
pub fn parse<T: serde::de::DeserializeOwned>(json: &str) -> Option<T> {
    serde_json::from_str(json).ok()
}

/// Returns what a record of a task says to people: the message's type, who said it, and the text.
#[must_use]
#[expect(clippy::wildcard_enum_match_arm, reason = "every other kind says nothing to anybody")]
pub fn told(body: &Body) -> Option<(&'static str, &str, &str)> {
    match body {
        Body::Reject { by, reason, .. } => Some(("rejection", by, reason)),
        Body::Move { cause: Cause::ForceQueue, by, reason, .. } => Some(("force_queue", by, reason)),
        Body::Finish { by, reason } if !is_of_course(reason) => Some(("force_queue", by, reason)),
        _ => None,
    }
}

/// Where a post stands in a list: by time, then in the order in which its author wrote it, then by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PostAt {
    /// When its author says it was written, in milliseconds since 1970.
    pub wall_ms: u64,
    /// Its number in its author's session: what one author writes within a millisecond stays in order.
    pub seq: u64,
    /// Its record.
    pub id: RecordId,
}

impl PostAt {
    fn of(record: &Verified) -> Self {
        let payload = record.payload();
        Self { wall_ms: payload.wall_ms, seq: payload.seq, id: record.id() }
    }
}

/// (scope, facet, value, place).
pub(super) type PostKey = (String, u8, String, PostAt);

/// The keys of one post, and until when it is listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Keys {
    keys: BTreeSet<PostKey>,
    until_ms: u64,
}

impl Keys {
    fn of(scope: &str, at: PostAt, until_ms: u64, under: &[(PostFacet, Option<&str>)]) -> Self {
        let short = under.iter().filter_map(|(facet, value)| Some((*facet, value.filter(|value| value.len() <= LONGEST)?)));
        let keys = short.map(|(facet, value)| (scope.to_owned(), facet as u8, value.to_owned(), at)).collect();
        Self { keys, until_ms }
    }

    fn of_message(scope: &str, at: PostAt, message: &MessageEntry) -> Self {
        let own = at.id.to_string();
        let under = [
            (PostFacet::Message, Some("")),
            (PostFacet::MessageTask, Some(message.task_id.as_str())),
            (PostFacet::MessageTo, message.to_actor.as_deref()),
            (PostFacet::MessageFrom, Some(message.from_actor.as_str())),
            (PostFacet::MessageType, Some(message.kind.as_str())),
            (PostFacet::MessageThread, Some(message.thread_id.as_deref().unwrap_or(&own))),
            (PostFacet::MessageReply, message.parent_message_id.as_deref()),
        ];
        Self::of(scope, at, u64::MAX, &under)
    }

    fn of_action(scope: &str, at: PostAt, action: &ActionEntry, state: Option<&ActionState>) -> Self {
        let status = state.map_or(Status::Proposed, ActionState::status);
        let until_ms = action.expires_ms.filter(|_| status.expires()).unwrap_or(u64::MAX);
        let under = [
            (PostFacet::ActionStatus, Some(status.as_str())),
            (PostFacet::ActionEntityType, Some(action.entity_type.as_str())),
            (PostFacet::ActionEntity, Some(action.entity_id.as_str())),
            (PostFacet::ActionType, Some(action.action_type.as_str())),
        ];
        Self::of(scope, at, until_ms, &under)
    }
}

impl Unit<'_> {
    /// Runs a change of an entry, and lets the keys of the post follow that it changes.
    pub(super) fn following_posts(
        &mut self,
        at: &ItemKey,
        change: impl FnOnce(&mut Self) -> Result<(), WriteFault>,
    ) -> Result<(), WriteFault> {
        if !matches!(at.0.as_str(), MESSAGES | ACTIONS | ACTION_STATES) {
            return change(self);
        }
        let before = self.keys_of(at)?;
        change(self)?;
        let after = self.keys_of(at)?;
        for key in before.keys.difference(&after.keys) {
            self.set_post(key.clone(), None);
        }
        if before != after {
            after.keys.into_iter().for_each(|key| self.set_post(key, Some(after.until_ms)));
        }
        Ok(())
    }

    fn set_post(&mut self, key: PostKey, until_ms: Option<u64>) {
        let before = self.posts.insert(key.clone(), until_ms);
        self.undoable(|| Step::Post(key, before));
    }

    /// Returns the keys of the post that an entry is, or whose state it is.
    fn keys_of(&mut self, at: &ItemKey) -> Result<Keys, WriteFault> {
        if at.0 != ACTION_STATES {
            let row = self.item_row(at)?;
            return row.map_or(Ok(Keys::default()), |row| self.keys_of_row(at, &row));
        }
        // A state is of the action that its key names, which may not be known yet.
        let Ok(id) = at.2.parse::<RecordId>() else { return Ok(Keys::default()) };
        if !self.knows(&id)? {
            return Ok(Keys::default());
        }
        let record = self.by_record_id(&id)?;
        match appended_key(&record).filter(|(collection, scope, _)| collection == ACTIONS && *scope == at.1) {
            Some(action) => self.keys_of(&action),
            None => Ok(Keys::default()),
        }
    }

    fn keys_of_row(&mut self, at: &ItemKey, row: &ItemRow) -> Result<Keys, WriteFault> {
        let Some(json) = &row.json else { return Ok(Keys::default()) };
        let place = PostAt::of(&self.by_record_id(&RecordId(row.record))?);
        if at.0 == MESSAGES {
            return Ok(parse(json).map(|message| Keys::of_message(&at.1, place, &message)).unwrap_or_default());
        }
        let Some(action) = parse::<ActionEntry>(json) else { return Ok(Keys::default()) };
        let state = self.item(ACTION_STATES, &at.1, &place.id.to_string())?.and_then(|state| parse(&state.json));
        Ok(Keys::of_action(&at.1, place, &action, state.as_ref()))
    }

    /// Lets the keys of what a task's records say follow its log.
    pub(super) fn post_told(&mut self, no: TaskNo) -> Result<(), WriteFault> {
        let speaks = |act: &Act| matches!(act, Act::Reject { .. } | Act::Finish | Act::Move { cause: Cause::ForceQueue, .. });
        let log = self.log(no)?;
        let entries = (0u32..).zip(log.log.entries()).zip(&log.arrivals);
        let said: Vec<_> = entries
            .filter(|((_, entry), _)| entry.counts() && speaks(&entry.act))
            .map(|((index, entry), arrival)| (index, entry.id, *arrival))
            .collect();
        if said.is_empty() {
            return Ok(());
        }
        let out = self.left_out(no)?;
        for (index, id, arrival) in said {
            let record = self.record(arrival, &id)?;
            let Some(message) = self.message_of(no, &record)? else { continue };
            let scope = self.slot(no)?.row.scope.clone();
            let keys = Keys::of_message(&scope, PostAt::of(&record), &message);
            let there = !out.contains(&index);
            // All keys of a post are written together, so one tells of all.
            let told = keys.keys.first().map_or(Ok(there), |key| self.has_post(key))?;
            if told != there {
                keys.keys.into_iter().for_each(|key| self.set_post(key, there.then_some(keys.until_ms)));
            }
        }
        Ok(())
    }

    fn message_of(&mut self, no: TaskNo, record: &Verified) -> Result<Option<MessageEntry>, WriteFault> {
        let task_id = self.slot(no)?.row.id.clone();
        Ok(told(&record.payload().body).map(|told| MessageEntry::told(task_id, told)))
    }

    fn has_post(&mut self, key: &PostKey) -> Result<bool, WriteFault> {
        if let Some(post) = self.posts.get(key) {
            return Ok(post.is_some());
        }
        let found = self.reader.has_post(key);
        self.note(found)
    }

    /// Returns a message of a task, by the id of its record; none where there is none.
    ///
    /// # Errors
    /// When the store fails.
    pub fn message(&mut self, scope: &Name, task: &Name, id: &RecordId) -> Result<Option<MessageEntry>, WriteFault> {
        if !self.knows(id)? {
            return Ok(None);
        }
        let record = self.by_record_id(id)?;
        let key = (scope.to_string(), PostFacet::MessageTask as u8, task.to_string(), PostAt::of(&record));
        // What a task said just now is found when the task is settled.
        if let Some(no) = self.find_subject(&record.payload().subject)? {
            self.settle(no)?;
        }
        if !self.has_post(&key)? {
            return Ok(None);
        }
        Ok(MessageEntry::of(&record, task.as_str()))
    }

    /// Adds an entry to an append-only collection. `answers` is the record that it builds on.
    ///
    /// # Errors
    /// When the store fails.
    pub fn append(
        &mut self,
        collection: &str,
        scope: &Name,
        key: &str,
        value: String,
        answers: Option<RecordId>,
    ) -> Result<RecordId, WriteFault> {
        let subject = Subject::entry(collection, scope, key);
        let body = Body::Append { collection: collection.to_owned(), scope: scope.clone(), key: key.to_owned(), value };
        self.sign(subject, answers.into_iter().collect(), body)
    }
}

impl MessageEntry {
    fn told(task_id: String, (kind, by, reason): (&str, &str, &str)) -> Self {
        Self {
            task_id,
            from_actor: by.to_owned(),
            to_actor: None,
            kind: kind.to_owned(),
            content: reason.to_owned(),
            parent_message_id: None,
            thread_id: None,
        }
    }

    /// Reads a message out of its record; `task` is the one that a record of a task is about.
    fn of(record: &Verified, task: &str) -> Option<Self> {
        let body = &record.payload().body;
        if let Body::Append { value, .. } = body { parse(value) } else { told(body).map(|told| Self::told(task.to_owned(), told)) }
    }
}

/// Which posts are wanted: each facet narrows, any of its values fits. The first is walked, so the rarest comes first.
#[derive(Debug, Clone, Default)]
pub struct PostQuery {
    /// The tenant.
    pub scope: String,
    /// Facets with the values that fit; at least one.
    pub under: Vec<(PostFacet, Vec<String>)>,
    /// Only what has an answer, or none.
    pub answered: Option<bool>,
    /// Leaves out what was only wanted until then.
    pub now_ms: u64,
    /// The newest first.
    pub newest: bool,
    /// How many to skip.
    pub offset: u64,
    /// How many to return.
    pub limit: u64,
}

/// A post as it is read: its record, and the task that it is about where the record is a task's.
#[derive(Debug, Clone)]
pub struct Post {
    /// Its record.
    pub record: Verified,
    /// The id of the task that the record is one of.
    pub task: Option<String>,
}

impl Reader {
    fn has_post(&self, (scope, facet, value, at): &PostKey) -> Result<bool, Fault> {
        let table = self.posts_table()?;
        Ok(table.get((scope.as_str(), *facet, value.as_str(), at.wall_ms, at.seq, at.id.as_bytes()))?.is_some())
    }

    /// Returns one page of posts, and how many there are in all.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn posts(&self, query: &PostQuery) -> Result<(Vec<Post>, u64), Fault> {
        let table = self.posts_table()?;
        let mut found: Vec<PostAt> = Vec::new();
        let Some(((walked, values), others)) = query.under.split_first() else { return Ok((Vec::new(), 0)) };
        for value in values.iter().collect::<BTreeSet<_>>() {
            let (first, last) = ([0; 32], [u8::MAX; 32]);
            let under = (query.scope.as_str(), *walked as u8, value.as_str());
            for item in table.range((under.0, under.1, under.2, 0, 0, &first)..=(under.0, under.1, under.2, u64::MAX, u64::MAX, &last))? {
                let (key, until) = item?;
                let (_, _, _, wall_ms, seq, id) = key.value();
                let at = PostAt { wall_ms, seq, id: RecordId(*id) };
                if until.value() > query.now_ms && self.fits(query, others, &at)? {
                    found.push(at);
                }
            }
        }
        found.sort_unstable();
        if query.newest {
            found.reverse();
        }
        let total = found.len() as u64;
        let skip = usize::try_from(query.offset).unwrap_or(usize::MAX);
        let take = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let page = found.into_iter().skip(skip).take(take).map(|at| self.post(&at.id)).collect::<Result<_, _>>()?;
        Ok((page, total))
    }

    fn fits(&self, query: &PostQuery, others: &[(PostFacet, Vec<String>)], at: &PostAt) -> Result<bool, Fault> {
        for (facet, values) in others {
            let key = |value: &String| (query.scope.clone(), *facet as u8, value.clone(), *at);
            let mut any = false;
            for value in values {
                any = any || self.has_post(&key(value))?;
            }
            if !any {
                return Ok(false);
            }
        }
        match query.answered {
            Some(wanted) => Ok(self.is_answered(&query.scope, &at.id)? == wanted),
            None => Ok(true),
        }
    }

    fn is_answered(&self, scope: &str, id: &RecordId) -> Result<bool, Fault> {
        let (facet, value) = (PostFacet::MessageReply as u8, id.to_string());
        let (first, last) = ([0; 32], [u8::MAX; 32]);
        let under = (scope, facet, value.as_str());
        let mut answers = self
            .posts_table()?
            .range((under.0, under.1, under.2, 0, 0, &first)..=(under.0, under.1, under.2, u64::MAX, u64::MAX, &last))?;
        Ok(answers.next().transpose()?.is_some())
    }

    /// Reads a post by its record.
    fn post(&self, id: &RecordId) -> Result<Post, Fault> {
        let missing = || Fault::Missing(id.to_string());
        let record = self.record(self.arrival(id)?.ok_or_else(missing)?)?.ok_or_else(missing)?;
        let no = if matches!(record.payload().body, Body::Append { .. }) { None } else { self.by_subject(&record.payload().subject)? };
        let task = no.map(|no| self.row(no)).transpose()?.flatten().map(|row| row.id);
        Ok(Post { record, task })
    }

    /// Returns an action with its scope, by its id; none where there is none, or a removal masks it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn action(&self, id: &RecordId) -> Result<Option<(String, Verified)>, Fault> {
        let Some(arrival) = self.arrival(id)? else { return Ok(None) };
        let Some(record) = self.record(arrival)? else { return Ok(None) };
        let Some((collection, scope, key)) = appended_key(&record).filter(|(collection, _, _)| collection == ACTIONS) else {
            return Ok(None);
        };
        Ok(self.item(&collection, &scope, &key)?.map(|_| (scope, record)))
    }

    fn posts_table(&self) -> Result<&redb::ReadOnlyTable<tables::PostTableKey, u64>, Fault> {
        Ok(self.posts.of(self.txn())?)
    }
}

impl Post {
    /// Reads the message.
    #[must_use]
    pub fn message(&self) -> Option<MessageEntry> {
        MessageEntry::of(&self.record, self.task.as_deref().unwrap_or_default())
    }

    /// Reads the action as it was proposed.
    #[must_use]
    pub fn action(&self) -> Option<ActionEntry> {
        let Body::Append { value, .. } = &self.record.payload().body else { return None };
        parse(value)
    }
}
