import { Worker } from 'node:worker_threads'
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'
import type { Tables } from './schema.js'

/** Read-only, in worker threads: for what must scan (search, exports), so that it never delays a door. */
export type Readers = Kysely<Tables>

/**
 * Opens read-only connections to the same file, each in a thread of its own. A scan cannot be interrupted:
 * bound each query, and page exports by key.
 * @param threads how many scans may run at once
 */
export function openReaders(path: string, { threads = 2 }: { threads?: number } = {}): Readers {
  return new Kysely<Tables>({ dialect: new WorkerDialect(path, threads) })
}

class WorkerDialect implements Dialect {
  readonly #path: string
  readonly #threads: number

  constructor(path: string, threads: number) {
    this.#path = path
    this.#threads = threads
  }
  createDriver() {
    return new WorkerDriver(this.#path, this.#threads)
  }
  createQueryCompiler() {
    return new SqliteQueryCompiler()
  }
  createAdapter() {
    return new SqliteAdapter()
  }
  createIntrospector(db: Kysely<unknown>) {
    return new SqliteIntrospector(db)
  }
}

/** Gives each query to the thread with the least to do. Threads start when first needed. */
class WorkerDriver implements Driver {
  readonly #path: string
  readonly #threads: number
  #connections: WorkerConnection[] = []

  constructor(path: string, threads: number) {
    this.#path = path
    this.#threads = threads
  }
  async init() {}
  async acquireConnection() {
    this.#connections = this.#connections.filter(({ dead }) => !dead)
    const idle = this.#connections.find((connection) => connection.waiting === 0)
    if (idle) return idle
    if (this.#connections.length < this.#threads) {
      const connection = new WorkerConnection(this.#path)
      this.#connections.push(connection)
      return connection
    }
    return this.#connections.reduce((least, other) => (other.waiting < least.waiting ? other : least))
  }
  async beginTransaction(): Promise<void> {
    throw new Error('The readers only read.')
  }
  async commitTransaction() {}
  async rollbackTransaction() {}
  async releaseConnection() {}
  async destroy() {
    await Promise.all(this.#connections.map((connection) => connection.close()))
  }
}

class ReaderEnded extends Error {
  constructor(options?: ErrorOptions) {
    super('The reading thread has ended.', options)
  }
}

class WorkerConnection implements DatabaseConnection {
  /** The thread has ended (the file cannot be opened, or memory ran out): another one has to take its place. */
  dead = false
  readonly #worker: Worker
  #next = 0
  readonly #answers = new Map<
    number,
    { resolve: (rows: unknown[]) => void; reject: (error: Error) => void }
  >()

  constructor(path: string) {
    this.#worker = new Worker(new URL('./worker.js', import.meta.url), {
      workerData: { path },
      // A thread holds a page of rows at a time; left to itself its heap would grow as if it were the only one.
      resourceLimits: { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 16 },
    })
    this.#worker.on('message', ({ id, rows, error }) => {
      const answer = this.#answers.get(id)
      this.#answers.delete(id)
      if (error) answer?.reject(Object.assign(new Error(error.message), { code: error.code }))
      else answer?.resolve(rows)
    })
    this.#worker.on('error', (error) => this.#end(error))
    this.#worker.on('exit', () => this.#end())
  }
  get waiting() {
    return this.#answers.size
  }
  /** Whoever waits is told: a thread that is gone answers nobody. */
  #end(cause?: unknown) {
    this.dead = true
    for (const answer of this.#answers.values()) answer.reject(new ReaderEnded({ cause }))
    this.#answers.clear()
  }
  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const id = this.#next++
    const rows = await new Promise<unknown[]>((resolve, reject) => {
      if (this.dead) return reject(new ReaderEnded())
      this.#answers.set(id, { resolve, reject })
      this.#worker.postMessage({ id, sql: query.sql, parameters: query.parameters })
    })
    return { rows: rows as R[] }
  }
  // biome-ignore lint/correctness/useYield: Kysely asks for the method; nothing here streams.
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('Page a long read by key instead of streaming it.')
  }
  async close() {
    await this.#worker.terminate()
  }
}
