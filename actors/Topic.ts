/**
 * Topic: publish and subscribe, by key; whoever subscribes is told each value in the same order, and of what it missed.
 *
 *   publish -> the topic's turn -> each subscriber's mailbox, at once      -> { reached, missed } to the publisher
 *                                  full: it misses the value, is told so   |  a Stream: its buffer in place of a mailbox; nobody waits
 *
 * Subscribers are actors of any kind, each told by a message of its own protocol that takes `topic.message`, and Streams for fibers
 * outside. A message is { seq, missed, value }: `missed` values came and went since the last that it was told; `seq` says which it is.
 * - What it misses is chosen when it subscribes: values, while it is full, counted and told with the next; or it is let go by the first
 *   (`lagged`): told so by a message that waits for room, or by the failure `Lagged` of its Stream.
 * - The last `retain` values are kept, and told first to who subscribes; nothing comes between them and what follows.
 * - A subscriber whose life ends is dropped by death watch (law 10); subscribing again changes tag and policy, and replays nothing.
 * Order (law 2): a publisher's values in the order it sent them, and all subscribers see one order. Law 3: `maxSubscribers`, `retain`.
 * Fails: `LimitReached` for one subscriber too many. Cost: O(subscribers) a value. State: what is retained, by its Schema; subscribers
 * are of this life, as connections are: a failure resumes, a restart (a sibling's) ends Streams alone; a stop, who watches hears of.
 * `Groups` is for telling all of one kind something: no values kept, no counts, no Streams. Effect's PubSub has one policy for all and
 * no actors. Sources: Pekko's Topic and Phoenix.PubSub, neither of which says what was lost to a slow one.
 */
import { Cause, Effect, Queue, Schedule, Schema, Stream } from "effect"
import { Rpc } from "effect/rpc"
import { Actor, type ActorRef, LimitReached, Options } from "troupe"
import { Lagged, type Lost, type StreamOptions, Subscription, type Taking, type TopicOptions } from "./TopicMessages.ts"
import { checkTags, type Home, Subscribers, type Told } from "./TopicSubscribers.ts"

export { Lagged, Lost, type StreamOptions, type TopicOptions } from "./TopicMessages.ts"

/**
 * A topic of that type, of values of that Schema: spawn or host its `behavior`, and each key is a topic.
 *
 * ```ts
 * const prices = Topic.make("Prices", Schema.Struct({ sku: Schema.String, cents: Schema.Int }), { retain: 1 })
 * const Watcher = Actor.make("Watcher", { state, protocol: [Rpc.make("Price", { payload: prices.message })] })
 * yield* prices.subscribe("eu", watcher, "Price")
 * yield* prices.publish("eu", { sku: "tea", cents: 399 }) // => { reached: 1, missed: 0 }
 * ```
 */
