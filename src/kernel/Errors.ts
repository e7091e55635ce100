/**
 * Every error that Troupe hands to a caller, by name.
 *
 * Floor 0; used by all floors above; knows no actor, no system.
 *
 * Four kinds, and who gets them:
 * - refusal: expected, the sender can act (`MailboxFull`, `ActorStopped`, `NoSuchActor`, `AskTimeout`, `LimitReached`, ...)
 * - failure: goes to the supervisor, never to the sender (`ActorFailed`)
 * - answer about a failure: what an asker learns of it, without cause or text (`CalleeFailed`)
 * - misuse: an option or a call outside its contract (`InvalidOption`, `InvalidUse`); thrown where it is made
 *
 * Law 12: bad input is refused by name. Each message says what happened, the limit, and the option to change.
 * On the hot path a refusal is a literal (`Envelope.Offer`); only the ref makes one of these of it, so shedding load stays cheap.
 */
import { Schema } from "effect"

/** The mailbox is at its capacity; the message is the sender's again, in `payload`. */
export class MailboxFull extends Schema.TaggedError<MailboxFull>()("MailboxFull", {
  address: Schema.String,
  tag: Schema.String,
  capacity: Schema.Int,
  payload: Schema.Unknown
}) {
  override get message(): string {
    return `${this.address}: mailbox full at ${this.capacity} messages, "${this.tag}" was not accepted (behavior options mailbox.capacity, mailbox.overflow: "suspend" waits)`
  }
}

/** The actor has stopped, or refuses new mail because it is stopping; the message was not accepted. */
export class ActorStopped extends Schema.TaggedError<ActorStopped>()("ActorStopped", {
  address: Schema.String,
  draining: Schema.Boolean
}) {
  override get message(): string {
    return this.draining ? `${this.address}: is draining and takes no new mail` : `${this.address}: has stopped`
  }
}

/** Nobody lives at this address, and its type is not hosted. */
export class NoSuchActor extends Schema.TaggedError<NoSuchActor>()("NoSuchActor", { address: Schema.String }) {
  override get message(): string {
    return `${this.address}: no such actor (spawn it, or host its type)`
  }
}

/** The actor used up its restarts and rests for `remainingMillis` more. */
export class Quarantined extends Schema.TaggedError<Quarantined>()("Quarantined", {
  address: Schema.String,
  remainingMillis: Schema.Finite
}) {
  override get message(): string {
    return `${this.address}: quarantined after too many failures, for another ${Math.ceil(this.remainingMillis)} ms`
  }
}

/** No answer within `millis`. The message is removed if it was still queued; `started` tells that its handler had begun. */
export class AskTimeout extends Schema.TaggedError<AskTimeout>()("AskTimeout", {
  address: Schema.String,
  tag: Schema.String,
  millis: Schema.Finite,
  started: Schema.Boolean
}) {
  override get message(): string {
    const where = this.started ? "its handler had begun" : "it was still queued"
    return `${this.address}: no answer to "${this.tag}" within ${this.millis} ms, ${where} (ask option timeout)`
  }
}

/** The ask would reach an actor that is itself waiting for it: it could only time out. `path` runs from asker to asker. */
export class AskCycle extends Schema.TaggedError<AskCycle>()("AskCycle", { path: Schema.Array(Schema.String) }) {
  override get message(): string {
    return `ask cycle: ${this.path.join(" -> ")}`
  }
}

/** The callee failed while it handled the ask. Cause and text went to its supervisor under `incident`. */
export class CalleeFailed extends Schema.TaggedError<CalleeFailed>()("CalleeFailed", {
  address: Schema.String,
  incident: Schema.String
}) {
  override get message(): string {
    return `${this.address}: failed while handling the ask (incident ${this.incident})`
  }
}

/** The ask was hit by the callee's overflow policy (`dropNewest` or `dropOldest`). */
export class Dropped extends Schema.TaggedError<Dropped>()("Dropped", {
  address: Schema.String,
  policy: Schema.String
}) {
  override get message(): string {
    return `${this.address}: dropped by overflow policy ${this.policy} (behavior option mailbox.overflow)`
  }
}

/** More failures than a supervisor, or an actor's own budget, grants restarts for. A failure: it goes upward. */
export class RestartsExhausted extends Schema.TaggedError<RestartsExhausted>()("RestartsExhausted", {
  /** The actor that failed last. */
  address: Schema.String,
  restarts: Schema.Int,
  withinMillis: Schema.Finite
}) {
  override get message(): string {
    const budget = `${this.restarts} restarts in ${this.withinMillis} ms`
    return `${this.address}: failed again after ${budget} (option intensity)`
  }
}

