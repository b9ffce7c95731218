//! Reads lists of posts: walks the keys under one facet and looks each hit up under the others.

use std::collections::BTreeSet;

use octopoid_crdt::ids::RecordId;
use octopoid_crdt::record::{Body, Verified};

use super::super::items::appended_key;
use super::super::read::Reader;
use super::super::{Fault, tables};
use super::{ACTIONS, ActionEntry, MessageEntry, PostAt, PostFacet, PostKey, parse};

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
    pub(in crate::store) fn has_post(&self, (scope, facet, value, at): &PostKey) -> Result<bool, Fault> {
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
