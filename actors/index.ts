/**
 * Ready-made actors: behaviours to pick up and use, `troupe/actors`.
 *
 * Each is written on the public API alone, in 150 lines at most: what they can do, your own actors can. Their headers say what they hold, their
 * docstrings what they take and how they fail; `examples/` shows each at work.
 */
export * as Breaker from "./Breaker.ts"
export * as FanOut from "./FanOut.ts"
export { HttpPoolClosed, HttpTimeout } from "./HttpErrors.ts"
export { HttpPool, type HttpPoolOptions, type HttpPoolStats } from "./HttpPool.ts"
export type { HttpRetryOptions } from "./HttpRetry.ts"
export type { HttpTlsOptions } from "./HttpTls.ts"
export * as LlmAgent from "./LlmAgent.ts"
export { LlmProvider, type LlmProviderOptions, type LlmProviderStats } from "./LlmProvider.ts"
export * as OpenAiModel from "./OpenAiModel.ts"
export * as Throttle from "./Throttle.ts"
export * as Topic from "./Topic.ts"
export * as WorkPool from "./WorkPool.ts"
