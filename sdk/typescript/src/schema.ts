// Written by scripts/generate.mjs from ../openapi.json: run `npm run generate`, do not edit.

export type paths = Record<string, never>;
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** @description Judges that the work is good. */
        AcceptRequest: {
            /** @description Who judged. */
            accepted_by: string;
            /** @description Why, for the history. */
            reason?: string | null;
        };
        /** @description One action, every field always present. */
        Action: {
            /** @description What whoever executes it needs, as JSON text. */
            action_data: string | null;
            /** @description What it is, `proposal` by default. */
            action_type: string;
            /** @description When it was proposed. */
            created_at: string;
            /** @description More about it. */
            description: string | null;
            /** @description Which one. */
            entity_id: string;
            /** @description What kind of thing it is about, for example `task`. */
            entity_type: string;
            /** @description When its execution was asked for. */
            executed_at: string | null;
            /** @description When it is no longer wanted, unless it was begun. */
            expires_at: string | null;
            /** @description The action's id. */
            id: string;
            /** @description What people see. */
            label: string;
            /** @description Anything, as JSON text. */
            metadata: string | null;
            /** @description Who proposed it. */
            proposed_by: string;
            /** @description What it led to, as text. */
            result: string | null;
            /** @description The tenant. */
            scope: string;
            /** @description proposed, execute_requested, executing, completed or failed. */
            status: string;
            /** @description When its status was last set. */
            updated_at: string;
        };
        /** @description One page of actions, newest first. What expired before anybody began it is left out. */
        ActionList: {
            /** @description The actions of this page. */
            actions: components["schemas"]["Action"][];
            /**
             * Format: int64
             * @description How many a page holds.
             */
            limit: number;
            /**
             * Format: int64
             * @description How many were skipped.
             */
            offset: number;
            /**
             * Format: int64
             * @description How many match in all.
             */
            total: number;
        };
        /** @description Tells how the execution of an action goes. */
        ActionPatch: {
            /** @description What it led to: a text, or any JSON. */
            result?: unknown;
            /** @description executing, completed or failed. */
            status?: string;
        };
        /** @description Takes an attempt up again that lost. */
        AdoptRequest: {
            /** @description Who adopts it. */
            adopted_by?: string | null;
            /** @description The attempt's name, such as `2-3fa9c2d1`, or its number where only one attempt has it. */
            attempt: string;
        };
        /** @description One process of an agent. */
        AgentInstance: {
            /** @description The attempt. */
            attempt: string;
            /**
             * Format: double
             * @description Cost so far in US dollars, where the agent's program says so.
             */
            cost_usd: number | null;
            /**
             * Format: int32
             * @description The process.
             */
            pid: number | null;
            /** @description When it started. */
            since: string;
            /** @description The task. */
            task_id: string;
            /**
             * Format: int64
             * @description Turns so far, where the agent's program says so.
             */
            turns: number | null;
        };
        /**
         * @description What an agent is about.
         * @enum {string}
         */
        AgentState: "idle" | "running" | "paused" | "waiting" | "disabled";
        /** @description One agent of agents.yaml. */
        AgentStatus: {
            /** @description What it works on. */
            instances: components["schemas"]["AgentInstance"][];
            /** @description Its name. */
            name: string;
            /** @description When it may start next. */
            next_run_at: string | null;
            /** @description When a pause ends by itself. */
            paused_until: string | null;
            /** @description Why it waits or is paused. */
            reason: string | null;
            /** @description Its role. */
            role: string;
            /** @description What it is about. */
            state: components["schemas"]["AgentState"];
        };
        /** @description Lets a machine in. */
        ApproveRequest: {
            /** @description What it may do: admin, worker or reader; worker where none is given. */
            access?: string | null;
            /** @description The code that both sides show. */
            code: string;
        };
        /** @description One try at a task: from a claim to its end. */
        AttemptInfo: {
            /** @description The agent that claimed it. */
            agent: string | null;
            /** @description The name, `<epoch>-<8 hex>`. */
            attempt: string;
            /** @description The commit that the work starts from. */
            base: string | null;
            /** @description The branch that holds the work. */
            branch: string | null;
            /** @description When it was claimed. */
            claimed_at: string;
            /**
             * Format: int64
             * @description Commits of its submit.
             */
            commits_count: number | null;
            /**
             * Format: double
             * @description What it cost, in US dollars, where the agent's program says so.
             */
            cost_usd: number | null;
            /** @description Whether the task's state rests on this attempt. */
            current: boolean;
            /** @description When it ended. */
            ended_at: string | null;
            /**
             * Format: int64
             * @description The claim's epoch.
             */
            epoch: number;
            /** @description The submitted commit. */
            head: string | null;
            /** @description The name of the node that claimed it. */
            node: string | null;
            /** @description What its agent wrote about the work. */
            notes: string | null;
            /** @description The orchestrator that claimed it. */
            orchestrator_id: string | null;
            /** @description Why it ended, or what a review said. */
            reason: string | null;
            /** @description claimed, submitted, accepted, rejected, failed, released, expired, moved or superseded. */
            state: string;
            /** @description When it was submitted. */
            submitted_at: string | null;
            /**
             * Format: int64
             * @description Turns of its submit.
             */
            turns_used: number | null;
        };
        /** @description Every try at a task, oldest first. */
        Attempts: {
            /** @description The attempts. */
            attempts: components["schemas"]["AttemptInfo"][];
        };
        /** @description Who grants claims and judges work. */
        AuthorityInfo: {
            /** @description The name of the node whose grants and verdicts alone count; null outside server-wins mode. */
            authority: string | null;
            /** @description local, mesh or server-wins. */
            mode: string;
            /** @description Whether it is this node. */
            own: boolean;
            /** @description That node's id in the network. */
            peer_id: string | null;
            /**
             * Format: int64
             * @description How often the cluster has set its policy; every move of the authority is one more.
             */
            policy: number;
            /** @description Whether it can be reached now: it is this node, or connected. */
            reachable: boolean;
        };
        /** @description Sets who grants claims and judges work. */
        AuthorityRequest: {
            /** @description Takes the authority from a node that cannot be asked; what it grants after that does not count. */
            force?: boolean;
            /** @description The node's name or peer id; null for none, which makes the cluster one of equals. To leave it out is an error. */
            node: string | null;
        };
        /** @description Accepted work that is not merged. */
        AwaitingMerge: {
            /** @description Why. */
            reason: string;
            /** @description The task. */
            task_id: string;
        };
        /** @description Gives a task up. */
        CancelRequest: {
            /** @description Who gave it up. */
            cancelled_by?: string | null;
            /** @description Why, for the history. */
            reason?: string | null;
        };
        /** @description Asks for the next task that an agent may work on. */
        ClaimRequest: {
            /** @description The agent that will hold the task. */
            agent_name: string;
            /**
             * Format: int32
             * @description Seconds until the claim ends unless renewed: 1 to 3,600, default 300.
             */
            lease_duration_seconds?: number | null;
            /** @description The orchestrator that the agent belongs to; one that never registered is accepted and listed. */
            orchestrator_id: string;
            /** @description Defaults to `incoming`, or to what the first role claims from. */
            queue?: string | null;
            role_filter?: components["schemas"]["StringList"] | null;
            /** @description Defaults to the node's own scope. */
            scope?: string | null;
            type_filter?: components["schemas"]["StringList"] | null;
        };
        /** @description The cluster as one node sees it. */
        ClusterInfo: {
            /** @description Where this node can be reached, each with its peer id. */
            addresses: string[];
            /** @description The name of the node that grants claims in server-wins mode. */
            authority: string | null;
            /** @description The cluster's id. */
            cluster_id: string;
            /** @description The name of the node that merges where there is no remote. */
            integrator: string | null;
            /** @description Whether this node was told to keep to itself. */
            kept_offline: boolean;
            /** @description Every member, this node among them. */
            members: components["schemas"]["MemberInfo"][];
            /** @description local, mesh or server-wins. */
            mode: string;
            /** @description The cluster's name; null for a project of its own. */
            name: string | null;
            /** @description Whether there are other members and none is connected; in server-wins mode, whether the authority is not. */
            offline: boolean;
            /**
             * Format: int64
             * @description How many records of this node no other member holds yet; in server-wins mode, the authority.
             */
            pending_sync: number;
        };
        /** @description Names the cluster. */
        ClusterName: {
            /** @description The name. */
            name: string;
        };
        /** @description Cuts a node off from all members, or lets it connect again. */
        ClusterOffline: {
            /** @description Whether it keeps to itself. */
            offline: boolean;
        };
        /** @description Names a request to join. */
        CodeRequest: {
            /** @description The code that both sides show. */
            code: string;
        };
        /** @description What lost about one task, or about a document of another collection. */
        Conflict: {
            /** @description Attempts that lost to another one, or were accepted besides it. Their branches are kept. */
            attempts: components["schemas"]["AttemptInfo"][];
            /** @description The collection of what is no task: `project` or `draft`; null for a task. */
            collection: string | null;
            /** @description Creations of the same id by nodes that knew nothing of each other: they are one task now. */
            creations: components["schemas"]["ConflictingCreation"][];
            /** @description Blockers that are not waited for, because each closes a circle of tasks that wait for each other. */
            cut_blockers: string[];
            /** @description Whether somebody has dismissed all of it. */
            dismissed: boolean;
            /** @description Commits of merges besides the one that counts. */
            merges: string[];
            /** @description What was done without reaching the authority, and what stands instead; the latest 64. */
            overridden: components["schemas"]["OverriddenChange"][];
            /** @description Its queue. */
            queue: string;
            /** @description Its tenant. */
            scope: string;
            /** @description The task, or the document's id in its collection. */
            task_id: string;
            /** @description Its title; empty for what is no task, as its queue is. */
            title: string;
            /** @description The attempt that the task rests on; null while none does. */
            winner: string | null;
        };
        /**
         * @description Tasks about which something lost that nobody has dismissed, the newest first; before them projects and drafts of which something was
         *     overridden.
         */
        ConflictList: {
            /** @description The page. */
            conflicts: components["schemas"]["Conflict"][];
            /**
             * Format: int64
             * @description The page's size.
             */
            limit: number;
            /**
             * Format: int64
             * @description How many were skipped.
             */
            offset: number;
            /**
             * Format: int64
             * @description How many there are.
             */
            total: number;
        };
        /** @description A creation of a task that another node had made too. */
        ConflictingCreation: {
            /** @description When, by that node's clock. */
            created_at: string;
            /** @description The name of the node that made it. */
            node: string;
            /** @description The record, as hex. */
            record_id: string;
        };
        /** @description The answer to a deletion. */
        Deleted: {
            /** @description `Task deleted`. */
            message: string;
            /** @description The id that is gone. */
            task_id: string;
        };
        /** @description What a look through the store found. */
        Doctor: {
            /** @description The store as it was before they were; null when they were not. */
            backup: string | null;
            /** @description Whether nothing is wrong. */
            ok: boolean;
            /** @description What is wrong, one line each. */
            problems: string[];
            /** @description Whether the views were rebuilt. */
            rebuilt: boolean;
            /**
             * Format: int64
             * @description Records in the store.
             */
            records: number;
            /**
             * Format: int64
             * @description Tasks in the views.
             */
            tasks: number;
        };
        /** @description One draft, every field always present. */
        Draft: {
            /** @description Who had the idea. */
            author: string | null;
            /** @description When it was made. */
            created_at: string;
            /** @description What it is about. */
            domain: string | null;
            /** @description The file that holds the text. */
            file_path: string | null;
            /**
             * Format: int64
             * @description The id, unique in its scope; below 2^53.
             */
            id: number;
            /** @description The project that it became, or belongs to. */
            linked_project_id: string | null;
            /** @description The task that it became, or belongs to. */
            linked_task_id: string | null;
            /** @description The tenant. */
            scope: string;
            /** @description idea, draft, review, approved, implemented or archived. */
            status: string;
            /** @description Words to find it by, as JSON text: a list of texts. */
            tags: string | null;
            /** @description One line for people. */
            title: string;
            /** @description When it was last changed. */
            updated_at: string;
        };
        /** @description Tells that a draft is gone. */
        DraftDeleted: {
            /**
             * Format: int64
             * @description The id that it had.
             */
            draft_id: number;
            /** @description `Draft deleted`. */
            message: string;
        };
        /** @description One page of drafts. */
        DraftList: {
            /** @description The drafts of this page. */
            drafts: components["schemas"]["Draft"][];
            /**
             * Format: int64
             * @description How many a page holds.
             */
            limit: number;
            /**
             * Format: int64
             * @description How many were skipped.
             */
            offset: number;
            /**
             * Format: int64
             * @description How many match in all.
             */
            total: number;
        };
        /** @description Changes the fields of a draft that it names and leaves the others. */
        DraftPatch: {
            author?: string | null;
            domain?: string | null;
            file_path?: string | null;
            linked_project_id?: string | null;
            linked_task_id?: string | null;
            /** @description idea, draft, review, approved, implemented or archived. */
            status?: string;
            /** @description All tags, instead of those before. */
            tags?: string[] | null;
            title?: string;
        };
        /** @description The body of every answer that is an error. */
        ErrorBody: {
            /** @description The tasks that an id, or its beginning, could mean. */
            candidates?: components["schemas"]["Resolved"][];
            /** @description Each guard that a refused transition failed. */
            details?: string[];
            /** @description What was wrong. */
            error: string;
            /** @description More about it, on unknown routes and empty queues. */
            message?: string | null;
            /** @description The task that was not found. */
            task_id?: string | null;
            /** @description When it was answered, on unknown routes. */
            timestamp?: string | null;
        };
        /** @description One server-sent event. Its `data` line is this as JSON; `id` and `event` lines repeat the id and the kind. */
        Event: {
            /** @description What it is about besides tasks: the id or name of the project, draft, message, action, flow or role. */
            entity_id: string | null;
            /** @description What `Last-Event-ID` takes to go on after this event. */
            id: string;
            /** @description The peer that it is about. */
            peer: string | null;
            /** @description Where that task now waits. */
            queue: string | null;
            /** @description The tenant of what it is about. */
            scope: string | null;
            /** @description The task that it is about; of a message, its task. */
            task_id: string | null;
            /** @description When the node saw it. */
            timestamp: string;
            /**
             * @description task.created, task.updated, task.claimed and so on; project and draft with created, updated, deleted; message.created;
             *     action.created, action.updated; flow.updated, flow.deleted; role.registered; peer.up or peer.down.
             */
            type: string;
            /**
             * Format: int64
             * @description That task's version.
             */
            version: number | null;
        };
        /** @description Everything that a node knows and another can take in. Rows are objects by column name. */
        Export: {
            /** @description Actions, oldest first. */
            actions: {
                [key: string]: unknown;
            }[];
            /** @description Agents of another system, as they were imported. */
            agents: {
                [key: string]: unknown;
            }[];
            /** @description Null: settings are files of the repository. */
            config: unknown;
            /** @description Drafts. */
            drafts: {
                [key: string]: unknown;
            }[];
            /** @description When it was made. */
            exported_at: string;
            /** @description Empty: bodies are in `tasks`. */
            files: {
                [key: string]: string;
            };
            /** @description Flows. */
            flows: {
                [key: string]: unknown;
            }[];
            /** @description `octopoid-export`. */
            format: string;
            /** @description Messages, oldest first. */
            messages: {
                [key: string]: unknown;
            }[];
            /** @description Orchestrators; keys are not exported. */
            orchestrators: {
                [key: string]: unknown;
            }[];
            /** @description Projects. */
            projects: {
                [key: string]: unknown;
            }[];
            /** @description Roles. */
            roles: {
                [key: string]: unknown;
            }[];
            /** @description Which system made it. */
            source: components["schemas"]["ExportSource"];
            /** @description What happened to tasks, by `task_id`. */
            task_history: {
                [key: string]: unknown;
            }[];
            /** @description Tasks with their bodies as `content`. */
            tasks: {
                [key: string]: unknown;
            }[];
            /**
             * Format: int64
             * @description 1.
             */
            version: number;
        };
        /** @description Where an export comes from. */
        ExportSource: {
            /** @description `octopoid`. */
            kind: string;
            /**
             * Format: int64
             * @description The version of the rows.
             */
            schema_version: number;
            /** @description How far times without a zone are from UTC; there are none here. */
            tz_offset: string;
        };
        /** @description One flow, every field always present. */
        Flow: {
            /** @description When it was first registered. */
            created_at: string;
            /** @description The name, unique in its scope; tasks name it in `flow`. */
            name: string;
            /** @description The tenant. */
            scope: string;
            /** @description The states, as JSON text: a list of names. */
            states: string;
            /** @description The steps, as JSON text: a list of `{"from", "to"}`. */
            transitions: string;
            /** @description When it was last changed. */
            updated_at: string;
        };
        /** @description Tells that a flow is gone. */
        FlowDeleted: {
            /** @description `Flow deleted`. */
            message: string;
            /** @description The name that it had. */
            name: string;
        };
        /** @description One page of flows, in the order of their names. */
        FlowList: {
            /** @description The flows of this page. */
            flows: components["schemas"]["Flow"][];
            /**
             * Format: int64
             * @description How many a page holds.
             */
            limit: number;
            /**
             * Format: int64
             * @description How many were skipped.
             */
            offset: number;
            /**
             * Format: int64
             * @description How many there are in all.
             */
            total: number;
        };
        /** @description The states of one flow. */
        FlowStates: {
            /** @description The names of the states. */
            states: string[];
        };
        /** @description A step from one state to another. */
        FlowTransition: {
            /** @description Where it begins. */
            from: string;
            /** @description Where it leads. */
            to: string;
        };
        /** @description Moves a task past its flow. */
        ForceQueueRequest: {
            /** @description Who asked. */
            forced_by?: string | null;
            /** @description Where it should wait. */
            queue: string;
            /** @description Why, for the history and as a message. */
            reason: string;
        };
        /** @description One thing that was, or would be, removed; or that stays. */
        GcItem: {
            /** @description Whether it stays all the same, since something could get lost or it could not be removed. */
            kept: boolean;
            /** @description worktree, log or branch. */
            kind: string;
            /** @description Where it is. */
            path: string;
            /** @description Why it may go, or why it stays. */
            reason: string;
        };
        /** @description What was, or would be, removed. */
        GcReport: {
            /** @description One entry for each thing. */
            items: components["schemas"]["GcItem"][];
        };
        /** @description Asks for what finished attempts left behind to be removed. */
        GcRequest: {
            /** @description Whether nothing is removed and everything told. */
            dry_run?: boolean;
        };
        /** @description A node's state of health. */
        Health: {
            /** @description The cluster's name; null for a lone node. */
            cluster: string | null;
            /** @description connected, or why not. */
            database: string;
            /** @description local, peers or server-wins. */
            mode: string | null;
            /** @description The node's name. */
            node: string | null;
            /** @description healthy or unhealthy. */
            status: string;
            /** @description When this was answered. */
            timestamp: string;
            /** @description The version of the API, `2.0.0`. */
            version: string;
        };
        /** @description A sign of life. Its body is optional, and so is everything in it. */
        Heartbeat: {
            /** @description The sender's time; the node keeps its own. */
            timestamp?: string | null;
        };
        /** @description The answer to a sign of life. */
        HeartbeatAnswer: {
            /** @description When it was heard. */
            last_heartbeat: string;
            /** @description Always true. */
            success: boolean;
        };
        /** @description A task's audit trail, oldest first. */
        History: {
            /** @description The events. */
            history: components["schemas"]["HistoryEvent"][];
        };
        /** @description One line of the audit trail. */
        HistoryEvent: {
            /** @description Who did it. */
            agent: string | null;
            /** @description More about it, for people. */
            details: string | null;
            /**
             * @description What happened: created, claimed, review_claimed, submitted, accepted, rejected, requeued, blocked, unblocked,
             *     lease_expired, burnout_detected, force_queue, superseded, conflict or archived. A task that came from another system
             *     has what happened there before these, by that system's names, then how its queue was read, and imported.
             */
            event: string;
            /** @description The name of the node that wrote it. */
            node: string | null;
            /** @description The record that says so, as hex; null for what follows from several. */
            record_id: string | null;
            /** @description When, by the clock of the node that wrote it. */
            timestamp: string;
        };
        /** @description Reports the end of one hook of a task. */
        HookCompletion: {
            /** @description What shows it: any JSON. */
            evidence?: unknown;
            /** @description How it ended. */
            status: components["schemas"]["HookStatus"];
        };
        /**
         * @description How a hook ended.
         * @enum {string}
         */
        HookStatus: "passed" | "failed";
        /** @description How many rows of a table went where. */
        ImportCounts: {
            /**
             * Format: int64
             * @description Rows that were written.
             */
            imported: number;
            /**
             * Format: int64
             * @description Rows that were left out.
             */
            skipped: number;
            /**
             * Format: int64
             * @description Rows of the source.
             */
            source: number;
            /**
             * Format: int64
             * @description Rows that were there already.
             */
            unchanged: number;
        };
        /** @description How far an import is. */
        ImportProgress: {
            /**
             * Format: int64
             * @description Steps that are done.
             */
            done: number;
            /** @description An import runs. */
            running: boolean;
            /**
             * Format: int64
             * @description All steps.
             */
            total: number;
        };
        /** @description What an import did, or would do. */
        ImportReport: {
            /** @description Nothing was written: it was only tried. */
            dry_run: boolean;
            /** @description Every row that was left out. */
            skipped: components["schemas"]["SkippedRow"][];
            /** @description Which system the rows come from. */
            source: string;
            /** @description How many rows went where, by table; `source` is the sum of the others. */
            tables: {
                [key: string]: components["schemas"]["ImportCounts"];
            };
            /** @description What is worth telling, one sentence each. */
            warnings: string[];
        };
        /** @description Sets which node merges where there is no remote. */
        IntegratorRequest: {
            /** @description The node's name or peer id. */
            node: string;
        };
        /** @description An invitation for one machine. */
        Invitation: {
            /** @description What the new member may do. */
            access: string;
            /** @description When it ends. */
            expires_at: string;
            /** @description The text for `octopoid init --join`. Whoever has it can join once. */
            ticket: string;
        };
        /** @description Asks for an invitation. */
        InviteRequest: {
            /** @description admin, worker or reader; worker where none is given. */
            access?: string | null;
            /**
             * Format: int64
             * @description How long it is valid, in seconds; an hour where none is given, 30 days at most.
             */
            expires_seconds?: number | null;
        };
        /** @description The key with which machines join by a node's API; it is told once. */
        JoinKey: {
            /** @description The key, for `octopoid init --server URL --api-key KEY`. It opens nothing else. */
            api_key: string;
        };
        /** @description What became of a join key. */
        JoinKeyRemoved: {
            /** @description Whether there was one. */
            removed: boolean;
        };
        /** @description A member of the cluster. */
        MemberInfo: {
            /** @description admin, worker or reader. */
            access: string;
            /** @description Where it is connected or may be reached. */
            addresses: string[];
            /**
             * Format: int32
             * @description How many agents work there.
             */
            agents: number | null;
            /** @description Why it claims nothing, where it says so. */
            idle: string | null;
            /**
             * Format: int64
             * @description How many records it is known to lack or has not acknowledged; during a long catch-up at most so many.
             */
            lag: number;
            /** @description Why it could not be reached last. */
            last_failure: string | null;
            /**
             * @description Since when it is connected or is not; null when this node never was connected to it. After a crash of this node the time
             *     may be five minutes early.
             */
            last_seen: string | null;
            /** @description What of that it did last. */
            last_strike: string | null;
            /** @description What people call it. */
            name: string;
            /** @description Its id in the network. */
            peer_id: string;
            /** @description this node, connected, offline or unseen. */
            state: string;
            /**
             * Format: int64
             * @description How often it did what no correct node does, since this node's start.
             */
            strikes: number;
            /** @description The version of its program. */
            version: string | null;
        };
        /** @description Asks for the merge of accepted work that awaits it. */
        MergeRequest: {
            /** @description Who asked. */
            merged_by?: string | null;
        };
        /** @description One message. */
        Message: {
            /** @description The text. */
            content: string;
            /** @description When it was written. */
            created_at: string;
            /** @description Who wrote it. */
            from_actor: string;
            /** @description The message's id. */
            id: string;
            /** @description The message that it answers. */
            parent_message_id: string | null;
            /** @description The tenant. */
            scope: string;
            /** @description The task that it is about. */
            task_id: string;
            /** @description The first message of its thread; its own id where it is that. */
            thread_id: string | null;
            /** @description Who should read it. */
            to_actor: string | null;
            /** @description What it is, for example `rejection` or `force_queue`. */
            type: string;
        };
        /** @description One page of messages, oldest first. */
        Messages: {
            /**
             * Format: int64
             * @description How many a page holds.
             */
            limit: number;
            /** @description The messages of this page. */
            messages: components["schemas"]["Message"][];
            /**
             * Format: int64
             * @description How many were skipped.
             */
            offset: number;
            /**
             * Format: int64
             * @description How many match in all.
             */
            total: number;
        };
        /** @description Proposes an action. */
        NewAction: {
            /** @description Any JSON. */
            action_data?: unknown;
            /** @description Defaults to `proposal`. */
            action_type?: string | null;
            /** @description More about it. */
            description?: string | null;
            /** @description Which one. */
            entity_id: string;
            /** @description What kind of thing it is about. */
            entity_type: string;
            /** @description When it is no longer wanted. */
            expires_at?: string | null;
            /** @description What people see. */
            label: string;
            /** @description Any JSON. */
            metadata?: unknown;
            /** @description Who proposes it. */
            proposed_by?: string | null;
            /** @description Defaults to the node's own scope. */
            scope?: string | null;
        };
        /** @description Asks for a new draft; its node gives the id. */
        NewDraft: {
            /** @description Who had the idea. */
            author?: string | null;
            /** @description What it is about. */
            domain?: string | null;
            /** @description The file that holds the text. */
            file_path?: string | null;
            /** @description The project that it belongs to. */
            linked_project_id?: string | null;
            /** @description The task that it belongs to. */
            linked_task_id?: string | null;
            /** @description Defaults to the node's own scope. */
            scope?: string | null;
            /** @description Defaults to `idea`. */
            status?: string | null;
            /** @description Words to find it by. */
            tags?: string[] | null;
            /** @description One line for people. */
            title: string;
        };
        /** @description Writes a message. */
        NewMessage: {
            /** @description The text. */
            content: string;
            /** @description Who writes it. */
            from_actor: string;
            /** @description The message of the same task that it answers. */
            parent_message_id?: string | null;
            /** @description Defaults to the node's own scope. */
            scope?: string | null;
            /** @description The task that it is about. */
            task_id: string;
            /** @description Who should read it. */
            to_actor?: string | null;
            /** @description What it is. */
            type: string;
        };
        /** @description Asks for a new project. */
        NewProject: {
            /** @description Whether its tasks' submits need no review. */
            auto_accept?: boolean | null;
            /** @description Defaults to `main`. */
            base_branch?: string | null;
            /** @description Defaults to `project/<id>`. */
            branch?: string | null;
            /** @description Who makes it. */
            created_by?: string | null;
            /** @description What it is for. */
            description?: string | null;
            /** @description The id. */
            id: string;
            /** @description What the first SDKs call the title; the title wins where both are given. */
            name?: string | null;
            /** @description Defaults to the node's own scope. */
            scope?: string | null;
            /** @description Defaults to `draft`. */
            status?: string | null;
            /** @description One line for people; `name` means the same. */
            title?: string | null;
        };
        /** @description A role to be registered. */
        NewRole: {
            /** @description The queue that its agents claim from; `incoming` when left out. */
            claims_from?: string | null;
            /** @description What it is for. */
            description?: string | null;
            /** @description Its name. */
            name: string;
        };
        /** @description Asks for a new task; a field left out or null takes its default. */
        NewTask: {
            /** @description Whether a submit needs no review. */
            auto_accept?: boolean | null;
            /** @description Ids of tasks that must be done first, comma separated. */
            blocked_by?: string | null;
            /** @description Defaults to `main`; a project's branch overrides it. */
            branch?: string | null;
            /** @description Names of checks, comma separated. */
            checks?: string | null;
            /** @description `XS` to `XL`. */
            complexity?: string | null;
            /** @description What is to be done. */
            content?: string | null;
            /** @description Notes for whoever works on it. */
            execution_notes?: string | null;
            /** @description Where scripts keep the task's text. */
            file_path: string;
            /** @description Defaults to `default`. */
            flow?: string | null;
            /** @description Changes to the flow for this task alone: JSON, or JSON text. */
            flow_overrides?: unknown;
            /** @description Whether a plan exists. */
            has_plan?: boolean | null;
            /** @description Steps around the task's life: JSON, or JSON text. */
            hooks?: unknown;
            /** @description The id, `[A-Za-z0-9][A-Za-z0-9._-]{0,127}`. */
            id: string;
            /** @description Whether it is too large for one attempt. */
            needs_breakdown?: boolean | null;
            /** @description Whether a person is asked for. */
            needs_intervention?: boolean | null;
            /** @description The plan's id. */
            plan_id?: string | null;
            /**
             * Format: int64
             * @description The pull request's number.
             */
            pr_number?: number | null;
            /** @description The pull request's address. */
            pr_url?: string | null;
            /** @description `P0` to `P3`; defaults to `P2`. */
            priority?: string | null;
            /** @description The project that the task belongs to. */
            project_id?: string | null;
            /** @description Any queue but claimed; defaults to `incoming`. */
            queue?: string | null;
            /** @description The agents' role that should work on it. */
            role?: string | null;
            /** @description Defaults to the node's own scope. */
            scope?: string | null;
            /** @description Where the work can be seen. */
            staging_url?: string | null;
            /** @description Defaults to the id. */
            title?: string | null;
            /** @description A kind of one's own. */
            type?: string | null;
        };
        /** @description The body that answers a claim when no task waits: no error. */
        NoTasks: {
            /** @description No tasks available. */
            message: string;
        };
        /** @description One node's process. */
        NodeInfo: {
            /** @description Where the REST API listens; null when it does not. */
            api_url: string | null;
            /** @description The machine's name. */
            machine_id: string;
            /** @description The node's id in the network. */
            peer_id: string;
            /**
             * Format: int32
             * @description The process; null when the store was opened without a node.
             */
            pid: number | null;
            /** @description When the process started. */
            started_at: string | null;
            /** @description The program's version. */
            version: string;
        };
        /** @description Everything that `octopoid status` shows. */
        NodeStatus: {
            /** @description The agents of agents.yaml, in its order. */
            agents: components["schemas"]["AgentStatus"][];
            /** @description The name of the node whose grants and verdicts alone count, in server-wins mode. */
            authority: string | null;
            /** @description Accepted work that is not merged. */
            awaiting_merge: components["schemas"]["AwaitingMerge"][];
            /** @description The cluster's name; null for a project of its own. */
            cluster: string | null;
            /**
             * Format: int64
             * @description How many tasks of the cluster something lost about that nobody has dismissed.
             */
            conflicts: number;
            /**
             * Format: double
             * @description What all attempts on this node cost so far, in US dollars.
             */
            cost_usd: number;
            /**
             * Format: int64
             * @description Machines that ask to join.
             */
            join_requests: number;
            /** @description Whether the node was told to keep to itself. */
            kept_offline: boolean;
            /** @description The other members of the cluster. */
            members: components["schemas"]["MemberInfo"][];
            /** @description local, peers or server-wins. */
            mode: string;
            /** @description Where other clusters of this one's name answer on the local network, each with its peer id. */
            namesakes: string[];
            /** @description Ids of tasks that ask for a person. */
            needs_intervention: string[];
            /** @description The node that answers. */
            node: components["schemas"]["NodeInfo"];
            /** @description Whether there are other members and none is connected; in server-wins mode, whether the authority is not. */
            offline: boolean;
            /** @description Whether no new work is started. */
            paused: boolean;
            /**
             * Format: int64
             * @description How many records of this node no other member holds yet; in server-wins mode, the authority.
             */
            pending_sync: number;
            /** @description How many tasks each queue holds. */
            queues: {
                [key: string]: number;
            };
            /** @description Tasks that wait after a failed attempt, the next one to start first. */
            retrying: components["schemas"]["Retrying"][];
            /** @description Ids of submitted tasks that no agent will review. */
            waiting_for_review: string[];
            /** @description What a person should look at, one line each. */
            warnings: string[];
        };
        /** @description One orchestrator. */
        Orchestrator: {
            /** @description What it can do, as JSON text. */
            capabilities: string | null;
            /** @description The cluster's name. */
            cluster: string;
            /** @description The host's name. */
            hostname: string | null;
            /** @description `<cluster>-<machine_id>`. */
            id: string;
            /** @description When it was last heard; null when not since this node started. */
            last_heartbeat: string | null;
            /** @description The machine's name. */
            machine_id: string;
            /** @description When it first registered. */
            registered_at: string;
            /** @description The repository that it works on. */
            repo_url: string | null;
            /** @description The tenant. */
            scope: string;
            /** @description active, offline or maintenance. */
            status: string;
            /** @description Its program's version. */
            version: string | null;
        };
        /** @description One page of orchestrators. */
        OrchestratorList: {
            /**
             * Format: int64
             * @description How many a page holds.
             */
            limit: number;
            /**
             * Format: int64
             * @description How many were skipped.
             */
            offset: number;
            /** @description The orchestrators of this page. */
            orchestrators: components["schemas"]["Orchestrator"][];
            /**
             * Format: int64
             * @description How many match in all.
             */
            total: number;
        };
        /** @description Changes an orchestrator's status. */
        OrchestratorPatch: {
            /** @description active, offline or maintenance. */
            status: string;
        };
        /** @description A change that was made without reaching the authority, whose own goes before it. */
        OverriddenChange: {
            /** @description When, by that node's clock. */
            at: string;
            /** @description What stands; null for nothing, and for a body. */
            kept: string | null;
            /** @description What was wanted; null for nothing, and for a body. */
            lost: string | null;
            /** @description The name of the node that wanted it. */
            node: string;
            /** @description The record, as hex. */
            record_id: string;
            /** @description The field, `queue`, or `content`: a body's lines are merged. */
            what: string;
        };
        /** @description The answer to pause and resume: who starts nothing now. */
        Paused: {
            /** @description The agent; null for the whole node. */
            agent: string | null;
            /** @description Whether it is paused now. */
            paused: boolean;
            /** @description Agents that agents.yaml itself pauses, among those that were asked to go on: they stay paused until it says otherwise. */
            paused_in_file: string[];
        };
        /** @description Members, and those who ask to be. */
        Peers: {
            /** @description The members. */
            members: components["schemas"]["MemberInfo"][];
            /** @description Who asks to join. */
            pending: components["schemas"]["PendingMember"][];
        };
        /** @description A machine that asks to join. */
        PendingMember: {
            /** @description Whether it was approved here and waits for its own side. */
            approved: boolean;
            /** @description The code that both sides show. */
            code: string;
            /** @description What the machine calls itself. */
            name: string;
            /** @description Its id in the network. */
            peer_id: string;
        };
        /** @description What waits in a scope. */
        PollResponse: {
            /** @description The flows of that scope, by name. */
            flows: {
                [key: string]: components["schemas"]["FlowStates"];
            };
            /** @description Whether the asking orchestrator is registered. */
            orchestrator_registered: boolean;
            /** @description The tasks that wait for a verdict. */
            provisional_tasks: components["schemas"]["PollTask"][];
            /** @description How many tasks each queue holds. */
            queue_counts: {
                [key: string]: number;
            };
            /** @description The scope that is spoken of. */
            scope: string | null;
        };
        /** @description A task that waits for a verdict. */
        PollTask: {
            /** @description Who reviews it. */
            claimed_by: string | null;
            /** @description Its hooks, as JSON text. */
            hooks: string | null;
            /** @description The task's id. */
            id: string;
            /**
             * Format: int64
             * @description The pull request's number.
             */
            pr_number: number | null;
        };
        /** @description One project, every field always present. */
        Project: {
            /** @description Whether its tasks' submits need no review. */
            auto_accept: boolean;
            /** @description The branch that it is meant for. */
            base_branch: string | null;
            /** @description The branch of its tasks; `project/<id>` by default. */
            branch: string | null;
            /** @description When it was completed. */
            completed_at: string | null;
            /** @description When it was made. */
            created_at: string;
            /** @description Who made it. */
            created_by: string | null;
            /** @description What it is for. */
            description: string | null;
            /** @description The id, unique in its scope. */
            id: string;
            /** @description The tenant. */
            scope: string;
            /** @description draft, active, completed or archived. */
            status: string;
            /** @description One line for people. */
            title: string;
        };
        /** @description One page of projects. */
        ProjectList: {
            /**
             * Format: int64
             * @description How many a page holds.
             */
            limit: number;
            /**
             * Format: int64
             * @description How many were skipped.
             */
            offset: number;
            /** @description The projects of this page. */
            projects: components["schemas"]["Project"][];
            /**
             * Format: int64
             * @description How many match in all.
             */
            total: number;
        };
        /** @description Changes the fields of a project that it names and leaves the others. */
        ProjectPatch: {
            auto_accept?: boolean;
            base_branch?: string | null;
            branch?: string | null;
            description?: string | null;
            /** @description What the first SDKs call the title. */
            name?: string;
            /** @description `completed` sets `completed_at`. */
            status?: string;
            title?: string;
        };
        /** @description A project's tasks. */
        ProjectTasks: {
            /** @description The project. */
            project_id: string;
            /** @description Its tasks. */
            tasks: components["schemas"]["Task"][];
            /**
             * Format: int64
             * @description How many there are.
             */
            total: number;
        };
        /** @description Registers a flow, or replaces it; the path names it. */
        PutFlow: {
            /** @description Defaults to the node's own scope. */
            scope?: string | null;
            /** @description The states: incoming, claimed, done and failed at least. */
            states: string[];
            /** @description The steps; without any the built-in rules hold. */
            transitions?: components["schemas"]["FlowTransition"][];
        };
        /** @description The answer to a registration. */
        RegisterAnswer: {
            /** @description The scope's key, told once: at the scope's first registration. */
            api_key?: string | null;
            /** @description `<cluster>-<machine_id>`. */
            orchestrator_id: string;
            /** @description When it first registered. */
            registered_at: string;
            /** @description active, offline or maintenance. */
            status: string;
        };
        /** @description Makes an orchestrator known; harmless when repeated. */
        RegisterOrchestrator: {
            /** @description What it can do: any JSON. */
            capabilities?: unknown;
            /** @description The cluster's name, the first half of the id. */
            cluster: string;
            /** @description The host's name. */
            hostname?: string | null;
            /** @description The machine's name, the second half. */
            machine_id: string;
            /** @description The repository that it works on. */
            repo_url: string;
            /** @description Defaults to the node's own scope. */
            scope?: string | null;
            /** @description Its program's version. */
            version?: string | null;
        };
        /** @description Registers roles in an orchestrator's scope; harmless when repeated. */
        RegisterRoles: {
            /** @description Who registers them. */
            orchestrator_id: string;
            /** @description The roles. */
            roles: components["schemas"]["NewRole"][];
            /** @description The orchestrator's scope; needed only where its id is in several. */
            scope?: string | null;
        };
        /** @description The roles as they are registered now. */
        RegisteredRoles: {
            /** @description The roles, in the order of the request. */
            roles: components["schemas"]["Role"][];
        };
        /** @description Judges that the work is not good. */
        RejectRequest: {
            /** @description What is missing; the next attempt reads it. */
            reason: string;
            /** @description Who judged. */
            rejected_by: string;
        };
        /** @description Gives a claimed task back. */
        ReleaseRequest: {
            /** @description The holder; another one is refused with 409. */
            agent_name?: string | null;
            /**
             * Format: int64
             * @description The claim's epoch; an older one is refused with 409.
             */
            epoch?: number | null;
            /** @description Why, for the history. */
            reason?: string | null;
        };
        /** @description Removes a member. */
        RemoveRequest: {
            /** @description Why, for people. */
            reason?: string | null;
        };
        /** @description Keeps a claim alive. */
        RenewRequest: {
            /** @description The holder; another one is refused with 409. */
            agent_name: string;
            /**
             * Format: int64
             * @description The claim's epoch, when the caller knows it.
             */
            epoch?: number | null;
            /**
             * Format: int32
             * @description Seconds from now: 1 to 3,600, default 300.
             */
            lease_duration_seconds?: number | null;
        };
        /** @description Sends a task back to be tried again. */
        RequeueRequest: {
            /** @description Whether queues other than claimed and provisional are meant too, done excepted. */
            from_any?: boolean;
            /** @description Why, for the history. */
            reason?: string | null;
            /** @description Whether a task that is done or cancelled may be opened again; implies `from_any`. */
            reopen?: boolean;
            /** @description Who asked. */
            requeued_by?: string | null;
        };
        /** @description The one task that an id or its beginning means. */
        Resolved: {
            /** @description The whole id. */
            id: string;
            /** @description Its tenant. */
            scope: string;
        };
        /** @description A task that waits after a failed attempt. */
        Retrying: {
            /** @description When the next attempt may start. */
            retry_at: string;
            /** @description The task. */
            task_id: string;
        };
        /** @description A job that agents have. */
        Role: {
            /** @description The queue that its agents claim from. */
            claims_from: string | null;
            /** @description When it was first registered. */
            created_at: string;
            /** @description What it is for. */
            description: string | null;
            /** @description Its name; tasks name it in `role`. */
            name: string;
            /** @description Who registered it as it is now. */
            orchestrator_id: string | null;
            /** @description The tenant. */
            scope: string;
        };
        /** @description Registered roles, in the order of their names. */
        RoleList: {
            /**
             * Format: int64
             * @description How many a page holds.
             */
            limit: number;
            /**
             * Format: int64
             * @description How many were skipped.
             */
            offset: number;
            /** @description The roles of this page. */
            roles: components["schemas"]["Role"][];
            /**
             * Format: int64
             * @description How many there are in all.
             */
            total: number;
        };
        /** @description A row that was left out. */
        SkippedRow: {
            /** @description What names it there. */
            id: string;
            /** @description Why it was left out. */
            reason: string;
            /** @description Where it was. */
            table: string;
        };
        /** @description The answer of a node that is about to end; it answers before it does. */
        StopAnswer: {
            /**
             * Format: int32
             * @description The process that will be gone.
             */
            pid: number;
            /**
             * Format: int64
             * @description How many agents still run.
             */
            running: number;
            /** @description Always true. */
            stopping: boolean;
        };
        /** @description Tells a node to end. */
        StopRequest: {
            /** @description Whether running agents finish first. */
            drain?: boolean;
        };
        StringList: string | string[];
        /** @description Hands in finished work. */
        SubmitRequest: {
            /** @description The holder; another one is refused with 409. */
            agent_name?: string | null;
            /** @description What the checks found: JSON, or JSON text. */
            check_results?: unknown;
            /**
             * Format: int64
             * @description How many commits the attempt made.
             */
            commits_count: number;
            /**
             * Format: int64
             * @description The claim's epoch; an older one is refused with 409.
             */
            epoch?: number | null;
            /** @description What the agent wants to say about its work. */
            execution_notes?: string | null;
            /** @description The pull request's address; kept when left out. */
            pr_url?: string | null;
            /**
             * Format: int64
             * @description How many turns it took.
             */
            turns_used: number;
            /**
             * Format: int64
             * @description The version that the caller saw; another one is refused with 409.
             */
            version?: number | null;
        };
        /**
         * @description One task, every field always present.
         *
         *     The fields up to `needs_intervention` are those of the version 2 API in its order; the others are additions.
         */
        Task: {
            /** @description The winning attempt, `<epoch>-<8 hex>`. */
            attempt: string | null;
            /**
             * Format: int64
             * @description How often it was tried and given back.
             */
            attempt_count: number;
            /** @description Whether a submit needs no review. */
            auto_accept: boolean;
            /** @description Why accepted work is not merged yet. */
            awaiting_merge: string | null;
            /** @description Ids of open blockers, comma separated. */
            blocked_by: string | null;
            /** @description The branch that the work is meant for. */
            branch: string;
            /** @description What the checks found, as JSON text. */
            check_results: string | null;
            /** @description Names of checks, comma separated. */
            checks: string | null;
            /** @description When it was claimed. */
            claimed_at: string | null;
            /** @description The agent that holds the task or reviews it. */
            claimed_by: string | null;
            /**
             * Format: int64
             * @description Commits of the last submit.
             */
            commits_count: number;
            /** @description When it was done. */
            completed_at: string | null;
            /** @description `XS` to `XL`. */
            complexity: string | null;
            /** @description What is to be done. */
            content: string | null;
            /** @description Whether more than one attempt was accepted. */
            contested: boolean;
            /** @description When it was made. */
            created_at: string;
            /**
             * Format: int64
             * @description The highest epoch that counts; 0 before the first claim.
             */
            epoch: number;
            /** @description What the last attempt wrote about its work. */
            execution_notes: string | null;
            /** @description Where scripts keep the task's text; the node stores the path and never opens it. */
            file_path: string;
            /** @description The flow whose transitions it follows. */
            flow: string;
            /** @description Changes to that flow for this task alone, as JSON text. */
            flow_overrides: string | null;
            /** @description Whether a plan exists. */
            has_plan: boolean;
            /** @description The name of the node whose claim or review holds the task. */
            holder: string | null;
            /** @description Steps around the task's life, as JSON text. */
            hooks: string | null;
            /** @description The id, unique in its scope. */
            id: string;
            /** @description When a rebase was last tried. */
            last_rebase_attempt_at: string | null;
            /** @description When the claim ends if nobody renews it. */
            lease_expires_at: string | null;
            /** @description The commit that brought the work to the integration branch. */
            merged_commit: string | null;
            /** @description Whether it is too large for one attempt. */
            needs_breakdown: boolean;
            /** @description Whether a person is asked for. */
            needs_intervention: boolean;
            /** @description Whether the branch must be rebased before it can be merged. */
            needs_rebase: boolean;
            /** @description The name of the node that created the task. */
            node: string | null;
            /** @description The orchestrator that claimed it. */
            orchestrator_id: string | null;
            /** @description The plan's id. */
            plan_id: string | null;
            /**
             * Format: int64
             * @description The pull request's number.
             */
            pr_number: number | null;
            /** @description The pull request's address. */
            pr_url: string | null;
            /** @description `P0` (first) to `P3`. */
            priority: string;
            /** @description The project that the task belongs to. */
            project_id: string | null;
            /** @description Where the task waits, for example `incoming` or `done`. */
            queue: string;
            /**
             * Format: int64
             * @description How often a review rejected it.
             */
            rejection_count: number;
            /** @description When the next attempt may start, while the task waits after a failed one. */
            retry_at: string | null;
            /**
             * Format: int64
             * @description How many reviews have begun.
             */
            review_round: number;
            /** @description The agents' role that works on it. */
            role: string | null;
            /** @description The tenant. */
            scope: string;
            /** @description Where the work can be seen. */
            staging_url: string | null;
            /** @description When it was last submitted. */
            submitted_at: string | null;
            /** @description One line for people. */
            title: string;
            /**
             * Format: int64
             * @description Turns that the last submit took.
             */
            turns_used: number | null;
            /** @description A kind of one's own, which claims can filter by. */
            type: string | null;
            /** @description When it last changed. */
            updated_at: string;
            /**
             * Format: int64
             * @description 1 + the records applied to it after its creation.
             */
            version: number;
        };
        /** @description One page of tasks. */
        TaskList: {
            /**
             * Format: int64
             * @description How many a page holds.
             */
            limit: number;
            /**
             * Format: int64
             * @description How many were skipped.
             */
            offset: number;
            /** @description The tasks of this page. */
            tasks: components["schemas"]["Task"][];
            /**
             * Format: int64
             * @description How many match in all.
             */
            total: number;
        };
        /**
         * @description Changes the fields that it names and leaves the others.
         *
         *     A field of type `Option<Option<_>>` is set to null by `Some(None)`.
         */
        TaskPatch: {
            auto_accept?: boolean;
            blocked_by?: string | null;
            branch?: string;
            /** @description JSON, or JSON text. */
            check_results?: unknown;
            checks?: string | null;
            /** @description Null releases the task. */
            claimed_by?: string | null;
            /** Format: int64 */
            commits_count?: number;
            complexity?: string | null;
            content?: string | null;
            execution_notes?: string | null;
            file_path?: string;
            flow?: string;
            /** @description JSON, or JSON text. */
            flow_overrides?: unknown;
            has_plan?: boolean;
            /** @description JSON, or JSON text. */
            hooks?: unknown;
            last_rebase_attempt_at?: string | null;
            /** @description Null ends the lease, a time renews it. */
            lease_expires_at?: string | null;
            needs_breakdown?: boolean;
            needs_intervention?: boolean;
            needs_rebase?: boolean;
            orchestrator_id?: string | null;
            plan_id?: string | null;
            /** Format: int64 */
            pr_number?: number | null;
            pr_url?: string | null;
            priority?: string;
            project_id?: string | null;
            /** @description Moves the task; `done` and `claimed` are refused. */
            queue?: string;
            /** Format: int64 */
            review_round?: number;
            role?: string | null;
            staging_url?: string | null;
            title?: string;
            /** Format: int64 */
            turns_used?: number | null;
            type?: string | null;
            /**
             * Format: int64
             * @description The version that the caller saw; another one is refused with 409.
             */
            version?: number;
        };
    };
    responses: {
        /** @description The query, the path or the body is malformed, or a field of it is wrong */
        Refused400: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ErrorBody"];
            };
        };
        /** @description No token, or an unknown one */
        Refused401: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ErrorBody"];
            };
        };
        /** @description The token is of another scope, or the Origin of another site */
        Refused403: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ErrorBody"];
            };
        };
        /** @description There is nothing of this name */
        Refused404: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ErrorBody"];
            };
        };
        /** @description The path takes other methods */
        Refused405: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ErrorBody"];
            };
        };
        /** @description The body took too long */
        Refused408: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ErrorBody"];
            };
        };
        /** @description It is in several scopes, or its state forbids the call */
        Refused409: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ErrorBody"];
            };
        };
        /** @description The body is too large */
        Refused413: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ErrorBody"];
            };
        };
        /** @description The body is no JSON */
        Refused415: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ErrorBody"];
            };
        };
        /** @description The Host is of another place */
        Refused421: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ErrorBody"];
            };
        };
        /** @description The Idempotency-Key came with another request */
        Refused422: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ErrorBody"];
            };
        };
        /** @description The store does not write, or what the call needs is not reachable now */
        Refused503: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ErrorBody"];
            };
        };
    };
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export type operations = Record<string, never>;
