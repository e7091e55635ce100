/**
 * Everything that is due later: deadlines of asks, timers of actors, idleness, grace periods.
 *
 * Floor 0; used by Ask, the cells' timers, supervision and the gateway; knows of a node only `expired()`.
 * Law 7: one sleep for the whole system, for the earliest node; an actor holds no timer of its own.
 * Law 11: time comes from the given `now`, waiting from the given `sleep`, so it works the same under virtual time.
 * Order: by due time; nodes of one duration in the order they were armed.
 *
 *   heap of lanes by due time of their head:   5,000 ms [ask ask ask ...]   100 ms [timer]   60,000 ms [idle idle ...]
 *
 * A lane holds the nodes of one duration, so it is sorted by construction: arm and cancel are O(1) however many are
 * pending (101,000 asks: one sleep). A lane's place in the heap may be too early after a cancel; it is mended when it comes up.
 * One whose nodes were all cancelled stays for the next of its duration; when most are so, they go: an hour's time-out with
 * jitter, set anew a million times, would else leave a million lanes for an hour.
 */

/** A thing with a due time. Arming it again moves it. */
export abstract class TimerNode {
  due = 0
  lane: Lane | undefined = undefined
  before: TimerNode | undefined = undefined
  after: TimerNode | undefined = undefined
  /** Called once when due, unless cancelled before. What it throws is a defect; the others go on. */
  abstract expired(): void
}

/** A node that calls back. */
export class Deadline extends TimerNode {
  readonly #callback: () => void
  constructor(callback: () => void) {
    super()
    this.#callback = callback
  }
  expired(): void {
    this.#callback()
  }
}

class Lane {
  readonly millis: number
  /** When it comes up: at or before its head is due. */
  key = 0
  head: TimerNode | undefined = undefined
  tail: TimerNode | undefined = undefined
  constructor(millis: number) {
    this.millis = millis
  }
}

/** Waits and then calls back; the answer stops it. */
export type Sleep = (millis: number, wake: () => void) => () => void

/**
 * Due this many milliseconds early is due: sums of floating-point times miss each other by less. Without it a sleep for the
 * missing 1e-13 ms ends at once, before its time, again and again.
 */
export const TOLERANCE = 0.001

/** So many lanes may be empty before it is looked whether most are. */
const SLACK = 64

/** How many nodes expire before the sleep is started anew, so that a million due at once do not hold the loop. */
const BATCH = 1024

export class Timers {
  /** Nodes armed. */
  size = 0
  readonly now: () => number
  readonly #sleep: Sleep
  readonly #onDefect: (defect: unknown) => void
  readonly #lanes = new Map<number, Lane>()
  readonly #heap: Array<Lane> = []
  /** Lanes without a node. */
  #empty = 0
  #wakeAt = Number.POSITIVE_INFINITY
  #stop: (() => void) | undefined = undefined
  #closed = false
  /** A node expires: what it arms is arranged for when the batch is done, also where a sleep of 0 returns at once. */
  #waking = false

  constructor(now: () => number, sleep: Sleep, onDefect: (defect: unknown) => void) {
    this.now = now
    this.#sleep = sleep
    this.#onDefect = onDefect
  }

  /** Whether the one sleep is on: it may outlast the node it was for, when that is cancelled. */
  get sleeping(): boolean {
    return this.#stop !== undefined
  }

  /** Due `millis` from now; a node that was armed is moved. `Infinity` only cancels. */
  arm(node: TimerNode, millis: number): void {
    this.cancel(node)
    if (millis === Number.POSITIVE_INFINITY || this.#closed) return
    node.due = this.now() + millis
    let lane = this.#lanes.get(millis)
    if (lane === undefined) {
      lane = new Lane(millis)
      this.#lanes.set(millis, lane)
      lane.key = node.due
      this.#heap.push(lane)
      this.#up(this.#heap.length - 1)
    } else if (lane.head === undefined) this.#empty--
    node.lane = lane
    node.before = lane.tail
    if (lane.tail === undefined) lane.head = node
    else lane.tail.after = node
    lane.tail = node
    this.size++
    if (lane.key < this.#wakeAt && !this.#waking) this.#arrange()
  }

  cancel(node: TimerNode): void {
    const lane = node.lane
    if (lane === undefined) return
    if (node.before === undefined) lane.head = node.after
    else node.before.after = node.after
    if (node.after === undefined) lane.tail = node.before
    else node.after.before = node.before
    node.lane = undefined
    node.before = undefined
    node.after = undefined
    this.size--
    if (lane.head === undefined && ++this.#empty > SLACK && 2 * this.#empty > this.#heap.length) this.#prune()
  }

  /** Takes out the lanes without a node: O(lanes), after as many have become empty. */
  #prune(): void {
    // the batch is at the first of them
    if (this.#waking) return
    const heap = this.#heap
    let kept = 0
    for (const lane of heap) {
      if (lane.head === undefined) this.#lanes.delete(lane.millis)
      else heap[kept++] = lane
    }
    heap.length = kept
    this.#empty = 0
    for (let at = (kept >> 1) - 1; at >= 0; at--) this.#down(at)
  }

  /** Durations that there are lanes for. */
  get lanes(): number {
    return this.#heap.length
  }

  /** What is armed, lane by lane; O(armed). For the report of what was left behind. */
  *armed(): Generator<TimerNode> {
    for (const lane of this.#lanes.values())
      for (let node = lane.head; node !== undefined; node = node.after) yield node
  }

  /** No node expires any more. */
  close(): void {
    this.#closed = true
    this.#stop?.()
    this.#stop = undefined
  }

  readonly #wake = (): void => {
    this.#stop = undefined
    this.#wakeAt = Number.POSITIVE_INFINITY
    this.#waking = true
    const now = this.now() + TOLERANCE
    for (let n = 0; n < BATCH && this.#heap.length > 0 && !this.#closed; n++) {
      const lane = this.#heap[0]!
      if (lane.key > now) break
      const node = lane.head
      if (node === undefined) {
        this.#empty--
        this.#lanes.delete(lane.millis)
        this.#removeFirst()
      } else if (node.due > now) {
        lane.key = node.due
        this.#down(0)
      } else {
        this.cancel(node)
        if (lane.head !== undefined) lane.key = lane.head.due
        this.#down(0)
        try {
          node.expired()
        } catch (defect) {
          this.#onDefect(defect)
        }
      }
    }
    this.#waking = false
    this.#arrange()
  }

  /** Sleeps until the first lane comes up, unless a sleep until then is on. */
  #arrange(): void {
    const first = this.#heap[0]
    if (first === undefined || this.#closed || first.key >= this.#wakeAt) return
    this.#stop?.()
    this.#wakeAt = first.key
    const left = first.key - this.now()
    // overdue: more than a batch came due at once, and under virtual time not even a microsecond may pass by itself
    this.#stop = this.#sleep(left <= TOLERANCE ? 0 : left, this.#wake)
  }

  #removeFirst(): void {
    const last = this.#heap.pop()!
    if (this.#heap.length === 0) return
    this.#heap[0] = last
    this.#down(0)
  }

  #up(at: number): void {
    const heap = this.#heap
    const lane = heap[at]!
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (heap[parent]!.key <= lane.key) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = lane
  }

  #down(at: number): void {
    const heap = this.#heap
    const lane = heap[at]!
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && heap[child + 1]!.key < heap[child]!.key) child++
      if (heap[child]!.key >= lane.key) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = lane
  }
}
