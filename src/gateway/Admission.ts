/**
 * Who may come in: what stands between a request and an agent, for WebSockets and for POST alike.
 *
 *   path 404 -> key, Host 400 -> origin 403 -> token alone 400 -> room 503 -> address 429 -> authenticate 401 -> authorize 403
 *        -> room again 503 -> principal 429 -> a new agent: the host's 503, its maker's 429 -> Pass
 *
 * Floor 3; one a gateway. The cheap questions come first; the user's Effects run in fibers of their own, bounded by
 * `handshakeTimeout` (503), interrupted when the socket goes; without `authenticate` no fiber runs and all is answered at once.
 * Law 3: connections an address, a principal and in all, and the living agents of each maker, are bounded. Of addresses the
 * default is 256: an office behind one router, and not a machine room. This host's own addresses are counted only where the
 * option is given: there a proxy stands, whose clients would all be one (`trustProxy` tells them apart). Where nobody is known,
 * an address is who makes agents. A connection makes its agent when it comes in, a POST at its first valid call: `reach`.
 * Law 12: what failed is told by its status; a defect is an incident, logged with the token cut out of it.
 */
import { Cause, Context, Effect, Exit, Result, Schema, Tracer } from "effect"
import type { IncomingMessage } from "node:http"
import * as Address from "../kernel/Address.ts"
import { InvalidOption } from "../kernel/Errors.ts"
import { Deadline } from "../kernel/Timers.ts"
import type { System } from "../supervision/System.ts"
import type { Codec } from "./Codec.ts"
import { Creators } from "./Creators.ts"
import * as Dialect from "./Dialect.ts"
import * as Handshake from "./Handshake.ts"
import * as JsonRpc from "./JsonRpc.ts"
import type { AdmissionLimits } from "./Limits.ts"
import * as Origin from "./Origin.ts"
import * as Peer from "./Peer.ts"
import { Forbidden, type Principal, Unauthorized } from "./Principal.ts"
import { type Wish, wish } from "./Wish.ts"

export interface AdmissionOptions<P extends Principal, RA, RZ> {
  /** Who a request is of; before the upgrade, and again at `$/auth`. Without it everybody may come in. */
  readonly authenticate?: (handshake: Handshake.Handshake) => Effect.Effect<P, Unauthorized, RA>
  /** Whether it may reach this agent: `false` or `Forbidden` says no. Wants `authenticate`. */
  readonly authorize?: (
    principal: NoInfer<P>,
    type: string,
    key: string
  ) => Effect.Effect<boolean | void, Forbidden, RZ>
  /** Whose web pages may connect: "same" origin (default), a list of origins, or "any". */
  readonly origins?: Origin.Origins
}

/** The same, checked. */
export interface Rules {
  readonly authenticate: ((handshake: Handshake.Handshake) => Effect.Effect<Principal, unknown, unknown>) | undefined
  readonly authorize:
    | ((principal: Principal, type: string, key: string) => Effect.Effect<boolean | void, unknown, unknown>)
    | undefined
  readonly origins: Origin.Origins
  readonly limits: AdmissionLimits
  /** What the two Effects need. */
  readonly services: Context.Context<unknown>
}

/** The options of admission, checked. */
export const rules = (
  { authenticate, authorize, origins }: AdmissionOptions<Principal, unknown, unknown>,
  limits: AdmissionLimits,
  services: Context.Context<unknown>
): Rules => {
  const refuseOption = (field: string, value: string, range: string): never => {
    throw new InvalidOption({ field: `gateway.${field}`, value, range })
  }
  for (const [field, made] of Object.entries({ authenticate, authorize })) {
    if (made !== undefined && typeof made !== "function") refuseOption(field, typeof made, "a function to an Effect")
  }
  if (authorize !== undefined && authenticate === undefined) {
    refuseOption("authorize", "a function without authenticate", "given beside authenticate, which says who it is")
  }
  const own = Context.omit(Tracer.ParentSpan)(services as Context.Context<never>) as Context.Context<unknown>
  return {
    authenticate,
    authorize,
    origins: Origin.check(origins),
    limits,
    services: own
  }
}

/** What Admission asks the gateway. */
export interface House {
  readonly system: System
  readonly codecs: ReadonlyMap<string, Codec>
  /** The wall's time, in which `expiresAt` is told. */
  readonly wall: () => number
  /** Why nobody may come in now; who comes back to a session may when others may not. */
  readonly closed: (returns: boolean) => string | undefined
  /** The place of the session that somebody would come for. */
  readonly seat: (wish: Wish) => Pass | undefined
  /** Whether there is no room for one more agent. */
  readonly populated: () => boolean
}

