"""Peer `asyncio`: a task and a Queue each, on Python's own event loop.

`python3 asyncio_peer.py SCENARIO SCALE` prints the row as a line of JSON, as round.mjs does; what each scenario is stands in
scenarios.mjs, and the shapes, sizes and counts here are those. Only `counting` bounds its queue (1,024, a full one suspends the
producer), where the JavaScript peers wait for an acknowledgement a window. Heap is resident memory: Python has no cheaper truth.
"""

import asyncio
import gc
import json
import math
import os
import sys
import time

now = time.perf_counter
fairness_millis = 3000
names = {}
tasks = set()


def spawn(run):
    """An actor: `run(queue)` as a task; its queue is its address."""
    queue = asyncio.Queue()
    task = asyncio.create_task(run(queue))
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return queue


async def timed(start):
    """`start(done)` returns what counts; late work shows up in the count."""
    done = asyncio.get_running_loop().create_future()
    begun = now()
    count = start(lambda: done.done() or done.set_result(None))
    await done
    millis = (now() - begun) * 1000
    await asyncio.sleep(0.005)
    for task in list(tasks):
        task.cancel()
    return millis, count()


def random(seed=42):
    x = seed

    def pick(bound):
        nonlocal x
        x ^= (x << 13) & 0xFFFFFFFF
        x ^= x >> 17
        x ^= (x << 5) & 0xFFFFFFFF
        return x % bound

    return pick


def percentiles(samples):
    ordered = sorted(samples)

    def at(q):
        return round(ordered[min(len(ordered) - 1, int(len(ordered) * q))] * 1e6, 1)

    return {"p50_us": at(0.5), "p99_us": at(0.99)}, at(1)


def resident():
    gc.collect()
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def pingpong(n):
    def start(done):
        left = n

        async def pong(queue):
            while True:
                (await queue.get()).put_nowait(queue)

        async def ping(queue):
            nonlocal left
            while True:
                await queue.get()
                left -= 1
                if left < 0:
                    done()
                else:
                    other.put_nowait(queue)

        other = spawn(pong)
        spawn(ping).put_nowait(None)
        return lambda: n - (left + 1)

    return timed(start)


def counting(n):
    def start(done):
        count = 0
        queue = asyncio.Queue(maxsize=1024)

        async def counter(_):
            nonlocal count
            while True:
                await queue.get()
                count += 1
                if count == n:
                    done()

        async def producer(_):
            for i in range(n):
                await queue.put(i)

        spawn(counter)
        spawn(producer)
        return lambda: count

    return timed(start)


def forkjoin(per_worker):
    def start(done):
        size = 60
        counts = [0] * size
        finished = 0

        def worker(i):
            async def run(queue):
                nonlocal finished
                while True:
                    await queue.get()
                    counts[i] += 1
                    if counts[i] == per_worker:
                        finished += 1
                        if finished == size:
                            done()

            return run

        workers = [spawn(worker(i)) for i in range(size)]

        async def main(queue):
            sent = 0
            while sent < per_worker:
                await queue.get()
                end = min(per_worker, sent + 16)
                while sent < end:
                    for queue_of in workers:
                        queue_of.put_nowait(sent)
                    sent += 1
                queue.put_nowait(None)
                await asyncio.sleep(0)

        spawn(main).put_nowait(None)
        return lambda: sum(counts)

    return timed(start)


def threadring(hops):
    def start(done):
        ring = []
        arrived = 0

        def link(i):
            async def run(queue):
                nonlocal arrived
                while True:
                    left = await queue.get()
                    if left == 0:
                        arrived += 1
                        done()
                    else:
                        ring[(i + 1) % 100].put_nowait(left - 1)

            return run

        ring.extend(spawn(link(i)) for i in range(100))
        ring[0].put_nowait(hops)
        return lambda: arrived * hops

    return timed(start)


def big(pings):
    def start(done):
        size = 1000
        pick = random()
        actors = []
        lefts = [pings] * size
        finished = 0

        def one(i):
            async def run(queue):
                nonlocal finished
                while True:
                    asker = await queue.get()
                    if asker is not None:
                        asker.put_nowait(None)
                        continue
                    lefts[i] -= 1
                    if lefts[i] < 0:
                        finished += 1
                        if finished == size:
                            done()
                    else:
                        actors[pick(size)].put_nowait(queue)

            return run

        actors.extend(spawn(one(i)) for i in range(size))
        for actor in actors:
            actor.put_nowait(None)
        return lambda: sum(pings - (left + 1) for left in lefts)

    return timed(start)


