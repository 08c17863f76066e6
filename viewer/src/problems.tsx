import { Virtualizer, elementScroll, observeElementOffset, observeElementRect } from "@tanstack/virtual-core";
import { useEffect, useMemo, useReducer, useRef, useState } from "preact/hooks";
import { FILTERS, Index, OUTCOMES, Run, countOf, labelled, outcomeKey, pct } from "./data";
import { Chance, Meter, OutcomeMark } from "./parts";
import { FILTERED, Route, go, href, useMedia } from "./route";

const share = (part: number | null, whole: number | null) => (part ?? 0) / (whole || 1);
const SORTS: Record<string, (run: Run, i: number) => number> = {
  number: (_, i) => i, sure: (r, i) => r.cols.p[i] ?? -1, tests: (r, i) => r.cols.tests[i] ?? 0, right: (r, i) => share(r.cols.right[i], r.cols.cands[i]), groups: (r, i) => r.cols.groups[i] ?? 0,
  outcome: (r, i) => OUTCOMES.findIndex((o) => o.key === outcomeKey(r, i)), passed: (r, i) => share(r.cols.passed[i], r.cols.voting[i]), alike: (r, i) => share(r.cols.pickgroup[i], r.cols.cands[i]), cpu: (r, i) => r.cols.cpu[i] ?? 0,
};

