//! Which function of the Rust client each call of the table is.

use std::time::Duration;

use octopoid_client::{
    ActionFilter, Client, ClientError, DiffQuery, DraftFilter, EventQuery, LogQuery, MessageFilter, OrchestratorFilter, ProjectFilter,
    TaskFilter, WaitError,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// Why a call has no result, as the table tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub class: &'static str,
    pub status: Option<u16>,
    pub message: String,
    pub details: Vec<String>,
}

impl Failure {
    /// Tells that the types cannot hold a request, which so is refused before anything is sent.
    fn unheld(message: String) -> Self {
        Self { class: "OctopoidAPIError", status: Some(400), message, details: Vec::new() }
    }

    /// Tells of a mistake in how the client was called.
    pub fn mistake(message: String) -> Self {
        Self { class: "OctopoidError", status: None, message, details: Vec::new() }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        // An answer that is no task, say, was a success all the same.
        let status = error.status().or(matches!(error, ClientError::Decode { .. }).then_some(200));
        let class = match (&error, status) {
            (_, Some(401 | 403)) => "OctopoidAuthenticationError",
            (_, Some(404)) => "OctopoidNotFoundError",
            (_, Some(409 | 412)) => "OctopoidConflictError",
            (_, Some(_)) => "OctopoidAPIError",
            (ClientError::TimedOut { .. }, None) => "OctopoidTimeoutError",
            (ClientError::Unreachable { .. }, None) => "OctopoidConnectionError",
            (_, None) => "OctopoidError",
        };
        let details = error.body().map(|body| body.details.clone()).unwrap_or_default();
        Self { class, status, message: error.to_string(), details }
    }
}

impl From<WaitError> for Failure {
    fn from(error: WaitError) -> Self {
        match error {
            WaitError::Client(error) => error.into(),
            WaitError::TimedOut { .. } => Self { class: "OctopoidTimeoutError", ..Self::mistake(error.to_string()) },
            WaitError::NotThere(_) | WaitError::WillNotBe { .. } => Self::mistake(error.to_string()),
        }
    }
}

/// One call of a step.
#[derive(Debug)]
pub struct Step<'a> {
    pub call: &'a str,
    pub ids: Vec<Value>,
    pub with: Value,
    pub take: usize,
}

type Given = Result<Value, Failure>;

fn shown(value: impl Serialize) -> Given {
    Ok(serde_json::to_value(value).expect("JSON"))
}

fn list(value: impl Serialize, name: &str) -> Given {
    Ok(serde_json::to_value(value).expect("JSON")[name].take())
}

/// Reads a text, or a list of texts.
fn texts(value: &Value) -> Vec<&str> {
    let one = value.as_str().into_iter();
    one.chain(value.as_array().into_iter().flatten().filter_map(Value::as_str)).collect()
}

