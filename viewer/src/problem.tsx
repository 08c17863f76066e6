import { useEffect, useMemo, useState } from "preact/hooks";
import { Cell } from "./cell";
import { CLOSED, Detail, DetailRun, Index, Run, Test, amount, outcomeKey, pct, plural, readDetail, verdictOf } from "./data";
import { Code, visible } from "./code";
import { Matrix, scoreText } from "./matrix";
import { Dot, Meter, OutcomeMark } from "./parts";
import { selected } from "./problems";
import { FILTERED, Route, go, href } from "./route";

export type MatrixRow = { program: number; copies: number[]; passed: number };
export type Group = { g: number; name: string; size: number; rows: MatrixRow[] };
const letter = (n: number): string => (n < 26 ? String.fromCharCode(65 + n) : letter(Math.floor(n / 26) - 1) + letter(n % 26));

// Rows: the pick's group first, then groups by size; within one, who passes most. Columns: what tells most apart first.
export function arrange(r: DetailRun, byPassed: boolean) {
  const voting = r.tests.filter((t) => t.v), programs = r.reps.map((_, p) => p);
  const copies = programs.map((p) => r.of.map((q, c) => (q === p ? c : -1)).filter((c) => c >= 0));
  const passed = programs.map((p) => voting.filter((t) => verdictOf(t, p) === 1).length), pick = r.pick ?? -1;
  const size = (g: number) => programs.reduce((s, p) => s + (r.grp[p] === g ? copies[p].length : 0), 0);
  const order = [...new Set(r.grp)].map((g) => ({ g, size: size(g) })).sort((a, b) => +(b.g === r.grp[pick]) - +(a.g === r.grp[pick]) || b.size - a.size || a.g - b.g);
  const sorted = (ps: number[]) => ps.sort((a, b) => (byPassed ? 0 : +(b === pick) - +(a === pick)) || passed[b] - passed[a] || +(b === pick) - +(a === pick) || a - b).map((p): MatrixRow => ({ program: p, copies: copies[p], passed: passed[p] }));
  const groups: Group[] = order.map(({ g, size }, n) => ({ g, name: letter(n), size, rows: sorted(programs.filter((p) => r.grp[p] === g)) }));
  const nameOf = new Map(groups.map((g) => [g.g, g.name]));
  const share = (t: Test) => programs.reduce((s, p) => s + (verdictOf(t, p) === 1 ? copies[p].length : 0), 0) / (r.of.length || 1);
  const tests = voting.map((t) => ({ t, share: share(t) })).sort((a, b) => b.share * (1 - b.share) - a.share * (1 - a.share) || a.t.i - b.t.i);
  const blocks = byPassed ? [{ g: -1, name: "", size: r.of.length, rows: sorted(programs) }] : groups;
  return { voting, tests, groups, blocks, rows: blocks.flatMap((g) => g.rows), passed, copies, nameOf };
}
export type Arranged = ReturnType<typeof arrange>;

export const rejectsAllRight = (r: DetailRun, t: Test) => !!r.ok?.some(Boolean) && r.ok.every((ok, p) => !ok || verdictOf(t, p) !== 1);

export function ProblemPage({ index, run, route }: { index: Index; run: Run; route: Route }) {
  const i = index.ids.indexOf(route.id), [d, set] = useState<Detail | null>(null), [error, fail] = useState("");
  useEffect(() => {
    let here = true;
    set(null);
    if (i >= 0) readDetail(index, i).then((found) => here && set(found), (e) => here && fail(String(e.message ?? e)));
    return () => { here = false; };
  }, [i, index]);
  if (i < 0) return <p class="empty">There is no problem {route.id} here. <a href={href(route, { view: "problems" })}>All problems</a></p>;
  if (!d) return <p class="empty" role="status">{error || "Reading …"}</p>;
  const r = d.runs[run.i];
  if (!r) return <><h1>{index.ids[i]}</h1><p class="empty">{run.name} does not hold this problem. <a href={href(route, { view: "problems" })}>Its problems</a></p></>;
  return <Problem key={`${i} ${run.name}`} d={d} r={r} i={i} index={index} run={run} route={route} />;
}

