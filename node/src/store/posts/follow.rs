//! Lets the keys of posts follow what changes them: an entry, an action's state, a task's log.

use octopoid_crdt::ids::{Name, RecordId, Subject};
use octopoid_crdt::lifecycle::Act;
use octopoid_crdt::record::{Body, Cause, Verified};

use super::super::items::{ItemKey, ItemRow, appended_key};
use super::super::row::TaskNo;
use super::super::undo::Step;
use super::super::unit::{Unit, WriteFault};
use super::{ACTION_STATES, ACTIONS, ActionEntry, Keys, MESSAGES, MessageEntry, PostAt, PostFacet, PostKey, parse, told};

impl Unit<'_> {
    /// Runs a change of an entry, and lets the keys of the post follow that it changes.
    pub(in crate::store) fn following_posts(
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
    pub(in crate::store) fn post_told(&mut self, no: TaskNo) -> Result<(), WriteFault> {
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