/** Why a request may not come in. */
export class Refusal {
  readonly status: number
  readonly why: string
  readonly headers: Readonly<Record<string, string>>
  /** Of a defect. */
  readonly incident: string | undefined
  constructor(status: number, why: string, headers: Readonly<Record<string, string>> = {}, incident?: string) {
    this.status = status
    this.why = why
    this.headers = headers
    this.incident = incident
  }
}

/** A place that is taken: by a connection, or by a POST under way. */
export class Pass {
  readonly codec: Codec
  readonly key: string
  readonly group: string
  /** How many of its address there may be, and how many living agents that it made while nobody is known. */
  readonly most: number
  readonly mostAgents: number
  principal: Principal | undefined = undefined
  /** Kept for `$/auth`, where there is `authenticate`. */
  handshake: Handshake.Handshake | undefined = undefined
  /** Of the session that it would come for: free when it does, and until then taken. */
  former: Pass | undefined = undefined
  /** Counted for its principal. */
  known = false
  gone = false

  constructor(codec: Codec, key: string, address: string, limits: AdmissionLimits) {
    this.codec = codec
    this.key = key
    this.group = Peer.group(address)
    this.most = Peer.most(address, limits.maxConnectionsPerAddress, Peer.connections)
    this.mostAgents = Peer.most(address, limits.maxAgentsPerAddress, Peer.agents)
  }

  /** The agent's. */
  get agent(): string {
    return Address.child(undefined, this.codec.protocol.type, this.key)
  }
}

/** What `$/auth` came to. */
export type Renewal =
  | { readonly ok: true; readonly expiresAt: number | undefined }
  | { readonly ok: false; readonly why: string; readonly hangUp: boolean }
  | { readonly ok: false; readonly incident: string }

const route = /^\/agents\/([^/]+)\/([^/]+)$/

/** The agent type and the key, still encoded, that a request's path names. */
export const routed = (request: IncomingMessage): readonly [type: string | undefined, key: string | undefined] => {
  const [, type, key] = route.exec((request.url ?? "").split("?", 1)[0]!) ?? []
  return [type, key]
}

export const noSuchPath = "no such path: agents are at /agents/{Type}/{key}, and type names are case-sensitive"
const badKey = 'the key is not URL-encoded text of 1 to 256 UTF-16 units, "." and ".." apart'
const mute = `offer the subprotocol "${JsonRpc.name}" beside the token: a browser needs an answer, and the token is none`

/** RFC 6750, 3: a request without a token is told the scheme alone. */
const unauthorized = (handshake: Handshake.Handshake): Refusal => {
  const challenge = handshake.token === undefined ? "Bearer" : 'Bearer error="invalid_token"'
  return new Refusal(401, "unauthorized", { "WWW-Authenticate": challenge })
}

const crowded = new Refusal(429, "too many connections of this address")

const nothing = (): void => {}

export class Admission {
  /** Requests that were not let in, by HTTP status. */
  readonly refused: Record<number, number> = {}
  readonly #house: House
  readonly #rules: Rules
  readonly #byAddress = new Map<string, number>()
  readonly #byPrincipal = new Map<string, number>()
  readonly #creators: Creators
  /** Those under way: each says why it ends. */
  readonly #asking = new Set<(refusal: Refusal) => void>()

  constructor(house: House, rules: Rules) {
    this.#house = house
    this.#rules = rules
    this.#creators = new Creators((agent) => house.system.find(agent) !== undefined)
  }