def chameneos(meetings):
    def start(done):
        size = 100
        met = 0
        ended = 0

        async def run_mall(queue):
            left = meetings
            waiting = None
            while True:
                message = await queue.get()
                if left == 0:
                    message[0].put_nowait(None)
                elif waiting is None:
                    waiting = message
                else:
                    left -= 1
                    waiting[0].put_nowait(message)
                    waiting = None

        mall = spawn(run_mall)

        def chameneo(colour):
            async def run(queue):
                nonlocal met, ended, colour
                mine = 0
                mall.put_nowait((queue, colour))
                while True:
                    message = await queue.get()
                    if message is None:
                        met += mine
                        ended += 1
                        if ended == size:
                            done()
                        continue
                    other, its = message
                    after = colour if colour == its else 3 - colour - its
                    if other is not None:
                        other.put_nowait((None, colour))
                    colour = after
                    mine += 1
                    mall.put_nowait((queue, colour))

            return run

        for i in range(size):
            spawn(chameneo(i % 3))
        return lambda: met // 2

    return timed(start)


def bndbuffer(per_producer):
    def start(done):
        each = 40
        used = 0

        async def run_manager(queue):
            items, producers, consumers = [], [], []
            head = 0
            while True:
                item, who = await queue.get()
                if item is not None:
                    if consumers:
                        consumers.pop().put_nowait(item)
                    else:
                        items.append(item)
                    if len(items) - head >= 50 - each:
                        producers.append(who)
                    else:
                        who.put_nowait(None)
                elif head == len(items):
                    consumers.append(who)
                else:
                    who.put_nowait(items[head])
                    head += 1
                    if head == 1024:
                        del items[:head]
                        head = 0
                    if producers:
                        producers.pop().put_nowait(None)

        manager = spawn(run_manager)

        async def consumer(queue):
            nonlocal used
            manager.put_nowait((None, queue))
            while True:
                await queue.get()
                used += 1
                if used == each * per_producer:
                    done()
                else:
                    manager.put_nowait((None, queue))

        async def producer(queue):
            for made in range(per_producer):
                await queue.get()
                manager.put_nowait((made, queue))

        for _ in range(each):
            spawn(consumer)
            spawn(producer).put_nowait(None)
        return lambda: used

    return timed(start)


def skynet(leaves):
    def start(done):
        reached = 0
        total = -1

        async def node(queue):
            nonlocal reached
            num, size, parent = await queue.get()
            if size == 1:
                reached += 1
                parent.put_nowait(num)
                return
            size //= 10
            for i in range(10):
                spawn(node).put_nowait((num + i * size, size, queue))
            parent.put_nowait(sum([await queue.get() for _ in range(10)]))

        async def root(queue):
            nonlocal total
            total = await queue.get()
            done()

        spawn(node).put_nowait((0, leaves, spawn(root)))
        return lambda: reached if total == leaves * (leaves - 1) // 2 else -1

    return timed(start)