function Problem({ d, r, i, index, run, route }: { d: Detail; r: DetailRun; i: number; index: Index; run: Run; route: Route }) {
  const byPassed = route.q.get("x") === "passed", a = useMemo(() => arrange(r, byPassed), [r, byPassed]), keep = [...FILTERED, "x"];
  const list = useMemo(() => selected(index, run, route), [index, run, route.q.get("q"), route.q.get("only"), route.q.get("sort")]);
  const at = list.indexOf(i), near = (step: number) => list[at + step];
  const program = route.q.has("c") ? (r.of[+route.q.get("c")!] ?? r.pick ?? 0) : (r.pick ?? 0);
  const test = (route.q.has("t") && a.voting.find((t) => t.i === +route.q.get("t")!)) || a.tests[0]?.t;
  const show = (p: number, t?: Test) => go(href(route, { keep, set: { c: r.reps[p], t: t ? t.i : null } }), true);
  return (
    <article>
      <nav class="crumbs" aria-label="Problems">
        <a href={href(route, { view: "problems", keep: FILTERED })}>← {list.length === run.own.length ? "All problems" : `${list.length} problems chosen`}</a>
        <span>{at >= 0 && <>{near(-1) != null && <a id="prev" href={href(route, { id: index.ids[near(-1)], keep: FILTERED })}>‹ {index.ids[near(-1)]}</a>}{near(1) != null && <a id="next" href={href(route, { id: index.ids[near(1)], keep: FILTERED })}>{index.ids[near(1)]} ›</a>}</>}</span>
      </nav>
      <header class="problem-head">
        <h1 dir="auto">{index.ids[i]} {d.entry && <code>{d.entry}</code>}</h1>
        {index.runs.length > 1 && <ul class="in-runs">{index.runs.filter((x) => d.runs[x.i]).map((x) => <li><a class={x === run ? "on" : ""} aria-current={x === run ? "true" : undefined} href={href(route, { keep, set: { run: x.name } })}><Dot run={x} />{x.name}<OutcomeMark run={x} i={i} /><small>{plural(x.cols.tests[i] ?? 0, "test")}</small></a></li>)}</ul>}
      </header>
      <div class="grid why">
        <Why d={d} r={r} i={i} run={run} a={a} show={show} />
        {d.prompt !== null ? <details class="prompt" open><summary>The problem</summary><Code text={d.texts[d.prompt].trim()} language={d.language} label="The problem" />{d.truth !== null && <details><summary>Its ground truth</summary><Code text={d.texts[d.truth]} language={d.language} label="Ground truth" /></details>}</details> : <p class="note">The run does not hold the problem's text.</p>}
      </div>
      {r.reps.length ? <div class="work"><Matrix r={r} a={a} program={program} test={test} show={show} route={route} keep={keep} /><Cell d={d} r={r} program={program} test={test} /></div> : <p class="empty">The problem has no candidates.</p>}
      <Lost d={d} r={r} />
      <History d={d} run={run} index={index} />
    </article>
  );
}

function Why({ d, r, i, run, a, show }: { d: Detail; r: DetailRun; i: number; run: Run; a: Arranged; show: (p: number, t?: Test) => void }) {
  if (r.pick === null) return <section class="because"><h2>No pick</h2><p>The problem has no candidates.</p></section>;
  const c = run.cols, n = a.voting.length, own = a.passed[r.pick], most = Math.max(...a.passed), better = a.rows.filter((x) => x.passed > own), key = outcomeKey(run, i);
  const [first, second] = a.groups, largest = Math.max(...a.groups.map((g) => g.size)), outputs = c.groups[i] !== null, tied = r.win.filter((p) => p !== r.pick);
  const right = r.ok ? r.ok.reduce((s, ok, p) => s + (ok ? a.copies[p].length : 0), 0) : 0, harmful = a.voting.filter((t) => rejectsAllRight(r, t));
  const rival = r.score.map((score, q) => ({ score: score ?? -Infinity, q })).filter(({ q, score }) => !r.win.includes(q) && score > -Infinity).sort((x, y) => y.score - x.score)[0];
  const cell = (t: Test) => <a href="#" onClick={(e) => { e.preventDefault(); show(r.ok!.indexOf(1), t); }}>test {t.i}</a>;
  return (
    <section class="because">
      <h2>Why candidate #{c.pick[i]}</h2>
      <ul>
        <li>{n === 0 ? <>{c.tests[i] ? <>None of its {plural(c.tests[i]!, "test")} votes</> : <>It had no test</>}, so {outputs ? "outputs decide" : "nothing tells candidates apart"}.</> : <>It passes <b>{own} of {n}</b> voting tests; {better.length ? <>{plural(better.reduce((s, x) => s + x.copies.length, 0), "candidate passes", "candidates pass")} more (at most {most})</> : own === 0 ? "nobody passes any" : "nobody passes more"}.</>}</li>
        {outputs && <li><b>{first.size} of {r.of.length}</b> candidates give its outputs (group A){first.size >= largest ? <>, {a.groups.filter((g) => g.size === first.size).length > 1 ? "as many as in any other group" : "the largest group"}</> : <>; the largest group has {largest}</>}.</li>}
        <li>The rule <code>{run.selection}</code> {(c.tied[i] ?? 1) > 1 ? <>leaves <b>{c.tied[i]}</b> candidates tied{tied.length === 0 ? ", all of them the same program" : ""}; the first is taken.</> : "prefers it to all others."}{rival && r.score[r.pick] != null ? <> Its score is {scoreText(r.score[r.pick]!)}; next is #{r.reps[rival.q]} of group {a.nameOf.get(r.grp[rival.q])} with {scoreText(rival.score)}.</> : null}</li>
        <li>The run gave it a chance of <b>{pct(c.p[i], 0)}</b>. More tests: {pct(c.gain[i], 0)} to help, {pct(c.harm[i], 0)} to harm{c.harmful[i] && r.why ? <>, since {r.why}</> : null}.</li>
        {c.closed[i] && <li>It got no more tests, since {CLOSED[c.closed[i]!]?.replace("they", "it") ?? c.closed[i]}.</li>}
        {r.ok && <li class={`truth ${key}`}>Ground truth: {right === 0 ? "no candidate is right" : key === "tied" ? <>right and wrong candidates tie; {right} of {r.of.length} are right</> : <>the pick is <b>{r.ok[r.pick] ? "right" : "wrong"}</b>; {right} of {r.of.length} candidates are right</>}.</li>}
        {harmful.length > 0 && <li class="warn">{harmful.length === n ? (n === 1 ? "The test rejects" : "All tests reject") : plural(harmful.length, "test rejects", "tests reject")} every right candidate: {harmful.slice(0, 6).map((t, k) => (k ? [", ", cell(t)] : cell(t)))}{harmful.length > 6 ? " …" : "."}</li>}
      </ul>
      {r.tell && second && (
        <div class="tell">
          <h3>What tells the groups apart</h3>
          <p><code dir="ltr">{visible(r.outs[r.tell.call])}</code></p>
          <table><tbody>{a.groups.slice(0, 5).map((g) => <tr><th scope="row"><span class="grp">{g.name}</span> {plural(g.size, "candidate")}{r.ok && g.rows.some((x) => r.ok![x.program]) ? <i class="disc ok" title="right by the ground truth" /> : null}</th><td><code dir="ltr">{gave(r, r.tell!.of[g.g])}</code></td></tr>)}
            {a.groups.length > 5 && <tr><th scope="row" colSpan={2}><small>and {plural(a.groups.length - 5, "more group")} of {plural(a.groups.slice(5).reduce((s, g) => s + g.size, 0), "candidate")}</small></th></tr>}</tbody></table>
        </div>)}
    </section>
  );
}

export const gave = (r: DetailRun, output: number | undefined) => (output == null || output < 0 ? "not called" : visible(r.outs[output]));

const LOST: Record<string, string> = { duplicate: "repeats an earlier test", usable: "was not run" };
function Lost({ d, r }: { d: Detail; r: DetailRun }) {
  const lost = r.tests.filter((t) => !t.v);
  if (!lost.length) return null;
  return <section><h2>{plural(lost.length, "test")} without a vote</h2>{lost.map((t) => <details><summary>Test {t.i}: {t.lost || LOST[t.st] || "no usable test in the answer"} <small>{t.tok == null ? "" : `${amount(t.tok)} tokens`}</small></summary><Code text={d.texts[(t.code ?? t.text)!]} language={t.code == null ? "" : d.language} label={`Test ${t.i}`} /></details>)}</section>;
}

function History({ d, run, index }: { d: Detail; run: Run; index: Index }) {
  const shown = [run, ...index.runs.filter((x) => x !== run)].filter((x) => d.runs[x.i]?.hist.length);
  if (!shown.length) return null;
  return (
    <section>
      <h2>How the pick came about <small>pick and chance after each grant of tests</small></h2>
      <div class="grid histories">{shown.map((x) => <div><h3><Dot run={x} />{x.name}</h3><Steps r={d.runs[x.i]!} /></div>)}</div>
    </section>
  );
}

function Steps({ r }: { r: DetailRun }) {
  let before: number | undefined;
  return (
    <ol class="grants">{r.hist.map((g) => {
      const changed = before !== undefined && g.pick !== undefined && g.pick !== before, terms = Object.entries(g.terms).filter(([, x]) => x !== null).map(([name, x]) => `${name.replace(/_/g, " ")} ${amount(x)}`).join(", ");
      before = g.pick ?? before;
      return <li><span class="when" title={g.time === null ? "" : `${g.time} s after the start`}>{plural(g.tests, "test")}{g.usable < g.tests ? `, ${g.usable} usable` : ""}{g.value !== null ? <small> worth {amount(g.value)}{terms ? ` (${terms})` : ""}</small> : <small> the minimum</small>}</span><Meter value={g.p} /><b>{pct(g.p, 0)}</b><span>{g.pick === undefined ? "not assessed" : <>#{g.pick}{r.ok && <i class={`disc ${r.ok[r.of[g.pick]] ? "ok" : ""}`} title={r.ok[r.of[g.pick]] ? "right" : "wrong"} />}{changed ? <em>changed</em> : null}{g.harmful ? <em>more would harm</em> : null}</>}</span></li>;
    })}</ol>
  );
}
