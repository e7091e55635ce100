/**
 * Faults at the door: who comes in, in which order it is asked, whose agents are whose, and which places are free again.
 *
 * Read by `run.ts`, which tells how a fault is written.
 */
import { type Fault, ofGateway as one } from "./Fault.ts"

export const doors: ReadonlyArray<Fault> = [
  {
    id: "door-key-last",
    law: "a key that is none is told before the origin",
    edits: [
      ["gateway/Admission.ts", "    if (key instanceof Refusal) return key\n    const fault", "    const fault"],
      [
        "gateway/Admission.ts",
        "    if (Handshake.isMute(request)) return",
        "    if (key instanceof Refusal) return key\n    if (Handshake.isMute(request)) return"
      ]
    ]
  },
  one(
    "door-host-unasked",
    "a request names one Host",
    "Admission.ts",
    "    if (fault !== undefined) return new Refusal(400, fault)\n",
    ""
  ),
  {
    id: "door-origin-last",
    law: "a page of another origin is told so before anything about its token",
    edits: [
      [
        "gateway/Admission.ts",
        `    if (!Origin.allows(this.#rules.origins, origin, host))
      return new Refusal(403, "a page of this origin may not connect")
    if (Handshake.isMute(request)) return new Refusal(400, mute)
`,
        `    if (Handshake.isMute(request)) return new Refusal(400, mute)
    if (!Origin.allows(this.#rules.origins, origin, host))
      return new Refusal(403, "a page of this origin may not connect")
`
      ]
    ]
  },
  {
    id: "door-address-before-room",
    law: "a host that is full says so before it counts addresses",
    edits: [
      [
        "gateway/Admission.ts",
        `    if (closed !== undefined) return new Refusal(503, closed)
    if (this.#beside(pass, pass.former) >= pass.most) return crowded
`,
        `    if (this.#beside(pass, pass.former) >= pass.most) return crowded
    if (closed !== undefined) return new Refusal(503, closed)
`
      ]
    ]
  },
  one(
    "door-full-asks-who",
    "a host that is full asks nobody who he is",
    "Admission.ts",
    "    if (closed !== undefined) return new Refusal(503, closed)\n    if (this.#beside(pass, pass.former)",
    "    if (closed === null) return new Refusal(503, closed)\n    if (this.#beside(pass, pass.former)"
  ),
  one(
    "door-room-asked-once",
    "the last place is given once, though two were asked about",
    "Admission.ts",
    "    if (closed !== undefined) return new Refusal(503, closed)\n    if (this.#beside(pass, former)",
    "    if (closed === null) return new Refusal(503, closed)\n    if (this.#beside(pass, former)"
  ),
  one(
    "door-agents-before-principal",
    "who is one too many of its principal is told so before its agent is asked about",
    "Admission.ts",
    'this.#crowd(pass) ?? (request.method === "POST" ? undefined : this.#made(pass))',
    '(request.method === "POST" ? undefined : this.#made(pass)) ?? this.#crowd(pass)'
  ),
  one(
    "door-principal-for-ever",
    "a principal's place is free when it has gone",
    "Admission.ts",
    "    if (pass.known) Peer.count(this.#byPrincipal, pass.principal!.id, -1)\n",
    ""
  ),
  one(
    "door-refused-keeps-place",
    "who is refused for its principal, its agents or the host leaves its address's place",
    "Admission.ts",
    "      if (refusal === undefined) return done(pass)\n      this.leave(pass)\n",
    "      if (refusal === undefined) return done(pass)\n"
  ),
  one(
    "door-unknown-keeps-place",
    "the same where nobody is known",
    "Admission.ts",
    "        this.leave(pass)\n        refuse(crowd)",
    "        refuse(crowd)"
  ),
  one(
    "door-impatient-keeps-place",
    "and who goes while it is asked about",
    "Admission.ts",
    "      if (give()) this.leave(pass)",
    "      give()"
  ),
  one(
    "door-takeover-principal-twice",
    "and its place among its principal's",
    "Admission.ts",
    "(this.#byPrincipal.get(id) ?? 0) - (former === undefined ? 0 : 1)",
    "this.#byPrincipal.get(id) ?? 0"
  ),
  one(
    "door-takeover-other-address",
    "a place at another address is not free for who comes for its session",
    "Admission.ts",
    "former?.group === group ? 1 : 0",
    "former !== undefined ? 1 : 0"
  ),
  one(
    "door-takeover-anybody",
    "somebody else's token opens no full host",
    "Admission.ts",
    "pass.former?.gone === true || pass.former?.principal?.id !== id",
    "pass.former?.gone === true"
  ),
  one(
    "door-takeover-twice",
    "the place of a session that has ended meanwhile is not free a second time",
    "Admission.ts",
    "pass.former?.gone === true || pass.former?.principal?.id !== id",
    "pass.former?.principal?.id !== id"
  ),
  one(
    "door-takeover-other-agent",
    "the token of another agent's session opens no full host",
    "Admission.ts",
    "if (former?.agent === pass.agent) pass.former = former",
    "pass.former = former"
  ),
  one(
    "door-takeover-by-post",
    "a POST takes no session over",
    "Admission.ts",
    'request.method === "GET" ? this.#house.seat(wish(request.url ?? "")) : undefined',
    'this.#house.seat(wish(request.url ?? ""))'
  ),
  one(
    "door-takeover-waits-for-bytes",
    "who comes back is let in though bytes leave nobody new a place",
    "Gateway.ts",
    "(!returns && this.#house.budget.closed)",
    "this.#house.budget.closed"
  ),
  one(
    "door-leaving-counts",
    "a socket whose session was taken over counts no more",
    "Gateway.ts",
    "this.#sessions.away - this.#sessions.leaving - (returns",
    "this.#sessions.away - (returns"
  ),
  one(
    "door-left-never-forgotten",
    "nor does it make room for ever when it has closed",
    "Session.ts",
    "    this.#keeper.left(connection)\n",
    ""
  ),
  one(
    "door-two-half-open",
    "of those that were taken over one at a time may take its time to close",
    "Session.ts",
    "    this.#leaving?.terminate()\n",
    ""
  ),
  one(
    "door-away-for-ever",
    "the place of a session is free when it ends",
    "Sessions.ts",
    "    if (session.kept !== undefined) this.#leave(session.kept)\n",
    ""
  ),
  one(
    "door-back-takes-another",
    "who is back has one place, not two",
    "Sessions.ts",
    "        this.#away.delete(session)\n        leave(seat)\n",
    "        this.#away.delete(session)\n        void seat\n"
  ),
  one(
    "door-post-makes-early",
    "a POST counts for an agent when it makes it",
    "Admission.ts",
    'request.method === "POST" ? undefined : this.#made(pass)',
    "this.#made(pass)"
  ),
  one(
    "door-post-makes-any",
    "a POST makes an agent only where one more may live",
    "Post.ts",
    "    if (refusal !== undefined) return refusal\n    return",
    "    if (refusal === null) return refusal\n    return"
  ),
  one(
    "door-post-answers-twice",
    "a POST that may make no agent is answered once, and nothing of it is handled",
    "Post.ts",
    "      if (this.#response.headersSent) return\n",
    ""
  ),
  one(
    "door-agents-of-anybody",
    "agents are the principal's where there are principals",
    "Admission.ts",
    "principal === undefined\n        ?",
    "principal === undefined || mostAgents > 0\n        ?"
  ),
  one(
    "door-agents-one-more",
    "3: living agents of one maker",
    "Creators.ts",
    "made.size < limit) return false",
    "made.size <= limit) return false"
  ),
  one(
    "door-agents-dead-count",
    "3: agents that have ended count for nobody",
    "Creators.ts",
    "    for (const agent of made) if (!this.#lives(agent)) this.forget(agent)\n    return",
    "    return"
  ),
  one(
    "door-agents-own-held-against",
    "an agent made anew by who is not counted is held against nobody",
    "Admission.ts",
    "if (most === Number.POSITIVE_INFINITY) this.#creators.forget(agent)\n    else this",
    "if (most !== Number.POSITIVE_INFINITY) this"
  ),
  one(
    "door-agents-of-one-type",
    "3: agents of all types together",
    "Gateway.ts",
    "living += registry.kind(type).living",
    "living = registry.kind(type).living"
  ),
  one(
    "door-sockets-behind-proxy",
    "sockets behind a proxy are not cut for its address",
    "Gateway.ts",
    "if (trustProxy === 0) Listen",
    "Listen"
  ),
  one(
    "door-handshake-endless",
    "who is let in so late is not",
    "Admission.ts",
    "    system.timers.arm(late, limits.handshakeMillis)\n",
    "    void limits\n"
  ),
  one(
    "door-handshake-timer-left",
    "an answer in time takes its timer away",
    "Admission.ts",
    "      system.timers.cancel(late)\n",
    ""
  ),
  one(
    "door-closing-asks-on",
    "who is being asked about when the host closes is told so",
    "Gateway.ts",
    "      this.#admission.close()\n",
    ""
  ),
  one(
    "door-expired-comes-in",
    "a principal that has expired does not come in",
    "Admission.ts",
    "if ((principal.expiresAt ?? Number.POSITIVE_INFINITY) <= this.#house.wall())",
    "if ((principal.expiresAt ?? Number.POSITIVE_INFINITY) <= 0)"
  ),
  one(
    "door-expiry-not-moved",
    "a renewal moves the end",
    "Gateway.ts",
    "          if (renewal.ok) this.#expiry.set(connection, renewal.expiresAt)\n",
    ""
  ),
  one(
    "door-expiry-kept",
    "who has gone is waited for no more",
    "Gateway.ts",
    "        this.#expiry.delete(connection)\n",
    ""
  ),
  one(
    "door-list-lets-same",
    "a list of origins is the whole list",
    "Origin.ts",
    'if (origins !== "same") return origins.includes(origin)\n',
    'if (origins !== "same" && origins.includes(origin)) return true\n'
  ),
  one(
    "page-without-token",
    "a page of another origin may bring a token",
    "Http.ts",
    '"authorization, content-type"',
    '"content-type"'
  ),
  one(
    "page-refusal-unread",
    "a page of another origin reads why it was refused",
    "Http.ts",
    'response.setHeader("access-control-allow-origin", reader).setHeader("vary", "origin")\n      if (request.method',
    'if (request.method !== "POST") response.setHeader("access-control-allow-origin", reader)\n      if (request.method'
  )
]
