/**
 * `troupe/client`: talks to an agent, from a browser or from Node.
 *
 * The public API of the client: `connect`, what it returns, and what it rejects with, by name. It imports types only, so a
 * bundle holds this folder and nothing else: no Effect, no Schema, no `node:` module. The wire is the gateway's JSON-RPC 2.0
 * over WebSocket. Everything else in this folder may change.
 */
export type { AgentAddress } from "./Address.ts"
export { type AskOptions, type Client, connect, type StreamOptions } from "./Client.ts"
export {
  Closed,
  Disconnected,
  EventsLost,
  FrameTooLarge,
  InvalidOption,
  QueueFull,
  RpcCode,
  RpcError,
  StreamBroken,
  TakenOver,
  TimedOut
} from "./Errors.ts"
export type { Reader, ReaderOptions } from "./Events.ts"
export type { Status } from "./Link.ts"
export type { Gap } from "./Session.ts"
export type { ClientOptions, Clock, Credential, Socket, SocketConstructor } from "./Settings.ts"
export type {
  AnyAgent,
  Answer,
  Element,
  EventName,
  Failure,
  Json,
  Method,
  Params,
  Payload,
  StreamMethod,
  StreamParams,
  Wire
} from "./Wire.ts"
