import * as Plot from "@observablehq/plot";
import { Chart, DASHES, NOTE, SYMBOLS } from "./chart";
import { CLOSED, FILTERS, Index, OUTCOMES, Run, UNITS, amount, countOf, duration, headline, labelled, outcomeKey, pct, plural, points } from "./data";
import { Dot, Figure, Figures, Scroll } from "./parts";
import { Route, go, href, useMedia } from "./route";

const LOOKS = ["sure-wrong", "differs", "unsettled", "nonepass", "tied", "harm", "novote", "unconfirmed", "noprogram", "abstained", "quarantined"];

export function Overview({ index, run, route }: { index: Index; run: Run; route: Route }) {
  const looks = LOOKS.map((key) => FILTERS.find((f) => f.key === key)!).map((f) => ({ f, count: countOf(index, run, f) }));
  const n = run.own.length, unit = unitOf(index, route);
  return (
    <>
      <Lead index={index} run={run} unit={unit} />
      <div class="grid two">
        <Figure title={labelled(run) ? "Right picks" : "Right picks, estimated"} say={labelled(run) ? `share of ${n.toLocaleString("en")} problems, with its 95 % interval over the choice of problems` : `mean of the chances that the run gives its picks, over ${n.toLocaleString("en")} problems; interval as if each chance were exact`}>
          <Chart label={index.runs.map((r) => `${r.name} ${pct(headline(r))}`).join(", ")} deps={[index]} draw={(width) => accuracyStrip(index, width)} />
        </Figure>
        <Figure title="Right picks against what was spent" say={`in the order in which each run granted its tests${labelled(run) ? `; band: 95 % interval of ${run.name}; thin: the run's own estimate` : ""}`}>
          <div class="switch" role="group" aria-label="Unit of the horizontal axis">{units(index).map((u) => <a class={u === unit ? "on" : ""} aria-current={u === unit ? "true" : undefined} href={href(route, { keep: ["run"], set: { x: u === "tests" ? null : u } })}>{UNITS[u]}</a>)}</div>
          <Chart label={`right picks against ${UNITS[unit]} spent: ${index.runs.map((r) => `${r.name} ends at ${pct(headline(r))} after ${amount(r.curve[unit]?.at(-1))}`).join(", ")}`} deps={[index, run, unit]} draw={(width) => spendCurve(index, run, unit, width)} />
          <Figures label="Right picks against what was spent" columns={[UNITS[unit], "right picks", "interval", "own estimate"]} rows={run.curve[unit].map((x, k) => [amount(x), pct(run.curve.acc[k]), run.curve.lo[k] == null ? "–" : `${pct(run.curve.lo[k])} to ${pct(run.curve.hi[k])}`, pct(run.curve.est[k])]).filter((_, k, all) => k % 6 === 0 || k === all.length - 1)} />
        </Figure>
      </div>
      <Outcomes run={run} route={route} />
      <section>
        <h2>Worth a look <small>{run.name}</small></h2>
        <ul class="looks">{looks.filter((x) => x.count).map(({ f, count }) => <li><a href={href(route, { view: "problems", set: { only: f.key } })}><b>{count.toLocaleString("en")}</b> {f.label}</a><span>{f.say}</span></li>)}</ul>
        {looks.some((x) => !x.count) && <p class="note">None: {looks.filter((x) => !x.count).map((x) => x.f.label).join(", ")}.</p>}
      </section>
      <section>
        <h2>What was run</h2>
        <Facts index={index} />
        <Made run={run} />
        <details><summary>Job file of {run.name}</summary><pre class="code plain" tabIndex={0}>{run.job}</pre></details>
      </section>
    </>
  );
}

const units = (index: Index) => Object.keys(UNITS).filter((u) => index.runs.every((r) => r.curve[u] && r.curve[u].at(-1) != null && r.curve[u].at(-1)! > 0));
function unitOf(index: Index, route: Route) {
  const found = units(index), wanted = route.q.get("x") ?? "tests";
  return found.includes(wanted) ? wanted : (found[0] ?? "tests");
}

function Lead({ index, run, unit }: { index: Index; run: Run; unit: string }) {
  const base = index.runs.find((r) => r.policy === "uniform") ?? index.runs[0], n = run.own.length;
  const diff = index.diffs.find(([a, b]) => a === base.name && b === run.name);
  const known = labelled(run), end = run.curve.tests.at(-1) ?? 0;
  // From here on never below the base's end again.
  const past = known && labelled(base) ? run.curve.tests.find((_, k) => run.curve.acc.slice(k).every((acc) => acc != null && acc >= base.acc!)) : undefined;
  const reached = diff && known && base.curve.acc.some((acc) => acc != null && acc >= run.acc!);
  return (
    <section class="lead">
      <h1><b style={{ color: run.color }}>{run.name}</b> {known ? <>picked a right candidate for {pct(run.acc)}</> : <>is estimated to have picked a right candidate for {pct(run.estimated)}</>} of {plural(n, "problem")}</h1>
      <p>
        {known ? <>95 % interval {pct(run.ci[0])} to {pct(run.ci[1])}; its own estimate without labels is {pct(run.estimated)}. </> : <>No labels are known, so every figure here rests on the chances that the run gives its picks: between {pct(run.estimated_ci[0])} and {pct(run.estimated_ci[1])} if these are exact. </>}
        It spent {plural(run.spent.tests ?? end, "test")}{run.spent.executions ? <> and {plural(run.spent.executions, "execution")}</> : null}{run.spent.usd ? <>, {amount(run.spent.usd)} US dollars</> : null}. {ending(run)}{" "}
        {diff && base !== run && diff[2] != null && <>{base.name}, with {plural(base.spent.tests ?? 0, "test")}, reached {pct(base.acc)}: a difference of <b>{points(diff[2])} points</b>, 95 % interval {points(diff[3])} to {points(diff[4])}{diff[3]! > 0 || diff[4]! < 0 ? "" : ", so it may be chance"}. {past && past < end ? <>It passed {pct(base.acc)} for good after {plural(past, "test")}, {pct(past / end, 0)} of what it spent. </> : null}{base.policy === "uniform" && diff[2] > 0 ? (reached ? "" : "Equal budgets did not get there with what they had. ") : null}</>}
        {run.pass1 != null && <>One random candidate is right for {pct(run.pass1)}; no choice can pass {pct(run.ceiling)}, the share of problems with a right candidate. </>}
        {index.runs.length === 1 && known && run.policy !== "uniform" && <>What equal budgets would have needed: <code>testbudget compare</code> on a run with spare tests, or a run with the policy uniform beside this one. </>}
        {index.runs.length > 1 && unit === "tests" ? null : null}
      </p>
    </section>
  );
}

function ending(run: Run): string {
  const caps = Object.entries(run.cap).filter(([name, limit]) => limit && ((run.spent[name] ?? 0) + (run.lost[name] ?? 0)) / limit >= 0.97).map(([name]) => UNITS[name] ?? name);
  if (caps.length) return `It ended because its cap of ${caps.join(" and ")} was used up.`;
  const [reason] = Object.entries(run.closed).sort((a, b) => b[1] - a[1])[0] ?? [];
  return reason ? `It ended before its cap was used up: of most problems, ${CLOSED[reason] ?? reason}.` : "";
}

function Made({ run }: { run: Run }) {
  const rows: [string, any][] = [
    ["Command", run.command && <code>{run.command}</code>], ["Models", Object.entries(run.models).map(([part, facts]) => `${part}: ${Object.values(facts).filter((x) => typeof x === "string").join(" ")}`).join("; ")],
    ["Data", Object.entries(run.sources).map(([part, place]) => `${part.split(".")[0]} from ${place}`).join("; ")], ["Chances by", run.confidence], ["Candidates are trusted", run.trust],
    ["Why problems got no more tests", Object.entries(run.closed).map(([why, count]) => `${CLOSED[why] ?? why}: ${count.toLocaleString("en")}`).join("; ")],
    ["Lost with workers", Object.entries(run.lost).map(([unit, x]) => `${amount(x)} ${UNITS[unit] ?? unit}`).join(", ")], ["Tasks cut by the cap", run.cut_tasks || ""], ["Tasks given up", run.lost_tasks || ""],
    ["Host", run.host], ["Versions", Object.entries(run.versions).map(([name, version]) => `${name} ${version}`).join(", ")],
  ];
  return <details><summary>Command, models, data and versions of {run.name}</summary><dl class="made">{rows.filter(([, value]) => value).map(([name, value]) => <div><dt>{name}</dt><dd>{value}</dd></div>)}</dl></details>;
}

const FACTS: [string, string, (r: Run) => any][] = [
  ["Policy", "", (r) => r.policy], ["Selection", "", (r) => r.selection], ["Right picks", "n", (r) => <b>{pct(r.acc)}</b>], ["Its own estimate", "n", (r) => pct(r.estimated)], ["Tests", "n", (r) => amount(r.spent.tests)],
  ["Cap", "n", (r) => Object.entries(r.cap).map(([k, v]) => `${amount(v)} ${UNITS[k] ?? k}`).join(", ")], ["Usable tests", "n", (r) => amount(r.status.usable)], ["Tokens", "n", (r) => amount(r.spent.tokens)], ["Executions", "n", (r) => amount(r.spent.executions)],
  ["CPU-seconds", "n", (r) => amount(r.spent.cpu_seconds)], ["GPU-seconds", "n", (r) => amount(r.spent.gpu_seconds)], ["Seed", "n", (r) => r.seed], ["Time", "n", (r) => (r.started && r.finished ? duration((Date.parse(r.finished) - Date.parse(r.started)) / 1000) : "unknown")],
  ["Finished (UTC)", "", (r) => (r.finished ? <><span class="date">{r.finished.slice(0, 10)}</span> <span class="date">{r.finished.slice(11, 16)}</span></> : "unknown")],
];
// Runs are rows where there is room for all columns and few of them, and columns where there is not.
function Facts({ index }: { index: Index }) {
  const name = (r: Run) => <><Dot run={r} />{r.name}</>;
  return useMedia("(max-width: 1500px)") ? (
    <Scroll label="What was run"><table class="facts turned"><thead><tr><td /> {index.runs.map((r) => <th scope="col" class="n">{name(r)}</th>)}</tr></thead><tbody>{FACTS.map(([label, , get]) => <tr><th scope="row">{label}</th>{index.runs.map((r) => <td class="n">{get(r)}</td>)}</tr>)}</tbody></table></Scroll>
  ) : (
    <Scroll label="What was run"><table class="facts"><thead><tr><th scope="col">Run</th>{FACTS.map(([label, cls]) => <th scope="col" class={cls}>{label}</th>)}</tr></thead><tbody>{index.runs.map((r) => <tr><th scope="row">{name(r)}</th>{FACTS.map(([, cls, get]) => <td class={cls}>{get(r)}</td>)}</tr>)}</tbody></table></Scroll>
  );
}

const longest = (index: Index) => Math.max(...index.runs.map((r) => r.name.length));
const short = (name: string, most: number) => (name.length > most ? `${name.slice(0, most - 1)}…` : name);

function accuracyStrip(index: Index, width: number) {
  const runs = index.runs, narrow = width < 420, one = runs[0], most = narrow ? 10 : 22;
  const rows = runs.map((r) => ({ r, name: r.name, x: headline(r), lo: labelled(r) ? r.ci[0] : r.estimated_ci[0], hi: labelled(r) ? r.ci[1] : r.estimated_ci[1] })).filter((d) => d.x != null).map((d) => ({ ...d, x: 100 * d.x!, lo: 100 * d.lo!, hi: 100 * d.hi! }));
  const bounds = one.pass1 == null ? [] : [[100 * one.pass1, narrow ? "random" : "one random candidate"], [100 * one.ceiling!, narrow ? "best possible" : "a right candidate exists"]] as [number, string][];
  const all = [...rows.flatMap((d) => [d.lo, d.hi]), ...bounds.map((b) => b[0])];
  const low = Math.max(0, Math.floor((Math.min(...all) - 4) / 10) * 10), high = Math.min(100, Math.ceil((Math.max(...all) + 3) / 10) * 10);
  const end = (x: number) => (x > low + 0.8 * (high - low) ? "end" : x < low + 0.2 * (high - low) ? "start" : "middle");
  return Plot.plot({
    width, height: Math.max(76 + 46 * runs.length, Math.min(250, 62 + 62 * runs.length)), marginLeft: Math.min(most, longest(index)) * 7 + 16, marginRight: 18, marginTop: 40, marginBottom: 26, style: NOTE,
    x: { domain: [low, high], label: null, ticks: 6, tickFormat: (d: number) => `${d} %` },
    y: { domain: rows.map((d) => d.name), label: null, tickSize: 0, tickFormat: (name: string) => short(name, most) },
    marks: [
      Plot.ruleX(bounds, { x: "0", stroke: "var(--faint)", strokeDasharray: "3 3" }),
      ...bounds.map((b) => Plot.text([b], { x: "0", text: (d: any) => `${d[1]}\n${d[0].toFixed(1)} %`, frameAnchor: "top", dy: -36, lineAnchor: "top", fill: "var(--soft)", textAnchor: end(b[0]) as any })),
      Plot.ruleY(rows, { y: "name", x1: "lo", x2: "hi", stroke: (d: any) => d.r.color, strokeWidth: 3, strokeOpacity: 0.45 }),
      Plot.dot(rows, { y: "name", x: "x", r: 6, symbol: (d: any) => SYMBOLS[d.r.i % 3], fill: (d: any) => d.r.color }),
      Plot.text(rows, { y: "name", x: "x", text: (d: any) => `${d.x.toFixed(1)} %`, dy: -15, fontWeight: 650, fill: "var(--ink)" }),
    ],
  });
}

function spendCurve(index: Index, run: Run, unit: string, width: number) {
  const value = (r: Run) => (labelled(r) ? r.curve.acc : r.curve.est);
  const rows = index.runs.flatMap((r) => r.curve[unit].map((x, k) => ({ run: r, x: x!, acc: value(r)[k], lo: r.curve.lo[k], hi: r.curve.hi[k], est: r.curve.est[k] }))).filter((d) => d.x != null && d.acc != null).map((d) => ({ ...d, acc: 100 * d.acc!, lo: 100 * (d.lo ?? d.acc!), hi: 100 * (d.hi ?? d.acc!), est: d.est == null ? NaN : 100 * d.est }));
  const own = rows.filter((d) => d.run === run), bounds = [run.pass1, run.ceiling].filter((x) => x != null).map((x) => 100 * x!);
  const all = [...rows.map((d) => d.acc), ...own.flatMap((d) => [d.lo, d.hi, ...(Number.isNaN(d.est) ? [] : [d.est])]), ...bounds];
  const low = Math.max(0, Math.floor((Math.min(...all) - 2) / 10) * 10), high = Math.min(100, Math.ceil((Math.max(...all) + 2) / 10) * 10);
  // Names at the lines' ends, pushed apart so that none covers another.
  const right = Math.min(width < 420 ? 80 : 150, longest(index) * 7 + 16), scale = 200 / (high - low || 1);
  const placed = index.runs.map((r) => rows.filter((d) => d.run === r).at(-1)).filter((d) => d !== undefined).map((d) => ({ ...d, y: d.acc })).sort((a, b) => b.y - a.y);
  for (let i = 1; i < placed.length; i++) placed[i].y = Math.min(placed[i].y, placed[i - 1].y - 14 / scale);
  return Plot.plot({
    width, height: 250, marginLeft: 42, marginRight: right, marginTop: 12, marginBottom: 36, style: NOTE,
    x: { label: `${UNITS[unit]} spent`, domain: [0, Math.max(...rows.map((d) => d.x), 1e-9)], ticks: width < 420 ? 4 : 6, labelArrow: "none", labelAnchor: "center" },
    y: { label: null, domain: [low, high], ticks: 5, tickFormat: (d: number) => `${d} %`, grid: true },
    marks: [
      run.ceiling != null ? Plot.ruleY([100 * run.ceiling], { stroke: "var(--faint)", strokeDasharray: "3 3" }) : null,
      run.ceiling != null ? Plot.text([100 * run.ceiling], { frameAnchor: "left", y: (d: number) => d, text: () => "a right candidate exists", textAnchor: "start", dx: 3, dy: -8, fill: "var(--soft)" }) : null,
      Plot.areaY(own, { x: "x", y1: "lo", y2: "hi", fill: run.color, fillOpacity: 0.13 }),
      labelled(run) ? Plot.lineY(own.filter((d) => !Number.isNaN(d.est)), { x: "x", y: "est", stroke: run.color, strokeWidth: 1, strokeOpacity: 0.7 }) : null,
      ...index.runs.filter((r) => r !== run).map((r) => Plot.lineY(rows.filter((d) => d.run === r), { x: "x", y: "acc", stroke: r.color, strokeWidth: 1.7, strokeDasharray: DASHES[r.i % 3] })),
      Plot.lineY(own, { x: "x", y: "acc", stroke: run.color, strokeWidth: 2.8 }),
      Plot.text(placed, { x: "x", y: "y", text: (d: any) => short(d.run.name, width < 420 ? 9 : 19), fill: (d: any) => d.run.color, textAnchor: "start", dx: 7, fontWeight: (d: any) => (d.run === run ? 700 : 500) } as any),
      Plot.tip(rows, Plot.pointer({ x: "x", y: "acc", title: (d: any) => `${d.run.name}\n${amount(d.x)} ${UNITS[unit]}: ${d.acc.toFixed(1)} %\n${labelled(d.run) ? `95 % interval ${d.lo.toFixed(1)} to ${d.hi.toFixed(1)} %` : "estimated"}`, fill: "var(--paper)", stroke: "var(--line)" })),
    ],
  });
}

export function Outcomes({ run, route }: { run: Run; route: Route }) {
  const count = new Map<string, number>();
  run.own.forEach((i) => { const key = outcomeKey(run, i); count.set(key, (count.get(key) ?? 0) + 1); });
  const parts = OUTCOMES.map((o) => ({ ...o, n: count.get(o.key) ?? 0 })).filter((o) => o.n), to = (key: string) => href(route, { view: "problems", set: { only: key } });
  return (
    <section>
      <h2>What became of the problems <small>{run.name}; choose a part to see its problems</small></h2>
      <div class="outcomes">{parts.map((o) => <a class={`part ${o.key}`} style={{ flexGrow: o.n }} title={o.say} href={to(o.key)} aria-label={`${o.n} ${o.label}`}><b>{o.n.toLocaleString("en")}</b></a>)}</div>
      <ul class="legend">{parts.map((o) => <li><a href={to(o.key)}><i class={`swatch ${o.key}`} />{o.n.toLocaleString("en")} {o.label}</a></li>)}</ul>
    </section>
  );
}
