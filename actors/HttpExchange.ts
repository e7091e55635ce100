/**
 * One request on one connection: sends it by undici's fetch, knows when it is over on the wire, cuts a body that stands still.
 *
 * Made by HttpPool for each attempt. A response is there with its headers, its connection is in use until the body's end: so the
 * end is taken from the dispatch itself (`onResponseEnd`, `onResponseError`), whatever becomes of the response.
 *
 *   fetch -> dispatch on the place's connection -> headers: the response -> body -> end: the place is left, the connection idle
 *                                                                           cut, error: left, and the connection closed
 *
 * A body of which no byte has moved for `bodyTimeout` is cut, whether its server or its reader stands still: a response that
 * nobody reads cannot keep a connection. O(1) a chunk.
 * fetch is undici's, not the global one: that is of the undici inside of Node, which need not understand this one's Client. Its
 * form is its own too: a global FormData is turned into bytes first, else it would send "[object FormData]".
 */
import { Effect, type Fiber } from "effect"
import type { HttpClientResponse } from "effect/http"
import { type Dispatcher, fetch } from "undici"
import { HttpPoolClosed, HttpTimeout } from "./HttpErrors.ts"
import type { HttpHosts } from "./HttpHosts.ts"
import type { Place } from "./HttpPlace.ts"

/** A response, and how to give up what is not read of it. */
export interface Received {
  readonly response: HttpClientResponse.HttpClientResponse
  readonly cut: () => void
}

type Fetch = typeof globalThis.fetch

export class HttpExchange {
  readonly #hosts: HttpHosts
  readonly #place: Place
  #isOver = false
  #stands = false
  #watch: Fiber.Fiber<void> | undefined = undefined

  constructor(hosts: HttpHosts, place: Place) {
    this.#hosts = hosts
    this.#place = place
  }

  /** Over: its answer was read, or never will be. */
  end(how: "complete" | Error): void {
    this.#isOver = true
    this.#hosts.leave(this.#place, how)
    this.#watch?.interruptUnsafe()
  }

  /** Cuts the body when it has stood still for so long. */
  watch(millis: number, run: (watch: Effect.Effect<void>) => Fiber.Fiber<void>): void {
    if (this.#isOver || millis === Number.POSITIVE_INFINITY) return
    const still = Effect.suspend(() => {
      this.#stands = true
      return Effect.sleep(millis)
    })
    const watch = Effect.repeat(still, { while: () => !this.#stands })
    this.#watch = run(
      Effect.andThen(
        watch,
        Effect.sync(() => this.end(new HttpTimeout({ phase: "body", millis })))
      )
    )
  }

  /** In place of the global fetch. */
  readonly fetch: Fetch = async (input, init) => {
    const { connection } = this.#place
    if (connection === undefined) throw new HttpPoolClosed({})
    const { body, headers, ...rest } = init ?? {}
    const form = body instanceof FormData ? new Response(body) : undefined
    const type = form?.headers.get("content-type")
    const request = {
      ...rest,
      headers: { ...(headers as Record<string, string>), ...(typeof type === "string" && { "content-type": type }) },
      body: form === undefined ? body : await form.bytes(),
      redirect: "manual",
      dispatcher: connection.client.compose((dispatch) => (options, handler) => dispatch(options, this.#heard(handler)))
    }
    try {
      return (await fetch(input as string, request as Parameters<typeof fetch>[1])) as unknown as Response
    } catch (error) {
      // "fetch failed" says nothing; its cause does
      throw error instanceof TypeError && error.cause !== undefined ? error.cause : error
    }
  }

  #heard(handler: Dispatcher.DispatchHandler): Dispatcher.DispatchHandler {
    return {
      onRequestStart: (...args) => handler.onRequestStart?.(...args),
      onBodySent: (chunk) => handler.onBodySent?.(chunk),
      onRequestSent: () => handler.onRequestSent?.(),
      onResponseStarted: () => handler.onResponseStarted?.(),
      onResponseStart: (...args) => handler.onResponseStart?.(...args),
      onResponseData: (...args) => {
        this.#stands = false
        handler.onResponseData?.(...args)
      },
      onResponseEnd: (...args) => {
        handler.onResponseEnd?.(...args)
        this.end("complete")
      },
      onResponseError: (...args) => {
        handler.onResponseError?.(...args)
        this.end(args[1])
      }
    }
  }
}
