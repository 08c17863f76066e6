import * as Plot from "@observablehq/plot";
import { Chart, NOTE, SYMBOLS } from "./chart";
import { Index, OUTCOMES, Run, UNITS, amount, labelled, outcomeKey, pct, plural, points, sum } from "./data";
import { Dot, Figure, Figures } from "./parts";
import { Route, go, href } from "./route";

type Bin = [name: string, fits: (x: number) => boolean];
export const BINS: Bin[] = [["none", (x) => x === 0], ["≤ 20 %", (x) => x > 0 && x <= 0.2], ["≤ 50 %", (x) => x > 0.2 && x <= 0.5], ["≤ 80 %", (x) => x > 0.5 && x <= 0.8], ["< 100 %", (x) => x > 0.8 && x < 1], ["all", (x) => x === 1]];
const CHANCES: Bin[] = [["≤ 20 %", (x) => x <= 0.2], ["≤ 40 %", (x) => x > 0.2 && x <= 0.4], ["≤ 60 %", (x) => x > 0.4 && x <= 0.6], ["≤ 80 %", (x) => x > 0.6 && x <= 0.8], ["> 80 %", (x) => x > 0.8]];

// Difficulty of a problem: the share of right candidates or, without labels, the chance of the pick.
const ease = (run: Run, i: number) => (run.cols.right[i] != null ? run.cols.right[i]! / (run.cols.cands[i] || 1) : (run.cols.p[i] ?? 0));
export const POOLS: Record<string, string> = { policy_model: "policy model", extractor: "extractors", reward_model: "reward model", runner: "runners" };

