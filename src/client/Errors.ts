/**
 * What may go wrong at the client, by name: each an `Error` with a `_tag` and the figures that matter as fields.
 *
 * Used by all of `troupe/client`; knows nothing of sockets. No Schema and no Effect: a browser bundle has this file as it is.
 *
 *   RpcError       the server answered with an error
 *   Disconnected   written, no answer, and the connection is gone: whether it was handled is unknown
 *   StreamBroken   elements of a stream can no longer be had
 *   TimedOut       no answer in time; `sent` says whether it was written
 *   QueueFull      refused at once: as much waits to be sent as may
 *   FrameTooLarge  refused at once: the server would close 1009
 *   Closed         never written, and the client is closed: by `close()`, or by a close code that forbids to come back
 *   TakenOver      a Closed: another connection has taken the session over
 *   EventsLost     a slow reader of `events()`, or of a stream
 *   InvalidOption  an option, with field, value and range (law 12)
 * An aborted request rejects with its signal's reason, as `fetch` does.
 */

/** The codes of errors that a gateway answers with. */
export const RpcCode = {
  parseError: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  /** The agent failed; `data.incident` names the report in the server's log. */
  internal: -32603,
  /** The method's own typed error: see `RpcError.tag`. */
  application: -32000,
  /** The agent's mailbox is full: ask again later. */
  busy: -32001,
  /** The agent has stopped, is stopping, or is quarantined. */
  unavailable: -32002,
  /** No answer in the server's time; `data.started` says whether its handler had begun. */
  timeout: -32003,
  cancelled: -32004,
  /** Sent again under its key: it was handled once, and what came of it is not kept any more. */
  outcomeLost: -32005
} as const

/** The server answered a request with an error. `data` of an application error is the Rpc's error, encoded. */
export class RpcError<out Data = unknown> extends Error {
  override readonly name = "RpcError"
  readonly _tag = "RpcError"
  readonly method: string
  readonly code: number
  readonly data: Data
  constructor(method: string, code: number, message: string, data: Data) {
    super(message)
    this.method = method
    this.code = code
    this.data = data
  }
  /** The tag of the Rpc's own error; undefined for an error of the protocol's. */
  get tag(): string | undefined {
    return this.code === RpcCode.application ? this.message : undefined
  }
}

/** The connection went after the request was written and before its answer came: it may have been handled, or not. */
export class Disconnected extends Error {
  override readonly name = "Disconnected"
  readonly _tag = "Disconnected"
  /** Always: what is known not to be handled is kept, or rejected by another name. */
  readonly unknown = true
  readonly method: string
  readonly code: number
  readonly reason: string
  constructor(method: string, code: number, reason: string) {
    super(`${method}: the connection was lost (${code} ${reason}); whether it was handled is unknown`)
    this.method = method
    this.code = code
    this.reason = reason
  }
}

/** The connection went in a stream, and its elements can no longer be had: ask anew for what is missing. */
export class StreamBroken extends Error {
  override readonly name = "StreamBroken"
  readonly _tag = "StreamBroken"
  readonly method: string
  /** The session is lost as well. */
  readonly fresh: boolean
  constructor(method: string, fresh: boolean) {
    super(`${method}: elements of the stream were lost ${fresh ? "with its session" : "in a gap"}`)
    this.method = method
    this.fresh = fresh
  }
}

/** No answer within `timeoutMillis`. It was withdrawn from the queue, or the server was told by `$/cancel`. */
export class TimedOut extends Error {
  override readonly name = "TimedOut"
  readonly _tag = "TimedOut"
  readonly method: string
  readonly millis: number
  /** False: it never left this client. */
  readonly sent: boolean
  constructor(method: string, millis: number, sent: boolean) {
    super(`${method}: no answer within ${millis} ms${sent ? "" : ", and it was never sent"}`)
    this.method = method
    this.millis = millis
    this.sent = sent
  }
}

/** As much waits to be sent as may: `maxQueued` messages, or `maxQueuedBytes`. The message was not taken. */
export class QueueFull extends Error {
  override readonly name = "QueueFull"
  readonly _tag = "QueueFull"
  readonly method: string
  readonly queued: number
  readonly queuedBytes: number
  constructor(method: string, queued: number, queuedBytes: number) {
    super(`${method}: ${queued} messages of ${queuedBytes} bytes wait to be sent (maxQueued, maxQueuedBytes)`)
    this.method = method
    this.queued = queued
    this.queuedBytes = queuedBytes
  }
}

/** A message over `maxFrameBytes`. It was not taken. */
export class FrameTooLarge extends Error {
  override readonly name = "FrameTooLarge"
  readonly _tag = "FrameTooLarge"
  readonly method: string
  readonly bytes: number
  readonly maxBytes: number
  constructor(method: string, bytes: number, maxBytes: number) {
    super(`${method}: a message of ${bytes} bytes, over maxFrameBytes (${maxBytes})`)
    this.method = method
    this.bytes = bytes
    this.maxBytes = maxBytes
  }
}

/** The client is closed for good. What rejects with it was never sent. */
export class Closed extends Error {
  override readonly name: string = "Closed"
  readonly _tag: "Closed" | "TakenOver" = "Closed"
  readonly code: number
  readonly reason: string
  /** Closed by `close()`. */
  readonly local: boolean
  /** Requests and notifications that waited to be sent, and never were. */
  readonly unsent: number
  constructor(code: number, reason: string, local: boolean, unsent: number) {
    super(`the client is closed${local ? " by this side" : ""} (${code} ${reason})`)
    this.code = code
    this.reason = reason
    this.local = local
    this.unsent = unsent
  }
}

/** The client is closed for good: another connection has come with its session (close code 4001). */
export class TakenOver extends Closed {
  override readonly name = "TakenOver"
  override readonly _tag = "TakenOver"
}

/** A reader of `events()` was so slow that its buffer was full: what came then is lost to it, and it ends. */
export class EventsLost extends Error {
  override readonly name = "EventsLost"
  readonly _tag = "EventsLost"
  readonly event: string
  readonly buffer: number
  constructor(event: string, buffer: number) {
    super(`events "${event}": over ${buffer} waited to be read`)
    this.event = event
    this.buffer = buffer
  }
}

/** An option, an address or params that cannot be. */
export class InvalidOption extends Error {
  override readonly name = "InvalidOption"
  readonly _tag = "InvalidOption"
  readonly field: string
  readonly value: string
  readonly range: string
  constructor(field: string, value: unknown, range: string) {
    const shown = typeof value === "string" ? JSON.stringify(value.slice(0, 100)) : String(value)
    super(`${field}: ${shown} is not ${range}`)
    this.field = field
    this.value = shown
    this.range = range
  }
}
