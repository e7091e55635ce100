/** Whether what is gone is held by somebody: what of it is left after a forced collection. */
import { setImmediate } from "node:timers/promises"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

/** Of what `make` answers, how many anybody still holds. A fresh WeakRef holds its target to the end of the job: hence later. */
export const reachable = async (make: () => ReadonlyArray<object>): Promise<number> => {
  const refs = make().map((each) => new WeakRef(each))
  await setImmediate()
  setFlagsFromString("--expose-gc")
  const collect = runInNewContext("gc") as () => void
  collect()
  return refs.filter((ref) => ref.deref() !== undefined).length
}
