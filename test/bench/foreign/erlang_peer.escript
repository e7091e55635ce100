#!/usr/bin/env escript
%%! +S 1 +SDcpu 1 +P 8000000
%% Peer `erlang`: a process each, on one scheduler.
%%
%% `escript erlang_peer.escript SCENARIO SCALE` prints the row as a line of JSON, as round.mjs does; what each scenario is stands
%% in scenarios.mjs, and the shapes, sizes and counts here are those. A name is an entry in an ETS table, since a million atoms
%% would be the atom table's limit. Heap is erlang:memory(total).
-mode(compile).

main([Name, ScaleText]) ->
    Scale = number(ScaleText),
    ets:new(names, [named_table, public]),
    Row = scenario(Name, Scale),
    Fields = [io_lib:format("\"~s\":~s", [K, json(V)]) || {K, V} <- Row],
    io:format("{~s}~n", [lists:join(",", Fields)]),
    halt(0).

number(Text) ->
    case string:to_float(Text) of
        {error, _} -> list_to_integer(Text);
        {Float, _} -> Float
    end.

json(V) when is_list(V) -> ["{", lists:join(",", [io_lib:format("\"~s\":~s", [K, json(X)]) || {K, X} <- V]), "}"];
json(V) when is_integer(V) -> integer_to_list(V);
json(V) -> float_to_list(V, [{decimals, 4}, compact]).

scaled(N, Scale) -> max(1, round(N * Scale)).

scenario("pingpong", S) -> warmed(1000000, 1, S, fun pingpong/1);
scenario("counting", S) -> warmed(5000000, 1, S, fun counting/1);
scenario("forkjoin", S) -> warmed(50000, 60, S, fun forkjoin/1);
scenario("threadring", S) -> warmed(1000000, 1, S, fun threadring/1);
scenario("big", S) -> warmed(500, 1000, S, fun big/1);
scenario("chameneos", S) -> warmed(200000, 1, S, fun chameneos/1);
scenario("bndbuffer", S) -> warmed(5000, 40, S, fun bndbuffer/1);
scenario("ask-seq", S) -> warmed(1000000, 1, S, fun(N) -> ask(N, 1) end);
scenario("ask-1000", S) -> warmed(1000000, 1, S, fun(N) -> ask(N, 1000) end);
scenario("skynet", S) ->
    Leaves = round(math:pow(10, round(math:log10(scaled(1000000, S))))),
    skynet(1000),
    {Millis, Done} = skynet(Leaves),
    row(Leaves, Millis, Done, Leaves);
scenario("spawn-idle", S) -> spawn_idle(scaled(100000, S));
scenario("spawn-idle-1m", S) -> spawn_idle(scaled(1000000, S));
scenario("wake", S) -> wake(S);
scenario("fairness", S) -> fairness(S).

row(N, Millis, Done, Expected) -> [{n, N}, {milliseconds, Millis}, {completed, Done}, {expected, Expected}].

warmed(Size, Per, Scale, Body) ->
    N = scaled(Size, Scale),
    Body(ceil(max(scaled(1000, Scale), N / 10))),
    {Millis, Done} = Body(N),
    row(N * Per, Millis, Done, N * Per).

micros() -> erlang:monotonic_time(nanosecond) / 1000.

%% Runs Start, which leaves messages {done, Count} to this process; one too many is caught like one too few.
timed(Start) -> timed(Start, 1).
timed(Start, Dones) ->
    From = micros(),
    Start(self()),
    Count = lists:sum([receive {done, C} -> C end || _ <- lists:seq(1, Dones)]),
    Millis = (micros() - From) / 1000,
    timer:sleep(5),
    {Millis, Count + late()}.

late() -> receive {done, C} -> C + late() after 0 -> 0 end.

pingpong(N) ->
    timed(fun(Main) ->
        Pong = spawn(fun pong/0),
        spawn(fun() -> ping(Pong, N), exit(Pong, kill), Main ! {done, N} end)
    end).
pong() -> receive {ping, From} -> From ! pong, pong() end.
ping(_, 0) -> ok;
ping(Pong, Left) -> Pong ! {ping, self()}, receive pong -> ping(Pong, Left - 1) end.

counting(N) ->
    timed(fun(Main) ->
        Counter = spawn(fun() -> Main ! {done, count(0, N)} end),
        spawn(fun() -> produce(Counter, N) end)
    end).
count(N, N) -> N;
count(Seen, N) ->
    receive
        {add, none} -> count(Seen + 1, N);
        {add, From} -> From ! ack, count(Seen + 1, N)
    end.
