/**
 * The gateway's plain HTTP side: how the host is, and agents for those who cannot open a WebSocket.
 *
 *   GET  /healthz   200  the counters as JSON: the process lives; on the public port without addresses, for keys are secrets
 *   GET  /readyz    200, or 503 while it drains, is full or shuts down: send nobody new
 *   GET  /metrics   200  Prometheus text
 *   POST /agents/{Type}/{key}       JSON-RPC (Post)
 *   OPTIONS                         204 to a browser that asks for a page of another origin that may connect (Origin)
 *   GET  /agents/{Type}/{key}       426; other methods 405 with Allow; other paths 404
 *
 * Floor 3; used by Gateway. The first three move to a port of their own with `admin`. One request a socket, then it is closed.
 * Why not Effect's HTTP server: its adapter for Node is a package of its own (`@effect/platform-node`), which takes the server's
 * `upgrade` event too; and through its web handler a call would lose the socket that says when the client has gone. Five
 * fixed paths need no router. Of Effect's modules `PrometheusMetrics` writes the text.
 * Cost: a look at every actor where there are many takes a while: it may use a fiftieth of the loop's time, and asked more
 * often the last one is told again.
 */
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Duplex } from "node:stream"
import type { Host } from "../supervision/ActorSystem.ts"
import { type Admission, noSuchPath, Pass, type Refusal, routed } from "./Admission.ts"
import type { House } from "./Connection.ts"
import type { GatewayStats } from "./Gateway.ts"
import type { Refused } from "./Listen.ts"
import type { Look, Metrics } from "./Metrics.ts"
import { Post, tell } from "./Post.ts"

export interface Desk {
  readonly host: Host
  readonly admission: Admission
  readonly house: House
  readonly types: ReadonlyMap<string, unknown>
  readonly stats: () => GatewayStats
  /** Why nobody may come in now. */
  readonly closed: () => string | undefined
  /** Of the answer to who is not let in. */
  readonly headers: (refusal: Refusal) => Readonly<Record<string, string>>
  readonly draining: () => boolean
}

/** A look may use a fiftieth of the loop's time. */
const lookShare = 50

/** What `make` made last, made again when it has cost little enough since. */
const rarely = <A>(make: () => A): (() => A) => {
  let made: A
  let againAt = Number.NEGATIVE_INFINITY
  return () => {
    const began = performance.now()
    if (began < againAt) return made
    made = make()
    const ended = performance.now()
    againAt = ended + lookShare * (ended - began)
    return made
  }
}

const isJson = (contentType: string | undefined): boolean => /^application\/json\s*(;|$)/i.test(contentType ?? "")

/** What a page of another origin may send. */
const preflight = {
  "access-control-allow-methods": "POST",
  "access-control-allow-headers": "authorization, content-type",
  "access-control-max-age": "7200"
}

type Answer = (request: IncomingMessage, response: ServerResponse, isPublic: boolean) => void

export class Http {
  /** POSTs under way. */
  readonly posts = new Set<Post>()
  /** A look at the host. */
  readonly look: () => Look
  /** Set by the gateway before it listens. */
  metrics: Metrics | undefined = undefined
  /** What is not let in besides what Admission refuses. */
  readonly #refused: Record<string, number> = {}
  readonly #served = new WeakSet<Duplex>()
  readonly #desk: Desk
  readonly #pages: ReadonlyMap<string, Answer>
  readonly #healthz: () => string
  readonly #publicHealthz: () => string
  readonly #metricsText: () => string

