import { patch, path, post, read, remove } from '../call.js'
import type { NewProject, Project, ProjectDeleted, ProjectPatch, Task } from '../models.js'
import type { Transport } from '../transport.js'
import { nullIfAbsent } from './tasks.js'

/** Which projects a list holds. */
export interface ProjectFilter {
  status?: string | readonly string[] | undefined
  scope?: string | undefined
  limit?: number | undefined
  offset?: number | undefined
}

/** Tasks that share a branch. */
export class Projects {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /** Makes a project. `name` means the same as `title`. */
  create(project: NewProject): Promise<Project> {
    return this.#transport.json(post(path('projects'), project))
  }

  /** Shows a project; null when there is none of that id. */
  async get(id: string): Promise<Project | null> {
    return this.#transport.json<Project>(read(path('projects', id))).catch(nullIfAbsent)
  }

  /** Lists projects. */
  async list(filter: ProjectFilter = {}): Promise<Project[]> {
    return (await this.#transport.json<{ projects: Project[] }>(read(path('projects'), { ...filter }))).projects
  }

  /** Lists a project's tasks. */
  async tasks(id: string, filter: { limit?: number; offset?: number } = {}): Promise<Task[]> {
    return (await this.#transport.json<{ tasks: Task[] }>(read(path('projects', id, 'tasks'), filter))).tasks
  }

  /** Changes the fields that it is given. */
  update(id: string, fields: ProjectPatch): Promise<Project> {
    return this.#transport.json(patch(path('projects', id), fields))
  }

  /** Deletes a project that has no tasks; one that has is an `OctopoidConflictError`. */
  delete(id: string): Promise<ProjectDeleted> {
    return this.#transport.json(remove(path('projects', id), { message: 'Project deleted', project_id: id }))
  }
}