impl Step<'_> {
    /// Returns an argument without a name.
    fn id(&self, at: usize) -> String {
        let id = &self.ids[at];
        id.as_str().map_or_else(|| id.to_string(), str::to_owned)
    }

    fn number(&self) -> u64 {
        self.id(0).parse().expect("a number")
    }

    /// Builds a request out of the fields that are given; the others are as by default.
    fn request<T: Default + Serialize + DeserializeOwned>(&self) -> Result<T, Failure> {
        let mut whole = serde_json::to_value(T::default()).expect("JSON");
        for (name, value) in self.with.as_object().into_iter().flatten() {
            whole[name] = value.clone();
        }
        serde_json::from_value(whole).map_err(|error| Failure::unheld(error.to_string()))
    }

    fn text(&self, name: &str) -> Option<String> {
        self.with[name].as_str().map(str::to_owned)
    }

    fn texts(&self, name: &str) -> Vec<String> {
        texts(&self.with[name]).into_iter().map(str::to_owned).collect()
    }

    fn count(&self, name: &str) -> Result<Option<u64>, Failure> {
        let value = &self.with[name];
        let held = value.is_null() || value.is_u64();
        if held { Ok(value.as_u64()) } else { Err(Failure::unheld(format!("{name} cannot be {value}"))) }
    }

    fn tasks(&self) -> Result<TaskFilter, Failure> {
        Ok(TaskFilter {
            queue: self.texts("queue"),
            priority: self.texts("priority"),
            role: self.texts("role"),
            claimed_by: self.texts("claimed_by"),
            project_id: self.texts("project_id"),
            needs_intervention: self.with["needs_intervention"].as_bool(),
            scope: self.text("scope"),
            by_priority: self.with["sort"] == "priority",
            limit: self.count("limit")?,
            offset: self.count("offset")?,
        })
    }

    fn messages(&self) -> MessageFilter {
        MessageFilter {
            task_id: self.texts("task_id"),
            to_actor: self.texts("to_actor"),
            from_actor: self.texts("from_actor"),
            kind: self.texts("type"),
            thread_id: self.text("thread_id"),
            unreplied: self.with["unreplied"] == true,
            ..MessageFilter::default()
        }
    }

    /// Makes the call.
    pub async fn play(&self, client: &Client) -> Given {
        match self.call.split_once('.').unwrap_or(("", self.call)) {
            ("tasks", method) => self.of_tasks(client, method).await,
            ("projects", method) => self.of_projects(client, method).await,
            ("drafts", method) => self.of_drafts(client, method).await,
            ("messages", "create") => shown(client.create_message(&self.request()?).await?),
            ("messages", "list") => list(client.messages(&self.messages()).await?, "messages"),
            ("actions", method) => self.of_actions(client, method).await,
            ("flows" | "roles", _) => self.of_rules(client).await,
            ("orchestrators", method) => self.of_orchestrators(client, method).await,
            ("system", "health_check") => shown(client.health().await?),
            ("system", "poll") => {
                let id = self.text("orchestrator_id").unwrap_or_default();
                shown(client.poll(&id, self.text("scope").as_deref()).await?)
            }
            ("system", "node_status") => shown(client.node_status().await?),
            ("system", "cluster") => shown(client.cluster().await?),
            ("", "events") => self.events(client).await,
            ("", "wait_for") => {
                let queues = texts(&self.ids[1]);
                let timeout = self.with["timeout"].as_f64().map(Duration::from_secs_f64);
                shown(client.wait_for(&self.id(0), &queues, timeout).await?)
            }
            _ => unknown(self.call),
        }
    }

    async fn of_tasks(&self, client: &Client, method: &str) -> Given {
        let id = || self.id(0);
        match method {
            "create" => shown(client.create_task(&self.request()?).await?),
            "get" => shown(client.find_task(&id()).await?),
            "list" => list(client.tasks(&self.tasks()?).await?, "tasks"),
            "page" => shown(client.tasks(&self.tasks()?).await?),
            "iterate" => {
                let (mut all, mut tasks) = (Vec::new(), client.every_task(&self.tasks()?));
                while let Some(task) = tasks.next().await? {
                    all.push(task);
                }
                shown(all)
            }
            "update" => shown(client.patch_task(&id(), &self.request()?).await?),
            "delete" => shown(client.delete_task(&id()).await?),
            "claim" => shown(client.claim(&self.request()?).await?),
            "renew" => shown(client.renew(&id(), &self.request()?).await?),
            "submit" => shown(client.submit(&id(), &self.request()?).await?),
            "accept" => shown(client.accept(&id(), &self.request()?).await?),
            "reject" => shown(client.reject(&id(), &self.request()?).await?),
            "requeue" => shown(client.requeue(&id(), &self.request()?).await?),
            "release" => shown(client.release(&id(), &self.request()?).await?),
            "cancel" => shown(client.cancel(&id(), &self.request()?).await?),
            "force_queue" => shown(client.force_queue(&id(), &self.request()?).await?),
            "merge" => shown(client.merge(&id(), &self.request()?).await?),
            "complete_hook" => {
                let done = serde_json::from_value(self.with.clone()).map_err(|error| Failure::unheld(error.to_string()))?;
                shown(client.complete_hook(&id(), &self.id(1), &done).await?)
            }
            "history" => list(client.history(&id()).await?, "history"),
            "attempts" => list(client.attempts(&id()).await?, "attempts"),
            "messages" if self.with.get("type").is_some() => {
                list(client.messages(&MessageFilter { task_id: vec![id()], ..self.messages() }).await?, "messages")
            }
            "messages" => list(client.task_messages(&id()).await?, "messages"),
            "log" => shown(client.log(&id(), &LogQuery::default()).await?.whole().await?),
            "diff" => {
                shown(client.diff(&id(), &DiffQuery { stat: self.with["stat"] == true, ..DiffQuery::default() }).await?.whole().await?)
            }
            _ => unknown(self.call),
        }
    }

    async fn of_projects(&self, client: &Client, method: &str) -> Given {
        match method {
            "create" => shown(client.create_project(&self.request()?).await?),
            "get" => shown(client.find_project(&self.id(0)).await?),
            "list" => {
                let filter = ProjectFilter { status: self.texts("status"), scope: self.text("scope"), ..ProjectFilter::default() };
                list(client.projects(&filter).await?, "projects")
            }
            "tasks" => list(client.project_tasks(&self.id(0)).await?, "tasks"),
            "update" => shown(client.patch_project(&self.id(0), &self.request()?).await?),
            "delete" => shown(client.delete_project(&self.id(0)).await?),
            _ => unknown(self.call),
        }
    }

    async fn of_drafts(&self, client: &Client, method: &str) -> Given {
        match method {
            "create" => shown(client.create_draft(&self.request()?).await?),
            "get" => shown(client.find_draft(self.number()).await?),
            "list" => {
                let filter = DraftFilter { status: self.texts("status"), author: self.texts("author"), ..DraftFilter::default() };
                list(client.drafts(&filter).await?, "drafts")
            }
            "update" => shown(client.patch_draft(self.number(), &self.request()?).await?),
            "delete" => shown(client.delete_draft(self.number()).await?),
            _ => unknown(self.call),
        }
    }

    async fn of_actions(&self, client: &Client, method: &str) -> Given {
        match method {
            "create" => shown(client.create_action(&self.request()?).await?),
            "get" => shown(client.find_action(&self.id(0)).await?),
            "list" => {
                let filter = ActionFilter {
                    entity_type: self.texts("entity_type"),
                    entity_id: self.texts("entity_id"),
                    status: self.texts("status"),
                    ..ActionFilter::default()
                };
                list(client.actions(&filter).await?, "actions")
            }
            "execute" => shown(client.execute_action(&self.id(0)).await?),
            "update" => shown(client.patch_action(&self.id(0), &self.request()?).await?),
            _ => unknown(self.call),
        }
    }

    async fn of_rules(&self, client: &Client) -> Given {
        match self.call {
            "flows.put" => shown(client.put_flow(&self.id(0), &self.request()?).await?),
            "flows.get" => shown(client.find_flow(&self.id(0)).await?),
            "flows.list" => list(client.flows(self.text("scope").as_deref()).await?, "flows"),
            "flows.delete" => shown(client.delete_flow(&self.id(0)).await?),
            "roles.register" => list(client.register_roles(&self.request()?).await?, "roles"),
            "roles.get" => shown(client.find_role(&self.id(0)).await?),
            "roles.list" => list(client.roles(self.text("scope").as_deref()).await?, "roles"),
            _ => unknown(self.call),
        }
    }

    async fn of_orchestrators(&self, client: &Client, method: &str) -> Given {
        match method {
            "register" => shown(client.register_orchestrator(&self.request()?).await?),
            "heartbeat" => shown(client.heartbeat(&self.id(0)).await?),
            "get" => shown(client.find_orchestrator(&self.id(0)).await?),
            "list" => {
                let filter = OrchestratorFilter { cluster: self.text("cluster"), status: self.text("status") };
                list(client.orchestrators(&filter).await?, "orchestrators")
            }
            "update" => shown(client.patch_orchestrator(&self.id(0), &self.request()?).await?),
            "rotate_key" => shown(client.rotate_key(&self.id(0)).await?),
            _ => unknown(self.call),
        }
    }

    async fn events(&self, client: &Client) -> Given {
        let query = EventQuery { after: self.text("last_event_id"), scope: self.text("scope"), reconnect: None };
        let (mut told, mut events) = (Vec::new(), client.follow(query));
        while told.len() < self.take {
            told.push(events.next().await?);
        }
        Ok(json!(told))
    }
}

/// What the table names and this client has not.
fn unknown(call: &str) -> Given {
    Err(Failure::mistake(format!("{UNKNOWN} {call}")))
}

/// Begins the message of [`unknown`].
pub const UNKNOWN: &str = "the client has no";
