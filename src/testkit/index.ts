/**
 * Troupe's tools for tests, imported as `troupe/testkit`.
 *
 * Floor 5; used by tests of actors, never by running code; imports any floor below. `TestSystem` is an actor system that
 * asserts conservation (law 4) and names what leaked when the test ends; `TestProbe` is an actor that a test owns;
 * `BehaviorStub` runs a behaviour without a system; `waitUntil` waits on a fact and prints the system when it never comes;
 * `Simulation` runs a whole system as a function of one number and searches for the numbers that break it;
 * `Seed` and `VirtualCost` make the order of ready actors and their budgets a function of one number (law 11); `noLeaks`
 * fails a test that leaves sockets, servers, timers or processes behind.
 * Names only: everything a test imports stands on this screen.
 */
export { BehaviorStub, type BehaviorStubOptions, type StubReply, type StubSendOptions } from "./BehaviorStub.ts"
export type { Received } from "./Bystander.ts"
export { noLeaks } from "./Handles.ts"
export { Seed } from "./Seed.ts"
export * as Simulation from "./Simulation.ts"
export { StubClient, type SentEvent, type StubClientOptions } from "./StubClient.ts"
export type { StubEffect, StubFailure } from "./StubEffect.ts"
export type { StubDeadLetter } from "./StubRuntime.ts"
export { type ProbeMessage, TestProbe } from "./TestProbe.ts"
export { TestSystem, type TestSystemOptions } from "./TestSystem.ts"
export { VirtualCost } from "./VirtualCost.ts"
export { printTree, waitUntil } from "./WaitUntil.ts"