def ask(in_flight):
    async def run(n):
        answered = 0
        loop = asyncio.get_running_loop()

        async def serve(queue):
            nonlocal answered
            while True:
                question, reply = await queue.get()
                answered += 1
                reply.set_result(question + 1)

        server = spawn(serve)

        async def client(questions):
            right = 0
            for i in range(questions):
                reply = loop.create_future()
                server.put_nowait((i, reply))
                if await reply == i + 1:
                    right += 1
            return right

        begun = now()
        rights = sum(await asyncio.gather(*(client((n + i) // in_flight) for i in range(in_flight))))
        millis = (now() - begun) * 1000
        await asyncio.sleep(0.005)
        for task in list(tasks):
            task.cancel()
        return millis, answered if rights == n else rights

    return run


async def wake(scale):
    """Random ones of 10,000 sleepers, a hundred messages in flight, then one."""
    latencies = []
    loop = asyncio.get_running_loop()

    async def agent(queue):
        while True:
            message = await queue.get()
            if message is not None:
                latencies.append(now() - message[0])
                message[1].put_nowait(None)

    agents = [spawn(agent) for _ in range(10_000)]
    for each in agents:
        each.put_nowait(None)

    async def drive(n, in_flight):
        latencies.clear()
        pick = random()
        done = loop.create_future()

        async def driver(queue):
            sent = back = 0
            for _ in range(in_flight):
                queue.put_nowait(None)
            while back < n + in_flight:
                await queue.get()
                back += 1
                if sent < n:
                    sent += 1
                    agents[pick(len(agents))].put_nowait((now(), queue))
            done.set_result(None)

        begun = now()
        spawn(driver)
        await done
        return (now() - begun) * 1000, list(latencies)

    n = scaled(200_000, scale)
    await drive(scaled(50_000, scale), 100)
    millis, loaded = await drive(n, 100)
    _, single = await drive(math.ceil(n / 4), 1)
    one, _ = percentiles(single)
    many, most = percentiles(loaded)
    notes = {"max_us": most, "single_p50_us": one["p50_us"], "single_p99_us": one["p99_us"]}
    done = len(loaded) + len(single)
    return {"n": n, "milliseconds": millis, "completed": done, "expected": n + math.ceil(n / 4), **many, "notes": notes}


async def fairness(scale):
    latencies = []
    flood = scaled(1_000_000, scale)
    cheap = hogged = sent = 0
    over = False
    begun = now()

    async def cheap_actor(queue):
        nonlocal cheap
        while True:
            await queue.get()
            cheap += 1

    async def feeder(queue):
        left = flood
        while left > 0 and not over:
            await queue.get()
            for _ in range(64):
                target.put_nowait(None)
            left -= 64
            queue.put_nowait(None)

    async def hog(queue):
        nonlocal hogged
        while True:
            await queue.get()
            end = now() + 50e-6
            while now() < end:
                pass
            hogged += 1
            if now() - begun < fairness_millis / 1000:
                queue.put_nowait(None)

    async def victim(queue):
        while True:
            latencies.append(-(await queue.get()) + now())

    target = spawn(cheap_actor)
    spawn(feeder).put_nowait(None)
    spawn(hog).put_nowait(None)
    victims = [spawn(victim) for _ in range(100)]
    tick = 1
    while tick <= fairness_millis:
        await asyncio.sleep(0.001)
        at = now()
        while begun + tick / 1000 <= at and tick <= fairness_millis:
            for each in victims:
                each.put_nowait(begun + tick / 1000)
                sent += 1
            tick += 1
    over = True
    while len(latencies) < sent and now() - begun < fairness_millis / 100:
        await asyncio.sleep(0.05)
    millis = (now() - begun) * 1000
    figures, most = percentiles(latencies)
    notes = {"max_us": most, "cheap": cheap, "hogged": hogged, "hog_share": round(hogged * 0.05 / millis, 3)}
    row = {"n": len(latencies), "milliseconds": millis, "completed": len(latencies)}
    return {**row, "expected": 100 * fairness_millis, **figures, "notes": notes}


def spawn_idle(size):
    async def run(scale):
        n = scaled(size, scale)

        async def some(count, first):
            done = asyncio.get_running_loop().create_future()
            left = count

            async def idle(queue):
                nonlocal left
                while True:
                    await queue.get()
                    left -= 1
                    if left == 0:
                        done.set_result(None)

            begun = now()
            for i in range(first, first + count):
                names[f"a{i}"] = spawn(idle)
                names[f"a{i}"].put_nowait(i)
            await done
            millis = (now() - begun) * 1000
            await asyncio.sleep(0.005)
            return millis, count - left

        await some(1000, n)
        before = resident()
        millis, completed = await some(n, 0)
        heap = round((resident() - before) / n)
        row = {"n": n, "milliseconds": millis, "completed": completed, "expected": n}
        return {**row, "heap_bytes_per_actor": heap, "notes": {"rss_bytes_per_actor": heap}}

    return run


def scaled(n, scale):
    return max(1, round(n * scale))


def warmed(size, per, body):
    async def run(scale):
        n = scaled(size, scale)
        await body(math.ceil(max(scaled(1000, scale), n / 10)))
        millis, completed = await body(n)
        return {"n": n * per, "milliseconds": millis, "completed": completed, "expected": n * per}

    return run


async def skynet_scaled(scale):
    leaves = 10 ** round(math.log10(scaled(1_000_000, scale)))
    await skynet(1000)
    millis, completed = await skynet(leaves)
    return {"n": leaves, "milliseconds": millis, "completed": completed, "expected": leaves}


scenarios = {
    "spawn-idle": spawn_idle(100_000),
    "spawn-idle-1m": spawn_idle(1_000_000),
    "pingpong": warmed(1_000_000, 1, pingpong),
    "counting": warmed(5_000_000, 1, counting),
    "forkjoin": warmed(50_000, 60, forkjoin),
    "threadring": warmed(1_000_000, 1, threadring),
    "big": warmed(500, 1000, big),
    "chameneos": warmed(200_000, 1, chameneos),
    "bndbuffer": warmed(5000, 40, bndbuffer),
    "skynet": skynet_scaled,
    "ask-seq": warmed(1_000_000, 1, ask(1)),
    "ask-1000": warmed(1_000_000, 1, ask(1000)),
    "wake": wake,
    "fairness": fairness,
}

print(json.dumps(asyncio.run(scenarios[sys.argv[1]](float(sys.argv[2])))), flush=True)
os._exit(0)
