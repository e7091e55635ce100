/**
 * `troupe/compute`: blocking and CPU-bound functions on worker threads.
 *
 * The public API of floor 3's compute: the layer, its options, its errors. Apart from `troupe` because it brings `piscina`
 * along. Everything else in this folder may change.
 */
export { OffloadCrashed, type OffloadError, OffloadFailed, OffloadTimeout, OffloadUnfit } from "./Errors.ts"
export { type CallOptions, type Module, Offload, type OffloadOptions, type OffloadStats } from "./Offload.ts"
