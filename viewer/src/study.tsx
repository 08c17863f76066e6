// The page of a comparison, a study or a training: blocks as analysis/view/study_page.py writes them.
import * as Plot from "@observablehq/plot";
import { Chart, DASHES, NOTE, SYMBOLS } from "./chart";
import { points } from "./data";
import { Figure, Figures, Scroll } from "./parts";

type Value = number | null;
type Line = { name: string; x: number[]; y: Value[]; low: Value[]; high: Value[] };
type Bin = { predicted: number; measured: number; low: number; high: number; problems: number };
type Table = { type: "table"; title: string; columns: string[]; rows: string[][]; words: number[]; headings: number[]; folded: boolean };
type Lines = { type: "lines"; title: string; say: string; series: Line[]; levels: [string, number][]; x: string; signed: boolean };
type Bars = { type: "bars"; title: string; say: string; groups: string[]; series: { name: string; y: Value[] }[]; percent: boolean };
type Predictions = { type: "predictions"; title: string; predicted: number[]; measured: number[]; bins: Bin[]; limits: [number, number] };
type Block = { type: "text" | "heading"; text: string } | Table | Lines | Bars | Predictions;

const COLORS = 6, color = (k: number) => `var(--run${k % COLORS})`;
const CHARTS = ["lines", "bars", "predictions"];

export function Study({ study }: { study: { title: string; blocks: Block[] } }) {
  // Charts that follow each other stand side by side where there is room.
  const parts: Block[][] = [];
  for (const block of study.blocks) CHARTS.includes(block.type) && CHARTS.includes(parts.at(-1)?.[0].type ?? "") ? parts.at(-1)!.push(block) : parts.push([block]);
  return (
    <>
      <header class="top"><span class="brand">testbudget</span></header>
      <main id="main" class="study"><section class="lead"><h1>{study.title}</h1></section>{parts.map((blocks) => (CHARTS.includes(blocks[0].type) ? <div class="charts">{blocks.map((b) => <Shown block={b} />)}</div> : <Shown block={blocks[0]} />))}</main>
    </>
  );
}

function Shown({ block }: { block: Block }) {
  if (block.type === "text") return <p class="told">{block.text}</p>;
  if (block.type === "heading") return <h2>{block.text}</h2>;
  if (block.type === "table") return block.folded ? <details><summary>{block.title}</summary><TableOf table={block} /></details> : <section>{block.title && <h2>{block.title}</h2>}<TableOf table={block} /></section>;
  if (block.type === "lines") return <LinesOf block={block} />;
  if (block.type === "bars") return <BarsOf block={block} />;
  return <PredictionsOf block={block as Predictions} />;
}

function TableOf({ table }: { table: Table }) {
  const cls = (k: number) => (table.words.includes(k) ? "" : "n");
  return <Scroll label={table.title || "Table"}><table class="facts"><thead><tr>{table.columns.map((name, k) => (name ? <th scope="col" class={cls(k)}>{name}</th> : <td />))}</tr></thead><tbody>{table.rows.map((row, r) => <tr class={table.headings.includes(r) ? "heading-row" : ""}>{row.map((cell, k) => (k ? <td class={cls(k)}>{cell}</td> : <th scope="row">{cell}</th>))}{row.length < table.columns.length && <td colSpan={table.columns.length - row.length} />}</tr>)}</tbody></table></Scroll>;
}

const Legend = ({ names }: { names: string[] }) => <ul class="legend">{names.map((name, k) => <li><i class={`dot s${k % 3}`} style={{ background: color(k) }} />{name}</li>)}</ul>;

