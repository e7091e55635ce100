/**
 * `troupe/gateway`: the WebSocket edge.
 *
 * The public API of floor 3's gateway: the layer, its options, its counters. Agents are defined with `Agent` of `troupe`;
 * the wire is JSON-RPC 2.0, described in `JsonRpc.ts`. Everything else in this folder may change.
 */
export type { DrainReport } from "./Drain.ts"
export { Gateway, type GatewayOptions, type GatewayStats, type OpenGateway } from "./Gateway.ts"
export type { Handshake } from "./Handshake.ts"
export type { LimitOptions } from "./Limits.ts"
export { ListenError } from "./Listen.ts"
export { Forbidden, type Principal, Unauthorized } from "./Principal.ts"