export const make = <A>(type: string, value: Schema.Codec<A, unknown>, options: TopicOptions = {}) => {
  Options.known(type, options, ["retain", "maxSubscribers"])
  const retain = Options.integer(`${type}.retain`, options.retain, 0, 0, 1000)
  const most = Options.integer(`${type}.maxSubscribers`, options.maxSubscribers, 1024, 1, 1_000_000)
  const message = Schema.Struct({ seq: Schema.Int, missed: Schema.Int, value })
  const definition = Actor.make(type, {
    state: Schema.Struct({ seq: Schema.Int, retained: Schema.Array(Schema.Struct({ seq: Schema.Int, value })) }),
    protocol: [
      Rpc.make("Publish", {
        payload: Schema.Struct({ value }),
        success: Schema.Struct({ reached: Schema.Int, missed: Schema.Int })
      }),
      Rpc.make("Subscribe", { payload: Subscription, error: LimitReached }),
      Rpc.make("Unsubscribe", { payload: { ref: Subscription.fields.ref }, success: Schema.Boolean }),
      Rpc.make("Listen", {
        payload: { buffer: Schema.Int, fails: Schema.Boolean },
        success: message,
        error: Schema.Union([Lagged, LimitReached]),
        stream: true
      }),
      Rpc.make("Subscribers", { success: Schema.Array(Schema.Struct({ name: Schema.String, missed: Schema.Int })) })
    ]
  })
  const lives = new WeakMap<object, Subscribers<A>>() // by its ref, which is one through all restarts
  const of = ({ ref }: { readonly ref: object }) => lives.get(ref)!
  const behavior = definition.behavior({
    held: most,
    mailbox: { capacity: Math.max(1024, most) },
    supervision: { directive: () => "resume" },
    initial: (_key, self) => {
      const subscribers = lives.get(self.ref) ?? new Subscribers<A>(self.ref.address, most, retain)
      lives.set(self.ref, subscribers)
      return subscribers.begin(self)
    },
    onTerminated: (_state, { ref }, self) => void of(self).leave(ref.address),
    on: {
      Publish: (_state, { value: published }, self) => {
        const subscribers = of(self)
        return Actor.reply(subscribers.tell(published), subscribers.kept)
      },
      Subscribe: (state, { lagged, ref, tag }, self) => {
        const subscribers = of(self)
        const to = ref as ActorRef<Rpc.Any>
        checkTags(to, tag, lagged)
        const name = ref.address
        const offer = (told: Told<A>) => to.tellUnsafe(tag, told as never)
        const letGo = (seq: number, home: Home) => {
          const telling = to.tell(lagged!, { address: self.ref.address, seq } as never).pipe(
            Effect.retry({ schedule: Schedule.spaced("100 millis"), while: ({ _tag }) => _tag === "MailboxFull" }),
            Effect.ignore, // dead by now: it needs to hear nothing
            Effect.andThen(Effect.sync(() => subscribers.forget(name) && home.unwatch(ref)))
          )
          const fiber = home.fork(telling)
          return () => fiber.interruptUnsafe()
        }
        const refused = subscribers.enter(name, { name, offer, letGo: lagged === undefined ? undefined : letGo })
        if (refused !== undefined) return Effect.fail(refused)
        self.watch(ref)
        return state
      },
      Unsubscribe: (_state, { ref }, self) => {
        self.unwatch(ref)
        return Actor.reply(of(self).leave(ref.address))
      },
      Listen: (_state, { buffer, fails }, self) => {
        const subscribers = of(self)
        const { address } = self.ref
        const opened = Effect.gen(function* () {
          const queue = yield* Queue.dropping<Told<A>, Lagged>(buffer)
          const offer = (told: Told<A>) => (Queue.offerUnsafe(queue, told) ? "accepted" : "full")
          const letGo = (seq: number) => {
            Queue.failCauseUnsafe(queue, Cause.fail(new Lagged({ address, seq })))
            return () => {}
          }
          const refused = subscribers.enter(queue, { name: "a stream", offer, letGo: fails ? letGo : undefined })
          return refused === undefined ? queue : yield* refused
        })
        const held = Effect.acquireRelease(opened, (queue) => Effect.sync(() => subscribers.leave(queue)))
        return Stream.unwrap(Effect.map(held, Stream.fromQueue))
      },
      Subscribers: (_state, _, self) => Actor.reply(of(self).list())
    }
  })
  const at = (key: string, parent?: ActorRef) => definition.at(key, parent)
  type Place = string | ReturnType<typeof at> // a key, or the ref of one that is somebody's child
  const one = (where: Place) => (typeof where === "string" ? at(where) : where)
  return {
    message, // what subscribers are told: the payload of a message that takes it
    behavior,
    at,
    /** Tells all who subscribe; how many took it, and how many had no room. */
    publish: (where: Place, published: A) => one(where).ask("Publish", { value: published }),
    /**
     * From now on `ref` is told each value by its message `tag`, those that are retained first. With `lagged` it is let go by the
     * first value that it has no room for, and told so by that message, which takes `Topic.Lost`. Best said by itself, in its `initial`.
     */
    subscribe: <P extends Rpc.Any, T extends P["_tag"], L extends P["_tag"] = never>(
      where: Place,
      ref: ActorRef<P>,
      tag: T & Taking<P, T, typeof message.Type>,
      { lagged }: { readonly lagged?: L & Taking<P, L, typeof Lost.Type> } = {}
    ) => {
      checkTags(ref, tag, lagged)
      return one(where).ask("Subscribe", { ref, tag, lagged })
    },
    unsubscribe: (where: Place, ref: ActorRef<never>) => one(where).ask("Unsubscribe", { ref }),
    /** The values from now on, those that are retained first; to the end of the topic. */
    stream: (where: Place, { buffer, overflow }: StreamOptions = {}) =>
      one(where).ask("Listen", {
        buffer: Options.integer(`${type}.buffer`, buffer, Math.max(64, retain), Math.max(1, retain), 1_000_000),
        fails: Options.oneOf(`${type}.overflow`, overflow, "miss", ["miss", "fail"]) === "fail"
      })
  }
}
