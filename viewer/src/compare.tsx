import * as Plot from "@observablehq/plot";
import { BINS } from "./budget";
import { Chart, NOTE, SYMBOLS } from "./chart";
import { Index, Run, fate, labelled, points, sum } from "./data";
import { Dot, Figure, Scroll } from "./parts";
import { Route, href } from "./route";

const LOOK: Record<string, [string, string]> = { right: ["sure-right", "✓"], wrong: ["sure-wrong", "✗"], tie: ["tied", "≈"], "none right": ["hopeless", "–"], likely: ["likely", "◕"], unclear: ["unclear", "◑"], doubtful: ["unlikely", "◔"], "no pick": ["none", "·"] };
const signed = (x: number) => (x > 0 ? `+${x}` : `${x}`.replace("-", "−"));

export function Compare({ index, run, route }: { index: Index; run: Run; route: Route }) {
  const others = index.runs.filter((r) => r !== run && labelled(r)), patterns = new Map<string, number[]>();
  index.ids.forEach((_, i) => { const key = index.runs.map((r) => fate(r, i)).join("|"); patterns.set(key, [...(patterns.get(key) ?? []), i]); });
  const same = (key: string) => new Set(key.split("|")).size === 1, differ = sum([...patterns].filter(([k]) => !same(k)).map(([, x]) => x.length));
  const rows = [...patterns].sort((a, b) => +same(a[0]) - +same(b[0]) || b[1].length - a[1].length);
  const names = Math.min(150, Math.max(...index.runs.map((r) => r.name.length)) * 7 + 16);
  return (
    <>
      <section class="lead"><h1>The runs differ on {differ.toLocaleString("en")} of {index.ids.length.toLocaleString("en")} problems</h1>{!labelled(run) && <p>No labels are known: the runs are compared by the chances that they give their picks.</p>}</section>
      <div class="grid two">
        {labelled(run) && others.length > 0 && <div>
          <Figure title={<><b style={{ color: run.color }}>{run.name}</b> against the others</>} say={`difference in points of right picks on the same problems, 95 % interval; right of zero: ${run.name} is better`}>
            <Chart label={others.map((o) => `${run.name} against ${o.name}: ${points(difference(index, o, run)[2])} points`).join(", ")} deps={[index, run]} draw={(width) => {
              const found = others.map((o) => { const d = difference(index, o, run); return { o, name: o.name, m: 100 * d[2]!, lo: 100 * d[3]!, hi: 100 * d[4]! }; }).filter((d) => !Number.isNaN(d.m));
              const span = Math.max(5, ...found.flatMap((d) => [Math.abs(d.lo), Math.abs(d.hi)])) * 1.1;
              return Plot.plot({ width: Math.min(width, 760), height: 40 + 46 * found.length, marginLeft: names, marginRight: 20, marginTop: 22, style: NOTE, x: { domain: [-span, span], label: null, ticks: 6, tickFormat: signed }, y: { domain: found.map((d) => d.name), label: null, tickSize: 0 },
                marks: [Plot.ruleX([0], { stroke: "var(--soft)" }), Plot.ruleY(found, { y: "name", x1: "lo", x2: "hi", stroke: (d: any) => d.o.color, strokeWidth: 3, strokeOpacity: 0.5 }), Plot.dot(found, { y: "name", x: "m", r: 6, symbol: (d: any) => SYMBOLS[d.o.i % 3], fill: (d: any) => d.o.color }), Plot.text(found, { y: "name", x: "m", dy: -15, text: (d: any) => points(d.m / 100), fontWeight: 650, fill: "var(--ink)" })] });
            }} />
            <Scroll label="Differences"><table class="facts"><thead><tr><th scope="col">against</th><th scope="col" class="n">points</th><th scope="col" class="n">interval</th><th scope="col" class="n">problems</th></tr></thead><tbody>{others.map((o) => { const d = difference(index, o, run); return <tr><th scope="row"><Dot run={o} />{o.name}</th><td class="n">{points(d[2])}</td><td class="n">{points(d[3])} to {points(d[4])}</td><td class="n">{d[5].toLocaleString("en")}</td></tr>; })}</tbody></table></Scroll>
          </Figure>
          <Figure title="Where the difference comes from" say="points that problems of each difficulty add to it, by the share of their candidates that are right">
            <Chart label="difference by difficulty; right of zero the chosen run is better" deps={[index, run]} draw={(width) => {
              const both = (o: Run) => run.own.filter((i) => run.cols.acc[i] != null && o.cols.acc[i] != null);
              const found = others.flatMap((o) => BINS.map(([name, fits]) => ({ o, name, other: o.name, gain: (100 * sum(both(o).map((i) => (fits(run.cols.right[i]! / (run.cols.cands[i] || 1)) ? run.cols.acc[i]! - o.cols.acc[i]! : 0)))) / (both(o).length || 1) })));
              return Plot.plot({ width: Math.min(width, 760), height: 230, marginLeft: 36, marginTop: 14, marginBottom: 40, style: NOTE, fx: { domain: BINS.map((b) => b[0]), label: "share of right candidates", labelAnchor: "center", padding: 0.25 } as any, x: { axis: null, domain: others.map((o) => o.name) }, y: { label: null, grid: true, ticks: 5, tickFormat: signed },
                marks: [Plot.axisFx({ anchor: "bottom", label: "share of right candidates", labelAnchor: "center" } as any), Plot.barY(found, { fx: "name", x: "other", y: "gain", fill: (d: any) => d.o.color, title: (d: any) => `${points(d.gain / 100)} points against ${d.other}` }), Plot.ruleY([0], { stroke: "var(--soft)" })] });
            }} />
            <p class="note">{others.map((o) => <span class="key first"><Dot run={o} />against {o.name}</span>)}</p>
          </Figure>
        </div>}
        <section>
          <h2>Who was right where</h2>
          <Scroll label="Who was right where"><table class="patterns"><thead><tr>{index.runs.map((r) => <th scope="col"><Dot run={r} />{r.name}</th>)}<th scope="col" class="n">Problems</th><th scope="col">Which</th></tr></thead>
            <tbody>{rows.map(([key, own]) => { const most = same(key) ? 4 : 12; return <tr class={same(key) ? "same" : ""}>{key.split("|").map((k) => <td><span class={`mark ${LOOK[k][0]}`} title={k}><i aria-hidden="true">{LOOK[k][1]}</i><span class="w">{k}</span></span></td>)}<td class="n"><b>{own.length.toLocaleString("en")}</b></td>
              <td class="which">{own.slice(0, most).map((i) => <><a href={href(route, { view: "problem", id: index.ids[i] })}>{index.ids[i]}</a>{" "}</>)}{own.length > most ? <small>and {(own.length - most).toLocaleString("en")} more</small> : null}</td></tr>; })}</tbody></table></Scroll>
        </section>
      </div>
    </>
  );
}

const difference = (index: Index, from: Run, to: Run) => index.diffs.find(([a, b]) => a === from.name && b === to.name)!;