export function selected(index: Index, run: Run, route: Route): number[] {
  const words = (route.q.get("q") ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const only = (route.q.get("only") ?? "").split(",").map((key) => FILTERS.find((f) => f.key === key)).filter((f) => f !== undefined);
  const sort = route.q.get("sort") ?? "number", down = sort.startsWith("-"), by = SORTS[sort.replace("-", "")] ?? SORTS.number;
  return run.own
    .filter((i) => words.every((w) => index.ids[i].toLowerCase().includes(w) || index.entry[i].toLowerCase().includes(w)) && only.every((f) => f.test(index, run, i)))
    .sort((a, b) => (down ? -1 : 1) * (by(run, a) - by(run, b)) || a - b);
}

export function Problems({ index, run, route }: { index: Index; run: Run; route: Route }) {
  const rows = useMemo(() => selected(index, run, route), [index, run, route]), known = labelled(run), outputs = run.cols.groups.some((x) => x != null);
  const counts = useMemo(() => FILTERS.map((f) => countOf(index, run, f)), [index, run]);
  const only = route.q.get("only") ?? "", sort = route.q.get("sort") ?? "number", all = run.own.length;
  const head = (key: string, label: string, cls = "", say = label) => {
    const on = sort.replace("-", "") === key, down = sort[0] === "-";
    return <th scope="col" class={cls} aria-sort={on ? (down ? "descending" : "ascending") : undefined} title={say}><a href={href(route, { keep: FILTERED, set: { sort: on && !down ? `-${key}` : key } })}>{label}{on ? (down ? " ↓" : " ↑") : ""}</a></th>;
  };
  return (
    <>
      <div class="tools">
        <input id="search" type="search" placeholder="Search problems  ( / )" aria-label="Search problems by name or function" value={route.q.get("q") ?? ""} onInput={(e) => go(href(route, { keep: FILTERED, set: { q: e.currentTarget.value } }), true)} />
        <div class="chips" role="group" aria-label="Show only" tabIndex={0}>{FILTERS.map((f, k) => (counts[k] || only === f.key ? <a class={`chip ${only === f.key ? "on" : ""}`} aria-current={only === f.key ? "true" : undefined} title={f.say} href={href(route, { keep: FILTERED, set: { only: only === f.key ? null : f.key } })}>{f.label} <b>{counts[k].toLocaleString("en")}</b></a> : null))}</div>
      </div>
      <h1 class="count" aria-live="polite">{rows.length === all ? `All ${all.toLocaleString("en")} problems` : `${rows.length.toLocaleString("en")} of ${all.toLocaleString("en")} problems`} in {run.name}</h1>
      <Table rows={rows} index={index} run={run} route={route} known={known} outputs={outputs} head={
        <tr>{head("number", "Problem", "c-id")}{head("outcome", known ? "Pick is" : "Pick seems", "c-out")}{head("sure", "Chance given", "c-sure", "p_correct: chance that the pick is right, as the run itself gave it")}{head("tests", "Tests", "c-tests n", "tests paid for")}{head("passed", "Pick passes", "c-pass n", "voting tests that the pick passes")}
          {outputs && head("alike", "Outputs like pick", "c-alike", "candidates that give the same outputs as the pick")}{outputs && head("groups", "Groups", "c-groups n", "groups of candidates with equal outputs")}{known && head("right", "Right candidates", "c-right", "by the ground truth")}{index.runs.length > 1 && <th scope="col" class="c-runs" title="outcome in each run">Runs</th>}</tr>
      } />
    </>
  );
}

type TableProps = { rows: number[]; index: Index; run: Run; route: Route; head: any; known: boolean; outputs: boolean };
function Table({ rows, index, run, route, head, known, outputs }: TableProps) {
  const box = useRef<HTMLDivElement>(null), [, redraw] = useReducer((n: number, _: void) => n + 1, 0), height = useMedia("(max-width: 640px)") ? 58 : 34;
  const [list] = useState(() => new Virtualizer<HTMLDivElement, Element>({ count: 0, getScrollElement: () => box.current, estimateSize: () => height, scrollToFn: elementScroll, observeElementRect, observeElementOffset, onChange: () => redraw(), overscan: 12 }));
  list.setOptions({ ...list.options, count: rows.length, estimateSize: () => height });
  useEffect(() => list._didMount(), []);
  useEffect(() => list._willUpdate());
  useEffect(() => list.measure(), [height]);
  const items = list.getVirtualItems(), above = items[0]?.start ?? 0, below = list.getTotalSize() - (items.at(-1)?.end ?? 0);
  return (
    <div class="list" ref={box} tabIndex={0} role="region" aria-label="Problems">
      <table class="problems" aria-rowcount={rows.length + 1}>
        <thead>{head}</thead>
        <tbody>
          {above > 0 && <tr aria-hidden="true" style={{ height: above }} />}
          {items.map(({ index: k }) => <Row key={rows[k]} k={k} i={rows[k]} index={index} run={run} route={route} known={known} outputs={outputs} />)}
          {below > 0 && <tr aria-hidden="true" style={{ height: below }} />}
        </tbody>
      </table>
      {!rows.length && <p class="empty">No problem fits. <a href={href(route, {})}>Show all</a></p>}
    </div>
  );
}

function Row({ i, k, index, run, route, known, outputs }: { i: number; k: number; index: Index; run: Run; route: Route; known: boolean; outputs: boolean }) {
  const c = run.cols, to = href(route, { view: "problem", id: index.ids[i], keep: FILTERED });
  return (
    <tr aria-rowindex={k + 2} onClick={(e) => { if (!(e.target as Element).closest("a")) go(to); }}>
      <th scope="row" class="c-id"><a href={to} dir="auto">{index.ids[i]}</a> <code dir="auto" title={index.entry[i]}>{index.entry[i]}</code></th>
      <td class="c-out"><OutcomeMark run={run} i={i} /></td>
      <td class="c-sure"><Chance p={c.p[i]} /></td>
      <td class="c-tests n">{c.tests[i]}<span class="only-narrow"> tests</span></td>
      <td class="c-pass n">{c.voting[i] ? `${c.passed[i]} of ${c.voting[i]}` : "no votes"}</td>
      {outputs && <td class="c-alike"><Meter grey value={share(c.pickgroup[i], c.cands[i])} /><span class="num">{c.pickgroup[i] ?? "–"}</span></td>}
      {outputs && <td class="c-groups n">{c.groups[i] ?? "–"}</td>}
      {known && <td class="c-right"><Meter grey value={share(c.right[i], c.cands[i])} /><span class="num">{c.right[i] ?? "–"}</span></td>}
      {index.runs.length > 1 && <td class="c-runs">{index.runs.map((r) => <OutcomeMark run={r} i={i} word={false} />)}</td>}
    </tr>
  );
}