/** An actor that this one was linked to has failed, was killed, or never lived: they fail together. */
export class LinkBroken extends Schema.TaggedError<LinkBroken>()("LinkBroken", {
  address: Schema.String,
  incident: Schema.String
}) {
  override get message(): string {
    return `${this.address}: linked, and has failed or does not live (incident ${this.incident})`
  }
}

/** A supervisor's child did not start. What its `initial` failed with was reported under `incident`. */
export class StartFailed extends Schema.TaggedError<StartFailed>()("StartFailed", {
  address: Schema.String,
  id: Schema.String,
  incident: Schema.String
}) {
  override get message(): string {
    return `${this.address}: child "${this.id}" did not start (incident ${this.incident})`
  }
}

/** A supervisor has a child of this id already: it runs, it is being restarted, or it has ended and keeps its place. */
export class AlreadyPresent extends Schema.TaggedError<AlreadyPresent>()("AlreadyPresent", {
  address: Schema.String,
  id: Schema.String,
  state: Schema.Literals(["running", "restarting", "undefined"])
}) {
  override get message(): string {
    return `${this.address}: has a child "${this.id}" (${this.state})`
  }
}

/** A supervisor has no child of this id, or of this ref. */
export class NoSuchChild extends Schema.TaggedError<NoSuchChild>()("NoSuchChild", {
  address: Schema.String,
  id: Schema.String
}) {
  override get message(): string {
    return `${this.address}: has no child "${this.id}"`
  }
}

/** A dynamic supervisor has as many children as it may. */
export class TooManyChildren extends Schema.TaggedError<TooManyChildren>()("TooManyChildren", {
  address: Schema.String,
  maxChildren: Schema.Int
}) {
  override get message(): string {
    return `${this.address}: has ${this.maxChildren} children already (option maxChildren)`
  }
}

/** Another actor lives at this address. */
export class NameTaken extends Schema.TaggedError<NameTaken>()("NameTaken", { address: Schema.String }) {
  override get message(): string {
    return `${this.address}: the name is taken`
  }
}

/** Something that a system bounds is all in use; leave what is not needed, or raise the option. */
export class LimitReached extends Schema.TaggedError<LimitReached>()("LimitReached", {
  what: Schema.String,
  limit: Schema.Int,
  option: Schema.String
}) {
  override get message(): string {
    return `${this.what}: all ${this.limit} are in use (${this.option})`
  }
}

/** A failure of an actor, as its supervisor sees it. `cause` is an Effect Cause. */
export class ActorFailed extends Schema.TaggedError<ActorFailed>()("ActorFailed", {
  address: Schema.String,
  incarnation: Schema.Int,
  tag: Schema.String,
  incident: Schema.String,
  cause: Schema.Unknown
}) {
  override get message(): string {
    return `${this.address} (incarnation ${this.incarnation}): failed in "${this.tag}" (incident ${this.incident})`
  }
}

/** An option outside its range, refused when the thing is made. */
export class InvalidOption extends Schema.TaggedError<InvalidOption>()("InvalidOption", {
  field: Schema.String,
  value: Schema.String,
  range: Schema.String
}) {
  override get message(): string {
    return `${this.field}: ${this.value} is not ${this.range}`
  }
}

/** A call outside its contract, such as an unknown message tag or a watch without `onTerminated`. */
export class InvalidUse extends Schema.TaggedError<InvalidUse>()("InvalidUse", {
  address: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `${this.address}: ${this.reason}`
  }
}

/** Real I/O in a system whose order comes from a seed: what comes from outside would not be the seed's. */
export class RealIoInSimulation extends Schema.TaggedError<RealIoInSimulation>()("RealIoInSimulation", {
  what: Schema.String
}) {
  override get message(): string {
    return `${this.what}: no real I/O in a seeded system, the seed could not replay it (use TestSystem.layer, or a stand-in)`
  }
}

/** What a tell can be refused with. */
export type TellError = MailboxFull | ActorStopped | NoSuchActor | Quarantined

/** What an ask can fail with, besides the errors of its own protocol. */
export type AskError = TellError | AskTimeout | AskCycle | CalleeFailed | Dropped | LimitReached