produce(_, Left) when Left =< 0 -> ok;
produce(Counter, Left) ->
    [Counter ! {add, none} || _ <- lists:seq(2, min(Left, 512))],
    Counter ! {add, self()},
    receive ack -> produce(Counter, Left - 512) end.

forkjoin(Each) ->
    timed(fun(Main) ->
        Workers = [spawn(fun() -> Main ! {done, work(0, Each)} end) || _ <- lists:seq(1, 60)],
        spawn(fun() -> self() ! go, fork(Workers, 0, Each) end)
    end, 60).
work(N, N) -> N;
work(Seen, N) -> receive {work, _} -> work(Seen + 1, N) end.
fork(_, N, N) -> ok;
fork(Workers, Sent, N) ->
    receive go -> ok end,
    End = min(N, Sent + 16),
    [W ! {work, I} || I <- lists:seq(Sent + 1, End), W <- Workers],
    self() ! go,
    fork(Workers, End, N).

threadring(Hops) ->
    timed(fun(Main) ->
        First = spawn(fun() -> receive {next, Next} -> link_of(Next, Main, Hops) end end),
        Last = lists:foldl(fun(_, Next) -> spawn(fun() -> link_of(Next, Main, Hops) end) end, First, lists:seq(2, 100)),
        First ! {next, Last},
        First ! {token, Hops}
    end).
link_of(Next, Main, Hops) ->
    receive
        {token, 0} -> Main ! {done, Hops};
        {token, Left} -> Next ! {token, Left - 1}, link_of(Next, Main, Hops)
    end.

big(Pings) ->
    timed(fun(Main) ->
        Actors = [spawn(fun() -> receive {all, All} -> one(All, Pings, Pings, Main, I) end end) || I <- lists:seq(1, 1000)],
        All = list_to_tuple(Actors),
        [A ! {all, All} || A <- Actors],
        [A ! pong || A <- Actors]
    end, 1000).
one(All, 0, Pings, Main, X) -> receive
        {ping, From} -> From ! pong, one(All, 0, Pings, Main, X);
        pong -> Main ! {done, Pings}, answer()
    end;
one(All, Left, Pings, Main, X) ->
    receive
        {ping, From} -> From ! pong, one(All, Left, Pings, Main, X);
        pong ->
            Y = next_random(X),
            element(1 + Y rem 1000, All) ! {ping, self()},
            one(All, Left - 1, Pings, Main, Y)
    end.
answer() -> receive {ping, From} -> From ! pong, answer() end.

