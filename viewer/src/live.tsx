import * as Plot from "@observablehq/plot";
import { useEffect, useRef, useState } from "preact/hooks";
import { POOLS } from "./budget";
import { Chart, NOTE } from "./chart";
import { Index, UNITS, amount, duration, pct, plural, sum } from "./data";
import { Figure, Meter, Scroll } from "./parts";
import { Route, href } from "./route";

type Amounts = Record<string, number>;
type Status = { state: string; phase: string; error: string | null; host: string; written: number; seconds: number; cap: Amounts; spent: Amounts; lost: Amounts; in_flight: Amounts; rates: Amounts; seconds_left: number | null; problems: Amounts; verdicts: Amounts; pools: Record<string, { workers: number; busy: number; queued: number; waiting: string }> };
type Row = [id: string, tests: number, voting: number, pick: number | null, p: number | null, pairs: number, passed: number, candidates: number];
type Point = [tests: number, estimated: number | null];
type Message = { status: Status | null; expected: number; rows: Row[]; point: Point | null; right: [number, number]; happenings: [number, string, string][]; finished: boolean; now: number; error: string; whole?: boolean; curve?: Point[] };
type State = { message: Message; rows: Map<string, Row>; curve: Point[]; at: number };

const SILENT = 30; // seconds without a message after which the page says so
const PHASES: Record<string, string> = { preparation: "preparing problems", tests: "spending the cap on tests", results: "writing its tables", done: "done" };
const MOST_SQUARES = 5000;

function fold(state: State | null, message: Message): State {
  const rows = message.whole || !state ? new Map<string, Row>() : state.rows;
  for (const row of message.rows) rows.set(row[0], row);
  const curve = message.whole || !state ? (message.curve ?? []) : message.point ? [...state.curve.filter((p) => p[0] !== message.point![0]), message.point] : state.curve;
  return { message, rows, curve, at: Date.now() };
}

// Server-sent events; the browser itself reconnects after the last one that came.
function useFeed(base: string | undefined): [State | null, boolean] {
  const [state, set] = useState<State | null>(null), [lost, setLost] = useState(false);
  useEffect(() => {
    if (!base) return;
    const source = new EventSource(`${base}/events`);
    source.onmessage = (event) => { const message: Message = JSON.parse(event.data); set((old) => fold(old, message)); setLost(false); if (message.finished) source.close(); };
    source.onerror = () => setLost(true);
    return () => source.close();
  }, [base]);
  return [state, lost];
}