export function Budget({ index, run, route }: { index: Index; run: Run; route: Route }) {
  const c = run.cols, known = labelled(run), bins = known ? BINS : CHANCES;
  const order = [...run.own].sort((a, b) => ease(run, a) - ease(run, b) || c.tests[b]! - c.tests[a]!);
  const total = sum(c.tests), wasted = sum(run.own.map((i) => (c.right[i] === 0 ? c.tests[i] : 0)));
  const line = known ? run.curve.acc : run.curve.est, tests = run.curve.tests as number[];
  const at = (share: number) => { const want = share * tests.at(-1)!; let k = 0; tests.forEach((x, j) => { if (Math.abs(x - want) < Math.abs(tests[k] - want)) k = j; }); return line[k]; };
  const tenths = Array.from({ length: 10 }, (_, k) => ({ k: k + 1, gain: 100 * ((at((k + 1) / 10) ?? NaN) - (at(k / 10) ?? NaN)) })).filter((d) => !Number.isNaN(d.gain));
  const rows = index.runs.flatMap((r) => bins.map(([name, fits]) => { const own = r.own.filter((i) => fits(ease(r, i))); return { run: r, name, n: own.length, mean: sum(own.map((i) => r.cols.tests[i])) / (own.length || 1) }; })).filter((d) => d.n);
  const limit = Object.entries(run.limits).sort((a, b) => b[1] - a[1])[0];
  return (
    <>
      <section class="lead"><h1>Where <b style={{ color: run.color }}>{run.name}</b> spent its {plural(total, "test")}</h1>
        <p>{known && total ? <>{pct(wasted / total, 0)} of the tests went to problems without a right candidate, where none can help. </> : null}
          {tenths.length === 10 && <>The last tenth of what was spent brought {points(tenths[9].gain / 100)} points{known ? "" : ", estimated"}; the first brought {points(tenths[0].gain / 100)}. </>}
          {limit && limit[1] > 0.02 && <>For {pct(limit[1], 0)} of the time the {POOLS[limit[0]] ?? limit[0]} {/s$/.test(POOLS[limit[0]] ?? "") ? "were" : "was"} the limit: all of them busy, and work waited. </>}
          {Object.entries(run.cap).map(([name, cap]) => <>Of its cap of {amount(cap)} {UNITS[name] ?? name} it used {amount((run.spent[name] ?? 0) + (run.lost[name] ?? 0))}. </>)}</p></section>
      <Figure title="Tests of each problem" say={`${order.length > 400 ? "each bar is the mean of neighbouring problems" : "one bar per problem"}, from the hardest (${known ? "no candidate right" : "least sure of its pick"}) to the easiest; choose a bar to open it`}>
        <Chart label={`tests per problem, hardest first: ${plural(order.length, "problem")}, at most ${Math.max(...run.own.map((i) => c.tests[i] ?? 0), 0)} tests; the list of problems has the figures`} deps={[index, run]} draw={(width) => problemBars(index, run, route, order, width)} />
        <ul class="legend">{OUTCOMES.filter((o) => run.own.some((i) => outcomeKey(run, i) === o.key)).map((o) => <li><i class={`swatch ${o.key}`} />{o.label}</li>)}</ul>
      </Figure>
      <div class="grid two">
        <Figure title="Tests by difficulty" say={`mean tests of a problem, by ${known ? "the share of its candidates that are right" : "the chance of its pick"}`}>
          <Chart label={rows.filter((d) => d.run === run).map((d) => `${d.name}: ${d.mean.toFixed(1)} tests`).join(", ")} deps={[index, run]} draw={(width) => Plot.plot({
            width, height: 250, marginLeft: 34, marginTop: 26, marginBottom: 40, style: NOTE, x: { domain: bins.map((b) => b[0]), label: known ? "share of right candidates" : "chance of the pick", labelAnchor: "center", labelArrow: "none", padding: 0.3 }, y: { label: null, grid: true, ticks: 5, zero: true },
            marks: [Plot.ruleY([0], { stroke: "var(--line)" }), Plot.lineY(rows, { x: "name", y: "mean", z: (d: any) => d.run.name, stroke: (d: any) => d.run.color, strokeWidth: 1.5, strokeOpacity: 0.6 }), Plot.dot(rows, { x: "name", y: "mean", fill: (d: any) => d.run.color, symbol: (d: any) => SYMBOLS[d.run.i % 3], r: (d: any) => (d.run === run ? 6 : 4), title: (d: any) => `${d.run.name}: ${d.mean.toFixed(1)} tests in the mean over ${d.n} problems` } as any),
              Plot.text(rows.filter((d) => d.run === run), { x: "name", frameAnchor: "top", dy: -20, text: (d: any) => `${d.n}`, fill: "var(--soft)" })],
          })} />
          <p class="note">Figures above: number of problems. {index.runs.map((r) => <span class="key"><Dot run={r} />{r.name}</span>)}</p>
          <Figures label="Tests by difficulty" columns={["difficulty", ...index.runs.map((r) => r.name)]} rows={bins.map(([name]) => [name, ...index.runs.map((r) => rows.find((d) => d.run === r && d.name === name)?.mean.toFixed(1) ?? "–")])} />
        </Figure>
        <Figure title={`What each tenth of the ${total ? "tests" : "cap"} brought`} say={`points of right picks${known ? "" : ", estimated"}, in the order in which tests were granted`}>
          {tenths.length ? <Chart label={tenths.map((d) => `${d.k}: ${points(d.gain / 100)}`).join(", ")} deps={[index, run]} draw={(width) => Plot.plot({
            width, height: 250, marginLeft: 34, marginTop: 26, marginBottom: 40, style: NOTE, x: { label: "tenth of the tests", labelAnchor: "center", labelArrow: "none", tickFormat: String }, y: { label: null, grid: true, ticks: 5 },
            marks: [Plot.barY(tenths, { x: "k", y: "gain", fill: run.color, insetLeft: 2, insetRight: 2 }), Plot.ruleY([0], { stroke: "var(--soft)" }), Plot.text(tenths, { x: "k", y: (d: any) => Math.max(d.gain, 0), text: (d: any) => points(d.gain / 100), dy: -8, fontSize: width < 420 ? 9 : 11, fill: "var(--ink)" })],
          })} /> : <p class="empty">Neither labels nor assessments were recorded.</p>}
        </Figure>
        {run.course && <Figure title="Tests over time" say="granted, and executed, since the run began; the distance is work in progress"><Chart label={`${run.course.granted.at(-1)} tests granted and ${run.course.executed.at(-1)} executed in ${Math.round(run.course.t.at(-1)!)} seconds`} deps={[run]} draw={(width) => timeline(run, width)} /></Figure>}
        {Object.keys(run.pools).length > 0 && <Figure title="Workers busy" say="share of each kind of worker that has work, over time; shaded where work waits"><Chart label={Object.entries(run.limits).map(([kind, share]) => `${POOLS[kind] ?? kind}: the limit for ${pct(share, 0)} of the time`).join(", ")} deps={[run]} draw={(width) => pools(run, width)} />
          <Figures label="Workers busy" columns={["workers", "busy in the mean", "the limit for"]} rows={Object.entries(run.pools).map(([kind, p]) => [POOLS[kind] ?? kind, pct(sum(p.busy) / (p.busy.length || 1), 0), pct(run.limits[kind], 0)])} /></Figure>}
      </div>
    </>
  );
}

function timeline(run: Run, width: number) {
  const rows = run.course!.t.map((t, k) => ({ t, granted: run.course!.granted[k], executed: run.course!.executed[k] })), last = rows.at(-1)!;
  return Plot.plot({
    width, height: 230, marginLeft: 44, marginRight: 74, marginBottom: 36, style: NOTE, x: { label: "seconds since the start", labelAnchor: "center", labelArrow: "none", ticks: 5 }, y: { label: null, grid: true, ticks: 4 },
    marks: [Plot.areaY(rows, { x: "t", y1: "executed", y2: "granted", fill: run.color, fillOpacity: 0.13 }), Plot.lineY(rows, { x: "t", y: "granted", stroke: run.color, strokeWidth: 1.5, strokeDasharray: "5 3" }), Plot.lineY(rows, { x: "t", y: "executed", stroke: run.color, strokeWidth: 2.5 }),
      Plot.text([last], { x: "t", y: "granted", text: () => "granted", dx: 6, dy: -6, textAnchor: "start", fill: "var(--soft)" }), Plot.text([last], { x: "t", y: "executed", text: () => "executed", dx: 6, dy: 8, textAnchor: "start", fill: "var(--ink)" })],
  });
}