function LinesOf({ block }: { block: Lines }) {
  const rows = block.series.flatMap((one, k) => one.x.map((x, j) => ({ k, name: one.name, x, y: one.y[j], low: one.low[j], high: one.high[j] }))).filter((d) => d.y !== null).map((d) => ({ ...d, y: 100 * d.y!, low: 100 * (d.low ?? d.y!), high: 100 * (d.high ?? d.y!) }));
  const ticks = [...new Set(rows.map((d) => d.x))].sort((a, b) => a - b), levels = block.levels.map(([name, y]) => ({ name, y: 100 * y })), form = (y: number) => (block.signed ? `${points(y / 100)} points` : `${y.toFixed(1)} %`);
  return (
    <Figure title={block.title} say={block.say}>
      <Chart label={block.series.map((one) => `${one.name}: ${form(100 * (one.y.at(-1) ?? NaN))} at ${one.x.at(-1)}`).join(", ")} deps={[block]} draw={(width) => Plot.plot({
        width, height: 280, marginLeft: 48, marginRight: 16, marginTop: 16, marginBottom: 38, style: NOTE, x: { type: "log", label: block.x, labelAnchor: "center", labelArrow: "none", ticks: width < 420 ? ticks.filter((_, k) => k % 2 === 0) : ticks, tickFormat: (x: number) => `${x}` }, y: { label: null, grid: true, ticks: 5, tickFormat: (y: number) => (block.signed ? `${y > 0 ? "+" : ""}${y}`.replace("-", "−") : `${y} %`) },
        marks: [block.signed ? Plot.ruleY([0], { stroke: "var(--soft)" }) : null, Plot.ruleY(levels, { y: "y", stroke: "var(--faint)", strokeDasharray: "3 3" }), Plot.text(levels, { y: "y", text: "name", frameAnchor: "left", textAnchor: "start", dx: 3, dy: -7, fill: "var(--soft)" }),
          ...block.series.flatMap((_, k) => { const own = rows.filter((d) => d.k === k); return [Plot.areaY(own, { x: "x", y1: "low", y2: "high", fill: color(k), fillOpacity: 0.1 }), Plot.lineY(own, { x: "x", y: "y", stroke: color(k), strokeWidth: 2, strokeDasharray: DASHES[k % 3] }), Plot.dot(own, { x: "x", y: "y", fill: color(k), symbol: SYMBOLS[k % 3] as any, r: 3 })]; }),
          Plot.tip(rows, Plot.pointer({ x: "x", y: "y", title: (d: any) => `${d.name}\n${d.x} ${block.x}: ${form(d.y)}\n95 % interval ${form(d.low)} to ${form(d.high)}`, fill: "var(--paper)", stroke: "var(--line)" }))],
      })} />
      <Legend names={block.series.map((one) => one.name)} />
      <Figures label={block.title} columns={[block.x, ...block.series.map((one) => one.name)]} rows={ticks.map((x) => [x, ...block.series.map((one) => { const y = one.y[one.x.indexOf(x)]; return y == null ? "–" : form(100 * y); })])} />
    </Figure>
  );
}

function BarsOf({ block }: { block: Bars }) {
  const scale = block.percent ? 100 : 1, rows = block.series.flatMap((one, k) => block.groups.map((group, g) => ({ k, name: one.name, group: `${g}`, y: scale * (one.y[g] ?? 0) }))), form = (y: number) => (block.percent ? `${points(y / 100)} points` : y.toFixed(1));
  return (
    <Figure title={block.title} say={block.say}>
      <Chart label={block.series.map((one) => `${one.name}: ${one.y.map((y) => form(scale * (y ?? NaN))).join(", ")}`).join("; ")} deps={[block]} draw={(width) => Plot.plot({
        width, height: 250, marginLeft: 40, marginTop: 14, marginBottom: 36, style: NOTE, fx: { domain: block.groups.map((_, g) => `${g}`), padding: 0.2 } as any, x: { axis: null, domain: block.series.map((one) => one.name) }, y: { label: null, grid: true, ticks: 5 },
        marks: [Plot.axisFx({ anchor: "bottom", label: null, tickFormat: (g: string) => block.groups[+g] } as any), Plot.barY(rows, { fx: "group", x: "name", y: "y", fill: (d: any) => color(d.k), title: (d: any) => `${d.name}, ${block.groups[+d.group]}: ${form(d.y)}` }), Plot.ruleY([0], { stroke: "var(--soft)" })],
      })} />
      <Legend names={block.series.map((one) => one.name)} />
      <Figures label={block.title} columns={["", ...block.groups]} rows={block.series.map((one) => [one.name, ...one.y.map((y) => form(scale * (y ?? NaN)))])} />
    </Figure>
  );
}

function PredictionsOf({ block }: { block: Predictions }) {
  const rows = block.predicted.map((x, k) => ({ x, y: block.measured[k] })), [low, high] = block.limits;
  return (
    <Figure title={block.title} say="predicted (across) and measured (up): pale, one dot a problem; dark, means of deciles by prediction with 95 % intervals; on the dashed line a prediction is right in the mean">
      <Chart label={block.bins.map((bin) => `predicted ${bin.predicted.toFixed(2)}, measured ${bin.measured.toFixed(2)}`).join("; ")} deps={[block]} draw={(width) => { const side = Math.min(width, 420); return Plot.plot({
        width: side, height: side, marginLeft: 40, marginBottom: 36, style: NOTE, x: { domain: [low, high], label: "predicted", labelAnchor: "center", labelArrow: "none", ticks: 5 }, y: { domain: [low, high], label: null, grid: true, ticks: 5 },
        marks: [Plot.line([[low, low], [high, high]], { stroke: "var(--faint)", strokeDasharray: "4 3" }), Plot.dot(rows, { x: "x", y: "y", r: 2.5, fill: color(5), fillOpacity: 0.3 }), Plot.ruleX(block.bins, { x: "predicted", y1: "low", y2: "high", stroke: color(5), strokeWidth: 2, strokeOpacity: 0.6 }), Plot.dot(block.bins, { x: "predicted", y: "measured", r: (d: any) => 3 + 4 * Math.sqrt(d.problems / Math.max(...block.bins.map((b) => b.problems))), fill: color(5) } as any)],
      }); }} />
      <Figures label={block.title} columns={["predicted", "measured", "interval", "problems"]} rows={block.bins.map((bin) => [bin.predicted.toFixed(3), bin.measured.toFixed(3), `${bin.low.toFixed(3)} to ${bin.high.toFixed(3)}`, bin.problems])} />
    </Figure>
  );
}