  constructor(desk: Desk) {
    this.#desk = desk
    const { system } = desk.host
    this.look = rarely(() => {
      const { snapshot, imbalances } = desk.host.audit()
      const balanced = imbalances.length === 0
      return { balanced, gateway: desk.stats(), system: snapshot, memory: process.memoryUsage() }
    })
    const health = () => ({
      status: desk.draining() ? "draining" : "ok",
      ...this.look(),
      now: system.timers.now()
    })
    this.#healthz = rarely(() => JSON.stringify(health()))
    this.#publicHealthz = rarely(() => {
      const known = health()
      const zombies = known.system.zombies.length
      return JSON.stringify({ ...known, system: { ...known.system, zombies } })
    })
    this.#metricsText = rarely(() => this.metrics?.text() ?? "")
    this.#pages = new Map<string, Answer>([
      [
        "/healthz",
        (_, response, isPublic) =>
          page(response, 200, "application/json", isPublic ? this.#publicHealthz() : this.#healthz())
      ],
      ["/readyz", (_, response) => this.#readyz(response)],
      ["/metrics", (_, response) => page(response, 200, "text/plain; version=0.0.4", this.#metricsText())]
    ])
  }

  readonly refused: Refused = (how) => {
    this.#refused[how] = (this.#refused[how] ?? 0) + 1
  }

  /** Requests that were not let in, whoever refused them. */
  get notAdmitted(): Readonly<Record<string, number>> {
    const all: Record<string, number> = { ...this.#desk.admission.refused }
    for (const [how, times] of Object.entries(this.#refused)) all[how] = (all[how] ?? 0) + times
    return all
  }

  /** Refuses what Admission is not asked about. */
  #refuse(response: ServerResponse, status: number, text: string, headers?: Readonly<Record<string, string>>): void {
    this.refused(status)
    tell(response, status, text, headers)
  }

  /** Answers on a port: `admin` tells whether the host's own pages are there, `agents` whether agents are. */
  answer(request: IncomingMessage, response: ServerResponse, admin: boolean, agents: boolean): void {
    this.#served.add(request.socket)
    response.setHeader("connection", "close")
    const path = (request.url ?? "").split("?", 1)[0]!
    const found = admin ? this.#pages.get(path) : undefined
    if (found !== undefined) {
      if (request.method === "GET" || request.method === "HEAD") {
        try {
          return found(request, response, agents)
        } catch (error) {
          // a metric of the program's own that throws must not cost it the process
          return this.#refuse(response, 500, `incident ${this.#desk.house.fault(`${path}: ${String(error)}`)}`)
        }
      }
      return this.#refuse(response, 405, "this page is read by GET", { allow: "GET, HEAD" })
    }
    const [type] = routed(request)
    if (!agents || type === undefined || !this.#desk.types.has(type)) {
      return this.#refuse(response, 404, agents ? noSuchPath : "no such path")
    }
    const reader = this.#desk.admission.shares(request)
    if (reader !== undefined) {
      response.setHeader("access-control-allow-origin", reader).setHeader("vary", "origin")
      if (request.method === "OPTIONS") return void response.writeHead(204, preflight).end()
    }
    if (request.method === "POST") return this.#post(request, response)
    if (request.method === "GET") {
      return this.#refuse(response, 426, "an agent speaks WebSocket here", { upgrade: "websocket" })
    }
    this.#refuse(response, 405, "an agent speaks WebSocket here, and takes POST", { allow: "GET, POST" })
  }

  /** Whether a socket has had its request: an upgrade behind it would be written into by its answer. */
  served(socket: Duplex): boolean {
    return this.#served.has(socket)
  }

  #readyz(response: ServerResponse): void {
    const why = this.#desk.closed()
    page(response, why === undefined ? 200 : 503, "text/plain", `${why ?? "ready"}\n`)
  }

  #post(request: IncomingMessage, response: ServerResponse): void {
    // a page of any origin may send a form or plain text unasked; for JSON a browser asks first
    if (!isJson(request.headers["content-type"])) {
      return this.#refuse(response, 415, "the body is application/json", { "accept-post": "application/json" })
    }
    const desk = this.#desk
    const { admission, house, host } = desk
    let vetting = true
    const giveUp = admission.admit(request, (verdict) => {
      vetting = false
      if (!(verdict instanceof Pass)) return tell(response, verdict.status, verdict.why, desk.headers(verdict))
      const post = new Post(verdict, house, response, () => admission.reach(verdict))
      this.posts.add(post)
      post.run(host.system, request, () => {
        this.posts.delete(post)
        // its body was refused; where it might make no agent, Admission has counted that
        const { headersSent, statusCode } = response
        if (headersSent && statusCode >= 400 && statusCode !== 429 && statusCode !== 503) this.refused(statusCode)
        admission.leave(verdict)
      })
    })
    if (vetting) response.once("close", giveUp)
  }
}

const page = (response: ServerResponse, status: number, type: string, text: string): void =>
  void response.writeHead(status, { "content-type": type, "cache-control": "no-store" }).end(text)