function pools(run: Run, width: number) {
  const rows = Object.entries(run.pools).flatMap(([kind, p]) => p.t.map((t, k) => ({ kind: POOLS[kind] ?? kind, t, busy: 100 * p.busy[k], waits: p.queued[k] > 0 ? 100 * p.busy[k] : 0, title: `${POOLS[kind] ?? kind} at ${Math.round(t)} s: ${Math.round(100 * p.busy[k])} % of ${p.workers[k]} busy, ${p.queued[k]} waiting` })));
  const kinds = [...new Set(rows.map((d) => d.kind))];
  return Plot.plot({
    width, height: 40 + 90 * kinds.length, marginLeft: 44, marginRight: 14, marginTop: 22, marginBottom: 36, style: NOTE, x: { label: "seconds since the start", labelAnchor: "center", labelArrow: "none", ticks: 5 }, y: { label: null, domain: [0, 100], ticks: 2, tickFormat: (d: number) => `${d} %`, grid: true }, fy: { domain: kinds, axis: null, padding: 0.3 },
    marks: [Plot.areaY(rows, { fy: "kind", x: "t", y: "waits", fill: "var(--run1)", fillOpacity: 0.22, curve: "step" }), Plot.lineY(rows, { fy: "kind", x: "t", y: "busy", stroke: "var(--run1)", strokeWidth: 1.5, curve: "step" }),
      Plot.text(kinds, { fy: (d: string) => d, text: (d: string) => d, frameAnchor: "top-left", dy: -14, fill: "var(--ink)", fontWeight: 600 }), Plot.tip(rows, Plot.pointerX({ fy: "kind", x: "t", y: "busy", title: "title", fill: "var(--paper)", stroke: "var(--line)" } as any))],
  });
}

function problemBars(index: Index, run: Run, route: Route, order: number[], width: number) {
  const c = run.cols, per = Math.max(1, Math.ceil(order.length / (width / 3))); // at most one bar per 3 pixels
  const rows = Array.from({ length: Math.ceil(order.length / per) }, (_, k) => ({ x: k, own: order.slice(k * per, (k + 1) * per) }));
  const bars = rows.flatMap((r) => { let y = 0; return OUTCOMES.flatMap((o) => { const part = r.own.filter((i) => outcomeKey(run, i) === o.key), h = sum(part.map((i) => c.tests[i])) / r.own.length; y += h; return h ? [{ x: r.x, y1: y - h, y2: y, key: o.key, own: r.own }] : []; }); });
  const say = (own: number[]) => (own.length > 1 ? `${own.length} problems, ${(sum(own.map((i) => c.tests[i])) / own.length).toFixed(1)} tests in the mean` : `${index.ids[own[0]]} ${index.entry[own[0]]}\n${plural(c.tests[own[0]]!, "test")}, ${c.right[own[0]] == null ? `chance ${pct(c.p[own[0]], 0)}` : `${c.right[own[0]]} of ${c.cands[own[0]]} candidates right`}`);
  const thin = rows.length < width / 4 ? 0.5 : 0, left = 34, right = 20;
  const plot = Plot.plot({
    width, height: 210, marginLeft: left, marginRight: right, marginBottom: 26, marginTop: 10, style: NOTE, x: { axis: null, type: "linear", domain: [0, Math.max(rows.length, 1)] }, y: { label: null, grid: true, ticks: 4 },
    marks: [Plot.rect(bars, { x1: "x", x2: (d: any) => d.x + 1, y1: "y1", y2: "y2", insetLeft: thin, insetRight: thin, fill: (d: any) => `var(--${d.key})`, title: (d: any) => say(d.own) } as any), Plot.text([0], { x: 0, text: () => "hardest", frameAnchor: "bottom", textAnchor: "start", dy: 18, fill: "var(--soft)" }), Plot.text([0], { x: rows.length, text: () => "easiest", frameAnchor: "bottom", textAnchor: "end", dy: 18, fill: "var(--soft)" }), Plot.ruleY([0], { stroke: "var(--soft)" })],
  });
  plot.addEventListener("click", (e: Event) => {
    const box = plot.getBoundingClientRect(), x = (((e as MouseEvent).clientX - box.left) / box.width) * width, k = Math.floor(((x - left) / (width - left - right)) * rows.length);
    if (rows[k]) go(href(route, { view: "problem", id: index.ids[rows[k].own[0]] }));
  });
  plot.style.cursor = "pointer";
  return plot;
}
