/**
 * What the benchmark uses of nact, so that the type check needs no installed nact.
 */
declare module "nact" {
  interface ActorRef {
    readonly name: string
  }
  interface Context {
    readonly self: ActorRef
    readonly sender: ActorRef
  }
  export const start: () => ActorRef
  export const spawn: <S, M>(
    parent: ActorRef,
    handle: (state: S, message: M, context: Context) => S,
    name: string | undefined,
    options: { readonly initialState: S }
  ) => ActorRef
  export const dispatch: (to: ActorRef, message: unknown, sender?: ActorRef) => void
  export const query: (to: ActorRef, message: (from: ActorRef) => unknown, timeoutMillis: number) => Promise<unknown>
  export const stop: (actor: ActorRef) => void
}
