/** What examples/70-offload.ts calls on threads: it holds whatever thread it runs on. */
export const search = (what: string, millis: number) => {
  const began = Date.now()
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, millis)
  return { found: `found ${what}`, began, ended: Date.now() }
}

export const forEver = (): never => {
  for (;;);
}