export function Live({ index, route, refresh }: { index: Index; route: Route; refresh: () => Promise<void> }) {
  const [state, lost] = useFeed(index.live), [, tick] = useState(0), [held, hold] = useState<Message["happenings"] | null>(null), [said, say] = useState(""), spoken = useRef(0);
  useEffect(() => { const timer = setInterval(() => tick((n) => n + 1), 1000); return () => clearInterval(timer); }, []);
  const done = !!state?.message.finished, shown = index.runs.some((r) => r.name === index.title);
  useEffect(() => { if (done && !shown) refresh(); }, [done]);
  const status = state?.message.status, rows = state ? [...state.rows.values()] : [], tests = sum(rows.map((r) => r[1])), settled = rows.filter((r) => (r[4] ?? 0) >= 0.8).length, all = state?.message.expected || status?.problems.all || rows.length;
  const sentence = state ? `${plural(tests, "test")} so far, ${settled} of ${all} picks have a chance of 80 % or more` : "";
  useEffect(() => { if (sentence && Date.now() - spoken.current > 60_000) { spoken.current = Date.now(); say(sentence); } });
  if (!state) return <p class="empty" role="status">{lost ? "The server of this page has ended." : "Waiting for the run …"}</p>;
  const last = state.curve.at(-1), pairs = sum(rows.map((r) => r[5])), most = Math.max(1, ...rows.map((r) => r[1])), silent = (Date.now() - state.at) / 1000, happenings = held ?? state.message.happenings;
  const recent = new Set(state.message.happenings.slice(-6).map((h) => h[1])), working = status ? status.state === "running" || status.state === "paused" : !done;
  const [right, known] = state.message.right, caps = Object.entries(status?.cap ?? {});
  return (
    <>
      <section class="lead"><h1>{done ? "The run has finished" : status?.state === "failed" ? "The run has failed" : status?.state === "stopped" ? "The run was stopped" : status?.state === "paused" ? "The run is paused" : `The run is ${PHASES[status?.phase ?? "tests"] ?? "going on"}`}</h1>
        <p>{sentence}.{working && status?.seconds_left != null ? ` About ${duration(status.seconds_left)} left until the cap is reached.` : ""} {done && (index.runs.length ? <a href={href(route, { view: "overview" })}>See what it brought</a> : "Reading its tables …")}{status?.error ? ` ${status.error}` : ""}{status?.state === "stopped" || status?.state === "failed" ? " testbudget run --resume continues it." : ""}</p>
        {!done && (lost || silent > SILENT) && <p class="warn" role="status">{lost ? "The connection to the page's server is lost; trying again." : `Nothing new since ${new Date(state.at).toLocaleTimeString()}.`}</p>}
        {state.message.error && <p class="warn" role="status">{state.message.error}</p>}
        <p class="sr" role="status" aria-live="polite">{said}</p></section>
      {caps.length > 0 && <div class="caps">{caps.map(([unit, cap]) => { const spent = (status!.spent[unit] ?? 0) + (status!.lost[unit] ?? 0), open = status!.in_flight[unit] ?? 0; return <><span>{UNITS[unit] ?? unit}</span><div class="cap" role="progressbar" aria-label={`${UNITS[unit] ?? unit} spent`} aria-valuemin={0} aria-valuemax={cap} aria-valuenow={Math.min(cap, spent)}><i style={{ width: `${Math.min(100, (100 * spent) / cap)}%` }} /><i class="open" style={{ width: `${Math.min(100 - Math.min(100, (100 * spent) / cap), (100 * open) / cap)}%` }} /></div><span class="n">{amount(spent)} of {amount(cap)}</span></>; })}</div>}
      <dl class="counters">
        <div><dt>problems with votes</dt><dd>{rows.filter((r) => r[2]).length.toLocaleString("en")} <small>of {all.toLocaleString("en")}</small></dd></div>
        <div><dt>picks with a chance of 80 %</dt><dd>{settled.toLocaleString("en")}</dd></div>
        <div><dt>tests per second</dt><dd>{status?.rates.tests == null ? "–" : amount(Math.round(10 * status.rates.tests) / 10)}</dd></div>
        <div><dt>pairs per second</dt><dd>{status?.rates.executions == null ? "–" : amount(Math.round(status.rates.executions))} <small>{amount(pairs)} so far</small></dd></div>
        <div><dt>mean chance of the picks</dt><dd>{pct(last?.[1])}</dd></div>
        {known > 0 && <div><dt>right picks so far</dt><dd>{right.toLocaleString("en")} <small>of {known.toLocaleString("en")} labelled</small></dd></div>}
        {status && <div><dt>time</dt><dd>{duration(status.seconds)}</dd></div>}
      </dl>
      <section><h2>Tests of each problem so far <small>a square per problem; the darker, the more tests; outlined: touched last; at most {most}</small></h2>
        <div class="squares" aria-hidden="true">{rows.slice(0, MOST_SQUARES).map((r) => <i class={recent.has(r[0]) ? "now" : ""} title={`${r[0]}: ${plural(r[1], "test")}${r[4] != null ? `, chance ${pct(r[4], 0)}` : ""}`} style={{ background: r[1] ? `color-mix(in srgb, var(--run2) ${Math.round(20 + (80 * r[1]) / most)}%, var(--paper))` : "var(--panel)" }} />)}</div>
        {rows.length > MOST_SQUARES && <p class="note">The first {MOST_SQUARES.toLocaleString("en")} of {rows.length.toLocaleString("en")} problems.</p>}</section>
      <div class="grid two">
        <Figure title="Mean chance of the picks" say="against the tests written so far, over the problems that were assessed by then">
          {state.curve.length > 1 ? <Chart label={`mean chance ${pct(last?.[1])} after ${plural(tests, "test")}`} deps={[state.curve.length, last?.[0]]} draw={(width) => curve(state.curve, width)} /> : <p class="empty">No pick was assessed yet.</p>}</Figure>
        <section><h2>Workers</h2>{status && Object.keys(status.pools).length ? <Scroll label="Workers"><table class="facts"><thead><tr><th scope="col">kind</th><th scope="col" class="n">workers</th><th scope="col">busy</th><th scope="col" class="n">waiting work</th></tr></thead><tbody>{Object.entries(status.pools).map(([kind, p]) => <tr><th scope="row">{POOLS[kind] ?? kind}</th><td class="n">{p.workers}</td><td><span class="wide-only"><Meter value={p.workers ? Math.min(1, p.busy / p.workers) : 0} /></span>{p.busy}</td><td class="n">{amount(p.queued)}{p.waiting && <small> {p.waiting}</small>}</td></tr>)}</tbody></table></Scroll> : <p class="empty">The driver publishes no use of its workers.</p>}</section>
      </div>
      <section onMouseEnter={() => hold(state.message.happenings)} onMouseLeave={() => hold(null)} onFocusIn={() => hold(state.message.happenings)} onFocusOut={() => hold(null)}><h2>Last happenings <small>{held ? "held while you point at them" : "newest first"}</small></h2>
        <Scroll label="Last happenings"><table class="facts wrap" aria-live="off"><tbody>{[...happenings].reverse().map(([time, id, what]) => <tr><td class="n">{duration(time)}</td><th scope="row">{id}</th><td class="say">{what}</td></tr>)}</tbody></table></Scroll></section>
    </>
  );
}

function curve(points: Point[], width: number) {
  const rows = points.filter((p) => p[1] !== null).map(([tests, est]) => ({ tests, y: 100 * est! }));
  return Plot.plot({ width, height: 220, marginLeft: 42, marginRight: 16, marginBottom: 36, style: NOTE, x: { label: "tests", labelAnchor: "center", labelArrow: "none", ticks: 5, zero: true }, y: { domain: [0, 100], label: null, grid: true, ticks: 5, tickFormat: (d: number) => `${d} %` },
    marks: [Plot.lineY(rows, { x: "tests", y: "y", stroke: "var(--run2)", strokeWidth: 2.4 }), Plot.dot(rows.slice(-1), { x: "tests", y: "y", r: 4.5, fill: "var(--run2)" })] });
}
