/**
 * Troupe's tools for tests, imported as `troupe/testkit`.
 *
 * Floor 5; used by tests of actors, never by running code; imports any floor below. `TestSystem` is an actor system that
 * asserts conservation (law 4) when the test ends, `waitUntil` waits on a fact and prints the system when it never comes,
 * `Seed` and `VirtualCost` make the order of ready actors and their budgets a function of one number (law 11).
 * Names only: everything a test imports stands on this screen.
 */
export { Seed } from "./Seed.ts"
export { TestSystem } from "./TestSystem.ts"
export { VirtualCost } from "./VirtualCost.ts"
export { printTree, waitUntil } from "./WaitUntil.ts"