  /** Asks for a request; `done` is called once, at once or later, unless the answer, a way to give up, is called before. */
  admit(request: IncomingMessage, done: (verdict: Pass | Refusal) => void): () => void {
    const refuse = (refusal: Refusal): (() => void) => {
      this.#count(refusal)
      done(refusal)
      return nothing
    }
    // a POST may turn out to call nothing
    const crowdOf = (pass: Pass): Refusal | undefined =>
      this.#crowd(pass) ?? (request.method === "POST" ? undefined : this.#made(pass))
    const target = this.#target(request)
    if (target instanceof Refusal) return refuse(target)
    const pass = this.#seat(request, ...target)
    if (pass instanceof Refusal) return refuse(pass)
    const { handshake } = pass
    if (handshake === undefined) {
      const crowd = crowdOf(pass)
      if (crowd === undefined) done(pass)
      else {
        this.leave(pass)
        refuse(crowd)
      }
      return nothing
    }
    const give = this.#vet(handshake, pass, (verdict) => {
      pass.principal = verdict instanceof Refusal ? undefined : verdict
      const refusal = verdict instanceof Refusal ? verdict : crowdOf(pass)
      if (refusal === undefined) return done(pass)
      this.leave(pass)
      refuse(refusal)
    })
    return () => {
      if (give()) this.leave(pass)
    }
  }

  /** Whether a POST may call its agent, made by that where it does not live: why not. */
  reach(pass: Pass): Refusal | undefined {
    const refusal = this.#made(pass)
    if (refusal !== undefined) this.#count(refusal)
    return refusal
  }

  #count({ status }: Refusal): void {
    this.refused[status] = (this.refused[status] ?? 0) + 1
  }

  /** Whose page may read the answer to this POST: `Origin.shares`. */
  shares({ headers }: IncomingMessage): string | undefined {
    return Origin.shares(this.#rules.origins, headers.origin)
  }

  /** Nobody comes in any more; who is being asked for is told so. */
  close(): void {
    for (const end of this.#asking) end(new Refusal(503, "this host is closing"))
  }

  /** The place is free. */
  leave(pass: Pass): void {
    if (pass.gone) return
    pass.gone = true
    Peer.count(this.#byAddress, pass.group, -1)
    if (pass.known) Peer.count(this.#byPrincipal, pass.principal!.id, -1)
  }

  /** Asks again for a connection that has a newer token; the answer gives up. Undefined where there is nothing to ask. */
  renew(pass: Pass, token: string, done: (renewal: Renewal) => void): (() => void) | undefined {
    if (pass.handshake === undefined) return undefined
    const handshake = Handshake.renewed(pass.handshake, token)
    const give = this.#vet(handshake, pass, (verdict) => {
      if (!(verdict instanceof Refusal)) {
        if (verdict.id !== pass.principal!.id) return done({ ok: false, why: "another principal", hangUp: true })
        pass.principal = verdict
        return done({ ok: true, expiresAt: verdict.expiresAt })
      }
      if (verdict.incident !== undefined) return done({ ok: false, incident: verdict.incident })
      done({ ok: false, why: verdict.why, hangUp: verdict.status === 403 })
    })
    return () => void give()
  }

  /** The agent that a request names, if it may be named from where the request comes. */
  #target(request: IncomingMessage): readonly [codec: Codec, key: string] | Refusal {
    const [type, encodedKey] = routed(request)
    const codec = type === undefined ? undefined : this.#house.codecs.get(type)
    if (codec === undefined || encodedKey === undefined) return new Refusal(404, noSuchPath)
    const key = this.#key(codec, encodedKey)
    if (key instanceof Refusal) return key
    const fault = Handshake.faultOf(request)
    if (fault !== undefined) return new Refusal(400, fault)
    const { origin, host } = request.headers
    if (!Origin.allows(this.#rules.origins, origin, host))
      return new Refusal(403, "a page of this origin may not connect")
    if (Handshake.isMute(request)) return new Refusal(400, mute)
    const asked = wish(request.url ?? "")
    if (asked._tag === "Malformed") return new Refusal(400, asked.why)
    const dialect = Dialect.of(request.headers["sec-websocket-protocol"])
    if (asked._tag !== "None" && !dialect.sessions) return new Refusal(400, Dialect.noSessions)
    return [codec, key]
  }

  #key(codec: Codec, encoded: string): string | Refusal {
    let key: string
    try {
      key = Address.checkKey(decodeURIComponent(encoded))
    } catch {
      return new Refusal(400, badKey)
    }
    const schema = codec.protocol.key
    if (schema === undefined) return key
    try {
      const decoded = Schema.decodeUnknownResult(schema)(key)
      return Result.isSuccess(decoded) ? key : new Refusal(400, `not a key of ${codec.protocol.type}`)
    } catch (error) {
      return this.#incident(`the Schema of keys of ${codec.protocol.type} threw: ${String(error)}`)
    }
  }

  /** A place for one more of this address. */
  #seat(request: IncomingMessage, codec: Codec, key: string): Pass | Refusal {
    const { limits, authenticate } = this.#rules
    const address = Peer.of(request, limits.trustProxy)
    const pass = new Pass(codec, key, address, limits)
    const former = request.method === "GET" ? this.#house.seat(wish(request.url ?? "")) : undefined
    if (former?.agent === pass.agent) pass.former = former
    const closed = this.#house.closed(pass.former !== undefined)
    if (closed !== undefined) return new Refusal(503, closed)
    if (this.#beside(pass, pass.former) >= pass.most) return crowded
    Peer.count(this.#byAddress, pass.group, 1)
    if (authenticate !== undefined) pass.handshake = Handshake.read(request, address)
    return pass
  }

  /** Places taken by its address, but for the one that it will leave. */
  #beside({ group }: Pass, former: Pass | undefined): number {
    return (this.#byAddress.get(group) ?? 0) - (former?.group === group ? 1 : 0)
  }

  /** Whether there is room for who has been let in; then it is counted. */
  #crowd(pass: Pass): Refusal | undefined {
    const id = pass.principal?.id
    // somebody else's session, or one that has ended or that another has come for meanwhile
    if (pass.former?.gone === true || pass.former?.principal?.id !== id) pass.former = undefined
    const { former } = pass
    const closed = this.#house.closed(former !== undefined)
    if (closed !== undefined) return new Refusal(503, closed)
    if (this.#beside(pass, former) > pass.most) return crowded
    const { limits } = this.#rules
    const others = id === undefined ? 0 : (this.#byPrincipal.get(id) ?? 0) - (former === undefined ? 0 : 1)
    if (others >= limits.maxConnectionsPerPrincipal) {
      return new Refusal(429, "too many connections of this principal")
    }
    if (id !== undefined) {
      pass.known = true
      Peer.count(this.#byPrincipal, id, 1)
    }
    return undefined
  }

  /** Whether there is room for its agent, where that does not live; then it counts for who makes it. */
  #made({ codec, key, agent, group, mostAgents, principal }: Pass): Refusal | undefined {
    if (this.#house.system.registry.kind(codec.protocol.type).cells.has(key)) return undefined
    if (this.#house.populated()) return new Refusal(503, "this host is full")
    // with `authenticate` everybody has a principal, without it nobody: no maker is taken for another
    const [maker, most, of] =
      principal === undefined
        ? [group, mostAgents, "address"]
        : [principal.id, this.#rules.limits.maxAgentsPerPrincipal, "principal"]
    if (this.#creators.full(maker, most)) return new Refusal(429, `too many agents of this ${of}`)
    if (most === Number.POSITIVE_INFINITY) this.#creators.forget(agent)
    else this.#creators.add(maker, agent)
    return undefined
  }

  /** Runs what the user decides by. The answer gives up: false when all was said already. */
  #vet(handshake: Handshake.Handshake, pass: Pass, done: (verdict: Principal | Refusal) => void): () => boolean {
    const { system } = this.#house
    const { services, limits } = this.#rules
    const end = (refusal: Refusal): void => {
      if (!close()) return
      fiber.interruptUnsafe()
      done(refusal)
    }
    const late = new Deadline(() => end(new Refusal(503, "no answer in time to who you are")))
    const close = (): boolean => {
      system.timers.cancel(late)
      return this.#asking.delete(end)
    }
    this.#asking.add(end)
    system.timers.arm(late, limits.handshakeMillis)
    const fiber = Effect.runForkWith(services)(Effect.exit(this.#asked(handshake, pass)))
    fiber.addObserver((exit) => {
      if (close()) done(this.#judge(handshake, Exit.isSuccess(exit) ? exit.value : Exit.failCause(exit.cause)))
    })
    return () => {
      const first = close()
      if (first) fiber.interruptUnsafe()
      return first
    }
  }

  #asked(handshake: Handshake.Handshake, pass: Pass): Effect.Effect<Principal, unknown, unknown> {
    const { authenticate, authorize } = this.#rules
    const { type } = pass.codec.protocol
    return Effect.flatMap(
      Effect.suspend(() => authenticate!(handshake)),
      (principal) => {
        const wrong = faultOf(principal)
        if (wrong !== undefined) return Effect.die(new Error(`authenticate answered ${wrong}`))
        if ((principal.expiresAt ?? Number.POSITIVE_INFINITY) <= this.#house.wall())
          return Effect.fail(new Unauthorized({}))
        if (authorize === undefined) return Effect.succeed(principal)
        return Effect.flatMap(authorize(principal, type, pass.key), (may) =>
          may === false ? Effect.fail(new Forbidden({})) : Effect.succeed(principal)
        )
      }
    )
  }

  #judge(handshake: Handshake.Handshake, exit: Exit.Exit<Principal, unknown>): Principal | Refusal {
    if (Exit.isSuccess(exit)) return exit.value
    const error = exit.cause.reasons.find(Cause.isFailReason)?.error
    if (error instanceof Unauthorized) return unauthorized(handshake)
    if (error instanceof Forbidden) return new Refusal(403, "forbidden")
    return this.#incident(Handshake.hush(`authenticate or authorize failed: ${Cause.pretty(exit.cause)}`, handshake))
  }

  #incident(text: string): Refusal {
    const { system } = this.#house
    const incident = system.incident()
    system.log(Effect.logError(`gateway: ${text} (incident ${incident})`))
    return new Refusal(500, `incident ${incident}`, {}, incident)
  }
}

/** What is wrong with a principal. */
const faultOf = (principal: unknown): string | undefined => {
  if (typeof principal !== "object" || principal === null) return "no principal { id }"
  const { id, expiresAt } = principal as { readonly id?: unknown; readonly expiresAt?: unknown }
  if (typeof id !== "string" || id === "" || id.length > 256)
    return "a principal whose id is not text of 1 to 256 units"
  if (expiresAt !== undefined && (typeof expiresAt !== "number" || Number.isNaN(expiresAt))) {
    return "a principal whose expiresAt is no time in epoch milliseconds"
  }
  return undefined
}