next_random(X0) ->
    X1 = X0 bxor ((X0 bsl 13) band 16#ffffffff),
    X2 = X1 bxor (X1 bsr 17),
    X2 bxor ((X2 bsl 5) band 16#ffffffff).

chameneos(Meetings) ->
    {Millis, Met} = timed(fun(Main) ->
        Mall = spawn(fun() -> mall(Meetings, none) end),
        [spawn(fun() -> Mall ! {meet, self(), I rem 3}, chameneo(Mall, I rem 3, 0, Main) end) || I <- lists:seq(1, 100)]
    end, 100),
    {Millis, Met div 2}.
mall(0, none) -> receive {meet, From, _} -> From ! enough, mall(0, none) end;
mall(Left, none) -> receive {meet, From, _} -> mall(Left, From) end;
mall(Left, Waiting) -> receive {meet, _, _} = M -> Waiting ! M, mall(Left - 1, none) end.
chameneo(Mall, Colour, Mine, Main) ->
    receive
        enough -> Main ! {done, Mine};
        {meet, Other, Its} -> Other ! {change, Colour}, again(Mall, Colour, Its, Mine, Main);
        {change, Its} -> again(Mall, Colour, Its, Mine, Main)
    end.
again(Mall, Colour, Its, Mine, Main) ->
    After = if Colour =:= Its -> Colour; true -> 3 - Colour - Its end,
    Mall ! {meet, self(), After},
    chameneo(Mall, After, Mine + 1, Main).

bndbuffer(Each) ->
    timed(fun(Main) ->
        Manager = spawn(fun() -> manager(queue:new(), 0, [], [], 0, 40 * Each, Main) end),
        [begin
            spawn(fun() -> consumer(Manager) end),
            P = spawn(fun() -> producer(Manager, 0, Each) end),
            P ! produce
        end || _ <- lists:seq(1, 40)]
    end).
%% what was used is told by its consumer's next call
manager(Items, Size, Producers, Consumers, Used, All, Main) ->
    receive
        {item, Item, Producer} ->
            {Items1, Size1, Consumers1} = case Consumers of
                [C | Rest] -> C ! {item, Item}, {Items, Size, Rest};
                [] -> {queue:in(Item, Items), Size + 1, []}
            end,
            if
                Size1 >= 10 -> manager(Items1, Size1, [Producer | Producers], Consumers1, Used, All, Main);
                true -> Producer ! produce, manager(Items1, Size1, Producers, Consumers1, Used, All, Main)
            end;
        {consumer, Consumer, One} ->
            Used1 = Used + One,
            if One =:= 1, Used1 >= All -> Main ! {done, if Used1 =:= All -> All; true -> 1 end}; true -> ok end,
            case queue:out(Items) of
                {empty, _} -> manager(Items, Size, Producers, [Consumer | Consumers], Used1, All, Main);
                {{value, Item}, Items1} ->
                    Consumer ! {item, Item},
                    Producers1 = case Producers of [P | Ps] -> P ! produce, Ps; [] -> [] end,
                    manager(Items1, Size - 1, Producers1, Consumers, Used1, All, Main)
            end
    end.
consumer(Manager) -> Manager ! {consumer, self(), 0}, consume(Manager).
consume(Manager) -> receive {item, _} -> Manager ! {consumer, self(), 1}, consume(Manager) end.
producer(_, N, N) -> ok;
producer(Manager, Made, N) -> receive produce -> Manager ! {item, Made, self()}, producer(Manager, Made + 1, N) end.

skynet(Leaves) ->
    Total = Leaves * (Leaves - 1) div 2,
    {Millis, Sum} = timed(fun(Main) -> spawn(fun() -> node_of(0, Leaves, Main, root) end) end),
    {Millis, if Sum =:= Total -> Leaves; true -> -1 end}.
node_of(Num, 1, Parent, _) -> Parent ! {sum, Num};
node_of(Num, Size, Parent, Kind) ->
    Self = self(),
    Part = Size div 10,
    [spawn(fun() -> node_of(Num + I * Part, Part, Self, inner) end) || I <- lists:seq(0, 9)],
    Sum = lists:sum([receive {sum, S} -> S end || _ <- lists:seq(1, 10)]),
    Parent ! {if Kind =:= root -> done; true -> sum end, Sum}.

ask(N, InFlight) ->
    timed(fun(Main) ->
        Server = spawn(fun serve/0),
        [spawn(fun() -> Main ! {done, client(Server, 0, (N + I) div InFlight, 0)} end) || I <- lists:seq(0, InFlight - 1)]
    end, InFlight).
serve() -> receive {From, Ref, Question} -> From ! {Ref, Question + 1}, serve() end.
client(_, N, N, Right) -> Right;
client(Server, I, N, Right) ->
    Ref = monitor(process, Server), % as gen_server:call does
    Server ! {self(), Ref, I},
    receive {Ref, Answer} ->
        demonitor(Ref, [flush]),
        client(Server, I + 1, N, if Answer =:= I + 1 -> Right + 1; true -> Right end)
    end.

spawn_idle(N) ->
    spawn_some(1000, N),
    Before = memory_after_collection(),
    {Millis, Done} = spawn_some(N, 0),
    Bytes = (memory_after_collection() - Before) div N,
    row(N, Millis, Done, N) ++ [{heap_bytes_per_actor, Bytes}].
spawn_some(N, First) ->
    timed(fun(Main) ->
        Collector = spawn(fun() -> collect(0, N), Main ! {done, N} end),
        spawn_named(First, First + N, Collector)
    end).
spawn_named(N, N, _) -> ok;
spawn_named(I, N, Collector) ->
    Pid = spawn(fun() -> idle(Collector) end),
    ets:insert(names, {I, Pid}),
    Pid ! I,
    spawn_named(I + 1, N, Collector).
idle(Collector) -> receive _ -> Collector ! seen, idle(Collector) end.
collect(N, N) -> N;
collect(I, N) -> receive seen -> collect(I + 1, N) end.
memory_after_collection() ->
    [garbage_collect(P) || P <- lists:sublist(processes(), 100)],
    timer:sleep(50),
    erlang:memory(total).

percentiles(Samples) ->
    Sorted = list_to_tuple(lists:sort(Samples)),
    Size = tuple_size(Sorted),
    At = fun(Q) -> round(element(min(Size, 1 + trunc(Size * Q)), Sorted) * 10) / 10 end,
    {At(0.5), At(0.99), At(1)}.

wake(Scale) ->
    Agents = list_to_tuple([spawn(fun agent/0) || _ <- lists:seq(1, 10000)]),
    [A ! nothing || A <- tuple_to_list(Agents)],
    N = scaled(200000, Scale),
    drive(Agents, scaled(50000, Scale), 100),
    {Millis, Loaded} = drive(Agents, N, 100),
    {_, Single} = drive(Agents, ceil(N / 4), 1),
    {P50, P99, Max} = percentiles(Loaded),
    {One50, One99, _} = percentiles(Single),
    row(N, Millis, length(Loaded) + length(Single), N + ceil(N / 4)) ++
        [{p50_us, P50}, {p99_us, P99}, {notes, [{max_us, Max}, {single_p50_us, One50}, {single_p99_us, One99}]}].
agent() ->
    receive
        nothing -> agent();
        {At, Driver} -> Driver ! {woke, micros() - At}, agent()
    end.
drive(Agents, N, InFlight) ->
    Main = self(),
    From = micros(),
    spawn(fun() ->
        First = min(N, InFlight),
        X = lists:foldl(fun(_, X0) -> send_one(Agents, X0) end, 42, lists:seq(1, First)),
        Main ! {latencies, drive_on(Agents, N - First, N, X, [])}
    end),
    receive {latencies, L} -> {(micros() - From) / 1000, L} end.
drive_on(_, _, 0, _, Seen) -> Seen;
drive_on(Agents, Left, Back, X, Seen) ->
    receive {woke, Latency} when Left > 0 -> drive_on(Agents, Left - 1, Back - 1, send_one(Agents, X), [Latency | Seen]);
            {woke, Latency} -> drive_on(Agents, 0, Back - 1, X, [Latency | Seen])
    end.
send_one(Agents, X) ->
    Y = next_random(X),
    element(1 + Y rem 10000, Agents) ! {micros(), self()},
    Y.

fairness(Scale) ->
    Main = self(),
    Ticks = 3000,
    From = micros(),
    Cheap = spawn(fun() -> tally(0) end),
    spawn(fun() -> self() ! go, feed(Cheap, scaled(1000000, Scale)) end),
    Hog = spawn(fun() -> self() ! go, hog(From + Ticks * 1000, 0) end),
    Victims = [spawn(fun() -> victim([]) end) || _ <- lists:seq(1, 100)],
    tick(Victims, From, 1, Ticks),
    Latencies = lists:append([begin V ! {tell, Main}, receive {latencies, V, L} -> L end end || V <- Victims]),
    Millis = (micros() - From) / 1000,
    Tallies = [begin P ! {tell, Main}, receive {tally, P, Count} -> Count end end || P <- [Cheap, Hog]],
    [CheapDone, Hogged] = Tallies,
    {P50, P99, Max} = percentiles(Latencies),
    row(length(Latencies), Millis, length(Latencies), 100 * Ticks) ++
        [{p50_us, P50}, {p99_us, P99},
         {notes, [{max_us, Max}, {cheap, CheapDone}, {hogged, Hogged}, {hog_share, Hogged * 0.05 / Millis}]}].
tally(N) -> receive {tell, To} -> To ! {tally, self(), N}, tally(N); _ -> tally(N + 1) end.
feed(_, Left) when Left =< 0 -> ok;
feed(Cheap, Left) -> receive go -> [Cheap ! work || _ <- lists:seq(1, 64)], self() ! go, feed(Cheap, Left - 64) end.
hog(Until, N) ->
    receive
        {tell, To} -> To ! {tally, self(), N}, hog(Until, N);
        go ->
            burn(micros() + 50),
            case micros() < Until of true -> self() ! go; false -> ok end,
            hog(Until, N + 1)
    end.
burn(Until) -> case micros() < Until of true -> burn(Until); false -> ok end.
victim(Seen) ->
    receive
        {tell, To} -> To ! {latencies, self(), Seen}, victim(Seen);
        Due -> victim([micros() - Due | Seen])
    end.
tick(_, _, Tick, Ticks) when Tick > Ticks -> ok;
tick(Victims, From, Tick, Ticks) ->
    receive after 1 -> ok end,
    tick(Victims, From, due(Victims, From, Tick, Ticks, micros()), Ticks).
due(Victims, From, Tick, Ticks, Now) when Tick =< Ticks, From + Tick * 1000 =< Now ->
    [V ! From + Tick * 1000 || V <- Victims],
    due(Victims, From, Tick + 1, Ticks, Now);
due(_, _, Tick, _, _) -> Tick.
